"""`scripts/bench collections`: one hash, list, set, sorted set and stream of ten million elements each in a memory
budget of 256 MiB, and queues and windows that are used for long. Valk alone.

  scripts/bench collections                     10,000,000 elements, 50,000,000 operations a queue (an hour)
  scripts/bench collections --quick             500,000 and 1,000,000 (some minutes)
  scripts/bench collections --only hash queue   of hash, list, set, zset, stream, queue, rotation, window, log

Of each collection: the CPU of a point operation over that on a collection of 100 elements (goal: at most 2), the whole
of it read by one command, with what the server's memory grows by meanwhile (goal: a bounded amount), DEL's answer, and
at the end the server's peak memory. Of each queue: the CPU of an operation in each tenth of the run, and the last over
the second (goal: at most 1.2): what is deleted must not be walked over.
"""

import argparse
import random
import shutil
import socket
import time
from pathlib import Path

import machine
from servers import Server, begin
from types_bench import ELEMENT, VALUE, Pipe, encode, once

ROOT = Path(__file__).resolve().parent.parent.parent
POINT_GOAL = 2.0
ROT_GOAL = 1.2
# What one reply may take: two pieces of the server's own, and what the allocator rounds up.
REPLY_GOAL_MIB = 16
# Key, how 100 elements from the number `at` on are written, point operations, the whole of it.
COLLECTIONS = {
    "hash": ("h", lambda key, at, n: ("hset", key, *[w for i in range(at, at + n) for w in (f"e:{i:012d}", VALUE)]),
             {"hget": ("hget", "KEY", ELEMENT), "hset": ("hset", "KEY", ELEMENT, VALUE)}, ("hgetall", "KEY")),
    "list": ("l", lambda key, at, n: ("rpush", key, *[f"{VALUE}{i}" for i in range(at, at + n)]),
             {"lindex": ("lindex", "KEY", "HALF"), "lpush": ("lpush", "KEY", VALUE), "rpop": ("rpop", "KEY")},
             ("lrange", "KEY", "0", "-1")),
    "set": ("s", lambda key, at, n: ("sadd", key, *[f"e:{i:012d}" for i in range(at, at + n)]),
            {"sismember": ("sismember", "KEY", ELEMENT), "sadd": ("sadd", "KEY", ELEMENT)}, ("smembers", "KEY")),
    "zset": ("z", lambda key, at, n: ("zadd", key, *[w for i in range(at, at + n) for w in (str(i), f"e:{i:012d}")]),
             {"zscore": ("zscore", "KEY", ELEMENT), "zadd": ("zadd", "KEY", "__rand_int__", ELEMENT),
              "zrange10": ("zrange", "KEY", "0", "9")}, ("zrange", "KEY", "0", "-1", "WITHSCORES")),
    "stream": ("x", None,
               {"xadd": ("xadd", "KEY", "*", "f", VALUE),
                "xrange1": ("xrange", "KEY", "__rand_int__", "+", "COUNT", "1")},
               ("xrange", "KEY", "-", "+")),
}


SIZE = 1000
PAIRS = 250


def endless(pairs):
    """The same pairs of commands again and again."""
    payloads = [encode([c for pair in pairs[at:at + PAIRS] for c in pair]) for at in range(0, len(pairs), PAIRS)]
    return lambda turn: payloads[turn % len(payloads)]


def queue(rng):
    """Elements in at one end and out at the other."""
    return [("lpush", "q", VALUE)] * SIZE, endless([(("lpush", "q", VALUE), ("rpop", "q"))] * PAIRS)


def rotation(rng):
    one = ("lmove", "r", "r", "right", "left")
    return [("lpush", "r", f"{VALUE}{i}") for i in range(SIZE)], endless([(one, one)] * PAIRS)


def window(rng):
    """Members under the time, of which the last thousand stay."""
    def add(at):
        return ("zadd", "w", str(at), f"m:{at}")

    def payload(turn):
        return encode([command for at in range(SIZE + turn * PAIRS, SIZE + (turn + 1) * PAIRS)
                       for command in (add(at), ("zremrangebyscore", "w", "-inf", str(at - SIZE)))])

    return [add(at) for at in range(SIZE)], payload


def priorities(rng):
    """Random scores in, the least out."""
    pairs = [(("zadd", "p", str(rng.randrange(1 << 40)), f"m:{rng.randrange(1 << 40)}"), ("zpopmin", "p"))
             for _ in range(20_000)]
    return [add for add, _ in pairs[:SIZE]], endless(pairs)


def log(rng):
    one = ("xadd", "g", "MAXLEN", str(SIZE), "*", "f", VALUE)
    return [one] * SIZE, endless([(one, one)] * PAIRS)


QUEUES = {"queue": queue, "rotation": rotation, "window": window, "priorities": priorities, "log": log}


def parse(argv):
    parser = argparse.ArgumentParser(prog="scripts/bench collections", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=[*COLLECTIONS, *QUEUES])
    parser.add_argument("--elements", type=int)
    parser.add_argument("--operations", type=int)
    parser.add_argument("--requests", type=int, default=200_000, help="requests of a point operation (200,000)")
    parser.add_argument("--memory", type=int, default=256, help="memory budget in MiB (256)")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--valk", default=str(ROOT / ".build/release/valk-server"))
    parser.add_argument("--port", type=int, default=17640)
    parser.add_argument("--folder")
    settings = parser.parse_args(argv)
    settings.elements = settings.elements or (500_000 if settings.quick else 10_000_000)
    settings.operations = settings.operations or (1_000_000 if settings.quick else 50_000_000)
    settings.valk_arguments = ["--memory", f"{settings.memory}mb", "--io-threads", "1"]
    settings.remark = f"; budget {settings.memory} MiB; seed {settings.seed}"
    settings.port_of = lambda kind: settings.port
    return settings


def fill(server, name, key, size):
    pipe = Pipe(server.port)
    write = COLLECTIONS[name][1]
    begun = time.monotonic()
    step = 100
    for first in range(0, size, step * 50):
        if write:
            pipe.send([write(key, at, min(step, size - at)) for at in range(first, min(size, first + step * 50), step)])
        else:
            pipe.send([("xadd", key, f"{i + 1}-0", "f", VALUE) for i in range(first, min(size, first + step * 50))])
    pipe.close()
    return time.monotonic() - begun


def read_whole(server, command):
    """Reads one reply to its end, whose size is not known: a PING behind it says where that is."""
    before = machine.memory(server.pid)[0]
    machine.reset_peak(server.pid)
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        begun = time.monotonic()
        connection.sendall(encode([command, ("echo", "the-end-of-it")]))
        size, tail, room = 0, b"", bytearray(1 << 20)
        while not tail.endswith(b"the-end-of-it\r\n"):
            n = connection.recv_into(room)
            if not n:
                raise RuntimeError(f"{command[0]}: the server has closed the connection after {size} bytes")
            size += n
            tail = (tail + bytes(room[max(0, n - 32):n]))[-32:]
        seconds = time.monotonic() - begun
    return size, seconds, machine.memory(server.pid)[2] - before


def collection(server, settings, name):
    key, _, points, whole = COLLECTIONS[name]
    fill(server, name, key + ":100", 100)
    seconds = fill(server, name, key, settings.elements)
    resident = machine.memory(server.pid)[0]
    print(f"{name:9} {settings.elements:,} elements at {settings.elements / seconds:,.0f}/s, "
          f"{resident:.0f} MiB resident", flush=True)
    background = machine.wait_until_quiet(server.pid, 120)
    if background > 1:
        print(f"          quiet {background:.0f} s later", flush=True)
    for point, command in points.items():
        small = [word.replace("KEY", key + ":100").replace("HALF", "50") for word in command]
        large = [word.replace("KEY", key).replace("HALF", str(settings.elements // 2)) for word in command]
        # Once to warm up.
        once(server, large, settings.elements, settings.requests, 16)
        cost = {"small": [], "large": []}
        for _ in range(3):
            cost["small"].append(once(server, small, 100, settings.requests, 16)["cpu_us"])
            cost["large"].append(once(server, large, settings.elements, settings.requests, 16)["cpu_us"])
        one, other = sorted(cost["small"])[1], sorted(cost["large"])[1]
        verdict = "met" if other <= POINT_GOAL * one else "NOT MET"
        print(f"  {point:10} {one:6.2f} us of CPU at 100, {other:6.2f} us at {settings.elements:,}: "
              f"{other / one:.2f} x  {verdict}", flush=True)
    size, seconds, grown = read_whole(server, [word.replace("KEY", key) for word in whole])
    # The cache fills up to its budget meanwhile, which is no growth of the reply's.
    size, seconds, grown = read_whole(server, [word.replace("KEY", key) for word in whole])
    verdict = "met" if grown <= REPLY_GOAL_MIB else "NOT MET"
    print(f"  {whole[0]:10} {size / 2**20:,.0f} MiB at {size / 2**20 / seconds:,.0f} MiB/s, "
          f"{grown:.1f} MiB more of memory  {verdict}", flush=True)
    begun = time.monotonic()
    server.ask(b"DEL", key.encode(), timeout=60)
    print(f"  {'del':10} {(time.monotonic() - begun) * 1e3:.1f} ms", flush=True)


def rot(server, settings, name):
    first, payload = QUEUES[name](random.Random(settings.seed))
    pipe = Pipe(server.port)
    pipe.send(first)
    pipe.close()
    batches = max(1, settings.operations // 10 // (2 * PAIRS))
    costs = []
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        file = connection.makefile("rb", buffering=1 << 16)
        for tenth in range(10):
            before = machine.cpu_seconds(server.pid)
            for turn in range(tenth * batches, (tenth + 1) * batches):
                connection.sendall(payload(turn))
                for _ in range(2 * PAIRS):
                    read_reply(file)
            costs.append((machine.cpu_seconds(server.pid) - before) / (batches * 2 * PAIRS) * 1e6)
    verdict = "met" if costs[-1] <= ROT_GOAL * costs[1] else "NOT MET"
    print(f"{name:10} {settings.operations:,} operations at {SIZE} elements, us of CPU in each tenth: "
          f"{' '.join(f'{cost:.2f}' for cost in costs)}; last over second {costs[-1] / costs[1]:.2f}  {verdict}",
          flush=True)


def read_reply(file):
    line = file.readline()
    if line[:1] == b"-":
        raise RuntimeError(line.decode().strip())
    if line[:1] == b"*":
        for _ in range(int(line[1:])):
            read_reply(file)
    elif line[:1] == b"$" and int(line[1:]) >= 0:
        file.read(int(line[1:]) + 2)


def main(argv):
    settings = parse(argv)
    begin(settings, "redis-tools")
    server = Server("valk", settings)
    try:
        server.start()
        peak = 0
        for name in [*COLLECTIONS, *QUEUES]:
            if settings.only and name not in settings.only:
                continue
            (collection if name in COLLECTIONS else rot)(server, settings, name)
            peak = max(peak, machine.memory(server.pid)[0])
        resident, anonymous, _ = machine.memory(server.pid)
        print(f"at the end {resident:.0f} MiB resident, {anonymous:.0f} MiB of it not of files; "
              f"most seen {peak:.0f} MiB")
    except KeyboardInterrupt:
        return 130
    finally:
        server.remove()
        shutil.rmtree(settings.folder, ignore_errors=True)
    return 0

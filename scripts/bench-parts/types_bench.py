"""`scripts/bench types`: hashes, lists, sets, sorted sets and streams beside Redis's, on collections of 100 elements
and of a million, by the server's CPU per request, and answers of a thousand elements, by throughput.

Both servers run at once and are loaded in turns. Redis has its append-only file on, everysec.

  scripts/bench types                  three rounds (about 20 minutes)
  scripts/bench types --quick          one round, a tenth of the elements in the large collections (about 3 minutes)
  scripts/bench types --only zadd      cases whose name contains one of the words
"""

import argparse
import json
import shutil
import socket
import statistics
import subprocess
from pathlib import Path

import machine
from servers import Server, begin

ROOT = Path(__file__).resolve().parent.parent.parent
ELEMENT = "e:__rand_int__"
VALUE = "v" * 32
# name: the command, for the collection called KEY
POINTS = {
    "hset": ("hset", "h", ELEMENT, VALUE), "hget": ("hget", "h", ELEMENT),
    "lpush": ("lpush", "l", VALUE), "rpop": ("rpop", "l"),
    "sadd": ("sadd", "s", ELEMENT), "sismember": ("sismember", "s", ELEMENT),
    "zadd": ("zadd", "z", "__rand_int__", ELEMENT), "zscore": ("zscore", "z", ELEMENT),
    "zrange10": ("zrange", "z", "0", "9"), "zrank": ("zrank", "z", ELEMENT),
    "zcount": ("zcount", "z", "__rand_int__", "SIZE"),
    "xadd": ("xadd", "x", "MAXLEN", "~", "SIZE", "*", "f", VALUE),
}
RANGES = {
    "hgetall-1000": ("hgetall", "h"), "smembers-1000": ("smembers", "s"), "lrange-1000": ("lrange", "l", "0", "999"),
    "zrange-1000": ("zrange", "z", "0", "999"),
}
# Goals: CPU of a point at most Redis's, throughput of a range at least so much of Redis's.
POINT_GOAL = 1.0
RANGE_GOAL = 0.7
# Not among the goals.
SHOWN_ONLY = ("zrank", "zcount")


def parse(argv):
    parser = argparse.ArgumentParser(prog="scripts/bench types", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", metavar="NAME")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--requests", type=int, help="requests of a point case (300,000; with --quick 100,000)")
    parser.add_argument("--valk", default=str(ROOT / ".build/release/valk-server"))
    parser.add_argument("--redis", default="redis-server")
    parser.add_argument("--port", type=int, default=17620)
    parser.add_argument("--folder")
    parser.add_argument("--json", metavar="FILE")
    settings = parser.parse_args(argv)
    settings.rounds = settings.rounds or (1 if settings.quick else 3)
    settings.requests = settings.requests or (100_000 if settings.quick else 300_000)
    settings.large = 100_000 if settings.quick else 1_000_000
    settings.valk_arguments = []
    settings.remark = ""
    settings.port_of = lambda kind: settings.port + ["valk", "redis"].index(kind)
    return settings


def encode(commands):
    out = bytearray()
    for words in commands:
        out += b"*%d\r\n" % len(words)
        for word in words:
            word = word.encode()
            out += b"$%d\r\n%s\r\n" % (len(word), word)
    return bytes(out)


class Pipe:
    """Many requests at once, whose replies are counted and not looked at."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.file = self.socket.makefile("rb")

    def send(self, commands):
        self.socket.sendall(encode(commands))
        for _ in commands:
            line = self.file.readline()
            if line[:1] == b"-":
                raise RuntimeError(line.decode().strip())
            if line[:1] == b"$" and int(line[1:]) >= 0:
                self.file.read(int(line[1:]) + 2)

    def close(self):
        self.socket.close()


def fill(server, size):
    """Collections of `size` elements, called as the cases call theirs."""
    pipe = Pipe(server.port)
    pipe.send([("flushall",)])
    step = 100
    for first in range(0, size, step * 50):
        commands = []
        for at in range(first, min(size, first + step * 50), step):
            names = [f"e:{i:012d}" for i in range(at, min(size, at + step))]
            commands.append(("hset", "h", *[word for name in names for word in (name, VALUE)]))
            commands.append(("rpush", "l", *[VALUE for _ in names]))
            commands.append(("sadd", "s", *names))
            commands.append(("zadd", "z", *[word for i, name in enumerate(names) for word in (str(at + i), name)]))
        pipe.send(commands)
    pipe.close()


def once(server, command, size, requests, pipeline):
    words = [word.replace("SIZE", str(size)) for word in command]
    before = machine.cpu_seconds(server.pid)
    arguments = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(server.port), "-r", str(size), "-n", str(requests),
                 "-c", "50", "-P", str(pipeline), "--csv", *words]
    run = subprocess.run(arguments, capture_output=True, text=True, timeout=900)
    cpu = machine.cpu_seconds(server.pid) - before
    line = run.stdout.strip().splitlines()[-1] if run.stdout.strip() else ""
    if run.returncode or "," not in line:
        raise RuntimeError(f"redis-benchmark failed: {run.stderr.strip()[-300:]}{run.stdout[-300:]}")
    # The command may have commas and quotes of its own: the rate is the seventh figure from the end.
    return {"cpu_us": cpu / requests * 1e6, "rate": float(line.split(",")[-7].strip('"'))}


def main(argv):
    settings = parse(argv)
    facts = begin(settings, "redis-tools", "redis-server")
    figures = {}
    servers = []
    try:
        servers = [Server(kind, settings) for kind in ("valk", "redis")]
        for server in servers:
            server.start()
        groups = [(100, POINTS, 16, settings.requests), (settings.large, POINTS, 16, settings.requests),
                  (1000, RANGES, 1, settings.requests // 15)]
        for size, cases, pipeline, requests in groups:
            wanted = [name for name in cases if not settings.only or any(word in name for word in settings.only)]
            if not wanted:
                continue
            for server in servers:
                fill(server, size)
            failed = set()
            for turn in range(settings.rounds):
                for name in [name for name in wanted if name not in failed]:
                    for server in servers if turn % 2 == 0 else servers[::-1]:
                        count = min(requests, size * 10) if name == "rpop" and size > 1000 else requests
                        try:
                            found = once(server, cases[name], size, count, pipeline)
                        except (RuntimeError, subprocess.SubprocessError) as error:
                            failed.add(name)
                            print(f"{name:14} {size:9,}  FAILED on {server.kind}: {error}", flush=True)
                            break
                        figures.setdefault((name, size), {}).setdefault(server.kind, []).append(found)
                    if turn == settings.rounds - 1 and name not in failed:
                        show(name, size, figures[(name, size)])
    except KeyboardInterrupt:
        return 130
    finally:
        for server in servers:
            server.remove()
        shutil.rmtree(settings.folder, ignore_errors=True)
    if settings.json:
        Path(settings.json).write_text(json.dumps(
            {"facts": facts, "results": {f"{name} {size}": found for (name, size), found in figures.items()}},
            indent=1) + "\n")
    return 0


def show(name, size, found):
    middle = {kind: {what: statistics.median(one[what] for one in found[kind]) for what in ("cpu_us", "rate")}
              for kind in ("valk", "redis")}
    cpu = middle["valk"]["cpu_us"] / middle["redis"]["cpu_us"]
    rate = middle["valk"]["rate"] / middle["redis"]["rate"]
    verdict = ""
    if name in RANGES:
        verdict = "met" if rate >= RANGE_GOAL else "NOT MET"
    elif name not in SHOWN_ONLY:
        verdict = "met" if cpu <= POINT_GOAL else "NOT MET"
    print(f"{name:14} {size:9,}  valk {middle['valk']['cpu_us']:7.2f} us {middle['valk']['rate']:11,.0f}/s   "
          f"redis {middle['redis']['cpu_us']:7.2f} us {middle['redis']['rate']:11,.0f}/s   "
          f"CPU {cpu:5.2f} x  rate {rate:5.2f} x  {verdict}", flush=True)

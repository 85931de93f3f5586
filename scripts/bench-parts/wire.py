"""`scripts/bench wire`: what a client sees of one Valk server while the server has other things to do, or many clients;
and what scripts, transactions, PUBLISH and TLS cost beside Redis.

  tail      p99.9 of GETs of a few hot keys: alone, beside clients that read keys from the disk as fast as they can, and
            beside writers that keep compaction and garbage collection at work. Before those, beside two programs that
            only compute: the part of the tail that belongs to the machine
  restart   a store, killed with -9 while clients write as fast as they can: time to the first answer, then ten kills
            in a row while it starts, then the values are checked
  scan      SCAN COUNT 1000 over all keys: two warm rounds; a call counts with its faster one
  crowd     p99 with 10,000 connections of which 100 are busy, beside that with 100
  services  EVAL, MULTI/EXEC of five and PUBLISH to 100 subscribers: server CPU of each, beside Redis
  tls       GET and SET over TLS: throughput and server CPU, beside Redis

  scripts/bench wire                    1,000,000 keys of 1 KiB (tail), 2 GiB (restart), 2,000,000 keys (scan)
  scripts/bench wire --quick            a quarter of that (about three minutes)
  scripts/bench wire --full             2,000,000 keys, 10 GiB and 10,000,000 keys: the sizes of record
  scripts/bench wire --only tail scan
  scripts/bench wire -- --io-threads 2  what follows -- goes to the server

The clients that disturb run with nice 10, since they stand for other machines.
"""

import argparse
import json
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import beside
import machine
from cases import load
from servers import Server
from targets import Targets

CASES = ["tail", "restart", "scan", "crowd", "services", "tls"]
BESIDE = ("crowd", "services", "tls")
HOT_FIRST, HOT_KEYS = 1 << 30, 10_000


def parse(argv):
    parser = argparse.ArgumentParser(
        prog="scripts/bench wire", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="a quarter of the keys and seconds")
    size.add_argument("--full", action="store_true", help="the sizes of record")
    parser.add_argument("--only", nargs="+", choices=CASES, default=CASES, help="cases")
    parser.add_argument("--seconds", type=int, help="of each part of tail (20; with --quick 8, with --full 120)")
    parser.add_argument("--seed", type=int, help="of the moments of the kills")
    parser.add_argument("--json", metavar="FILE", help="write all figures to a file")
    parser.add_argument("--valk", default=str(machine.ROOT / ".build/release/valk-server"), help="(%(default)s)")
    parser.add_argument("--redis", default="redis-server", help="Redis's binary (%(default)s)")
    parser.add_argument("--port", type=int, default=17610, help="first of eight on 127.0.0.1 (%(default)s)")
    parser.add_argument("--folder", help="where temporary data go (the system's temporary folder)")
    own, passed = (argv[: argv.index("--")], argv[argv.index("--") + 1 :]) if "--" in argv else (argv, [])
    settings = parser.parse_args(own)
    settings.valk_arguments = passed
    settings.port_of = lambda kind: settings.port + (kind == "redis")
    settings.seed = settings.seed or random.randrange(1 << 32)
    which = 0 if settings.quick else 2 if settings.full else 1
    settings.tail_keys = (250_000, 1_000_000, 2_000_000)[which]
    settings.restart_keys = (500_000, 2_000_000, 10_000_000)[which]
    settings.scan_keys = (500_000, 2_000_000, 10_000_000)[which]
    settings.services_count = (50_000, 100_000, 400_000)[which]
    settings.rounds = (1, 3, 5)[which]
    settings.seconds = settings.seconds or (8, 20, 120)[which]
    return settings


class Client:
    """One connection that reads whole replies of the two kinds that are needed here."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, *words):
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))

    def until(self, complete):
        data = b""
        while not complete(data):
            more = self.socket.recv(1 << 20)
            if not more:
                raise RuntimeError("the server closed a connection")
            data += more
        return data

    def info(self):
        """Numbers of INFO."""
        self.send(b"INFO", b"all")

        def complete(data):
            end = data.find(b"\r\n")
            return end >= 0 and len(data) >= end + 4 + int(data[1:end])

        return {name: int(number) for name, number in
                re.findall(r"^(\w+):(\d+)\r?$", self.until(complete).decode(errors="replace"), re.M)}

    def scan(self, cursor):
        """One call; the next cursor, how many keys came (of 16 bytes each), and the seconds until all had come."""
        entry = len(b"$16\r\nkey:000000000000\r\n")

        def parts(data):
            return re.match(rb"\*2\r\n\$\d+\r\n(\d+)\r\n\*(\d+)\r\n", data)

        def complete(data):
            head = parts(data)
            return head and len(data) >= head.end() + int(head[2]) * entry

        begun = time.monotonic()
        self.send(b"SCAN", cursor, b"COUNT", b"1000")
        data = self.until(complete)
        seconds = time.monotonic() - begun
        head = parts(data)
        return head[1], int(head[2]), seconds


class Wire:
    def __init__(self, settings, targets):
        self.settings = settings
        self.targets = targets
        self.results = {}
        self.children = []

    def say(self, text):
        print(f"  {text}", flush=True)

    def begin(self, *arguments):
        """A process in the background, with nice 10."""
        child = subprocess.Popen(["nice", "-n", "10", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.children.append(child)
        return child

    def end_children(self):
        for child in self.children:
            child.kill()
            child.wait()
        self.children = []

    def begin_load(self, server, mode, keys, seconds, generation=1):
        return self.begin(str(machine.BUILT / "load"), "--port", str(server.port), "--mode", mode, "--keys", str(keys),
                          "--connections", "16", "--seconds", str(seconds), "--seed", "7", "--generation",
                          str(generation))

    # p99.9 of hot keys.

    def hot(self, server, seconds):
        figures = load(server, "get", HOT_KEYS, seconds=seconds, first=HOT_FIRST, connections=4, pipeline=1)
        return {name: figures[name] for name in ("rate", "p50", "p99", "p999", "max")}

    def tail(self, server):
        settings = self.settings
        keys, seconds = settings.tail_keys, settings.seconds
        load(server, "set", keys)
        load(server, "set", HOT_KEYS, first=HOT_FIRST)
        machine.wait_until_quiet(server.pid, 60)
        self.hot(server, 2)
        client, found = Client(server.port), {}

        def part(name, prepare):
            before = client.info()
            stop = prepare()
            time.sleep(1)
            figures = self.hot(server, seconds)
            if stop:
                stop()
            self.end_children()
            after = client.info()
            work = {field: after[field] - before.get(field, 0) for field in after
                    if field in ("merges", "flushes") or field.startswith("gc_")}
            found[name] = {**figures, "work": work}
            self.say(f"hot GETs {name:24} {figures['rate']:>8,.0f}/s  p50 {figures['p50']:.3f}"
                     f"  p99 {figures['p99']:.3f}  p99.9 {figures['p999']:.3f}  worst {figures['max']:.1f} ms"
                     + "".join(f"  {field} {count}" for field, count in work.items() if count))

        def spinners():
            for _ in range(2):
                self.begin(sys.executable, "-c", "while True: pass")

        def cold_readers():
            over = threading.Event()

            def drop():
                while not over.wait(0.1):
                    machine.drop_caches(server.folder)

            machine.drop_caches(server.folder, syncing=True)
            thread = threading.Thread(target=drop)
            thread.start()
            self.begin_load(server, "get", keys, seconds + 60)

            def stop():
                over.set()
                thread.join()

            return stop

        part("alone", lambda: None)
        part("beside computing", spinners)
        part("beside cold reads", cold_readers)
        part("beside writes and GC", lambda: self.begin_load(server, "set", keys, seconds + 60, 2) and None)
        for name in ("beside cold reads", "beside writes and GC"):
            self.targets.at_most(f"hot GETs {name}: p99.9, times the one alone",
                                 found[name]["p999"] / found["alone"]["p999"], 2)
        return found

    # Starts after kills.

    def first_answer(self, server):
        """Seconds to the first PONG and to the first value, and seconds of CPU until then."""
        begun = time.monotonic()
        pong = server.start(limit=300)
        key = b"key:%012d" % (self.settings.restart_keys // 3)
        while not (server.ask(b"GET", key, timeout=60) or b"").startswith(b"$1024\r\n"):
            if time.monotonic() - begun > 300:
                raise RuntimeError("no answer to GET after a kill")
        return pong, time.monotonic() - begun, machine.cpu_seconds(server.pid)

    def restart(self, server):
        keys = self.settings.restart_keys
        load(server, "set", keys)
        self.begin_load(server, "set", keys, 600)
        time.sleep(5)
        server.stop(signal.SIGKILL)
        self.end_children()
        gib = machine.folder_bytes(server.folder) / 2**30
        pong, get, cpu = self.first_answer(server)
        self.say(f"{gib:.1f} GiB, killed at full load: first PONG after {pong:.2f} s, first value after {get:.2f} s, "
                 f"{cpu:.2f} s of CPU")
        server.stop(signal.SIGKILL)
        chance = random.Random(self.settings.seed)
        for _ in range(10):
            server.launch()
            time.sleep(chance.uniform(0, max(0.05, pong)))
            server.stop(signal.SIGKILL)
        pong_after, get_after, cpu_after = self.first_answer(server)
        load(server, "get", keys, count=min(keys, 500_000), seed=9)
        self.say(f"after ten kills while it started: {pong_after:.2f} and {get_after:.2f} s, "
                 f"{cpu_after:.2f} s of CPU, values checked (seed {self.settings.seed})")
        server.stop(signal.SIGKILL)
        machine.drop_caches(server.folder, syncing=True)
        pong_cold, get_cold, cpu_cold = self.first_answer(server)
        self.say(f"with nothing of it in the page cache: {pong_cold:.2f} and {get_cold:.2f} s, {cpu_cold:.2f} s of CPU")
        self.targets.at_most(f"{gib:.1f} GiB killed with -9 at full load: first answer", get, 1, " s")
        self.targets.at_most("the same after ten kills during the start, values checked", get_after, 1, " s")
        return {"gib": gib, "pong": pong, "get": get, "cpu": cpu, "pong_after_ten": pong_after,
                "get_after_ten": get_after, "pong_cold": pong_cold, "get_cold": get_cold}

    # SCAN over everything.

    def scan(self, server):
        keys = self.settings.scan_keys
        load(server, "set", keys, size=16)
        machine.wait_until_quiet(server.pid, 120)
        client, rounds = Client(server.port), []
        for _ in range(3):
            cursor, calls, total = b"0", [], 0
            while True:
                cursor, count, seconds = client.scan(cursor)
                calls.append(seconds * 1000)
                total += count
                if cursor == b"0":
                    break
            if total != keys:
                raise RuntimeError(f"SCAN returned {total} keys, not {keys}")
            rounds.append(calls)
            self.say(f"SCAN COUNT 1000 over {keys:,} keys: {len(calls)} calls in {sum(calls) / 1000:.2f} s, worst "
                     f"{max(calls):.2f} ms, {sum(one > 10 for one in calls)} over 10 ms")
        calls = [min(pair) for pair in zip(*rounds[1:])]
        quarter = max(1, len(calls) // 4)
        linear = sum(calls[-quarter:]) / sum(calls[:quarter])
        label = f"SCAN COUNT 1000 over {keys:,} keys, warm"
        self.targets.at_most(f"{label}: slowest call", max(calls), 10, " ms")
        self.targets.at_most(f"{label}: last quarter of the calls over the first", linear, 1.5)
        return {"calls": len(calls), "mean_ms": sum(calls) / len(calls), "worst_ms": max(calls), "linear": linear,
                "seconds": [sum(one) / 1000 for one in rounds]}

    def run(self, name):
        if name in BESIDE:
            print(name, flush=True)
            self.results[name] = getattr(beside.Beside(self.settings, self.targets, self.say), name)()
            return
        arguments = list(self.settings.valk_arguments)
        if name == "tail":
            # The data are four times the memory.
            arguments = ["--memory", f"{max(16, self.settings.tail_keys // 4096)}mb", *arguments]
        server = Server("valk", argparse.Namespace(**{**vars(self.settings), "valk_arguments": arguments}))
        print(name, flush=True)
        try:
            server.start()
            self.results[name] = getattr(self, name)(server)
        finally:
            self.end_children()
            server.remove()


def main(argv):
    settings = parse(argv)
    packages = ["libevent-dev", "gcc", "libc6-dev"]
    if set(settings.only) & set(BESIDE):
        packages += ["redis-server", "openssl", "libssl-dev"]
    subprocess.run([str(machine.ROOT / "scripts/install-packages"), *packages], check=True)
    if not Path(settings.valk).exists():
        subprocess.run([str(machine.ROOT / "scripts/build-release"), "valk-server"], check=True)
    machine.compile_part("load")
    if settings.folder:
        Path(settings.folder).mkdir(parents=True, exist_ok=True)
    settings.folder = tempfile.mkdtemp(prefix="valk-bench-", dir=settings.folder)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    targets = Targets()
    wire = Wire(settings, targets)
    status = 0
    try:
        bytes_of = {"tail": settings.tail_keys * 1040, "restart": settings.restart_keys * 1040,
                    "scan": settings.scan_keys * 32}
        most = max(bytes_of.get(name, 1 << 30) for name in settings.only)
        machine.check_room(settings.folder, 1.8 * most + (2 << 30))
        facts = machine.facts(settings.folder)
        print(f"{facts['date']}: {facts['cores']} cores ({facts['cpu']}), {facts['memory_gib']} GiB, Linux "
              f"{facts['kernel']}, {facts['file_system']}, load average {facts['load_average']:.2f}", flush=True)
        for name in settings.only:
            try:
                wire.run(name)
            except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                status = 1
                print(f"  FAILED: {error}", flush=True)
                log = Path(settings.folder) / "valk.log"
                if log.exists():
                    print("  " + "\n  ".join(log.read_text(errors="replace").splitlines()[-5:]), file=sys.stderr)
        targets.show()
        if settings.json:
            Path(settings.json).write_text(json.dumps(
                {"facts": facts, "results": wire.results, "targets": targets.as_json()}, indent=1) + "\n")
    except RuntimeError as error:
        print(f"scripts/bench wire: {error}", file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        status = 130
    finally:
        shutil.rmtree(settings.folder, ignore_errors=True)
    return status

"""The cases: what is sent to the servers, in which order, and what is kept of it."""

import json
import re
import signal
import statistics
import subprocess
import time

import machine
from servers import Sample, Server

KEY_BYTES = 16

# Lua, as limiters have it.
LIMITER = "local n = redis.call('INCR', KEYS[1]) if n == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end return n"
SCRIPT_GET = ("eval", "return redis.call('GET', KEYS[1])", "1", "key:__rand_int__")
# name: (test of redis-benchmark or the words of a command, value bytes, pipeline, requests, values a request)
THROUGHPUT = {
    "set-64-p16": ("set", 64, 16, 1_000_000, 1),
    "get-64-p16": ("get", 64, 16, 1_000_000, 1),
    "set-64-p1": ("set", 64, 1, 200_000, 1),
    "get-64-p1": ("get", 64, 1, 200_000, 1),
    "mset10-64-p1": ("mset", 64, 1, 60_000, 10),
    "script-get-64-p16": (SCRIPT_GET, 64, 16, 500_000, 1),
    "script-limit-p16": (("eval", LIMITER, "1", "limit:__rand_int__", "60"), 64, 16, 500_000, 1),
    "set-1k-p16": ("set", 1024, 16, 1_000_000, 1),
}
# name: (connections, requests)
ALWAYS = {"always-c50": (50, 100_000), "always-c1": (1, 4_000)}


def redis_benchmark(port, command, size, pipeline, requests, connections=50):
    """Runs redis-benchmark; returns throughput and latencies in milliseconds."""
    arguments = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(port), "-d", str(size), "-r", "1000000"]
    arguments += ["-n", str(requests), "-c", str(connections), "-P", str(pipeline)]
    arguments += ["-t", command] if isinstance(command, str) else list(command)
    run = subprocess.run(arguments, capture_output=True, text=True, timeout=600)
    text = run.stdout.replace("\r", "\n")
    rate = re.search(r"throughput summary: ([\d.]+)", text)
    summary = re.search(r"avg\s+min\s+p50\s+p95\s+p99\s+max\s+([\d. ]+)", text)
    if run.returncode or not rate or not summary:
        raise RuntimeError(f"redis-benchmark failed: {run.stderr.strip()[-300:]} {text[-300:]}")
    _, _, p50, _, p99, worst = (float(x) for x in summary[1].split()[:6])
    steps = re.findall(r"^([\d.]+)% <= ([\d.]+) milli", text.split("Cumulative")[0], re.M)
    p999 = next((float(latency) for part, latency in steps if float(part) >= 99.9), worst)
    return {"rate": float(rate[1]), "p50": p50, "p99": p99, "p999": p999, "max": worst}


def load(server, mode, keys, count=None, size=1024, seed=1, generation=1, connections=50, pipeline=16, first=0,
         seconds=0):
    """Runs the project's own load generator; fails on error replies, and on wrong or missing values."""
    arguments = [str(machine.compile_part("load")), "--port", str(server.port), "--mode", mode, "--keys", str(keys)]
    arguments += ["--count", str(count or keys), "--size", str(size), "--seed", str(seed)]
    arguments += ["--generation", str(generation), "--connections", str(connections), "--pipeline", str(pipeline)]
    arguments += ["--first", str(first), "--seconds", str(seconds)]
    run = subprocess.run(arguments, capture_output=True, text=True, timeout=1200)
    if run.returncode:
        raise RuntimeError(f"the load generator failed: {run.stderr.strip()}")
    result = json.loads(run.stdout)
    if result["errors"]:
        raise RuntimeError(f"{server.kind} answered {result['errors']} errors: {result['first_error']}")
    if server.kind != "floor" and (result["wrong"] or result["missing"]):
        raise RuntimeError(f"{server.kind} lost data: {result['wrong']} wrong, {result['missing']} missing")
    return result


def medians(rounds):
    """Medians of every figure over the rounds, with the lowest and the highest rate and CPU."""
    result = {}
    for key in rounds[0]:
        values = [one[key] for one in rounds if one.get(key) is not None]
        result[key] = statistics.median(values) if values else None
    for key in ("rate", "cpu_us"):
        result[f"{key}_low"] = min(one[key] for one in rounds)
        result[f"{key}_high"] = max(one[key] for one in rounds)
    result["rounds"] = len(rounds)
    return result


class Bench:
    def __init__(self, settings):
        self.settings = settings
        self.results = {}
        self.servers = []

    def say(self, text):
        print(text, flush=True)

    def wanted(self, name):
        return not self.settings.only or any(part in name for part in self.settings.only)

    def open(self, kind, **more):
        server = Server(kind, self.settings, **more)
        self.servers.append(server)
        return server

    def close(self):
        for server in self.servers:
            server.remove()
        self.servers = []

    def count(self, requests):
        return max(1000, requests // 4) if self.settings.quick else requests

    def run(self):
        """Runs every wanted case; one that fails does not take the others with it. Returns what failed."""
        steps = []
        large = [name for name in THROUGHPUT if name == "set-1k-p16" and self.wanted(name)]
        small = [name for name in THROUGHPUT if name not in large and name != "set-1k-p16" and self.wanted(name)]
        always = [name for name in ALWAYS if self.wanted(name)]
        steps += [(names, lambda names=names: self.throughput(names)) for names in (small, large) if names]
        steps += [(always, lambda: self.always(always))] if always else []
        for name, case in (("start", self.start), ("start-1g", self.start_filled), ("fill", self.fill)):
            if self.wanted(name):
                steps.append(([name], case))
        failed = []
        for names, step in steps:
            self.say(", ".join(names))
            try:
                step()
            except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                failed.append(f"{', '.join(names)}: {error}")
                self.say(f"  FAILED: {error}")
            finally:
                self.close()
        return failed

    # Throughput and policy always: all servers up at once, one loaded at a time, turn by turn.

    def turns(self, names, policy, once):
        """Runs `once(server, name)` for every case and server in alternating order; keeps the medians."""
        kept = {}
        kinds = list(self.settings.kinds)
        if policy == "always":
            kinds = [kind for kind in kinds if kind != "floor"]
        for turn in range(self.settings.rounds):
            turned = kinds[turn % len(kinds) :] + kinds[: turn % len(kinds)]
            servers = [self.open(kind, policy=policy) for kind in turned]
            for server in servers:
                server.start()
            for name in names:
                for server in servers:
                    figures = once(server, name)
                    kept.setdefault((name, server.kind), []).append(figures)
                    self.say(
                        f"  round {turn + 1} {name:13} {server.kind:6} {figures['rate']:>10,.0f}/s "
                        f"{figures['cpu_us']:7.2f} µs CPU  p99 {figures['p99']:.2f} ms"
                        f"  foreign {figures['foreign_cores']:.2f} cores"
                    )
            self.close()
        for (name, kind), rounds in kept.items():
            self.results.setdefault(name, {})[kind] = medians(rounds)

    def throughput(self, names):
        filled = set()

        def once(server, name):
            command, size, pipeline, requests, values = THROUGHPUT[name]
            reads = command in ("get", SCRIPT_GET)
            if reads and server.folder not in filled and server.kind != "floor":
                # Every key that is asked for is there.
                load(server, "set", 1_000_000, size=size)
                machine.wait_until_quiet(server.pid, 30)
                filled.add(server.folder)
            requests = self.count(requests)
            sample = Sample(server)
            figures = redis_benchmark(server.port, command, size, pipeline, requests)
            accepted = 0 if reads else requests * values * (KEY_BYTES + size)
            return {**figures, **sample.finish(requests, accepted, 30)}

        self.turns(names, "everysec", once)

    def always(self, names):
        def once(server, name):
            connections, requests = ALWAYS[name]
            requests = self.count(requests)
            sample = Sample(server)
            figures = redis_benchmark(server.port, "set", 64, 1, requests, connections)
            return {**figures, **sample.finish(requests, requests * (KEY_BYTES + 64), 10)}

        self.turns(names, "always", once)

    # One server at a time: starts, and the fill that is larger than a small memory.

    def real_kinds(self):
        return [kind for kind in self.settings.kinds if kind != "floor"]

    def start(self):
        """Start to first PONG on an empty directory; idle memory a second later."""
        for kind in self.real_kinds():
            seconds, resident = [], []
            for _ in range(3 if self.settings.quick else 7):
                server = self.open(kind)
                seconds.append(server.start())
                time.sleep(1)
                resident.append(machine.memory(server.pid)[0])
                server.remove()
            self.results.setdefault("start", {})[kind] = {
                "seconds": statistics.median(seconds),
                "worst_seconds": max(seconds),
                "idle_mib": statistics.median(resident),
            }
            milliseconds = statistics.median(seconds) * 1000
            self.say(f"  start {kind}: {milliseconds:.0f} ms, idle {statistics.median(resident):.1f} MiB")

    def start_filled(self):
        """Start to first PONG with 1 GiB stored, killed right after the load: the log's tail is as full as it gets."""
        keys = 1_000_000
        for kind in self.real_kinds():
            server = self.open(kind)
            server.start()
            load(server, "set", keys)
            server.stop(signal.SIGKILL)
            seconds = []
            for _ in range(3):
                seconds.append(server.start())
                server.stop(signal.SIGKILL)
            server.start()
            load(server, "get", keys, count=min(keys, 100_000))
            self.results.setdefault("start-1g", {})[kind] = {
                "seconds": statistics.median(seconds), "worst_seconds": max(seconds), "keys": keys
            }
            self.say(f"  start with {keys:,} keys of 1 KiB, {kind}: " + ", ".join(f"{x:.2f}" for x in seconds) + " s")
            server.remove()

    def fill(self):
        """All keys in random order, then all overwritten in another, then kill -9 in the middle of more writes."""
        keys = self.settings.fill_keys or (500_000 if self.settings.quick else 5_000_000)
        limit = 30 if self.settings.quick else 120
        for kind in self.real_kinds():
            server = self.open(kind)
            server.start()
            result = {"keys": keys, "setting_mib": self.memory_setting(server)}
            for phase, generation, seed in (("fill", 1, 1), ("overwrite", 2, 2)):
                sample = Sample(server)
                figures = load(server, "set", keys, seed=seed, generation=generation)
                figures |= sample.finish(keys, keys * (KEY_BYTES + 1024), limit)
                figures["disk_bytes_per_byte"] = machine.folder_bytes(server.folder) / (keys * (KEY_BYTES + 1024))
                result[phase] = figures
                self.say(
                    f"  {phase} {kind}: {figures['rate']:,.0f}/s, {figures['cpu_us']:.1f} µs CPU "
                    f"({figures['cpu_us_with_background']:.1f} until quiet), worst second {figures['worst_second']:,}, "
                    f"written {figures['written_per_byte']:.2f}x, on disk {figures['disk_bytes_per_byte']:.2f}x, "
                    f"peak {figures['peak_mib']:,.0f} MiB, foreign {figures['foreign_cores']:.2f} cores"
                )
            sample = Sample(server)
            figures = load(server, "get", keys, count=min(keys, 500_000), seed=5, generation=2)
            result["read"] = {**figures, **sample.finish(figures["requests"], 0, 10)}
            load(server, "set", keys, count=min(keys, 200_000), seed=3, generation=2)
            server.stop(signal.SIGKILL)
            begun = time.monotonic()
            pong = server.start(limit=300)
            while not (server.ask(b"GET", b"key:%012d" % (keys // 3), timeout=60) or b"").startswith(b"$1024\r\n"):
                if time.monotonic() - begun > 300:
                    raise RuntimeError(f"{kind} does not answer GET after a kill")
            result["restart"] = {"pong_seconds": pong, "get_seconds": time.monotonic() - begun}
            load(server, "get", keys, count=min(keys, 200_000), seed=4, generation=2)
            self.say(
                f"  read {kind}: {result['read']['rate']:,.0f}/s, {result['read']['cpu_us']:.1f} µs CPU; "
                f"after kill -9: PONG {pong:.2f} s, GET {result['restart']['get_seconds']:.2f} s, values checked"
            )
            self.results.setdefault("fill", {})[kind] = result
            server.remove()

    def memory_setting(self, server):
        """MiB that the server may use for tables and caches, as it says itself; None where it has no such setting."""
        reply = server.ask(b"CONFIG", b"GET", b"memory") or b""
        match = re.search(rb"memory\r\n\$\d+\r\n(\d+)", reply)
        return int(match[1]) / 2**20 if match else None

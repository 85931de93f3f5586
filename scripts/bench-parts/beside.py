"""`scripts/bench wire`, the cases that stand beside Redis or beside Valk itself with fewer clients.

Both servers are up at once (Redis with its append-only file, everysec), one is loaded at a time, and they take turns,
so that what the machine does besides meets them alike. CPU is that of the server process with all of its threads.
"""

import json
import os
import socket
import statistics
import subprocess
from pathlib import Path

import machine
from servers import Sample, Server

VALUE = "v" * 64


def words(*parts):
    return "".join([f"*{len(parts)}\r\n", *(f"${len(part)}\r\n{part}\r\n" for part in parts)])


KEY = "key:__rand_int__"
# name: (requests of one block, its replies' bytes, blocks that are sent at once, subscribers)
BLOCKS = {
    "EVAL of GET, pipeline 1": (words("EVAL", "return redis.call('GET', KEYS[1])", "1", KEY), 71, 1, 0),
    "EVAL of GET, pipeline 16": (words("EVAL", "return redis.call('GET', KEYS[1])", "1", KEY), 71, 16, 0),
    "MULTI, 5 SETs, EXEC, pipeline 1": (
        words("MULTI") + words("SET", KEY, VALUE) * 5 + words("EXEC"), 5 + 9 * 5 + 4 + 5 * 5, 1, 0),
    "MULTI, 5 SETs, EXEC, pipeline 16": (
        words("MULTI") + words("SET", KEY, VALUE) * 5 + words("EXEC"), 5 + 9 * 5 + 4 + 5 * 5, 16, 0),
    "MULTI, 5 GETs, EXEC, pipeline 1": (
        words("MULTI") + words("GET", KEY) * 5 + words("EXEC"), 5 + 9 * 5 + 4 + 71 * 5, 1, 0),
    "PUBLISH to 100 subscribers, pipeline 1": (words("PUBLISH", "news", VALUE), 6, 1, 100),
    "PUBLISH to 100 subscribers, pipeline 16": (words("PUBLISH", "news", VALUE), 6, 16, 100),
}
# "*3 $7 message $4 news $64 …", with its line ends.
MESSAGE_BYTES = 4 + 4 + 9 + 4 + 6 + 5 + 66
TLS_KEYS = 10_000
# name: (command, value bytes, pipeline, requests where the others make 200,000)
TLS = {
    "TLS GET, 64 bytes, pipeline 1": ("GET", 64, 1, 200_000),
    "TLS SET, 64 bytes, pipeline 1": ("SET", 64, 1, 200_000),
    "TLS GET, 64 bytes, pipeline 16": ("GET", 64, 16, 1_600_000),
    "TLS SET, 64 bytes, pipeline 16": ("SET", 64, 16, 800_000),
    "TLS GET, 16 KiB, pipeline 1": ("GET", 16384, 1, 50_000),
    "TLS SET, 16 KiB, pipeline 1": ("SET", 16384, 1, 50_000),
    "TLS GET, 16 KiB, pipeline 16": ("GET", 16384, 16, 100_000),
    "TLS SET, 16 KiB, pipeline 16": ("SET", 16384, 16, 50_000),
}


def turns(server, folder, block, reply, pipeline, count, connections=50, busy=50, subscribers=0, tls_port=0,
          keys=1_000_000):
    """Runs bench-turns; its figures."""
    path = Path(folder) / "block"
    path.write_text(block)
    run = subprocess.run(
        [str(machine.compile_part("turns", "-lssl", "-lcrypto")), "--port", str(tls_port or server.port), "--block",
         str(path), "--reply", str(reply), "--pipeline", str(pipeline), "--count", str(count // pipeline * pipeline),
         "--connections", str(connections), "--busy", str(busy), "--subscribers", str(subscribers), "--message",
         str(MESSAGE_BYTES), "--tls", str(int(tls_port > 0)), "--keys", str(keys)],
        capture_output=True, text=True, timeout=600)
    if run.returncode:
        raise RuntimeError(f"bench-turns with {server.kind}: {run.stderr.strip()}")
    return json.loads(run.stdout)


class Beside:
    """What `Wire` calls for these cases."""

    def __init__(self, settings, targets, say):
        self.settings = settings
        self.targets = targets
        self.say = say

    def pair(self, *arguments):
        """Valk and Redis, started."""
        servers = [Server(kind, self.settings, extra=arguments) for kind in ("valk", "redis")]
        for server in servers:
            server.start()
        return servers

    def compare(self, servers, names, once, cpu_target=None, rate_target=None):
        """Runs `once(server, name)` in turns; prints and returns medians."""
        kept, rounds = {}, self.settings.rounds
        for turn in range(rounds):
            for name in names:
                for server in servers if turn % 2 == 0 else servers[::-1]:
                    kept.setdefault(name, {}).setdefault(server.kind, []).append(once(server, name))
        results = {}
        for name in names:
            medians = {kind: {field: statistics.median(one[field] for one in found) for field in found[0]}
                       for kind, found in kept[name].items()}
            results[name] = medians
            valk, redis = medians["valk"], medians["redis"]
            self.say(f"{name:40} " + "   ".join(
                f"{kind} {one['rate']:>9,.0f}/s {one['cpu_us']:7.2f} µs p99 {one['p99']:.2f} ms"
                for kind, one in medians.items()))
            if cpu_target:
                self.targets.at_most(f"{name}: CPU, times Redis's", valk["cpu_us"] / redis["cpu_us"], cpu_target)
            if rate_target:
                self.targets.at_least(f"{name}: rate, times Redis's", valk["rate"] / redis["rate"], rate_target)
        return results

    # Commands that do more than one thing.

    def services(self):
        servers = self.pair()
        try:
            for server in servers:
                self.fill(server)

            def once(server, name):
                block, reply, pipeline, subscribers = BLOCKS[name]
                count = self.settings.services_count * (2 if pipeline > 1 else 1) // (4 if subscribers else 1)
                sample = Sample(server)
                figures = turns(server, self.settings.folder, block, reply, pipeline, count, subscribers=subscribers)
                return {**figures, **used(sample, count)}

            return self.compare(servers, list(BLOCKS), once, cpu_target=1)
        finally:
            for server in servers:
                server.remove()

    def fill(self, server, keys=1_000_000, value=VALUE):
        """Every key that is asked for."""
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
            for first in range(0, keys, 1000):
                connection.sendall("".join(
                    words("SET", f"key:{key:012}", value) for key in range(first, first + 1000)).encode())
                left = 5 * 1000
                while left:
                    left -= len(connection.recv(left))
        machine.wait_until_quiet(server.pid, 30)

    def warm(self, server, keys, size):
        """Every value once: what is measured is a server that has them in memory, as Redis always does."""
        reply = len(f"${size}\r\n") + size + 2
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
            for first in range(0, keys, 10):
                connection.sendall("".join(
                    words("GET", f"key:{key:012}") for key in range(first, first + 10)).encode())
                left = reply * 10
                while left:
                    left -= len(connection.recv(left))

    # TLS.

    def tls(self):
        folder = self.settings.folder
        certificate, key = os.path.join(folder, "tls.crt"), os.path.join(folder, "tls.key")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                        "/CN=127.0.0.1", "-keyout", key, "-out", certificate], check=True, capture_output=True)
        servers = [Server(kind, self.settings, extra=[
            "--tls-port", str(self.settings.port_of(kind) + 5), "--tls-cert-file", certificate, "--tls-key-file", key,
            "--tls-ca-cert-file", certificate, "--tls-auth-clients", "no"]) for kind in ("valk", "redis")]
        try:
            for server in servers:
                server.start()

            def once(server, name):
                command, size, pipeline, requests = TLS[name]
                count = requests * self.settings.services_count // 200_000
                block = words("GET", KEY) if command == "GET" else words("SET", KEY, "v" * size)
                reply = len(f"${size}\r\n") + size + 2 if command == "GET" else len("+OK\r\n")
                sample = Sample(server)
                figures = turns(server, folder, block, reply, pipeline, count, tls_port=server.port + 5, keys=TLS_KEYS)
                return {**figures, **used(sample, count)}

            results = {}
            for size in (64, 16384):
                for server in servers:
                    self.fill(server, TLS_KEYS, "v" * size)
                    self.warm(server, TLS_KEYS, size)
                names = [name for name in TLS if TLS[name][1] == size]
                results |= self.compare(servers, names, once, cpu_target=1, rate_target=1)
            return results
        finally:
            for server in servers:
                server.remove()

    # Many clients.

    def crowd(self):
        """GETs on 100 connections at a time, with and without 9,900 idle ones among which the next is chosen."""
        server = Server("valk", self.settings, extra=["--maxclients", "11000"])
        try:
            server.start()
            self.fill(server, 100_000)
            block = words("GET", "key:000000012345")
            found = {}
            for turn in range(self.settings.rounds):
                for connections in (100, 10_000) if turn % 2 == 0 else (10_000, 100):
                    sample = Sample(server)
                    figures = turns(server, self.settings.folder, block, 71, 1, self.settings.services_count,
                                    connections=connections, busy=100)
                    figures |= used(sample, self.settings.services_count)
                    found.setdefault(connections, []).append(figures)
            medians = {connections: {field: statistics.median(one[field] for one in rounds) for field in rounds[0]}
                       for connections, rounds in found.items()}
            for connections, one in medians.items():
                self.say(f"{connections:>6,} connections, 100 busy: {one['rate']:>9,.0f}/s {one['cpu_us']:6.2f} µs  "
                         f"p50 {one['p50']:.2f}  p99 {one['p99']:.2f}  p99.9 {one['p999']:.2f} ms {one['mib']:.0f} MiB")
            self.targets.at_most("10,000 connections, 1 % busy: p99, times that of 100",
                                 medians[10_000]["p99"] / medians[100]["p99"], 2)
            return medians
        finally:
            server.remove()


def used(sample, requests):
    """CPU of the server since the sample began, for each request, and its memory now."""
    cpu = machine.cpu_seconds(sample.server.pid) - sample.cpu
    return {"cpu_us": cpu / requests * 1e6, "mib": machine.memory(sample.server.pid)[0]}

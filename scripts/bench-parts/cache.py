"""Hit ratios of Valk and redis-server as caches: the same keys, asked for by the same requests, with room for as many.

  scripts/bench cache                  every policy, keys scattered and in the order of their use (about 7 minutes)
  scripts/bench cache --quick          allkeys-lru and allkeys-lfu only
  scripts/bench cache --policies volatile-ttl --requests 3000000

A client asks for keys by Zipf's law and stores what it missed. Both servers get the limit at which they hold the same
number of keys: for each it is measured with that many. The first two thirds of the requests warm up, the last third
counts. Keys with an expiry time get one by chance each time that they are stored; for volatile-ttl also one that
follows from the key. Prints hit ratios, keys held at the
end, and the difference; it is to be at most two points.
"""

import argparse
import bisect
import itertools
import random
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

from servers import Server

ROOT = Path(__file__).resolve().parent.parent.parent
POLICIES = ["allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu", "volatile-random",
            "volatile-ttl"]
POINTS_MAX = 2.0
BATCH = 64


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.file = self.socket.makefile("rb", buffering=1 << 18)

    def send(self, requests):
        self.socket.sendall(b"".join(
            b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
            for words in requests))
        return [self.reply() for _ in requests]

    def reply(self):
        line = self.file.readline()
        if line[:1] == b"$":
            length = int(line[1:])
            return None if length < 0 else self.file.read(length + 2)[:-2]
        if line[:1] == b"*":
            return [self.reply() for _ in range(int(line[1:]))]
        if line[:1] == b"-":
            raise RuntimeError(line.decode().strip())
        return line[1:-2]

    def ask(self, *words):
        return self.send([[word if isinstance(word, bytes) else str(word).encode() for word in words]])[0]

    def info(self, name):
        for line in self.ask("INFO").decode().splitlines():
            if line.startswith(name + ":"):
                return line.split(":", 1)[1]
        raise KeyError(name)


def value(key, size):
    return random.Random(key).randbytes(size)


lifetimes = random.Random(1)


def store(key, name, settings, expires):
    """`expires`: by chance, or by the key."""
    words = [b"SET", name, value(key, settings.value_bytes)]
    generator = random.Random(key ^ 0x5bd1e995) if expires == "key" else lifetimes
    return [*words, b"EX", b"%d" % (1000 + generator.randrange(100_000))] if expires else words


def capacity(kind, settings, names):
    """The limit with which a server holds `settings.capacity` keys."""
    server = Server(kind, settings, label="size-")
    server.start()
    client = Client(server.port)
    empty = int(client.info("used_memory")) if kind == "redis" else 0
    for first in range(0, settings.capacity, BATCH):
        last = min(first + BATCH, settings.capacity)
        client.send([store(key, names[key], settings, settings.expires) for key in range(first, last)])
    if kind == "valk":
        client.ask("SAVE")
    used = int(client.info("used_memory" if kind == "redis" else "used_memory_dataset"))
    server.remove()
    return used, empty


def run(kind, policy, limit, names, ranks, settings, expires):
    server = Server(kind, settings, label=policy)
    server.start()
    client = Client(server.port)
    if kind == "redis":
        limit = limit[0] - limit[1] + int(client.info("used_memory"))
    else:
        limit = limit[0]
    client.ask("CONFIG", "SET", "maxmemory", limit, "maxmemory-policy", policy)
    hits = asked = stored = 0
    measured_from = len(ranks) * 2 // 3
    begun = time.monotonic()
    for first in range(0, len(ranks), BATCH):
        keys = ranks[first : first + BATCH]
        found = client.send([[b"GET", names[key]] for key in keys])
        missed = {key for key, reply in zip(keys, found) if reply is None}
        if first >= measured_from:
            asked += len(keys)
            hits += len(keys) - sum(1 for reply in found if reply is None)
        if missed:
            stored += len(missed)
            client.send([store(key, names[key], settings, expires) for key in missed])
    result = SimpleNamespace(
        ratio=100 * hits / asked, keys=int(client.ask("DBSIZE")), evicted=int(client.info("evicted_keys")),
        seconds=time.monotonic() - begun, limit=limit)
    server.remove()
    return result


def zipf(settings):
    generator = random.Random(settings.seed)
    sums = list(itertools.accumulate(1 / rank ** settings.skew for rank in range(1, settings.keys + 1)))
    return [bisect.bisect_left(sums, generator.random() * sums[-1]) for _ in range(settings.requests)]


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two policies, keys scattered")
    parser.add_argument("--policies", nargs="+", choices=POLICIES, help="only these")
    parser.add_argument("--keys", type=int, default=500_000, help="different keys (%(default)s)")
    parser.add_argument("--capacity", type=int, default=50_000, help="keys that have room (%(default)s)")
    parser.add_argument("--requests", type=int, default=1_000_000, help="requests a run (%(default)s)")
    parser.add_argument("--value-bytes", type=int, default=200, help="length of a value (%(default)s)")
    parser.add_argument("--skew", type=float, default=0.99, help="exponent of Zipf's law (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the requests (%(default)s)")
    parser.add_argument("--valk", default=str(ROOT / ".build/release/valk-server"), help="Valk's binary")
    parser.add_argument("--redis", default="redis-server", help="Redis's binary")
    parser.add_argument("--port", type=int, default=17610, help="first of two ports on 127.0.0.1 (%(default)s)")
    settings = parser.parse_args(argv)
    policies = settings.policies or (POLICIES[:2] if settings.quick else POLICIES)
    settings.valk_arguments = ["--memory", "64mb"]
    settings.port_of = lambda kind: settings.port + (kind == "redis")
    settings.folder = tempfile.mkdtemp(prefix="valk-cache-")
    failures = 0
    try:
        ranks = zipf(settings)
        scattered = list(range(settings.keys))
        random.Random(settings.seed).shuffle(scattered)
        orders = {"scattered": [b"key:%08d" % n for n in scattered]}
        if not settings.quick:
            orders["in order"] = [b"key:%08d" % n for n in range(settings.keys)]
        print(f"{settings.keys:,} keys, room for {settings.capacity:,}, {settings.requests:,} requests, Zipf "
              f"{settings.skew}, seed {settings.seed}")
        for order, names in orders.items():
            for expires in (None, "chance", "key"):
                chosen = [policy for policy in policies if policy.startswith("volatile") == bool(expires)
                          and (expires != "key" or policy == "volatile-ttl")]
                if not chosen:
                    continue
                settings.expires = expires
                limits = {kind: capacity(kind, settings, names) for kind in ("redis", "valk")}
                for policy in chosen:
                    redis = run("redis", policy, limits["redis"], names, ranks, settings, expires)
                    valk = run("valk", policy, limits["valk"], names, ranks, settings, expires)
                    less = redis.ratio - valk.ratio
                    verdict = "met" if less <= POINTS_MAX else "not met"
                    failures += verdict == "not met"
                    label = policy + (" by key" if expires == "key" else "")
                    print(f"{label:19} {order:10} redis {redis.ratio:5.2f} % ({redis.keys:,} keys)   "
                          f"valk {valk.ratio:5.2f} % ({valk.keys:,} keys, {valk.evicted:,} evicted, "
                          f"{valk.seconds:.0f} s)   {-less:+.2f} points: {verdict}",
                          flush=True)
    finally:
        shutil.rmtree(settings.folder, ignore_errors=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""One writer of the kill test: a thread that sends pipelines of writes until its connection breaks."""
import random
import sys
import threading
from pathlib import Path

from model import EXPIRY_BASE, BatchSlot, CollectionSlot, CounterSlot, ValueSlot

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
from blackbox import Client  # noqa: E402

VALUES, COUNTERS, BATCHES, COLLECTIONS = 200, 20, 10, 5
# So many elements that collections go from their small form to the large one, and are emptied again.
ELEMENTS = 120
SHARED = b"shared:counter"
SCRIPT = b"""
for i = 2, #ARGV, 2 do redis.call('SET', ARGV[i], ARGV[i + 1]) end
return redis.call('INCR', ARGV[1])
"""


class Writer:
    """The keys of one writer, across all rounds. Between rounds nothing is pending."""

    def __init__(self, number, content, seed, database, flushes):
        self.content = content
        self.random = random.Random(f"{seed}/{number}")
        self.database = database
        self.flushes = flushes
        prefix = b"w%d:" % number
        self.values = [ValueSlot(b"%svalue:%d" % (prefix, index)) for index in range(VALUES)]
        self.counters = [CounterSlot(b"%scounter:%d" % (prefix, index)) for index in range(COUNTERS)]
        self.batches = []
        for index in range(BATCHES):
            names = [b"%sbatch:%d:%d" % (prefix, index, part) for part in range(10)]
            self.batches.append(BatchSlot(names, counted=False))
            names = [b"%stransaction:%d:%d" % (prefix, index, part) for part in range(3)]
            self.batches.append(BatchSlot(names + [b"%stransaction:%d:count" % (prefix, index)], counted=True))
        self.collections = [CollectionSlot(b"%s%s:%d" % (prefix, kind.encode(), index), kind)
                            for kind in ("hash", "set", "zset", "list") for index in range(COLLECTIONS)]
        self.slots = [*self.values, *self.counters, *self.batches, *self.collections]
        self.sent = self.acknowledged = 0
        self.shared_sent = self.shared_acknowledged = 0
        self.errors = []
        self.thread = None

    # Writing

    def begin(self, port):
        self.shared_sent = self.shared_acknowledged = 0
        self.thread = threading.Thread(target=self.write, args=(port,), daemon=True)
        self.thread.start()

    def join(self):
        self.thread.join()

    def write(self, port):
        try:
            with Client(port, timeout=30) as client:
                if self.database:
                    client.call("SELECT", self.database)
                while True:
                    self.pipeline(client)
        except TimeoutError:
            self.errors.append("no reply within 30 s")
        except (OSError, EOFError, ValueError):
            pass  # the server is gone, as planned; a reply may be cut in the middle
        except Exception as error:  # shown by the round
            self.errors.append(f"{type(error).__name__}: {error}")

    def pipeline(self, client):
        out, waiting, size = [], [], 0
        for _ in range(self.random.choice((1, 1, 4, 16, 32, 64))):
            requests, checks, slots = self.operation()
            encoded = b"".join(client.encode(*request) for request in requests)
            out.append(encoded)
            waiting.append((self.sent, checks, slots))
            size += len(encoded)
            if size > 3 << 20:
                break
        client.send(b"".join(out))
        for operation, checks, slots in waiting:
            for expected in checks:
                reply = client.read()
                if not (expected(reply) if callable(expected) else reply == expected):
                    self.errors.append(f"operation {operation}: unexpected reply {reply!r:.200} for {slots[:1]}")
            self.acknowledged = operation
            for slot in slots:
                slot.acknowledge(operation)

    def push(self, slot, state):
        slot.push(self.sent, state)
        return slot

    def operation(self):
        """(requests, expected replies, slots touched) of the next operation, already noted as sent."""
        self.sent += 1
        draw = self.random.random()
        if draw < 0.25:
            return self.set_value()
        if draw < 0.45:
            return self.change_collection()
        if draw < 0.47:
            return self.move_collection()
        if draw < 0.52:
            return self.append()
        if draw < 0.60:
            return self.delete()
        if draw < 0.66:
            return self.expire()
        if draw < 0.70:
            return self.rename()
        if draw < 0.80:
            return self.increment()
        if draw < 0.85:
            return self.batch()
        if draw < 0.90:
            return self.transaction()
        if self.flushes and draw < 0.9005:
            return [("FLUSHDB",)], [b"OK"], [self.push(slot, None) for slot in self.slots]
        return self.read()

    def size(self):
        draw = self.random.random()
        if draw < 0.002:
            return 2 << 20
        if draw < 0.12:
            return self.random.randint(4096, 100 << 10)
        return self.random.randint(257, 4096) if draw < 0.4 else self.random.randint(1, 256)

    def set_value(self):
        slot = self.random.choice(self.values)
        piece = (slot.names[0], self.sent, self.size())
        request = ["SET", slot.names[0], self.content.piece(*piece)]
        expiry = 0
        if self.random.random() < 0.1:
            expiry = EXPIRY_BASE + self.sent
            request += ["PXAT", expiry]
        return [request], [b"OK"], [self.push(slot, ((piece,), expiry))]

    def append(self):
        slot = self.random.choice(self.values)
        if slot.latest is None or len(slot.latest[0]) >= 4:
            return self.set_value()
        pieces, expiry = slot.latest
        piece = (slot.names[0], self.sent, self.random.randint(1, 2000))
        pieces += (piece,)
        length = sum(size for _, _, size in pieces)
        return [("APPEND", slot.names[0], self.content.piece(*piece))], [length], [self.push(slot, (pieces, expiry))]

    def delete(self):
        slot = self.random.choice(self.values + self.counters + self.batches + self.collections)
        there = 0 if slot.latest is None else len(slot.names)
        verb = self.random.choice(("DEL", "UNLINK"))
        return [(verb, *slot.names)], [there], [self.push(slot, None)]

    def expire(self):
        slot = self.random.choice(self.values)
        if slot.latest is None:
            return [("PEXPIREAT", slot.names[0], EXPIRY_BASE)], [0], []
        pieces, expiry = slot.latest
        if expiry and self.random.random() < 0.5:
            return [("PERSIST", slot.names[0])], [1], [self.push(slot, (pieces, 0))]
        expiry = EXPIRY_BASE + self.sent
        return [("PEXPIREAT", slot.names[0], expiry)], [1], [self.push(slot, (pieces, expiry))]

    def rename(self):
        source, target = self.random.sample(self.values, 2)
        if source.latest is None:
            return [("GET", source.names[0])], [None], []
        slots = [self.push(target, source.latest), self.push(source, None)]
        return [("RENAME", source.names[0], target.names[0])], [b"OK"], slots

    def change_collection(self):
        """Puts some elements into a collection or takes some out."""
        slot = self.random.choice(self.collections)
        name, state, draw = slot.names[0], slot.latest or (), self.random
        # In turns of some hundred operations collections grow and shrink.
        grows = draw.random() < (0.8 if self.sent // 700 % 2 else 0.3)
        number = draw.choice((1, 1, 1, 2, 5, 30))
        if slot.kind == "list":
            return self.change_list(slot, name, state, grows, number)
        members = draw.sample(range(ELEMENTS), number)
        if slot.kind == "set":
            now = set(state)
            changed = now | set(members) if grows else now - set(members)
            reply = abs(len(changed) - len(now))
            request = ("SADD" if grows else "SREM", name, *map(slot.member, members))
        else:
            now = dict(state)
            if grows:
                new = {member: self.sent if slot.kind == "hash" else draw.randrange(50) for member in members}
                changed = {**now, **new}
                reply = len(changed) - len(now)
                parts = [(slot.member(member), slot.value(self.content, version)) if slot.kind == "hash"
                         else (version, slot.member(member)) for member, version in new.items()]
                request = ("HSET" if slot.kind == "hash" else "ZADD", name, *(part for pair in parts for part in pair))
            else:
                changed = {member: version for member, version in now.items() if member not in members}
                reply = len(now) - len(changed)
                request = ("HDEL" if slot.kind == "hash" else "ZREM", name, *map(slot.member, members))
            changed = changed.items()
        return [request], [reply], [self.push(slot, tuple(sorted(changed)) or None)]

    def change_list(self, slot, name, state, grows, number):
        left = self.random.random() < 0.5
        if grows and len(state) + number <= 2 * ELEMENTS:
            new = tuple(self.sent + index for index in range(number))
            state = new[::-1] + state if left else state + new
            values = [slot.value(self.content, version) for version in new]
            request = ("LPUSH" if left else "RPUSH", name, *values)
            return [request], [len(state)], [self.push(slot, state)]
        if not state:
            return [("LLEN", name)], [0], []
        taken = state[:number] if left else state[::-1][:number]
        rest = state[number:] if left else state[:max(0, len(state) - number)]
        reply = [slot.value(self.content, version) for version in taken]
        return [("LPOP" if left else "RPOP", name, number)], [reply], [self.push(slot, rest or None)]

    def move_collection(self):
        """RENAME or COPY to another collection of the same kind; a set may be what two have in common."""
        source = self.random.choice(self.collections)
        target = self.random.choice([other for other in self.collections
                                     if other.kind == source.kind and other is not source])
        # Elements of a set, a hash or a sorted set carry the name of theirs.
        if source.kind != "list" or source.latest is None:
            return [("EXISTS", source.names[0])], [int(source.latest is not None)], []
        if self.random.random() < 0.5:
            slots = [self.push(target, source.latest), self.push(source, None)]
            return [("RENAME", source.names[0], target.names[0])], [b"OK"], slots
        return [("COPY", source.names[0], target.names[0], "REPLACE")], [1], [self.push(target, source.latest)]

    def increment(self):
        if not self.database and self.random.random() < 0.2:
            self.shared_sent += 1
            return [("INCR", SHARED)], [self.count_shared], []
        slot = self.random.choice(self.counters)
        step = self.random.choice((1, 1, 7))
        state = (slot.latest or 0) + step
        return [("INCRBY", slot.names[0], step)], [state], [self.push(slot, state)]

    def count_shared(self, reply):
        self.shared_acknowledged += 1
        return isinstance(reply, int)

    def batch(self):
        slot = self.random.choice([batch for batch in self.batches if not batch.counted])
        pairs = zip(slot.names, slot.values(self.content, self.sent))
        request = ["MSET", *(part for pair in pairs for part in pair)]
        return [request], [b"OK"], [self.push(slot, (self.sent, 0))]

    def transaction(self):
        slot = self.random.choice([batch for batch in self.batches if batch.counted])
        count = (slot.latest[1] if slot.latest else 0) + 1
        if self.random.random() < 0.5:
            values = list(zip(slot.names, slot.values(self.content, self.sent)))
            named = slot.names if self.random.random() < 0.5 else []
            parts = [part for pair in values for part in pair]
            request = ("EVAL", SCRIPT, len(named), *named, slot.names[-1], *parts)
            return [request], [count], [self.push(slot, (self.sent, count))]
        requests = [("MULTI",)]
        requests += [("SET", name, value) for name, value in zip(slot.names, slot.values(self.content, self.sent))]
        requests += [("INCR", slot.names[-1]), ("EXEC",)]
        queued = [b"QUEUED"] * (len(requests) - 2)
        return requests, [b"OK", *queued, [b"OK", b"OK", b"OK", count]], [self.push(slot, (self.sent, count))]

    def read(self):
        slot = self.random.choice(self.values)
        expected, _ = slot.expected(self.content, slot.latest)[0]
        return [("GET", slot.names[0])], [expected], []

    # Checking

    def verify(self, client):
        """Compares what is there with what was promised, settles the model; returns (problems, names that exist)."""
        client.call("SELECT", self.database)
        problems, there = [], set()
        cuts = set(range(self.acknowledged, self.sent + 1))
        for slot in self.slots:
            seen, names = slot.seen(client.pipeline(slot.requests()))
            there.update(names)
            expected = {state: slot.expected(self.content, state) for _, state in slot.history}
            matching = [state for _, state in slot.history if expected[state] == seen]
            if not matching:
                problems.append(self.describe(slot, seen))
                client.call("DEL", *slot.names)  # so that the next rounds judge what is new
                there.difference_update(slot.names)
                slot.settle(self.sent, None)
                continue
            if len(slot.history) > 1:
                cuts &= slot.cuts(lambda state: expected[state] == seen, self.acknowledged, self.sent)
            slot.settle(self.sent, matching[-1])
        if not cuts:
            problems.append("the operations that survived are not a prefix of those that were sent")
        self.acknowledged = self.sent
        return problems, there

    def describe(self, slot, seen):
        """What is wrong with a slot, with versions rather than bytes."""
        if slot in self.collections:
            return (f"{slot.names[0].decode()} ({slot.kind}): {str(seen)[:300]} is none of the states "
                    f"{str(slot.history)[:300]} (acknowledged up to {self.acknowledged})")
        parts = []
        for name, (value, expiry) in zip(slot.names, seen):
            text = "missing" if value is None else f"{len(value)} B {value[:60]!r}"
            parts.append(f"{name.decode()}: {text} expiry {expiry}")
        states = ", ".join(f"{operation}: {str(state)[:120]}" for operation, state in slot.history)
        return f"{'; '.join(parts)}  is none of the states [{states}] (acknowledged up to {self.acknowledged})"

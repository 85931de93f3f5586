"""What a writer of the kill test knows about its own keys.

Every writer owns its keys and sends numbered operations over one connection, so the server applies them in that order.
A `Slot` is a unit that must stay whole: one key, or the keys of one batch. Its history starts with the last state that
was acknowledged and goes on with the states that were sent and not yet answered. After a crash each slot must be in one
state of its history, and one single cut through the operations must explain all slots of the writer.
"""
import random

BLOB_SIZE = 4 << 20
EXPIRY_BASE = 4102444800000  # the year 2100: far enough that nothing expires while the test runs


class Content:
    """Values made from a number: the same number gives the same bytes, so nothing has to be remembered."""

    def __init__(self, seed):
        source = random.Random(seed)
        self.noise = source.randbytes(BLOB_SIZE)
        word = [source.randbytes(6).hex().encode() for _ in range(200)]
        self.text = b" ".join(source.choice(word) for _ in range(BLOB_SIZE // 12))[:BLOB_SIZE]

    def piece(self, owner, version, size):
        """Bytes that name their owner and version, as far as they fit."""
        head = b"%s#%d/%d:" % (owner, version, size)
        blob = self.noise if version % 2 else self.text
        start = (version * 7919) % (BLOB_SIZE // 2 - 1)
        return (head + blob[start:start + size])[:size] if size >= len(head) else blob[start:start + size]


class Slot:
    """One key or one batch of keys, with the states it may be in."""

    def __init__(self, names):
        self.names = names
        self.history = [(0, None)]

    @property
    def latest(self):
        return self.history[-1][1]

    def requests(self):
        """What to ask for to see the slot."""
        return [request for name in self.names for request in (("GET", name), ("PEXPIRETIME", name))]

    def seen(self, replies):
        """The replies in the form that `expected` has, and the names that exist."""
        seen = list(zip(replies[::2], replies[1::2]))
        return seen, {name for name, (value, _) in zip(self.names, seen) if value is not None}

    def push(self, operation, state):
        self.history.append((operation, state))

    def acknowledge(self, operation):
        while len(self.history) > 1 and self.history[1][0] <= operation:
            self.history.pop(0)

    def settle(self, operation, state):
        self.history = [(operation, state)]

    def cuts(self, matches, acknowledged, sent):
        """The cuts through the operations that explain what was seen."""
        allowed = set()
        for index, (operation, state) in enumerate(self.history):
            if matches(state):
                following = self.history[index + 1][0] if index + 1 < len(self.history) else sent + 1
                allowed.update(range(max(operation, acknowledged), following))
        return allowed


class ValueSlot(Slot):
    """A string; its state is (pieces, expiry in ms or 0), a piece being (owner, version, size)."""

    def __init__(self, name):
        super().__init__([name])

    def expected(self, content, state):
        if state is None:
            return [(None, -2)]
        pieces, expiry = state
        return [(b"".join(content.piece(*piece) for piece in pieces), expiry or -1)]


class CounterSlot(Slot):
    """A counter; its state is the number, or None."""

    def __init__(self, name):
        super().__init__([name])

    def expected(self, content, state):
        return [(None, -2) if state is None else (b"%d" % state, -1)]


class BatchSlot(Slot):
    """Keys that are only ever written together; the state is the batch's number. A counter may belong to them."""

    def __init__(self, names, counted):
        super().__init__(names)
        self.counted = counted

    def values(self, content, version):
        sizes = random.Random(version)
        data = self.names[:-1] if self.counted else self.names
        values = []
        for name in data:
            size = sizes.choice((40, 40, 40, 300, 300, 2000, 2000, 20000))
            values.append(content.piece(name, version, size))
        return values

    def expected(self, content, state):
        if state is None:
            return [(None, -2)] * len(self.names)
        version, count = state
        values = [(value, -1) for value in self.values(content, version)]
        return values + ([(b"%d" % count, -1)] if self.counted else [])


class CollectionSlot(Slot):
    """A hash, set, sorted set or list; its state is what is in it, or None.

    Elements are numbers that content is made from: of a hash (field, version) pairs, of a set members, of a sorted set
    (member, score) pairs, each in ascending order; of a list versions in the list's order.
    """

    WHOLE = {
        "hash": (("HGETALL",), ("HLEN",), ("HKEYS",)),
        "set": (("SMEMBERS",), ("SCARD",), ("SSCAN", 0, "COUNT", 100000)),
        "zset": (("ZRANGE", 0, -1, "WITHSCORES"), ("ZCARD",), ("ZSCAN", 0, "COUNT", 100000)),
        "list": (("LRANGE", 0, -1), ("LLEN",), ("LRANGE", 0, 10 ** 9)),
    }

    def __init__(self, name, kind):
        super().__init__([name])
        self.kind = kind

    def member(self, number):
        return b"%s/%d" % (self.names[0][-8:], number)

    def value(self, content, version):
        """Mostly short, now and then of some kilobytes."""
        return content.piece(b"", version, 3000 if version % 97 == 0 else version % 60)

    def requests(self):
        name = self.names[0]
        return [(verb, name, *words) for verb, *words in self.WHOLE[self.kind]] + [("EXISTS", name)]

    def seen(self, replies):
        """Both ways to see it, and its count: an entry of one and none of the other is a loss."""
        whole, count, other, there = replies
        if self.kind == "hash":
            first, second = sorted(zip(whole[::2], whole[1::2])), sorted(other)
        elif self.kind == "zset":
            first, second = list(zip(whole[::2], whole[1::2])), sorted(zip(other[1][::2], other[1][1::2]))
        elif self.kind == "set":
            first, second = sorted(whole), sorted(other[1])
        else:
            first, second = whole, other
        return [(count, first, second, there)], set(self.names) if there else set()

    def expected(self, content, state):
        state = state or ()
        if self.kind == "hash":
            first = sorted((self.member(field), self.value(content, version)) for field, version in state)
            second = [field for field, _ in first]
        elif self.kind == "zset":
            scored = sorted((score, self.member(member)) for member, score in state)
            first = [(member, b"%d" % score) for score, member in scored]
            second = sorted(first)
        elif self.kind == "set":
            first = second = sorted(self.member(member) for member in state)
        else:
            first = second = [self.value(content, version) for version in state]
        return [(len(state), first, second, 1 if state else 0)]

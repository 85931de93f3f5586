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

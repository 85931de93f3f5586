"""What the clients of the history test do: operations on one group of keys, each with its model.

A group has a register `r`, a counter `c` and a text `s`; its state is (register, counter, text), each None when its key
is missing. Every value that is written occurs once, so equal values mean that nothing was written in between: that is
what WATCH promises. All of a group's keys may be read or written in one step by MSET, MGET, EXEC and scripts.
"""

# Reads the group, writes its register and counter, answers what was there; with a third argument it fails at the end.
SCRIPT = b"""
local r, c = redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])
redis.call('SET', KEYS[1], ARGV[1])
local n = redis.call('INCRBY', KEYS[2], ARGV[2])
if ARGV[3] then return redis.error_reply('ASKED for') end
return {r, c, n, redis.call('GET', KEYS[3])}
"""
READ_ONLY = b"return {redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2]), redis.call('GET', KEYS[3])}"


def number(value):
    return None if value is None else int(value)


def text(value):
    return b"%d" % value if value is not None else None


class Draw:
    """Draws operations: (requests of one pipeline, which reply counts, model, words)."""

    def __init__(self, random, lane, group):
        self.random, self.lane = random, lane
        self.r, self.c, self.s = (b"{%d}%s" % (group, name) for name in (b"r", b"c", b"s"))
        self.count = 0
        self.padding = b"." * random.choice((0, 0, 30, 300, 5000))

    def unique(self):
        self.count += 1
        return b"%d.%d%s" % (self.lane, self.count, self.padding)

    def draw(self):
        kinds = [self.set, self.set, self.get, self.get, self.getset, self.increment, self.increment, self.append,
                 self.everything, self.everything, self.put_all, self.transaction, self.transaction, self.script,
                 self.script, self.failing_script, self.reading_script, self.take, self.only_if_missing,
                 self.abandoned_transaction]
        return self.random.choice(kinds)()

    def set(self):
        value = self.unique()
        return [(b"SET", self.r, value)], 0, lambda state: ((value, *state[1:]), b"OK"), "SET"

    def get(self):
        return [(b"GET", self.r)], 0, lambda state: (state, state[0]), "GET"

    def getset(self):
        value = self.unique()
        return [(b"SET", self.r, value, b"GET")], 0, lambda state: ((value, *state[1:]), state[0]), "SET GET"

    def take(self):
        return [(b"GETDEL", self.r)], 0, lambda state: ((None, *state[1:]), state[0]), "GETDEL"

    def only_if_missing(self):
        value = self.unique()
        return [(b"SETNX", self.r, value)], 0, lambda state: (
            ((value, *state[1:]), 1) if state[0] is None else (state, 0)), "SETNX"

    def increment(self):
        by = self.random.randint(1, 9)

        def apply(state):
            total = (state[1] or 0) + by
            return (state[0], total, state[2]), total

        return [(b"INCRBY", self.c, b"%d" % by)], 0, apply, f"INCRBY {by}"

    def append(self):
        token = b"%d.%d;" % (self.lane, self.count)
        self.count += 1

        def apply(state):
            whole = (state[2] or b"") + token
            return (*state[:2], whole), len(whole)

        return [(b"APPEND", self.s, token)], 0, apply, "APPEND"

    def everything(self):
        return [(b"MGET", self.r, self.c, self.s)], 0, lambda state: (
            state, [state[0], text(state[1]), state[2]]), "MGET"

    def put_all(self):
        value, counter = self.unique(), self.random.randint(0, 10 ** 9)
        return ([(b"MSET", self.r, value, self.c, b"%d" % counter, self.s, b"begin;")], 0,
                lambda state: ((value, counter, b"begin;"), b"OK"), "MSET")

    def transaction(self):
        value = self.unique()

        def apply(state):
            total = (state[1] or 0) + 1
            return (value, total, state[2]), [state[0], total, b"OK", state[2]]

        steps = [(b"GET", self.r), (b"INCR", self.c), (b"SET", self.r, value), (b"GET", self.s)]
        return [(b"MULTI",), *steps, (b"EXEC",)], 5, apply, "EXEC"

    def abandoned_transaction(self):
        steps = [(b"MULTI",), (b"SET", self.r, b"never"), (b"INCR", self.c), (b"DISCARD",)]
        return steps, 3, lambda state: (state, b"OK"), "DISCARD"

    def script(self):
        value, by = self.unique(), self.random.randint(1, 9)

        def apply(state):
            total = (state[1] or 0) + by
            return (value, total, state[2]), [state[0], text(state[1]), total, state[2]]

        return ([(b"EVAL", SCRIPT, b"3", self.r, self.c, self.s, value, b"%d" % by)], 0, apply, "EVAL")

    def failing_script(self):
        """What a script has written stays when it ends with an error."""
        value = self.unique()
        return ([(b"EVAL", SCRIPT, b"3", self.r, self.c, self.s, value, b"1", b"fail")], 0,
                lambda state: ((value, (state[1] or 0) + 1, state[2]), "error ASKED for"), "EVAL that fails")

    def reading_script(self):
        return [(b"EVAL_RO", READ_ONLY, b"3", self.r, self.c, self.s)], 0, lambda state: (
            state, [state[0], text(state[1]), state[2]]), "EVAL_RO"

    def watched(self):
        """WATCH and GET; then, from what came, the transaction and its model: all of it or nothing."""
        value = self.unique()
        look = [(b"WATCH", self.r, self.c), (b"MGET", self.r, self.c, self.s)]
        go = [(b"MULTI",), (b"SET", self.r, value), (b"INCR", self.c), (b"EXEC",)]

        def model(seen, answer):
            def apply(state):
                if answer is None:
                    return state, None
                total = (state[1] or 0) + 1
                unchanged = [state[0], text(state[1])] == seen[:2]
                return (value, total, state[2]), [b"OK", total] if unchanged else "refused"

            return apply

        return look, lambda state: (state, [state[0], text(state[1]), state[2]]), go, model

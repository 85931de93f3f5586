"""Random command sequences sent to two servers at once; every reply must be the same.

Only commands with one right answer are drawn. A failing sequence is shrunk by leaving out steps as
long as the servers still disagree, then printed in the notation of the case files. The seed decides
everything: SEED 0 chooses one and prints it. Sequence i of a run uses the seed `SEED:i`.

Sequences take turns: RESP2 and RESP3; one command at a time and in pipelines; every eighth one has
no transactions but a DEBUG RELOAD here and there, so that values are read back from storage. A quarter
has users with random rules, who log in and whose rights are asked about; another quarter, beside its
commands on keys, questions about the server and changes of its settings (`administration.py`). Three of eight are
mostly about hashes, lists and the other types that both servers have (`collections.py`), the others here and there.
"""

import random
import time

from . import administration, collections
from .resp import BadReply, Closed, Connection, Reply, Timeout, encode, quote, show
from .servers import CannotStart, Server

KEYS = [b"a", b"b", b"c", b"d", b"key:1", b"key:2", b"key:10", b"", b"\x00\r\n", b"\xff\xfe"]
NUMBERS = [b"0", b"1", b"-1", b"10", b"-10", b"100", b"9223372036854775807", b"-9223372036854775808",
           b"9223372036854775808", b"4611686018427387904", b"-9223372036854775807"]
FLOATS = [b"0.1", b"-2.5", b"1e3", b"3.0", b"1e-5", b"1000000.5", b"-0.25", b"abc", b"", b"12345678.125"]
VALUES = [b"", b"x", b"hello", b"hello world", b"007", b"3.25", b" 1", b"\x00\xff\r\n", b"v" * 44, b"w" * 45,
          b"z" * 3000, b"large" * 14000]
BITS = [b"0", b"1", b"7", b"8", b"23", b"100", b"#0", b"#3", b"-1", b"x", b"4294967296"]
OFFSETS = [b"0", b"1", b"-1", b"2", b"5", b"-3", b"10", b"-100", b"100", b"abc", b"43", b"9223372036854775807"]
PATTERNS = [b"*", b"key:*", b"key:?", b"[ab]", b"[^a]", b"k*1", b"a", b"\xff*", b"\\*", b"?", b"*:*0"]
# Times of expiry lie far ahead or far back, so that no reply depends on when it is asked.
SECONDS_AT = [b"33177117420", b"33177117421", b"33177110000", b"1", b"0", b"-5", b"abc", b"9223372036854775807"]
MILLISECONDS_AT = [b"33177117420123", b"33177117420124", b"33177117420999", b"1", b"0", b"-1", b"x"]
# Dumped by redis-server 7.0.15.
PAYLOADS = [b"\x00\x05hello\n\x00cr\xdfve4 \n", b"\x00\xc1~\xff\n\x00\x11\x03\xfb\xa47\xe8e\x0c",
            b"\x00\xc3*K\xb8\x01zz" + b"\xe0\xff\x00" * 11 + b"\xe0S\x00\x01zz\n\x00j\x85\x00\r4.\xc38",
            b"\x00\x05hello\n\x00cr\xdfve4 \x0b", b"\x00\x05hello\x0b\x00cr\xdfve4 \n", b"", b"\x00\x05hello"]
DATABASES = [b"0", b"0", b"0", b"1", b"2", b"15", b"16", b"-1", b"x"]
SCRIPT = b"""
local n = tonumber(ARGV[1])
return {redis.pcall(unpack(ARGV, 2, n + 1)), redis.pcall(unpack(ARGV, n + 2))}
"""
CONNECTIONS = ("main", "main", "main", "other")


class Draw:
    """Draws commands from one random source."""

    def __init__(self, source, known=(), collecting=0.0):
        """`known`: the commands that both servers have; `collecting`: how often one of `collections` is drawn."""
        self.random = source
        self.known, self.collecting = known, collecting

    def one(self, choices):
        return self.random.choice(choices)

    def key(self):
        return self.one(KEYS)

    def value(self):
        return self.one(VALUES + NUMBERS)

    def keys(self, low=1, high=4):
        return [self.key() for _ in range(self.random.randint(low, high))]

    def pairs(self):
        return [part for _ in range(self.random.randint(1, 3)) for part in (self.key(), self.value())]

    def expiry_options(self):
        return self.one([[], [], [], [b"NX"], [b"XX"], [b"GT"], [b"LT"], [b"XX", b"GT"], [b"NX", b"LT"], [b"FOO"]])

    def set_options(self):
        out = []
        for chance, choices in ((0.3, [[b"NX"], [b"XX"]]), (0.25, [[b"GET"]]),
                                (0.4, [[b"EXAT", self.one(SECONDS_AT)], [b"PXAT", self.one(MILLISECONDS_AT)],
                                       [b"KEEPTTL"], [b"EX", b"0"], [b"PX", b"-1"], [b"EX", b"100000000"]]),
                                (0.03, [[b"FOO"], [b"EX"], [b"NX", b"XX"]])):
            if self.random.random() < chance:
                out.append(self.one(choices))
        self.random.shuffle(out)
        return [word for part in out for word in part]

    def bit_range(self):
        unit = self.one([[], [b"BYTE"], [b"bit"], [b"FOO"]])
        return self.one([[], [self.one(OFFSETS)], [self.one(OFFSETS), self.one(OFFSETS)] + unit])

    def bit_steps(self):
        out = []
        for _ in range(self.random.randint(0, 4)):
            place = [b"%s%d" % (self.one([b"u", b"i"]), self.random.randint(1, 64)), self.one(BITS)]
            out += self.one([[b"GET"] + place, [b"SET"] + place + [self.one(NUMBERS)],
                             [b"INCRBY"] + place + [self.one(NUMBERS)],
                             [b"OVERFLOW", self.one([b"WRAP", b"SAT", b"FAIL"])]])
        return out

    def command(self):
        if self.random.random() < 0.06:
            return self.script()
        return self.plain()

    def script(self):
        """Two commands within a script, which names keys or does not."""
        parts = []
        while len(parts) < 2:
            words = self.plain()
            if words[0] not in OUTSIDE_SCRIPTS:
                parts.append(words)
        keys = self.one([[], self.keys()])
        return [b"EVAL", SCRIPT, b"%d" % len(keys), *keys, b"%d" % len(parts[0]), *parts[0], *parts[1]]

    def plain(self):
        words = None
        if self.random.random() < self.collecting:
            words = collections.command(self, self.known)
        if words is None:
            name, draw = self.one(COMMANDS)
            words = [name] + draw(self)
        if len(words) > 1 and words[0] not in collections.CHOSEN and self.random.random() < 0.02:
            words = words[:-1] if self.random.random() < 0.5 else words + [b"extra"]
        return words


def _entry(name, draw, weight=1):
    return [(name.encode(), draw)] * weight


COMMANDS = sum([
    _entry("SET", lambda d: [d.key(), d.value()] + d.set_options(), 8),
    _entry("GET", lambda d: [d.key()], 5),
    _entry("GETSET", lambda d: [d.key(), d.value()]),
    _entry("GETDEL", lambda d: [d.key()]),
    _entry("GETEX", lambda d: [d.key()] + d.one([[], [b"PERSIST"], [b"EXAT", d.one(SECONDS_AT)],
                                                 [b"PXAT", d.one(MILLISECONDS_AT)], [b"EX", b"0"], [b"FOO"]]), 2),
    _entry("SETNX", lambda d: [d.key(), d.value()], 2),
    _entry("SETEX", lambda d: [d.key(), d.one([b"100000000", b"0", b"-1", b"abc"]), d.value()]),
    _entry("PSETEX", lambda d: [d.key(), d.one([b"100000000000", b"0", b"-1", b"abc"]), d.value()]),
    _entry("MGET", lambda d: d.keys(), 2),
    _entry("MSET", lambda d: d.pairs(), 2),
    _entry("MSETNX", lambda d: d.pairs(), 2),
    _entry("APPEND", lambda d: [d.key(), d.value()], 3),
    _entry("STRLEN", lambda d: [d.key()]),
    _entry("GETRANGE", lambda d: [d.key(), d.one(OFFSETS), d.one(OFFSETS)], 3),
    _entry("SUBSTR", lambda d: [d.key(), d.one(OFFSETS), d.one(OFFSETS)]),
    _entry("SETRANGE", lambda d: [d.key(), d.one(OFFSETS), d.value()], 3),
    _entry("SETBIT", lambda d: [d.key(), d.one(BITS), d.one([b"0", b"1", b"1", b"2"])], 3),
    _entry("GETBIT", lambda d: [d.key(), d.one(BITS)], 2),
    _entry("BITCOUNT", lambda d: [d.key()] + d.bit_range(), 2),
    _entry("BITPOS", lambda d: [d.key(), d.one([b"0", b"1", b"2"])] + d.bit_range(), 2),
    _entry("BITOP", lambda d: [d.one([b"AND", b"OR", b"XOR", b"NOT"])] + d.keys(2, 4), 2),
    _entry("BITFIELD", lambda d: [d.key()] + d.bit_steps(), 4),
    _entry("BITFIELD_RO", lambda d: [d.key()] + d.bit_steps()),
    _entry("PFADD", lambda d: [d.key()] + [d.value() for _ in range(d.random.randint(0, 5))], 3),
    _entry("PFCOUNT", lambda d: d.keys(1, 3), 2),
    _entry("PFMERGE", lambda d: d.keys(1, 3)),
    _entry("DUMP", lambda d: [d.key()]),
    _entry("RESTORE", lambda d: [d.key(), d.one([b"0", b"0", b"33177117420123", b"100000000", b"-1"]), d.one(PAYLOADS)]
           + d.one([[], [b"REPLACE"], [b"REPLACE"], [b"ABSTTL", b"REPLACE"], [b"IDLETIME", b"3"], [b"FOO"]])),
    _entry("INCR", lambda d: [d.key()], 2),
    _entry("DECR", lambda d: [d.key()], 2),
    _entry("INCRBY", lambda d: [d.key(), d.one(NUMBERS + [b"x", b"1.5"])], 3),
    _entry("DECRBY", lambda d: [d.key(), d.one(NUMBERS + [b"x"])], 3),
    _entry("INCRBYFLOAT", lambda d: [d.key(), d.one(FLOATS)], 3),
    _entry("LCS", lambda d: [d.key(), d.key()] + d.one([[], [b"LEN"], [b"IDX"], [b"IDX", b"WITHMATCHLEN"],
                                                        [b"IDX", b"MINMATCHLEN", b"2"], [b"LEN", b"IDX"]])),
    _entry("DEL", lambda d: d.keys(), 2),
    _entry("UNLINK", lambda d: d.keys()),
    _entry("EXISTS", lambda d: d.keys(), 2),
    _entry("TOUCH", lambda d: d.keys()),
    _entry("TYPE", lambda d: [d.key()]),
    _entry("DBSIZE", lambda d: [], 2),
    _entry("KEYS", lambda d: [d.one(PATTERNS)], 2),
    _entry("SCAN", lambda d: [b"0", b"COUNT", b"1000"] + d.one([[], [b"MATCH", d.one(PATTERNS)], [b"TYPE", b"string"],
                                                                [b"TYPE", b"list"]])),
    _entry("RENAME", lambda d: [d.key(), d.key()], 2),
    _entry("RENAMENX", lambda d: [d.key(), d.key()], 2),
    _entry("COPY", lambda d: [d.key(), d.key()] + d.one([[], [b"REPLACE"], [b"DB", d.one(DATABASES)],
                                                         [b"DB", d.one(DATABASES), b"REPLACE"]]), 2),
    _entry("MOVE", lambda d: [d.key(), d.one(DATABASES)], 2),
    _entry("SELECT", lambda d: [d.one(DATABASES)]),
    _entry("SWAPDB", lambda d: [d.one(DATABASES), d.one(DATABASES)]),
    _entry("FLUSHDB", lambda d: d.one([[], [b"ASYNC"], [b"SYNC"]])),
    _entry("FLUSHALL", lambda d: []),
    _entry("EXPIREAT", lambda d: [d.key(), d.one(SECONDS_AT)] + d.expiry_options(), 3),
    _entry("PEXPIREAT", lambda d: [d.key(), d.one(MILLISECONDS_AT)] + d.expiry_options(), 3),
    _entry("EXPIRE", lambda d: [d.key(), d.one([b"100000000", b"200000000", b"0", b"-1", b"x", b"9223372036854775807"])]
           + d.expiry_options(), 2),
    _entry("PEXPIRE", lambda d: [d.key(), d.one([b"100000000000", b"-1", b"x"])] + d.expiry_options()),
    _entry("EXPIRETIME", lambda d: [d.key()], 2),
    _entry("PEXPIRETIME", lambda d: [d.key()], 2),
    _entry("TTL", lambda d: [d.key()], 2),
    _entry("PTTL", lambda d: [d.key()]),
    _entry("PERSIST", lambda d: [d.key()], 2),
    _entry("MULTI", lambda d: [], 3),
    _entry("EXEC", lambda d: [], 4),
    _entry("DISCARD", lambda d: []),
    _entry("WATCH", lambda d: d.keys(1, 2), 2),
    _entry("UNWATCH", lambda d: []),
    _entry("PING", lambda d: d.one([[], [d.value()]])),
    _entry("ECHO", lambda d: [d.value()]),
    _entry("RESET", lambda d: []),
    _entry("NOSUCH", lambda d: [d.value()]),
], [])

CATEGORIES = [b"keyspace", b"read", b"write", b"string", b"bitmap", b"hyperloglog", b"fast", b"slow", b"dangerous",
              b"connection", b"transaction", b"scripting", b"pubsub", b"admin", b"all", b"nosuch"]
USERS = [b"u", b"u", b"v"]
PASSWORDS = [b"one", b"two", b""]


class UserDraw(Draw):
    """Draws rules of users, and questions about them."""

    def rule(self, inside=False):
        sign = self.one([b"+", b"+", b"-"])
        patterns = [self.one([b"~", b"%R~", b"%W~", b"%RW~", b"%rw~"]) + self.one(PATTERNS + KEYS[:4])]
        command = self.one(COMMANDS)[0].lower()
        choices = [[sign + command], [sign + command], [sign + b"@" + self.one(CATEGORIES)], patterns, patterns,
                   [self.one([b"allkeys", b"resetkeys", b"allcommands", b"nocommands", b"&x", b"&*"])],
                   [sign + command + b"|" + self.one([b"get", b"0", b"a", b"help"])]]
        if not inside:
            choices += [[self.one([b"on", b"on", b"off", b"reset", b"nopass", b"resetpass", b"clearselectors"])],
                        [self.one([b">", b">", b"<"]) + self.one(PASSWORDS)],
                        [b"(" + b" ".join(w for _ in range(3) for w in self.rule(True)) + b")"]]
        return self.one(choices)

    def user_command(self):
        user = self.one(USERS)
        rules = [word for _ in range(self.random.randint(1, 4)) for word in self.rule()]
        return self.one([
            ("main", [b"ACL", b"SETUSER", user] + rules), ("main", [b"ACL", b"SETUSER", user] + rules),
            ("main", [b"ACL", b"DRYRUN", user] + self.plain()), ("main", [b"ACL", b"DRYRUN", user] + self.plain()),
            ("main", [b"ACL", b"USERS"]), ("other", [b"ACL", b"WHOAMI"]),
            ("other", [b"AUTH", user, self.one(PASSWORDS)]),
            ("other", [b"AUTH", user, self.one(PASSWORDS)]), ("other", [b"AUTH", b"default", b"x"])])


# Redis keeps a key that is set with a past EXAT until somebody looks; counting commands first make it look.
LOOK = [b"EXISTS"] + KEYS
LOOKING = (b"DBSIZE", b"KEYS", b"SCAN", b"FLUSHDB", b"RENAME", b"WATCH", b"SWAPDB")
CLOCKED = (b"TTL", b"PTTL", b"EXPIRETIME", b"PEXPIRETIME", b"EXEC")


SESSION = (b"MULTI", b"EXEC", b"DISCARD", b"WATCH", b"UNWATCH")
RELOAD = [b"DEBUG", b"RELOAD"]
# Their replies are compared by what they are, which is not seen from outside of a script.
OUTSIDE_SCRIPTS = LOOKING + CLOCKED + SESSION + (b"FLUSHALL", b"RESET") + collections.ALONE

# Not a command: SCAN with this COUNT and MATCH from cursor 0 until it is 0 again; the reply is the set of keys.
WALK = b"scan-walk"


def sequence(seed, length, reloading=False, users=False, names=None, known=(), collecting=0.0):
    """`names`: the commands that both servers have, for a sequence with administration; `known`, `collecting`: see
    Draw."""
    draw = UserDraw(random.Random(seed), known, collecting)
    steps = []
    administrator = administration.Administration(draw, names) if names else None
    if reloading:
        steps.append(("main", [b"MSET"] + [b"%s:%d" % (b"walk" if i % 2 else b"v", i // 2) for i in range(400)]))
    for _ in range(length):
        words = draw.command()
        connection = draw.one(CONNECTIONS)
        if users and draw.random.random() < 0.5:
            connection, words = draw.user_command()
        if administrator and draw.random.random() < 0.6:
            connection, words = draw.one([("main", administrator.command())] * 4 + [("main", draw.user_command()[1])])
        if (users or administrator) and words[-2:-1] == [b"PFMERGE"]:
            # Without a source Redis checks no key of it at all; Valk checks the one that it writes.
            words = [b"PING"]
        if reloading and words[0] == b"SCAN":
            words = [WALK, draw.one([b"1", b"3", b"10", b"100"]), draw.one(PATTERNS + [b"walk:1*", b"walk:*7"])]
        if reloading and words[0] in SESSION:
            words = RELOAD if draw.random.random() < 0.4 else [b"GET", draw.key()]
        if words[0] in LOOKING:
            steps.append((connection, LOOK))
        steps.append((connection, words))
    return steps


def alike(left, right, command, words=()):
    """Whether two replies say the same; sets and maps in any order, remaining times within a second."""
    for compare in (administration.alike_anyhow, collections.alike):
        told = compare(left, right, words)
        if told is not None:
            return told
    if left.kind != right.kind:
        return False
    if left.kind == "array":
        if len(left.value) != len(right.value):
            return False
        if command == b"KEYS":
            return sorted(r.value for r in left.value) == sorted(r.value for r in right.value)
        if command == b"SCAN" and len(left.value) == 2 and left.value[1].kind == "array":
            return left.value[0] == right.value[0] and alike(left.value[1], right.value[1], b"KEYS")
        if command == b"EXEC":
            return all(alike(a, b, b"EXEC") or alike_anyway(a, b) for a, b in zip(left.value, right.value))
        return left == right
    if left.kind == "int" and command in CLOCKED and left.value > 1000000:
        return abs(left.value - right.value) <= (2 if left.value < 10 ** 11 and command != b"PTTL" else 2000)
    return left == right


def alike_anyway(left, right):
    """Inside EXEC nobody knows which command an element belongs to: try what may differ in order."""
    if _strings(left) and _strings(right) and alike(left, right, b"KEYS"):
        return True
    if collections.timeless(left) == collections.timeless(right) or collections.alike(left, right, [b"SMEMBERS"]):
        return True
    if left.kind == "error" and collections.alike_dumps(left, right):
        return True
    return alike(left, right, b"SCAN") or administration.alike_in_disorder(left, right)


def _strings(reply):
    return reply.kind == "array" and all(item.kind == "bulk" for item in reply.value)


def walk(connection, count, pattern):
    """A full SCAN as one reply: the keys, sorted, each once."""
    cursor, keys = b"0", set()
    for _ in range(100000):
        reply = connection.call("SCAN", cursor, "COUNT", count, "MATCH", pattern)
        if reply.kind != "array":
            return reply
        keys.update(item.value for item in reply.value[1].value)
        cursor = reply.value[0].value
        if cursor == b"0":
            return Reply("array", [Reply("bulk", key) for key in sorted(keys)])
    return Reply("failure", "SCAN does not end")


class Pair:
    """The same steps on both servers."""

    def __init__(self, first, second, protocol, pipelining=False):
        self.servers, self.protocol, self.pipelining = (first, second), protocol, pipelining
        self.connections = {}

    def connection(self, index, name):
        key = (index, name)
        if key not in self.connections:
            connection = Connection(self.servers[index].host, self.servers[index].port)
            if self.protocol == 3:
                connection.call("HELLO", "3")
            self.connections[key] = connection
        return self.connections[key]

    def close(self):
        for connection in self.connections.values():
            connection.close()
        self.connections = {}

    def answer(self, index, name, words):
        return self.answers(index, name, [words])[0]

    def answers(self, index, name, requests):
        """The replies to requests sent in one write; a failure ends the list."""
        replies = []
        try:
            connection = self.connection(index, name)
            if requests[0][0] == WALK:
                return [walk(connection, *requests[0][1:])]
            connection.send(b"".join(encode(words) for words in requests))
            for _ in requests:
                replies.append(connection.read())
        except (Closed, Timeout, BadReply, OSError) as error:
            replies.append(Reply("failure", "%s: %s" % (type(error).__name__, error)))
        return replies

    def batches(self, steps):
        """(number of the first step, connection, requests), one request each unless pipelining."""
        start = 0
        while start < len(steps):
            end = start + 1
            while (self.pipelining and end < len(steps) and steps[end][0] == steps[start][0]
                   and WALK not in (steps[end][1][0], steps[start][1][0])):
                end += 1
            yield start, steps[start][0], [words for _, words in steps[start:end]]
            start = end

    def run(self, steps):
        """None when both agree throughout, else (index of the step, reply, reply)."""
        self.close()
        for index in (0, 1):
            reply = self.answer(index, "control", [b"FLUSHALL"])
            if reply.kind != "simple":
                return 0, reply, reply
            for words in administration.PREPARE:
                reply = self.answer(index, "control", words)
                if reply.kind == "error":
                    return 0, reply, reply
        try:
            for start, name, requests in self.batches(steps):
                both = zip(requests, self.answers(0, name, requests), self.answers(1, name, requests))
                for offset, (words, left, right) in enumerate(both):
                    failed = left.kind == "failure" or right.kind == "failure"
                    if failed or not alike(left, right, words[0], words):
                        return start + offset, left, right
                    if left.kind == "error" and left.value.startswith(b"INVALIDOBJ"):
                        # Redis leaves in the damaged value what the command had done until then, Valk nothing.
                        return None
        finally:
            self.close()
        return None


def shrink(pair, steps, seconds=20.0):
    """A shorter sequence on which the servers still disagree."""
    found = pair.run(steps)
    if found is None:
        return steps
    steps = steps[:found[0] + 1]
    deadline = time.monotonic() + seconds
    size = max(1, len(steps) // 2)
    while steps and time.monotonic() < deadline:
        start, smaller = 0, False
        while start < len(steps) and time.monotonic() < deadline:
            candidate = steps[:start] + steps[start + size:]
            found = pair.run(candidate) if candidate else None
            if found is not None:
                steps, smaller = candidate[:found[0] + 1], True
            else:
                start += size
        if size == 1 and not smaller:
            break
        size = max(1, size // 2)
    return steps


def _describe(reply):
    return reply.value if reply.kind == "failure" else show(reply)


def print_difference(pair, steps):
    print("after shrinking, %d steps:" % len(steps))
    for name, words in steps:
        print("%s> %s" % ("" if name == "main" else name, " ".join(
            w.decode() if w and all(33 <= b < 127 and b not in b'"\\' for b in w) else quote(w) for w in words)))
    found = pair.run(steps)
    if found is None:
        print("(they agree when asked once more: the difference depends on time)")
        return
    print("server under test: %s" % _describe(found[1]))
    print("redis-server:      %s" % _describe(found[2]), flush=True)


def shared_commands(*servers):
    """What may be drawn with any words, and all that both have."""
    connections = [Connection(server.host, server.port) for server in servers]
    lists = [connection.call("COMMAND", "LIST") for connection in connections]
    for connection in connections:
        connection.close()
    known = {item.value.decode() for item in lists[0].value} & {item.value.decode() for item in lists[1].value}
    return administration.shared(*lists), known


def main(target, redis_binary, seed, count, length=60):
    seed, count = int(seed), int(count)
    if seed == 0:
        seed = random.SystemRandom().randint(1, 2 ** 31)
    print("seed %d, %d sequences of %d commands" % (seed, count, length))
    try:
        redis = Server(redis_binary)
    except CannotStart as error:
        print(error)
        return 2
    passed = failed = commands = 0
    started = time.monotonic()
    try:
        names, known = shared_commands(target, redis)
        for number in range(count):
            pair = Pair(target, redis, 2 + number % 2, pipelining=number % 4 >= 2)
            steps = sequence("%d:%d" % (seed, number), length, reloading=number % 8 == 7, users=number % 8 in (3, 4),
                             names=names if number % 8 in (1, 6) else None, known=known,
                             collecting=0.8 if number % 8 in (0, 2, 5) else 0.2 if number % 8 != 7 else 0.5)
            commands += len(steps)
            if pair.run(steps) is None:
                passed += 1
                continue
            failed += 1
            print("\nDIFFERENT: sequence %d of seed %d, RESP%d%s" % (
                number, seed, pair.protocol, ", pipelined" if pair.pipelining else ""))
            print_difference(pair, shrink(pair, steps))
            if not target.alive():
                print("the server under test died; its last words:\n%s" % target.output())
                break
            if failed >= 10:
                print("stopping after ten different sequences")
                break
    finally:
        redis.stop()
    print("%d commands in %.1f s; repeat with --differential %d %d" % (
        commands, time.monotonic() - started, seed, count))
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0

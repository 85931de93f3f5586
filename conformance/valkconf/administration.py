"""Random questions about the server and changes of its settings, for the differential runs.

Everything here is common to the whole server, so that each sequence begins with PREPARE. What depends on time, memory,
chance or a value's past is left out, as is what would end or stop a server or speaks to one connection only. HELP has
words of its own.
"""

from . import collections
from .resp import Reply

# What each setting may be given, its default first, wrong values last; a lone value is not put back.
SETTINGS = {
    b"maxmemory": [b"0", b"1tb", b"10gb", b"x", b"-1"],
    b"maxmemory-policy": [b"noeviction", b"allkeys-lru", b"volatile-lfu", b"allkeys-lfu", b"volatile-ttl",
                          b"allkeys-random", b"sometimes"],
    b"maxmemory-samples": [b"5", b"10", b"0", b"x"],
    b"maxmemory-eviction-tenacity": [b"0", b"10", b"100", b"101"],
    b"lfu-log-factor": [b"10", b"0", b"-1"],
    b"lfu-decay-time": [b"1", b"0", b"x"],
    b"latency-monitor-threshold": [b"0", b"100000", b"-1"],
    b"latency-tracking": [b"yes", b"no", b"maybe"],
    b"slowlog-log-slower-than": [b"-1", b"100000000", b"x"],
    b"slowlog-max-len": [b"128", b"0", b"-5"],
    b"notify-keyspace-events": [b"", b"KEA", b"Kg$", b"Elx", b"KEmn", b"Kt", b"q", b"A"],
    b"timeout": [b"0", b"100000", b"-1"],
    b"tcp-keepalive": [b"300", b"0", b"x"],
    b"maxmemory-clients": [b"0", b"100mb", b"50%", b"101%"],
    b"client-output-buffer-limit": [b"normal 0 0 0", b"pubsub 32mb 8mb 60", b"replica 256mb 64mb 60 normal 1gb 0 0",
                                    b"normal 0 0", b"none 0 0 0", b"normal -1 0 0"],
    b"client-query-buffer-limit": [b"1gb", b"2gb", b"1"],
    b"proto-max-bulk-len": [b"512mb", b"1gb", b"1"],
    b"lua-time-limit": [b"5000", b"0", b"-1"],
    b"busy-reply-threshold": [b"5000", b"1000", b"x"],
    b"lazyfree-lazy-user-del": [b"yes", b"no", b"1"],
    b"lazyfree-lazy-expire": [b"yes", b"no"],
    b"hash-max-listpack-entries": [b"128", b"512", b"-1"],
    b"hash-max-ziplist-value": [b"64", b"1kb", b"x"],
    b"set-max-intset-entries": [b"512", b"x"],
    b"zset-max-listpack-value": [b"64", b"64kb"],
    b"list-max-listpack-size": [b"-2", b"128", b"x"],
    b"stream-node-max-bytes": [b"4kb", b"0", b"-1"],
    b"hll-sparse-max-bytes": [b"3000", b"10000", b"x"],
    b"tracking-table-max-keys": [b"1000000", b"0", b"-1"],
    b"acllog-max-len": [b"128", b"0", b"-1"],
    b"acl-pubsub-default": [b"resetchannels", b"allchannels", b"some"],
    b"loglevel": [b"notice", b"warning", b"verbose", b"loud"],
    b"activedefrag": [b"no", b"x"],
    b"port-of-call": [b"1"],
    b"databases": [b"16"],
    b"unixsocketperm": [b"700"],
}
DEFAULTS = {name: values[0] for name, values in SETTINGS.items() if len(values) > 1}
del DEFAULTS[b"busy-reply-threshold"]  # the new name of lua-time-limit
DEFAULTS[b"client-output-buffer-limit"] = b"normal 0 0 0 replica 256mb 64mb 60 pubsub 32mb 8mb 60"

PREPARE = [[b"CONFIG", b"SET"] + [word for pair in DEFAULTS.items() for word in pair],
           [b"FUNCTION", b"FLUSH"], [b"SCRIPT", b"FLUSH"], [b"ACL", b"DELUSER", b"u", b"v"]]

# Never drawn at random: they end, stop, wait, push, or answer with what only one server can know.
APART = {
    "shutdown", "monitor", "debug", "quit", "time", "lastsave", "randomkey", "info", "lolwut", "save", "bgsave",
    "bgrewriteaof", "command", "wait", "auth", "hello", "migrate", "select", "swapdb", "move", "dbsize", "role",
    "subscribe", "psubscribe", "ssubscribe", "unsubscribe", "punsubscribe", "sunsubscribe", "multi", "exec", "watch",
    "flushall", "flushdb", "keys", "scan", "reset", "pfdebug", "pfselftest", "module", "cluster", "expiretime",
    "pexpiretime", "ttl", "pttl", "eval", "evalsha", "eval_ro", "evalsha_ro",
    "object|idletime", "object|freq", "object|encoding", "object|refcount", "memory|usage",
    "latency|histogram", "latency|doctor", "memory|stats", "memory|malloc-stats", "memory|doctor", "client|id",
    "client|list", "client|info", "client|kill", "client|reply", "client|pause", "client|unpause", "client|tracking",
    "client|caching", "config|rewrite", "config|get", "config|set", "config|resetstat", "acl|genpass", "acl|log",
    "acl|setuser", "acl|save", "acl|load", "acl|cat", "command|docs", "command|list", "command|info", "command|count",
    "function|dump", "slowlog|get", "script|kill", "script|debug", "function|kill",
} | collections.APART
WORDS = [b"a", b"b", b"key:1", b"missing", b"0", b"1", b"-1", b"10", b"abc", b"", b"9223372036854775807",
         b"9223372036854775808", b"nan", b"inf", b"EX", b"PX", b"NX", b"XX", b"GET", b"KEEPTTL", b"COUNT",
         b"MATCH", b"*", b"LEN", b"IDX", b"BYTE", b"BIT", b"ASYNC", b"SYNC", b"AND", b"NOT", b"u8", b"i64", b"u64",
         b"#1", b"REPLACE", b"DB", b"ABSTTL", b"string", b"return 1", b"PERSIST", b"USED", b"LIBRARYNAME",
         b"WITHCODE", b"GT", b"LT", b"default", b"channel", b"yes", b"no", b"on", b"off", b"2", b"3", b"TIMEOUT",
         b"SAT", b"INCRBY", b"SET", b"OVERFLOW", b"FAIL", b"MINMATCHLEN", b"WITHMATCHLEN", b"f", b"l"]
LIBRARY = b"#!lua name=l\nredis.register_function{function_name='f', flags={'no-writes'}, callback=function(k, a) " \
          b"return {#k, a} end}"
# Redis makes a user's rules of commands up anew from the commands that it has and writes some of them in the order of a
# hash table, so that only the other rules can be compared.
RULES = ((b"ACL", b"GETUSER"), (b"ACL", b"LIST"))
UNORDERED = ((b"CONFIG", b"GET"), (b"FUNCTION", b"LIST"), (b"FUNCTION", b"STATS"))


def shared(first, second):
    """The commands, subcommands included, that both servers list and that may be drawn."""
    both = {item.value.decode() for item in first.value} & {item.value.decode() for item in second.value}
    return sorted(name for name in both
                  if name not in APART and name.split("|")[0] not in APART and not name.endswith("|help"))


class Administration:
    """Draws from a UserDraw's random source."""

    def __init__(self, draw, names):
        self.draw, self.names = draw, names

    def anything(self):
        """A command's name with words that may or may not be right for it."""
        one = self.draw.one
        name = one(self.names).upper().encode().split(b"|")
        return name + [one(WORDS) for _ in range(one((0, 1, 1, 2, 2, 3, 3, 4, 5)))]

    def settings(self):
        one = self.draw.one
        pairs = []
        for _ in range(one((1, 1, 1, 2, 3))):
            name = one(list(SETTINGS))
            pairs += [one([name, name, name.upper()]), one(SETTINGS[name])]
        return [b"CONFIG", b"SET"] + pairs + one([[], [], [], [], [b"maxmemory"]])

    def patterns(self):
        one = self.draw.one
        return [one([one(list(SETTINGS)), b"maxmemory*", b"lfu-*", b"*-max-*", b"slowlog*", b"nothing", b"*keepalive"])
                for _ in range(one((1, 1, 2)))]

    def command(self):
        one, key = self.draw.one, self.draw.key
        return one([
            self.anything, self.anything, self.anything, self.anything, self.settings, self.settings,
            lambda: [b"CONFIG", b"GET"] + self.patterns(),
            lambda: [b"CONFIG", b"GET"] + self.patterns(),
            lambda: [b"OBJECT", one([b"ENCODING", b"REFCOUNT", b"IDLE"]), b"nowhere"],
            lambda: [b"MEMORY", b"USAGE", b"nowhere"] + one([[], [b"SAMPLES", b"5"], [b"SAMPLES", b"-1"], [b"X"]]),
            lambda: [b"LATENCY", one([b"LATEST", b"RESET", b"HISTORY", b"GRAPH"])] + one([[], [b"command"], [b"fork"]]),
            lambda: [b"SLOWLOG", one([b"GET", b"LEN", b"RESET"])] + one([[], [], [b"-1"], [b"5"], [b"-2"]]),
            lambda: [b"ACL", one([b"GETUSER", b"DELUSER"]), one([b"u", b"v", b"nobody"])],
            lambda: [b"ACL", b"GETUSER", b"u"],
            lambda: [b"ACL", b"LIST"],
            lambda: [b"COMMAND", one([b"GETKEYS", b"GETKEYSANDFLAGS"])] + self.draw.command(),
            lambda: [b"COMMAND", one([b"GETKEYS", b"GETKEYSANDFLAGS"])] + self.anything(),
            lambda: [b"CLIENT", one([b"SETNAME", b"GETNAME", b"GETREDIR", b"TRACKINGINFO", b"NO-EVICT"])]
            + one([[], [], [b"name"], [b"on"], [b"two words"]]),
            lambda: [b"FUNCTION", b"LOAD"] + one([[], [b"REPLACE"]])
            + [one([LIBRARY, LIBRARY, b"#!lua name=l\nx(", b"x"])],
            lambda: [b"FUNCTION", one([b"LIST", b"STATS", b"DELETE"])] + one([[], [], [b"l"], [b"WITHCODE"]]),
            lambda: [one([b"FCALL", b"FCALL_RO"]), one([b"f", b"g"]), one([b"0", b"1", b"2", b"x"]), key(), b"v"],
            lambda: [b"SCRIPT", b"EXISTS", b"e0e1f9fabfc9d4800c877a703b823ac0578ff8db"],
            lambda: [b"SCRIPT", b"LOAD", one([b"return 1", b"return ("])],
            lambda: [b"PUBSUB", one([b"CHANNELS", b"NUMSUB", b"NUMPAT", b"SHARDCHANNELS"])] + one([[], [b"a*"]]),
            lambda: [b"CLUSTER", one([b"KEYSLOT", b"COUNTKEYSINSLOT"]), one([b"a", b"{b}c", b"5"])],
        ])()


def alike_anyhow(left, right, words):
    """True or False for commands whose replies are compared in a way of their own, else None."""
    name = tuple(word.upper() for word in words[:2])
    if name in UNORDERED:
        return sorted_reply(left) == sorted_reply(right)
    if name in RULES:
        return sorted_words(left) == sorted_words(right)
    return None


def alike_in_disorder(left, right):
    """For replies within EXEC, of which nobody knows the command."""
    return sorted_reply(left) == sorted_reply(right) or sorted_words(left) == sorted_words(right)


def sorted_words(reply):
    """The reply with the words of each of its strings in order, without rules of commands."""
    if isinstance(reply, Reply):
        return [reply.kind, sorted_words(reply.value)]
    if isinstance(reply, bytes):
        words = reply.replace(b"(", b" ").replace(b")", b" ").split()
        return sorted(word for word in words if word[:1] not in b"+-")
    return [sorted_words(part) for part in reply] if isinstance(reply, (list, tuple)) else reply


def sorted_reply(reply):
    """Maps and flat arrays of pairs in one order; arrays of these, too."""
    if reply.kind == "map":
        return ["map"] + sorted(([repr(key), repr(sorted_reply(value))] for key, value in reply.value))
    if reply.kind == "array" and len(reply.value) % 2 == 0 and all(item.kind == "bulk" for item in reply.value[::2]):
        return ["map"] + sorted([repr(key), repr(sorted_reply(value))]
                                for key, value in zip(reply.value[::2], reply.value[1::2]))
    if reply.kind in ("array", "set"):
        return [reply.kind] + sorted(repr(sorted_reply(item)) for item in reply.value)
    return [reply.kind, repr(reply.value)]

"""Commands of hashes, lists, sets, sorted sets, streams, places and SORT for the differential runs.

Keys are few, and each type has favourites that overlap those of the next, so that types meet; elements are few, so that
they are met again. What is drawn by chance is asked for whole (SPOP, SRANDMEMBER with a large count), what waits waits
for a hundredth of a second, and ids of streams are given. Replies without an order are compared as sets of elements or
of pairs; what tells the time or a memory layout is left out of the comparison.
"""

from .resp import Reply

POOL = [b"a", b"b", b"c", b"d", b"e", b"key:1"]
HOME = {"hash": [b"a", b"b"], "list": [b"b", b"c"], "set": [b"c", b"d"], "zset": [b"d", b"e"],
        "stream": [b"e", b"key:1"]}
FIELDS = [b"f", b"g", b"h", b"1", b"2", b"", b"\xff\xfe", b"long field " * 20]
ELEMENTS = [b"x", b"y", b"z", b"1", b"2", b"3", b"10", b"-5", b"1.5", b"", b"\xff\xfe", b"hello world", b"w" * 200]
NUMBERS = [b"0", b"1", b"-1", b"10", b"-10", b"9223372036854775807", b"-9223372036854775808", b"x", b"1.5"]
FLOATS = [b"0.1", b"-2.5", b"1e3", b"3", b"-0.25", b"inf", b"x", b""]
SCORES = [b"0", b"1", b"2", b"3", b"-1", b"1.5", b"2.25", b"1e10", b"inf", b"-inf", b"0.1"]
BAD_SCORES = [b"nan", b"x", b""]
POSITIONS = [b"0", b"1", b"2", b"-1", b"-2", b"5", b"-100", b"100", b"x", b"3", b"-3"]
COUNTS = [b"0", b"1", b"2", b"5", b"100"]
BOUNDS = [b"0", b"1", b"2", b"(1", b"(2", b"-inf", b"+inf", b"inf", b"(x", b"1.5"]
NAMES = [b"-", b"+", b"[x", b"(x", b"[y", b"[1", b"(z", b"[", b"x"]
IDS = [b"1-1", b"1-2", b"2-1", b"2-*", b"3-0", b"5", b"10-10", b"0-0", b"99-1", b"x", b"4-*", b"7-7"]
RANGES = [b"-", b"+", b"1", b"2", b"(1-1", b"2-1", b"5", b"(2", b"99", b"x"]
GROUPS = [b"g", b"g", b"h"]
CONSUMERS = [b"c", b"d"]
PLACES = [[b"13.361389", b"38.115556"], [b"15.087269", b"37.502669"], [b"2.35", b"48.85"], [b"-0.1", b"51.5"],
          [b"179.9", b"0"], [b"-179.9", b"0.1"], [b"0", b"0"], [b"200", b"0"], [b"x", b"0"], [b"13.4", b"38.1"]]
UNITS = [b"m", b"km", b"mi", b"ft"]
CLOCKED = (b"XINFO", b"XPENDING")
VOLATILE = (b"idle", b"seen-time", b"radix-tree-keys", b"radix-tree-nodes")
MANY = b"1000"


def home(draw, kind, chance=0.75):
    return draw.one(HOME[kind] if draw.random.random() < chance else POOL)


def some(draw, choices, low=1, high=3):
    return [draw.one(choices) for _ in range(draw.random.randint(low, high))]


def pairs(draw, first, second, low=1, high=3):
    return [word for _ in range(draw.random.randint(low, high)) for word in (draw.one(first), draw.one(second))]


def keys(draw, kind, low=1, high=3):
    return [home(draw, kind) for _ in range(draw.random.randint(low, high))]


def counted(draw, kind):
    found = keys(draw, kind)
    return [draw.one([b"%d" % len(found)] * 9 + [b"%d" % (len(found) + 1), b"0"])] + found


def _hashes(d):
    k = home(d, "hash")
    field = lambda: d.one(FIELDS)  # noqa: E731
    return d.one([
        lambda: [b"HSET", k] + pairs(d, FIELDS, ELEMENTS), lambda: [b"HSET", k] + pairs(d, FIELDS, ELEMENTS),
        lambda: [b"HSET", k] + pairs(d, FIELDS, NUMBERS), lambda: [b"HMSET", k] + pairs(d, FIELDS, ELEMENTS),
        lambda: [b"HSETNX", k, field(), d.one(ELEMENTS)], lambda: [b"HGET", k, field()],
        lambda: [b"HMGET", k] + some(d, FIELDS), lambda: [b"HDEL", k] + some(d, FIELDS),
        lambda: [b"HEXISTS", k, field()], lambda: [b"HLEN", k], lambda: [b"HSTRLEN", k, field()],
        lambda: [b"HGETALL", k], lambda: [b"HKEYS", k], lambda: [b"HVALS", k],
        lambda: [b"HINCRBY", k, field(), d.one(NUMBERS)], lambda: [b"HINCRBYFLOAT", k, field(), d.one(FLOATS)],
        lambda: [b"HRANDFIELD", k, MANY] + d.one([[], [b"WITHVALUES"], [b"X"]]),
        lambda: [b"HSCAN", k, b"0", b"COUNT", MANY] + d.one([[], [], [b"MATCH", d.one([b"*", b"[fg]", b"1"])], [b"X"]]),
    ])()


def _lists(d):
    k = home(d, "list")
    end = lambda: d.one([b"LEFT", b"RIGHT", b"left", b"LEFT", b"RIGHT", b"UP"])  # noqa: E731
    return d.one([
        lambda: [b"RPUSH", k] + some(d, ELEMENTS, 1, 5), lambda: [b"LPUSH", k] + some(d, ELEMENTS, 1, 5),
        lambda: [b"RPUSH", k] + some(d, ELEMENTS), lambda: [d.one([b"LPUSHX", b"RPUSHX"]), k] + some(d, ELEMENTS),
        lambda: [d.one([b"LPOP", b"RPOP"]), k] + d.one([[], [], [d.one(COUNTS)], [b"-1"]]),
        lambda: [b"LLEN", k], lambda: [b"LINDEX", k, d.one(POSITIONS)],
        lambda: [b"LSET", k, d.one(POSITIONS), d.one(ELEMENTS)],
        lambda: [b"LINSERT", k, d.one([b"BEFORE", b"AFTER", b"BEFORE", b"AFTER", b"X"]), d.one(ELEMENTS),
                 d.one(ELEMENTS)],
        lambda: [b"LINSERT", k, d.one([b"BEFORE", b"AFTER"]), d.one(ELEMENTS), d.one(ELEMENTS)],
        lambda: [b"LRANGE", k, d.one(POSITIONS), d.one(POSITIONS)], lambda: [b"LRANGE", k, b"0", b"-1"],
        lambda: [b"LTRIM", k, d.one(POSITIONS), d.one(POSITIONS)],
        lambda: [b"LREM", k, d.one([b"0", b"1", b"-1", b"2", b"-2", b"x"]), d.one(ELEMENTS)],
        lambda: [b"LPOS", k, d.one(ELEMENTS)] + d.one([[], [b"RANK", d.one([b"1", b"2", b"-1", b"-2", b"0"])], []])
        + d.one([[], [b"COUNT", d.one(COUNTS)]]) + d.one([[], [], [b"MAXLEN", d.one(COUNTS)]]),
        lambda: [b"LMOVE", k, home(d, "list"), end(), end()], lambda: [b"RPOPLPUSH", k, home(d, "list")],
        lambda: [b"LMPOP"] + counted(d, "list") + [end()] + d.one([[], [b"COUNT", d.one(COUNTS)]]),
    ])()


def _sets(d):
    k = home(d, "set")
    return d.one([
        lambda: [b"SADD", k] + some(d, ELEMENTS, 1, 5), lambda: [b"SADD", k] + some(d, ELEMENTS, 1, 5),
        lambda: [b"SREM", k] + some(d, ELEMENTS), lambda: [b"SCARD", k], lambda: [b"SISMEMBER", k, d.one(ELEMENTS)],
        lambda: [b"SMISMEMBER", k] + some(d, ELEMENTS), lambda: [b"SMEMBERS", k],
        lambda: [b"SMOVE", k, home(d, "set"), d.one(ELEMENTS)], lambda: [b"SPOP", k, d.one([MANY, b"0", b"-1"])],
        lambda: [b"SRANDMEMBER", k, MANY],
        lambda: [d.one([b"SINTER", b"SUNION", b"SDIFF"])] + keys(d, "set"),
        lambda: [d.one([b"SINTERSTORE", b"SUNIONSTORE", b"SDIFFSTORE"]), home(d, "set")] + keys(d, "set"),
        lambda: [b"SINTERCARD"] + counted(d, "set") + d.one([[], [b"LIMIT", d.one(COUNTS)]]),
        lambda: [b"SSCAN", k, b"0", b"COUNT", MANY] + d.one([[], [], [b"MATCH", d.one([b"*", b"[xy]", b"1*"])]]),
    ])()


def _score(d):
    return d.one(SCORES) if d.random.random() < 0.95 else d.one(BAD_SCORES)


def _options(d):
    condition = d.one([[], [], [b"NX"], [b"XX"], [b"GT"], [b"LT"], [b"XX", b"GT"], [b"NX", b"XX"]])
    return condition + d.one([[], [], [b"CH"]])


def _limit(d):
    return d.one([[], [], [b"LIMIT", d.one(COUNTS + [b"-1"]), d.one(COUNTS + [b"-1"])]])


def _range(d):
    """Bounds and options of ZRANGE and ZRANGESTORE, scores apart."""
    kind = d.one([[], [b"BYSCORE"]])
    bounds = BOUNDS if kind else POSITIONS
    return [d.one(bounds), d.one(bounds)] + kind + d.one([[], [b"REV"]]) + (_limit(d) if kind else [])


def _sorted(d):
    k = home(d, "zset")
    scores = lambda: d.one([[], [], [b"WITHSCORES"]])  # noqa: E731
    return d.one([
        lambda: [b"ZADD", k] + [w for _ in range(d.random.randint(1, 4)) for w in (_score(d), d.one(ELEMENTS))],
        lambda: [b"ZADD", k] + [w for _ in range(d.random.randint(1, 4)) for w in (_score(d), d.one(ELEMENTS))],
        lambda: [b"ZADD", k] + _options(d) + [w for _ in range(2) for w in (_score(d), d.one(ELEMENTS))],
        lambda: [b"ZADD", k] + _options(d) + [b"INCR", _score(d), d.one(ELEMENTS)],
        lambda: [b"ZINCRBY", k, _score(d), d.one(ELEMENTS)], lambda: [b"ZREM", k] + some(d, ELEMENTS),
        lambda: [b"ZCARD", k], lambda: [b"ZSCORE", k, d.one(ELEMENTS)], lambda: [b"ZMSCORE", k] + some(d, ELEMENTS),
        lambda: [d.one([b"ZRANK", b"ZREVRANK"]), k, d.one(ELEMENTS)],
        lambda: [b"ZRANGE", k] + _range(d) + scores(), lambda: [b"ZRANGESTORE", home(d, "zset"), k] + _range(d),
        lambda: [b"ZRANGE", k, b"0", b"-1", b"WITHSCORES"],
        lambda: [b"ZREVRANGE", k, d.one(POSITIONS), d.one(POSITIONS)] + scores(),
        lambda: [d.one([b"ZRANGEBYSCORE", b"ZREVRANGEBYSCORE"]), k, d.one(BOUNDS), d.one(BOUNDS)] + scores()
        + _limit(d),
        lambda: [b"ZCOUNT", k, d.one(BOUNDS), d.one(BOUNDS)],
        lambda: [b"ZREMRANGEBYRANK", k, d.one(POSITIONS), d.one(POSITIONS)],
        lambda: [b"ZREMRANGEBYSCORE", k, d.one(BOUNDS), d.one(BOUNDS)],
        lambda: [d.one([b"ZPOPMIN", b"ZPOPMAX"]), k] + d.one([[], [d.one(COUNTS)]]),
        lambda: [b"ZMPOP"] + counted(d, "zset") + [d.one([b"MIN", b"MAX"])] + d.one([[], [b"COUNT", d.one(COUNTS)]]),
        lambda: [b"ZRANDMEMBER", k, MANY] + scores(),
        lambda: [b"ZSCAN", k, b"0", b"COUNT", MANY] + d.one([[], [b"MATCH", d.one([b"*", b"[xy]"])]]),
    ])()


def _by_name(d):
    """A sorted set of its own, in which all scores are equal: only then ranges of names mean something."""
    bounds = lambda: [b"lex", d.one(NAMES), d.one(NAMES)]  # noqa: E731
    return d.one([
        lambda: [b"ZADD", b"lex"] + [w for _ in range(4) for w in (b"0", d.one(ELEMENTS))],
        lambda: [b"ZREM", b"lex"] + some(d, ELEMENTS), lambda: [b"ZLEXCOUNT"] + bounds(),
        lambda: [d.one([b"ZRANGEBYLEX", b"ZREVRANGEBYLEX"])] + bounds() + _limit(d),
        lambda: [b"ZRANGE"] + bounds() + [b"BYLEX"] + d.one([[], [b"REV"]]) + _limit(d),
        lambda: [b"ZRANGESTORE", home(d, "zset")] + bounds() + [b"BYLEX"] + d.one([[], [b"REV"]]) + _limit(d),
        lambda: [b"ZREMRANGEBYLEX"] + bounds(),
    ])()


def _several(d):
    """Sorted sets together; sets are among the sources."""
    sources = lambda: counted(d, d.one(["zset", "zset", "zset", "set"]))  # noqa: E731
    weights = lambda: d.one([[], [], [b"WEIGHTS", b"2"], [b"WEIGHTS", b"2", b"0.5"],  # noqa: E731
                             [b"WEIGHTS", b"1", b"1", b"-1"]])
    aggregate = lambda: d.one([[], [b"AGGREGATE", d.one([b"SUM", b"MIN", b"MAX"])]])  # noqa: E731
    scores = lambda: d.one([[], [b"WITHSCORES"]])  # noqa: E731
    return d.one([
        lambda: [d.one([b"ZUNION", b"ZINTER"])] + sources() + weights() + aggregate() + scores(),
        lambda: [d.one([b"ZUNIONSTORE", b"ZINTERSTORE"]), home(d, "zset")] + sources() + weights() + aggregate(),
        lambda: [b"ZDIFF"] + sources() + scores(), lambda: [b"ZDIFFSTORE", home(d, "zset")] + sources(),
        lambda: [b"ZINTERCARD"] + sources() + d.one([[], [b"LIMIT", d.one(COUNTS)]]),
    ])()


def _trim(d):
    return d.one([[b"MAXLEN", d.one(COUNTS)], [b"MAXLEN", b"=", d.one(COUNTS)], [b"MINID", d.one(IDS)],
                  [b"MAXLEN", b"x"]])


def _streams(d):
    k = home(d, "stream")
    count = lambda: d.one([[], [b"COUNT", d.one(COUNTS)]])  # noqa: E731
    return d.one([
        lambda: [b"XADD", k, d.one(IDS)] + pairs(d, FIELDS, ELEMENTS), lambda: [b"XADD", k, b"5-*", b"f", b"v"],
        lambda: [b"XADD", k] + d.one([[], [b"NOMKSTREAM"]]) + _trim(d) + [d.one(IDS), b"f", b"v"],
        lambda: [b"XTRIM", k] + _trim(d), lambda: [b"XDEL", k] + some(d, IDS), lambda: [b"XLEN", k],
        lambda: [b"XRANGE", k, d.one(RANGES), d.one(RANGES)] + count(), lambda: [b"XRANGE", k, b"-", b"+"],
        lambda: [b"XREVRANGE", k, d.one(RANGES), d.one(RANGES)] + count(),
        lambda: [b"XREAD"] + count() + [b"STREAMS", k, home(d, "stream"), d.one(IDS + [b"$"]), d.one(IDS)],
        lambda: [b"XSETID", k, d.one(IDS)] + d.one([[], [], [b"ENTRIESADDED", b"50", b"MAXDELETEDID", b"1-1"]]),
        lambda: [b"XINFO", b"STREAM", k] + d.one([[], [b"FULL"]]),
    ])()


def _groups(d):
    k, g, c = home(d, "stream"), d.one(GROUPS), d.one(CONSUMERS)
    return d.one([
        lambda: [b"XGROUP", b"CREATE", k, g, d.one([b"0", b"$", b"2-1"])] + d.one([[], [b"MKSTREAM"]]),
        lambda: [b"XGROUP", b"CREATE", k, g, b"0", b"MKSTREAM"],
        lambda: [b"XGROUP", d.one([b"CREATECONSUMER", b"DELCONSUMER"]), k, g, c],
        lambda: [b"XGROUP", b"SETID", k, g, d.one([b"0", b"$", b"1-1"])], lambda: [b"XGROUP", b"DESTROY", k, g],
        lambda: [b"XREADGROUP", b"GROUP", g, c] + d.one([[], [b"COUNT", d.one(COUNTS)]]) + d.one([[], [], [b"NOACK"]])
        + [b"STREAMS", k, d.one([b">", b">", b"0", b"1-1"])],
        lambda: [b"XREADGROUP", b"GROUP", g, c, b"STREAMS", k, b">"],
        lambda: [b"XACK", k, g] + some(d, IDS), lambda: [b"XPENDING", k, g],
        lambda: [b"XPENDING", k, g, d.one(RANGES), d.one(RANGES), d.one(COUNTS)] + d.one([[], [c]]),
        lambda: [b"XCLAIM", k, g, c, b"0"] + some(d, IDS[:7])
        + d.one([[], [b"JUSTID"], [b"FORCE"], [b"RETRYCOUNT", b"3"]]),
        lambda: [b"XAUTOCLAIM", k, g, c, b"0", d.one([b"0", b"-", b"1-2"])]
        + d.one([[], [b"COUNT", b"1"], [b"JUSTID"]]),
        lambda: [b"XINFO", b"GROUPS", k], lambda: [b"XINFO", b"CONSUMERS", k, g],
    ])()


def _places(d):
    # Mostly a key of their own: other scores are places at the edge of the map, around which Redis finds not all.
    k = b"geo"
    origin = lambda: d.one([[b"FROMMEMBER", d.one(ELEMENTS[:5])], [b"FROMLONLAT"] + d.one(PLACES)])  # noqa: E731
    area = lambda: d.one([[b"BYRADIUS", d.one([b"1", b"200", b"5000", b"-1"]), d.one(UNITS)],  # noqa: E731
                          [b"BYBOX", d.one([b"10", b"400"]), d.one([b"400", b"9000"]), d.one(UNITS)]])
    withs = lambda: [w for w in (b"WITHDIST", b"WITHCOORD", b"WITHHASH") if d.random.random() < 0.3]  # noqa: E731
    order = lambda: d.one([[], [b"ASC"], [b"DESC"]])  # noqa: E731
    count = lambda: d.one([[], [], [b"COUNT", d.one(COUNTS)]])  # noqa: E731
    circle = lambda: [d.one([b"1", b"200", b"5000"]), d.one(UNITS)]  # noqa: E731
    store = lambda: d.one([[b"STORE", home(d, "zset")], [b"STOREDIST", home(d, "zset")]])  # noqa: E731
    return d.one([
        lambda: [b"GEOADD", k] + d.one([[], [], [b"NX"], [b"XX"], [b"CH"]])
        + [w for _ in range(d.random.randint(1, 3)) for w in d.one(PLACES) + [d.one(ELEMENTS[:5])]],
        lambda: [b"GEOADD", k] + [w for _ in range(3) for w in d.one(PLACES[:7]) + [d.one(ELEMENTS[:5])]],
        lambda: [b"GEOADD", home(d, "zset")] + d.one(PLACES) + [d.one(ELEMENTS)],
        lambda: [d.one([b"GEOHASH", b"GEOPOS"]), home(d, "zset")] + some(d, ELEMENTS),
        lambda: [b"GEODIST", k, d.one(ELEMENTS[:5]), d.one(ELEMENTS[:5])] + d.one([[], [d.one(UNITS)], [b"x"]]),
        lambda: [d.one([b"GEOHASH", b"GEOPOS"]), k] + some(d, ELEMENTS[:5]),
        lambda: [b"GEOSEARCH", k] + origin() + area() + order() + count() + withs(),
        lambda: [b"GEOSEARCHSTORE", home(d, "zset"), k] + origin() + area() + d.one([[], [b"STOREDIST"]]),
        lambda: [d.one([b"GEORADIUS", b"GEORADIUS_RO"]), k] + d.one(PLACES) + circle() + order() + withs(),
        lambda: [b"GEORADIUS", k] + d.one(PLACES) + circle() + store(),
        lambda: [d.one([b"GEORADIUSBYMEMBER", b"GEORADIUSBYMEMBER_RO"]), k, d.one(ELEMENTS[:5])] + circle() + order(),
        lambda: [b"GEORADIUSBYMEMBER", k, d.one(ELEMENTS[:5])] + circle() + store(),
    ])()


def _sort(d):
    k = home(d, d.one(["list", "set", "zset"]), 0.9)
    order = d.one([[], [], [b"DESC"]]) + d.one([[], [b"ALPHA"], [b"ALPHA"]])
    gets = d.one([[], [], [b"GET", b"#"], [b"GET", b"key:*"], [b"GET", b"#", b"GET", b"*->f"]])
    if d.random.random() < 0.15:
        return [d.one([b"SORT", b"SORT_RO"]), k, b"BY", b"nosort"]
    # Names of elements settle only ties of numbers.
    by = [] if b"ALPHA" in order else d.one([[], [], [b"BY", b"key:*"], [b"BY", b"*->f"], [b"BY", b"*->1"]])
    limit = _limit(d)
    if d.random.random() < 0.3:
        return [b"SORT", k] + by + order + limit + gets + [b"STORE", home(d, "list")]
    return [d.one([b"SORT", b"SORT_RO"]), k] + by + limit + order + gets


def _waiting(d):
    end = lambda: d.one([b"LEFT", b"RIGHT"])  # noqa: E731
    return d.one([
        lambda: [d.one([b"BLPOP", b"BRPOP"])] + keys(d, "list") + [b"0.01"],
        lambda: [b"BLMOVE", home(d, "list"), home(d, "list"), end(), end(), b"0.01"],
        lambda: [b"BRPOPLPUSH", home(d, "list"), home(d, "list"), b"0.01"],
        lambda: [b"BLMPOP", b"0.01"] + counted(d, "list") + [end()],
        lambda: [d.one([b"BZPOPMIN", b"BZPOPMAX"])] + keys(d, "zset") + [b"0.01"],
        lambda: [b"BZMPOP", b"0.01"] + counted(d, "zset") + [d.one([b"MIN", b"MAX"])],
        lambda: [b"XREAD", b"BLOCK", b"10", b"STREAMS", home(d, "stream"), d.one([b"$", b"0", b"2-1"])],
    ])()


def _digest(d):
    """What is at some keys as one hash of each: everything of it that commands have left is compared."""
    return [b"DEBUG", b"DIGEST-VALUE"] + [d.one(POOL) for _ in range(3)]


FAMILIES = [(_hashes, 6), (_lists, 6), (_sets, 5), (_sorted, 7), (_by_name, 2), (_several, 3), (_streams, 4),
            (_groups, 3), (_places, 3), (_sort, 2), (_waiting, 1), (_digest, 2)]
# Within a script replies are compared as they are: these have no order of their own, and those in ALONE are left out.
DISORDERED = (b"SMEMBERS", b"SINTER", b"SUNION", b"SDIFF", b"SPOP", b"SRANDMEMBER", b"SSCAN", b"HKEYS", b"HVALS",
              b"HGETALL", b"HRANDFIELD", b"HSCAN", b"ZRANDMEMBER", b"ZSCAN", b"GEORADIUS", b"GEORADIUS_RO",
              b"GEORADIUSBYMEMBER", b"GEORADIUSBYMEMBER_RO", b"GEOSEARCH")
ALONE = DISORDERED + CLOCKED + (b"SORT", b"SORT_RO", b"DUMP", b"DEBUG")
# With a word less they answer what chance says.
CHOSEN = (b"SPOP", b"SRANDMEMBER", b"HRANDFIELD", b"ZRANDMEMBER")
WAITING = (b"BLPOP", b"BRPOP", b"BLMOVE", b"BRPOPLPUSH", b"BLMPOP", b"BZPOPMIN", b"BZPOPMAX", b"BZMPOP", b"XREAD")
# Not drawn with words of any kind: they wait, name ids by the clock, draw by chance or tell of memory and time.
APART = {word.decode().lower() for word in WAITING} | {
    "xreadgroup", "xadd", "xinfo", "xautoclaim", "xclaim", "xpending", "spop", "srandmember", "hrandfield",
    "zrandmember", "hscan", "sscan", "zscan", "sort", "sort_ro", "xgroup", "xtrim"}


def command(draw, names):
    """A command that both servers have (`names`, lower case), or None when they have none of these families."""
    for _ in range(60):
        family = draw.random.choices([family for family, _ in FAMILIES], [weight for _, weight in FAMILIES])[0]
        words = family(draw)
        if words[0].decode().lower() in names:
            return words
    return None


def paired(words, flat):
    """Whether the reply lists pairs one behind the other."""
    name = words[0].upper()
    if not flat or len(words) < 2:
        return False
    with_values = any(word.upper() in (b"WITHVALUES", b"WITHSCORES") for word in words[3:4])
    return name in (b"HGETALL", b"HSCAN", b"ZSCAN") or (name in (b"HRANDFIELD", b"ZRANDMEMBER") and with_values)


def elements(reply, words):
    """What a reply without an order says, in an order."""
    if reply.kind == "map":
        return ["map"] + sorted(repr((show(key), show(value))) for key, value in reply.value)
    if reply.kind not in ("array", "set"):
        return [reply.kind, repr(reply.value)]
    flat = all(item.kind in ("bulk", "double") for item in reply.value)
    if paired(words, flat) and len(reply.value) % 2 == 0:
        return [reply.kind] + sorted(repr((show(a), show(b))) for a, b in zip(reply.value[::2], reply.value[1::2]))
    return [reply.kind] + sorted(repr(show(item)) for item in reply.value)


def show(reply):
    if isinstance(reply.value, list):
        return [reply.kind] + [show(item) if isinstance(item, Reply) else [show(part) for part in item]
                               for item in reply.value]
    return [reply.kind, reply.value]


def timeless(reply):
    """A description of a stream without ages and memory layout."""
    if reply.kind == "map":
        parts = [part for pair in reply.value for part in pair]
    elif reply.kind in ("array", "set"):
        parts = reply.value
    else:
        return (reply.kind, reply.value)
    kinds = [part.kind for part in parts]
    if kinds == ["bulk", "bulk", "int", "int"]:
        parts = parts[:2] + parts[3:]  # id, consumer, age, deliveries
    elif kinds == ["bulk", "int", "int"]:
        parts = parts[:1] + parts[2:]  # id, time, deliveries
    out, index = [reply.kind], 0
    while index < len(parts):
        if parts[index].kind == "bulk" and parts[index].value in VOLATILE:
            index += 2
        else:
            out.append(timeless(parts[index]))
            index += 1
    return out


def alike_dumps(left, right):
    """Strings are dumped alike; the other types need not be, or not yet."""
    if right.kind != "bulk" or right.value[:1] == b"\x00":
        return left == right
    return left.kind == "bulk" or left.kind == "error" and b"cannot be dumped" in left.value


def alike(left, right, words):
    """True or False for commands whose replies are compared in a way of their own, else None."""
    name = words[0].upper() if words else b""
    if name in (b"HSCAN", b"SSCAN", b"ZSCAN") and left.kind == right.kind == "array" and len(left.value) == 2 \
            and len(right.value) == 2:
        return (left.value[0] == right.value[0]
                and elements(left.value[1], words) == elements(right.value[1], words))
    if name == b"DUMP":
        return alike_dumps(left, right)
    if name in CLOCKED:
        return timeless(left) == timeless(right)
    if name in DISORDERED and not any(word.upper() in (b"ASC", b"DESC", b"COUNT") for word in words[2:]):
        return elements(left, words) == elements(right, words)
    if name in (b"SORT", b"SORT_RO") and words[3:4] == [b"nosort"]:
        return elements(left, words) == elements(right, words)
    return None

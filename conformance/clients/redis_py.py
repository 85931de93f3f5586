"""redis-py over RESP3 (its default) and RESP2, over TCP and the Unix socket, blocking and with asyncio."""
import asyncio
import os
import sys
import threading
import time

import limits
import redis
import redis.asyncio
from checks import check, equal, raises, section

PORT, SOCKET = int(sys.argv[1]), sys.argv[2]


def strings(client, tag):
    client.flushall()
    equal(f"{tag}: set, get", (client.set("a", "1"), client.get("a"), client.get("none")), (True, b"1", None))
    equal(f"{tag}: options", (client.set("a", "2", nx=True), client.set("a", "2", xx=True, get=True),
                              client.set("b", "x", ex=100), 90 < client.ttl("b") <= 100), (None, b"1", True, True))
    equal(f"{tag}: getex, getdel", (client.getex("b", px=5000), client.pttl("b") <= 5000, client.getdel("b"),
                                    client.exists("b")), (b"x", True, b"x", 0))
    equal(f"{tag}: counters", (client.incr("n"), client.incrby("n", 41), client.decr("n", 2),
                               client.incrbyfloat("n", 0.5)), (1, 42, 40, 40.5))
    equal(f"{tag}: mset, mget", (client.mset({"x": "1", "y": "2"}), client.mget("x", "y", "z"),
                                 client.msetnx({"x": "0", "q": "0"})), (True, [b"1", b"2", None], False))
    equal(f"{tag}: ranges", (client.append("s", "hello"), client.setrange("s", 7, "!"), client.getrange("s", 0, -1),
                             client.strlen("s")), (5, 8, b"hello\0\0!", 8))
    client.mset({"l1": "ohmytext", "l2": "mynewtext"})
    equal(f"{tag}: lcs", client.lcs("l1", "l2"), b"mytext")
    big = os.urandom(3_000_000)
    equal(f"{tag}: 3 MB both ways", (client.set("big", big), client.get("big") == big), (True, True))
    raises(f"{tag}: error reply", redis.ResponseError, lambda: client.incr("l1"), "not an integer")
    raises(f"{tag}: unknown command", redis.ResponseError, lambda: client.execute_command("NOSUCH"), "unknown command")


def bits_and_counts(client, tag):
    client.flushall()
    equal(f"{tag}: bits", (client.setbit("bits", 7, 1), client.getbit("bits", 7), client.bitcount("bits"),
                           client.bitpos("bits", 1), client.bitop("NOT", "not", "bits"), client.get("not")),
          (0, 1, 1, 7, 1, b"\xfe"))
    equal(f"{tag}: bitfield", client.bitfield("field", "SAT").set("u8", 0, 250).incrby("u8", 0, 10).get("u4", 4)
          .execute(), [0, 255, 15])
    client.pfadd("seen", *range(1000))
    client.pfadd("more", *range(500, 1500))
    check(f"{tag}: pfcount", abs(client.pfcount("seen") - 1000) < 40, client.pfcount("seen"))
    client.pfmerge("all", "seen", "more")
    check(f"{tag}: pfmerge", abs(client.pfcount("all") - 1500) < 60, client.pfcount("all"))


def messages(client, tag):
    heard = client.pubsub()
    heard.subscribe("news")
    heard.psubscribe("n*")

    def take(count):
        taken = [heard.get_message(timeout=10) for _ in range(count)]
        return sorted((message["type"], message["channel"], message["data"]) for message in taken)

    equal(f"{tag}: subscribe", take(2), [("psubscribe", b"n*", 2), ("subscribe", b"news", 1)])
    equal(f"{tag}: publish", (client.publish("news", "hello"), client.publish("other", "x")), (2, 0))
    equal(f"{tag}: messages", take(2), [("message", b"news", b"hello"), ("pmessage", b"news", b"hello")])
    equal(f"{tag}: pubsub", (client.pubsub_channels(), client.pubsub_numsub("news"), client.pubsub_numpat()),
          ([b"news"], [(b"news", 1)], 1))
    heard.unsubscribe()
    heard.punsubscribe()
    equal(f"{tag}: unsubscribe", take(2), [("punsubscribe", b"n*", 0), ("unsubscribe", b"news", 1)])
    heard.close()

    got, all_heard = [], threading.Event()

    def keep(message):
        got.append(message["data"])
        if len(got) == 500:
            all_heard.set()

    heard = client.pubsub()
    heard.subscribe(**{"work": keep})
    listener = heard.run_in_thread(sleep_time=0.01)
    while client.pubsub_numsub("work")[0][1] == 0:
        pass
    with client.pipeline(transaction=False) as pipe:
        for index in range(500):
            pipe.publish("work", index)
        equal(f"{tag}: publish in a pipeline", set(pipe.execute()), {1})
    all_heard.wait(20)
    listener.stop()
    listener.join()
    equal(f"{tag}: a listener's thread hears all in order", got, [b"%d" % index for index in range(500)])


def key_events(client, tag):
    client.flushall()
    client.config_set("notify-keyspace-events", "Kg$x")
    try:
        heard = client.pubsub(ignore_subscribe_messages=True)
        heard.psubscribe("__keyspace@0__:*")
        heard.get_message(timeout=10)
        client.set("k", 1)
        client.expire("k", 100)
        with client.pipeline(transaction=True) as pipe:
            pipe.incr("k").persist("k").delete("k").execute()
        client.set("short", 1, px=1)
        events = []
        while len(events) < 8:
            message = heard.get_message(timeout=10)
            events.append((message["channel"][14:], message["data"]))
        equal(f"{tag}: keyspace events", events,
              [(b":k", b"set"), (b":k", b"expire"), (b":k", b"incrby"), (b":k", b"persist"), (b":k", b"del"),
               (b":short", b"set"), (b":short", b"expire"), (b":short", b"expired")])
        heard.close()
    finally:
        client.config_set("notify-keyspace-events", "")


def keys(client, tag):
    client.flushall()
    client.mset({f"key:{index}": index for index in range(1000)})
    equal(f"{tag}: scan_iter", len(set(client.scan_iter(count=50))), 1000)
    equal(f"{tag}: scan_iter match", set(client.scan_iter(match="key:99?")), {b"key:99%d" % i for i in range(10)})
    equal(f"{tag}: scan type", (len(list(client.scan_iter(_type="STRING"))), list(client.scan_iter(_type="LIST"))),
          (1000, []))
    equal(f"{tag}: keys, dbsize", (len(client.keys("key:1*")), client.dbsize()), (111, 1000))
    equal(f"{tag}: type, exists, touch", (client.type("key:1"), client.exists("key:1", "key:2", "none"),
                                          client.touch("key:1", "none")), (b"string", 2, 1))
    equal(f"{tag}: rename, copy", (client.rename("key:1", "r"), client.renamenx("r", "key:2"), client.copy("r", "c"),
                                   client.get("c")), (True, False, True, b"1"))
    equal(f"{tag}: delete, unlink", (client.delete("r", "c", "none"), client.unlink("key:2")), (2, 1))
    check(f"{tag}: randomkey", client.randomkey().startswith(b"key:"))
    equal(f"{tag}: expire", (client.expire("key:3", 100), client.expire("key:3", 50, gt=True),
                             client.persist("key:3"), client.ttl("key:3"), client.ttl("none")),
          (True, False, True, -1, -2))
    at = int(time.time()) + 1000
    equal(f"{tag}: expireat, expiretime", (client.expireat("key:3", at), client.expiretime("key:3")), (True, at))
    client.set("short", "x", px=30)
    end = time.monotonic() + 5
    while client.exists("short") and time.monotonic() < end:
        time.sleep(0.01)
    equal(f"{tag}: expired", client.get("short"), None)
    equal(f"{tag}: move, swapdb", (client.move("key:4", 5), client.exists("key:4"), client.swapdb(0, 5),
                                   client.dbsize(), client.swapdb(0, 5)), (True, 0, True, 1, True))
    equal(f"{tag}: object", client.object("encoding", "key:5"), b"int")


def transactions(client, tag):
    client.set("account", 100)

    def spend(pipe):
        balance = int(pipe.get("account"))
        pipe.multi()
        pipe.set("account", balance - 1)

    workers = [threading.Thread(target=lambda: [client.transaction(spend, "account") for _ in range(10)])
               for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    equal(f"{tag}: WATCH keeps 40 decrements apart", client.get("account"), b"60")
    with client.pipeline(transaction=True) as pipe:
        pipe.set("p", 1).incr("p").get("p").incr("l1x").get("none")
        equal(f"{tag}: transaction", pipe.execute(), [True, 2, b"2", 1, None])
    with client.pipeline(transaction=False) as pipe:
        for index in range(5000):
            pipe.set(f"pipe:{index}", index)
            pipe.get(f"pipe:{index}")
        replies = pipe.execute()
    equal(f"{tag}: pipeline of 10,000", replies[1::2], [b"%d" % index for index in range(5000)])
    with client.pipeline() as pipe:
        pipe.watch("p")
        client.set("p", "changed")
        pipe.multi()
        pipe.set("p", "mine")
        raises(f"{tag}: WatchError", redis.WatchError, pipe.execute)
    with client.pipeline() as pipe:
        pipe.set("word", "x").incr("word").set("after", 1)
        replies = pipe.execute(raise_on_error=False)
        check(f"{tag}: error inside EXEC", replies[0] is True and isinstance(replies[1], redis.ResponseError)
              and replies[2] is True, replies)


def scripts(client, tag):
    client.flushall()
    client.script_flush()
    add = client.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1]) + ARGV[2]")
    equal(f"{tag}: register_script", (add(["n"], [5, 100]), add(["n"], [5, 0])), (105, 10))
    client.script_flush()
    equal(f"{tag}: a script that was flushed", add(["n"], [1, 0]), 11)
    client.script_flush()
    with client.pipeline(transaction=True) as pipe:
        add(["n"], [1, 0], client=pipe)
        pipe.get("n")
        add(["n"], [1, 0], client=pipe)
        equal(f"{tag}: scripts in a transaction", pipe.execute(), [12, b"12", 13])
    with client.pipeline(transaction=False) as pipe:
        for index in range(1000):
            add([f"s:{index % 10}"], [1, 0], client=pipe)
        equal(f"{tag}: scripts in a pipeline", pipe.execute()[-10:], [100] * 10)
    equal(f"{tag}: values", client.eval("return {1, 'b', {3, {}}, false, 3.9, {ok='fine'}}", 0),
          [1, b"b", [3, []], None, 3, b"fine"])
    client.set("text", "x")
    raises(f"{tag}: an error", redis.ResponseError,
           lambda: client.eval("return redis.call('INCR', KEYS[1])", 1, "text"), "not an integer")
    raises(f"{tag}: NOSCRIPT", redis.exceptions.NoScriptError, lambda: client.evalsha("0" * 40, 0))
    raises(f"{tag}: eval_ro", redis.ResponseError, lambda: client.eval_ro("redis.call('SET', 'a', 1)", 0),
           "Write commands are not allowed")
    equal(f"{tag}: cjson, cmsgpack", client.eval(
        "return {cjson.encode({a = {1, 2}}), cmsgpack.unpack(cmsgpack.pack(ARGV[1], 7))}", 0, "x"),
        [b'{"a":[1,2]}', b"x", 7])
    client.function_flush()
    client.function_load("#!lua name=lib\nredis.register_function('put', function(k, a) "
                         "return redis.call('SET', k[1], a[1]) end)")
    equal(f"{tag}: functions", (client.fcall("put", 1, "f", "v") in (b"OK", True), client.get("f")), (True, b"v"))
    payload = client.function_dump()
    client.function_flush()
    equal(f"{tag}: function dump and restore", (client.function_restore(payload) in (b"OK", True),
                                                len(client.function_list())), (True, 1))
    client.function_flush()


def locks(client, tag):
    client.delete("lock", "shared", "other")
    with client.lock("lock", timeout=20) as lock:
        equal(f"{tag}: lock", (lock.owned(), client.lock("lock").acquire(blocking=False), lock.extend(5),
                               lock.reacquire()), (True, False, True, True))
    equal(f"{tag}: lock is free again", client.exists("lock"), 0)
    stale = client.lock("other", timeout=20)
    stale.acquire()
    client.set("other", "somebody else")
    raises(f"{tag}: a lock that was lost", redis.exceptions.LockNotOwnedError, stale.release)

    def work():
        for _ in range(10):
            with client.lock("lock", timeout=20, sleep=0.001):
                value = int(client.get("shared") or 0)
                client.set("shared", value + 1)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    equal(f"{tag}: lock keeps 40 additions apart", client.get("shared"), b"40")


def limiters(client, tag):
    client.flushall()
    store = limits.storage.RedisStorage(f"redis://127.0.0.1:{PORT}")
    ten = limits.parse("10/minute")
    for strategy in (limits.strategies.FixedWindowRateLimiter, limits.strategies.SlidingWindowCounterRateLimiter):
        limiter = strategy(store)
        name = strategy.__name__
        # A window may end on the way: then what was let through is at most twice as much.
        let = [limiter.hit(ten, name, tag) for _ in range(30)].count(True)
        check(f"{tag}: {name}", 10 <= let <= 20, let)
        check(f"{tag}: {name}: what is left", limiter.get_window_stats(ten, name, tag).remaining < 10)


def administration(client, tag):
    info = client.info()
    check(f"{tag}: info", info["redis_version"].startswith("7.") and info["connected_clients"] >= 1
          and info["db0"]["keys"] == client.dbsize(), info)
    check(f"{tag}: info section", client.info("commandstats")["cmdstat_set"]["calls"] > 1)
    equal(f"{tag}: config", (client.config_set("slowlog-max-len", 99), client.config_get("slowlog-max-len")),
          (True, {"slowlog-max-len": "99"}))
    check(f"{tag}: config several", set(client.config_get("maxclients", "timeout")) == {"maxclients", "timeout"})
    client.client_setname("tester")
    equal(f"{tag}: client", (client.client_getname() in (b"tester", "tester"), isinstance(client.client_id(), int)),
          (True, True))
    names = [entry["name"] for entry in client.client_list()]
    check(f"{tag}: client list", "tester" in names, names)
    check(f"{tag}: command", client.command_count() > 80 and "get" in {str(key).lower() for key in client.command()})
    check(f"{tag}: command getkeys", client.command_getkeys("MSET", "a", 1, "b", 2) in ([b"a", b"b"], ["a", "b"]))
    seconds, micros = client.time()
    check(f"{tag}: time", abs(seconds + micros / 1e6 - time.time()) < 60)
    check(f"{tag}: memory usage", client.memory_usage("big2") is None)
    check(f"{tag}: slowlog", isinstance(client.slowlog_get(), list) and client.slowlog_len() >= 0)
    check(f"{tag}: save", client.save() and client.lastsave() is not None)
    with client.monitor() as monitor:
        client.set("watched", "by monitor")
        lines = (monitor.next_command()["command"] for _ in range(10))
        check(f"{tag}: monitor", any(line == "SET watched by monitor" for line in lines))


def range_command(client, tag):
    """Valk's scan in key order; another server does not have it."""
    if "vrange" not in {name.decode() if isinstance(name, bytes) else name for name in client.command()}:
        return
    client.flushall()
    client.mset({f"k{index:03}": index for index in range(300)})
    equal(f"{tag}: VRANGE in order", client.execute_command("VRANGE", "[k100", "(k104"),
          [b"k100", b"k101", b"k102", b"k103"])
    equal(f"{tag}: VRANGE REV LIMIT", client.execute_command("VRANGE", "+", "-", "LIMIT", 2, "REV"),
          [b"k299", b"k298"])


for protocol in (3, 2):
    tag = f"RESP{protocol}"
    with section(f"{tag}: connect"):
        client = redis.Redis(port=PORT, protocol=protocol)
        equal(f"{tag}: ping", client.ping(), True)
        for part in (strings, bits_and_counts, messages, key_events, keys, transactions, scripts, locks, limiters,
                     administration, range_command):
            with section(f"{tag}: {part.__name__}"):
                part(client, tag)
        client.close()

with section("default protocol"):
    client = redis.Redis(port=PORT, decode_responses=True)
    equal("text", (client.set("ключ", "значение"), client.get("ключ")), (True, "значение"))
    equal("default is RESP3", str(client.execute_command("HELLO")["proto"]), "3")

# redis-py's own cache asks for Redis 7.4; what it is built on does not.
with section("client-side caching"):
    other, told = redis.Redis(port=PORT), []
    other.mset({"cached": 1, "beside": 1})
    client = redis.Redis(port=PORT, protocol=3, single_connection_client=True)
    client.connection._parser.set_invalidation_push_handler(told.append)
    equal("tracking on", client.execute_command("CLIENT TRACKING", "ON"), b"OK")
    equal("tracking: read", client.mget("cached", "beside"), [b"1", b"1"])
    equal("tracking: redirected nowhere", client.client_getredir(), 0)
    other.set("cached", 2)
    deadline = time.time() + 10
    while len(told) < 1 and time.time() < deadline:
        client.ping()
    equal("tracking: told of a change", told, [[b"invalidate", [b"cached"]]])
    other.flushall()
    while len(told) < 2 and time.time() < deadline:
        client.ping()
    equal("tracking: told that all is gone", told[1:], [[b"invalidate", None]])
    client.close()

with section("unix socket"):
    client = redis.Redis(unix_socket_path=SOCKET)
    equal("unix socket", (client.set("unix", "yes"), client.get("unix")), (True, b"yes"))

with section("authentication"):
    client = redis.Redis(port=PORT)
    client.config_set("requirepass", "secret")
    try:
        raises("no password", redis.AuthenticationError, lambda: redis.Redis(port=PORT).ping())
        raises("wrong password", redis.AuthenticationError, lambda: redis.Redis(port=PORT, password="no").ping())
        for protocol in (3, 2):
            equal(f"password over RESP{protocol}", redis.Redis(port=PORT, password="secret", protocol=protocol).ping(),
                  True)
        equal("user and password", redis.Redis(port=PORT, username="default", password="secret").ping(), True)
    finally:
        redis.Redis(port=PORT, password="secret").config_set("requirepass", "")

with section("users"):
    admin = redis.Redis(port=PORT, decode_responses=True)
    admin.acl_setuser("reader", enabled=True, passwords=["+first", "+second"], categories=["+read"],
                      commands=["+set", "+acl|whoami"], keys=["r:*"], channels=["news"],
                      selectors=[("+del", "%W~w:*")])
    described = admin.acl_getuser("reader")
    equal("flags", described["flags"], ["on"])
    equal("keys and channels", (described["keys"], described["channels"]), (["~r:*"], ["&news"]))
    equal("selectors", [part["keys"] for part in map(
        lambda flat: dict(zip(flat[::2], flat[1::2])) if isinstance(flat, list) else flat,
        described["selectors"])], ["%W~w:*"])
    equal("users", admin.acl_users(), ["default", "reader"])
    equal("generated password", len(admin.acl_genpass()), 64)
    reader = redis.Redis(port=PORT, username="reader", password="second", decode_responses=True)
    equal("who", reader.acl_whoami(), "reader")
    equal("allowed", (reader.set("r:1", "x"), reader.get("r:1"), reader.delete("w:1")), (True, "x", 0))
    raises("command", redis.exceptions.NoPermissionError, lambda: reader.incr("r:1"))
    raises("key", redis.exceptions.NoPermissionError, lambda: reader.get("other"))
    raises("channel", redis.exceptions.NoPermissionError, lambda: reader.publish("other", "x"))
    equal("log", [(entry["reason"], entry["object"]) for entry in admin.acl_log()][:3],
          [("command", "publish"), ("key", "other"), ("command", "incrby")])
    equal("forget", (admin.acl_log_reset(), admin.acl_deluser("reader")), (True, 1))
    raises("gone", redis.AuthenticationError,
           lambda: redis.Redis(port=PORT, username="reader", password="second").ping())


async def with_asyncio():
    client = redis.asyncio.Redis(port=PORT)
    await client.flushall()
    await asyncio.gather(*(client.set(f"async:{index}", index) for index in range(90)))
    values = await asyncio.gather(*(client.get(f"async:{index}") for index in range(90)))
    equal("asyncio: 90 at once", values, [b"%d" % index for index in range(90)])
    async with client.pipeline(transaction=True) as pipe:
        equal("asyncio: transaction", await pipe.set("t", 1).incr("t").execute(), [True, 2])
    await client.aclose()


with section("asyncio"):
    asyncio.run(with_asyncio())

print("done")

"""What an operator asks through redis-py: eviction, latency, memory, users, slow commands, clients, commands."""
import contextlib
import sys

import redis
from checks import check, equal, raises, section

PORT = int(sys.argv[1])


@contextlib.contextmanager
def settings(client, **values):
    """Settings for a while; what was there before comes back."""
    names = {name.replace("_", "-"): value for name, value in values.items()}
    before = {name: client.config_get(name)[name] for name in names}
    client.config_set(*[word for pair in names.items() for word in pair])
    try:
        yield
    finally:
        client.config_set(*[word for pair in before.items() for word in pair])


def eviction(client, tag):
    client.flushall()
    client.set("kept", "x" * 100)
    with settings(client, maxmemory="1", maxmemory_policy="noeviction"):
        raises(f"{tag}: a write beyond the limit", redis.exceptions.OutOfMemoryError, lambda: client.set("a", "b"),
               "command not allowed when used memory > 'maxmemory'")
        equal(f"{tag}: reads and deletes go on", (client.get("kept"), client.delete("kept")), (b"x" * 100, 1))
        raises(f"{tag}: a transaction with a write is refused", redis.exceptions.OutOfMemoryError,
               lambda: client.pipeline().set("a", "b").execute())
        raises(f"{tag}: a script that may write", redis.exceptions.ResponseError,
               lambda: client.eval("#!lua\nreturn redis.call('SET', KEYS[1], 'b')", 1, "a"), "used memory")
        equal(f"{tag}: nothing was written", client.exists("a"), 0)
    equal(f"{tag}: without the limit", client.set("a", "b"), True)
    with settings(client, maxmemory_policy="allkeys-lfu"):
        client.set("often", 1)
        for _ in range(200):
            client.get("often")
        check(f"{tag}: object freq", client.object("freq", "often") > 1)
        raises(f"{tag}: no idle times then", redis.exceptions.ResponseError, lambda: client.object("idletime", "often"),
               "LFU maxmemory policy is selected")
    raises(f"{tag}: no frequencies now", redis.exceptions.ResponseError, lambda: client.object("freq", "often"),
           "LFU maxmemory policy is not selected")
    client.set("often", 1)
    check(f"{tag}: object idletime", 0 <= client.object("idletime", "often") < 60)
    raises(f"{tag}: an unknown policy", redis.exceptions.ResponseError,
           lambda: client.config_set("maxmemory-policy", "sometimes"), "must be one of the following")
    check(f"{tag}: evictions are counted", client.info("stats")["evicted_keys"] >= 0)


def latency(client, tag):
    client.latency_reset()
    with settings(client, latency_monitor_threshold="10"):
        client.execute_command("DEBUG", "SLEEP", "0.03")
        latest = client.latency_latest()
        names = [event[0] for event in latest]
        check(f"{tag}: latency latest", b"command" in names and latest[names.index(b"command")][2] >= 29, latest)
        history = client.latency_history("command")
        check(f"{tag}: latency history", len(history) == 1 and history[0][1] >= 29, history)
        check(f"{tag}: latency graph", b"command - high" in client.execute_command("LATENCY GRAPH", "command"))
        check(f"{tag}: latency doctor", b"command" in client.execute_command("LATENCY DOCTOR"))
        equal(f"{tag}: latency reset", (client.latency_reset("command"), client.latency_latest()), (1, []))
    histogram = client.execute_command("LATENCY HISTOGRAM", "set", "nosuch")
    check(f"{tag}: latency histogram", b"set" in histogram and b"nosuch" not in histogram, histogram)


def memory(client, tag):
    client.set("some", "x" * 10000)
    check(f"{tag}: memory usage", min(client.memory_usage("some"), client.memory_usage("some", samples=0)) >= 10000)
    stats = client.memory_stats()
    check(f"{tag}: memory stats", stats["keys.count"] == client.dbsize() and stats["total.allocated"] > 0
          and stats["overhead.total"] >= 0, stats)
    equal(f"{tag}: memory purge", client.memory_purge(), True)
    check(f"{tag}: memory malloc-stats", len(client.memory_malloc_stats()) > 0)
    check(f"{tag}: memory doctor", len(client.execute_command("MEMORY DOCTOR")) > 0)
    check(f"{tag}: info memory", client.info("memory")["used_memory"] > 0)


def users(client, tag):
    client = redis.Redis(port=PORT, protocol=int(tag[-1]), decode_responses=True)
    client.acl_setuser("ann", enabled=True, passwords=["+secret"], keys=["a:*"], channels=["news:*"],
                       commands=["+get", "+set", "+publish", "+client", "+hello"])
    check(f"{tag}: list", any(line.startswith("user ann on") for line in client.acl_list()), client.acl_list())
    ann = redis.Redis(port=PORT, username="ann", password="secret", protocol=int(tag[-1]))
    equal(f"{tag}: ann may", (ann.set("a:1", "x"), ann.get("a:1"), ann.publish("news:1", "m")), (True, b"x", 0))
    client.acl_log_reset()
    for name, call in (("key", lambda: ann.get("b:1")), ("command", lambda: ann.delete("a:1")),
                       ("channel", lambda: ann.publish("other", "m"))):
        raises(f"{tag}: ann may not, by {name}", redis.exceptions.NoPermissionError, call, "permissions")
    raises(f"{tag}: a wrong password", redis.exceptions.AuthenticationError,
           lambda: redis.Redis(port=PORT, username="ann", password="no").ping(), "invalid username-password pair")
    equal(f"{tag}: the log", sorted((entry["reason"], entry["username"]) for entry in client.acl_log()),
          [("auth", "ann"), ("channel", "ann"), ("command", "ann"), ("key", "ann")])
    equal(f"{tag}: dryrun", (client.acl_dryrun("ann", "GET", "a:1"), "permissions" in
                             client.acl_dryrun("ann", "GET", "b")), ("OK", True))
    check(f"{tag}: categories", {"read", "write", "scripting"} <= set(client.acl_cat())
          and {"get", "mget"} <= set(client.acl_cat("read")), client.acl_cat())
    equal(f"{tag}: genpass, whoami", (len(client.acl_genpass(128)), client.acl_whoami()), (32, "default"))
    equal(f"{tag}: deluser ends connections", client.acl_deluser("ann"), 1)
    raises(f"{tag}: ann is gone", (redis.exceptions.ConnectionError, redis.exceptions.AuthenticationError),
           lambda: ann.get("a:1"))


def slow(client, tag):
    with settings(client, slowlog_log_slower_than="10000"):
        client.slowlog_reset()
        client.execute_command("DEBUG", "SLEEP", "0.02")
        entry = client.slowlog_get()[0]
        check(f"{tag}: the slow log", entry["duration"] >= 20000 and entry["command"] == b"DEBUG SLEEP 0.02", entry)
        equal(f"{tag}: its length", (client.slowlog_len(), client.slowlog_reset(), client.slowlog_len()), (1, True, 0))


def clients(client, tag):
    other = redis.Redis(port=PORT, single_connection_client=True, client_name="other")
    identity = other.client_id()
    names = {entry["name"]: entry for entry in client.client_list()}
    check(f"{tag}: client list", names["other"]["id"] == str(identity), names)
    equal(f"{tag}: client list by id", [entry["name"] for entry in client.client_list(client_id=[identity])], ["other"])
    check(f"{tag}: client info", client.client_info()["id"] == client.client_info()["id"])
    equal(f"{tag}: no-evict, pause, unpause", (client.client_no_evict("ON"), client.client_pause(1, all=False),
                                               client.client_unpause()), (b"OK", True, b"OK"))
    check(f"{tag}: trackinginfo", b"off" in str(client.client_trackinginfo()).encode())
    equal(f"{tag}: unblock", client.client_unblock(identity), False)
    equal(f"{tag}: kill", client.client_kill_filter(_id=identity), 1)
    raises(f"{tag}: it is gone", redis.exceptions.ConnectionError, lambda: other.connection.read_response())


def commands(client, tag):
    def documents(*names):
        return client.execute_command("COMMAND DOCS", *names)

    check(f"{tag}: docs", b"get" in documents("get", "nosuch") and len(documents("get", "set")) >= 2)
    check(f"{tag}: list", {"get", "config|get"} <= {text(name) for name in client.command_list()})
    equal(f"{tag}: list by pattern", {text(name) for name in client.command_list(pattern="get*")},
          {"get", "getbit", "getdel", "getex", "getrange", "getset"})
    found = client.command_getkeysandflags("SET", "k", "v")
    equal(f"{tag}: getkeysandflags", (text(found[0][0]), {text(flag) for flag in found[0][1]}),
          ("k", {"OW", "update"}))
    check(f"{tag}: lolwut", b"Redis ver. 7.0.15" in client.lolwut())
    equal(f"{tag}: role, wait", (client.role()[:1], client.wait(0, 10)), ([b"master"], 0))
    equal(f"{tag}: modules, resetstat", (client.module_list(), client.config_resetstat()), ([], True))


def text(value):
    return value.decode() if isinstance(value, bytes) else value


for protocol in (3, 2):
    tag = f"RESP{protocol}"
    with redis.Redis(port=PORT, protocol=protocol) as client:
        for part in (eviction, latency, memory, users, slow, clients, commands):
            with section(f"{tag}: {part.__name__}"):
                part(client, tag)
print("done")

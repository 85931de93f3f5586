"""Redis's own Sentinel as the watcher of one server: content while it lives, alarmed when it is killed, content again.

    sentinel.py BINARY [server arguments]
"""
import subprocess
import sys
import time
from pathlib import Path

import blackbox
import redis
from checks import check, equal, until
from redis.sentinel import Sentinel


def heard(subscription, channel, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        message = subscription.get_message(ignore_subscribe_messages=True, timeout=1)
        if message and message["channel"] == channel:
            return message["data"].decode()
    return ""


def main():
    server = blackbox.Server(sys.argv[1], extra=sys.argv[2:])
    server.start()
    port = blackbox.free_port()
    settings = Path(server.home) / "sentinel.conf"
    # Two of one must agree before a failover: this Sentinel only watches.
    settings.write_text(f"port {port}\nbind 127.0.0.1\ndir {server.home}\n"
                        f"sentinel monitor valk 127.0.0.1 {server.port} 2\n"
                        "sentinel down-after-milliseconds valk 1500\n")
    process = subprocess.Popen(["redis-sentinel", str(settings)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        watch(server, port)
    finally:
        process.kill()
        process.wait()
        server.stop()
    print("done")


def watch(server, port):
    sentinel, client = redis.Redis(port=port), redis.Redis(port=server.port)

    def state(*_):
        try:
            return sentinel.sentinel_master("valk")
        except redis.ConnectionError:
            return None

    until(state)
    events = sentinel.pubsub()
    events.psubscribe("*")
    hello = client.pubsub()
    hello.subscribe("__sentinel__:hello")
    announcement = heard(hello, b"__sentinel__:hello").split(",")
    equal("says hello on the server", announcement[4:7], ["valk", "127.0.0.1", str(server.port)])
    run_id = client.info("server")["run_id"]
    equal("reads the run id from INFO", (until(lambda: state()["runid"] == run_id), state()["runid"]), (True, run_id))
    seen = state()
    equal("sees a master", (seen["flags"], seen["role-reported"], seen["num-slaves"]), ("master", "master", 0))
    check("gets answers to its PINGs", seen["last-ok-ping-reply"] < 1500, seen)
    manager = Sentinel([("127.0.0.1", port)])
    equal("tells clients the address", manager.discover_master("valk"), ("127.0.0.1", server.port))
    master = manager.master_for("valk", retry_on_timeout=True)
    equal("they use it", (master.set("a", "1"), master.get("a")), (True, b"1"))
    server.kill()
    check("notices a kill", heard(events, b"+sdown").startswith("master valk"))
    server.start()
    check("notices the return", heard(events, b"-sdown").startswith("master valk"))
    equal("sees a master again", until(lambda: state()["flags"] == "master"), True)
    client = redis.Redis(port=server.port)
    run_id = client.info("server")["run_id"]
    check("reads the new run id", until(lambda: state()["runid"] == run_id, 20))
    equal("the value is there", manager.master_for("valk").get("a"), b"1")
    names = {entry["name"] for entry in client.client_list()}
    check("both its links are named", any(n.startswith("sentinel-") and n.endswith("-cmd") for n in names)
          and any(n.endswith("-pubsub") for n in names), names)


if __name__ == "__main__":
    main()

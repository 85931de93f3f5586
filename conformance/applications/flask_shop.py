"""A service in Flask with Flask-Limiter, Flask-Caching and a redis-py lock, and a kill in between.

    flask_shop.py BINARY [server arguments]
"""
import logging
import sys

import blackbox
import redis
from across_kill import Crowd, restart
from checks import check, equal
from flask import Flask
from flask_caching import Cache
from flask_limiter import Limiter

USERS, EACH, LIMIT = 6, 60, 200

server = blackbox.Server(sys.argv[1], extra=sys.argv[2:])
server.start()
address = f"redis://127.0.0.1:{server.port}/1"
application = Flask(__name__)
application.config.update(CACHE_TYPE="RedisCache", CACHE_REDIS_URL=address, CACHE_DEFAULT_TIMEOUT=600)
logging.disable(logging.CRITICAL)
cache = Cache(application)
limiter = Limiter(lambda: "everybody", app=application, storage_uri=address, strategy="fixed-window")
sliding = Limiter(lambda: "everybody", app=application, storage_uri=address, strategy="sliding-window-counter",
                  key_prefix="sliding")
computed = []


@application.get("/limited")
@limiter.limit(f"{LIMIT} per day")
def limited():
    return "in"


@application.get("/sliding")
@sliding.limit("5 per day")
def slid():
    return "in"


@application.get("/square/<int:number>")
@cache.cached()
def square(number):
    computed.append(number)
    return str(number * number)


@cache.memoize()
def cube(number):
    computed.append(number)
    return number ** 3


def main():
    codes = []

    def ask(user, number):
        with application.test_client() as client:
            code = client.get("/limited").status_code
        codes.append(code)
        return code in (200, 429)

    crowd = Crowd(USERS, EACH, ask).through(lambda: restart(server))
    let_in = codes.count(200)
    check("the limiter lets in what it may, across a kill", LIMIT - sum(crowd.unknown) <= let_in <= LIMIT,
          f"{let_in} of {len(codes)}, {sum(crowd.unknown)} unknown")
    check("and turned others away", 429 in codes, codes[-5:])
    client = application.test_client()
    equal("the sliding window lets in five", [client.get("/sliding").status_code for _ in range(7)],
          [200] * 5 + [429] * 2)
    equal("a page is computed once", ({client.get("/square/12").text for _ in range(5)}, computed), ({"144"}, [12]))
    with application.app_context():
        equal("a function is computed once", ([cube(3), cube(3), cube(4)], computed), ([27, 27, 64], [12, 3, 4]))
    restart(server)
    client.get("/square/12")  # on a connection that is dead
    computed.clear()
    equal("a page outlives a kill", (client.get("/square/12").text, computed), ("144", []))
    with application.app_context():
        equal("a function's value, too", (cube(3), computed), (27, []))
        cache.delete_memoized(cube)
        equal("forgotten", (cube(3), computed), (27, [3]))
    equal("and the limit", client.get("/limited").status_code, 429)
    locked()
    server.stop()
    print("done")


def locked():
    """Who holds redis-py's lock is alone, even though the server is killed while it is held."""
    client = redis.Redis(port=server.port)
    inside, crowded = set(), []

    def work(user, number):
        # An acquisition whose answer is lost holds the door until its time is up.
        lock = client.lock("door", timeout=5, sleep=0.002)
        try:
            if not lock.acquire(blocking_timeout=30):
                return False
        except redis.ConnectionError:
            return False
        inside.add(user)
        crowded.append(len(inside))
        try:
            client.incr("entries")
        except redis.ConnectionError:
            pass
        crowded.append(len(inside))
        inside.discard(user)
        while True:  # a release that got no answer is tried again
            try:
                lock.release()
                return True
            except redis.ConnectionError:
                lock.local.token = lock.local.token or b"lost"
            except redis.exceptions.LockError:
                return True

    def disaster():
        held = client.lock("other door", timeout=60)
        held.acquire()
        restart(server)
        check("a lock outlives a kill", held.owned() and not client.lock("other door").acquire(blocking=False))
        held.release()
        check("and is released", client.lock("other door", timeout=1).acquire(blocking=False))

    Crowd(4, 60, work).through(disaster)
    equal("never two behind the door", max(crowded), 1)


if __name__ == "__main__":
    main()

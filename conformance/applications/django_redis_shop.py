"""A shop in Django on django-redis: sessions, stock, a lock, sets and hashes through its cache; a kill in between.

    django_redis_shop.py BINARY [server arguments]
"""
import logging
import sys

import blackbox
import django
from across_kill import Crowd, restart
from checks import check, equal
from django.conf import settings

USERS, EACH, STOCK = 6, 40, 100

server = blackbox.Server(sys.argv[1], extra=sys.argv[2:], appendfsync="always")
server.start()
settings.configure(
    SECRET_KEY="conformance", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, USE_TZ=True, LOGGING_CONFIG=None,
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    CACHES={"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": f"redis://127.0.0.1:{server.port}/2",
                        "KEY_PREFIX": "shop", "TIMEOUT": None,
                        "OPTIONS": {"COMPRESSOR": "django_redis.compressors.zlib.ZlibCompressor"}}})
django.setup()
logging.disable(logging.CRITICAL)

from django.core.cache import cache  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import path  # noqa: E402


def take(request):
    """One of the stock for this session, if any is left."""
    left = cache.decr("stock")
    if left < 0:
        return HttpResponse(status=410)
    request.session.setdefault("got", []).append(left)
    request.session.modified = True
    return HttpResponse(left)


def sign(request):
    """A name at the end of a list that is read and written under a lock."""
    with cache.lock("book", timeout=5):
        names = cache.get("names", [])
        cache.set("names", [*names, request.GET["name"]])
    return HttpResponse(len(names) + 1)


def tag(request):
    cache.sadd("tags", request.GET["name"])
    cache.hset("visits", request.GET["name"], 1)
    return HttpResponse("ok")


def view(request):
    return HttpResponse(" ".join(str(number) for number in request.session.get("got", [])))


urlpatterns = [path("take", take), path("sign", sign), path("tag", tag), path("view", view)]


def main():
    visitors = [Client(raise_request_exception=False) for _ in range(USERS)]
    cache.set("stock", STOCK)
    sold, signed, tagged = [], [], []

    def work(user, number):
        name = f"{user}.{number}"
        answers = [visitors[user].get(path) for path in ("/take", f"/sign?name={name}", f"/tag?name={name}")]
        for answer, book in zip(answers, (sold, signed, tagged)):
            if answer.status_code == 200:
                book.append(answer.content.decode() if book is sold else name)
        return all(answer.status_code in (200, 410) for answer in answers)

    crowd = Crowd(USERS, EACH, work).through(lambda: restart(server))
    unknown = sum(crowd.unknown)
    restart(server)
    check("each of the stock is sold once", len(set(sold)) == len(sold) and STOCK - unknown <= len(sold) <= STOCK,
          f"{len(sold)} sold, {unknown} unknown")
    check("and the counter knows", -cache.get("stock", STOCK) + STOCK >= USERS * EACH - unknown, cache.get("stock"))
    names = cache.get("names")
    check("each that signed is in the book, once", set(signed) <= set(names) and len(names) == len(set(names))
          and len(names) <= len(signed) + unknown, f"{len(names)} in the book, {len(signed)} signed, {unknown} unknown")
    check("and in the set", set(tagged) <= cache.smembers("tags"), len(cache.smembers("tags")))
    check("and in the hash", set(tagged) <= set(cache.hkeys("visits")), cache.hlen("visits"))
    check("most requests were answered", len(signed) > USERS * EACH // 2, unknown)
    got = {number for visitor in visitors for number in visitor.get("/view").content.decode().split()}
    check("what was sold is in the sessions", len(set(sold) - got) <= unknown, f"{set(sold) - got}, {unknown} unknown")
    equal("no lock is left", cache.keys("book"), [])
    cache.set_many({f"page:{number}": "x" * 5000 for number in range(300)}, timeout=100)
    equal("pages are found", len(list(cache.iter_keys("page:*", itersize=50))), 300)
    check("with times to live", 0 < cache.ttl("page:7") <= 100 and cache.persist("page:7")
          and cache.ttl("page:7") is None and cache.expire("page:8", 50) and cache.pttl("page:8") <= 50000)
    restart(server)
    cache.get("page:1")  # on a connection that is dead
    equal("values that were compressed come back", cache.get("page:299"), "x" * 5000)
    equal("a pattern is deleted", (cache.delete_pattern("page:*"), cache.keys("page:*")), (300, []))
    server.stop()
    print("done")


if __name__ == "__main__":
    main()

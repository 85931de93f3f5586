"""A shop in Django: sessions and pages in the cache, visitors that fill their carts, and a kill in between.

    django_shop.py BINARY [server arguments]
"""
import logging
import sys

import blackbox
import django
from across_kill import Crowd, restart
from checks import check, equal
from django.conf import settings

USERS, EACH = 6, 60

server = blackbox.Server(sys.argv[1], extra=sys.argv[2:])
server.start()
settings.configure(
    SECRET_KEY="conformance", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, USE_TZ=True, LOGGING_CONFIG=None,
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    CACHES={"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache",
                        "LOCATION": f"redis://127.0.0.1:{server.port}/2", "KEY_PREFIX": "shop", "TIMEOUT": None,
                        "OPTIONS": {"retry_on_timeout": False}}})
django.setup()
logging.disable(logging.CRITICAL)

from django.core.cache import cache  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import path  # noqa: E402
from django.views.decorators.cache import cache_page  # noqa: E402

rendered = []


def add(request):
    cart = request.session.setdefault("cart", [])
    cart.append(request.GET["item"])
    request.session.modified = True
    return HttpResponse(len(cart))


def view(request):
    return HttpResponse(" ".join(request.session.get("cart", [])))


@cache_page(600)
def front(request):
    rendered.append(request.path)
    return HttpResponse("welcome")


def sold(request):
    return HttpResponse(cache.incr("sold"))


def leave(request):
    request.session.flush()
    return HttpResponse("bye")


urlpatterns = [path("add", add), path("view", view), path("front", front), path("sold", sold), path("leave", leave)]


def main():
    visitors = [Client(raise_request_exception=False) for _ in range(USERS)]
    cache.set("sold", 0)
    for visitor in visitors:
        equal("the first item opens a session", visitor.get("/add?item=first").content, b"1")
    items = [["first"] for _ in range(USERS)]
    sessions = [visitor.cookies["sessionid"].value for visitor in visitors]
    sold_acknowledged, sold_unknown = [0] * USERS, [0] * USERS

    def buy(user, number):
        before = visitors[user].get("/sold")
        sold_acknowledged[user] += before.status_code == 200
        sold_unknown[user] += before.status_code != 200
        answer = visitors[user].get(f"/add?item={number}")
        # Django takes a session that it cannot read for none, and begins another; the visitor keeps the old one.
        another = visitors[user].cookies["sessionid"].value != sessions[user]
        visitors[user].cookies["sessionid"] = sessions[user]
        if answer.status_code != 200 or another:
            return False
        items[user].append(str(number))
        return True

    crowd = Crowd(USERS, EACH, buy).through(lambda: restart(server))
    for user, visitor in enumerate(visitors):
        cart = visitor.get("/view").content.decode().split()
        # One request may have been stored and its answer lost; nothing that was answered may be missing.
        missing = [item for item in items[user] if item not in cart]
        check(f"cart {user} has what was acknowledged", not missing and len(cart) <= len(items[user]) + 1,
              f"missing {missing}, {len(cart)} in the cart, {len(items[user])} acknowledged, {crowd.unknown} unknown")
    count = cache.get("sold")
    check("the counter of sales", sum(sold_acknowledged) <= count <= sum(sold_acknowledged) + sum(sold_unknown),
          f"{count}: {sum(sold_acknowledged)} acknowledged, {sum(sold_unknown)} unknown")
    for _ in range(3):
        visitors[0].get("/front")
    equal("a cached page is rendered once", len(rendered), 1)
    restart(server)
    visitors[0].get("/front")  # its pooled connection is dead; Django's client does not retry
    equal("the cached page outlives a kill", (visitors[0].get("/front").content, len(rendered)), (b"welcome", 1))
    keys = cache._cache.get_client().keys
    names = set(keys("shop:1:django.contrib.sessions.cache*"))
    check("each session has a key", {f"shop:1:django.contrib.sessions.cache{name}".encode() for name in sessions}
          <= names, names)
    equal("a session ends", visitors[0].get("/leave").content, b"bye")
    equal("and its key with it", len(names - set(keys("shop:1:django.contrib.sessions.cache*"))), 1)
    equal("many at once", (cache.set_many({"a": 1, "b": [2]}, 60), cache.get_many(["a", "b", "c"]),
                           cache.add("a", 9), cache.touch("a", 0), cache.get("a")),
          ([], {"a": 1, "b": [2]}, False, True, None))
    cache.clear()
    equal("cleared", cache._cache.get_client().dbsize(), 0)
    server.stop()
    print("done")


if __name__ == "__main__":
    main()

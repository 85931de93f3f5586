"""Flask-Session: carts in sessions in the store, visitors that fill them, and kills in between.

    flask_sessions.py BINARY [server arguments]
"""
import logging
import sys

import blackbox
import redis
from across_kill import Crowd, restart
from checks import check, equal
from flask import Flask, session
from flask_session import Session

USERS, EACH = 6, 60

server = blackbox.Server(sys.argv[1], extra=sys.argv[2:], appendfsync="always")
server.start()
application = Flask(__name__)
application.config.update(SESSION_TYPE="redis", SESSION_REDIS=redis.Redis(port=server.port, db=3),
                          SESSION_KEY_PREFIX="shop:", PERMANENT_SESSION_LIFETIME=3600)
Session(application)
logging.disable(logging.CRITICAL)


@application.get("/add/<item>")
def add(item):
    session.setdefault("cart", []).append(item)
    session.modified = True
    return str(len(session["cart"]))


@application.get("/view")
def view():
    return " ".join(session.get("cart", []))


@application.get("/renew")
def renew():
    application.session_interface.regenerate(session)
    return "renewed"


@application.get("/leave")
def leave():
    session.clear()
    return "bye"


def main():
    visitors = [application.test_client() for _ in range(USERS)]
    for visitor in visitors:
        visitor.get("/add/first")
    names = [visitor.get_cookie("session").value for visitor in visitors]
    items = [["first"] for _ in range(USERS)]

    def buy(user, number):
        answer = visitors[user].get(f"/add/{number}")
        # A session that cannot be read counts for none, and another begins; the visitor keeps the old one.
        another = visitors[user].get_cookie("session").value != names[user]
        visitors[user].set_cookie("session", names[user])
        if answer.status_code != 200 or another:
            return False
        items[user].append(str(number))
        return True

    crowd = Crowd(USERS, EACH, buy).through(lambda: restart(server))
    restart(server)
    for user, visitor in enumerate(visitors):
        cart = visitor.get("/view").text.split()
        missing = [item for item in items[user] if item not in cart]
        check(f"cart {user} has what was acknowledged", not missing and len(cart) == len(set(cart))
              and len(cart) <= len(items[user]) + crowd.unknown[user],
              f"missing {missing}, {len(cart)} in the cart, {len(items[user])} acknowledged, {crowd.unknown} unknown")
    check("most requests were answered", sum(crowd.acknowledged) > USERS * EACH // 2, crowd.unknown)
    client = redis.Redis(port=server.port, db=3)
    equal("each session has a key", {f"shop:{name}".encode() for name in names}
          - {key for key in client.scan_iter("shop:*")}, set())
    check("with a time to live", all(0 < client.ttl(f"shop:{name}") <= 3600 for name in names))
    cart = visitors[0].get("/view").text
    equal("a session takes another name", visitors[0].get("/renew").text, "renewed")
    name = visitors[0].get_cookie("session").value
    check("with its cart", name != names[0] and visitors[0].get("/view").text == cart
          and client.exists(f"shop:{name}", f"shop:{names[0]}") == 1, name)
    visitors[0].get("/leave")
    equal("and ends", client.exists(f"shop:{name}"), 0)
    server.stop()
    print("done")


if __name__ == "__main__":
    main()

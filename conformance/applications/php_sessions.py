"""Sessions of PHP: phpredis as the session handler of PHP's own web server, with locks, and a kill in between.

    php_sessions.py BINARY [server arguments]
"""
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import blackbox
from across_kill import Crowd, restart
from checks import check, equal

USERS, EACH = 4, 40


def main():
    server = blackbox.Server(sys.argv[1], extra=sys.argv[2:])
    server.start()
    port = blackbox.free_port()
    page = Path(__file__).resolve().parent / "sessions.php"
    php = subprocess.Popen(["php", "-d", "display_errors=0", "-S", f"127.0.0.1:{port}", str(page)],
                           env={**os.environ, "PHP_CLI_SERVER_WORKERS": str(USERS), "VALK_PORT": str(server.port)},
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                           start_new_session=True)
    try:
        shop(server, f"http://127.0.0.1:{port}")
    finally:
        os.killpg(php.pid, 9)
        php.wait()
        server.stop()
    print("done")


def shop(server, address):
    def ask(path, session):
        """(status, text) of a page."""
        request = urllib.request.Request(address + path, headers={"Cookie": f"PHPSESSID={session}"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    for _ in range(200):
        try:
            if ask("/view", "0" * 26)[0] == 200:
                break
        except OSError:
            time.sleep(0.05)
    shared, acknowledged = "s" * 26, []

    def add(user, number):
        status, _ = ask(f"/add?item={user}.{number}", shared)
        if status == 200:
            acknowledged.append(f"{user}.{number}")
        return status == 200

    crowd = Crowd(USERS, EACH, add).through(lambda: restart(server))
    cart = ask("/view", shared)[1].split()
    missing = [item for item in acknowledged if item not in cart]
    check("all users of one session find what each added", not missing and len(cart) == len(set(cart)) and
          len(cart) <= len(acknowledged) + sum(crowd.unknown),
          f"missing {missing}; {len(cart)} there, {len(acknowledged)} acknowledged, {sum(crowd.unknown)} unknown")
    check("most requests were answered", len(acknowledged) > USERS * EACH // 2, crowd.unknown)
    restart(server)
    equal("the session outlives a kill", ask("/view", shared)[1].split(), cart)
    with server.client() as client:
        check("the session has a time to live", 0 < client.call("TTL", f"php:{shared}") <= 1440)
        equal("no lock is left", client.call("EXISTS", f"php:{shared}_LOCK"), 0)
        session = ask("/new", shared)[1]
        equal("a new id takes the session along", ask("/view", session)[1].split(), cart)
        equal("the old one is gone", client.call("EXISTS", f"php:{shared}"), 0)
        equal("a session ends", (ask("/leave", session), client.call("EXISTS", f"php:{session}")), ((200, "bye"), 0))


if __name__ == "__main__":
    main()

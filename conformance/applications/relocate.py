"""A pytest plugin that lets published test-suites run against a server on any port, which may lack some data types.

Their connections to the ports in VALK_APPLICATION_FROM go to VALK_APPLICATION_PORT instead; nothing else about
redis-py changes. Beside that stand fixtures that some suites leave out of what they publish or that start containers.

A test that ends with "unknown command" for a command of LATER is skipped, not failed: it wakes by itself when the
command comes. Any other unknown command stays a failure.
"""
import os
import re

import pytest
import redis as redis_py
import redis.asyncio as asyncio_py
import redis.asyncio.connection
import redis.connection

TO = int(os.environ["VALK_APPLICATION_PORT"])
FROM = {int(port) for port in os.environ.get("VALK_APPLICATION_FROM", "6379").split(",")}

# Commands of hashes, sets, sorted sets, lists and streams.
LATER = re.compile(r"unknown command '(H(?!ELLO)\w+|S(ADD|CARD|DIFF|INTER|ISMEMBER|MEMBERS|MISMEMBER|MOVE|POP"
                   r"|RANDMEMBER|REM|SCAN|UNION)\w*"
                   r"|[BZ]+(ADD|RANGE|REM|SCORE|CARD|SCAN|COUNT|POP|RANK)\w*|B?[LR](PUSH|POP)\w*"
                   r"|L(LEN|RANGE|REM|INDEX|TRIM|INSERT|SET)|X(ADD|READ|ACK)\w*)'")
ERRORS = (redis_py.ResponseError,)


def relocate(kind):
    begin = kind.__init__

    def moved(self, *arguments, **options):
        begin(self, *arguments, **options)
        if int(self.port) in FROM:
            self.port = TO

    kind.__init__ = moved


relocate(redis_py.connection.Connection)
relocate(asyncio_py.connection.Connection)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, ERRORS) and LATER.search(str(error)):
        report = outcome.get_result()
        report.outcome = "skipped"
        report.longrepr = (str(item.path), 0, f"Skipped: {LATER.search(str(error)).group()}")


@pytest.fixture
def redis():
    """pottery's."""
    client = redis_py.Redis(port=TO, socket_timeout=10)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def aioredis(redis):
    """pottery's, with an empty database."""
    return asyncio_py.Redis(port=TO, socket_timeout=10)


@pytest.fixture
def redis_basic(redis):
    """that of limits."""
    return redis

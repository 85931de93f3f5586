"""A pytest plugin that lets published test-suites run against a server on any port.

Their connections to the ports in VALK_APPLICATION_FROM go to VALK_APPLICATION_PORT instead; nothing else about
redis-py changes. Beside that stand fixtures that some suites leave out of what they publish or that start containers.
"""
import os

import pytest
import redis as redis_py
import redis.asyncio as asyncio_py
import redis.asyncio.connection
import redis.connection

TO = int(os.environ["VALK_APPLICATION_PORT"])
FROM = {int(port) for port in os.environ.get("VALK_APPLICATION_FROM", "6379").split(",")}


def relocate(kind):
    begin = kind.__init__

    def moved(self, *arguments, **options):
        begin(self, *arguments, **options)
        if int(self.port) in FROM:
            self.port = TO

    kind.__init__ = moved


relocate(redis_py.connection.Connection)
relocate(asyncio_py.connection.Connection)


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

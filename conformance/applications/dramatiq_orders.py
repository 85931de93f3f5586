"""Dramatiq: actors with results, delays, groups and pipelines, an age limit, a limiter; kills in between.

    dramatiq_orders.py BINARY [server arguments]

Its broker is one long script; what a worker has fetched comes back to the queue when its heart has not beaten for two
seconds, so that it may run twice.
"""
import sys

import dramatiq
import jobs
from checks import check, equal
from dramatiq.brokers.redis import RedisBroker
from dramatiq.rate_limits import ConcurrentRateLimiter
from dramatiq.rate_limits.backends import RedisBackend as LimiterBackend
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

THREADS = 4
broker = RedisBroker(port=jobs.PORT, heartbeat_timeout=2000, maintenance_chance=200000)
results = RedisBackend(port=jobs.PORT)
broker.add_middleware(Results(backend=results))
dramatiq.set_broker(broker)
door = ConcurrentRateLimiter(LimiterBackend(port=jobs.PORT), "door", limit=2, ttl=60000)


@dramatiq.actor(store_results=True, max_retries=99, min_backoff=50, max_backoff=500)
def order(number):
    return jobs.perform(number)


@dramatiq.actor(store_results=True, max_retries=99, min_backoff=50, max_backoff=500)
def double(value):
    return 2 * value


def main(stage):
    import dramatiq_orders as actors
    workers = jobs.Workers(stage, [sys.executable, "-m", "dramatiq", "dramatiq_orders", "-p", "1", "-t", str(THREADS)])
    messages, later = {}, range(11, 21)

    def send(number):
        messages[number] = actors.order.send(number)

    business = jobs.Business(stage, workers, send)
    sets = {}

    def night():
        sets["group"] = dramatiq.group(actors.order.message(number) for number in range(1, 6)).run()
        sets["pipeline"] = (actors.order.message(6) | actors.double.message() | actors.double.message()).run()
        for number in later:
            messages[number] = actors.order.send_with_options(args=(number,), delay=100 * (number - 10))
        business.acknowledged.update(range(1, 7), later)
        for number in (31, 32, 33):  # too old when the next worker is there
            actors.order.send_with_options(args=(number,), max_age=1)

    business.across(night)
    business.drain()
    equal("the group's results", list(sets["group"].get_results(block=True, timeout=60000)), [1, 4, 9, 16, 25])
    equal("the pipeline's", sets["pipeline"].get_result(block=True, timeout=60000), 4 * 36)
    wrong = {number: value for number in business.acknowledged if number in messages
             for value in [messages[number].get_result(backend=actors.results, block=True, timeout=60000)]
             if value != number * number}
    equal("results are right", wrong, {})
    with actors.door.acquire() as first, actors.door.acquire() as second, \
            actors.door.acquire(raise_on_failure=False) as third:
        equal("a limiter lets in two", (first, second, third), (True, True, False))
    check("the queue comes to its end", jobs.until(lambda: actors.broker.do_qsize("default") == 0))
    workers.kill()
    business.verify(again=4 * 4 * THREADS, forbidden=(31, 32, 33))


if __name__ == "__main__":
    jobs.play("dramatiq_orders")

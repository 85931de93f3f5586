"""ARQ: jobs with names of their own, for later, aborted, on a schedule; kills in between.

    arq_orders.py BINARY [server arguments]

A job stays in the queue until its end. A worker that holds one says so with a key that expires; then another takes it.
"""
import asyncio
import sys

import jobs
from arq import create_pool, cron, func
from arq.connections import RedisSettings
from arq.jobs import Job, JobStatus
from checks import check, equal

AT_ONCE = 4
settings = RedisSettings(port=jobs.PORT, conn_retries=200, conn_retry_delay=0.1)


async def order(context, number):
    return await asyncio.to_thread(jobs.perform, number)


async def tick(context):
    await context["redis"].incr("ticks")


class Settings:
    functions = [func(order, max_tries=99)]
    cron_jobs = [cron(tick, second=set(range(60)), unique=True)]
    redis_settings = settings
    max_jobs, job_timeout, keep_result, poll_delay, allow_abort_jobs = AT_ONCE, 3, 3600, 0.05, True
    health_check_interval = 5


def main(stage):
    loop = jobs.Loop()
    pool = loop.run(create_pool(RedisSettings(port=stage.server.port, conn_retries=200, conn_retry_delay=0.1)))
    workers = jobs.Workers(stage, [sys.executable, "-m", "arq", "arq_orders.Settings"])

    def send(number):
        # No answer may mean that the name is taken, and that the connection broke.
        if loop.run(pool.enqueue_job("order", number, _job_id=str(number))) is None:
            if loop.run(Job(str(number), pool).status()) == JobStatus.not_found:
                raise ConnectionError("not enqueued")

    business = jobs.Business(stage, workers, send, sure=True)
    aborted = range(31, 36)

    def put(number, name, **options):
        return loop.run(pool.enqueue_job("order", number, _job_id=str(name), **options))

    def night():
        for _ in range(20):  # on the day's connections, which are dead, nothing is put
            jobs.insist(lambda: loop.run(pool.ping()))
        for number in range(1, 11):
            put(number, number, _defer_by=number / 10)
        equal("names that are taken", [put(99, number) for number in range(1, 11)], [None] * 10)
        business.acknowledged.update(range(1, 11))
        for number in aborted:
            job = put(number, number, _defer_by=1)
            try:
                loop.run(job.abort(timeout=0.01))
            except (asyncio.TimeoutError, TimeoutError):
                pass  # there is nobody to confirm it
        for number in range(41, 44):  # expired when the next worker is there
            put(number, number, _defer_by=0.01, _expires=0.02)

    business.across(night)
    business.drain()
    _, ended = stage.read()
    values = {number: loop.run(Job(str(number), pool).result(timeout=20)) for number in ended}
    check("results are right", all(value == number * number for number, value in values.items()), values)
    check("the queue empties", jobs.until(lambda: not [job for job in loop.run(pool.queued_jobs())
                                                       if job.function == "order"]))
    statuses = {loop.run(Job(str(number), pool).status()) for number in business.acknowledged}
    equal("all are complete", statuses, {JobStatus.complete})
    ticks = int(loop.run(pool.get("ticks")) or 0)
    check("the schedule goes on", jobs.until(lambda: int(loop.run(pool.get("ticks")) or 0) > ticks), ticks)
    workers.kill()
    business.verify(again=3 * AT_ONCE, forbidden=[*aborted, *range(41, 44), 99])


if __name__ == "__main__":
    jobs.play("arq_orders")

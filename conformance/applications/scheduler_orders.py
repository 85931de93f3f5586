"""rq-scheduler: jobs for a moment, jobs again and again, jobs called off; kills of scheduler, workers and server.

    scheduler_orders.py BINARY [server arguments]

The scheduler hands a job to RQ's queue first and strikes it off after that, so that a kill may let it run twice; its
lock outlives it by ten seconds. What an RQ worker without retries had in hand is not done again.
"""
import datetime
import sys
import warnings

import jobs
from checks import check, equal
from redis import Redis
from rq import Queue
from rq_scheduler import Scheduler


def order(number):
    return jobs.perform(number)


def beat(name):
    jobs.insist(lambda: Redis(port=jobs.PORT).incr(f"beats:{name}"))


def main(stage):
    warnings.simplefilter("ignore", FutureWarning)
    address = f"redis://127.0.0.1:{stage.server.port}"
    scheduler = Scheduler("orders", connection=Redis(port=stage.server.port), interval=1)
    program = "import sys; from rq_scheduler.scripts.rqscheduler import main; sys.argv[0] = 'rqscheduler'; main()"
    workers = jobs.Workers(
        stage, [sys.executable, "-c", program, "--url", address, "-i", "0.5", "--quiet"],
        *[[sys.executable, "-m", "rq.cli", "worker", "orders", "--url", address, "--quiet"]] * 2)

    def send(number):
        scheduler.enqueue_at(datetime.datetime.utcnow() + jobs.soon(number % 10 / 10), order_of(), number,
                             job_id=str(number))

    business = jobs.Business(stage, workers, send, each=10 if jobs.QUICK else 40)
    called_off = range(31, 36)

    def night():
        queue = Queue("orders", connection=scheduler.connection)
        queue.started_job_registry.cleanup(2 ** 40)
        for name in queue.connection.lrange(f"{queue.key}:intermediate", 0, -1):
            queue.push_job_id(name.decode())
            queue.connection.lrem(f"{queue.key}:intermediate", 1, name)
        now = datetime.datetime.utcnow()
        for number in called_off:
            scheduler.cancel(scheduler.enqueue_at(now + jobs.soon(1), order_of(), number, job_id=str(number)))
        scheduler.schedule(now, beat_of(), args=["three"], interval=1, repeat=3, id="three", timeout=60)
        scheduler.schedule(now + jobs.soon(3600), beat_of(), args=["later"], interval=1, id="later")
        scheduler.cron("0 0 1 1 *", beat_of(), args=["yearly"], id="yearly")

    business.across(night)
    connection = scheduler.connection
    business.drain(idle=lambda: not connection.llen("rq:queue:orders")
                   and connection.zcard(Scheduler.scheduled_jobs_key) < 4)
    check("a job that repeats itself ran three times", jobs.until(lambda: connection.get("beats:three") == b"3"),
          connection.get("beats:three"))
    equal("those for later did not", connection.mget("beats:later", "beats:yearly"), [None, None])
    equal("and wait", {job.id for job in scheduler.get_jobs()}, {"later", "yearly"})
    workers.kill()
    business.verify(lost=2 * 2, again=business.users + 8, forbidden=called_off)


def order_of():
    import scheduler_orders
    return scheduler_orders.order


def beat_of():
    import scheduler_orders
    return scheduler_orders.beat


if __name__ == "__main__":
    jobs.play("scheduler_orders")

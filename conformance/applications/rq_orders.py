"""RQ: two workers that fork for each job, jobs that wait for others or for their time, retries; kills in between.

    rq_orders.py BINARY [server arguments]

RQ keeps what a worker has in hand in a list, then in a registry, and gives it to another worker after a minute and
more; as long the lock of a dead scheduler holds. Here that is done at once, while no worker runs; so nothing at all may
be lost.
"""
import sys
import time

import jobs
from checks import check, equal
from redis import Redis
from rq import Queue, Retry
from rq.exceptions import DuplicateJobError
from rq.job import Job
from rq.scheduler import RQScheduler

WORKERS = 2


def order(number):
    return jobs.perform(number)


def main(stage):
    connection = Redis(port=stage.server.port)
    queue = Queue("orders", connection=connection)
    address = f"redis://127.0.0.1:{stage.server.port}"
    workers = jobs.Workers(stage, *[[sys.executable, "-m", "rq.cli", "worker", "orders", "--url", address,
                                     "--with-scheduler", "--quiet"]] * WORKERS)
    patient = {"retry": Retry(max=9), "result_ttl": 3600}

    def send(number):
        try:
            queue.enqueue("rq_orders.order", number, job_id=str(number), unique=True, **patient)
        except DuplicateJobError:
            pass  # an earlier attempt came through

    business = jobs.Business(stage, workers, send, sure=True, each=15 if jobs.QUICK else 60)

    def recover():
        """What the dead had in hand goes back; the store must know all that is not done."""
        acknowledged, ended = set(business.acknowledged), stage.read()[1]
        taken = [name.decode() for name in connection.lrange("rq:queue:orders:intermediate", 0, -1)]
        held = {int(name.split(":")[0]) for name in queue.started_job_registry.get_job_ids(cleanup=False)} | {
            int(name) for name in taken}
        known = held | {int(name) for name in queue.get_job_ids() + queue.scheduled_job_registry.get_job_ids()}
        unknown = [number for number in acknowledged - known - ended.keys()]
        check("the store knows all that is not done", not unknown, unknown[:10])
        check("no more is in hand than there are workers", len(held) <= 2 * WORKERS, held)
        queue.started_job_registry.cleanup(time.time() + 10000)
        connection.delete(RQScheduler.get_locking_key("orders"))
        for name in taken:
            connection.lrem("rq:queue:orders:intermediate", 1, name)
            if int(name) not in ended and name not in queue.get_job_ids():
                queue.enqueue_job(Job.fetch(name, connection=connection))

    def night():
        recover()
        first = queue.enqueue("rq_orders.order", 1, job_id="1", **patient)
        queue.enqueue("rq_orders.order", 2, job_id="2", depends_on=first, **patient)
        queue.enqueue("rq_orders.order", 3, job_id="3", depends_on=["1", "2"], **patient)
        for number in (4, 5, 6):
            queue.enqueue_in(jobs.soon(number / 4), "rq_orders.order", number, job_id=str(number), **patient)
        business.acknowledged.update(range(1, 7))
        for number in (11, 12):
            queue.enqueue("rq_orders.order", number, job_id=str(number)).cancel()
            queue.enqueue_in(jobs.soon(1), "rq_orders.order", number + 2, job_id=str(number + 2)).cancel()
        queue.enqueue("rq_orders.order", 15, job_id="15", depends_on="11")

    business.across(night)
    business.drain(patience=10)
    workers.kill()
    recover()
    workers.start()
    business.drain()
    jobs.until(lambda: queue.finished_job_registry.get_job_count(cleanup=False) >= len(business.acknowledged), 20)
    workers.kill()
    business.verify(again=4 * WORKERS, forbidden=range(11, 16))
    log = [int(line.split()[1]) for line in stage.ledger.read_text().splitlines()]
    check("who waits for others comes after them", log.index(1) < log.index(2) < log.index(3), log)
    wrong = [number for number in business.acknowledged
             if Job.fetch(str(number), connection=connection).return_value() not in (None, number * number)]
    equal("results are right", wrong, [])
    finished = set(queue.finished_job_registry.get_job_ids(cleanup=False))
    missing = [number for number in business.acknowledged if str(number) not in finished]
    check("and jobs finished, but those whose end a kill cut off", len(missing) <= 4 * WORKERS, missing)
    equal("who waits for what is cancelled waits on", queue.deferred_job_registry.get_job_ids(), ["15"])


if __name__ == "__main__":
    jobs.play("rq_orders")

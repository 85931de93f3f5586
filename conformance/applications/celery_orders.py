"""Celery with broker and results in the store: a chord, a chain, tasks for later and too late; kills in between.

    celery_orders.py BINARY [server arguments]

Tasks are acknowledged after their work. What a worker had in hand that died comes back after an hour; here that is done
at once, while no worker runs, with Kombu's own means. A submitter whose answer is lost sends its task again by itself,
so that it may run twice.
"""
import sys

import jobs
from celery import Celery, chain, chord
from checks import check, equal

WORKERS = 2
address = f"redis://127.0.0.1:{jobs.PORT}/0"
app = Celery("celery_orders", broker=address, backend=address)
app.conf.update(task_acks_late=True, task_reject_on_worker_lost=True, worker_prefetch_multiplier=1,
                broker_connection_retry_on_startup=True,
                broker_connection_max_retries=None, worker_cancel_long_running_tasks_on_connection_loss=False,
                worker_hijack_root_logger=False, result_expires=3600)


@app.task
def order(number):
    return jobs.perform(number)


@app.task
def total(values):
    return sum(values)


@app.task
def double(value):
    return 2 * value


def main(stage):
    import celery_orders as tasks
    workers = jobs.Workers(stage, [sys.executable, "-m", "celery", "-A", "celery_orders", "worker", "-c", str(WORKERS),
                                   "-l", "ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat"])
    results, canvases = {}, {}

    def send(number):
        try:
            results[number] = tasks.order.apply_async((number,), task_id=f"order-{number}")
        except AttributeError as error:  # Kombu's, of a channel that another thread has given up at that moment
            raise ConnectionError("lost") from error

    business = jobs.Business(stage, workers, send)

    def night():
        with tasks.app.connection_for_write() as connection:
            hands = connection.default_channel.qos
            hands.visibility_timeout = -1
            hands.restore_visible(num=1000, interval=1)
        canvases["chord"] = chord(tasks.order.s(number) for number in range(1, 9))(tasks.total.s())
        canvases["chain"] = chain(tasks.order.s(9), tasks.double.s(), tasks.double.s())()
        for number in (10, 11, 12):
            results[number] = tasks.order.apply_async((number,), countdown=number / 10)
        business.acknowledged.update(range(1, 13))
        for number in (21, 22, 23):  # too late when the next worker is there
            tasks.order.apply_async((number,), expires=0.05)

    business.across(night)
    business.drain()
    equal("the chord adds up", canvases["chord"].get(timeout=60), sum(number * number for number in range(1, 9)))
    equal("the chain ends", canvases["chain"].get(timeout=60), 4 * 81)
    values = {number: results[number].get(timeout=60) for number in business.acknowledged if number in results}
    check("results are right", all(value == number * number for number, value in values.items()), values)
    with stage.server.client() as client:
        jobs.until(lambda: not client.call("EXISTS", "unacked", "celery"))
    workers.kill()
    business.verify(again=3 * (2 * WORKERS + business.users), forbidden=(21, 22, 23))
    with stage.server.client() as client:
        left = [key for key in (b"unacked", b"unacked_index", b"celery") if client.call("EXISTS", key)]
        equal("nothing is left in the queues", left, [])


if __name__ == "__main__":
    jobs.play("celery_orders")

"""BullMQ: jobs that are delayed, urgent, tried again, called off, and a parent with its children; kills in between.

    bullmq_orders.py BINARY [server arguments]

All that BullMQ does is done by long scripts, with events in a stream. A job whose worker died counts as stalled after
two seconds, and is given out again.
"""
import asyncio
import sys

import jobs
from bullmq import FlowProducer, Job, Queue, Worker
from checks import check, equal

AT_ONCE = 4
connection = {"host": "127.0.0.1", "port": jobs.PORT}


async def order(job, token):
    if job.name == "parent":
        return sum((await job.getChildrenValues()).values())
    number = job.data["number"]
    if job.name == "second try" and job.attemptsMade < 1:
        raise ValueError("not yet")
    return await asyncio.to_thread(jobs.perform, number)


async def serve():
    worker = Worker("orders", order, {"connection": connection, "concurrency": AT_ONCE, "lockDuration": 2000,
                                      "stalledInterval": 1000, "maxStalledCount": 99, "drainDelay": 1,
                                      "runRetryDelay": 100, "autorun": False})
    await worker.run()


def main(stage):
    loop = jobs.Loop()
    address = {"connection": {"host": "127.0.0.1", "port": stage.server.port}}

    async def create():
        return Queue("orders", address), FlowProducer(address)

    queue, flows = loop.run(create())
    workers = jobs.Workers(stage, [sys.executable, "-c",
                                   "import asyncio, bullmq_orders; asyncio.run(bullmq_orders.serve())"])

    def add(number, name="order", **options):
        jobs.insist(lambda: loop.run(queue.add(name, {"number": number}, {"jobId": f"order-{number}", **options})))

    business = jobs.Business(stage, workers, lambda number: add(number, **({"priority": number % 5} if number % 3 == 0
                                                                           else {})))
    called_off = range(31, 36)

    def night():
        for number in range(1, 6):
            add(number, delay=300 * number)
        for number in range(6, 9):
            add(number, "second try", attempts=3, backoff={"type": "fixed", "delay": 100})
        loop.run(flows.add({"name": "parent", "queueName": "orders", "data": {}, "opts": {"jobId": "parent"},
                            "children": [{"name": "order", "queueName": "orders", "data": {"number": number},
                                          "opts": {"jobId": f"order-{number}"}} for number in range(9, 13)]}))
        business.acknowledged.update(range(1, 13))
        for number in called_off:
            add(number, **({"delay": 500} if number % 2 else {}))
            equal("called off", loop.run(queue.remove(f"order-{number}")), 1)

    business.across(night)
    business.drain()
    state = jobs.until(lambda: loop.run(queue.getJobState("parent")) == "completed")
    check("the parent comes after its children", state)
    parent = loop.run(Job.fromId(queue, "parent"))
    equal("and has their results", parent and parent.returnvalue, sum(number * number for number in range(9, 13)))
    count = len(business.acknowledged) + 1
    check("all are complete", jobs.until(lambda: loop.run(queue.getCompletedCount()) == count),
          loop.run(queue.getJobCounts()))
    equal("none failed", loop.run(queue.getFailedCount()), 0)
    values = {number: loop.run(Job.fromId(queue, f"order-{number}")).returnvalue for number in business.acknowledged}
    check("results are right", all(value == number * number for number, value in values.items()), values)
    with stage.server.client() as client:
        events = [entry[1][1] for entry in client.call("XRANGE", "bull:orders:events", "-", "+")]
        check("the stream tells of each end", events.count(b"completed") >= count, events.count(b"completed"))
    workers.kill()
    business.verify(again=3 * AT_ONCE, forbidden=called_off)


if __name__ == "__main__":
    jobs.play("bullmq_orders")

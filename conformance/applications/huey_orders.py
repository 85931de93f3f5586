"""Huey: a queue in a list and one in a sorted set, tasks for later, tasks revoked, results; kills in between.

    huey_orders.py BINARY [server arguments]

Huey's consumer takes a task out of the store when it begins: at a kill each of its threads may hold one.
"""
import sys

import jobs
from checks import check
from huey import PriorityRedisHuey, RedisHuey

WORKERS = 4
plain = RedisHuey("plain", port=jobs.PORT)
urgent = PriorityRedisHuey("urgent", port=jobs.PORT)


@plain.task()
def parcel(number):
    return jobs.perform(number)


@urgent.task()
def letter(number):
    return jobs.perform(number)


def main(stage):
    workers = jobs.Workers(stage, *([sys.executable, "-m", "huey.bin.huey_consumer", f"huey_orders.{queue}", "-w",
                                     str(WORKERS), "-m", "0.5", "-s", "1", "-q"] for queue in ("plain", "urgent")))
    results, revoked, later = {}, range(1, 6), range(11, 31)

    def send(number):
        results[number] = letter(number, priority=number % 3) if number % 2 else parcel(number)

    business = jobs.Business(stage, workers, send)

    def night():
        for number in revoked:
            parcel.schedule((number,), delay=1).revoke()
            letter.schedule((number,), delay=1).revoke()
        for number in later:
            results[number] = (letter if number % 2 else parcel).schedule((number,), delay=1)
            business.acknowledged.add(number)
        before = [huey.pending_count() for huey in (plain, urgent)]
        jobs.restart(stage.server)
        after = [huey.pending_count() for huey in (plain, urgent)]
        # Other submitters are about.
        check("what waits is there after a kill", all(now >= then for now, then in zip(after, before)), (before, after))

    business.across(night)

    def idle():
        return not any(huey.scheduled_count() or huey.pending_count() for huey in (plain, urgent))

    business.drain(idle=idle)
    check("the queues are empty", jobs.until(idle))
    workers.kill()
    # Both kills while threads of both consumers were at work.
    held = 2 * 2 * WORKERS
    business.verify(lost=held, forbidden=revoked)
    values = {number: result.get(preserve=True) for number, result in results.items()}
    wrong = {number: value for number, value in values.items() if value not in (None, number * number)}
    missing = [number for number in business.acknowledged if values[number] is None]
    check("results are right, and all there but those of what was held", not wrong and len(missing) <= held,
          f"{wrong} {missing}")


if __name__ == "__main__":
    jobs.play("huey_orders")

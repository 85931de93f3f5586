"""Sidekiq: jobs at once, in bulk, for later, tried again, called off; kills of its process and the server in between.

    sidekiq_orders.py BINARY [server arguments]

Its free form takes a job out of the store when it begins: at a kill each thread may hold one.
"""
import subprocess
import sys
from pathlib import Path

import jobs
from checks import check, equal

THREADS = 4
JOBS = str(Path(__file__).resolve().parent / "sidekiq_job.rb")


class Submitter:
    """A Ruby process that submits what it is told to."""

    def __init__(self):
        self.process = subprocess.Popen(["ruby", "-W0", JOBS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        bufsize=1)

    def tell(self, word, number):
        self.process.stdin.write(f"{word} {number}\n")
        answer = self.process.stdout.readline().strip()
        if answer != "yes":
            raise ConnectionError(answer) if answer.startswith("no") else RuntimeError(f"{word} {number}: {answer}")


def main(stage):
    workers = jobs.Workers(stage, ["sidekiq", "-r", JOBS, "-q", "orders", "-c", str(THREADS), "-e", "production"])
    submitters = [Submitter() for _ in range(3)]
    nightly = Submitter()
    business = jobs.Business(stage, workers, None, users=len(submitters))
    business.send = lambda number: submitters[number % 10000 // business.each].tell("order", number)
    called_off = range(61, 66)

    def night():
        tasks = [("later", range(1, 11)), ("again", range(11, 16)), ("bulk", (21, 31)), ("off", called_off)]
        for word, numbers in tasks:
            for number in numbers:
                jobs.insist(lambda: nightly.tell(word, number))
        business.acknowledged.update(range(1, 16), range(21, 41))

    business.across(night)
    with stage.server.client() as client:
        def idle():
            return not (client.call("LLEN", "queue:orders") or client.call("ZCARD", "schedule")
                        or client.call("ZCARD", "retry"))

        business.drain(idle=idle)
        check("nothing is left to do", jobs.until(idle))
        done = int(client.call("GET", "stat:processed") or 0)
        _, ended = stage.read()
        # Counted every few seconds and at the end: what a killed process had not counted is missing.
        check("the statistics count no more than was done", 0 < done <= sum(ended.values()) + 5 + 2 * THREADS, done)
        equal("nothing died", client.call("ZCARD", "dead"), 0)
    workers.kill()
    for submitter in (*submitters, nightly):
        submitter.process.kill()
    business.verify(lost=2 * THREADS, again=THREADS, forbidden=called_off)


if __name__ == "__main__":
    jobs.play("sidekiq_orders")

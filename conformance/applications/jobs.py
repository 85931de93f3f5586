"""What the job queues share: jobs that move money, worker processes that are killed, and books that are kept beside.

Job N moves N units from one account to the next, in a transaction that also notes that N has moved, so that a job that
runs again after a kill changes nothing. Before and after that the worker writes a line into a file, the ledger, which
the server knows nothing of. In the end the submitters' acknowledgements, the ledger and the accounts must agree:

1. Every job whose submission was acknowledged ended. Libraries that forget a job when they hand it out may lose those
   that were in workers' hands at a kill, which is a number known beforehand.
2. No job ran that nobody had submitted, or that was called off.
3. No job began again but those that were in workers' hands at a kill.
4. The money that moved is that of the jobs that began, each once, and of all that ended.

An application is one file, which is the driver and the module that its workers load:

    if __name__ == "__main__":
        jobs.play("celery_orders")

starts a server, puts its port and the ledger's path into the environment, imports the module and calls its
`main(stage)`.
"""
import asyncio
import collections
import datetime
import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import blackbox
import redis
from across_kill import Crowd, restart
from checks import check, equal, until

PORT = int(os.environ.get("VALK_PORT") or 0)
QUICK = bool(os.environ.get("VALK_QUICK"))
ACCOUNTS = 7
# What a client sees of a server that is away, or that is reading its data, or that was away since a WATCH.
AWAY = (redis.ConnectionError, redis.TimeoutError, redis.WatchError, ConnectionError)


def note(word, number):
    with open(os.environ["VALK_LEDGER"], "ab", buffering=0) as book:
        book.write(f"{word} {number}\n".encode())


def insist(call):
    """Calls until the server is there to answer."""
    while True:
        try:
            return call()
        except AWAY:
            time.sleep(0.05)


def move(number):
    """The work of a job; whatever becomes of an answer, the money moves once."""
    def transaction(pipe):
        moved = pipe.exists(f"bank:moved:{number}")
        pipe.multi()
        if not moved:
            pipe.set(f"bank:moved:{number}", 1)
            pipe.hincrby("bank:accounts", number % ACCOUNTS, -number)
            pipe.hincrby("bank:accounts", (number + 1) % ACCOUNTS, number)
            pipe.xadd("bank:journal", {"job": number})

    with redis.Redis(port=PORT) as client:
        insist(lambda: client.transaction(transaction, f"bank:moved:{number}"))


def perform(number):
    note("begin", number)
    move(number)
    note("end", number)
    return number * number


def soon(seconds):
    return datetime.timedelta(seconds=seconds)


class Loop:
    """An event loop in a thread of its own, for submitters that are threads of libraries that are not."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def run(self, coroutine, seconds=60):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(seconds)


class Stage:
    """A server under test, which syncs every write, and the ledger."""

    def __init__(self):
        self.server = blackbox.Server(sys.argv[1], extra=sys.argv[2:], appendfsync="always")
        self.server.start()
        self.ledger = Path(self.server.home) / "ledger"
        self.ledger.touch()
        self.crews = []
        os.environ.update(VALK_PORT=str(self.server.port), VALK_LEDGER=str(self.ledger))

    def read(self):
        """(how often each job began, how often each ended)."""
        books = {"begin": collections.Counter(), "end": collections.Counter()}
        for line in self.ledger.read_text().splitlines():
            word, number = line.split()
            books[word][int(number)] += 1
        return books["begin"], books["end"]


class Workers:
    """Processes of a library's own worker program; one that ends is started again, as a supervisor does."""

    def __init__(self, stage, *commands):
        self.commands, self.stage, self.restarts = commands, stage, 0
        self.processes, self.wanted, self.lock = {}, False, threading.Lock()
        self.log = Path(stage.server.home) / f"workers{len(stage.crews)}.log"
        stage.crews.append(self)
        threading.Thread(target=self.supervise, daemon=True).start()

    def supervise(self):
        while True:
            with self.lock:
                for index, process in self.processes.items():
                    if self.wanted and process.poll() is not None:
                        self.restarts += 1
                        self.spawn(index)
            time.sleep(0.2)

    def spawn(self, index):
        here = str(Path(__file__).resolve().parent)
        environment = {**os.environ, "PYTHONPATH": f"{here}{os.pathsep}{os.environ['PYTHONPATH']}"}
        with open(self.log, "ab") as log:
            self.processes[index] = subprocess.Popen(self.commands[index], cwd=here, env=environment, stdout=log,
                                                     stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)

    def start(self):
        with self.lock:
            self.wanted = True
            for index in range(len(self.commands)):
                self.spawn(index)

    def kill(self):
        """SIGKILL for each and for what each started."""
        with self.lock:
            self.wanted = False
            for process in self.processes.values():
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                process.wait()

    def last_words(self):
        return self.log.read_text(errors="replace")[-700:] if self.log.exists() else ""


class Business:
    """Days of work through `send(number)`, and what was heard of it.

    With `sure`, the library takes a job that is submitted again for the same job, and the submitter insists.
    """

    def __init__(self, stage, workers, send, sure=False, users=4, each=None):
        self.stage, self.workers, self.send, self.sure = stage, workers, send, sure
        self.users, self.each = users, each or (25 if QUICK else 100)
        self.acknowledged, self.unknown, self.days = set(), set(), 0

    def submit(self, number):
        """True when it was acknowledged."""
        try:
            insist(lambda: self.send(number)) if self.sure else self.send(number)
        except Exception as error:
            if not isinstance(error, AWAY) and not isinstance(error.__cause__, AWAY):
                raise
            self.unknown.add(number)
            return False
        self.acknowledged.add(number)
        return True

    def day(self, disaster):
        self.days += 1
        first = 10000 * self.days
        return Crowd(self.users, self.each,
                     lambda user, number: self.submit(first + user * self.each + number)).through(disaster)

    def across(self, night=None):
        """A day on which the server alone is killed, and one on which workers and server are, with a night between.

        `night` submits what must wait: no worker runs, and the server is killed once more before any does. Connections
        of the day are dead, and other submitters are still about.
        """
        server = self.stage.server
        self.workers.start()
        self.day(lambda: restart(server))

        def disaster():
            self.workers.kill()
            restart(server)
            if night is not None:
                night()
                restart(server)
            self.workers.start()

        self.day(disaster)

    def drain(self, patience=40, idle=None):
        """Waits for the end of all that was acknowledged, for as long as anything moves.

        Of a library that may lose jobs, `idle` answers whether its queues are empty.
        """
        seen, last = -1, time.monotonic()
        while time.monotonic() - last < patience:
            size = self.stage.ledger.stat().st_size
            if size != seen:
                seen, last = size, time.monotonic()
            if self.acknowledged <= self.stage.read()[1].keys():
                return
            if idle is not None and time.monotonic() - last > 4 and idle():
                return
            time.sleep(0.1)

    def verify(self, lost=0, again=0, forbidden=()):
        """The books, when nobody works any more; `lost` and `again` are upper bounds."""
        begun, ended = self.stage.read()
        missing = sorted(self.acknowledged - ended.keys())
        check(f"what was acknowledged was done, but for {lost} at most" if lost else "what was acknowledged was done",
              len(missing) <= lost, f"{len(missing)} of {len(self.acknowledged)} missing: {missing[:10]}; "
              f"{len(self.unknown)} unknown; {self.workers.last_words()}")
        strange = begun.keys() - self.acknowledged - self.unknown
        check("nothing else was", not strange, sorted(strange)[:10])
        check("nor what was called off", not begun.keys() & set(forbidden), sorted(begun.keys() & set(forbidden))[:10])
        twice = {number: count for number, count in begun.items() if count > 1}
        check(f"no more than {again} began again" if again else "none began twice",
              sum(twice.values()) - len(twice) <= again, twice)
        check("most submissions were answered", len(self.acknowledged) > len(self.unknown), len(self.unknown))
        with redis.Redis(port=self.stage.server.port, decode_responses=True) as client:
            moved = {int(key.rsplit(":", 1)[1]) for key in client.scan_iter("bank:moved:*", 1000)}
            check("money moved for what ended, and for nothing that never began",
                  ended.keys() <= moved <= begun.keys(), sorted(ended.keys() - moved)[:10])
            accounts = collections.Counter()
            for number in moved:
                accounts[number % ACCOUNTS] -= number
                accounts[(number + 1) % ACCOUNTS] += number
            seen = {int(account): int(sum) for account, sum in client.hgetall("bank:accounts").items()}
            equal("the accounts are those of one move each", seen, dict(accounts))
            journal = [int(entry["job"]) for _, entry in client.xrange("bank:journal")]
            check("and so is the journal", len(journal) == len(moved) and set(journal) == moved, len(journal))


def play(name):
    stage = Stage()
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    global PORT
    PORT = stage.server.port
    # Whoever loses patience asks first: workers and server are in sessions of their own and would stay behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        importlib.import_module(name).main(stage)
    finally:
        for workers in stage.crews:
            workers.kill()
        stage.server.stop()
    print("done")

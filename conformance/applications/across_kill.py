"""What the web applications share: users at work while the server is killed and comes back.

A user is a thread that sends one request after the other and notes what was acknowledged. A request that fails is not
sent again, it counts as unknown: what it does may have happened or not.
"""
import threading
import time

from checks import check


class Crowd:
    """Runs `work(user, number)` for every user and number; `work` answers whether it was acknowledged."""

    def __init__(self, users, each, work):
        self.acknowledged, self.unknown, self.errors = [0] * users, [0] * users, []
        self.each, self.work = each, work
        self.gate = threading.Barrier(users + 1)
        self.half = threading.Semaphore(0)
        self.threads = [threading.Thread(target=self.run, args=(user,), daemon=True) for user in range(users)]

    def run(self, user):
        self.gate.wait()
        for number in range(self.each):
            try:
                done = self.work(user, number)
            except Exception as error:  # shown by the check below; the user goes on
                self.errors.append(f"{type(error).__name__}: {error}")
                done = False
            self.acknowledged[user] += bool(done)
            self.unknown[user] += not done
            if not done:  # while the server is away, nobody uses up all that there is to do
                time.sleep(0.05)
            if number == self.each // 2:
                self.half.release()

    def through(self, disaster=None):
        """All users at once; `disaster` happens as soon as one of them is half through."""
        for thread in self.threads:
            thread.start()
        self.gate.wait()
        if disaster is not None:
            self.half.acquire()
            disaster()
        for thread in self.threads:
            thread.join(120)
        check("users come to their end", not any(thread.is_alive() for thread in self.threads))
        check("nothing breaks in the application itself", not self.errors, self.errors[:3])
        return self


def restart(server):
    server.kill()
    server.start()

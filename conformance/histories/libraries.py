"""limits and redis-py's Lock under many processes; prints a line for each check.

    libraries.py PORT [quick]
"""
import multiprocessing
import sys
from pathlib import Path

import redis

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "clients"))
from checks import check, equal  # noqa: E402
from limits import parse  # noqa: E402
from limits.storage import storage_from_string  # noqa: E402
from limits.strategies import FixedWindowRateLimiter, SlidingWindowCounterRateLimiter  # noqa: E402

PORT, QUICK = int(sys.argv[1]), len(sys.argv) > 2 and bool(sys.argv[2])
PROCESSES = 4
# Compares and deletes, as locks with a token do; the lock has a number that only ever grows.
UNLOCK = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


def many(work, *arguments):
    with multiprocessing.Pool(PROCESSES) as pool:
        return pool.starmap(work, [(index, *arguments) for index in range(PROCESSES)])


def hits(_, strategy, calls):
    limiter = {"fixed": FixedWindowRateLimiter, "sliding": SlidingWindowCounterRateLimiter}[strategy](
        storage_from_string(f"redis://127.0.0.1:{PORT}/1"))
    item = parse("100 per 10 years")  # no window ends while the test runs
    return sum(limiter.hit(item, strategy) for _ in range(calls))


def locked(index, rounds, own):
    """Reads a counter and writes it back; who is not alone loses counts."""
    client, numbers = redis.Redis(port=PORT), []
    lock = client.lock("library lock", timeout=60, sleep=0.001)
    release = client.register_script(UNLOCK)
    for step in range(rounds):
        token = f"{index}.{step}"
        if own:
            while not client.set("own lock", token, nx=True, px=60000):
                pass
        else:
            lock.acquire()
        numbers.append(client.incr(f"fence {own}"))
        seen = int(client.get(f"counter {own}") or 0)
        if step % 3 == 0 and not own:
            lock.extend(60)
        client.set(f"counter {own}", seen + 1)
        if own:
            numbers.append(-release(keys=["own lock"], args=[token]))
            numbers.append(-1 - release(keys=["own lock"], args=["somebody else's"]))
        else:
            lock.release()
    return numbers


def taken(index, rounds):
    """Takes numbers with WATCH, GET, MULTI, SET, EXEC; each number exactly once."""
    client, numbers = redis.Redis(port=PORT), []
    while len(numbers) < rounds:
        with client.pipeline() as pipe:
            try:
                pipe.watch("ticket")
                number = int(pipe.get("ticket") or 0) + 1
                pipe.multi()
                pipe.set("ticket", number)
                pipe.execute()
                numbers.append(number)
            except redis.WatchError:
                continue
    return numbers


def main():
    client = redis.Redis(port=PORT)
    client.flushall()
    calls = 60 if QUICK else 400
    for strategy in ("fixed", "sliding"):
        equal(f"limits, {strategy} window: exactly as many as may", sum(many(hits, strategy, calls)), 100)
    rounds = 50 if QUICK else 500
    for own in (False, True):
        name = "a lock with a token" if own else "redis-py's Lock"
        numbers = many(locked, rounds, own)
        equal(f"{name}: nobody's count is lost", int(client.get(f"counter {own}")), PROCESSES * rounds)
        fences = sorted(number for part in numbers for number in part if number > 0)
        equal(f"{name}: each fencing number once", fences, list(range(1, PROCESSES * rounds + 1)))
        check(f"{name}: the numbers of each holder grow",
              all(part == sorted(part) for part in ([n for n in part if n > 0] for part in numbers)))
        if own:
            equal(f"{name}: only its holder unlocks it", [n for part in numbers for n in part if n <= 0],
                  [-1, -1] * PROCESSES * rounds)
    numbers = sorted(number for part in many(taken, rounds * 2) for number in part)
    equal("tickets by WATCH: each number once", numbers, list(range(1, PROCESSES * rounds * 2 + 1)))
    print("done")


if __name__ == "__main__":
    main()

"""Limiters and locks under many processes, against models.

Scripts that a limiter would use keep count of their own order: each call takes the next number of its script's turn, so
that a model replays the calls in exactly that order and must give the same answers. The clock is an argument. Then the
libraries themselves: limits may not let in one more than it should, whoever holds redis-py's or a plain token lock is
alone, which a counter shows that is read and written back without any protection but the lock.
"""
import multiprocessing
import random
import subprocess
import sys
from pathlib import Path

import blackbox

BUCKET = b"""
local turn = redis.call('INCR', KEYS[2])
local size, rate, now = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local tokens, last = size, now
local kept = redis.call('GET', KEYS[1])
if kept then
  local state = cjson.decode(kept)
  tokens, last = state.tokens, state.last
end
if now > last then
  tokens = math.min(size, tokens + (now - last) * rate)
  last = now
end
local taken = tokens >= 1
if taken then tokens = tokens - 1 end
redis.call('SET', KEYS[1], cjson.encode({tokens = tokens, last = last}), 'EX', 1000)
return {turn, taken and 1 or 0, tokens}
"""

# The generic cell rate algorithm in whole numbers: one cell each `interval`, `burst` at once.
CELLS = b"""
local turn = redis.call('INCR', KEYS[2])
local interval, burst, now = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local due = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now) + interval
local early = now - (due - burst * interval)
if early < 0 then return {turn, 0, -early} end
redis.call('SET', KEYS[1], due, 'PX', 1000000)
return {turn, 1, math.floor(early / interval)}
"""

# Windows of ten units; the last window counts by the part of it that the sliding window still covers.
SLIDING = b"""
local turn = redis.call('INCR', KEYS[1])
local limit, now = tonumber(ARGV[1]), tonumber(ARGV[2])
local window = math.floor(now / 10)
local before = tonumber(redis.call('GET', KEYS[1] .. ':' .. (window - 1)) or 0)
local here = tonumber(redis.call('GET', KEYS[1] .. ':' .. window) or 0)
local weighted = here + before * (10 - now % 10) / 10
if weighted >= limit then return {turn, 0, here} end
return {turn, 1, redis.call('INCR', KEYS[1] .. ':' .. window)}
"""


class BucketModel:
    size, rate = 8, 2

    def __init__(self):
        self.tokens, self.last = self.size, None

    def call(self, now):
        if self.last is None:
            self.last = now
        if now > self.last:
            self.tokens, self.last = min(self.size, self.tokens + (now - self.last) * self.rate), now
        taken = self.tokens >= 1
        self.tokens -= taken
        return [int(taken), self.tokens]

    def request(self, now):
        return [b"EVAL", BUCKET, b"2", b"{bucket}", b"{bucket}turn", b"%d" % self.size, b"%d" % self.rate, b"%d" % now]


class CellModel:
    interval, burst = 3, 5

    def __init__(self):
        self.due = 0

    def call(self, now):
        due = max(self.due, now) + self.interval
        early = now - (due - self.burst * self.interval)
        if early < 0:
            return [0, -early]
        self.due = due
        return [1, early // self.interval]

    def request(self, now):
        return [b"EVAL", CELLS, b"2", b"{cell}", b"{cell}turn", b"%d" % self.interval, b"%d" % self.burst, b"%d" % now]


class SlidingModel:
    limit = 7

    def __init__(self):
        self.windows = {}

    def call(self, now):
        window = now // 10
        before, here = self.windows.get(window - 1, 0), self.windows.get(window, 0)
        if here + before * (10 - now % 10) / 10 >= self.limit:
            return [0, here]
        self.windows[window] = here + 1
        return [1, here + 1]

    def request(self, now):
        return [b"EVAL", SLIDING, b"1", b"sliding", b"%d" % self.limit, b"%d" % now]


MODELS = {"token bucket": BucketModel, "cell rate": CellModel, "sliding window": SlidingModel}


def caller(port, seed, kind, clock, calls, pipe):
    """Calls at the time of a clock that all callers move on, so that calls come late and out of order."""
    chance, model, seen = random.Random(seed), MODELS[kind](), []
    with blackbox.Client(port) as client:
        while len(seen) < calls:
            batch = []
            for _ in range(chance.choice((1, 1, 4))):
                with clock.get_lock():
                    clock.value += chance.choice((0, 0, 0, 0, 1, 1, 2))
                    batch.append(clock.value)
            for now, reply in zip(batch, client.pipeline([model.request(now) for now in batch])):
                seen.append((now, reply if isinstance(reply, list) else [0, str(reply)]))
    pipe.send(seen)
    pipe.close()


def replay(results, port, seed, kind, calls, processes=4):
    clock, ends = multiprocessing.Value("L", 1000), []
    for index in range(processes):
        ours, theirs = multiprocessing.Pipe(False)
        process = multiprocessing.Process(target=caller,
                                          args=(port, f"{seed}/{kind}/{index}", kind, clock, calls, theirs))
        process.start()
        theirs.close()
        ends.append((process, ours))
    seen = []
    for process, ours in ends:
        seen += ours.recv()
        process.join()
    seen.sort(key=lambda call: call[1][0])
    turns = [reply[0] for _, reply in seen]
    results.check(f"{kind}: {len(seen)} calls, one turn each", turns == list(range(1, len(seen) + 1)), str(turns[:5]))
    model, wrong = MODELS[kind](), []
    for now, reply in seen:
        expected = model.call(now)
        if reply[1:] != expected:
            wrong.append(f"turn {reply[0]} at {now}: {reply[1:]}, model {expected}")
    let_in = sum(reply[1] for _, reply in seen if reply[1] == 1)
    results.check(f"{kind}: the model agrees, call by call; {let_in} let in", not wrong and 0 < let_in < len(seen),
                  "; ".join(wrong[:5]))


def main(results, options, seed):
    server = blackbox.Server(options.binary, keep=options.keep, extra=options.server_arguments)
    if not server.is_redis:
        server.extra = ["--io-threads", "4", *server.extra]
    python = blackbox.python_with_clients()
    with server:
        for kind in MODELS:
            with results.section(kind):
                replay(results, server.port, seed, kind, 300 if options.quick else 3000)
        with results.section("libraries"):
            program = Path(__file__).resolve().parent / "libraries.py"
            done = subprocess.run([python, str(program), str(server.port), "1" if options.quick else ""], timeout=240,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
            output = done.stdout.decode("utf-8", "replace")
            for line in output.splitlines():
                if line.startswith(("ok ", "FAIL ")):
                    results.check(line.split(" ", 1)[1], line.startswith("ok "))
                elif line != "done":
                    print(f"      {line}", file=sys.stdout)
            results.check("libraries: ran to the end", output.endswith("done\n") and done.returncode == 0)
        results.check("limiters: the server is alive", server.process.poll() is None, server.log_tail())

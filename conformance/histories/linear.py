"""Is a history of concurrent operations linearizable? After Wing and Gong, with Lowe's memory of states seen before.

An operation has a time at which it was sent and one at which its answer came (infinity when none came: then it may have
happened at any time since, or never). It is linearizable when all operations that were answered, and some of those that
were not, can be put in one order such that

1. of two operations, where one was answered before the other was sent, the former stands before the latter,
2. operations of one connection stand in the order in which they were sent, those of one pipeline included,
3. applied one after the other to the model, each gives the answer that it got,
4. one whose server was killed stands before everything that was sent to the next server.

The model's state must be hashable; `apply(state)` of an operation gives the next state and the answer.
"""
from dataclasses import dataclass

NEVER = float("inf")


@dataclass
class Operation:
    """`answer` counts only if `answered` is not NEVER. `lane` is the connection, which keeps its order; the answers of
    an old connection end where those of a new one begin. `until` is when the next server began."""

    lane: int
    sent: float
    answered: float
    apply: object
    answer: object
    words: str = ""
    until: float = NEVER


def check(operations, state):
    """None if the history is linearizable, else the longest order that was found, its state, and what cannot follow it.

    Searched depth first: the candidates for the next place are the first operations of each lane that were sent before
    any waiting operation was answered.
    """
    lanes = {}
    for operation in sorted(operations, key=lambda operation: operation.sent):
        lanes.setdefault(operation.lane, []).append(operation)
    names = sorted(lanes)
    queues = [lanes[name] for name in names]
    # Of those that were never answered a lane has at most its tail; they may be left out for good.
    heads = [0] * len(queues)
    seen, order, best, path = set(), [], [], []

    def candidates():
        deadline = min((queue[head].answered for queue, head in zip(queues, heads) if head < len(queue)), default=NEVER)
        found = [index for index, (queue, head) in enumerate(zip(queues, heads))
                 if head < len(queue) and queue[head].sent <= deadline]
        return sorted(found, key=lambda index: queues[index][heads[index]].answered)

    def complete():
        return all(head >= len(queue) or queue[head].answered == NEVER for queue, head in zip(queues, heads))

    latest = 0.0
    pending = candidates()
    while True:
        if complete():
            return None
        moved = False
        while pending:
            index = pending.pop(0)
            operation = queues[index][heads[index]]
            if operation.until <= latest:
                continue
            following, answer = operation.apply(state)
            if operation.answered != NEVER and answer != operation.answer:
                continue
            heads[index] += 1
            mark = (tuple(heads), following)
            if mark in seen:
                heads[index] -= 1
                continue
            seen.add(mark)
            path.append((index, state, pending, latest))
            order.append(operation)
            state, pending, moved, latest = following, candidates(), True, max(latest, operation.sent)
            if len(order) > len(best):
                best = list(order)
                stuck = (list(heads), state)
            break
        if moved:
            continue
        if not path:
            heads_then, state_then = stuck if best else ([0] * len(queues), state)
            return best, state_then, [queue[head] for queue, head in zip(queues, heads_then) if head < len(queue)]
        index, state, pending, latest = path.pop()
        heads[index] -= 1
        order.pop()


def explain(found):
    """The end of the longest order, the state behind it, and what could not follow, one line each."""
    order, state, waiting = found
    lines = [f"placed {len(order)} operations, the last of them:"]
    lines += [f"  {operation.lane}: {operation.words} -> {operation.answer!r:.120}" for operation in order[-6:]]
    lines += [f"state then: {state!r:.300}", "none of these can follow:"]
    lines += [f"  {operation.lane}: {operation.words} -> {operation.answer!r:.120}, model "
              f"{operation.apply(state)[1]!r:.120}" for operation in waiting]
    return "\n".join(lines)

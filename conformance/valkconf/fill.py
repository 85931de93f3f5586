"""Writes the server's replies into case files where they expect `?` or, for any order, `unordered?`.

For writing cases: put down the requests, fill from redis-server, then read what came and replace
what is accidental by matchers. Replies are taken in RESP3, which knows more types, and in RESP2,
whose reply is written beside the other where the one does not follow from the other.
"""

import os

from .patterns import Bad, Text, parse_pattern
from .resp import show


def notation(reply, old):
    text = show(reply)
    return "unordered" + text if old.startswith("unordered") and text.startswith("[") else text


def both(replies, old):
    """The notation of what came in each protocol; `replies` by protocol."""
    newest = replies[max(replies)]
    text = notation(newest, old)
    other = replies.get(2)
    if len(replies) == 1 or other is None:
        return text
    try:
        if parse_pattern(Text(text, 1)).match(other, 2, {}) is None:
            return text
    except Bad:
        return text
    return "resp2 %s\nresp3 %s" % (notation(other, old), text)


def main(cases, runner, directory):
    by_file = {}
    problems = 0
    for case in cases:
        for protocol in case.protocols:
            runner.filled = {}
            problem = runner.run(case, protocol)
            if problem:
                problems += 1
                print("%s: %s" % (case.identity, problem))
                break
            for line, (step, replies) in runner.filled.items():
                by_file.setdefault(case.file, {}).setdefault(line, (step, {}))[1][protocol] = replies
    count = 0
    for file, steps in by_file.items():
        path = os.path.join(directory, file + ".case")
        with open(path, encoding="utf-8") as handle:
            lines = handle.read().split("\n")
        for line in sorted(steps, reverse=True):
            step, replies = steps[line]
            rows = step.last_reply_line - step.first_reply_line
            if any(len(held) != rows for held in replies.values()):
                print("%s:%d: cannot fill a block that is partly written over several lines" % (path, line))
                continue
            block = []
            for offset in range(rows):
                old = lines[step.first_reply_line + offset]
                held = {protocol: several[offset] for protocol, several in replies.items()}
                wanted = old.strip() in ("?", "unordered?") and None not in held.values()
                block.append(both(held, old.strip()) if wanted else old)
                count += wanted
            lines[step.first_reply_line:step.last_reply_line] = block
        with open(path, "w", encoding="utf-8") as handle:
            handle.write("\n".join(lines))
    print("%d replies filled in, %d cases with problems" % (count, problems))
    return 1 if problems else 0

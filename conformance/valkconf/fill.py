"""Writes the server's replies into case files where they expect `?`.

For writing cases: put down the requests, fill from redis-server, then read what came and replace
what is accidental by matchers. Replies are taken in RESP3, which knows more types.
"""

import os

from .resp import show


def main(cases, runner, directory):
    by_file = {}
    problems = 0
    for case in cases:
        runner.filled = {}
        protocol = case.protocols[-1]
        problem = runner.run(case, protocol)
        if problem:
            problems += 1
            print("%s: %s" % (case.identity, problem))
        by_file.setdefault(case.file, {}).update(runner.filled)
    count = 0
    for file, steps in by_file.items():
        if not steps:
            continue
        path = os.path.join(directory, file + ".case")
        with open(path, encoding="utf-8") as handle:
            lines = handle.read().split("\n")
        for line in sorted(steps, reverse=True):
            step, replies = steps[line]
            if len(replies) != step.last_reply_line - step.first_reply_line:
                print("%s:%d: cannot fill a block that is partly written over several lines" % (path, line))
                continue
            block = []
            for offset, reply in enumerate(replies):
                old = lines[step.first_reply_line + offset]
                block.append(show(reply) if old.strip() == "?" and reply is not None else old)
                count += 1
            lines[step.first_reply_line:step.last_reply_line] = block
        with open(path, "w", encoding="utf-8") as handle:
            handle.write("\n".join(lines))
    print("%d replies filled in, %d cases with problems" % (count, problems))
    return 1 if problems else 0

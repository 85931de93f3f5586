"""Which commands of a server's table no case ever sends.

A request counts for its first word and, when the table has it, for `first|second`. Cases of
command-info and command-docs only ask about commands, so what they name does not count.
"""

from .casefile import Exchange
from .resp import Connection


def sent_names(cases):
    names = set()
    for case in cases:
        for step in case.steps:
            if not isinstance(step, Exchange):
                continue
            for request in step.requests:
                words = request.words or [w.encode() for w in request.source.split()]
                if request.mode in ("send", "poll", "split", "inline") and words:
                    first = words[0].decode("latin-1").lower()
                    names.add(first)
                    if len(words) > 1:
                        names.add(first + "|" + words[1].decode("latin-1").lower())
    return names


def main(cases, target):
    connection = Connection(target.host, target.port)
    try:
        table = sorted(item.value.decode() for item in connection.call("COMMAND", "LIST").value)
    finally:
        connection.close()
    missing = sorted(set(table) - sent_names(cases))
    for name in missing:
        print("no case sends %s" % name)
    print("%d commands and subcommands, %d without a case" % (len(table), len(missing)))
    return 1 if missing else 0

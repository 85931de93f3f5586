"""Case files: parsing into cases and steps. The notation is described in conformance/README.md."""

import os
import re

from .patterns import Bad, Event, Text, parse_pattern, parse_words

_STEP = re.compile(r"^(?:([a-z][a-z0-9]*)\.)?(|send|split|raw|inline|poll|read|eof|open)>(?: (.*))?$")
_CONNECTION_STEP = re.compile(r"^([a-z][a-z0-9]*)>(?: (.*))?$")
_MODES = ("send", "split", "raw", "inline", "poll", "read", "eof", "open")


class Request:
    """One thing to do on one connection before the replies are read."""

    def __init__(self, connection, mode, source, line):
        self.connection, self.mode, self.source, self.line = connection, mode, source, line
        self.words = [] if mode == "inline" else parse_words(source, line)


class Exchange:
    """Requests sent without waiting, then the replies they must get, in order."""

    def __init__(self, requests, patterns, line, first_reply_line, last_reply_line):
        self.requests, self.patterns, self.line = requests, patterns, line
        self.first_reply_line, self.last_reply_line = first_reply_line, last_reply_line


class Sleep:
    def __init__(self, milliseconds):
        self.milliseconds = milliseconds


class Case:
    def __init__(self, file, name, line):
        self.file, self.name, self.line = file, name, line
        self.steps = []
        self.protocols = (2, 3)
        self.settings = []
        self.cleanup = []
        self.server = None
        self.bare = False
        self.needs = []

    @property
    def identity(self):
        return "%s: %s" % (self.file, self.name)


def parse_file(path):
    with open(path, encoding="utf-8") as handle:
        lines = handle.read().split("\n")
    name = os.path.splitext(os.path.basename(path))[0]
    cases, seen = [], set()
    needs = []
    index = 0
    try:
        while index < len(lines):
            line = lines[index]
            if line.startswith("== "):
                title = line[3:].strip()
                if title in seen:
                    raise Bad("line %d: a second case is called %r" % (index + 1, title))
                seen.add(title)
                cases.append(Case(name, title, index + 1))
                cases[-1].needs = list(needs)
                index += 1
            elif not line.strip() or line.startswith("#"):
                index += 1
            elif not cases and line.startswith("@needs "):
                needs += line[7:].lower().split()
                index += 1
            elif not cases:
                raise Bad("line %d: text before the first case" % (index + 1))
            elif line.startswith("@"):
                _directive(cases[-1], line, index + 1)
                index += 1
            elif line.startswith("sleep "):
                cases[-1].steps.append(Sleep(int(line[6:])))
                index += 1
            elif _step(line):
                index = _exchange(cases[-1], lines, index)
            else:
                raise Bad("line %d: cannot read %r" % (index + 1, line))
    except Bad as why:
        raise Bad("%s: %s" % (path, why)) from None
    return cases


def _step(line):
    """(connection, mode, rest) of a request line, else None."""
    found = _STEP.match(line)
    if found:
        return found.group(1) or "main", found.group(2) or "send", found.group(3) or ""
    found = _CONNECTION_STEP.match(line)
    if found:
        return found.group(1), "send", found.group(2) or ""
    return None


def _exchange(case, lines, index):
    """Reads consecutive requests and the block of expected replies under them."""
    requests, first = [], index
    while index < len(lines):
        step = _step(lines[index])
        if step is None:
            break
        requests.append(Request(step[0], step[1], step[2], index + 1))
        index += 1
    start = index
    while index < len(lines):
        line = lines[index]
        if _step(line) or line.startswith(("== ", "sleep ", "@")):
            break
        index += 1
    cursor = Text("\n".join(lines[start:index]), start + 1)
    patterns = []
    while cursor.more():
        patterns.append(parse_pattern(cursor))
    expecting = [r for r in requests if r.mode not in ("raw", "read", "open", "eof")]
    replies = [p for p in patterns if not (isinstance(p, Event) and p.name in ("closed", "quiet"))]
    if len(expecting) == len(requests) and len(replies) != len(requests) != len(patterns):
        raise Bad("line %d: %d requests, %d expected replies" % (first + 1, len(requests), len(patterns)))
    last = index
    while last > start and (not lines[last - 1].strip() or lines[last - 1].startswith("#")):
        last -= 1
    case.steps.append(Exchange(requests, patterns, first + 1, start, last))
    return index


def _directive(case, line, number):
    name, _, rest = line[1:].partition(" ")
    rest = rest.strip()
    if name == "resp" and rest in ("2", "3"):
        case.protocols = (int(rest),)
    elif name == "config":
        words = [w.decode() for w in parse_words(rest, number)]
        if len(words) != 2:
            raise Bad("line %d: @config NAME VALUE" % number)
        case.settings.append(tuple(words))
    elif name == "cleanup":
        case.cleanup.append(parse_words(rest, number))
    elif name == "server":
        case.server = [w.decode() for w in parse_words(rest, number)]
    elif name == "needs":
        case.needs += rest.lower().split()
    elif name == "bare":
        case.bare = True
        case.protocols = (2,)
    else:
        raise Bad("line %d: unknown directive %s" % (number, line))


def load(directory, only=None):
    """All cases of a directory in file order; `only` keeps identities that contain one of its strings."""
    cases = []
    for entry in sorted(os.listdir(directory)):
        if entry.endswith(".case"):
            cases.extend(parse_file(os.path.join(directory, entry)))
    if only:
        cases = [c for c in cases if any(text.lower() in c.identity.lower() for text in only)]
    return cases

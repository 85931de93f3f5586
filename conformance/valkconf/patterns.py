"""Expected replies: their notation, and the comparison with what came.

A pattern is exact unless it says otherwise. `match(reply, protocol, scope)` returns None when the
reply fits, else one line that says where and why it does not. `scope` holds captured values.
The notation is described in conformance/README.md.
"""

import re
import time

from .resp import quote, show


class Bad(Exception):
    """The case file has an error."""


_ESCAPES = {"n": 10, "r": 13, "t": 9, "a": 7, "b": 8, "0": 0}
_SUBSTITUTION = re.compile(r"\$\((\w+)(?:([+-])(\d+))?\)")


def substitute(data, scope):
    """Replaces $(name), $(name+N) and $(name-N) in bytes. now, now_ms and day are always there."""
    if b"$(" not in data:
        return data

    def value(found):
        name, sign, amount = found.group(1), found.group(2), found.group(3)
        held = lookup(name, scope)
        if sign:
            held = int(held) + (int(amount) if sign == "+" else -int(amount))
        return held if isinstance(held, bytes) else str(held).encode()

    return re.sub(_SUBSTITUTION.pattern.encode(), lambda m: value(_Decoded(m)), data)


class _Decoded:
    def __init__(self, match):
        self.match = match

    def group(self, index):
        held = self.match.group(index)
        return held.decode() if held is not None else None


def lookup(name, scope):
    if name == "now":
        return int(time.time())
    if name == "now_ms":
        return int(time.time() * 1000)
    if name not in scope:
        raise Bad("nothing captured as %s" % name)
    return scope[name]


class Text:
    """A cursor over the text of a file region, shared by requests and patterns."""

    def __init__(self, text, line):
        self.text = text
        self.at = 0
        self.first_line = line

    @property
    def line(self):
        return self.first_line + self.text.count("\n", 0, self.at)

    def fail(self, why):
        raise Bad("line %d: %s" % (self.line, why))

    def skip(self):
        while self.at < len(self.text):
            if self.text[self.at] in " \t\n":
                self.at += 1
            elif self.text.startswith("# ", self.at) or self.text.startswith("#\n", self.at):
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            else:
                break

    def more(self):
        self.skip()
        return self.at < len(self.text)

    def peek(self, literal):
        return self.text.startswith(literal, self.at)

    def take(self, literal):
        if self.peek(literal):
            self.at += len(literal)
            return True
        return False

    def match(self, pattern):
        found = pattern.match(self.text, self.at)
        if found:
            self.at = found.end()
        return found

    def quoted(self):
        """A double-quoted string with escapes, optionally repeated: "ab"*300."""
        out = bytearray()
        self.at += 1
        while True:
            if self.at >= len(self.text) or self.text[self.at] == "\n":
                self.fail("string without end")
            c = self.text[self.at]
            self.at += 1
            if c == '"':
                break
            if c != "\\":
                out += c.encode("utf-8")
                continue
            c = self.text[self.at]
            self.at += 1
            if c == "x":
                out.append(int(self.text[self.at:self.at + 2], 16))
                self.at += 2
            elif c in _ESCAPES:
                out.append(_ESCAPES[c])
            else:
                out += c.encode("utf-8")
        repeated = self.match(re.compile(r"\*(\d+)"))
        return bytes(out) * int(repeated.group(1)) if repeated else bytes(out)


_BARE = re.compile(r"[^\s\"]+")


def parse_words(text, line):
    """The words of a request line: bare, "quoted" and "repeated"*9, glued when nothing is between them."""
    cursor = Text(text, line)
    words = []
    while True:
        while cursor.at < len(text) and text[cursor.at] in " \t":
            cursor.at += 1
        if cursor.at >= len(text):
            return words
        word = b""
        while cursor.at < len(text) and text[cursor.at] not in " \t":
            if cursor.peek('"'):
                word += cursor.quoted()
            else:
                word += cursor.match(_BARE).group(0).encode("utf-8")
        words.append(word)


# ---- patterns -------------------------------------------------------------------------------

class Pattern:
    needs_reply = True

    def match(self, reply, protocol, scope):
        raise NotImplementedError


class Exact(Pattern):
    """One scalar of one wire type."""

    def __init__(self, kind, value=None, format=None):
        self.kind, self.value, self.format = kind, value, format

    def match(self, reply, protocol, scope):
        kind, value = self.kind, self.value
        if isinstance(value, bytes):
            value = substitute(value, scope)
        if protocol == 2:
            kind = {"double": "bulk", "verbatim": "bulk", "big": "bulk"}.get(kind, kind)
            if kind == "bool":
                kind, value = "int", int(value)
        elif kind == "nil-array":
            kind = "nil"
        if reply.kind == kind and reply.value == value and (kind != "verbatim" or reply.format == self.format):
            return None
        if reply.kind == kind == "error":
            return "error text differs"
        if reply.kind != kind:
            return "expected type %s, got %s" % (kind, reply.kind)
        return "value differs"


class Kind(Pattern):
    """Any value of some wire types, optionally an integer range or a length."""

    def __init__(self, kinds, low=None, high=None, length=None):
        self.kinds, self.low, self.high, self.length = kinds, low, high, length

    def match(self, reply, protocol, scope):
        if protocol == 2 and reply.kind == "array" and self.kinds == ("map",):
            return None
        if protocol == 2 and reply.kind == "bulk" and self.kinds == ("verbatim",):
            return None
        if self.kinds and reply.kind not in self.kinds:
            return "expected %s, got %s" % (" or ".join(self.kinds), reply.kind)
        for bound, outside in ((self.low, lambda v, b: v < b), (self.high, lambda v, b: v > b)):
            if bound is not None and outside(reply.value, int(substitute(bound, scope))):
                return "%d is not in %s..%s" % (reply.value, _bound(self.low, scope), _bound(self.high, scope))
        if self.length is not None and len(reply.value) != self.length:
            return "length %d, expected %d" % (len(reply.value), self.length)
        return None


def _bound(bound, scope):
    return "" if bound is None else substitute(bound, scope).decode()


class Regex(Pattern):
    """A regular expression searched in a string, simple string, verbatim string or (error=True) error."""

    def __init__(self, source, error=False, verbatim=False):
        self.source, self.error, self.verbatim = source, error, verbatim
        try:
            re.compile(source.encode("utf-8"), re.S)
        except re.error as why:
            raise Bad("bad regular expression %s: %s" % (source, why))

    def match(self, reply, protocol, scope):
        allowed = ("error",) if self.error else ("bulk", "simple", "verbatim")
        if self.verbatim:
            allowed = ("bulk",) if protocol == 2 else ("verbatim",)
        if reply.kind not in allowed:
            return "expected %s, got %s" % (" or ".join(allowed), reply.kind)
        source = substitute(self.source.encode("utf-8"), scope)
        if re.search(source, reply.value, re.S) is None:
            return "does not match /%s/" % source.decode("utf-8", "replace")
        return None


class Sequence(Pattern):
    """array, set, push; `rest` allows further elements, `ordered` False compares as a multiset."""

    def __init__(self, kind, items, rest=False, ordered=True):
        self.kind, self.items, self.rest, self.ordered = kind, items, rest, ordered

    def match(self, reply, protocol, scope):
        kinds = ("array",) if protocol == 2 and self.kind in ("set", "push") else (self.kind,)
        if self.kind == "unordered":
            kinds = ("array", "set")
        if reply.kind not in kinds:
            return "expected %s, got %s" % (" or ".join(kinds), reply.kind)
        values = reply.value
        if len(values) != len(self.items) and not (self.rest and len(values) > len(self.items)):
            return "%d elements, expected %d%s" % (len(values), len(self.items), " or more" if self.rest else "")
        if self.ordered and self.kind not in ("set", "unordered"):
            for index, item in enumerate(self.items):
                why = item.match(values[index], protocol, scope)
                if why:
                    return "element %d: %s" % (index, why)
            return None
        left = list(values)
        for index, item in enumerate(self.items):
            for position, value in enumerate(left):
                if item.match(value, protocol, scope) is None:
                    del left[position]
                    break
            else:
                return "no element fits expected element %d" % index
        return None


class Map(Pattern):
    """Pairs in any order; a flat array in RESP2. `rest` allows further pairs."""

    def __init__(self, pairs, rest=False):
        self.pairs, self.rest = pairs, rest

    def match(self, reply, protocol, scope):
        if protocol == 2:
            if reply.kind != "array":
                return "expected a flat array for a map, got %s" % reply.kind
            if len(reply.value) % 2:
                return "odd number of elements in a flattened map"
            held = list(zip(reply.value[0::2], reply.value[1::2]))
        elif reply.kind != "map":
            return "expected map, got %s" % reply.kind
        else:
            held = list(reply.value)
        for key, value in self.pairs:
            for position, (got_key, got_value) in enumerate(held):
                if key.match(got_key, protocol, scope) is None:
                    why = value.match(got_value, protocol, scope)
                    if why:
                        return "at key %s: %s" % (show(got_key), why)
                    del held[position]
                    break
            else:
                return "no pair with expected key %s" % describe(key)
        if held and not self.rest:
            return "unexpected pair with key %s" % show(held[0][0])
        return None


def describe(pattern):
    if isinstance(pattern, Exact) and isinstance(pattern.value, bytes):
        return quote(pattern.value)
    return pattern.__class__.__name__


class OneOf(Pattern):
    def __init__(self, choices):
        self.choices = choices

    def match(self, reply, protocol, scope):
        if any(choice.match(reply, protocol, scope) is None for choice in self.choices):
            return None
        return "none of the %d alternatives fits" % len(self.choices)


class ByProtocol(Pattern):
    def __init__(self):
        self.choices = {}

    def match(self, reply, protocol, scope):
        return self.choices[protocol].match(reply, protocol, scope)


class Capture(Pattern):
    """Remembers what the inner pattern matched, for $(name)."""

    def __init__(self, name, inner):
        self.name, self.inner = name, inner

    def match(self, reply, protocol, scope):
        why = self.inner.match(reply, protocol, scope)
        if why is None:
            value = reply.value
            if isinstance(self.inner, Regex):
                found = re.search(substitute(self.inner.source.encode(), scope), reply.value, re.S)
                if found.groups():
                    value = found.group(1)
            scope[self.name] = value
        return why


class Wire(Pattern):
    """The exact bytes that follow on the connection; compared by the runner before any parsing."""

    def __init__(self, data):
        self.data = data


class Event(Pattern):
    """closed: end of stream; no-reply: nothing is read; quiet: silence for a while; fill: not written yet."""

    needs_reply = False

    def __init__(self, name, seconds=0.0):
        self.name, self.seconds = name, seconds


# ---- parser ---------------------------------------------------------------------------------

_INT = re.compile(r"-?\d+(?![\w.])")
_WORD = re.compile(r"[a-z][a-z0-9-]*")
_RANGE = re.compile(r"\((?:([^().]*(?:\([^)]*\))?[^().]*)\.\.([^().]*(?:\([^)]*\))?[^().]*)|(\d+))\)")
_SIMPLE = re.compile(r"\+([^\s\],\[\"]+)")
_REGEX = re.compile(r"/((?:[^/\\\n]|\\.)*)/")
_CAPTURE = re.compile(r"\$(\w+)=")
_REFERENCE = re.compile(r"\$\(\w+(?:[+-]\d+)?\)")


class Number(Pattern):
    """An integer written as $(name+N)."""

    def __init__(self, source):
        self.source = source

    def match(self, reply, protocol, scope):
        wanted = substitute(self.source, scope)
        if reply.kind == "int":
            return None if reply.value == int(wanted) else "expected %s" % wanted.decode()
        if reply.kind in ("bulk", "simple"):
            return None if reply.value == wanted else "expected %s" % wanted.decode("latin-1")
        return "expected %s, got %s" % (wanted.decode(), reply.kind)


_KINDS = {
    "any": None, "int": ("int",), "bulk": ("bulk",), "simple": ("simple",), "str": ("bulk", "simple"),
    "error": ("error",), "array": ("array",), "map": ("map",), "verbatim": ("verbatim",),
}


def parse_pattern(cursor):
    cursor.skip()
    if cursor.peek('"'):
        return Exact("bulk", cursor.quoted())
    found = cursor.match(_INT)
    if found:
        return Exact("int", int(found.group(0)))
    if cursor.take("+\""):
        cursor.at -= 1
        return Exact("simple", cursor.quoted())
    found = cursor.match(_SIMPLE)
    if found:
        return Exact("simple", found.group(1).encode("utf-8"))
    if cursor.peek("-/"):
        cursor.at += 1
        return Regex(cursor.match(_REGEX).group(1), error=True)
    if cursor.peek("-\""):
        cursor.at += 1
        return Exact("error", cursor.quoted())
    if cursor.take("-"):
        end = cursor.text.find("\n", cursor.at)
        end = len(cursor.text) if end < 0 else end
        text = cursor.text[cursor.at:end].rstrip()
        cursor.at = end
        return Exact("error", text.encode("utf-8"))
    found = cursor.match(_REGEX)
    if found:
        return Regex(found.group(1))
    found = cursor.match(_CAPTURE)
    if found:
        return Capture(found.group(1), parse_pattern(cursor))
    found = cursor.match(_REFERENCE)
    if found:
        return Number(found.group(0).encode())
    if cursor.take("#["):
        return _sequence(cursor, "set", "]")
    if cursor.take(">["):
        return _sequence(cursor, "push", "]")
    if cursor.take("["):
        return _sequence(cursor, "array", "]")
    if cursor.take("{"):
        return _map(cursor)
    if cursor.take(","):
        return Exact("double", cursor.match(re.compile(r"[^\s\]]+")).group(0).encode())
    if cursor.take("?"):
        return Event("fill")
    found = cursor.match(_WORD)
    if not found:
        cursor.fail("cannot read an expected reply at %r" % cursor.text[cursor.at:cursor.at + 20])
    return _word(cursor, found.group(0))


def _word(cursor, word):
    if word in ("nil", "nil-array"):
        return Exact(word)
    if word in ("true", "false"):
        return Exact("bool", word == "true")
    if word in ("closed", "no-reply"):
        return Event(word)
    if word == "quiet":
        span = cursor.match(_RANGE)
        return Event(word, int(span.group(3)) / 1000 if span else 0.06)
    if word == "bytes":
        cursor.skip()
        return Wire(cursor.quoted())
    if word == "unordered" and cursor.take("?"):
        return Event("fill")
    if word == "unordered" and cursor.take("["):
        return _sequence(cursor, "unordered", "]")
    if word == "one-of" and cursor.take("("):
        return OneOf(_items(cursor, ")")[0])
    if word in ("resp2", "resp3"):
        return _by_protocol(cursor, word)
    if word == "txt" and cursor.peek("/"):
        return Regex(cursor.match(_REGEX).group(1), verbatim=True)
    if word in ("txt", "mkd") and cursor.peek('"'):
        return Exact("verbatim", cursor.quoted(), word)
    if word in _KINDS:
        span = cursor.match(_RANGE)
        if span is None:
            return Kind(_KINDS[word])
        low, high, length = span.groups()
        return Kind(_KINDS[word], low.encode() if low else None, high.encode() if high else None,
                    int(length) if length else None)
    cursor.fail("unknown word %r in an expected reply" % word)


def _by_protocol(cursor, word):
    pattern = ByProtocol()
    pattern.choices[int(word[4])] = parse_pattern(cursor)
    cursor.skip()
    found = cursor.match(re.compile(r"resp([23])"))
    if not found:
        cursor.fail("%s without its counterpart" % word)
    pattern.choices[int(found.group(1))] = parse_pattern(cursor)
    return pattern


def _items(cursor, closing):
    items, rest = [], False
    while True:
        cursor.skip()
        if cursor.take(closing):
            return items, rest
        if cursor.take("..."):
            rest = True
        elif not cursor.more():
            cursor.fail("missing %s" % closing)
        else:
            items.append(parse_pattern(cursor))


def _sequence(cursor, kind, closing):
    items, rest = _items(cursor, closing)
    return Sequence(kind, items, rest)


def _map(cursor):
    items, rest = _items(cursor, "}")
    if len(items) % 2:
        cursor.fail("a key without a value in a map")
    return Map(list(zip(items[0::2], items[1::2])), rest)

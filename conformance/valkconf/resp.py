"""A RESP2/RESP3 client that hides nothing.

Every reply comes back as a `Reply` with the type it had on the wire, so that a null array and a null
string, or a map and a flat array, can be told apart. Used by one thread at a time.
"""

import socket
import time


class Closed(Exception):
    """The server closed the connection."""


class Timeout(Exception):
    """Nothing arrived in time."""


class BadReply(Exception):
    """The server sent bytes that are not RESP."""


class Reply:
    """One reply: `kind` names the wire type, `value` holds bytes, int, list of Reply or list of pairs."""

    __slots__ = ("kind", "value", "format")

    def __init__(self, kind, value=None, format=None):
        self.kind = kind
        self.value = value
        self.format = format

    def __eq__(self, other):
        return isinstance(other, Reply) and (self.kind, self.value, self.format) == (
            other.kind, other.value, other.format)

    def __hash__(self):
        return hash(repr(self))

    def __repr__(self):
        return show(self)


def quote(data):
    """Bytes in the notation of the case files."""
    out = ['"']
    for byte in data:
        if byte in (0x22, 0x5C):
            out.append("\\" + chr(byte))
        elif byte == 10:
            out.append("\\n")
        elif byte == 13:
            out.append("\\r")
        elif byte == 9:
            out.append("\\t")
        elif 32 <= byte < 127:
            out.append(chr(byte))
        else:
            out.append("\\x%02x" % byte)
    out.append('"')
    text = "".join(out)
    if len(data) > 64 and data == data[:1] * len(data):
        return '%s*%d' % (quote(data[:1]), len(data))
    return text


def show(reply, indent=0):
    """A reply in the notation of the case files, nested ones over several lines."""
    kind, value = reply.kind, reply.value
    pad = "  " * (indent + 1)
    end = "  " * indent
    if kind == "simple":
        text = value.decode("latin-1")
        plain = text and all(c.isalnum() or c in "_-.:/" for c in text)
        return "+" + (text if plain else quote(value))
    if kind == "error":
        plain = all(32 <= byte < 127 for byte in value) and value == value.strip() and value[:1] not in b'"/'
        return "-" + (value.decode("latin-1") if plain else quote(value))
    if kind == "int":
        return str(value)
    if kind == "big":
        return "(" + str(value)
    if kind == "bulk":
        return quote(value)
    if kind == "verbatim":
        return reply.format + quote(value)
    if kind in ("nil", "nil-array"):
        return kind
    if kind == "bool":
        return "true" if value else "false"
    if kind == "double":
        return "," + value.decode("latin-1")
    if kind == "map":
        if not value:
            return "{ }"
        rows = [pad + show(k, indent + 1) + " " + show(v, indent + 1) for k, v in value]
        return "{\n" + "\n".join(rows) + "\n" + end + "}"
    opening = {"array": "[", "set": "#[", "push": ">["}[kind]
    parts = [show(item, indent + 1) for item in value]
    flat = opening + " " + " ".join(parts) + " ]" if parts else opening + " ]"
    if len(flat) + len(end) <= 100 and "\n" not in flat and not any(p.startswith("-") and not p[1:2].isdigit()
                                                                    for p in parts):
        return flat
    return opening + "\n" + "\n".join(pad + p for p in parts) + "\n" + end + "]"


def encode(arguments):
    """A request as RESP array of bulk strings."""
    out = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        out.append(b"$%d\r\n" % len(argument))
        out.append(argument)
        out.append(b"\r\n")
    return b"".join(out)


class Connection:
    """One client connection. `timeout` bounds every read, in seconds."""

    def __init__(self, host, port, timeout=5.0, path=None):
        if path:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.settimeout(timeout)
            self.socket.connect(path)
        else:
            self.socket = socket.create_connection((host, port), timeout=timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.timeout = timeout
        self.buffer = bytearray()
        self.start = 0

    def close(self):
        self.socket.close()

    def send(self, data):
        try:
            self.socket.settimeout(self.timeout)
            self.socket.sendall(data)
        except socket.timeout:
            raise Timeout("the server does not take our bytes")
        except OSError as error:
            raise Closed("sending failed: %s" % error)

    def finish_sending(self):
        """Closes our half; the server sees end of input."""
        self.socket.shutdown(socket.SHUT_WR)

    def call(self, *arguments):
        self.send(encode([a if isinstance(a, bytes) else str(a).encode() for a in arguments]))
        return self.read()

    def _fill(self, deadline):
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise Timeout("no reply within %.1f s" % self.timeout)
        self.socket.settimeout(remaining)
        try:
            data = self.socket.recv(1 << 16)
        except socket.timeout:
            raise Timeout("no reply within %.1f s" % self.timeout)
        except OSError as error:
            raise Closed("connection reset: %s" % error)
        if not data:
            raise Closed("the server closed the connection")
        if self.start > 1 << 20:
            del self.buffer[:self.start]
            self.start = 0
        self.buffer += data

    def _line(self, deadline):
        while True:
            end = self.buffer.find(b"\r\n", self.start)
            if end >= 0:
                line = bytes(self.buffer[self.start:end])
                self.start = end + 2
                return line
            self._fill(deadline)

    def _exactly(self, count, deadline):
        while len(self.buffer) - self.start < count:
            self._fill(deadline)
        data = bytes(self.buffer[self.start:self.start + count])
        self.start += count
        return data

    def _compact(self):
        if self.start == len(self.buffer):
            self.buffer.clear()
            self.start = 0

    def read(self, timeout=None):
        """The next reply; pushes are replies too."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        reply = self._value(deadline)
        self._compact()
        return reply

    def read_bytes(self, count):
        data = self._exactly(count, time.monotonic() + self.timeout)
        self._compact()
        return data

    def expect_closed(self):
        """None when the server closes without another byte, else what came instead."""
        try:
            return show(self.read())
        except Closed:
            return None

    def quiet_for(self, seconds):
        """None when nothing arrives for that long, else the reply that did."""
        try:
            return show(self.read(seconds))
        except Timeout:
            return None
        except Closed:
            return "connection closed"

    def _length(self, line):
        try:
            return int(line)
        except ValueError:
            raise BadReply("bad length %r" % line)

    def _value(self, deadline):
        line = self._line(deadline)
        if not line:
            raise BadReply("empty line where a reply should start")
        mark, rest = line[:1], line[1:]
        if mark == b"+":
            return Reply("simple", rest)
        if mark == b"-":
            return Reply("error", rest)
        if mark == b":":
            return Reply("int", self._length(rest))
        if mark == b"$":
            count = self._length(rest)
            if count == -1:
                return Reply("nil")
            return Reply("bulk", self._blob(count, deadline))
        if mark == b"=":
            data = self._blob(self._length(rest), deadline)
            return Reply("verbatim", data[4:], data[:3].decode("latin-1"))
        if mark == b"!":
            return Reply("error", self._blob(self._length(rest), deadline))
        if mark == b"_":
            return Reply("nil")
        if mark == b"#":
            return Reply("bool", rest == b"t")
        if mark == b",":
            return Reply("double", rest)
        if mark == b"(":
            return Reply("big", int(rest))
        if mark in b"*~>":
            count = self._length(rest)
            if count == -1:
                return Reply("nil-array")
            kind = {b"*": "array", b"~": "set", b">": "push"}[mark]
            return Reply(kind, [self._value(deadline) for _ in range(count)])
        if mark == b"%":
            return Reply("map", [(self._value(deadline), self._value(deadline)) for _ in range(self._length(rest))])
        if mark == b"|":
            for _ in range(self._length(rest) * 2):
                self._value(deadline)
            return self._value(deadline)
        raise BadReply("unknown reply type in %r" % line[:80])

    def _blob(self, count, deadline):
        data = self._exactly(count + 2, deadline)
        if data[-2:] != b"\r\n":
            raise BadReply("a string of %d bytes does not end in CRLF" % count)
        return data[:-2]

"""Runs cases against one server and collects what went wrong.

Every case starts with an empty server, fresh connections in database 0, and the settings it asks
for; settings go back afterwards through a control connection that no case sees.
"""

import time

from .casefile import Exchange, Sleep
from .patterns import Bad, ByProtocol, Event, Wire, substitute
from .resp import BadReply, Closed, Connection, Timeout, encode, quote, show
from .servers import CannotStart, Server


class Mismatch(Exception):
    """An expectation that was not met; the text is ready to print."""


def shortened(text, limit=3000):
    """A reply for a report; a long one loses its middle, not its end."""
    if len(text) <= limit:
        return text
    return "%s [... %d more characters ...] %s" % (text[:limit // 2], len(text) - limit, text[-limit // 2:])


def protocol_reply(pattern, protocol):
    while isinstance(pattern, ByProtocol):
        pattern = pattern.choices[protocol]
    return pattern


class Session:
    """The connections and captured values of one case run."""

    def __init__(self, target, protocol, bare, filling=False):
        self.target, self.protocol, self.bare, self.filling = target, protocol, bare, filling
        self.connections = {}
        self.scope = {"port": target.port, "protocol": protocol}

    def connection(self, name):
        if name not in self.connections:
            path = self.target.socket_path if name == "unix" else None
            connection = Connection(self.target.host, self.target.port, path=path)
            self.connections[name] = connection
            if self.protocol == 3 and not self.bare:
                reply = connection.call("HELLO", "3")
                if reply.kind != "map":
                    raise Mismatch("HELLO 3 was answered with %s" % show(reply))
        return self.connections[name]

    def close(self):
        for connection in self.connections.values():
            connection.close()

    def perform(self, request):
        connection = self.connection(request.connection)
        words = [substitute(word, self.scope) for word in request.words]
        if request.mode in ("send", "poll"):
            connection.send(encode(words))
        elif request.mode == "inline":
            connection.send(substitute(request.source.encode("utf-8"), self.scope) + b"\r\n")
        elif request.mode == "split":
            for byte in encode(words):
                connection.send(bytes([byte]))
        elif request.mode == "raw":
            for index, chunk in enumerate(words):
                if index:
                    time.sleep(0.002)
                connection.send(chunk)
        elif request.mode == "eof":
            connection.finish_sending()

    def run(self, exchange):
        """Performs an exchange; returns the replies read, raises Mismatch."""
        for request in exchange.requests:
            try:
                self.perform(request)
            except Closed:
                if not any(isinstance(p, Event) and p.name == "closed" for p in exchange.patterns):
                    raise
        senders = [r for r in exchange.requests if r.mode not in ("open",)]
        replies = []
        for index, pattern in enumerate(exchange.patterns):
            request = senders[min(index, len(senders) - 1)]
            pattern = protocol_reply(pattern, self.protocol)
            replies.append(self.expect(request, pattern))
        return replies

    def expect(self, request, pattern):
        connection = self.connection(request.connection)
        if isinstance(pattern, Event):
            return self.expect_event(connection, pattern, request)
        if isinstance(pattern, Wire):
            wanted = substitute(pattern.data, self.scope)
            try:
                got = connection.read_bytes(len(wanted))
            except (Timeout, Closed):
                got = bytes(connection.buffer[connection.start:])
            if got != wanted:
                raise Mismatch("expected the bytes %s\n     but came %s" % (quote(wanted), quote(got)))
            return None
        reply = connection.read()
        why = pattern.match(reply, self.protocol, self.scope)
        deadline = time.monotonic() + 5
        while why and request.mode == "poll" and time.monotonic() < deadline:
            time.sleep(0.01)
            self.perform(request)
            reply = connection.read()
            why = pattern.match(reply, self.protocol, self.scope)
        if why:
            raise Mismatch("%s\ngot  %s" % (why, shortened(show(reply)).replace("\n", "\n     ")))
        return reply

    def expect_event(self, connection, pattern, request):
        if pattern.name == "closed":
            other = connection.expect_closed()
            if other is not None:
                raise Mismatch("expected the connection to be closed, got %s" % other)
        elif pattern.name == "quiet":
            other = connection.quiet_for(pattern.seconds)
            if other is not None:
                raise Mismatch("expected silence, got %s" % other)
        elif pattern.name == "fill":
            reply = connection.read()
            if not self.filling:
                raise Mismatch("nothing is expected yet (?), got %s" % show(reply))
            return reply
        return None


class Runner:
    def __init__(self, target, binary=None, filling=False):
        self.target, self.binary, self.filling = target, binary, filling
        self.control = None
        self.filled = {}

    def ask(self, *arguments):
        """A call on the control connection, which is opened again when the server dropped it."""
        for attempt in (1, 2):
            try:
                if self.control is None:
                    self.control = Connection(self.target.host, self.target.port, timeout=10)
                return self.control.call(*arguments)
            except (Closed, OSError):
                self.control = None
                if attempt == 2:
                    raise
        return None

    def commands(self):
        """The names, lower case, of the commands that the server has."""
        return {item.value.decode().lower() for item in self.ask("COMMAND", "LIST").value}

    def own_server_possible(self):
        return self.binary is not None

    def run(self, case, protocol):
        """None when the case passes, else the text of the failure."""
        if case.server is not None:
            return self.run_with_own_server(case, protocol)
        saved = []
        try:
            reply = self.ask("FLUSHALL")
            if reply.kind == "error":
                return "preparing: FLUSHALL was answered with %s" % show(reply)
            for name, value in case.settings:
                reply = self.ask("CONFIG", "GET", name)
                if reply.kind != "array" or len(reply.value) != 2:
                    return "preparing: CONFIG GET %s was answered with %s" % (name, show(reply))
                saved.append((name, reply.value[1].value))
                reply = self.ask("CONFIG", "SET", name, value)
                if reply.kind == "error":
                    return "preparing: CONFIG SET %s %s was answered with %s" % (name, value, show(reply))
            return self.run_steps(case, protocol, self.target)
        except (Closed, Timeout, BadReply, OSError) as error:
            return "preparing: %s" % error
        finally:
            self.restore(case, saved)

    def restore(self, case, saved):
        try:
            for words in case.cleanup:
                self.ask(*words)
            for name, value in saved:
                self.ask("CONFIG", "SET", name, value)
        except (Closed, Timeout, BadReply, OSError):
            self.control = None

    def run_with_own_server(self, case, protocol):
        try:
            server = Server(self.binary, case.server)
        except CannotStart as error:
            return str(error)
        try:
            return self.run_steps(case, protocol, server)
        finally:
            server.stop()

    def run_steps(self, case, protocol, target):
        session = Session(target, protocol, case.bare, self.filling)
        done = []
        try:
            for step in case.steps:
                if isinstance(step, Sleep):
                    time.sleep(step.milliseconds / 1000)
                    continue
                problem = self.run_exchange(session, step, done)
                if problem:
                    return problem
            return None
        finally:
            session.close()

    def run_exchange(self, session, step, done):
        sent = ["%s%s> %s" % ("" if r.connection == "main" else r.connection + ".", "" if r.mode == "send" else r.mode,
                              r.source) for r in step.requests]
        try:
            replies = session.run(step)
            if self.filling and any(isinstance(p, Event) and p.name == "fill" for p in step.patterns):
                self.filled[step.line] = (step, replies)
        except (Mismatch, Closed, Timeout, BadReply, Bad, OSError) as error:
            text = str(error) if isinstance(error, Mismatch) else "%s: %s" % (type(error).__name__, error)
            context = ["  " + line for line in done[-4:] + [("at " if len(sent) == 1 else "in ") + sent[0]] + sent[1:]]
            return "line %d\n%s\n  %s" % (step.line, "\n".join(context), text.replace("\n", "\n  "))
        done.extend(sent)
        return None


def expected_text(case, line, lines):
    """The expected block that starts under the request in `line`, for failure reports."""
    for step in case.steps:
        if isinstance(step, Exchange) and step.line == line:
            return [text for text in lines[step.first_reply_line:step.last_reply_line] if text.strip()]
    return []

"""Starting and stopping the servers under test, each in a temporary directory and on a free port."""

import os
import shutil
import socket
import subprocess
import tempfile
import time

from .resp import Closed, Connection, Timeout


class CannotStart(Exception):
    pass


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A server process of our own. `extra` are further arguments; they win over the usual ones."""

    def __init__(self, binary, extra=(), ready_seconds=15.0):
        self.binary = binary
        self.directory = tempfile.mkdtemp(prefix="conformance-")
        self.port = free_port()
        self.host = "127.0.0.1"
        self.socket_path = os.path.join(self.directory, "server.sock")
        self.log_path = os.path.join(self.directory, "server.log")
        data = os.path.join(self.directory, "data")
        os.mkdir(data)
        # Through a file, so that CONFIG REWRITE has something to rewrite; arguments override it.
        self.config_path = os.path.join(self.directory, "server.conf")
        with open(self.config_path, "w") as config:
            config.write('save ""\nport %d\nbind 127.0.0.1\ndir %s\n' % (self.port, data))
        arguments = [binary, self.config_path, "--enable-debug-command", "yes", "--enable-protected-configs", "yes",
                     "--unixsocket", self.socket_path]
        arguments += [a.replace("PORT", str(self.port)) for a in extra]
        self.log = open(self.log_path, "wb")
        try:
            self.process = subprocess.Popen(arguments, stdout=self.log, stderr=subprocess.STDOUT,
                                            stdin=subprocess.DEVNULL, cwd=self.directory)
        except OSError as error:
            self.stop_files()
            raise CannotStart("%s: %s" % (binary, error))
        self._wait(ready_seconds)

    def _wait(self, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                text = self.output()
                self.stop()
                raise CannotStart("%s ended with status %d:\n%s" % (self.binary, self.process.returncode, text))
            try:
                connection = Connection(self.host, self.port, timeout=2)
            except OSError:
                time.sleep(0.01)
                continue
            try:
                reply = connection.call("PING")
                if reply.value != b"LOADING":
                    return
            except (Closed, Timeout):
                time.sleep(0.01)
            finally:
                connection.close()
        self.stop()
        raise CannotStart("%s did not answer within %.0f s" % (self.binary, seconds))

    def output(self):
        with open(self.log_path, "rb") as handle:
            return handle.read().decode("utf-8", "replace")[-4000:]

    def alive(self):
        return self.process.poll() is None

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.stop_files()

    def stop_files(self):
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)


class External:
    """A server somebody else runs. It is emptied again and again: never point this at data you need."""

    def __init__(self, host, port):
        self.host, self.port = host, port
        self.binary = None

    def alive(self):
        return True

    def output(self):
        return ""

    def stop(self):
        pass

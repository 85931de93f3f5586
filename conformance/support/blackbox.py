"""What every black-box suite shares: starting and killing a server, a small RESP client, counting results.

A suite takes the server as a binary that is called like redis-server, so the same suite runs against Valk and, as the
oracle, against Debian's redis-server. Nothing here knows about the inside of either.
"""
import argparse
import atexit
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CACHE = Path(os.environ.get("VALK_CONFORMANCE_CACHE", ROOT / ".build-conformance"))
VALK = ROOT / ".build/release/valk-server"


def install(*packages):
    """Installs the Debian packages that are missing; fails loudly when that cannot be done."""
    subprocess.run([str(ROOT / "scripts/install-packages"), *packages], check=True, stdout=sys.stderr)


def python_with_clients(requirements=Path(__file__).resolve().parent / "requirements.txt", name="venv"):
    """The interpreter of a virtual environment that has the Python packages that `requirements` names."""
    home = CACHE / name
    python, mark = home / "bin/python3", home / "requirements.txt"
    if not (mark.exists() and mark.read_text() == requirements.read_text()):
        if subprocess.run([sys.executable, "-c", "import ensurepip"], stderr=subprocess.DEVNULL).returncode:
            install("python3-venv")
        home.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "-r", str(requirements)], check=True)
        mark.write_text(requirements.read_text())
    return str(python)


def arguments(description):
    """The options that every suite takes; anything after `--` goes to the server as it stands."""
    parser = argparse.ArgumentParser(description=description, epilog="What follows -- is passed on to the server.")
    parser.add_argument("--binary", default=str(VALK), help="server to test, called like redis-server (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="the short form, for the default test run")
    parser.add_argument("--port", type=int, default=0, help="port to use; 0 picks a free one")
    parser.add_argument("--keep", action="store_true", help="leave the data folders where they are")
    return parser


def parse(parser, argv=None):
    """Parsed options, with `server_arguments` taken from behind `--`."""
    argv = list(sys.argv[1:] if argv is None else argv)
    passed_on = []
    if "--" in argv:
        at = argv.index("--")
        argv, passed_on = argv[:at], argv[at + 1:]
    options = parser.parse_args(argv)
    options.server_arguments = passed_on
    return options


handed_out = set()


def free_port():
    """A port below the kernel's range for outgoing connections, so that no client takes it between kill and restart.

    No port is handed out twice, since a server takes it only later.
    """
    low, high = (int(part) for part in os.environ.get("VALK_TEST_PORTS", "17200-17299").split("-"))
    ports = sorted(set(range(low, high + 1)) - handed_out) or list(range(low, high + 1))
    random.SystemRandom().shuffle(ports)
    for port in ports:
        with contextlib.closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                handed_out.add(port)
                return port
    raise SystemExit(f"no free port between {low} and {high}")


class Results:
    """Counts named checks, prints each as it happens and the total at the end."""

    def __init__(self, verbose=True):
        self.passed = 0
        self.failed = 0
        self.verbose = verbose

    def check(self, name, condition, detail=""):
        if condition:
            self.passed += 1
            if self.verbose:
                print(f"ok    {name}", flush=True)
        else:
            self.failed += 1
            print(f"FAIL  {name}{': ' + detail if detail else ''}", flush=True)
        return bool(condition)

    def equal(self, name, seen, expected):
        return self.check(name, seen == expected, f"expected {shorten(expected)}, got {shorten(seen)}")

    @contextlib.contextmanager
    def section(self, name):
        """An exception inside counts as one failure and does not stop the rest of the suite."""
        try:
            yield
        except Exception as error:  # the suite goes on; the failure is counted and shown
            self.check(name, False, f"{type(error).__name__}: {error}")

    def finish(self, what):
        print(f"{what}: {self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed else 0


def shorten(value, limit=300):
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"


class Server:
    """One server process at a time on one data folder, which outlives the process and can be served again."""

    running = set()

    def __init__(self, binary, directory=None, port=0, appendfsync="everysec", extra=(), keep=False):
        found = shutil.which(binary)
        if found is None:
            raise SystemExit(f"no server at {binary}: build it first, or give --binary")
        self.binary = found
        self.is_redis = "redis-server" in os.path.basename(found)
        self.port = port or free_port()
        self.appendfsync = appendfsync
        self.extra = list(extra)
        self.process = None
        self.home = tempfile.mkdtemp(prefix="valk-blackbox-")
        self.directory = directory or os.path.join(self.home, "data")
        self.log_path = os.path.join(self.home, "output.log")
        os.makedirs(self.directory, exist_ok=True)
        if not keep:
            atexit.register(shutil.rmtree, self.home, ignore_errors=True)

    def command(self):
        line = [self.binary, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.directory,
                "--enable-debug-command", "yes", "--enable-protected-configs", "yes",
                "--appendfsync", self.appendfsync]
        if self.is_redis:
            line += ["--save", "", "--appendonly", "yes"]
        return line + self.extra

    def spawn(self):
        """Starts the process and returns at once."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        Server.running.add(self)

    def start(self, patience=60):
        """Starts the process and returns the seconds until the first PONG."""
        self.spawn()
        begun = time.monotonic()
        while time.monotonic() - begun < patience:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with status {self.process.returncode}\n{self.log_tail()}")
            try:
                with Client(self.port, timeout=5) as client:
                    if client.call("PING") == b"PONG":
                        return time.monotonic() - begun
            except (OSError, EOFError):
                pass
            except ReplyError as error:
                if str(error).startswith("NOAUTH"):
                    return time.monotonic() - begun
                if not str(error).startswith("LOADING"):
                    self.stop()
                    raise
            time.sleep(0.01)
        self.stop()
        raise RuntimeError(f"no PONG within {patience} s\n{self.log_tail()}")

    def kill(self):
        """SIGKILL; returns when the process is gone."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        Server.running.discard(self)

    def terminate(self, patience=60):
        """SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(f"still running {patience} s after SIGTERM\n{self.log_tail()}") from None
        Server.running.discard(self)
        return status

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.kill()
        Server.running.discard(self)

    def inspect(self, results, label):
        """With the server stopped: `valk-inspect verify`, which lies beside it, must find the folder sound."""
        program = os.path.join(os.path.dirname(os.path.realpath(self.binary)), "valk-inspect")
        if self.is_redis or not os.path.exists(program):
            print(f"      {label}: not verified, there is no {program}", flush=True)
            return
        run = subprocess.run([program, "verify", self.directory], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        report = run.stdout.decode("utf-8", "replace").strip().splitlines()
        results.check(f"{label}: valk-inspect verify: {report[-1] if report else 'nothing said'}", run.returncode == 0,
                      "\n      ".join(report[:12]))

    def log_tail(self, lines=15):
        with contextlib.suppress(OSError):
            with open(self.log_path, "rb") as log:
                return b"\n".join(log.read()[-20000:].splitlines()[-lines:]).decode("utf-8", "replace")
        return ""

    def client(self, **options):
        return Client(self.port, **options)

    def __enter__(self):
        if self.process is None:
            self.start()
        return self

    def __exit__(self, *_):
        self.stop()


@atexit.register
def _stop_everything():
    for server in list(Server.running):
        server.stop()


class ReplyError(Exception):
    """An error reply."""


class Client:
    """A blocking RESP client for tests; errors inside pipelines are values."""

    def __init__(self, port, timeout=60, protocol=2):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.input = self.socket.makefile("rb", buffering=1 << 16)
        if protocol == 3:
            self.call("HELLO", "3")

    @staticmethod
    def encode(*parts):
        out = [b"*%d\r\n" % len(parts)]
        for part in parts:
            if isinstance(part, str):
                part = part.encode()
            elif isinstance(part, int):
                part = b"%d" % part
            out += (b"$%d\r\n" % len(part), part, b"\r\n")
        return b"".join(out)

    def send(self, data):
        self.socket.sendall(data)

    def read(self):
        """One reply; an error reply is returned as a ReplyError, not raised."""
        line = self.input.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError("connection closed")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b"-":
            return ReplyError(rest.decode("utf-8", "replace"))
        if kind == b":":
            return int(rest)
        if kind in (b"$", b"="):
            size = int(rest)
            if size < 0:
                return None
            data = self.input.read(size + 2)
            if len(data) != size + 2:
                raise EOFError("connection closed")
            return data[:-2] if kind == b"$" else data[4:-2]
        if kind in (b"*", b"~", b">"):
            count = int(rest)
            return None if count < 0 else [self.read() for _ in range(count)]
        if kind == b"%":
            return {self.read(): self.read() for _ in range(int(rest))}
        if kind == b"_":
            return None
        if kind == b"#":
            return rest == b"t"
        if kind == b",":
            return float(rest)
        raise ValueError(f"unknown reply type {line!r}")

    def call(self, *parts):
        self.send(self.encode(*parts))
        reply = self.read()
        if isinstance(reply, ReplyError):
            raise reply
        return reply

    def pipeline(self, requests, chunk=200):
        """Replies to many requests, sent in chunks so that neither side has to buffer everything."""
        replies = []
        for at in range(0, len(requests), chunk):
            part = requests[at:at + chunk]
            self.send(b"".join(self.encode(*request) for request in part))
            replies.extend(self.read() for _ in part)
        return replies

    def scan(self, *options):
        """Every key that a full SCAN returns, duplicates included."""
        cursor, keys = b"0", []
        while True:
            cursor, part = self.call("SCAN", cursor, *options)
            keys.extend(part)
            if cursor == b"0":
                return keys

    def close(self):
        self.input.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

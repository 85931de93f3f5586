"""The servers that are compared: how each is started, spoken to, measured and taken away."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import machine

ROOT = Path(__file__).resolve().parent.parent.parent


def begin(settings, *packages):
    """What the benchmarks of servers do first: packages, Valk's binary, a folder of their own. Prints the machine's
    facts, which it returns, with `settings.remark` behind them."""
    subprocess.run([str(ROOT / "scripts/install-packages"), *packages], check=True)
    if not Path(settings.valk).exists():
        subprocess.run([str(ROOT / "scripts/build-release"), "valk-server"], check=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if settings.folder:
        Path(settings.folder).mkdir(parents=True, exist_ok=True)
    settings.folder = tempfile.mkdtemp(prefix="valk-bench-", dir=settings.folder)
    facts = machine.facts(settings.folder)
    print(f"{facts['date']}: {facts['cores']} cores ({facts['cpu']}), {facts['memory_gib']} GiB, load average "
          f"{facts['load_average']:.2f}{settings.remark}", flush=True)
    return facts


class Server:
    """One server process with its own folder and port. `kind` is valk, redis or floor."""

    def __init__(self, kind, settings, policy="everysec", label="", extra=()):
        self.kind = kind
        self.settings = settings
        self.policy = policy
        self.extra = list(extra)
        self.port = settings.port_of(kind)
        self.folder = tempfile.mkdtemp(prefix=f"{kind}-{label}", dir=settings.folder)
        self.process = None

    def command(self):
        port = str(self.port)
        if self.kind == "floor":
            return [str(machine.compile_part("floor", "-levent_core")), port]
        common = ["--port", port, "--bind", "127.0.0.1", "--dir", self.folder, "--appendfsync", self.policy]
        if self.kind == "redis":
            return [self.settings.redis, *common, "--save", "", "--appendonly", "yes", *self.extra]
        return [self.settings.valk, *common, *self.settings.valk_arguments, *self.extra]

    def launch(self):
        """Starts the process and does not wait for it."""
        with open(os.path.join(self.settings.folder, f"{self.kind}.log"), "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def start(self, limit=120):
        """Starts the process; returns the seconds to the first PONG."""
        begun = time.monotonic()
        self.launch()
        while True:
            reply = self.ask(b"PING")
            if reply and reply.startswith(b"+"):
                return time.monotonic() - begun
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.kind} ended with status {self.process.returncode}; see its log")
            if time.monotonic() - begun > limit:
                raise RuntimeError(f"{self.kind} did not answer within {limit} seconds")
            time.sleep(0.001)

    def ask(self, *words, timeout=5):
        """The first bytes of the reply to one request, or None if there is none."""
        request = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
                connection.sendall(request)
                return connection.recv(65536) or None
        except OSError:
            return None

    @property
    def pid(self):
        return self.process.pid

    def stop(self, sign=signal.SIGTERM, limit=60):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(sign)
        try:
            self.process.wait(limit)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def remove(self):
        self.stop(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


class Sample:
    """What a server used between two moments: CPU, written bytes, foreign CPU, peak memory."""

    def __init__(self, server):
        self.server = server
        machine.reset_peak(server.pid)
        self.cpu = machine.cpu_seconds(server.pid)
        self.written = machine.written_bytes(server.pid)
        self.busy = machine.busy_seconds()
        self.client = os.times().children_user + os.times().children_system
        self.begun = time.monotonic()

    def finish(self, requests, accepted_bytes, quiet_limit):
        """Figures of the run that has just ended, background work until quiet given separately."""
        seconds = time.monotonic() - self.begun
        cpu = machine.cpu_seconds(self.server.pid) - self.cpu
        client = os.times().children_user + os.times().children_system - self.client
        foreign = max(0.0, machine.busy_seconds() - self.busy - cpu - client) / seconds
        background = 0.0
        if self.server.kind != "floor":
            background = machine.wait_until_quiet(self.server.pid, quiet_limit)
        all_cpu = machine.cpu_seconds(self.server.pid) - self.cpu
        resident, anonymous, peak = machine.memory(self.server.pid)
        written = machine.written_bytes(self.server.pid) - self.written
        return {
            "cpu_us": cpu / requests * 1e6,
            "cpu_us_with_background": all_cpu / requests * 1e6,
            "background_seconds": background,
            "foreign_cores": foreign,
            "written_per_byte": written / accepted_bytes if accepted_bytes else None,
            "peak_mib": peak,
            "resident_mib": resident,
            "anonymous_mib": anonymous,
        }

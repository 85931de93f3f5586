"""redis-cli as a person uses it: under a terminal, with hints and completion, which it makes from COMMAND DOCS."""
import os
import re
import subprocess
import sys
import time

import pexpect
from checks import check, equal, section

PORT = sys.argv[1]
PROMPT = rf"(127\.0\.0\.1:{PORT}(\[\d+\])?(\(TX\))?|not connected)> "
UP, TAB, CONTROL_C, CONTROL_U = "\x1b[A", "\t", "\x03", "\x15"


class Terminal:
    """One redis-cli under a pseudo terminal."""

    def __init__(self, *arguments):
        environment = {**os.environ, "TERM": "xterm", "HOME": "/nonexistent", "REDISCLI_HISTFILE": "/dev/null"}
        self.child = pexpect.spawn("redis-cli", ["-p", PORT, *arguments], env=environment, encoding="utf-8",
                                   timeout=15, dimensions=(50, 200), codec_errors="replace")
        self.child.delaybeforesend = None
        self.child.expect(PROMPT)

    def line(self, text):
        """What a command prints."""
        self.child.send(text + "\r")
        self.child.expect("\r\n")
        self.child.expect(PROMPT)
        return re.sub(r"\x1b\[[0-9;]*[A-Za-z]|\r", "", self.child.before).strip("\n")

    def shows(self, typed, pattern):
        """True if typing, without a return, makes the pattern appear; the line is then erased."""
        self.child.send(typed)
        found = self.child.expect([pattern, pexpect.TIMEOUT], timeout=5) == 0
        self.child.send(CONTROL_U)
        self.settle()
        return found

    def settle(self):
        """Reads what is still on its way, so that the next expectation starts afresh."""
        self.line("PING")

    def close(self):
        self.child.sendeof()
        self.child.expect(pexpect.EOF)
        self.child.close()
        return self.child.exitstatus


with section("commands"):
    terminal = Terminal()
    equal("status", terminal.line("SET greeting hello"), "OK")
    equal("bulk", terminal.line("GET greeting"), '"hello"')
    equal("integer", terminal.line("INCR n"), "(integer) 1")
    equal("nil", terminal.line("GET nothing"), "(nil)")
    equal("array", terminal.line("MGET greeting nothing n"), '1) "hello"\n2) (nil)\n3) "1"')
    equal("error", terminal.line("INCR greeting"), "(error) ERR value is not an integer or out of range")
    check("unknown command", terminal.line("NOSUCH a b").startswith(
        "(error) ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b'"))
    check("wrong arity", "wrong number of arguments for 'get' command" in terminal.line("GET"))
    equal("quotes", (terminal.line(r'SET q "a\x00\n\"b"'), terminal.line("GET q")), ("OK", r'"a\x00\n\"b"'))
    check("INFO is printed raw", "redis_version:" in terminal.line("INFO server"))
    equal("repetition", terminal.line("3 INCR n"), "(integer) 2\n(integer) 3\n(integer) 4")
    equal("SELECT", (terminal.line("SELECT 3"), terminal.line("SET there 3"), terminal.line("DBSIZE"),
                     terminal.line("SELECT 0")), ("OK", "OK", "(integer) 1", "OK"))

with section("transaction"):
    equal("MULTI", terminal.line("MULTI"), "OK")
    check("prompt says TX", "(TX)" in terminal.child.after)
    equal("queued", (terminal.line("SET t 1"), terminal.line("INCR t")), ("QUEUED", "QUEUED"))
    equal("EXEC", terminal.line("EXEC"), "1) OK\n2) (integer) 2")

with section("hints from COMMAND DOCS"):
    check("GET", terminal.shows("get ", r"key"))
    check("SET", terminal.shows("set k v ", r"NX"))
    check("EXPIRE", terminal.shows("EXPIRE k ", r"seconds"))
    check("CONFIG SET", terminal.shows("config set ", r"parameter"))
    check("help names group and version", re.search(r"GET key.*summary: .+since: 1\.0\.0.*group: string",
                                                    terminal.line("help get"), re.S))
    check("help @string lists", all(f"\n  {name} " in "\n" + terminal.line("help @string")
                                    for name in ("GET", "SETRANGE", "INCRBYFLOAT")))
    if terminal.line("COMMAND INFO VRANGE") != "1) (nil)":
        check("Valk's own command has a hint", terminal.shows("vrange ", r"start"))
        check("Valk's own command has help", "summary" in terminal.line("help vrange"))

with section("completion"):
    check("completes a command", terminal.shows("INCRBYF" + TAB, r"(?i)incrbyfloat"))
    check("completes a subcommand", terminal.shows("client getn" + TAB, r"(?i)client getname"))
    check("completes help", terminal.shows("help @stri" + TAB, r"help @string"))

with section("history"):
    terminal.line("SET history 1")
    terminal.child.send(UP + "\r")
    terminal.child.expect(r"OK\r\n")
    terminal.child.expect(PROMPT)
    equal("arrow up repeats", terminal.line("GET history"), '"1"')

with section("reconnection"):
    equal("CLIENT KILL", subprocess.run(["redis-cli", "-p", PORT, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"],
                                        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL).stdout, b"1\n")
    check("notices", "closed the connection" in terminal.line("GET greeting"))
    equal("goes on after its connection was closed", terminal.line("GET greeting"), '"hello"')
    equal("leaves with status 0", terminal.close(), 0)

with section("RESP3"):
    terminal = Terminal("-3")
    equal("null", terminal.line("GET nothing"), "(nil)")
    check("map", re.match(r'1# "maxclients" => "\d+"$', terminal.line("CONFIG GET maxclients")))
    equal("null array element", terminal.line("MGET nothing greeting"), '1) (nil)\n2) "hello"')
    check("hints", terminal.shows("get ", r"key"))
    terminal.close()

with section("MONITOR"):
    terminal = Terminal()
    terminal.child.send("MONITOR\r")
    terminal.child.expect(r"OK\r\n")
    subprocess.run(["redis-cli", "-p", PORT, "SET", "seen", "in monitor"], stdout=subprocess.DEVNULL,
                   stdin=subprocess.DEVNULL)
    terminal.child.expect(r'\[0 127\.0\.0\.1:\d+\] "SET" "seen" "in monitor"')
    check("line", True)
    terminal.child.send(CONTROL_C)
    check("stops at control-C", terminal.child.expect([PROMPT, pexpect.EOF]) in (0, 1))
    terminal.child.close(force=True)

with section("tools under a terminal"):
    tool = pexpect.spawn("redis-cli", ["-p", PORT, "--stat", "-i", "0.05"], encoding="utf-8", timeout=15)
    tool.expect(r"keys +mem +clients +blocked +requests +connections")
    tool.expect(r"\n\d+ +[\d.]+[KMGB]* +\d+ +\d+ +\d+ \(\+\d+\) +\d+")
    tool.expect(r"\n\d+ +[\d.]+[KMGB]* +\d+ +\d+ +\d+ \(\+\d+\) +\d+")
    tool.close(force=True)
    check("--stat", True)
    tool = pexpect.spawn("redis-cli", ["-p", PORT, "--latency", "-i", "1"], encoding="utf-8", timeout=15)
    tool.expect(r"min: \d+, max: \d+, avg: [\d.]+ \(\d+ samples\)")
    begun = time.monotonic()
    tool.expect(r"min: \d+, max: \d+, avg: [\d.]+ \(\d{2,} samples\)")
    tool.close(force=True)
    check("--latency goes on", time.monotonic() - begun < 10)

print("done")

"""redis-cli without a terminal: one-shot commands, output modes, pipes, and its scanning tools."""
import os
import re
import subprocess
import sys
import time

from checks import check, equal, section

PORT, SOCKET = sys.argv[1], sys.argv[2]


def cli(*arguments, text=None, timeout=60, binary=False, environment=None):
    data = text.encode() if isinstance(text, str) else text
    done = subprocess.run(["redis-cli", "-p", PORT, *arguments], input=data if data is not None else b"",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout,
                          env={**os.environ, **(environment or {})})
    return done.stdout if binary else done.stdout.decode("utf-8", "replace").rstrip("\n")


def until(name, pattern, *arguments, seconds=20, feed=None):
    """Runs a tool that never ends until its output matches."""
    process = subprocess.Popen(["redis-cli", "-p", PORT, *arguments], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                               stderr=subprocess.STDOUT)
    os.set_blocking(process.stdout.fileno(), False)
    seen, end = "", time.monotonic() + seconds
    match = None
    while time.monotonic() < end and not match and process.poll() is None:
        seen += (process.stdout.read() or b"").decode("utf-8", "replace")
        match = re.search(pattern, seen, re.S)
        if feed:
            feed()
        time.sleep(0.02)
    process.kill()
    process.wait()
    check(name, match, seen[-400:])
    return match


def commands(*rows):
    """Requests in the protocol's own form, as --pipe wants them."""
    out = []
    for row in rows:
        row = [part if isinstance(part, bytes) else str(part).encode() for part in row]
        out.append(b"*%d\r\n" % len(row))
        out += [b"$%d\r\n%s\r\n" % (len(part), part) for part in row]
    return b"".join(out)


with section("one-shot"):
    equal("PING", cli("PING"), "PONG")
    equal("SET and GET", (cli("SET", "greeting", "hello world"), cli("GET", "greeting")), ("OK", "hello world"))
    equal("missing key prints an empty line", cli("GET", "nothing", binary=True), b"\n")
    equal("INCR in raw mode", cli("INCR", "n"), "1")
    equal("--no-raw", cli("--no-raw", "INCR", "n"), "(integer) 2")
    equal("nil in --no-raw", cli("--no-raw", "GET", "nothing"), "(nil)")
    check("error and -e exit status", cli("-e", "INCR", "greeting").startswith("ERR value is not an integer"))
    equal("-r repeats", cli("-r", "3", "INCR", "n").split(), ["3", "4", "5"])
    cli("SET", "binary", "\n".join(["more than one line"] * 20))
    payload = cli("-D", "", "--raw", "DUMP", "binary", binary=True)
    equal("DUMP into RESTORE -x", (cli("-x", "RESTORE", "copied", "0", text=payload), cli("GET", "copied")),
          ("OK", "\n".join(["more than one line"] * 20)))
    equal("DUMP into RESTORE -X", cli("-X", "tag", "RESTORE", "copied", "0", "tag", "REPLACE", text=payload), "OK")
    equal("-n database", (cli("-n", "5", "SET", "five", "5"), cli("-n", "5", "GET", "five"), cli("GET", "five")),
          ("OK", "5", ""))
    equal("-x reads standard input", (cli("-x", "SET", "stdin", text=b"\x00\x01\xff" * 1000),
                                      cli("STRLEN", "stdin")), ("OK", "3000"))
    equal("binary out", cli("--raw", "GETRANGE", "stdin", "0", "5", binary=True), b"\x00\x01\xff\x00\x01\xff\n")
    equal("commands from standard input", cli(text="SET a 1\nINCRBY a 41\nGET a\n").split("\n"), ["OK", "42", "42"])
    equal("inline quotes", cli(text='SET q "a \\"b\\" \\x41"\nGET q\n').split("\n"), ["OK", 'a "b" A'])
    equal("MULTI through standard input", cli(text="MULTI\nSET m 1\nINCR m\nEXEC\n").split("\n"),
          ["OK", "QUEUED", "QUEUED", "OK", "2"])
    equal("--csv", cli("--csv", "MGET", "a", "nothing", "greeting"), '"42",NULL,"hello world"')
    equal("--json", cli("--json", "MGET", "a", "nothing"), '["42",null]')
    equal("-u", cli("-u", f"redis://127.0.0.1:{PORT}/5", "GET", "five"), "5")

with section("unix socket"):
    done = subprocess.run(["redis-cli", "-s", SOCKET, "GET", "a"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    equal("unix socket", done.stdout, b"42\n")

with section("RESP3"):
    equal("-3 null", cli("-3", "--no-raw", "GET", "nothing"), "(nil)")
    check("-3 CONFIG GET is a map", re.match(r'1# "maxclients" => "\d+"$', cli("-3", "--no-raw", "CONFIG", "GET",
                                                                              "maxclients")))
    check("-3 HELLO", '"proto" => (integer) 3' in cli("-3", "--no-raw", "HELLO"))
    check("-3 INFO text", "redis_version:" in cli("-3", "INFO", "server"))
    check("HELLO 2", "proto\n2" in cli("HELLO", "2"))

with section("AUTH"):
    equal("CONFIG SET requirepass", cli("CONFIG", "SET", "requirepass", "open sesame"), "OK")
    try:
        check("refused without password", cli("GET", "a").startswith("NOAUTH"))
        equal("-a", cli("--no-auth-warning", "-a", "open sesame", "GET", "a"), "42")
        equal("--user default --pass", cli("--no-auth-warning", "--user", "default", "--pass", "open sesame", "GET",
                                           "a"), "42")
        equal("REDISCLI_AUTH", cli("GET", "a", environment={"REDISCLI_AUTH": "open sesame"}), "42")
        check("wrong password", "WRONGPASS" in cli("--no-auth-warning", "-a", "wrong", "GET", "a"))
        equal("-3 -a", cli("-3", "--no-auth-warning", "-a", "open sesame", "GET", "a"), "42")
    finally:
        equal("password taken off", cli("--no-auth-warning", "-a", "open sesame", "CONFIG", "SET", "requirepass", ""),
              "OK")

with section("--pipe"):
    cli("FLUSHALL")
    rows = [("SET", f"pipe:{index}", "v" * (index % 300)) for index in range(20000)]
    report = cli("--pipe", text=commands(*rows))
    check("--pipe 20,000 commands", "errors: 0, replies: 20000" in report, report)
    equal("--pipe arrived", (cli("DBSIZE"), cli("STRLEN", "pipe:299")), ("20000", "299"))
    report = cli("--pipe", text=commands(("SET", "text", "x"), ("INCR", "text"), ("SET", "big", b"b" * 5_000_000)))
    check("--pipe counts errors", "errors: 1, replies: 3" in report, report)
    equal("--pipe 5 MB value", cli("STRLEN", "big"), "5000000")

with section("scanning tools"):
    keys = cli("--scan").split("\n")
    equal("--scan", (len(keys), len(set(keys))), (20002, 20002))
    equal("--scan --pattern", sorted(cli("--scan", "--pattern", "pipe:1999?").split("\n")),
          [f"pipe:1999{digit}" for digit in range(10)])
    report = cli("--bigkeys")
    biggest = re.search(r'Biggest string found \'?"big"\'? has 5000000 bytes', report)
    check("--bigkeys finds the biggest", biggest, report)
    check("--bigkeys counts", "20002 strings" in report, report)
    report = cli("--memkeys")
    check("--memkeys finds the biggest", re.search(r'Biggest string found \'?"big"\'? has (\d+) bytes', report), report)
    size = re.search(r'Biggest string found \'?"big"\'? has (\d+) bytes', report)
    check("--memkeys is about the value's size", size and 5_000_000 <= int(size.group(1)) < 7_000_000, report)
    report = cli("--memkeys-samples", "0")
    check("--memkeys-samples", "sampled 20002 keys" in report.lower(), report)

with section("running tools"):
    until("--stat shows the keys", r"keys +mem +clients.*\n20002 ", "--stat", "-i", "0.05")
    match = re.match(r"^(\d+) (\d+) ([\d.]+) (\d+)$", cli("--latency", "-i", "1"))
    check("--latency", match and int(match.group(4)) > 10 and float(match.group(3)) < 100)
    until("MONITOR shows commands", r'\[0 127\.0\.0\.1:\d+\] "SET" "watched" "1"', "MONITOR",
          feed=lambda: cli("SET", "watched", "1"))

with section("COMMAND"):
    check("COMMAND COUNT", int(cli("COMMAND", "COUNT")) > 80)
    equal("COMMAND INFO of an unknown one", cli("--no-raw", "COMMAND", "INFO", "nosuch"), "1) (nil)")
    check("COMMAND DOCS GET", "summary" in cli("COMMAND", "DOCS", "GET"))

print("done")

"""redis-benchmark, with the data that it leaves behind checked."""
import csv
import io
import os
import subprocess
import sys

from checks import check, equal, section

PORT = sys.argv[1]
COUNT = 5000 if os.environ.get("VALK_QUICK") else 50000


def cli(*arguments):
    done = subprocess.run(["redis-cli", "-p", PORT, *arguments], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    return done.stdout.decode().rstrip("\n")


def benchmark(name, expected, *arguments):
    """Runs redis-benchmark and checks that each expected test has a row with a rate and ordered percentiles."""
    done = subprocess.run(["redis-benchmark", "-p", PORT, "-n", str(COUNT), "--csv", *arguments],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=150)
    text = done.stdout.decode()
    complaint = done.stderr.decode()
    check(f"{name}: runs", done.returncode == 0 and "rror" not in complaint + text, complaint + text)
    rows = list(csv.DictReader(io.StringIO(text)))
    equal(f"{name}: tests", [row["test"].split(" ")[0] for row in rows], expected)
    for row in rows:
        p50, p99, top = (float(row[column]) for column in ("p50_latency_ms", "p99_latency_ms", "max_latency_ms"))
        check(f"{name}: {row['test'].split(' ')[0]} rate", float(row["rps"]) > 100 and 0 < p50 <= p99 <= top, row)


with section("benchmarks"):
    benchmark("ping", ["PING_INLINE", "PING_MBULK"], "-t", "ping", "-c", "20")
    benchmark("set and get", ["SET", "GET"], "-t", "set,get", "-c", "50", "-d", "100")
    equal("value left by SET", cli("STRLEN", "key:__rand_int__"), "100")
    benchmark("pipelined", ["SET", "GET"], "-t", "set,get", "-c", "50", "-P", "16", "-r", "100", "-d", "64")
    equal("keys left by SET", (cli("DBSIZE"), cli("STRLEN", "key:000000000007")), ("101", "64"))
    benchmark("incr", ["INCR"], "-t", "incr", "-c", "20", "-P", "4")
    equal("every INCR counted once", cli("GET", "counter:__rand_int__"), str(COUNT))
    benchmark("mset", ["MSET"], "-t", "mset", "-c", "20", "-P", "4", "-r", "100000")
    benchmark("threads", ["SET"], "-t", "set", "-c", "20", "--threads", "2", "-P", "8")
    benchmark("RESP3", ["SET", "GET"], "-t", "set,get", "-c", "10", "-3")
    benchmark("own command", ["APPEND"], "-c", "5", "APPEND", "log", "x")
    equal("every APPEND counted once", cli("STRLEN", "log"), str(COUNT))

print("done")

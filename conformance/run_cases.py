#!/usr/bin/env python3
"""Runs the conformance cases against a server; see conformance/README.md."""

import argparse
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from valkconf import casefile, coverage, differential, fill  # noqa: E402
from valkconf.differences import Differences  # noqa: E402
from valkconf.patterns import Bad  # noqa: E402
from valkconf.runner import Runner, expected_text  # noqa: E402
from valkconf.servers import CannotStart, External, Server  # noqa: E402

DEFAULT_BINARY = {
    "valk": os.path.join(os.path.dirname(HERE), ".build", "release", "valk-server"),
    "redis": "redis-server",
}


def arguments():
    parser = argparse.ArgumentParser(description="Runs the conformance cases against a server.")
    where = parser.add_argument_group("server")
    where.add_argument("--server", choices=("valk", "redis"), default=None, help="start this server (default: valk)")
    where.add_argument("--binary", help="path of the server to start")
    where.add_argument("--host", default="127.0.0.1", help="with --port: a running server, which is emptied")
    where.add_argument("--port", type=int, help="use a running server instead of starting one")
    where.add_argument("--server-args", default="", help="further arguments for the server that is started")
    what = parser.add_argument_group("what to run")
    what.add_argument("--oracle", action="store_true",
                      help="against redis-server: every expectation must be what Redis does, or be a listed difference")
    what.add_argument("--resp", choices=("2", "3", "both"), default="both")
    what.add_argument("--only", action="append", metavar="TEXT", help="cases whose 'file: name' contains TEXT")
    what.add_argument("--list", action="store_true", help="print the cases and stop")
    what.add_argument("--slowest", type=int, default=0, metavar="N", help="print the N slowest cases")
    what.add_argument("--max-failures", type=int, default=0, metavar="N", help="stop after N failures")
    what.add_argument("--fill", action="store_true",
                      help="write the server's replies where a case expects ? (for writing new cases)")
    what.add_argument("--coverage", action="store_true",
                      help="list the commands of the server's table that no case sends")
    what.add_argument("--differential", nargs=2, metavar=("SEED", "N"),
                      help="N random sequences on the server and redis-server at once; SEED 0 chooses one")
    what.add_argument("--cases", default=os.path.join(HERE, "cases"), help="directory of the case files")
    return parser.parse_args()


def target_for(options):
    """(target, binary): what to talk to, and what to start for cases that need a server of their own."""
    kind = options.server or ("redis" if options.oracle else "valk")
    binary = options.binary or (None if options.port else DEFAULT_BINARY[kind])
    if options.port:
        return External(options.host, options.port), binary
    return Server(binary, options.server_args.split()), binary


def main():
    options = arguments()
    try:
        cases = casefile.load(options.cases, options.only)
        differences = Differences(os.path.join(HERE, "differences.txt"))
    except (Bad, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    if options.list:
        for case in cases:
            print(case.identity)
        print("%d cases" % len(cases))
        return 0
    try:
        target, binary = target_for(options)
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 2
    try:
        if options.differential:
            return differential.main(target, DEFAULT_BINARY["redis"], *options.differential)
        if options.coverage:
            return coverage.main(cases, target)
        if options.fill:
            return fill.main(cases, Runner(target, binary, filling=True), options.cases)
        return run_all(options, cases, differences, target, binary)
    finally:
        target.stop()


def run_all(options, cases, differences, target, binary):
    protocols = (2, 3) if options.resp == "both" else (int(options.resp),)
    runner = Runner(target, binary)
    passed = failed = skipped = listed = 0
    known, lacking = runner.commands(), {}
    timings, started = [], time.monotonic()
    listed_runs = {}
    for protocol in protocols:
        for case in cases:
            if protocol not in case.protocols or (options.max_failures and failed >= options.max_failures):
                continue
            if case.server is not None and not runner.own_server_possible():
                skipped += 1
                continue
            absent = [name for name in case.needs if name not in known]
            if absent:
                lacking.setdefault(case.file, []).append(absent)
                differences.find(case)  # An entry is not stale because its case could not run.
                continue
            before = time.monotonic()
            problem = runner.run(case, protocol)
            timings.append((time.monotonic() - before, protocol, case.identity))
            entry = differences.find(case) if options.oracle else None
            if entry is not None:
                listed_runs.setdefault(case.identity, []).append(problem is not None)
                listed += 1
            elif problem is None:
                passed += 1
            else:
                failed += 1
                report(case, protocol, problem, options.cases)
            if not target.alive():
                print("\nthe server died during %s (RESP%d); its last words:\n%s"
                      % (case.identity, protocol, target.output()))
                print("%d passed, %d failed" % (passed, failed + 1))
                return 1
    if options.oracle:
        failed += stale(differences, listed_runs, options)
    for seconds, protocol, identity in sorted(timings, reverse=True)[:options.slowest]:
        print("%6.0f ms  RESP%d  %s" % (seconds * 1000, protocol, identity))
    if listed:
        print("%d runs of cases that are listed differences" % listed)
    if skipped:
        print("%d skipped: they start a server of their own, which needs --binary" % skipped)
    for file, absences in sorted(lacking.items()):
        names = sorted({name for absent in absences for name in absent})
        print("%s: %d runs left out, they need what the server lacks: %s" % (
            file, len(absences), " ".join(names[:8] + ["..."] * (len(names) > 8))))
    print("%d cases, RESP %s, %.1f s" % (len(cases), "+".join(map(str, protocols)), time.monotonic() - started))
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


def stale(differences, listed_runs, options):
    """Listed differences that are none any more, or that name no case; each counts as a failure."""
    count = 0
    for identity, failures in listed_runs.items():
        if not any(failures):
            print("listed as a difference, but Redis answers exactly that: %s" % identity)
            count += 1
    if not options.only:
        for entry in differences.unused():
            print("differences.txt:%d names no case: %s" % (entry["line"], entry["case"]))
            count += 1
    return count


def report(case, protocol, problem, directory):
    path = os.path.join(directory, case.file + ".case")
    print("FAIL %s (RESP%d)  %s" % (case.identity, protocol, os.path.relpath(path)))
    print("  " + problem.replace("\n", "\n  "))
    number = problem.split("\n")[0]
    if number.startswith("line "):
        with open(path, encoding="utf-8") as handle:
            lines = handle.read().split("\n")
        for index, text in enumerate(expected_text(case, int(number[5:]), lines)):
            print("    %s %s" % ("want" if index == 0 else "    ", text))
    print(flush=True)


if __name__ == "__main__":
    sys.exit(main())

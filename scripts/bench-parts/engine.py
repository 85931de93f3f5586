"""`scripts/bench engine`: Valk's library beside RocksDB 7.8, with the same threads, memory budget, keys and values. The
logs are on; nothing waits for a sync. Each phase is a process of its own, and the engines take turns phase by phase.

  scripts/bench engine               2,000,000 keys of 100 B, 1,000,000 of 1 KiB, 300,000 of 4 KiB, 30,000 of 64 KiB
  scripts/bench engine --quick       a fifth of that (some minutes)
  scripts/bench engine --full        the sizes of record: 10,000,000 x 100 B, 5,000,000 x 1 KiB, 1,300,000 x 4 KiB,
                                     80,000 x 64 KiB (hours)
  scripts/bench engine --huge        100,000,000 x 100 B, filled only
  scripts/bench engine --sizes 200000x4096     others
  scripts/bench engine --phases fill,hit       of fill, hit, miss, seek, cold, overwrite, delete
  scripts/bench engine --engines valk,filter   of valk, rocksdb (default options), blob (with blob files), filter
                                               (default options and a Bloom filter)

Reads and seeks are done once to warm up and measured in a second round. "cold" opens with a quarter of the data as the
memory budget and takes the files out of the page cache ten times a second, while it warms up with as many other reads
and while it is measured; its device reads are those of the block device, or with other readers about this process's
share of them by bytes. "overwrite" writes random keys, as many as
there are in each pass; "disk x" is its worst sample after the first pass. "delete" removes nine keys of ten and waits.

A phase's CPU and bytes contain the background work that it left. "bytes x" is bytes written towards the device for each
byte accepted (key and value), by /proc/self/io; "slow" is the slowest second's rate over the mean. "CPU" after a ratio
of rates is the same ratio by CPU per operation: on a machine that does other things too, that one can be trusted.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import engine_report
import machine
from engine_report import KEY_BYTES

ROOT = machine.ROOT
ENGINES = {"valk": [], "rocksdb": [], "blob": ["--blob", "1"], "filter": ["--filter", "1"]}
PHASES = ["fill", "hit", "miss", "seek", "cold", "overwrite", "delete"]
MIDDLE = [(2_000_000, 100), (1_000_000, 1024), (300_000, 4096), (30_000, 65536)]
FULL = [(10_000_000, 100), (5_000_000, 1024), (1_300_000, 4096), (80_000, 65536)]
# Most that an engine's files take, times the keys and values.
ROOM = {"valk": 1.8, "rocksdb": 2.5, "blob": 3.0, "filter": 2.5}


def parse(argv):
    parser = argparse.ArgumentParser(
        prog="scripts/bench engine", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="a fifth of the keys")
    size.add_argument("--full", action="store_true", help="the sizes of record")
    size.add_argument("--huge", action="store_true", help="100,000,000 keys, filled only")
    size.add_argument("--sizes", help="KEYSxVALUE, separated by commas")
    parser.add_argument("--phases", help=f"({','.join(PHASES)})")
    parser.add_argument("--engines", default="valk,rocksdb,blob", help="(%(default)s)")
    parser.add_argument("--threads", default="1,2",
                        help="of hit, miss and seek, one after the other; the most of them for the rest (%(default)s)")
    parser.add_argument("--passes", type=int, default=3, help="passes of overwrite (%(default)s)")
    parser.add_argument("--reads", type=int, help="reads of a phase (as many as keys, 1,000,000 at most)")
    parser.add_argument("--cold-reads", type=int, default=20_000, help="reads of the cold phases (%(default)s)")
    parser.add_argument("--memory", type=int, default=512, help="memory budget in MiB (%(default)s)")
    parser.add_argument("--interval", type=int, help="seconds between looks at the disk (5; with --full 60)")
    parser.add_argument("--patience", type=int, default=300, help="seconds that delete waits (%(default)s)")
    parser.add_argument("--folder", help="where data go (the system's temporary folder)")
    parser.add_argument("--valk", metavar="PATH", help="a valk-engine-bench; without it, it is built")
    parser.add_argument("--json", metavar="FILE", help="write all figures to a file")
    settings = parser.parse_args(argv)
    settings.engines = settings.engines.split(",")
    if set(settings.engines) - set(ENGINES):
        parser.error(f"--engines takes {', '.join(ENGINES)}")
    settings.phases = (settings.phases or ("fill" if settings.huge else ",".join(PHASES))).split(",")
    if set(settings.phases) - set(PHASES) or settings.phases[0] != "fill":
        parser.error(f"--phases takes {', '.join(PHASES)}, and fill comes first")
    try:
        settings.threads = [int(number) for number in settings.threads.split(",")]
        if settings.sizes:
            settings.sizes = [tuple(int(number) for number in one.split("x")) for one in settings.sizes.split(",")]
        elif settings.huge:
            settings.sizes = [(100_000_000, 100)]
        else:
            settings.sizes = FULL if settings.full else MIDDLE
        if any(len(one) != 2 or one[0] < 10 or one[1] < 8 for one in settings.sizes) or min(settings.threads) < 1:
            raise ValueError
    except ValueError:
        parser.error("--sizes takes KEYSxVALUE, ten keys and 8 bytes or more; --threads takes numbers")
    if settings.quick:
        settings.sizes = [(keys // 5, value) for keys, value in settings.sizes]
        settings.cold_reads = min(settings.cold_reads, 5_000)
    settings.interval = settings.interval or (60 if settings.full or settings.huge else 5)
    return settings


def prepare(settings):
    if "valk" in settings.engines and not settings.valk:
        subprocess.run([str(ROOT / "scripts/build-release"), "valk-engine-bench"], check=True)
        settings.valk = ROOT / ".build/release/valk-engine-bench"
    if set(settings.engines) - {"valk"}:
        subprocess.run([str(ROOT / "scripts/install-packages"), "librocksdb-dev", "g++"], check=True)
        source, target = machine.PARTS / "rocks.cpp", machine.BUILT / "rocks"
        if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
            machine.BUILT.mkdir(parents=True, exist_ok=True)
            subprocess.run(["g++", "-O2", "-std=c++17", "-Wall", "-o", str(target), str(source), "-lrocksdb",
                            "-lpthread"], check=True)


def check_room(settings, folder):
    """The largest size's files of all engines are there at once."""
    needed = max(keys * (KEY_BYTES + value) for keys, value in settings.sizes)
    needed = needed * sum(ROOM[engine] for engine in settings.engines) + len(settings.engines) * (1 << 30)
    machine.check_room(folder, needed)


def steps(settings, keys, value):
    """(phases of the program, threads, memory in bytes) in order."""
    most, memory = max(settings.threads), settings.memory << 20
    for phase in settings.phases:
        if phase in ("hit", "miss", "seek"):
            for threads in settings.threads:
                yield phase, threads, memory
        elif phase == "cold":
            yield "coldhit,coldmiss", most, max(16 << 20, keys * (KEY_BYTES + value) // 4)
        else:
            yield phase, most, memory


def run(settings, engine, keys, value, step, directory):
    """Runs one engine through a step; returns its figures, {phase with threads: figures}."""
    phases, threads, memory = step
    program = settings.valk if engine == "valk" else machine.BUILT / "rocks"
    reads = settings.cold_reads if phases.startswith("cold") else settings.reads or min(keys, 1_000_000)
    arguments = {"dir": directory, "phases": phases, "keys": keys, "value": value, "threads": threads, "memory": memory,
                 "passes": settings.passes, "reads": min(keys, reads), "seeks": max(1, reads // 20),
                 "interval": settings.interval, "patience": settings.patience}
    words = [word for name, one in arguments.items() for word in (f"--{name}", str(one))]
    result = subprocess.run([str(program), *words, *ENGINES[engine]], stdout=subprocess.PIPE, text=True)
    if result.returncode:
        raise RuntimeError(f"{engine} ended with status {result.returncode} in {phases}")
    figures = {}
    for line in result.stdout.splitlines():
        one = json.loads(line)
        if one["phase"] == "warm":
            continue
        name = engine_report.name_of(one["phase"], threads)
        figures[name] = {**one, "memory": memory}
        expected = 0 if one["phase"].endswith("miss") else one["operations"]
        if one["phase"] != "seek" and one["found"] != expected:
            raise RuntimeError(f"{engine}, {one['phase']}: {one['found']} found, not {expected}")
    return figures


def run_size(settings, keys, value, folder):
    """All steps of one size, the engines in turn within each; {engine: {phase with threads: figures}}."""
    results = {engine: {} for engine in settings.engines}
    for turn, step in enumerate(steps(settings, keys, value)):
        shift = turn % len(settings.engines)
        for engine in settings.engines[shift:] + settings.engines[:shift]:
            print(f"  {keys} x {value}: {step[0]}, {step[1]} threads, {engine}", file=sys.stderr, flush=True)
            directory = str(Path(folder) / f"{engine}-{keys}-{value}")
            results[engine] |= run(settings, engine, keys, value, step, directory)
    for engine in settings.engines:
        shutil.rmtree(Path(folder) / f"{engine}-{keys}-{value}", ignore_errors=True)
    return results


def main(argv):
    settings = parse(argv)
    prepare(settings)
    if settings.folder:
        Path(settings.folder).mkdir(parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="valk-bench-", dir=settings.folder)
    everything = []
    try:
        check_room(settings, folder)
        facts = machine.facts(folder)
        print(f"{facts['date']}: {facts['cores']} cores ({facts['cpu']}), {facts['memory_gib']} GiB, Linux "
              f"{facts['kernel']}, {facts['file_system']}, load average {os.getloadavg()[0]:.2f}", flush=True)
        for keys, value in settings.sizes:
            results = run_size(settings, keys, value, folder)
            targets = engine_report.targets(keys, value, results)
            engine_report.show(keys, value, results)
            targets.show()
            sys.stdout.flush()
            everything.append({"keys": keys, "value": value, "results": results, "targets": targets.as_json()})
            if settings.json:
                Path(settings.json).write_text(json.dumps({"facts": facts, "sizes": everything}, indent=2) + "\n")
    except RuntimeError as error:
        print(f"scripts/bench engine: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0

"""`scripts/bench engine`: Valk's library beside RocksDB 7.8, each in one process of its own, with the same threads,
memory budget, keys and values, in alternation. The logs are on; nothing waits for a sync.

  scripts/bench engine                        1,000,000 keys of 100 B and of 1 KiB, two threads
  scripts/bench engine --full                 the sizes of record: 10,000,000 x 100 B, 5,000,000 x 1 KiB, overwritten
                                              three times
  scripts/bench engine --sizes 200000x4096    others
  scripts/bench engine --phases fill,hit      of fill, hit, miss, seek, overwrite, in the order given
  scripts/bench engine --engines valk,filter  of valk, rocksdb (default options), blob (with blob files), filter
                                              (default options and a Bloom filter)

A phase's CPU and bytes contain the background work that it left. "bytes x" is bytes written towards the device for each
byte accepted (key and value), by /proc/self/io; "slow" is the slowest second's rate over the mean.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import machine

ROOT = machine.ROOT
KEY_BYTES = 16
ENGINES = {"valk": [], "rocksdb": [], "blob": ["--blob", "1"], "filter": ["--filter", "1"]}


def parse(argv):
    parser = argparse.ArgumentParser(
        prog="scripts/bench engine", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="the sizes of record")
    parser.add_argument("--sizes", help="KEYSxVALUE, separated by commas")
    parser.add_argument("--phases", default="fill,hit,miss,seek,overwrite", help="(%(default)s)")
    parser.add_argument("--engines", default="valk,rocksdb,blob", help="(%(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="(%(default)s)")
    parser.add_argument("--passes", type=int, help="passes of overwrite (1; with --full 3)")
    parser.add_argument("--reads", type=int, help="reads of a phase (as many as keys, 1,000,000 at most)")
    parser.add_argument("--memory", type=int, default=512, help="memory budget in MiB (%(default)s)")
    parser.add_argument("--folder", help="where data go (the system's temporary folder)")
    parser.add_argument("--json", metavar="FILE", help="write all figures to a file")
    settings = parser.parse_args(argv)
    settings.engines = settings.engines.split(",")
    if set(settings.engines) - set(ENGINES):
        parser.error(f"--engines takes {', '.join(ENGINES)}")
    sizes = settings.sizes or ("10000000x100,5000000x1024" if settings.full else "1000000x100,1000000x1024")
    try:
        settings.sizes = [tuple(int(number) for number in size.split("x")) for size in sizes.split(",")]
        if any(len(size) != 2 or size[0] < 1 or size[1] < 8 for size in settings.sizes):
            raise ValueError
    except ValueError:
        parser.error("--sizes takes KEYSxVALUE, values of 8 bytes and more")
    settings.passes = settings.passes or (3 if settings.full else 1)
    return settings


def prepare(engines):
    if "valk" in engines:
        subprocess.run([str(ROOT / "scripts/build-release"), "valk-engine-bench"], check=True)
    if set(engines) - {"valk"}:
        subprocess.run([str(ROOT / "scripts/install-packages"), "librocksdb-dev", "g++"], check=True)
        source, target = machine.PARTS / "rocks.cpp", machine.BUILT / "rocks"
        if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
            machine.BUILT.mkdir(parents=True, exist_ok=True)
            subprocess.run(["g++", "-O2", "-std=c++17", "-Wall", "-o", str(target), str(source), "-lrocksdb",
                            "-lpthread"], check=True)


def run(settings, engine, keys, value, folder):
    """Runs one engine through all phases; returns its figures by phase."""
    program = ROOT / ".build/release/valk-engine-bench" if engine == "valk" else machine.BUILT / "rocks"
    directory = Path(folder) / f"{engine}-{keys}-{value}"
    reads = settings.reads or min(keys, 1_000_000)
    arguments = [str(program), "--dir", str(directory), "--phases", settings.phases, "--keys", str(keys), "--value",
                 str(value), "--threads", str(settings.threads), "--passes", str(settings.passes), "--reads",
                 str(reads), "--seeks", str(max(1, reads // 20)), "--memory", str(settings.memory << 20)]
    result = subprocess.run([*arguments, *ENGINES[engine]], stdout=subprocess.PIPE, text=True)
    shutil.rmtree(directory, ignore_errors=True)
    if result.returncode:
        raise RuntimeError(f"{engine} ended with status {result.returncode}")
    figures = {}
    for line in result.stdout.splitlines():
        one = json.loads(line)
        figures[one["phase"]] = one
        expected = 0 if one["phase"] == "miss" else one["operations"]
        if one["phase"] != "seek" and one["found"] != expected:
            raise RuntimeError(f"{engine}, {one['phase']}: {one['found']} found, not {expected}")
    return figures


def show(settings, keys, value, results):
    pair = KEY_BYTES + value
    print(f"\n{keys:,} keys, values of {value} bytes, {settings.threads} threads, memory {settings.memory} MiB")
    print(f"{'phase':10}{'engine':>9}{'op/s':>12}{'CPU µs/op':>11}{'bytes x':>9}{'slow':>7}{'disk x':>8}{'':>12}")
    for phase in ["fill", "hit", "miss", "seek", "overwrite"]:
        base = results.get("valk", {}).get(phase)
        for engine, figures in results.items():
            one = figures.get(phase)
            if not one:
                continue
            rate = one["operations"] / one["seconds"]
            writes = phase in ("fill", "overwrite")
            amplification = f"{one['written'] / (one['operations'] * pair):9.2f}" if writes else f"{'':9}"
            slow = f"{one['slowest'] / rate:7.2f}" if writes else f"{'':7}"
            space = f"{one['allocated'] / (keys * pair):8.2f}" if writes else f"{'':8}"
            ratio = ""
            if base and engine != "valk":
                ratio = f"valk {base['operations'] / base['seconds'] / rate:.2f} x"
            print(f"{phase:10}{engine:>9}{rate:12,.0f}{one['cpu'] / one['operations'] * 1e6:11.2f}{amplification}{slow}"
                  f"{space}{ratio:>12}")


def main(argv):
    settings = parse(argv)
    prepare(settings.engines)
    folder = tempfile.mkdtemp(prefix="valk-bench-", dir=settings.folder)
    facts = machine.facts(folder)
    print(f"{facts['date']}: {facts['cores']} cores ({facts['cpu']}), {facts['memory_gib']} GiB, Linux "
          f"{facts['kernel']}, {facts['file_system']}, load average {os.getloadavg()[0]:.2f}", flush=True)
    everything = []
    try:
        for keys, value in settings.sizes:
            results = {}
            for engine in settings.engines:
                results[engine] = run(settings, engine, keys, value, folder)
            show(settings, keys, value, results)
            sys.stdout.flush()
            everything.append({"keys": keys, "value": value, "results": results})
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if settings.json:
        Path(settings.json).write_text(json.dumps({"facts": facts, "sizes": everything}, indent=2) + "\n")

"""What `scripts/bench engine` prints: one table for each size, then every figure that has a target."""

from targets import Targets

KEY_BYTES = 16
WRITES = ("fill", "overwrite", "delete")


def name_of(phase, threads):
    """Reads are told apart by their threads."""
    return phase if phase in WRITES or phase.startswith("cold") else f"{phase}-{threads}"


def rate(one):
    return one["operations"] / one["seconds"]


def micros(one):
    return one["cpu"] / one["operations"] * 1e6


def written_per_byte(one, value):
    return one["written"] / (one["operations"] * (KEY_BYTES + value))


def device_reads(one):
    """Reads of the device for each operation."""
    if not one["device_reads"]:
        return one["read"] / 4096 / one["operations"]  # The device does not say: one read for each page.
    share = min(1.0, one["read"] / max(1, one["device_read_bytes"]))
    return one["device_reads"] * share / one["operations"]


def space(one, keys, value):
    """Allocated over live: of an overwrite its worst sample after the first pass, otherwise at the end."""
    live = keys * (KEY_BYTES + value)
    if one["phase"] == "overwrite":
        # The threads count their operations by the hundred, so the last sample may seem to lie before the end.
        later = [allocated for _, done, allocated in one["samples"] if done >= keys]
        return max([*later, one["samples"][-1][2]]) / live
    if one["phase"] == "delete":
        live = (keys + 9) // 10 * (KEY_BYTES + value)
    return one["allocated"] / live


def show(keys, value, results):
    print(f"\n{keys:,} keys, values of {value} bytes")
    print(f"{'phase':10}{'engine':>9}{'op/s':>12}{'CPU µs/op':>11}{'bytes x':>9}{'slow':>7}{'disk x':>8}"
          f"{'reads/op':>10}{'KiB/op':>8}")
    names = list(dict.fromkeys(name for figures in results.values() for name in figures))
    for name in names:
        base = results.get("valk", {}).get(name)
        for engine, figures in results.items():
            if name not in figures:
                continue
            one = figures[name]
            line = f"{name:10}{engine:>9}{rate(one):12,.0f}{micros(one):11.2f}"
            if name in WRITES:
                line += f"{written_per_byte(one, value):9.2f}{one['slowest'] / rate(one):7.2f}"
                line += f"{space(one, keys, value):8.2f}{'':18}"
            elif name.startswith("cold"):
                line += f"{'':24}{device_reads(one):10.3f}{one['read'] / 1024 / one['operations']:8.2f}"
            else:
                line += f"{'':42}"
            if base and engine != "valk":
                line += f"   valk {rate(base) / rate(one):.2f} x, CPU {micros(one) / micros(base):.2f} x"
            if name == "delete":
                after = f"after {one['settled']:.0f} s" if one["settled"] >= 0 else "never"
                line += f"   1.5 x {after}, peak {one['peak'] >> 20:,} MiB"
            print(line)


def targets(keys, value, results):
    found = Targets()
    valk = results.get("valk", {})
    label = f"{keys:,} x {value} B"

    def times(name, engine, target):
        if name in valk and name in results.get(engine, {}):
            found.at_least(f"{label}: {name}, op/s times those of {engine}",
                           rate(valk[name]) / rate(results[engine][name]), target)

    if value in (100, 1024):
        times("fill", "rocksdb", 2 if value == 100 else 4)
    if value == 1024:
        times("fill", "blob", 4)
        bytes_at_most(found, label, valk, "fill", value, 1.3)
    if value == 100 and "fill" in valk and "fill" in results.get("rocksdb", {}):
        part = written_per_byte(valk["fill"], value) / written_per_byte(results["rocksdb"]["fill"], value)
        found.at_most(f"{label}: fill, bytes written, part of rocksdb's", part, 0.6 if keys >= 50_000_000 else 1)
    for name in sorted(set(valk) - set(WRITES)):
        if name.startswith("hit-"):
            times(name, "rocksdb", 1)
        elif name.startswith("miss-"):
            times(name, "rocksdb", 1.5)
        elif name.startswith("seek-") and value < 1024:
            times(name, "rocksdb", 1)
        elif name.startswith("seek-") and value == 1024:
            times(name, "blob", 1)
    for name, most in (("coldhit", 1.1), ("coldmiss", 0.1)):
        if name in valk:
            found.at_most(f"{label}: {name}, device reads an operation", device_reads(valk[name]), most)
    if "overwrite" in valk:
        one = valk["overwrite"]
        times("overwrite", "rocksdb", 2)
        found.at_least(f"{label}: overwrite, slowest second over the mean", one["slowest"] / rate(one), 0.5)
        found.at_most(f"{label}: overwrite, allocated over live, worst after a pass", space(one, keys, value), 1.35)
        if value in (1024, 65536):
            bytes_at_most(found, label, valk, "overwrite", value, 3.2 if value == 1024 else 1.3)
    if "delete" in valk:
        seconds = valk["delete"]["settled"]
        found.holds(f"{label}: 90 % deleted, time until allocated is 1.5 of live",
                    f"{seconds:.0f} s" if seconds >= 0 else "never", "at most 300 s", 0 <= seconds <= 300)
    return found


def bytes_at_most(found, label, valk, name, value, most):
    if name in valk:
        found.at_most(f"{label}: {name}, bytes written a byte accepted", written_per_byte(valk[name], value), most)

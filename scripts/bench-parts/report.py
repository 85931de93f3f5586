"""The report: one table of figures, then every figure that has a target, with met or not met beside it."""


def table(results):
    rows = []
    head = f"{'case':14} {'server':6} {'requests/s':>12} {'(low-high)':>19} {'CPU µs':>7} {'+bg':>7} "
    head += f"{'p50':>7} {'p99':>7} {'p99.9':>8} {'written':>8} {'peak MiB':>9} {'foreign':>8}"
    rows.append(head)
    for case, servers in results.items():
        if case in ("start", "start-1g", "fill"):
            continue
        for kind, one in servers.items():
            rows.append(line(case, kind, one))
    for kind, one in results.get("fill", {}).items():
        for phase in ("fill", "overwrite", "read"):
            rows.append(line(phase, kind, one[phase]))
    return rows if len(rows) > 1 else []


def line(case, kind, one):
    low, high = one.get("rate_low", one["rate"]), one.get("rate_high", one["rate"])
    written = one.get("written_per_byte")
    text = f"{case:14} {kind:6} {one['rate']:>12,.0f} {f'({low:,.0f}-{high:,.0f})':>19} {one['cpu_us']:>7.2f} "
    text += f"{one['cpu_us_with_background']:>7.2f} {one['p50']:>7.2f} {one['p99']:>7.2f} {one['p999']:>8.2f} "
    text += f"{f'{written:.2f}x' if written is not None else '-':>8} {one['peak_mib']:>9,.0f} "
    return text + f"{one['foreign_cores']:>8.2f}"


def targets(results):
    """(what, measured, target, met) for every target whose case has run."""
    found = []

    def at_most(what, value, target, unit=""):
        found.append((what, f"{value:.2f}{unit}", f"at most {target:g}{unit}", value <= target))

    def at_least(what, value, target, unit=""):
        found.append((what, f"{value:.2f}{unit}", f"at least {target:g}{unit}", value >= target))

    def pair(case):
        servers = results.get(case, {})
        return (servers["valk"], servers["redis"]) if "valk" in servers and "redis" in servers else None

    cpu = {"set-64-p16": 0.40, "get-64-p16": 0.55, "set-1k-p16": 0.45}
    cpu |= {"set-64-p1": 0.92, "get-64-p1": 0.88, "mset10-64-p1": 0.5}
    for case, target in cpu.items():
        if both := pair(case):
            at_most(f"{case}: CPU per request, part of Redis's", both[0]["cpu_us"] / both[1]["cpu_us"], target)
            if not case.startswith("get"):
                ratio = both[0]["cpu_us_with_background"] / both[1]["cpu_us_with_background"]
                found.append((f"{case}: the same with background work", f"{ratio:.2f}", "-", None))
    rate = {"set-64-p16": 2, "get-64-p16": 1.5, "set-64-p1": 1, "get-64-p1": 1, "always-c50": 2, "always-c1": 1.2}
    for case, target in rate.items():
        if both := pair(case):
            at_least(f"{case}: throughput, times Redis's", both[0]["rate"] / both[1]["rate"], target)
    if both := pair("mset10-64-p1"):
        at_least("mset10-64-p1: throughput, times Redis's", both[0]["rate"] / both[1]["rate"], 1)
    if both := pair("fill"):
        for phase in ("fill", "overwrite"):
            at_least(f"{phase}: rate, times Redis's", both[0][phase]["rate"] / both[1][phase]["rate"], 1)
    if valk := results.get("fill", {}).get("valk"):
        if valk["setting_mib"]:
            for phase in ("fill", "overwrite"):
                at_most(f"{phase}: peak resident memory", valk[phase]["peak_mib"], valk["setting_mib"], " MiB")
        at_most("first PONG after kill -9", valk["restart"]["pong_seconds"], 1, " s")
        at_most("first GET after kill -9", valk["restart"]["get_seconds"], 1, " s")
    if valk := results.get("start", {}).get("valk"):
        at_most("start on an empty directory", valk["seconds"] * 1000, 100, " ms")
        at_most("idle memory", valk["idle_mib"], 30, " MiB")
    if valk := results.get("start-1g", {}).get("valk"):
        at_most("start with 1 GiB stored and a full log tail", valk["seconds"], 1, " s")
    return found


def show(results):
    print()
    for row in table(results):
        print(row)
    if table(results):
        print("CPU µs: server CPU per request at the end of the run; +bg: until its background work was quiet;")
        print("p50, p99, p99.9 in ms; written: bytes written by the process per byte of key and value;")
        print("foreign: cores that other programs used during the run. For fill, overwrite and read, latencies are of")
        print("whole pipelines of 16.")
    for case in ("start", "start-1g"):
        for kind, one in results.get(case, {}).items():
            idle = f", idle memory {one['idle_mib']:.1f} MiB" if "idle_mib" in one else ""
            worst = one["worst_seconds"] * 1000
            print(f"{case:14} {kind:6} {one['seconds'] * 1000:.0f} ms to the first PONG (worst {worst:.0f}){idle}")
    for kind, one in results.get("fill", {}).items():
        print(
            f"after kill -9  {kind:6} first PONG {one['restart']['pong_seconds']:.2f} s, "
            f"first GET {one['restart']['get_seconds']:.2f} s"
        )
    found = targets(results)
    if found:
        print()
        for what, value, target, met in found:
            print(f"{what:52} {value:>14}   {target:18} {'' if met is None else 'met' if met else 'NOT MET'}")
    return found

"""The machine under the benchmark: compiled helpers, CPU time, memory and written bytes of processes, facts."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PARTS = ROOT / "scripts/bench-parts"
BUILT = ROOT / ".build/bench"
TICK = os.sysconf("SC_CLK_TCK")


def compile_part(name, *flags, suffix=""):
    """Compiles bench-parts/NAME.c into the ignored build folder, if it or a header is newer than what is there."""
    source, target = PARTS / f"{name}.c", BUILT / (name + suffix)
    newest = max(path.stat().st_mtime for path in (source, *PARTS.glob("*.h")))
    if not target.exists() or target.stat().st_mtime < newest:
        BUILT.mkdir(parents=True, exist_ok=True)
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        subprocess.run([compiler, "-O2", "-Wall", "-o", str(target), str(source), *flags], check=True)
    return target


def _stat(pid):
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()


def children(pid):
    """Live descendants of a process (Redis forks one to rewrite its append-only file)."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(entry.name)
            if fields and int(fields[1]) == pid:
                found += [int(entry.name), *children(int(entry.name))]
    return found


def cpu_seconds(pid):
    """User and system CPU of a process and its children, those that have ended included."""
    fields = _stat(pid)
    if fields is None:
        return 0.0
    ended_children = (int(fields[13]) + int(fields[14])) / TICK
    return _own_cpu_seconds(pid) + ended_children + sum(_own_cpu_seconds(child) for child in children(pid))


def _own_cpu_seconds(pid):
    try:
        # The clock of another process, as clock_getcpuclockid(3) computes it: nanoseconds where /proc counts 10 ms.
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        fields = _stat(pid)
        return (int(fields[11]) + int(fields[12])) / TICK if fields else 0.0


def written_bytes(pid):
    """Bytes that a process and its children caused to be written to a device."""
    total = 0
    for one in [pid, *children(pid)]:
        try:
            match = re.search(r"^write_bytes: (\d+)", Path(f"/proc/{one}/io").read_text(), re.M)
            total += int(match[1])
        except (OSError, TypeError):
            pass
    return total


def memory(pid):
    """Resident memory in MiB: now, its anonymous part, and the peak since the peak was last reset."""
    text = Path(f"/proc/{pid}/status").read_text()
    value = {name: int(kib) / 1024 for name, kib in re.findall(r"^(VmRSS|RssAnon|VmHWM):\s+(\d+) kB", text, re.M)}
    return value.get("VmRSS", 0), value.get("RssAnon", 0), value.get("VmHWM", 0)


def reset_peak(pid):
    try:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    except OSError:
        pass  # Without the right to do so the peak is that of the whole life of the process.


def busy_seconds():
    """CPU seconds that all processes and the kernel have used since the machine started."""
    fields = [int(x) for x in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4] - fields[7]) / TICK  # without idle, iowait and steal


def wait_until_quiet(pid, limit):
    """Waits until a process has used less than 2 % of a core for a second; returns how long that took."""
    begun = time.monotonic()
    last = cpu_seconds(pid)
    calm = 0
    while time.monotonic() - begun < limit and calm < 2:
        time.sleep(0.5)
        current = cpu_seconds(pid)
        calm = calm + 1 if current - last <= 0.01 else 0
        last = current
    return max(0.0, time.monotonic() - begun - 1)


def folder_bytes(folder):
    total = 0
    for base, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(base, name)).st_blocks * 512
            except OSError:
                pass
    return total


def drop_caches(folder, syncing=False):
    """Takes the clean pages of the files below a folder out of the page cache; `syncing` makes all clean first."""
    for base, _, names in os.walk(folder):
        for name in names:
            try:
                descriptor = os.open(os.path.join(base, name), os.O_RDONLY)
            except OSError:
                continue
            try:
                if syncing:
                    os.fdatasync(descriptor)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)


def check_room(folder, needed):
    """Refuses to begin what would fill the disk."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise RuntimeError(f"{folder} has {free / 2**30:.1f} GiB free, {needed / 2**30:.1f} GiB are needed")


def facts(folder):
    cpu = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    total = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    system = subprocess.run(["df", "--output=fstype", folder], capture_output=True, text=True).stdout.split()[-1]
    free = shutil.disk_usage(folder).free
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": cpu[1].strip() if cpu else "unknown",
        "memory_gib": round(int(total[1]) / 2**20, 1),
        "kernel": os.uname().release,
        "file_system": system,
        "free_disk_gib": round(free / 2**30, 1),
        "load_average": os.getloadavg()[0],
        "date": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
    }

"""The published test-suites: where they come from, what of them runs, and how their verdict is read.

A suite is the source distribution of a release, in the version that requirements.txt pins for the library itself. Each
runs against a server of its own, so that several run at once. They test with real time, often in steps of a tenth of a
second: a test that fails is run again alone, twice at most, and only a third failure counts.
"""
import os
import re
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass
class Suite:
    """One library's tests. `passing` is how many must pass at least, so that a suite cannot skip itself away."""

    name: str
    package: str
    arguments: list
    passing: int
    quick: bool = False
    environment: dict = field(default_factory=dict)
    # (file, text, replacement), where {port} is the server's; for ports that are asked before redis-py connects.
    edits: list = field(default_factory=list)
    remove: list = field(default_factory=list)
    django: bool = False


# The slowest first, and of the quick ones.
SUITES = [
    # Without workers that must listen half a second after a fork, and go on for ever if they do not, and without
    # workers that are told port 6379. Those that are programs of their own need the port here, too.
    Suite("RQ", "rq", ["tests", "--ignore", "tests/test_worker_pool.py",
                       "--deselect", "tests/test_worker.py::TestWorkerSubprocess"], 740,
          edits=[("tests/__init__.py", "connection_kwargs = {'db': dbnum}",
                  "connection_kwargs = {{'db': dbnum, 'port': {port}}}")]),
    Suite("Kombu: Redis", "kombu", ["t/integration/test_redis.py"], 123, environment={"REDIS_6379_TCP": "{port}"}),
    Suite("Celery: results, groups", "celery",
          ["t/integration/test_redis_backend.py", "t/integration/test_group_chains.py", "-p", "celery.contrib.pytest"],
          29, environment={"TEST_BROKER": "redis://127.0.0.1:{port}", "TEST_BACKEND": "redis://127.0.0.1:{port}",
                           "REDIS_PORT": "{port}"}),
    Suite("Huey: storage", "huey", ["huey/tests/test_storage.py", "-k", "Redis"], 59),
    Suite("channels_redis", "channels-redis", ["tests/test_core.py", "tests/test_pubsub.py"], 43),
    Suite("Django: cache, sessions", "Django",
          ["cache.tests.RedisCacheTests", "sessions_tests.tests.CacheSessionTests",
           "sessions_tests.tests.CacheDBSessionTests", "cache.tests.CacheMiddlewareTest"], 180, quick=True,
          django=True),
    Suite("redis-py: Lock", "redis", ["tests/test_lock.py", "tests/test_asyncio/test_lock.py",
                                      "--redis-url", "redis://127.0.0.1:{port}/0"], 92, quick=True),
    Suite("Flask-Caching", "Flask-Caching", ["tests/test_backend_cache.py", "-k", "Redis"], 58, quick=True,
          edits=[("tests/conftest.py", "6360", "{port}")]),
    Suite("pottery: Redlock, NextID", "pottery",
          ["tests/test_redlock.py", "tests/test_nextid.py", "tests/test_aioredlock.py", "tests/test_aionextid.py",
           "tests/test_hyper.py",
           # says which release of Python the words of an error must have
           "--deselect", "tests/test_redlock.py::TestRedlock::test_releaseunlockedlock_repr"], 100),
    Suite("dogpile.cache", "dogpile.cache", ["tests/cache/test_redis_backend.py", "-o", "python_classes=*Test"], 73,
          environment={"DOGPILE_REDIS_PORT": "{port}"}),
    Suite("aiocache", "aiocache", ["tests/acceptance", "-m", "redis"], 128),
    # Its containers are left out.
    Suite("limits", "limits", ["tests/storage", "tests/test_storage.py", "tests/test_strategy.py", "tests/integration",
                               "-k", "(redis_basic or redis) and not (sentinel or cluster or uds)",
                               # wants a script that pushes a million times to be done within two seconds
                               "--deselect", "tests/test_strategy.py::TestMovingWindow::test_moving_window_huge_cost"],
          33, quick=True, remove=["tests/conftest.py"],
          environment={"ASYNC_REDIS_IMPLEMENTATION": "redispy"}),
    Suite("cachelib", "cachelib", ["tests/test_redis_cache.py"], 100, environment={"CI": "true"}),
    Suite("django-redis", "django-redis",
          ["tests", "-k", "[sqlite] or test_client", "-p", "no:django",
           # takes the fields of a small hash for ordered as they were set, which they are in Redis by its encoding
           "--deselect", "tests/test_backend.py::TestDjangoRedisCache::test_hkeys"], 200,
          edits=[("tests/settings/sqlite.py", "6379", "{port}")]),
]


def version(package):
    for line in (HERE / "requirements.txt").read_text().splitlines():
        name, number = line.split("==")
        if name.split("[")[0] == package:
            return number
    raise SystemExit(f"requirements.txt does not name {package}")


def unpack(suite, python, cache, target, port):
    """The suite's sources in a fresh folder below `target`; fetched once into `cache`."""
    stem = re.sub(r"[-_.]+", "_", suite.package).lower() + "-" + version(suite.package) + ".tar.gz"

    def fetched():
        return [path for path in cache.glob("*.tar.gz") if re.sub(r"[-_.]+", "_", path.name[:-7]).lower()
                == re.sub(r"[-_.]+", "_", stem[:-7])]

    if not fetched():
        cache.mkdir(parents=True, exist_ok=True)
        subprocess.run([python, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "-d", str(cache),
                        f"{suite.package}=={version(suite.package)}"], check=True, stdout=sys.stderr)
    with tarfile.open(fetched()[0]) as archive:
        archive.extractall(target, filter="data")
    folder = next(path for path in Path(target).iterdir() if path.is_dir())
    for name in suite.remove:
        (folder / name).unlink()
    for name, old, new in suite.edits:
        path = folder / name
        text = path.read_text()
        if old not in text:
            raise SystemExit(f"{suite.name}: {name} does not say {old}")
        path.write_text(text.replace(old, new.format(port=port)))
    return folder


def run(suite, python, folder, port):
    """(passed, skipped, failures, output): failures are those that failed alone, too."""
    programs = f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": programs, "VALK_APPLICATION_PORT": str(port),
                   "VALK_APPLICATION_FROM": "6379,6360,7379",
                   "PYTHONPATH": f"{HERE}{os.pathsep}.", "PYTHONDONTWRITEBYTECODE": "1",
                   **{key: text.format(port=port) for key, text in suite.environment.items()}}
    arguments = [argument.format(port=port) for argument in suite.arguments]
    if suite.django:
        return run_django(arguments, python, folder, environment)
    command = [python, "-m", "pytest", "-p", "relocate", "-q", "--no-header", "--tb=short", "-rfE", "-o", "addopts=",
               "-o", "filterwarnings=ignore", "-o", "asyncio_mode=auto",
               "-o", "asyncio_default_fixture_loop_scope=function"]
    first = finish(command + arguments, folder, environment)
    failures, output = failed_names(first), first
    if not counted(first, "passed"):
        failures = failures or ["nothing ran"]
    for _ in range(2 if counted(first, "passed") else 0):
        if failures:
            once_more = finish(command + ["--last-failed"] + arguments, folder, environment)
            output += "\nagain, what failed:\n" + once_more
            failures = failed_names(once_more)
    return counted(first, "passed"), counted(first, "skipped"), failures, output


def run_django(arguments, python, folder, environment):
    command = [python, "-W", "ignore", "runtests.py", "--settings=django_settings", "--parallel", "1", "-v", "0"]
    output = finish(command + arguments, folder / "tests", environment)
    failures = re.findall(r"^(?:FAIL|ERROR): \S+ \((\S+)\)", output, re.M)
    if failures:
        output += "\nagain, what failed:\n" + finish(command + failures, folder / "tests", environment)
        failures = re.findall(r"^(?:FAIL|ERROR): \S+ \((\S+)\)", output.split("again, what failed:")[1], re.M)
    total = int((re.search(r"^Ran (\d+) tests", output, re.M) or [0, 0])[1])
    skipped = int((re.search(r"skipped=(\d+)", output) or [0, 0])[1])
    return total - skipped - len(failures), skipped, failures if total else ["nothing ran"], output


def finish(command, folder, environment, patience=500):
    try:
        done = subprocess.run(command, cwd=folder, env=environment, timeout=patience, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.stdout.decode("utf-8", "replace")
    except subprocess.TimeoutExpired as late:
        return (late.stdout or b"").decode("utf-8", "replace") + f"\nFAILED stopped after {patience} s"


def failed_names(output):
    return re.findall(r"^(?:FAILED|ERROR) (\S+(?:\[[^\]]*\])?)", output, re.M)


def counted(output, word):
    found = re.findall(rf"(\d+) {word}", output)
    return int(found[-1]) if found else 0


def clean(folder):
    shutil.rmtree(folder, ignore_errors=True)

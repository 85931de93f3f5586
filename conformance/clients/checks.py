"""The lines that a client's program prints for `run` to count."""
import contextlib
import time
import traceback


def check(name, condition, detail=""):
    if condition:
        print(f"ok {name}", flush=True)
    else:
        text = str(detail).replace("\n", "⏎")
        print(f"FAIL {name}: {text[:800]}", flush=True)


def equal(name, seen, expected):
    check(name, seen == expected, f"expected {expected!r:.300}, got {seen!r:.300}")


def raises(name, kind, call, text=""):
    try:
        result = call()
    except kind as error:
        check(name, text in str(error), error)
    else:
        check(name, False, f"no error but {result!r}")


def until(question, seconds=60):
    """Asks until the answer is true, for so long at most; the last answer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = question()
        if answer:
            return answer
        time.sleep(0.05)
    return question()


@contextlib.contextmanager
def section(name):
    """An exception inside is one failed check; what comes after still runs."""
    try:
        yield
    except Exception as error:
        check(name, False, f"{type(error).__name__}: {error} {traceback.format_exc(limit=2)}")

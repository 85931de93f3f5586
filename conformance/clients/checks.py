"""The lines that a client's program prints for `run` to count."""
import contextlib
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


@contextlib.contextmanager
def section(name):
    """An exception inside is one failed check; what comes after still runs."""
    try:
        yield
    except Exception as error:
        check(name, False, f"{type(error).__name__}: {error} {traceback.format_exc(limit=2)}")

"""Public data that comes with Debian packages, as keys and values.

- `word:<word>`             → the number of its line                     (wamerican's word list)
- `unicode:<table>:<line>`  → the line as it stands, comments included   (unicode-data's tables)
- `file:<path>`             → the bytes of an installed file             (perl, libpython3.11-stdlib, unicode-data)
"""
import subprocess
from pathlib import Path

PACKAGES = ["unicode-data", "wamerican", "perl", "libpython3.11-stdlib"]
FILES_OF = ["perl-base", "perl-modules-5.36", "libperl5.36", "libpython3.11-stdlib", "unicode-data"]
QUICK_FILES_OF = ["perl-modules-5.36", "unicode-data"]
QUICK_TABLE_LIMIT = 2_000_000


def words():
    for number, line in enumerate(Path("/usr/share/dict/american-english").read_bytes().splitlines(), 1):
        yield b"word:" + line, b"%d" % number


def tables(quick):
    root = Path("/usr/share/unicode")
    for path in sorted(root.rglob("*.txt")):
        if path.is_symlink() or (quick and path.stat().st_size > QUICK_TABLE_LIMIT):
            continue
        name = str(path.relative_to(root)).encode()
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            yield b"unicode:%s:%07d" % (name, number), line


def files(quick):
    listing = subprocess.run(["dpkg", "-L", *(QUICK_FILES_OF if quick else FILES_OF)], check=True,
                             stdout=subprocess.PIPE, text=True).stdout
    for name in sorted(set(listing.splitlines())):
        path = Path(name)
        if path.is_file() and not path.is_symlink():
            yield b"file:" + name.encode(), path.read_bytes()

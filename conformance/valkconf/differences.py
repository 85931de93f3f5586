"""The list of cases whose expectation is on purpose not what Redis 7.0 does.

A line names a kind, a case or a whole file, and the lines under it, indented, give the reason:

    valk-only   range: *
        Redis has no ordered range command.

Kinds: `valk-only` (a command of Valk's own), `newer` (added after Redis 7.0, written from its
documentation), `differs` (both have it, Valk answers otherwise).
"""

KINDS = ("valk-only", "newer", "differs")


class Differences:
    def __init__(self, path):
        self.entries = []
        with open(path, encoding="utf-8") as handle:
            for number, line in enumerate(handle, 1):
                if not line.strip() or line.startswith("#"):
                    continue
                if line[0] in " \t":
                    if not self.entries:
                        raise ValueError("%s:%d: a reason without an entry" % (path, number))
                    self.entries[-1]["reason"] += " " + line.strip()
                    continue
                kind, _, rest = line.strip().partition(" ")
                if kind not in KINDS or ": " not in rest:
                    raise ValueError("%s:%d: expected KIND FILE: CASE" % (path, number))
                self.entries.append({"kind": kind, "case": rest.strip(), "reason": "", "used": False, "line": number})
        for entry in self.entries:
            if not entry["reason"]:
                raise ValueError("%s:%d: no reason given" % (path, entry["line"]))

    def find(self, case):
        """The entry for a case, or None."""
        for entry in self.entries:
            if entry["case"] in (case.identity, case.file + ": *"):
                entry["used"] = True
                return entry
        return None

    def unused(self):
        return [e for e in self.entries if not e["used"]]

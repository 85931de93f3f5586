"""Figures with a target each, printed with met or not met."""


class Targets:
    def __init__(self):
        self.rows = []

    def at_most(self, what, value, target, unit=""):
        self.rows.append((what, f"{value:.2f}{unit}", f"at most {target:g}{unit}", value <= target))

    def at_least(self, what, value, target, unit=""):
        self.rows.append((what, f"{value:.2f}{unit}", f"at least {target:g}{unit}", value >= target))

    def holds(self, what, value, target, met):
        self.rows.append((what, value, target, met))

    def show(self):
        if self.rows:
            print()
        for what, value, target, met in self.rows:
            print(f"{what:66} {value:>12}   {target:18} {'met' if met else 'NOT MET'}")

    def as_json(self):
        return [dict(zip(("what", "measured", "target", "met"), row)) for row in self.rows]

"""Rounds that take turns between the sides, after a warm-up; says how it goes while it goes."""
import time

from clients import say
from measure import Invalid, Outcome, Spread, order, warm
from naru_cluster import Failed


def shown(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


class Bench:
    """All workloads, one after the other. `rounds` valid ones of each are wanted; as many more are tried as were invalid,
    but not for ever."""

    def __init__(self, sides, rounds, warm_up_max):
        self.sides = {side.name: side for side in sides}
        self.rounds = rounds
        self.warm_up_max = warm_up_max
        self.began = time.monotonic()

    def run(self, workloads):
        """Yields (workload, outcome)."""
        for number, workload in enumerate(workloads, 1):
            say(f"{number} of {len(workloads)}: {workload.name}: {workload.about}")
            if workload.fresh:
                self.down()
            yield workload, self.measure(workload)
            left = (time.monotonic() - self.began) / number * (len(workloads) - number)
            if left > 0:
                say(f"about {max(1, round(left / 60))} min left")

    def down(self):
        for side in self.sides.values():
            side.down()

    def wanted(self, workload):
        return min(self.rounds, workload.rounds_max or self.rounds)

    def measure(self, workload):
        outcome = Outcome(workload.figures)
        workload.begin(self.sides)
        if workload.warm_by:
            self.warm_up(workload)
        wanted = self.wanted(workload)
        number = 0
        while not outcome.complete(wanted, self.sides) and number < 2 * wanted:
            outcome.add(self.one(workload, number, outcome))
            number += 1
            self.tell(workload, outcome, number, wanted)
        return outcome

    def one(self, workload, number, outcome=None):
        results = {}
        for name in order(number, self.sides):
            try:
                results[name] = workload.round(self.sides[name])
            except (Invalid, Failed) as why:
                what = "warm-up" if outcome is None else "round"
                say(f"  {name}: {what} {number + 1} is invalid: {why}")
                if outcome is not None:
                    outcome.add_invalid(name, number + 1, str(why))
        return results

    def warm_up(self, workload):
        """Until the figure of the slower side to warm no longer falls; both get as many passes."""
        key = workload.warm_by
        watched = "kafka" if "kafka" in self.sides else "naru"
        costs = []
        for number in range(self.warm_up_max):
            results = self.one(workload, number)
            if watched in results:
                costs.append(results[watched][key])
            said = ", ".join(f"{name} {shown(r[key])}" for name, r in sorted(results.items()))
            unit = next(f.unit for f in workload.figures if f.key == key)
            say(f"  warm-up {number + 1}: {said} {unit}")
            if warm(costs):
                return
        if len(costs) > 2:
            say(f"  still getting faster after {self.warm_up_max} warm-ups")

    @staticmethod
    def tell(workload, outcome, number, wanted):
        parts = []
        for figure in workload.figures:
            last = outcome.rounds[-1]
            values = [f"{name} {shown(last[name][figure.key])}" for name in sorted(last) if figure.key in last[name]]
            ratios = Spread.of(outcome.ratios(figure))
            if values:
                parts.append(f"{figure.key.split('/')[1]} {', '.join(values)} {figure.unit}" + (f" ({ratios.median:.1f} x)" if ratios else ""))
        say(f"  round {number} of {wanted}: " + "; ".join(parts))

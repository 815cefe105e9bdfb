"""What a comparison is made of, and its arithmetic: figures, valid rounds, medians, ratios, floors. Pure.

A figure has one value a round and side. The two sides take turns, so the ratio of one round is of neighbours in time, and
what the machine does besides hits both; the table shows the median of those ratios and their spread.
"""
import dataclasses
import statistics


class Invalid(Exception):
    """A round that says nothing: too little was acknowledged, or less was read than written. It counts for no figure."""


@dataclasses.dataclass(frozen=True)
class Floor:
    """What must be reached: so many times better than Kafka, or a value of Naru's own."""
    ratio: float = None
    at_most: float = None
    at_least: float = None

    def text(self, unit):
        if self.ratio is not None:
            return f"{self.ratio:g} x"
        return f"at most {self.at_most:g} {unit}" if self.at_most is not None else f"at least {self.at_least:g} {unit}"


@dataclasses.dataclass(frozen=True)
class Figure:
    key: str
    title: str
    unit: str
    higher_is_better: bool = False
    floor: Floor = None

    def factor(self, naru, kafka):
        """How many times better Naru is; None where nothing can be divided."""
        if naru <= 0 or kafka <= 0:
            return None
        return naru / kafka if self.higher_is_better else kafka / naru

    def best(self, values):
        return max(values) if self.higher_is_better else min(values)


@dataclasses.dataclass(frozen=True)
class Spread:
    """The median, and between what the values lay."""
    median: float
    low: float
    high: float
    count: int

    @staticmethod
    def of(values):
        values = [v for v in values if v is not None]
        return Spread(statistics.median(values), min(values), max(values), len(values)) if values else None


class Outcome:
    """All rounds of one workload."""

    def __init__(self, figures):
        self.figures = figures
        self.rounds = []   # {"naru": {key: value}, "kafka": {...}}; a side is absent if its round was invalid
        self.invalid = []  # {"side", "round", "why"}

    def add(self, results):
        self.rounds.append(results)

    def add_invalid(self, side, number, why):
        self.invalid.append({"side": side, "round": number, "why": why})

    def values(self, figure, side):
        return [r[side][figure.key] for r in self.rounds if side in r and figure.key in r[side]]

    def ratios(self, figure):
        """Of the rounds that were valid on both sides."""
        both = [(r["naru"].get(figure.key), r["kafka"].get(figure.key)) for r in self.rounds if "naru" in r and "kafka" in r]
        factors = [figure.factor(n, k) for n, k in both if n is not None and k is not None]
        return [f for f in factors if f is not None]

    def row(self, figure, judged=True):
        naru, kafka = self.values(figure, "naru"), self.values(figure, "kafka")
        best = figure.factor(statistics.median(naru), figure.best(kafka)) if naru and kafka else None
        row = {"key": figure.key, "title": figure.title, "unit": figure.unit, "higher_is_better": figure.higher_is_better,
               "naru": naru, "kafka": kafka, "ratios": self.ratios(figure), "ratio_to_kafkas_best": best}
        if figure.floor:
            row["floor"] = {k: v for k, v in dataclasses.asdict(figure.floor).items() if v is not None}
            row["floor_text"] = figure.floor.text(figure.unit)
            if judged:
                row["met"] = met(figure.floor, row)
        return row

    def valid(self, side):
        return sum(side in r for r in self.rounds)

    def complete(self, wanted, sides):
        return all(self.valid(side) >= wanted for side in sides)

    def rows(self, judged=True):
        """judged: whether floors are held against the values."""
        return [self.row(f, judged) for f in self.figures if self.values(f, "naru") or self.values(f, "kafka")]


def met(floor, row):
    """True, False, or None where it was not measured. Kafka is taken at its best."""
    if floor.ratio is not None:
        return None if row["ratio_to_kafkas_best"] is None else row["ratio_to_kafkas_best"] >= floor.ratio
    if not row["naru"]:
        return None
    median = statistics.median(row["naru"])
    return median <= floor.at_most if floor.at_most is not None else median >= floor.at_least


def warm(costs, slack=0.03):
    """Whether a figure (lower is better) no longer falls: neither of the last two is better than the best before them by
    more than `slack`."""
    if len(costs) < 3:
        return False
    best = min(costs[:-2])
    return all(cost > best * (1 - slack) for cost in costs[-2:])


def order(number, sides):
    """Who goes first takes turns, too."""
    return list(sides) if number % 2 == 0 else list(reversed(sides))


def all_acknowledged(done, expected):
    """What naru-load says of a produce run; every record must have been acknowledged."""
    if done["failed"] or done["acked"] != expected:
        raise Invalid(f"{done['acked']} of {expected} records acknowledged, {done['failed']} failed")


def rate_was_kept(done, wanted, tolerance=0.05):
    if done["records_per_s"] < wanted * (1 - tolerance):
        raise Invalid(f"{done['records_per_s']:.0f} records a second instead of {wanted:.0f}")


def enough_cpu(seconds, ticks, least=20):
    """A difference of few clock ticks is mostly rounding."""
    if seconds * ticks < least:
        raise Invalid(f"only {seconds:.2f} CPU seconds were used, too few to be told by ticks of {1000 / ticks:.0f} ms")

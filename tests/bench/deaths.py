"""kill -9 as a workload of scripts/bench: the longest gap without an acknowledgement, librdkafka at its defaults."""
from clients import librdkafka_producer
from kills import KILLS, kill_once
from measure import Figure
from workloads import Workload


class Deaths(Workload):
    only_named = True

    def __init__(self, name, about, scale=1.0):
        super().__init__(scale)
        self.name, self.about, self.rounds_max = name, about, 3
        self.figures = tuple(Figure(f"{name}/{kind}", f"longest gap at {what}", "ms") for kind, what in KILLS.items())

    def round(self, side):
        return {f"{self.name}/{kind}": kill_once(side.make_cluster, kind, librdkafka_producer)[0] for kind in KILLS}

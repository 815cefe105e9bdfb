"""The physical limit: what the machine needs for the bytes of a replicated GB alone, and how far brokers are from that."""
import json
import os
import pathlib

from clients import output_of
from measure import Figure
from naru_cluster import TOP, Failed
from workloads import Throughput, Workload

COPIES = 3
PARTS = {"out": "TCP on loopback, sending", "in": "TCP on loopback, receiving", "crc": "CRC32C", "write": "writing to the page cache",
         "grpc": "gRPC, 1 MiB messages, both ends"}


def bound(parts, copies=COPIES):
    """CPU s of all brokers for a GB produced: it comes in once, each copy is checked and written, and each follower's goes over
    a socket of one broker and one of another."""
    return parts["in"] + copies * (parts["crc"] + parts["write"]) + (copies - 1) * (parts["out"] + parts["in"])


def bound_with_grpc(parts, copies=COPIES):
    return parts["in"] + copies * (parts["crc"] + parts["write"]) + (copies - 1) * parts["grpc"]


def measured(megabytes, directory):
    path = pathlib.Path(os.environ.get("NARU_LIMIT", TOP / "build" / "release" / "naru-limit"))
    if not path.exists():
        raise Failed(f"{path} is not built: cmake --build build/release --target naru-limit")
    return json.loads(output_of("naru-limit", [path, "--megabytes", megabytes, "--directory", directory]))


class Limit(Workload):
    """Measures the parts beside the brokers and right before they get their load, so that a slow minute hits both."""

    def __init__(self, name, about, options, megabytes, scale=1.0):
        super().__init__(scale)
        self.name, self.about = name, about
        self.load = Throughput("limit-load", about, options, megabytes, consume=False, scale=scale)
        self.figures = (*(Figure(f"{name}/{key}", f"CPU per GB: {title}", "s/GB") for key, title in PARTS.items()),
                        Figure(f"{name}/bound", "the sum for a GB with three replicas, plain sockets", "s/GB"),
                        Figure(f"{name}/bound-grpc", "the same, with gRPC between brokers", "s/GB"),
                        Figure(f"{name}/distance", f"broker CPU per GB produced over that sum, {about}", "x"))
        self.warm_by = f"{name}/distance"

    def round(self, side):
        side.up()
        parts = measured(max(100, round(1000 * self.scale)), side.cluster.brokers[0].data)
        values = {"distance": self.load.round(side)["limit-load/produce-cpu"] / bound(parts)}
        if side.name == "naru":  # the machine's, and the same for both
            values |= {**parts, "bound": bound(parts), "bound-grpc": bound_with_grpc(parts)}
        return {f"{self.name}/{key}": value for key, value in values.items()}

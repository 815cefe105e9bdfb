"""The harness's end of shim.c: arms and disarms faults of one broker while it runs."""
import mmap
import struct
import time

from means import SHIM

READ, WRITE, SYNC, RENAME, ALLOCATE = 1, 2, 4, 8, 16
KILLED = -1  # instead of an error: the process is killed at the call
RULES, RULE_SIZE, HEAD = 8, 4 * 6 + 16 + 128, 32


class Shim:
    def __init__(self, broker, directory):
        path = directory / f"shim-{broker.id}"
        path.write_bytes(b"\0" * (HEAD + RULES * RULE_SIZE))
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)
        broker.environment |= {"LD_PRELOAD": str(SHIM), "NARU_SHIM": str(path)}

    def arm(self, slot, operations, pattern, error=0, wait_ms=0, permille=1000, torn_bytes=-1, times=-1, skip=0):
        """From now on such calls on files whose path fits the pattern fail with `error`, or only wait; the first `skip` go by."""
        at = HEAD + slot * RULE_SIZE
        struct.pack_into("<I", self.map, at, 0)
        struct.pack_into("<iIIiIqQ128s", self.map, at + 4, error, wait_ms, permille, torn_bytes, skip, times, 0, pattern.encode())
        struct.pack_into("<I", self.map, at, operations)

    def disarm(self, slot):
        struct.pack_into("<I", self.map, HEAD + slot * RULE_SIZE, 0)

    def hits(self, slot):
        return struct.unpack_from("<Q", self.map, HEAD + slot * RULE_SIZE + 32)[0]

    def clock(self, offset_s=0.0, drift_ppm=0):
        struct.pack_into("<qqq", self.map, 0, int(offset_s * 1e9), drift_ppm, time.monotonic_ns())

    def clock_reads(self):
        return struct.unpack_from("<Q", self.map, 24)[0]

"""What lies on a broker's disk: the batches of a topic, as Kafka's own format says."""
import struct

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


def batches_of(broker, topic, partition=0):
    """(base offset, attributes, record count) of each batch in the first segment."""
    data = (broker.data / f"{topic}-{partition}" / f"{0:020d}.log").read_bytes()
    at = 0
    while at + 61 <= len(data):
        base, length = struct.unpack_from(">qi", data, at)
        if length <= 0:
            return  # space that was set aside and not written yet
        attributes, = struct.unpack_from(">h", data, at + 21)
        count, = struct.unpack_from(">i", data, at + 57)
        yield base, attributes, count
        at += 12 + length


def codecs_of(broker, topic, partition=0):
    return {CODECS[attributes & 7] for _, attributes, _ in batches_of(broker, topic, partition)}

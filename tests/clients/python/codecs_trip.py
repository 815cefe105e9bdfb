#!/usr/bin/env python3
"""Every codec with confluent-kafka: codecs_trip.py produce|consume BOOTSTRAP PREFIX COUNT (see ../test_codecs.py)."""
import json
import sys
import time

from confluent_kafka import Consumer, Producer, TopicPartition

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


def value(codec, i):
    return f"{codec}-{i}-" + "abcdefgh" * 20


def produce(bootstrap, prefix, count):
    for codec in CODECS:
        producer = Producer({"bootstrap.servers": bootstrap, "compression.type": codec, "linger.ms": 20, "acks": "all"})
        failed = []
        for i in range(count):
            producer.produce(f"{prefix}-{codec}", key=str(i), value=value(codec, i), partition=0, headers={"codec": codec},
                             on_delivery=lambda error, _: failed.append(error) if error else None)
        if producer.flush(30) or failed:
            sys.exit(f"{codec}: not everything was acknowledged {failed[:1]}")


def consume(bootstrap, prefix, count):
    read = {}
    for codec in CODECS:
        consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "auto.offset.reset": "earliest",
                             "enable.auto.commit": False, "check.crcs": True})
        consumer.assign([TopicPartition(f"{prefix}-{codec}", 0, 0)])
        end = time.monotonic() + 30
        for i in range(count):
            message = None
            while message is None:
                message = consumer.poll(1)
                if time.monotonic() > end or (message is not None and message.error()):
                    sys.exit(f"{codec}: record {i} of {count} did not come: {message and message.error()}")
            got = (message.key().decode(), message.value().decode(), message.headers())
            if got != (str(i), value(codec, i), [("codec", codec.encode())]):
                sys.exit(f"{codec}: record {i} is {got}")
        read[codec] = count
        consumer.close()
    print(json.dumps(read))


if __name__ == "__main__":
    {"produce": produce, "consume": consume}[sys.argv[1]](sys.argv[2], sys.argv[3], int(sys.argv[4]))

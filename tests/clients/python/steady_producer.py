#!/usr/bin/env python3
"""steady_producer.py BOOTSTRAP TOPIC: an idempotent producer of confluent-kafka that sends numbers, many at once, until it
reads a line. Prints `acked N` now and then, and at the end `done SENT ACKED`. Message i goes to partition i % 3."""
import select
import sys
import time

from confluent_kafka import Producer

failed = []
acked = 0


def delivered(error, _message):
    global acked
    if error is not None:
        failed.append(str(error))
        return
    acked += 1
    if acked % 100 == 0:
        print(f"acked {acked}", flush=True)


producer = Producer({"bootstrap.servers": sys.argv[1], "enable.idempotence": True, "linger.ms": 1, "batch.num.messages": 10,
                     "reconnect.backoff.max.ms": 500})
sent = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    for _ in range(10):
        producer.produce(sys.argv[2], value=str(sent), partition=sent % 3, on_delivery=delivered)
        sent += 1
    producer.poll(0)
    while len(producer) > 500:
        producer.poll(0.05)
    time.sleep(0.002)  # the rate: nobody waits for it
producer.flush(60)
if failed:
    sys.exit(f"{len(failed)} were refused, the first: {failed[0]}")
print(f"done {sent} {acked}")

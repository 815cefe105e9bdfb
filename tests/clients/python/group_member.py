#!/usr/bin/env python3
"""group_member.py BOOTSTRAP TOPIC GROUP [NAME=VALUE...]: a member that commits after each message, synchronously. Prints
`assigned P,P...` at each change, `value V` for each message and then `committed V`. SIGTERM: leaves."""
import signal
import sys

from confluent_kafka import Consumer

stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
consumer = Consumer({"bootstrap.servers": sys.argv[1], "group.id": sys.argv[3], "auto.offset.reset": "earliest",
                     "enable.auto.commit": False, "session.timeout.ms": 6000, "heartbeat.interval.ms": 500,
                     **dict(word.split("=", 1) for word in sys.argv[4:])})




consumer.subscribe([sys.argv[2]])
last = None
while not stop:
    message = consumer.poll(0.1)
    now = sorted(p.partition for p in consumer.assignment())
    if now != last:
        print("assigned " + ",".join(map(str, now)), flush=True)
        last = now
    if message is not None and not message.error():
        value = message.value().decode()
        print(f"value {value}", flush=True)
        consumer.commit(message, asynchronous=False)
        print(f"committed {value}", flush=True)
consumer.close()

#!/usr/bin/env python3
"""group_member.py BOOTSTRAP TOPIC GROUP [NAME=VALUE...]: a member that commits after each message, synchronously. Prints
`assigned P,P...` at each change, `value V` for each message and then `committed V`. SIGTERM: leaves."""
import signal
import sys

from confluent_kafka import Consumer, KafkaError, KafkaException

stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
consumer = Consumer({"bootstrap.servers": sys.argv[1], "group.id": sys.argv[3], "auto.offset.reset": "earliest",
                     "enable.auto.commit": False, "session.timeout.ms": 6000, "heartbeat.interval.ms": 500,
                     **dict(word.split("=", 1) for word in sys.argv[4:])})
uncommitted = []


def commit_all():
    while uncommitted:
        try:
            consumer.commit(uncommitted[0], asynchronous=False)
        except KafkaException as refused:
            if refused.args[0].code() == KafkaError.REBALANCE_IN_PROGRESS:
                return  # the group is being shared out anew: after the next poll
            raise
        print(f"committed {uncommitted.pop(0).value().decode()}", flush=True)


consumer.subscribe([sys.argv[2]])
last = None
while not stop:
    message = consumer.poll(0.1)
    now = sorted(p.partition for p in consumer.assignment())
    if now != last:
        print("assigned " + ",".join(map(str, now)), flush=True)
        last = now
    if message is not None and not message.error():
        print(f"value {message.value().decode()}", flush=True)
        uncommitted.append(message)
    commit_all()
consumer.close()

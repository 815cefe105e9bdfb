#!/usr/bin/env python3
"""The round trip with confluent-kafka (librdkafka)."""
import sys

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from roundtrip import Deadline, Progress, arguments, key, value, verdict


def consume(args, deadline, wanted):
    consumer = Consumer({
        "bootstrap.servers": args.bootstrap, "group.id": args.group, "auto.offset.reset": "earliest",
        "enable.auto.commit": False, "session.timeout.ms": 45000,
    })
    consumer.subscribe([args.topic])
    read = []
    missing = set(wanted)
    while missing:
        deadline.check(f"waiting for {len(missing)} messages")
        message = consumer.poll(0.2)
        if message is None or message.error():
            continue
        read.append(message.value().decode())
        missing.discard(read[-1])
    consumer.commit(asynchronous=False)
    consumer.close()
    return read


def main():
    args = arguments()
    deadline = Deadline(args.timeout)
    admin = AdminClient({"bootstrap.servers": args.bootstrap})
    for future in admin.create_topics([NewTopic(args.topic, num_partitions=3, replication_factor=3)]).values():
        future.result(timeout=30)

    progress = Progress()
    failed = []

    def delivered(error, message):
        if error is not None:
            failed.append(str(error))
        else:
            progress.add(message.value().decode())

    producer = Producer({"bootstrap.servers": args.bootstrap, "enable.idempotence": True, "linger.ms": 2})
    for i in range(args.count):
        producer.produce(args.topic, key=key(i), value=value(i), on_delivery=delivered)
        if i % 50 == 0:
            producer.flush(30)
    producer.flush(60)
    if failed:
        sys.exit(f"{len(failed)} messages were refused, the first: {failed[0]}")

    read = consume(args, deadline, progress.acked)
    extra = {value(args.count)}
    producer.produce(args.topic, key=key(0), value=value(args.count))
    producer.flush(30)
    second = consume(args, deadline, extra)
    verdict(progress.acked, read, set(second) - extra, idempotent=True)


if __name__ == "__main__":
    try:
        main()
    except KafkaException as error:
        sys.exit(f"confluent-kafka: {error}")

#!/usr/bin/env python3
"""The round trip with kafka-python, which speaks old and fixed protocol versions."""
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

from roundtrip import Deadline, Progress, arguments, key, value, verdict


def consume(args, deadline, wanted):
    consumer = KafkaConsumer(args.topic, bootstrap_servers=args.bootstrap.split(","), group_id=args.group,
                             auto_offset_reset="earliest", enable_auto_commit=False, session_timeout_ms=45000,
                             heartbeat_interval_ms=1000)
    read = []
    missing = set(wanted)
    while missing:
        deadline.check(f"waiting for {len(missing)} messages")
        for batch in consumer.poll(timeout_ms=200).values():
            for message in batch:
                read.append(message.value.decode())
                missing.discard(read[-1])
    consumer.commit()
    consumer.close()
    return read


def main():
    args = arguments()
    deadline = Deadline(args.timeout)
    servers = args.bootstrap.split(",")
    admin = KafkaAdminClient(bootstrap_servers=servers)
    admin.create_topics([NewTopic(args.topic, num_partitions=3, replication_factor=3)])
    admin.close()

    progress = Progress()
    producer = KafkaProducer(bootstrap_servers=servers, acks="all", retries=10, linger_ms=2)
    pending = []
    for i in range(args.count):
        pending.append((value(i), producer.send(args.topic, key=key(i).encode(), value=value(i).encode())))
        if len(pending) == 50 or i == args.count - 1:
            for text, future in pending:
                future.get(timeout=60)
                progress.add(text)
            pending = []

    read = consume(args, deadline, progress.acked)
    extra = {value(args.count)}
    producer.send(args.topic, key=key(0).encode(), value=value(args.count).encode()).get(timeout=30)
    producer.close()
    second = consume(args, deadline, extra)
    verdict(progress.acked, read, set(second) - extra, idempotent=False)


if __name__ == "__main__":
    main()

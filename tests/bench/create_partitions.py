"""create_partitions.py BOOTSTRAP TOPIC PARTITIONS: creates a topic with three replicas and says, in seconds from the request
on, when it was created, when every partition had a leader, and when each had acknowledged a write with acks=all.

Its own program, because confluent_kafka belongs to Debian's interpreter."""
import json
import sys
import time

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic


def main():
    bootstrap, topic, partitions = sys.argv[1], sys.argv[2], int(sys.argv[3])
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.list_topics(timeout=30)  # connected before it counts
    began = time.monotonic()
    future = admin.create_topics([NewTopic(topic, num_partitions=partitions, replication_factor=3)], request_timeout=300,
                                 operation_timeout=300)[topic]
    future.result(timeout=300)
    created = time.monotonic()

    def all_led():
        # Asked for by name, a topic that a broker does not know yet would be created by the question.
        described = admin.list_topics(timeout=60).topics.get(topic)
        if described is None:
            return False
        described = described.partitions
        return len(described) == partitions and all(p.leader >= 0 and p.error is None for p in described.values())
    while not all_led():
        time.sleep(0.005)  # between two looks
    led = time.monotonic()

    acknowledged = set()
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 0, "retry.backoff.ms": 5})
    for partition in range(partitions):
        producer.produce(topic, b"first", partition=partition,
                         on_delivery=lambda error, message: None if error else acknowledged.add(message.partition()))
    producer.flush(300)
    written = time.monotonic()
    print(json.dumps({"created": created - began, "led": led - began, "written": written - began, "acknowledged": len(acknowledged)}))


if __name__ == "__main__":
    main()

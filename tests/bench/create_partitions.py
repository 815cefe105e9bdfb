"""create_partitions.py BOOTSTRAP TOPIC PARTITIONS: creates them with three replicas and says, in seconds from the first request
on, when they were created, when every partition had a leader, and when each had acknowledged a write with acks=all.

Kafka's controller refuses to make 10,000 partitions at once: above 5,000 they are several topics, TOPIC, TOPIC-1 and so on.

Its own program, because confluent_kafka belongs to Debian's interpreter."""
import json
import sys
import time

PER_TOPIC = 5000


def topics_of(topic, partitions):
    """{name: partitions}"""
    pieces = [min(PER_TOPIC, partitions - begin) for begin in range(0, partitions, PER_TOPIC)]
    return {f"{topic}-{number}" if number else topic: count for number, count in enumerate(pieces)}


def all_led(admin, wanted):
    # Asked for by name, a topic that a broker does not know yet would be created by the question.
    known = admin.list_topics(timeout=60).topics
    for topic, count in wanted.items():
        partitions = known[topic].partitions.values() if topic in known else ()
        if len(partitions) != count or any(p.leader < 0 or p.error is not None for p in partitions):
            return False
    return True


def main():
    # Here, so that the rest can be tested without it.
    from confluent_kafka import Producer
    from confluent_kafka.admin import AdminClient, NewTopic

    bootstrap, wanted = sys.argv[1], topics_of(sys.argv[2], int(sys.argv[3]))
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.list_topics(timeout=30)  # connected before it counts
    began = time.monotonic()
    for topic, count in wanted.items():
        new = NewTopic(topic, num_partitions=count, replication_factor=3)
        admin.create_topics([new], request_timeout=300, operation_timeout=300)[topic].result(timeout=300)
    created = time.monotonic()
    while not all_led(admin, wanted):
        time.sleep(0.005)  # between two looks
    led = time.monotonic()

    acknowledged = set()
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 0, "retry.backoff.ms": 5})

    def delivered(error, message):
        if not error:
            acknowledged.add((message.topic(), message.partition()))
    for topic, count in wanted.items():
        for partition in range(count):
            producer.produce(topic, b"first", partition=partition, on_delivery=delivered)
    producer.flush(300)
    written = time.monotonic()
    print(json.dumps({"created": created - began, "led": led - began, "written": written - began, "acknowledged": len(acknowledged)}))


if __name__ == "__main__":
    main()

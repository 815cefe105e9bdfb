#!/usr/bin/env python3
"""transactional.py BOOTSTRAP: what a transactional producer of confluent-kafka is told."""
import sys
import time

from confluent_kafka import KafkaException, Producer

began = time.monotonic()
producer = Producer({"bootstrap.servers": sys.argv[1], "transactional.id": "tx"})
try:
    producer.init_transactions(20)
    print("began")
except KafkaException as error:
    print(f"refused after {(time.monotonic() - began) * 1000:.0f} ms: {error.args[0].str()}")

"""A compose file that was written for apache/kafka."""


def services(image, ports):
    """What Kafka's docker/examples have for three nodes that are broker and controller each; only the image is ours. The
    host's ports are free ones."""
    found = {}
    for i, port in enumerate(ports, 1):
        found[f"kafka-{i}"] = {
            "image": image,
            "hostname": f"kafka-{i}",
            "ports": [f"{port}:9092"],
            "environment": {
                "KAFKA_NODE_ID": i,
                "KAFKA_PROCESS_ROLES": "broker,controller",
                "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT",
                "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@kafka-1:9093,2@kafka-2:9093,3@kafka-3:9093",
                "KAFKA_LISTENERS": "PLAINTEXT://:19092,CONTROLLER://:9093,PLAINTEXT_HOST://:9092",
                "KAFKA_INTER_BROKER_LISTENER_NAME": "PLAINTEXT",
                "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://kafka-{i}:19092,PLAINTEXT_HOST://localhost:{port}",
                "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
                "CLUSTER_ID": "4L6g3nShT-eMCtK--X86sw",
                "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": 1,
                "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": 0,
                "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": 1,
                "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": 1,
                "KAFKA_LOG_DIRS": "/tmp/kraft-combined-logs",
            },
        }
    return found

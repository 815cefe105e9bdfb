#!/usr/bin/env python3
"""The round trip with aiokafka."""
import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from roundtrip import Deadline, Progress, arguments, key, value, verdict


async def consume(args, deadline, wanted):
    consumer = AIOKafkaConsumer(args.topic, bootstrap_servers=args.bootstrap, group_id=args.group,
                                auto_offset_reset="earliest", enable_auto_commit=False, session_timeout_ms=45000,
                                heartbeat_interval_ms=1000)
    await consumer.start()
    read = []
    missing = set(wanted)
    while missing:
        deadline.check(f"waiting for {len(missing)} messages")
        for batch in (await consumer.getmany(timeout_ms=200)).values():
            for message in batch:
                read.append(message.value.decode())
                missing.discard(read[-1])
    await consumer.commit()
    await consumer.stop()
    return read


async def main():
    args = arguments()
    deadline = Deadline(args.timeout)
    admin = AIOKafkaAdminClient(bootstrap_servers=args.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(args.topic, num_partitions=3, replication_factor=3)])
    await admin.close()

    progress = Progress()
    producer = AIOKafkaProducer(bootstrap_servers=args.bootstrap, enable_idempotence=True, linger_ms=2)
    await producer.start()
    for begin in range(0, args.count, 50):
        numbers = range(begin, min(begin + 50, args.count))
        pending = [await producer.send(args.topic, key=key(i).encode(), value=value(i).encode()) for i in numbers]
        await asyncio.gather(*pending)
        for i in numbers:
            progress.add(value(i))

    read = await consume(args, deadline, progress.acked)
    extra = {value(args.count)}
    await producer.send_and_wait(args.topic, key=key(0).encode(), value=value(args.count).encode())
    await producer.stop()
    second = await consume(args, deadline, extra)
    verdict(progress.acked, read, set(second) - extra, idempotent=True)


if __name__ == "__main__":
    asyncio.run(main())

// The round trip with kafkajs (see ../README.md).
import {parseArgs} from 'node:util';
import kafkajs from 'kafkajs';

const {values: args} = parseArgs({options: {
  bootstrap: {type: 'string'}, topic: {type: 'string'}, group: {type: 'string'}, count: {type: 'string', default: '1000'},
}});
const count = Number(args.count);
const value = (i) => `value-${String(i).padStart(8, '0')}`;
const key = (i) => `key-${i % 17}`;

const kafka = new kafkajs.Kafka({
  clientId: 'naru-test', brokers: args.bootstrap.split(','), logLevel: kafkajs.logLevel.NOTHING,
  retry: {initialRetryTime: 100, retries: 20, maxRetryTime: 1000},
});

async function consume(wanted) {
  const consumer = kafka.consumer({groupId: args.group, sessionTimeout: 45000, heartbeatInterval: 1000});
  const read = [];
  const missing = new Set(wanted);
  const positions = new Map();  // where to go on, of each partition
  await consumer.connect();
  await consumer.subscribe({topic: args.topic, fromBeginning: true});
  await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`ran out of time, ${missing.size} messages missing`)), 90_000);
    consumer.run({
      autoCommit: false,
      eachMessage: async ({topic, partition, message}) => {
        const text = message.value.toString();
        read.push(text);
        missing.delete(text);
        positions.set(partition, {topic, partition, offset: String(Number(message.offset) + 1)});
        if (read.length % 100 !== 0 && missing.size !== 0) return;
        await consumer.commitOffsets([...positions.values()]);
        if (missing.size === 0) { clearTimeout(timer); resolve(); }
      },
    }).catch(reject);
  });
  await consumer.disconnect();
  return read;
}

const admin = kafka.admin();
await admin.connect();
await admin.createTopics({topics: [{topic: args.topic, numPartitions: 3, replicationFactor: 3}], waitForLeaders: true});
await admin.disconnect();

const producer = kafka.producer({idempotent: true, maxInFlightRequests: 1});
await producer.connect();
const acked = new Set();
for (let i = 0; i < count; i += 50) {
  // One partition in each send(). kafkajs 2.2.4 remembers within a send which brokers have answered; when a partition
  // moves to one of those while it is sent, its messages are never sent again and yet reported as sent
  // (src/producer/sendMessages.js, responsePerBroker). No broker can help that.
  const partition = (i / 50) % 3;
  const messages = [];
  for (let j = i; j < Math.min(i + 50, count); j++) messages.push({key: key(j), value: value(j), partition});
  await producer.send({topic: args.topic, acks: -1, messages});
  for (const m of messages) acked.add(m.value);
  if (acked.size % 100 === 0) console.log(`acked ${acked.size}`);
}
const read = await consume(acked);
await producer.send({topic: args.topic, acks: -1, messages: [{key: key(0), value: value(count)}]});
await producer.disconnect();
const second = await consume([value(count)]);

const lost = [...acked].filter((v) => !read.includes(v)).length;
const duplicated = read.length - new Set(read).size;
const reread = second.filter((v) => v !== value(count)).length;
console.log(JSON.stringify({acked: acked.size, lost, duplicated, reread}));
process.exit(lost === 0 && reread === 0 && duplicated === 0 ? 0 : 1);

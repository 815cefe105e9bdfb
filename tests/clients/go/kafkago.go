package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
)

// kafkaGo asks for the same versions whatever the broker announces: Metadata 1 and 6, FindCoordinator 0, JoinGroup 1,
// OffsetCommit 2, OffsetFetch 1, ListOffsets 1, Fetch up to 10, Produce up to 7. It has no idempotent producer.
type kafkaGo struct{}

func (kafkaGo) createTopic(o options) error {
	client := &kafka.Client{Addr: kafka.TCP(o.brokers...), Timeout: 30 * time.Second}
	response, err := client.CreateTopics(context.Background(), &kafka.CreateTopicsRequest{
		Topics: []kafka.TopicConfig{{Topic: o.topic, NumPartitions: 3, ReplicationFactor: 3}}})
	if err != nil {
		return err
	}
	return response.Errors[o.topic]
}

func (kafkaGo) produce(o options, values []string, acked func(string)) error {
	writer := &kafka.Writer{Addr: kafka.TCP(o.brokers...), Topic: o.topic, Balancer: &kafka.Hash{}, RequiredAcks: kafka.RequireAll,
		MaxAttempts: 100, BatchTimeout: 5 * time.Millisecond}
	defer writer.Close()
	for begin := 0; begin < len(values); begin += 50 {
		var messages []kafka.Message
		for i := begin; i < min(begin+50, len(values)); i++ {
			messages = append(messages, kafka.Message{Key: []byte(key(i)), Value: []byte(values[i])})
		}
		if err := writer.WriteMessages(context.Background(), messages...); err != nil {
			return err
		}
		for _, message := range messages {
			acked(string(message.Value))
		}
	}
	return nil
}

func (kafkaGo) consume(o options, wanted map[string]bool, deadline time.Time) ([]string, error) {
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: o.brokers, GroupID: o.group, Topic: o.topic, MinBytes: 1, MaxBytes: 1 << 20,
		MaxWait: 200 * time.Millisecond, StartOffset: kafka.FirstOffset, SessionTimeout: 6 * time.Second, HeartbeatInterval: time.Second})
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	missing := map[string]bool{}
	for v := range wanted {
		missing[v] = true
	}
	var read []string
	for len(missing) > 0 {
		message, err := reader.FetchMessage(ctx)
		if err != nil {
			return read, errors.Join(fmt.Errorf("%d messages missing: %w", len(missing), err), reader.Close())
		}
		read = append(read, string(message.Value))
		delete(missing, string(message.Value))
		if err := reader.CommitMessages(ctx, message); err != nil {
			return read, errors.Join(err, reader.Close())
		}
	}
	return read, reader.Close()
}

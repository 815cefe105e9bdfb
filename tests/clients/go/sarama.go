package main

import (
	"context"
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

// saramaClient picks versions by a release of Kafka, and with `negotiate` by what the broker announces as well.
type saramaClient struct {
	release   sarama.KafkaVersion
	negotiate bool
}

func (s saramaClient) config() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = s.release
	c.ApiVersionsRequest = s.negotiate
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Idempotent = s.negotiate
	c.Producer.Return.Successes = true
	c.Producer.Retry.Max = 50
	c.Net.MaxOpenRequests = 1
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Offsets.AutoCommit.Enable = false
	c.Consumer.Group.Session.Timeout = 6 * time.Second
	c.Consumer.Group.Heartbeat.Interval = time.Second
	return c
}

func (s saramaClient) createTopic(o options) error {
	admin, err := sarama.NewClusterAdmin(o.brokers, s.config())
	if err != nil {
		return err
	}
	defer admin.Close()
	return admin.CreateTopic(o.topic, &sarama.TopicDetail{NumPartitions: 3, ReplicationFactor: 3}, false)
}

func (s saramaClient) produce(o options, values []string, acked func(string)) error {
	producer, err := sarama.NewSyncProducer(o.brokers, s.config())
	if err != nil {
		return err
	}
	defer producer.Close()
	for begin := 0; begin < len(values); begin += 50 {
		var messages []*sarama.ProducerMessage
		for i := begin; i < min(begin+50, len(values)); i++ {
			messages = append(messages, &sarama.ProducerMessage{
				Topic: o.topic, Key: sarama.StringEncoder(key(i)), Value: sarama.StringEncoder(values[i])})
		}
		if err := producer.SendMessages(messages); err != nil {
			return err
		}
		for _, v := range values[begin:min(begin+50, len(values))] {
			acked(v)
		}
	}
	return nil
}

// reader is sarama's group handler: it ends its session once nothing is missing.
type reader struct {
	read  []string
	found chan string
}

func (r *reader) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (r *reader) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (r *reader) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			session.MarkMessage(message, "")
			select {
			case r.found <- string(message.Value):
			case <-session.Context().Done():
				return nil
			}
		case <-session.Context().Done():
			session.Commit()
			return nil
		}
	}
}

func (s saramaClient) consume(o options, wanted map[string]bool, deadline time.Time) ([]string, error) {
	group, err := sarama.NewConsumerGroup(o.brokers, o.group, s.config())
	if err != nil {
		return nil, err
	}
	defer group.Close()
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	r := &reader{found: make(chan string)}
	missing := map[string]bool{}
	for v := range wanted {
		missing[v] = true
	}
	collected := make(chan struct{})
	go func() {
		defer close(collected)
		for len(missing) > 0 {
			select {
			case v := <-r.found:
				r.read = append(r.read, v)
				delete(missing, v)
			case <-ctx.Done():
				return
			}
		}
		cancel()
	}()
	for ctx.Err() == nil {
		if err := group.Consume(ctx, []string{o.topic}, r); err != nil {
			return nil, err
		}
	}
	<-collected
	if len(missing) > 0 {
		return r.read, fmt.Errorf("ran out of time, %d messages missing", len(missing))
	}
	return r.read, nil
}

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

type franz struct{}

func (franz) createTopic(o options) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(o.brokers...))
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	answer, err := kadm.NewClient(client).CreateTopic(ctx, 3, 3, nil, o.topic)
	if err != nil {
		return err
	}
	return answer.Err
}

func (franz) produce(o options, values []string, acked func(string)) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(o.brokers...), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.DefaultProduceTopic(o.topic))
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	for begin := 0; begin < len(values); begin += 50 {
		var records []*kgo.Record
		for i := begin; i < min(begin+50, len(values)); i++ {
			records = append(records, &kgo.Record{Key: []byte(key(i)), Value: []byte(values[i])})
		}
		if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
			return err
		}
		for _, r := range records {
			acked(string(r.Value))
		}
	}
	return nil
}

func (franz) consume(o options, wanted map[string]bool, deadline time.Time) ([]string, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(o.brokers...), kgo.ConsumerGroup(o.group), kgo.ConsumeTopics(o.topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(), kgo.SessionTimeout(6*time.Second))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	missing := map[string]bool{}
	for v := range wanted {
		missing[v] = true
	}
	var read []string
	for len(missing) > 0 {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return read, fmt.Errorf("ran out of time, %d messages missing", len(missing))
		}
		fetches.EachRecord(func(r *kgo.Record) {
			read = append(read, string(r.Value))
			delete(missing, string(r.Value))
		})
	}
	return read, client.CommitUncommittedOffsets(ctx)
}

// The round trips with franz-go, sarama and kafka-go (see ../README.md): -client franz, sarama, sarama-1.0 or kafka-go.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/IBM/sarama"
)

type options struct {
	brokers      []string
	topic, group string
	count        int
}

// roundTrip is what each client implements.
type roundTrip interface {
	createTopic(o options) error
	// produce sends all values and calls acked for each that the brokers acknowledged.
	produce(o options, values []string, acked func(string)) error
	// consume reads as a member of the group until every wanted value was seen, commits, and leaves.
	consume(o options, wanted map[string]bool, deadline time.Time) ([]string, error)
}

func value(i int) string { return fmt.Sprintf("value-%08d", i) }
func key(i int) string   { return fmt.Sprintf("key-%d", i%17) }

func check(doing string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", doing, err)
		os.Exit(1)
	}
}

func setOf(values []string) map[string]bool {
	set := map[string]bool{}
	for _, v := range values {
		set[v] = true
	}
	return set
}

func main() {
	client := flag.String("client", "franz", "franz, sarama, sarama-1.0 or kafka-go")
	bootstrap := flag.String("bootstrap", "", "host:port,...")
	topic := flag.String("topic", "", "")
	group := flag.String("group", "", "")
	count := flag.Int("count", 1000, "")
	flag.Parse()
	o := options{strings.Split(*bootstrap, ","), *topic, *group, *count}
	// sarama-1.0 speaks the versions of Kafka 1.0, as sarama did for years where nobody told it more, and asks for no others.
	clients := map[string]roundTrip{"franz": franz{}, "sarama": saramaClient{sarama.V2_8_0_0, true},
		"sarama-1.0": saramaClient{sarama.V1_0_0_0, false}, "kafka-go": kafkaGo{}}
	mayRepeat := *client == "sarama-1.0" || *client == "kafka-go" // they are not idempotent
	c, known := clients[*client]
	if !known {
		check("choosing a client", fmt.Errorf("there is no %q", *client))
	}

	check("creating the topic", c.createTopic(o))
	var values []string
	for i := 0; i < o.count; i++ {
		values = append(values, value(i))
	}
	acked := map[string]bool{}
	check("producing", c.produce(o, values, func(v string) {
		acked[v] = true
		if len(acked)%100 == 0 {
			fmt.Printf("acked %d\n", len(acked))
		}
	}))
	deadline := time.Now().Add(90 * time.Second)
	read, err := c.consume(o, acked, deadline)
	check("consuming", err)
	extra := []string{value(o.count)}
	check("producing once more", c.produce(o, extra, func(string) {}))
	second, err := c.consume(o, setOf(extra), deadline)
	check("consuming again", err)

	seen := setOf(read)
	result := map[string]int{"acked": len(acked), "lost": 0, "duplicated": len(read) - len(seen), "reread": len(second) - 1}
	for v := range acked {
		if !seen[v] {
			result["lost"]++
		}
	}
	line, err := json.Marshal(result)
	check("printing", err)
	fmt.Println(string(line))
	if result["lost"] != 0 || (result["duplicated"] != 0 && !mayRepeat) || result["reread"] != 0 {
		os.Exit(1)
	}
}

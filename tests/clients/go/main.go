// The round trips with franz-go and sarama (see ../README.md): -client franz or -client sarama.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
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
	client := flag.String("client", "franz", "franz or sarama")
	bootstrap := flag.String("bootstrap", "", "host:port,...")
	topic := flag.String("topic", "", "")
	group := flag.String("group", "", "")
	count := flag.Int("count", 1000, "")
	flag.Parse()
	o := options{strings.Split(*bootstrap, ","), *topic, *group, *count}
	clients := map[string]roundTrip{"franz": franz{}, "sarama": saramaClient{}}
	c, known := clients[*client]
	if !known {
		check("choosing a client", fmt.Errorf("%q is neither franz nor sarama", *client))
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
	if result["lost"] != 0 || result["duplicated"] != 0 || result["reread"] != 0 {
		os.Exit(1)
	}
}

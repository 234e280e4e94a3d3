package redlock_test

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redlock-go/redlock/redlock"
)

func ExampleNew() {
	m, err := redlock.New(redlock.Config{
		Nodes: []redlock.Node{
			redlock.Addr("10.0.0.1", 6379),
			{Host: "10.0.0.2", Port: 6380, DB: 1, Username: "locker", Password: "secret", TLS: true},
			{Sentinels: []string{"10.0.0.3:26379", "10.0.0.4:26379"}, Master: "locks"},
		},
		TTL:       30 * time.Second,
		KeyPrefix: "lock:",
	})
	fmt.Println(m, err)
	// Output: redlock.Manager{10.0.0.1:6379, 10.0.0.2:6380/1, sentinel:locks} <nil>
}

func ExampleConfig_UnmarshalJSON() {
	// Here: the file's content.
	file := []byte(`{"nodes": ["redis://10.0.0.1", ["10.0.0.2", 6379]], "ttl": "30s"}`)

	var cfg redlock.Config
	if err := json.Unmarshal(file, &cfg); err != nil {
		log.Fatal(err) // it names the setting: nodes[1].port
	}
	m, err := redlock.New(cfg)
	fmt.Println(m, err)
	// Output: redlock.Manager{10.0.0.1:6379, 10.0.0.2:6379} <nil>
}

func ExampleParseNodes() {
	// Here: what the service's environment has.
	_ = os.Setenv("REDLOCK_NODES", "redis://:secret@10.0.0.1,redis://10.0.0.2:6380/1,unix:///run/redis.sock")

	nodes, err := redlock.ParseNodes(os.Getenv("REDLOCK_NODES"))
	if err != nil {
		log.Fatal(err)
	}
	m, err := redlock.New(redlock.Config{Nodes: nodes})
	fmt.Println(m, err)
	// Output: redlock.Manager{10.0.0.1:6379, 10.0.0.2:6380/1, unix:/run/redis.sock} <nil>
}

func ExampleParseNode() {
	node, err := redlock.ParseNode("rediss://locker:secret@10.0.0.1/2")
	fmt.Println(node, node.TLS, err) // printing a node never shows its password
	// Output: 10.0.0.1:6379/2 true <nil>
}

func ExampleAddr() {
	fmt.Println(redlock.Addr("10.0.0.1", 6379))
	// Output: 10.0.0.1:6379
}

func ExampleClient() {
	client := redis.NewClient(&redis.Options{Addr: "10.0.0.1:6379"}) // stays yours: you close it
	m, err := redlock.New(redlock.Config{Nodes: []redlock.Node{redlock.Client(client)}})
	fmt.Println(m, err)
	// Output: redlock.Manager{10.0.0.1:6379} <nil>
}

package redlock_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/hashicorp/go-multierror"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/redlocktest"
)

// withoutNodes gives a quorum of three nodes in memory of which some have
// stopped.
func withoutNodes(stopped ...int) *redlocktest.Quorum {
	q, err := redlocktest.Start(3)
	if err != nil {
		log.Fatal(err)
	}
	for _, i := range stopped {
		q.StopNode(i)
	}
	return q
}

func ExampleQuorumError() {
	// Here: three nodes in memory, two of which have stopped.
	q := withoutNodes(1, 2)
	defer q.Close()
	m := q.Manager

	_, err := m.TryLock(ctx, "report")
	var votes *redlock.QuorumError
	if errors.As(err, &votes) {
		fmt.Printf("%s %q: %d of %d nodes failed\n", votes.Op, votes.Resource, votes.Failed, votes.Total)
	}
	// Output: lock "report": 2 of 3 nodes failed
}

func ExampleNodeError() {
	// Here: three nodes in memory, two of which have stopped.
	q := withoutNodes(1, 2)
	defer q.Close()
	m := q.Manager

	_, err := m.TryLock(ctx, "report")
	var nodes *multierror.Error
	if errors.As(err, &nodes) {
		for _, err := range nodes.Errors {
			var node *redlock.NodeError
			fmt.Println(errors.As(err, &node)) // node.Node is its name, node.Err what happened
		}
	}
	// Output:
	// true
	// true
}

func ExampleConfigError() {
	_, err := redlock.Open("redis://10.0.0.1", "redis://10.0.0.2:port")
	var config *redlock.ConfigError
	if errors.As(err, &config) {
		fmt.Println(config.Field)
	}
	fmt.Println(err)
	// Output:
	// nodes[1].port
	// redlock: nodes[1].port: expected a whole number, got other text
}

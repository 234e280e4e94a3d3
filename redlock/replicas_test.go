package redlock

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestAConnectionThatEndsBeforeItsReplicasConfirmEndsTheWaitForThem(t *testing.T) {
	bubble(t, 3, Config{}, func(t *testing.T, r *rig) {
		cfg := Config{NodeTimeout: 800 * time.Millisecond}
		for i, node := range r.nodes {
			node.SetReplicas(1, 500*time.Millisecond)
			n := Addr(fmt.Sprintf("10.0.0.%d", i+1), 6379)
			n.Replicas = 1
			cfg.Nodes = append(cfg.Nodes, n)
		}
		m := r.manager(cfg)
		if err := m.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(100*time.Millisecond, func() {
			for _, node := range r.nodes {
				node.KillClients()
			}
		})
		start := time.Now()
		if _, err := m.TryLock(t.Context(), "a"); !errors.Is(err, ErrNoQuorum) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took != 100*time.Millisecond {
			t.Errorf("it took %v", took)
		}
	})
}

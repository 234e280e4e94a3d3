package integration

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-multierror"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

// wantMisconfigured fails unless call soon has no quorum, with an error that unwraps
// to the ConfigErrors of exactly these nodes: a first connection may take too long
// on a busy machine.
func wantMisconfigured(t *testing.T, call func() error, nodes ...string) {
	t.Helper()
	eventually(t, 10*time.Second, func() error { return checkMisconfigured(call(), nodes) })
}

func checkMisconfigured(err error, nodes []string) error {
	var quorum *redlock.QuorumError
	var all *multierror.Error
	if !errors.Is(err, redlock.ErrNoQuorum) || !errors.As(err, &quorum) || !errors.As(err, &all) {
		return fmt.Errorf("got %w, want no quorum", err)
	}
	if quorum.Failed < 2 {
		return fmt.Errorf("%d nodes have failed", quorum.Failed)
	}
	var fields []string
	for _, failure := range all.Errors {
		if config, ok := errors.AsType[*redlock.ConfigError](failure); ok {
			fields = append(fields, config.Field)
		}
	}
	misplaced := func(field string) bool { return !strings.HasPrefix(field, "nodes[") }
	if !slices.Equal(fields, nodes) || slices.ContainsFunc(fields, misplaced) {
		return fmt.Errorf("the ConfigErrors are of %q, want %q: %w", fields, nodes, err)
	}
	if _, ok := errors.AsType[*redlock.ConfigError](err); !ok {
		return fmt.Errorf("got %w, want it to unwrap to a ConfigError", err)
	}
	return nil
}

func TestAMajorityWithAWrongPasswordIsNoQuorumThatUnwrapsToTheNodesConfigErrors(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		for _, i := range []int{0, 2} { // of the default user any password is right
			q.Nodes[i].Username, q.Nodes[i].Password = "nobody", "wrong"
		}
		m := q.New(t, redlock.Config{})
		try := func() error { _, err := m.TryLock(t.Context(), q.Resource(t)); return err }
		wantMisconfigured(t, try, "nodes[0].password", "nodes[2].password")
		lock := func() error { _, err := m.Lock(t.Context(), q.Resource(t)); return err }
		wantMisconfigured(t, lock, "nodes[0].password", "nodes[2].password")
	})
}

func TestAMajorityThatRefusesTheCommandIsNoQuorumThatUnwrapsToTheNodesConfigErrors(t *testing.T) {
	users := servers.Options{Users: []string{
		"locker on >pw ~* &* +@all",
		"reader on >pw ~* &* +@all -set",
	}}
	rowsWith(t, 3, users, func(t *testing.T, q *Quorum) {
		for i, user := range []string{"locker", "reader", "reader"} {
			q.Nodes[i].Username, q.Nodes[i].Password = user, "pw"
		}
		m := q.New(t, redlock.Config{})
		try := func() error { _, err := m.TryLock(t.Context(), q.Resource(t)); return err }
		wantMisconfigured(t, try, "nodes[1]", "nodes[2]")
		byScript := func() error { _, err := m.TryLock(t.Context(), q.Resource(t), redlock.WithToken("given")); return err }
		wantMisconfigured(t, byScript, "nodes[1]", "nodes[2]")
	})
}

func TestAMajorityOfReplicasIsNoQuorumThatUnwrapsToTheNodesConfigErrors(t *testing.T) {
	rowsWith(t, 3, servers.Options{}, func(t *testing.T, q *Quorum) {
		master := q.Servers[0]
		for _, s := range q.Servers[1:] {
			err := s.Client.ReplicaOf(t.Context(), "127.0.0.1", strings.Split(master.Addr, ":")[1]).Err()
			if err != nil {
				t.Fatal(err)
			}
		}
		m := q.New(t, redlock.Config{})
		try := func() error { _, err := m.TryLock(t.Context(), q.Resource(t)); return err }
		wantMisconfigured(t, try, "nodes[1]", "nodes[2]")
	})
}

package integration

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-multierror"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

// wantMisconfigured fails unless err has no quorum and unwraps to the
// ConfigErrors of exactly these nodes.
func wantMisconfigured(t *testing.T, err error, nodes ...string) {
	t.Helper()
	wantMatch(t, err, redlock.ErrNoQuorum)
	var quorum *redlock.QuorumError
	var all *multierror.Error
	if !errors.As(err, &quorum) || !errors.As(err, &all) {
		t.Fatalf("got %v", err)
	}
	if quorum.Failed < 2 {
		t.Errorf("%d nodes have failed", quorum.Failed)
	}
	var fields []string
	for _, failure := range all.Errors {
		var config *redlock.ConfigError
		if errors.As(failure, &config) {
			fields = append(fields, config.Field)
		}
	}
	misplaced := func(field string) bool { return !strings.HasPrefix(field, "nodes[") }
	if !slices.Equal(fields, nodes) || slices.ContainsFunc(fields, misplaced) {
		t.Errorf("the ConfigErrors are of %q, want %q: %v", fields, nodes, err)
	}
	if first := new(redlock.ConfigError); !errors.As(err, &first) {
		t.Errorf("got %v, want it to unwrap to a ConfigError", err)
	}
}

func TestAMajorityWithAWrongPasswordIsNoQuorumThatUnwrapsToTheNodesConfigErrors(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		for _, i := range []int{0, 2} { // of the default user any password is right
			q.Nodes[i].Username, q.Nodes[i].Password = "nobody", "wrong"
		}
		m := q.New(t, redlock.Config{})
		_, err := m.TryLock(t.Context(), q.Resource(t))
		wantMisconfigured(t, err, "nodes[0].password", "nodes[2].password")
		_, err = m.Lock(t.Context(), q.Resource(t))
		wantMisconfigured(t, err, "nodes[0].password", "nodes[2].password")
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
		_, err := m.TryLock(t.Context(), q.Resource(t))
		wantMisconfigured(t, err, "nodes[1]", "nodes[2]")
		_, err = m.TryLock(t.Context(), q.Resource(t), redlock.WithToken("given")) // by a script
		wantMisconfigured(t, err, "nodes[1]", "nodes[2]")
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
		_, err := q.New(t, redlock.Config{}).TryLock(t.Context(), q.Resource(t))
		wantMisconfigured(t, err, "nodes[1]", "nodes[2]")
	})
}

package integration

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/proxy"
	"github.com/redlock-go/redlock/test/servers"
)

// refusals are servers that will not heal by themselves.
var refusals = []struct {
	name    string
	options servers.Options
	node    func(n *redlock.Node) // how the node is configured; nil: as its server is
	field   string                // behind the node's place
	words   string
}{
	{"no password", servers.Options{Password: "right-secret"}, nil, ".password", "NOAUTH"},
	{
		"wrong password", servers.Options{Password: "right-secret"},
		func(n *redlock.Node) { n.Password = "wrong-secret" }, ".password", "WRONGPASS",
	},
	{
		"unknown user", servers.Options{},
		func(n *redlock.Node) { n.Username, n.Password = "nobody", "wrong-secret" }, ".password", "WRONGPASS",
	},
	{"unknown database", servers.Options{}, func(n *redlock.Node) { n.DB = 99 }, ".db", "database 99"},
	{"cluster", servers.Options{Config: []string{"cluster-enabled yes"}}, nil, "", "cluster mode"},
	{
		"writable replica", servers.Options{Config: []string{"replicaof 127.0.0.1 1", "replica-read-only no"}}, nil,
		"", "is a replica",
	},
	{
		"renamed scripts", servers.Options{Config: []string{`rename-command EVAL ""`, `rename-command EVALSHA ""`}}, nil,
		"", "unknown command",
	},
}

func TestAServerThatMustNotOrCannotVoteIsNamedWithTheSettingThatIsWrong(t *testing.T) {
	t.Parallel()
	for _, refused := range refusals {
		t.Run(refused.name, func(t *testing.T) {
			onBadServers(t, refused.options, func(t *testing.T, few, most *Quorum) {
				if refused.node != nil {
					refused.node(&few.Nodes[0])
					refused.node(&most.Nodes[0])
					refused.node(&most.Nodes[1])
				}
				cfg := redlock.Config{TTL: 5 * time.Second} // what a server cannot delete goes by itself
				m := few.New(t, cfg)
				wantAllWorks(t, m, mustTry(t, m, few.Resource(t)), 10*time.Second)

				err := tryAndUnlock(t, most.New(t, cfg), most.Resource(t))
				wantNoRefusedQuorum(t, err, most, refused.field, refused.words)
				if strings.Contains(err.Error(), "-secret") {
					t.Errorf("a password shows in %v", err)
				}
			})
		})
	}
}

// wantNoRefusedQuorum fails the test unless the first two nodes are refused for
// good, each with the setting that is wrong.
func wantNoRefusedQuorum(t *testing.T, err error, q *Quorum, field, words string) {
	t.Helper()
	var all *redlock.QuorumError
	if !errors.Is(err, redlock.ErrNoQuorum) || !errors.As(err, &all) {
		t.Fatalf("got %v, want ErrNoQuorum", err)
	}
	nodes := nodeErrors(err)
	if len(nodes) != 2 {
		t.Fatalf("%d nodes are named in %v", len(nodes), err)
	}
	for i, node := range nodes {
		var config *redlock.ConfigError
		if !errors.As(node, &config) {
			t.Errorf("%v is no *ConfigError", node)
			continue
		}
		place := []string{"nodes[0]", "nodes[1]"}[i]
		if config.Field != place+field || !strings.Contains(config.Msg, words) ||
			!strings.Contains(config.Msg, q.Servers[i].Addr) {
			t.Errorf("%v: want %s, %q and %s", config, place+field, words, q.Servers[i].Addr)
		}
	}
}

func TestNodesThatAreOneServerHaveOneVote(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		twice := func(i int) {
			q.Nodes[i] = redlock.Addr("127.0.0.1", proxy.Start(t, q.Servers[0].Addr).Port)
		}
		twice(1)
		m := q.New(t, redlock.Config{})
		lock := mustTry(t, m, q.Resource(t))
		var config *redlock.ConfigError
		if err := m.Ping(t.Context()); !errors.As(err, &config) || !namesBoth(config.Msg, q.Nodes[0], q.Nodes[1]) {
			t.Errorf("got %v, want an error that names both nodes", err)
		}
		mustUnlock(t, lock)

		twice(2)
		_, err := q.New(t, redlock.Config{}).TryLock(t.Context(), q.Resource(t))
		if !errors.Is(err, redlock.ErrNoQuorum) || len(nodeErrors(err)) != 2 {
			t.Errorf("got %v, want ErrNoQuorum of two nodes", err)
		}
		wantEachToSay(t, err, "are one server")
	})
}

func namesBoth(text string, nodes ...redlock.Node) bool {
	for _, node := range nodes {
		if !strings.Contains(text, node.String()) {
			return false
		}
	}
	return true
}

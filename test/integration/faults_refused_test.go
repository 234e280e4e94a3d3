package integration

import (
	"errors"
	"fmt"
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

				all := most.New(t, cfg)
				eventually(t, 10*time.Second, func() error { // a connection may take too long on a busy machine
					err := tryAndUnlock(t, all, most.Resource(t))
					if strings.Contains(fmt.Sprint(err), "-secret") {
						t.Errorf("a password shows in %v", err)
					}
					return checkRefusedQuorum(err, most, refused.field, refused.words)
				})
			})
		})
	}
}

// checkRefusedQuorum wants the first two nodes to be refused for good, each with the
// setting that is wrong.
func checkRefusedQuorum(err error, q *Quorum, field, words string) error {
	var all *redlock.QuorumError
	if !errors.Is(err, redlock.ErrNoQuorum) || !errors.As(err, &all) {
		return fmt.Errorf("got %w, want ErrNoQuorum", err)
	}
	nodes := nodeErrors(err)
	if len(nodes) != 2 {
		return fmt.Errorf("%d nodes are named in %w", len(nodes), err)
	}
	for i, node := range nodes {
		place := []string{"nodes[0]", "nodes[1]"}[i]
		if err := checkSetting(node, place+field, words); err != nil {
			return err
		}
		config, _ := errors.AsType[*redlock.ConfigError](node)
		if addr := q.Servers[i].Addr; !strings.Contains(config.Msg, addr) {
			return fmt.Errorf("%w does not name %s", config, addr)
		}
	}
	return nil
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

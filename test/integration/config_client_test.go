package integration

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

// usersClients makes a client of the user's for each server, as go-redis makes it
// by default.
func usersClients(t *testing.T, q *Quorum) []redis.UniversalClient {
	t.Helper()
	clients := make([]redis.UniversalClient, len(q.Servers))
	for i, s := range q.Servers {
		clients[i] = redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{s.Addr}})
		t.Cleanup(func() { _ = clients[i].Close() })
	}
	return clients
}

func TestAnExistingClientIsANodeAndIsNotClosed(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		clients := usersClients(t, q)
		asAny := make([]any, len(clients))
		asNodes := make([]redlock.Node, len(clients))
		for i, client := range clients {
			asAny[i], asNodes[i] = client, redlock.Client(client)
		}
		parsed, err := redlock.ParseNodes(asAny)
		if err != nil {
			t.Fatal(err)
		}
		for _, nodes := range [][]redlock.Node{asNodes, parsed} {
			m := q.New(t, redlock.Config{Nodes: nodes})
			lock, err := m.TryLock(t.Context(), q.Resource(t))
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			q.WantFree(t, lock.Resource(), 0)
			nodesLock(t, q, nodes) // which closes another manager of them
		}
		for i, client := range clients {
			if err := client.Ping(t.Context()).Err(); err != nil {
				t.Errorf("client %d was closed: %v", i, err)
			}
		}
	})
}

func TestAnExistingFailoverClientIsANode(t *testing.T) {
	t.Parallel()
	rowsBehindSentinel(t, threeMasters, func(t *testing.T, q *Quorum, s *servers.Sentinels) {
		nodes := make([]redlock.Node, len(leaders))
		for i, master := range leaders {
			client := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: master, SentinelAddrs: s.Addrs()})
			t.Cleanup(func() { _ = client.Close() })
			nodes[i] = redlock.Client(client)
		}
		nodesLock(t, q, nodes)
	})
}

func TestAnExistingClientBringsItsDatabaseAndItsLogin(t *testing.T) {
	options := servers.Options{Users: []string{"locker on >lockers ~* &* +@all"}}
	rowsWith(t, 3, options, func(t *testing.T, q *Quorum) {
		var good, bad []redlock.Node
		for _, s := range q.Servers {
			for password, nodes := range map[string]*[]redlock.Node{"lockers": &good, "wr0ng": &bad} {
				client := redis.NewClient(&redis.Options{Addr: s.Addr, DB: 3, Username: "locker", Password: password})
				t.Cleanup(func() { _ = client.Close() })
				*nodes = append(*nodes, redlock.Client(client))
			}
		}
		nodesLock(t, q.inDatabase(t, 3), good)
		refusesNodes(t, q, bad, "nodes[i].password", "refuses the user name or password")
	})
}

func TestAClientOfManyServersOrOfNoneIsRefusedWithAReason(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		address := []string{q.Servers[0].Addr}
		cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: address})
		ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": address[0]}})
		universal := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{address[0], q.Servers[1].Addr}})
		for _, client := range []redis.UniversalClient{cluster, ring, universal} {
			defer client.Close()
		}
		for name, row := range map[string]struct {
			client redis.UniversalClient
			words  string
		}{
			"Cluster":   {cluster, "a node is one server"},
			"Ring":      {ring, "a node is one server"},
			"universal": {universal, "a node is one server"},
			"nil":       {nil, "nil client"},
			"typed nil": {(*redis.Client)(nil), "nil client"},
		} {
			nodes := append(q.Nodes[:1:1], redlock.Client(row.client), q.Nodes[2])
			_, err := redlock.New(redlock.Config{Nodes: nodes})
			settingIsBad(t, name, err, "nodes[1]", row.words)
		}
		both := redlock.Client(usersClients(t, q)[0])
		both.Password = "hush"
		_, err := redlock.New(redlock.Config{Nodes: []redlock.Node{both}})
		settingIsBad(t, "a client and a password", err, "nodes[0]", "brings its own")
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("%v shows the password", err)
		}
	})
}

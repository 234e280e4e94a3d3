package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

// leaders are the names of three masters.
var leaders = []string{"a", "b", "c"}

// threeMasters are Sentinels of these masters and nothing else.
var threeMasters = servers.SentinelOptions{Masters: leaders}

// quicklyReplaced are masters that are replaced soon once they are silent.
var quicklyReplaced = servers.SentinelOptions{Masters: leaders, DownAfter: 500 * time.Millisecond}

// sentinelForm writes the node whose master has a name, in front of Sentinels.
type sentinelForm func(s []*servers.Server, master string) any

// eachSentinelFormLocks is eachFormLocks for nodes behind Sentinel.
func eachSentinelFormLocks(t *testing.T, q *Quorum, s *servers.Sentinels, forms map[string]sentinelForm) {
	t.Helper()
	for name, form := range forms {
		entries := make([]any, len(leaders))
		for i, master := range leaders {
			entries[i] = form(s.Servers, master)
		}
		entriesLock(t, name, q, entries)
	}
}

// hosts are the addresses of Sentinels as a URI has them.
func hosts(s []*servers.Server) string {
	addrs := make([]string, len(s))
	for i := range s {
		addrs[i] = s[i].Addr
	}
	return strings.Join(addrs, ",")
}

func TestSentinelCanBeWrittenInEveryForm(t *testing.T) {
	t.Parallel()
	rowsBehindSentinel(t, threeMasters, func(t *testing.T, q *Quorum, s *servers.Sentinels) {
		eachSentinelFormLocks(t, q, s, map[string]sentinelForm{
			"URI": func(s []*servers.Server, master string) any { return "redis://" + s[0].Addr + "/0?master=" + master },
			"URI with three hosts": func(s []*servers.Server, master string) any {
				return "redis://" + hosts(s) + "?master=" + master
			},
			"mapping of a host": func(s []*servers.Server, master string) any {
				return mapping{"host": "127.0.0.1", "port": s[1].Port, "master": master}
			},
			"mapping of addresses": func(s []*servers.Server, master string) any {
				return mapping{"sentinels": []any{s[0].Addr, s[1].Addr, s[2].Addr}, "master": master}
			},
			"mapping of pairs": func(s []*servers.Server, master string) any {
				return mapping{"sentinels": []any{[]any{"127.0.0.1", s[0].Port}, []any{"localhost", s[1].Port}}, "master": master}
			},
			"mapping of both": func(s []*servers.Server, master string) any {
				return mapping{"sentinels": []any{[]any{"127.0.0.1", s[0].Port}, s[2].Addr}, "master": master}
			},
			"mapping of one pair": func(s []*servers.Server, master string) any {
				return mapping{"sentinels": []any{"127.0.0.1", s[2].Port}, "master": master}
			},
			"mapping with replicas": func(s []*servers.Server, master string) any {
				return mapping{"sentinels": []any{s[0].Addr}, "master": master, "replicas": 1}
			},
		})
		nodesLock(t, q, q.Nodes)
		t.Run("mixed with others", func(t *testing.T) {
			entriesLock(t, "file", q, []any{
				mapping{"host": "127.0.0.1", "port": s.Servers[0].Port, "master": "a"},
				"redis://" + q.Servers[1].Addr, []any{"127.0.0.1", q.Servers[2].Port},
			})
			entriesLock(t, "text", q, []any{
				"redis://" + hosts(s.Servers) + "?master=a", "redis://" + q.Servers[1].Addr,
				"redis://" + hosts(s.Servers) + "/0?master=c",
			})
		})
		wrongSentinels(t, q, s)
	})
}

// wrongSentinels wants settings of Sentinel that lead nowhere to be named.
func wrongSentinels(t *testing.T, q *Quorum, s *servers.Sentinels) {
	t.Helper()
	address := s.Servers[0].Addr
	for entry, want := range map[string]struct{ field, words string }{
		"redis://" + hosts(s.Servers):             {"nodes[0].master", "name of the master"},
		"redis://" + address + "?master=":         {"nodes[0].master", "empty"},
		"redis://" + address + "?sentinel_tls=1":  {"nodes[0].sentinel_tls", "Sentinels"},
		"redis://" + address + "?master_name=a":   {"nodes[0].master_name", "master"},
		address + "," + address + "?master=a":     {"nodes[1].port", "whole number"},
		"redis://" + address + ",x:0/0?master=a":  {"nodes[0].sentinels[1]", "host:port"},
		"redis://" + address + "?sentinel_user=a": {"nodes[0].sentinel_user", "not known"},
	} {
		_, err := redlock.ParseNodes(entry)
		settingIsBad(t, entry, err, want.field, want.words)
	}
	_, err := redlock.ParseNodes([]any{mapping{"sentinels": []any{address}}})
	settingIsBad(t, "no master", err, "nodes[0].master", "name of the master")

	alone := []string{"redis://" + s.Servers[0].Addr + "/0", s.Servers[1].Addr, "redis://" + s.Servers[2].Addr}
	nodes, err := redlock.ParseNodes(alone)
	if err != nil {
		t.Fatal(err)
	}
	refusesNodes(t, q, nodes, "nodes[i]", "sentinel")

	unknown := q.Nodes[:0:0]
	for i, name := range []string{"x", "y", "z"} {
		node := q.Nodes[i]
		node.Master = name
		unknown = append(unknown, node)
	}
	refusesNodes(t, q, unknown, "nodes[i].master", "does not know it")
}

func TestASentinelsPortDefaultsTo26379(t *testing.T) {
	rows(t, func(t *testing.T, _ *Quorum) {
		for form, entry := range map[string]any{
			"URI":                  "redis://h?master=m",
			"mapping":              mapping{"host": "h", "master": "m"},
			"mapping of addresses": mapping{"sentinels": []any{"h"}, "master": "m"},
		} {
			nodes, err := redlock.ParseNodes([]any{entry})
			if err != nil {
				t.Errorf("%s: %v", form, err)
			} else if got := fmt.Sprint(nodes[0].Sentinels); got != "[h:26379]" {
				t.Errorf("%s: asks %s", form, got)
			}
		}
	})
}

func TestMasterAndSentinelHavePasswordsOfTheirOwn(t *testing.T) {
	t.Parallel()
	options := servers.SentinelOptions{
		Masters: leaders, Password: "sentinels", Master: servers.Options{Password: awkward},
	}
	rowsBehindSentinel(t, options, func(t *testing.T, q *Quorum, s *servers.Sentinels) {
		eachSentinelFormLocks(t, q.inDatabase(t, 5), s, map[string]sentinelForm{
			"URI": func(s []*servers.Server, master string) any {
				return "redis://:" + escaped(awkward) + "@" + hosts(s) + "/5?sentinel_password=sentinels&master=" + master
			},
			"URI's query": func(s []*servers.Server, master string) any {
				return "redis://" + s[0].Addr + "?db=5&password=" + escaped(awkward) +
					"&master=" + master + "&sentinel_password=sentinels"
			},
			"mapping": func(s []*servers.Server, master string) any {
				return mapping{"host": "127.0.0.1", "port": s[0].Port, "master": master, "db": 5,
					"password": awkward, "sentinel_password": "sentinels"}
			},
		})
		for field, change := range map[string]func(n *redlock.Node){
			"nodes[i].sentinel_password": func(n *redlock.Node) { n.Password = awkward },
			"nodes[i].password":          func(n *redlock.Node) { n.SentinelPassword = "sentinels" },
		} {
			nodes := q.Nodes[:0:0]
			for _, node := range q.Nodes {
				change(&node)
				nodes = append(nodes, node)
			}
			refusesNodes(t, q, nodes, field, "refuses the user name or password")
		}
	})
}

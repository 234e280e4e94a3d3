package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

// awkward is a password with everything in it that means something in a URI.
const awkward = "p@s:s/w?r&d=1,2%41#+;"

func TestAPasswordIsSentInEveryForm(t *testing.T) {
	options := servers.Options{Password: awkward, Socket: true}
	rowsWith(t, 3, options, func(t *testing.T, q *Quorum) {
		eachFormLocks(t, q, map[string]nodeForm{
			"URI":           func(s *servers.Server) any { return "redis://:" + escaped(awkward) + "@" + s.Addr },
			"URI's query":   func(s *servers.Server) any { return "redis://" + s.Addr + "?password=" + escaped(awkward) },
			"socket's URI":  func(s *servers.Server) any { return "unix://:" + escaped(awkward) + "@" + s.Socket },
			"socket, query": func(s *servers.Server) any { return "unix://" + s.Socket + "?password=" + escaped(awkward) },
			"mapping": func(s *servers.Server) any {
				return mapping{"host": "127.0.0.1", "port": s.Port, "password": awkward}
			},
			"socket's mapping": func(s *servers.Server) any { return mapping{"socket": s.Socket, "password": awkward} },
		})
		nodes := q.plainNodes()
		for i := range nodes {
			nodes[i].Password = awkward
		}
		nodesLock(t, q, nodes)
	})
}

// plainNodes are the servers' addresses.
func (q *Quorum) plainNodes() []redlock.Node {
	nodes := make([]redlock.Node, len(q.Servers))
	for i, s := range q.Servers {
		nodes[i] = redlock.Addr("127.0.0.1", s.Port)
	}
	return nodes
}

func TestAUserNameIsSentInEveryForm(t *testing.T) {
	options := servers.Options{Socket: true, Users: []string{"lock@er on >" + awkward + " ~* &* +@all"}}
	login := "lock%40er:" + escaped(awkward)
	query := "username=lock%40er&password=" + escaped(awkward)
	rowsWith(t, 3, options, func(t *testing.T, q *Quorum) {
		eachFormLocks(t, q, map[string]nodeForm{
			"URI":         func(s *servers.Server) any { return "redis://" + login + "@" + s.Addr },
			"URI's query": func(s *servers.Server) any { return "redis://" + s.Addr + "?" + query },
			"URI, both": func(s *servers.Server) any {
				return "redis://lock%40er@" + s.Addr + "?password=" + escaped(awkward)
			},
			"socket's URI": func(s *servers.Server) any { return "unix://" + login + "@" + s.Socket },
			"mapping": func(s *servers.Server) any {
				return mapping{"host": "127.0.0.1", "port": s.Port, "username": "lock@er", "password": awkward}
			},
		})
		nodes := q.plainNodes()
		for i := range nodes {
			nodes[i].Username, nodes[i].Password = "lock@er", awkward
		}
		nodesLock(t, q, nodes)
	})
}

func TestAUserWithoutAPasswordLogsInInEveryForm(t *testing.T) {
	options := servers.Options{Users: []string{"open on nopass ~* &* +@all"}}
	rowsWith(t, 3, options, func(t *testing.T, q *Quorum) {
		eachFormLocks(t, q, map[string]nodeForm{
			"URI":         func(s *servers.Server) any { return "redis://open@" + s.Addr },
			"URI's query": func(s *servers.Server) any { return "redis://" + s.Addr + "?username=open" },
			"mapping": func(s *servers.Server) any {
				return mapping{"host": "127.0.0.1", "port": s.Port, "username": "open"}
			},
		})
		named, asked := q.plainNodes(), q.plainNodes()
		for i := range named {
			named[i].Username = "open"
			asked[i].Credentials = func(context.Context) (string, string, error) { return "open", "", nil }
		}
		nodesLock(t, q, named)
		nodesLock(t, q, asked)
	})
}

func TestTheKeyIsInTheNodesDatabase(t *testing.T) {
	rowsWith(t, 3, servers.Options{Socket: true}, func(t *testing.T, q *Quorum) {
		third := q.inDatabase(t, 3)
		eachFormLocks(t, third, map[string]nodeForm{
			"URI's path":   func(s *servers.Server) any { return "redis://" + s.Addr + "/3" },
			"URI's query":  func(s *servers.Server) any { return "redis://" + s.Addr + "?db=3" },
			"socket's URI": func(s *servers.Server) any { return "unix://" + s.Socket + "?db=3" },
			"mapping":      func(s *servers.Server) any { return mapping{"host": "127.0.0.1", "port": s.Port, "db": 3} },
		})
		nodes := q.plainNodes()
		for i := range nodes {
			nodes[i].DB = 3
		}
		nodesLock(t, third, nodes)

		m := q.New(t, redlock.Config{Nodes: nodes})
		lock, err := m.TryLock(t.Context(), q.Resource(t))
		if err != nil {
			t.Fatal(err)
		}
		third.WantEverywhere(t, lock.Resource(), lock.Token(), 5*time.Second)
		q.WantFree(t, lock.Resource(), 0)
		if want := fmt.Sprintf("%s/3", q.Servers[0].Addr); !strings.Contains(fmt.Sprint(m), want) {
			t.Errorf("%v does not name %s", m, want)
		}
	})
}

func TestAConnectionHasTheNameThatItsNodeAsksFor(t *testing.T) {
	rowsWith(t, 3, servers.Options{}, func(t *testing.T, q *Quorum) {
		for form, entries := range map[string][]any{
			"URI":     {"redis://" + q.Servers[0].Addr + "?client_name=billing-uri"},
			"mapping": {mapping{"host": "127.0.0.1", "port": q.Servers[0].Port, "client_name": "billing-mapping"}},
		} {
			nodes, err := redlock.ParseNodes(entries)
			if err != nil {
				t.Fatal(err)
			}
			if err := q.New(t, redlock.Config{Nodes: nodes}).Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			clients, err := q.Servers[0].Client.ClientList(t.Context()).Result()
			if want := " name=billing-" + strings.ToLower(form) + " "; err != nil || !strings.Contains(clients, want) {
				t.Errorf("%v: no client is called%sin\n%s", err, want, clients)
			}
		}
	})
}

// TestANodesTimeoutBoundsConnecting pauses servers: they accept and say nothing.
func TestANodesTimeoutBoundsConnecting(t *testing.T) {
	rowsWith(t, 3, servers.Options{}, func(t *testing.T, q *Quorum) {
		for _, s := range q.Servers {
			s.Pause(t)
			defer s.Continue(t)
		}
		host := "redis://" + q.Servers[0].Addr
		for form, entry := range map[string]any{
			"URI":           host + "?timeout=0.5",
			"go-redis' URI": host + "?dial_timeout=500ms",
			"mapping":       mapping{"host": "127.0.0.1", "port": q.Servers[0].Port, "timeout": 0.5},
		} {
			nodes, err := redlock.ParseNodes([]any{entry})
			if err != nil {
				t.Fatal(err)
			}
			m := q.New(t, redlock.Config{Nodes: nodes, NodeTimeout: 10 * time.Second})
			err = m.Ping(t.Context())
			if err == nil || !strings.Contains(err.Error(), "no connection within 500ms") {
				t.Errorf("%s: got %v", form, err)
			}
		}
	})
}

func TestReplicasOfAMappingMustConfirmAGrant(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		for i, s := range q.Servers {
			nodes, err := redlock.ParseNodes([]any{mapping{"host": "127.0.0.1", "port": s.Port, "replicas": 1}})
			if err != nil {
				t.Fatal(err)
			}
			q.Nodes[i] = nodes[0]
		}
		m := q.New(t, redlock.Config{NodeTimeout: 500 * time.Millisecond})
		if _, err := m.TryLock(t.Context(), q.Resource(t)); !errors.Is(err, redlock.ErrNoQuorum) {
			t.Errorf("got %v: these servers have no replicas", err)
		}
	})
}

func TestTheUserOfTheREADMELocksAndIsRefusedNothingThatALockNeeds(t *testing.T) {
	acl := readmeUser(t)
	rowsWith(t, 3, servers.Options{}, func(t *testing.T, q *Quorum) {
		nodes := q.plainNodes()
		for i, s := range q.Servers {
			if err := s.Client.Do(t.Context(), acl...).Err(); err != nil {
				t.Fatal(err)
			}
			nodes[i].Username, nodes[i].Password = "locker", "secret"
		}
		m := q.New(t, redlock.Config{Nodes: nodes, KeyPrefix: "lock:"})
		lock, err := m.Lock(t.Context(), "invoice")
		if err != nil {
			t.Fatal(err)
		}
		held, asked := lock.IsHeld(t.Context())
		locked, isLocked := m.IsLocked(t.Context(), "invoice")
		if !held || !locked {
			t.Errorf("it is held: %v; locked: %v", held, locked)
		}
		endless, taken := m.Lock(t.Context(), "endless", redlock.WithNoExpiry())
		if taken != nil {
			t.Fatal(taken)
		}
		_, given := m.Lock(t.Context(), "given", redlock.WithToken("mine"))
		state, inspect := m.Inspect(t.Context(), "invoice")
		if state.Token != lock.Token() {
			t.Errorf("Inspect: got %v", state)
		}
		resumed, resume := q.New(t, redlock.Config{Nodes: nodes, KeyPrefix: "lock:"}).Resume(t.Context(), "given", "mine")
		if resume == nil {
			resume = resumed.Extend(t.Context(), 0)
		}
		for what, err := range map[string]error{
			"IsHeld": asked, "IsLocked": isLocked, "a given token": given,
			"Inspect": inspect, "Resume": resume, "ForceUnlock": m.ForceUnlock(t.Context(), "given"),
			"Extend": lock.Extend(t.Context(), time.Minute),
			"Unlock": lock.Unlock(t.Context()), "Unlock without expiry": endless.Unlock(t.Context()),
		} {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		q.WantFree(t, "lock:invoice", 5*time.Second)
		for _, s := range q.Servers {
			entries, err := s.Client.ACLLog(t.Context(), 100).Result()
			if err != nil {
				t.Fatal(err)
			}
			for _, entry := range entries {
				if entry.Object != "client|setinfo" { // go-redis tells its name, which old servers do not know
					t.Errorf("%s has refused %s for %s: %s", s.Addr, entry.Object, entry.Username, entry.Reason)
				}
			}
		}
	})
}

// readmeUser is the command of README.md that makes a user for locks.
func readmeUser(t *testing.T) (command []any) {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ = bytes.Cut(text, []byte("```acl\n"))
	line, _, _ := bytes.Cut(text, []byte("\n"))
	for _, word := range strings.Fields(string(line)) {
		command = append(command, word)
	}
	if len(command) < 5 {
		t.Fatalf("README.md has no user for locks, but %q", line)
	}
	return command
}

package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

func TestAListOfNodesCanMixAllForms(t *testing.T) {
	rowsWith(t, 5, servers.Options{Socket: true}, func(t *testing.T, q *Quorum) {
		s := q.Servers
		entriesLock(t, "entries of a file", q, []any{
			[]any{"127.0.0.1", s[0].Port}, "redis://" + s[1].Addr, mapping{"host": "localhost", "port": s[2].Port},
			s[3].Addr, s[4].Socket,
		})
		entriesLock(t, "text", q, []any{
			"redis://" + s[0].Addr, "unix://" + s[1].Socket, s[2].Socket, "redis://" + s[3].Addr + "/0",
			"redis://" + s[4].Addr + "?timeout=5",
		})
		t.Run("values of Go", func(t *testing.T) {
			nodes, err := redlock.ParseNodes([]any{
				redlock.Addr("127.0.0.1", s[0].Port), &redlock.Node{Socket: s[1].Socket},
				redlock.Client(s[2].Client), s[3].Client, [2]any{"localhost", s[4].Port},
			})
			if err != nil {
				t.Fatal(err)
			}
			nodesLock(t, q, nodes)
		})
	})
}

func TestNodesInGoAreALiteralOfTheirFields(t *testing.T) {
	rowsWith(t, 3, servers.Options{Socket: true}, func(t *testing.T, q *Quorum) {
		nodesLock(t, q, []redlock.Node{
			{Host: "127.0.0.1", Port: q.Servers[0].Port}, {Socket: q.Servers[1].Socket},
			redlock.Addr("localhost", q.Servers[2].Port),
		})
	})
}

func TestOneEnvironmentVariableHoldsAllNodes(t *testing.T) {
	rowsWith(t, 3, servers.Options{Socket: true}, func(t *testing.T, q *Quorum) {
		a, b, c := q.Servers[0].Addr, q.Servers[1].Addr, q.Servers[2].Addr
		for name, text := range map[string]string{
			"URIs with commas":             fmt.Sprintf("redis://%s,redis://%s,redis://%s", a, b, c),
			"URIs with white space":        fmt.Sprintf(" redis://%s\n\tredis://%s  redis://%s ", a, b, c),
			"URIs with both":               fmt.Sprintf("redis://%s, redis://%s , redis://%s", a, b, c),
			"addresses with commas":        fmt.Sprintf("%s,%s,%s", a, b, c),
			"addresses with white space":   fmt.Sprintf("%s %s\n%s", a, b, c),
			"a path behind a comma":        fmt.Sprintf("redis://%s,%s,redis://%s", a, q.Servers[1].Socket, c),
			"paths alone":                  q.Servers[0].Socket + "," + q.Servers[1].Socket + "," + q.Servers[2].Socket,
			"a query that has no comma":    fmt.Sprintf("redis://%s?db=0,redis://%s?timeout=5,redis://%s", a, b, c),
			"an address in URIs, by space": fmt.Sprintf("redis://%s %s redis://%s", a, b, c),
		} {
			t.Run(name, func(t *testing.T) {
				nodes, err := redlock.ParseNodes(text)
				if err != nil {
					t.Fatal(err)
				}
				nodesLock(t, q, nodes)
			})
		}
	})
}

func TestOpenTakesURIs(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		m, err := redlock.Open("redis://"+q.Servers[0].Addr, q.Servers[1].Addr, q.Servers[2].URI())
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close(t.Context())
		lock, err := m.Lock(t.Context(), q.Resource(t))
		if err != nil {
			t.Fatal(err)
		}
		q.WantEverywhere(t, lock.Resource(), lock.Token(), 5*time.Second)
		if err := lock.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestNoNodesAreTheServerOfThisMachine(t *testing.T) {
	rows(t, func(t *testing.T, _ *Quorum) {
		byDefault, err := redlock.New(redlock.Config{})
		if err != nil {
			t.Fatal(err)
		}
		byURI, err := redlock.Open("redis://localhost:6379")
		if err != nil {
			t.Fatal(err)
		}
		opened, err := redlock.Open()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range []*redlock.Manager{byDefault, byURI, opened} {
			if got := fmt.Sprint(m); got != "redlock.Manager{localhost:6379}" {
				t.Errorf("got %s", got)
			}
			if err := m.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestAnEmptyListOfNodesIsAnErrorInEveryForm(t *testing.T) {
	rows(t, func(t *testing.T, _ *Quorum) {
		_, inGo := redlock.New(redlock.Config{Nodes: []redlock.Node{}})
		_, asAny := redlock.ParseNodes([]any{})
		_, asText := redlock.ParseNodes(" ")
		for name, err := range map[string]error{"Go": inGo, "any": asAny, "text": asText} {
			settingIsBad(t, name, err, "nodes", "empty")
		}
		for name, read := range waysIn {
			_, err := read([]any{})
			settingIsBad(t, name, err, "nodes", "empty")
		}
	})
}

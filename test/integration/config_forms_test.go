package integration

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	goccy "github.com/goccy/go-yaml"
	"github.com/redis/go-redis/v9"
	yamlv3 "gopkg.in/yaml.v3"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

// wayIn is how the entries of a list of nodes come to the library.
type wayIn func(entries []any) ([]redlock.Node, error)

// waysIn are those of a program and of loaders of configuration.
var waysIn = map[string]wayIn{
	"any": func(entries []any) ([]redlock.Node, error) { return redlock.ParseNodes(entries) },
	"JSON": throughConfig(json.Marshal, func(text []byte, cfg *redlock.Config) error {
		return json.Unmarshal(text, cfg)
	}),
	"JSON read into any": func(entries []any) (nodes []redlock.Node, err error) {
		var loaded any
		text, err := json.Marshal(entries)
		if err == nil {
			err = json.Unmarshal(text, &loaded)
		}
		if err == nil {
			nodes, err = redlock.ParseNodes(loaded)
		}
		return nodes, err
	},
	"yaml.v3": throughConfig(yamlv3.Marshal, func(text []byte, cfg *redlock.Config) error {
		return yamlv3.Unmarshal(text, cfg)
	}),
	"go-yaml": throughConfig(goccy.Marshal, func(text []byte, cfg *redlock.Config) error {
		return goccy.Unmarshal(text, cfg)
	}),
}

// throughConfig reads the entries as the nodes of a configuration file.
func throughConfig(write func(any) ([]byte, error), read func([]byte, *redlock.Config) error) wayIn {
	return func(entries []any) ([]redlock.Node, error) {
		text, err := write(map[string]any{"nodes": entries})
		if err != nil {
			return nil, err
		}
		var cfg redlock.Config
		err = read(text, &cfg)
		return cfg.Nodes, err
	}
}

// variable is the way through an environment variable, for entries that are text.
func variable(entries []any) ([]redlock.Node, error) {
	text := make([]string, len(entries))
	for i, entry := range entries {
		text[i] = entry.(string)
	}
	return redlock.ParseNodes(strings.Join(text, ","))
}

// mapping is a node as a file has it.
type mapping = map[string]any

// nodeForm writes the node on a server.
type nodeForm func(s *servers.Server) any

// eachFormLocks wants a lock on all servers through nodes that are written in
// each of the forms and come in on every way.
func eachFormLocks(t *testing.T, q *Quorum, forms map[string]nodeForm) {
	t.Helper()
	for name, form := range forms {
		entries := make([]any, len(q.Servers))
		for i, s := range q.Servers {
			entries[i] = form(s)
		}
		entriesLock(t, name, q, entries)
	}
}

// entriesLock wants a lock on all servers through the entries, on every way.
func entriesLock(t *testing.T, name string, q *Quorum, entries []any) {
	t.Helper()
	ways := maps.Clone(waysIn)
	if !slices.ContainsFunc(entries, func(entry any) bool { _, text := entry.(string); return !text }) {
		ways["variable"] = variable
	}
	for way, read := range ways {
		t.Run(name+", "+way, func(t *testing.T) {
			nodes, err := read(entries)
			if err != nil {
				t.Fatal(err)
			}
			nodesLock(t, q, nodes)
		})
	}
}

// nodesLock wants a lock through the nodes on all servers, and then on none.
func nodesLock(t *testing.T, q *Quorum, nodes []redlock.Node) {
	t.Helper()
	through := *q
	through.Nodes = nodes
	locksOnAll(t, &through)
	dropsAll(t, &through)
}

// inDatabase is q for a test that looks at another database. Its servers are for
// looking only.
func (q *Quorum) inDatabase(t *testing.T, db int) *Quorum {
	t.Helper()
	there := *q
	there.Servers = make([]*servers.Server, len(q.Servers))
	for i, s := range q.Servers {
		opts := *s.Client.Options()
		opts.DB = db
		client := redis.NewClient(&opts)
		t.Cleanup(func() { _ = client.Close() })
		there.Servers[i] = &servers.Server{Kind: s.Kind, Port: s.Port, Addr: s.Addr, Socket: s.Socket, Client: client}
	}
	return &there
}

// escaped is text as a part of a URI.
var escaped = url.QueryEscape

func TestANodeCanBeWrittenAsPairAddressURIOrMapping(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		eachFormLocks(t, q, map[string]nodeForm{
			"pair":              func(s *servers.Server) any { return []any{"127.0.0.1", s.Port} },
			"pair with a name":  func(s *servers.Server) any { return []any{"localhost", s.Port} },
			"address":           func(s *servers.Server) any { return s.Addr },
			"URI":               func(s *servers.Server) any { return "redis://" + s.Addr },
			"URI with database": func(s *servers.Server) any { return "redis://" + s.Addr + "/0" },
			"URI with what is ignored": func(s *servers.Server) any {
				return "redis://" + s.Addr + "?encoding=utf-8&minsize=1&maxsize=10&timeout=5&ssl=false" +
					"&pool_size=3&max_retries=5&read_timeout=3s"
			},
			"mapping": func(s *servers.Server) any { return mapping{"host": "127.0.0.1", "port": s.Port} },
			"mapping with what is ignored": func(s *servers.Server) any {
				return mapping{"host": "localhost", "port": s.Port, "db": 0, "encoding": "utf-8",
					"minsize": 1, "maxsize": 10, "timeout": 5, "ssl": false, "username": nil, "password": nil}
			},
		})
	})
}

func TestAnIPv6HostCanBeWrittenInEveryForm(t *testing.T) {
	options := servers.Options{Config: []string{"bind 127.0.0.1 ::1"}}
	rowsWith(t, 3, options, func(t *testing.T, q *Quorum) {
		eachFormLocks(t, q, map[string]nodeForm{
			"pair":    func(s *servers.Server) any { return []any{"::1", s.Port} },
			"mapping": func(s *servers.Server) any { return mapping{"host": "::1", "port": s.Port} },
			"address": func(s *servers.Server) any { return fmt.Sprintf("[::1]:%d", s.Port) },
			"URI":     func(s *servers.Server) any { return fmt.Sprintf("redis://[::1]:%d", s.Port) },
		})
		nodes := make([]redlock.Node, 0, len(q.Servers))
		for _, s := range q.Servers {
			nodes = append(nodes, redlock.Addr("::1", s.Port))
		}
		nodesLock(t, q, nodes)
	})
}

func TestAUnixSocketCanBeWrittenAsPathURIOrMapping(t *testing.T) {
	rowsWith(t, 3, servers.Options{Socket: true}, func(t *testing.T, q *Quorum) {
		eachFormLocks(t, q, map[string]nodeForm{
			"path":    func(s *servers.Server) any { return s.Socket },
			"name":    func(s *servers.Server) any { return "unix:" + s.Socket },
			"URI":     func(s *servers.Server) any { return "unix://" + s.Socket + "?db=0" },
			"mapping": func(s *servers.Server) any { return mapping{"socket": s.Socket} },
		})
		var nodes []redlock.Node
		for _, s := range q.Servers {
			nodes = append(nodes, redlock.Node{Socket: s.Socket})
		}
		nodesLock(t, q, nodes)
	})
}

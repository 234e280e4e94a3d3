package integration

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
)

func TestAPairAloneIsAListWithABadSecondEntry(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		_, err := redlock.ParseNodes([]any{"localhost", 6379})
		wantConfigError(t, err, "nodes[1]")
		nodes, err := redlock.ParseNodes([]any{[]any{"127.0.0.1", q.Servers[0].Port}})
		if err != nil || len(nodes) != 1 {
			t.Errorf("a pair inside a list: %v, %v", nodes, err)
		}
	})
}

func TestPositionsInErrorsArePaths(t *testing.T) {
	rows(t, func(t *testing.T, _ *Quorum) {
		_, err := redlock.ParseNodes([]any{"redis://a", "redis://b", map[string]any{"host": "c", "port": "many"}})
		wantConfigError(t, err, "nodes[2].port")
		_, err = redlock.ParseNodes([]any{map[string]any{"sentinels": []any{"h:1", "i:2", true}, "master": "m"}})
		wantConfigError(t, err, "nodes[0].sentinels[2]")
	})
}

func TestANodeIsCalledByItsAddressAndDatabase(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		for want, node := range map[string]redlock.Node{
			q.Servers[0].Addr:        redlock.Addr("127.0.0.1", q.Servers[0].Port),
			q.Servers[0].Addr + "/3": {Host: "127.0.0.1", Port: q.Servers[0].Port, DB: 3},
			"unix:/tmp/redis.sock":   {Socket: "/tmp/redis.sock"},
			"sentinel:leader":        {Sentinels: []string{"127.0.0.1:26379"}, Master: "leader"},
			"127.0.0.1:6379":         redlock.Addr("127.0.0.1", 0),
		} {
			if got := fmt.Sprint(node); got != want {
				t.Errorf("it is called %s, want %s", got, want)
			}
		}
		proxies := q.Proxies(t)
		for i, p := range proxies {
			q.Nodes[i].DB = i
			p.Down()
		}
		m := q.New(t, redlock.Config{})
		err := m.Ping(t.Context())
		for i, p := range proxies {
			p.Up(t)
			if name := fmt.Sprint(q.Nodes[i]); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("got %v, want it to name %s", err, name)
			}
		}
	})
}

func TestTheVariableIsSeparatedByWhiteSpaceOrByACommaBeforeASchemeOrASlash(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		for name, c := range map[string]struct {
			text  string
			nodes int
		}{
			"a comma before a scheme, and a space":       {"redis://a,redis://b redis://c", 3},
			"commas between Sentinels, one before a URI": {"redis://a:1,b:2,c:3?master=m,redis://d", 2},
			"a comma before a slash":                     {"redis://a,/tmp/redis.sock", 2},
			"every comma where there is no scheme":       {"a:6379,b:6379,c:6379", 3},
			"white space of all kinds":                   {" redis://a\n\tredis://b ", 2},
			"one Sentinel URI":                           {"redis://:p@a:26379,b:26379/5?master=leader", 1},
			"several schemes":                            {"rediss://a,unix:///tmp/redis.sock,redis://c", 3},
			"one address":                                {fmt.Sprintf("127.0.0.1:%d", q.Servers[0].Port), 1},
		} {
			q.part(t, name, func(t *testing.T) {
				if nodes, err := redlock.ParseNodes(c.text); err != nil || len(nodes) != c.nodes {
					t.Errorf("%q: %v, %v, want %d nodes", c.text, nodes, err, c.nodes)
				}
			})
		}
	})
}

func TestAnUnsuitableURIIsAnError(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		for name, c := range map[string]struct{ uri, field string }{
			"a db given twice":             {"redis://h/1?db=2", "node.db"},
			"a password given twice":       {"redis://:a@h?password=b", "node.password"},
			"a repeated key":               {"redis://h?db=1&db=1", "node.db"},
			"a blank key":                  {"redis://h?db=", "node.db"},
			"an unknown key":               {"redis://h?colour=red", "node.colour"},
			"a bad db":                     {"redis://h/x", "node.db"},
			"an unknown scheme":            {"http://h", "node"},
			"no scheme and no port":        {"h", "node"},
			"several hosts and no master":  {"redis://h1,h2", "node.master"},
			"skip_verify":                  {"redis://h?skip_verify=true", "node.skip_verify"},
			"a second address":             {"redis://h?addr=i", "node.addr"},
			"a bad value that is ignored":  {"redis://h?pool_size=x", "node.pool_size"},
			"a bad duration that is, too":  {"redis://h?read_timeout=x", "node.read_timeout"},
			"a key without a name":         {"redis://h?=1", "node"},
			"sizes that contradict others": {"redis://h?minsize=2&maxsize=1", "node.minsize"},
		} {
			q.part(t, name, func(t *testing.T) {
				_, err := redlock.ParseNode(c.uri)
				wantConfigError(t, err, c.field)
			})
		}
		for name, uri := range map[string]string{
			"names of go-redis are ignored":   "redis://h?pool_size=3&max_retries=2&read_timeout=3s&protocol=3",
			"names of aioredlock are ignored": "redis://h?minsize=1&maxsize=10&encoding=utf8",
		} {
			q.part(t, name, func(t *testing.T) {
				if _, err := redlock.ParseNode(uri); err != nil {
					t.Errorf("%q: %v", uri, err)
				}
			})
		}
	})
}

// A second manager, which has a logger, shows that there is something to say.
func TestADefaultManagerLogsNothingAndALockIsTaken(t *testing.T) {
	rows(t, func(t *testing.T, q *Quorum) {
		_, err := redlock.New(redlock.Config{Nodes: q.Nodes}, redlock.WithLogger(nil))
		wantConfigError(t, err, "WithLogger")
		proxies, told := q.Proxies(t), new(notes)
		m := connected(t, q.New(t, redlock.Config{TTL: time.Minute}))
		teller := connected(t, q.New(t, redlock.Config{}, redlock.WithLogger(slog.New(slog.NewTextHandler(told, nil)))))
		lost := mustTry(t, m, q.Resource(t))
		q.Take(t, 3, lost.Resource(), "thief", time.Minute)
		wantMatch(t, lost.Unlock(t.Context()), redlock.ErrLost)
		down(proxies[2])
		eventually(t, 5*time.Second, func() error {
			mustUnlock(t, mustTry(t, m, q.Resource(t)))
			mustUnlock(t, mustTry(t, teller, q.Resource(t)))
			if text := told.String(); !strings.Contains(text, "node is down") {
				return fmt.Errorf("one that has a logger says %q", text)
			}
			return nil
		})
		heal(t, proxies[2])
		if err := checkUnasked(); err != nil {
			t.Error(err)
		}
	})
}

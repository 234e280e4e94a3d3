package redlock

import (
	"context"
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func names(nodes []Node) string {
	list := make([]string, len(nodes))
	for i := range nodes {
		list[i] = nodes[i].name()
	}
	return strings.Join(list, " ")
}

func newClient(t *testing.T, addr string) *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestNodesAreReadFromEveryGoType(t *testing.T) {
	client := newClient(t, "10.0.0.9:6379")
	socketClient := newClient(t, "/tmp/client.sock")
	type uri string
	type anyMap map[any]any
	for want, given := range map[string]any{
		"a:6379":                              []string{"redis://a"},
		"a:6379 b:6380":                       []string{"redis://a", "b:6380"},
		"a:1 b:2 unix:/c":                     []any{"redis://a:1", []any{"b", 2}, "/c"},
		"c:3":                                 [][2]any{{"c", 3}},
		"c:3 d:4":                             [][2]any{{"c", 3}, {"d", uint16(4)}},
		"e:5":                                 map[string]any{"host": "e", "port": 5},
		"f:6379":                              map[any]any{"host": "f"},
		"g:6379":                              anyMap{"host": "g"},
		"h:6379":                              map[string]string{"host": "h"},
		"i:6379 j:6379":                       []map[string]any{{"host": "i"}, {"host": "j"}},
		"k:7":                                 Addr("k", 7),
		"l:7":                                 &Node{Host: "l", Port: 7},
		"m:7 [::1]:8":                         []Node{Addr("m", 7), Addr("::1", 8)},
		"n:7":                                 []*Node{{Host: "n", Port: 7}},
		"o:6379":                              []uri{"redis://o"},
		"p:6379 q:6379":                       uri("redis://p,redis://q"),
		"r:8":                                 json.RawMessage(`[["r", 8]]`),
		"s:6379 t:6379":                       json.RawMessage(`"redis://s redis://t"`),
		"10.0.0.9:6379":                       client,
		"10.0.0.9:6379 u:6379":                []any{client, "redis://u"},
		"unix:/tmp/client.sock":               []redis.UniversalClient{socketClient},
		"unix:/tmp/client.sock 10.0.0.9:6379": []*redis.Client{socketClient, client},
		"v:6379/1":                            []any{map[string]any{"host": "v", "db": 1.0}},
		"unix:/w":                             []any{map[string]any{"socket": "/w", "db": int64(1)}},
		"x:9":                                 []any{map[string]any{"host": "x", "port": json.Number("9")}},
		"y:9":                                 []any{map[string]any{"host": "y", "port": json.Number("9.0")}},
		"z:9":                                 []any{[]any{"z", uint64(9)}},
		"sentinel:m a:6379":                   []any{map[string]any{"sentinels": []string{"h"}, "master": "m"}, "redis://a"},
		"[2001:db8::1]:6379":                  []any{[]any{"2001:db8::1", 6379}},
		"redis:6379 other:80":                 "redis:6379,other:80",
	} {
		nodes, err := ParseNodes(given)
		if err != nil {
			t.Errorf("%v: %v", given, err)
		} else if got := names(nodes); got != want {
			t.Errorf("%v: got %s, want %s", given, got, want)
		}
	}
}

func TestTheVariablesNodesAreSeparatedByWhiteSpaceOrByACommaThatASchemeOrASlashFollows(t *testing.T) {
	for text, want := range map[string]string{
		"redis://a":                             "a:6379",
		"  redis://a\n":                         "a:6379",
		"redis://a,redis://b":                   "a:6379 b:6379",
		"redis://a, redis://b ,redis://c":       "a:6379 b:6379 c:6379",
		"redis://a , redis://b":                 "a:6379 b:6379",
		"redis://a redis://b\tredis://c\n":      "a:6379 b:6379 c:6379",
		"redis://a,/tmp/b,unix:///c,rediss://d": "a:6379 unix:/tmp/b unix:/c d:6379",
		"redis://a,unix:/b":                     "a:6379 unix:/b",
		"a:6379,b:6379,c:6379":                  "a:6379 b:6379 c:6379",
		"a:6379 b:6379,c:6379":                  "a:6379 b:6379 c:6379",
		"[::1]:1,[::2]:1":                       "[::1]:1 [::2]:1",
		"/tmp/a,/tmp/b":                         "unix:/tmp/a unix:/tmp/b",
		"/tmp/a,b:6379":                         "unix:/tmp/a b:6379",
		"redis://a,b,c/5?master=m,redis://d":    "sentinel:m d:6379",
		"redis://d,redis://a,b:1?master=m":      "d:6379 sentinel:m",
		"redis://:x,y@a,redis://b":              "a:6379 b:6379",
		"redis://a b:6379":                      "a:6379 b:6379",
	} {
		nodes, err := ParseNodes(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		} else if got := names(nodes); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

func TestAMappingSetsWhatItsKeysName(t *testing.T) {
	nodes, err := ParseNodes([]any{map[string]any{
		"host": "h", "port": 7000, "db": 2, "username": "u", "password": "pw", "ssl": true, "ssl_cert_reqs": "cert_none",
		"minsize": 1, "maxsize": 10, "timeout": 1.5, "encoding": "utf-8", "replicas": 2, "client_name": "billing",
	}})
	if err != nil {
		t.Fatal(err)
	}
	n := nodes[0]
	if got, want := shownOf(n), (shown{"h:7000/2", "u", "pw", true, 1500 * time.Millisecond, "billing"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if n.Replicas != 2 || !n.TLSConfig.InsecureSkipVerify {
		t.Errorf("got replicas %d, skip verify %v", n.Replicas, n.TLSConfig.InsecureSkipVerify)
	}
}

func TestNullInAMappingIsASettingLeftOut(t *testing.T) {
	nodes, err := ParseNodes(json.RawMessage(`[{"host": "h", "port": null, "db": null, "username": null, "password": null,
		"ssl": null, "tls": false, "timeout": null, "encoding": null, "socket": null, "sentinels": null, "replicas": null,
		"client_name": null, "minsize": null, "ssl_ca_certs": null}]`))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := shownOf(nodes[0]), (shown{name: "h:6379"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestTimeoutIsANumberOfSecondsOrADuration(t *testing.T) {
	for want, given := range map[time.Duration]any{
		2 * time.Second:        2,
		3 * time.Second:        "3s",
		250 * time.Millisecond: 0.25,
		time.Minute:            time.Minute,
		4 * time.Second:        json.Number("4"),
		1:                      1e-300,
	} {
		nodes, err := ParseNodes(map[string]any{"host": "h", "timeout": given})
		if err != nil || nodes[0].connectTimeout != want {
			t.Errorf("%v: got %v, %v, want %v", given, nodes, err, want)
		}
	}
}

func TestSentinelsAreAddressesOrPairsOrOnePair(t *testing.T) {
	for text, want := range map[string]string{
		`{"sentinels": [["h", 26379], "h:26380", "i"], "master": "m"}`: "h:26379 h:26380 i:26379",
		`{"sentinels": ["[::1]", ["::1", 5]], "master": "m"}`:          "[::1]:26379 [::1]:5",
		`{"sentinels": ["h", 5], "master": "m"}`:                       "h:5",
		`{"host": "h", "port": 5, "master": "m"}`:                      "h:5",
		`{"host": "h", "master": "m"}`:                                 "h:26379",
		`{"host": "::1", "master": "m"}`:                               "[::1]:26379",
	} {
		nodes, err := ParseNodes(json.RawMessage(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := strings.Join(nodes[0].Sentinels, " "); got != want || nodes[0].Master != "m" || nodes[0].Host != "" {
			t.Errorf("%s: got %q of %q, want %q", text, got, nodes[0].Master, want)
		}
	}
}

var malformedNodes = []struct{ given, field, part string }{
	{`null`, "nodes", "list of nodes, got null"},
	{`5`, "nodes", "got a number"},
	{`true`, "nodes", "got true or false"},
	{`[]`, "nodes", "at least one"},
	{`""`, "nodes", "at least one"},
	{`" \n"`, "nodes", "at least one"},
	{`[`, "nodes", "valid JSON, got other text"},
	{`[] 5`, "nodes", "something follows"},
	{`["localhost", 6379]`, "nodes[1]", "a pair stands inside a list"},
	{`["redis://a", 5]`, "nodes[1]", "a pair stands inside a list"},
	{`["redis://a", "redis://b", 5]`, "nodes[2]", "got a number"},
	{`["redis://a", null]`, "nodes[1]", "got null"},
	{`["redis://a", true]`, "nodes[1]", "got true or false"},
	{`["redis://a", "b"]`, "nodes[1]", "host:port"},
	{`["redis://a", "redis://b:x"]`, "nodes[1].port", "whole number"},
	{`["redis://a", "redis://b?colour=1"]`, "nodes[1].colour", "not known"},
	{`"redis://a,"`, "nodes[0].sentinels[1]", "host:port"},
	{`"redis://a,b"`, "nodes[0].master", "name of the master"},
	{`"a:1,,b:1"`, "nodes[1]", "host:port"},
	{`"a:1,"`, "nodes[1]", "host:port"},
	{`"redis://a,/b,c:1"`, "nodes[1].socket", "comma"},

	{`[[]]`, "nodes[0]", "pair [host, port], got a list of 0"},
	{`[["h"]]`, "nodes[0]", "pair [host, port], got a list of 1"},
	{`[["h", 1, 2]]`, "nodes[0]", "pair [host, port], got a list of 3"},
	{`[["h", null]]`, "nodes[0].port", "got null"},
	{`[["h", "6379"]]`, "nodes[0].port", "whole number, got a string"},
	{`[["h", 0]]`, "nodes[0].port", "1 to 65535"},
	{`[["h", 65536]]`, "nodes[0].port", "1 to 65535"},
	{`[["h", 6379.5]]`, "nodes[0].port", "whole number"},
	{`[["h", 1e400]]`, "nodes[0].port", "whole number"},
	{`[["h", 1e18]]`, "nodes[0].port", "whole number"},
	{`[["", 6379]]`, "nodes[0].host", "empty"},
	{`[[null, 6379]]`, "nodes[0].host", "empty"},
	{`[[6379, "h"]]`, "nodes[0].host", "a string, got a number"},
	{`[["[::1]", 6379]]`, "nodes[0].host", "without brackets"},
	{`[["redis://u:secret99@h", 6379]]`, "nodes[0].host", "a name or an IP address"},
	{`[["a:1", "b:1"]]`, "nodes[0].port", "got a string"},

	{`{}`, "nodes[0].host", "got none"},
	{`[{}]`, "nodes[0].host", "got none"},
	{`[{"port": 6379}]`, "nodes[0].host", "got none"},
	{`["redis://a", {"host": "h", "colour": "red"}]`, "nodes[1].colour", "not known"},
	{`[{"host": "h", "dial_timeout": 5}]`, "nodes[0].dial_timeout", "not known"},
	{`[{"host": "h", "Port": 5}]`, "nodes[0].Port", "not known"},
	{`[{"redis://u:secret99@h": 6379}]`, "nodes[0]", "names of settings"},
	{`[{"": 6379}]`, "nodes[0]", "names of settings"},
	{`[{"host": 5}]`, "nodes[0].host", "a string, got a number"},
	{`[{"host": ""}]`, "nodes[0].host", "empty"},
	{`[{"host": "h", "port": "6379"}]`, "nodes[0].port", "whole number, got a string"},
	{`[{"host": "h", "port": 0}]`, "nodes[0].port", "1 to 65535"},
	{`[{"host": "h", "db": -1}]`, "nodes[0].db", "out of range"},
	{`[{"host": "h", "db": true}]`, "nodes[0].db", "got true or false"},
	{`[{"host": "h", "password": 12345}]`, "nodes[0].password", "a string, got a number"},
	{`[{"host": "h", "password": ["secret99"]}]`, "nodes[0].password", "got a list of 1"},
	{`[{"host": "h", "username": {}}]`, "nodes[0].username", "got a mapping"},
	{`[{"host": "h", "ssl": "true"}]`, "nodes[0].ssl", "true or false, got a string"},
	{`[{"host": "h", "ssl": true, "tls": true}]`, "nodes[0].tls", "ssl is the same setting"},
	{`[{"host": "h", "timeout": 0}]`, "nodes[0].timeout", "above 0"},
	{`[{"host": "h", "timeout": "5"}]`, "nodes[0].timeout", "above 0"},
	{`[{"host": "h", "timeout": true}]`, "nodes[0].timeout", "above 0"},
	{`[{"host": "h", "minsize": "1"}]`, "nodes[0].minsize", "whole number"},
	{`[{"host": "h", "minsize": 3, "maxsize": 2}]`, "nodes[0].minsize", "maxsize at most"},
	{`[{"host": "h", "encoding": 5}]`, "nodes[0].encoding", "a string"},
	{`[{"host": "h", "replicas": -1}]`, "nodes[0].replicas", "out of range"},
	{`[{"host": "h", "replicas": 99999999999}]`, "nodes[0].replicas", "out of range"},
	{`[{"host": "h", "socket": "/s"}]`, "nodes[0].socket", "no host"},
	{`[{"socket": "/s", "port": 1}]`, "nodes[0].socket", "no host"},
	{`[{"socket": "s"}]`, "nodes[0].socket", "absolute path"},
	{`[{"socket": "/s", "ssl": true}]`, "nodes[0].tls", "unix socket"},
	{`[{"socket": "/s", "master": "m"}]`, "nodes[0].master", "Sentinels"},
	{`[{"master": "m"}]`, "nodes[0].master", "Sentinels"},
	{`[{"host": "h", "port": 26379, "master": ""}]`, "nodes[0].master", "empty"},
	{`[{"host": "h", "port": 26379, "master": null}]`, "nodes[0].master", "empty"},
	{`[{"sentinels": ["h"]}]`, "nodes[0].master", "got none"},
	{`[{"sentinels": [], "master": "m"}]`, "nodes[0].sentinels", "at least one"},
	{`[{"sentinels": "h:26379", "master": "m"}]`, "nodes[0].sentinels", "list of addresses, got a string"},
	{`[{"sentinels": ["h", "h:x"], "master": "m"}]`, "nodes[0].sentinels[1]", "host:port"},
	{`[{"sentinels": ["redis://:secret99@h"], "master": "m"}]`, "nodes[0].sentinels[0]", "host:port"},
	{`[{"sentinels": [["h", 1, 2]], "master": "m"}]`, "nodes[0].sentinels[0]", "pair"},
	{`[{"sentinels": [["h h", 1]], "master": "m"}]`, "nodes[0].sentinels[0].host", "a name or an IP address"},
	{`[{"sentinels": [5], "master": "m"}]`, "nodes[0].sentinels[0]", "pair [host, port], got a number"},
	{`[{"sentinels": ["h"], "host": "h", "master": "m"}]`, "nodes[0].sentinels", "no host"},
	{`[{"host": "h", "sentinel_password": "secret99"}]`, "nodes[0].sentinel_password", "Sentinels"},
}

func TestAMalformedNodeIsNamedByItsPositionAndItsSetting(t *testing.T) {
	for _, c := range malformedNodes {
		nodes, err := ParseNodes(json.RawMessage(c.given))
		if err == nil {
			t.Errorf("%s was taken as %v", c.given, nodes)
			continue
		}
		t.Run(c.given, func(t *testing.T) { wantConfigError(t, err, c.field, c.part) })
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows the password: %v", c.given, err)
		}
	}
}

func TestAMalformedGoValueIsNamedByItsPosition(t *testing.T) {
	type embedding struct{ *redis.ClusterClient }
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"localhost:7000"}})
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": "localhost:7000"}})
	t.Cleanup(func() { _, _ = cluster.Close(), ring.Close() })
	pipeliner, err := newClient(t, "localhost:6379").AutoPipeline()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pipeliner.Close() })
	withDB := Client(newClient(t, "localhost:6379"))
	withDB.DB = 1
	withDialer := Client(newClient(t, "localhost:6379"))
	withDialer.Dialer = new(net.Dialer).DialContext
	for _, c := range []struct {
		given       any
		field, part string
	}{
		{nil, "nodes", "got null"},
		{struct{}{}, "nodes", "got a struct {}"},
		{[]Node{}, "nodes", "at least one"},
		{[]byte("redis://h"), "nodes[0]", "got a number"},
		{[2]any{"localhost", 6379}, "nodes[1]", "inside a list"},
		{[]any{"redis://a", []string{"b", "6379"}}, "nodes[1].port", "got a string"},
		{[]any{map[any]any{5: "h"}}, "nodes[0].5", "not known"},
		{[]any{map[string]any{"host": "h", "port": uint64(1 << 63)}}, "nodes[0].port", "1 to 65535"},
		{[]any{map[string]any{"host": "h", "timeout": -time.Second}}, "nodes[0].timeout", "above 0"},
		{[]Node{{Host: "a"}, {}}, "nodes[1].host", "got none"},
		{(*Node)(nil), "nodes[0]", "expected a URI"},
		{[]*Node{nil}, "nodes[0]", "expected a URI"},
		{(*redis.Client)(nil), "nodes[0]", "nil client"},
		{[]Node{Client(nil)}, "nodes[0]", "nil client"},
		{[]redis.UniversalClient{nil}, "nodes[0]", "got null"},
		{cluster, "nodes[0]", "Cluster or Ring"},
		{Client(cluster), "nodes[0]", "Cluster or Ring"},
		{embedding{cluster}, "nodes[0]", "Cluster or Ring"},
		{[]redis.UniversalClient{ring}, "nodes[0]", "Cluster or Ring"},
		{pipeliner, "nodes[0]", "AutoPipeliner"},
		{withDB, "nodes[0]", "brings its own"},
		{withDialer, "nodes[0]", "brings its own"},
	} {
		nodes, err := ParseNodes(c.given)
		if err == nil {
			t.Errorf("%v was taken as %v", c.given, nodes)
			continue
		}
		wantConfigError(t, err, c.field, c.part)
	}
}

// wrapped is a client of the user's own make.
type wrapped struct{ redis.UniversalClient }

func TestAClientIsNamedByItsAddressAndNeverByASecret(t *testing.T) {
	for want, client := range map[string]redis.UniversalClient{
		"10.0.0.1:6379":   newClient(t, "10.0.0.1:6379"),
		"10.0.0.1:6379/3": redis.NewClient(&redis.Options{Addr: "10.0.0.1:6379", DB: 3}),
		"localhost:6379":  redis.NewClient(&redis.Options{}),
		"unix:/s":         redis.NewClient(&redis.Options{Network: "unix", Addr: "/s", DB: 3}),
		"h:6379":          newClient(t, "redis://u:secret99@h:6379?password=secret99"),
		"client":          wrapped{newClient(t, "10.0.0.1:6379")},
	} {
		n := Client(client)
		if got := n.name(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		_ = client.Close()
	}
}

func TestCredentialsAreAskedInPlaceOfAPasswordNotBesideIt(t *testing.T) {
	ask := func(context.Context) (string, string, error) { return "u", "pw", nil }
	if _, err := ParseNodes([]Node{{Host: "h", Credentials: ask}}); err != nil {
		t.Error(err)
	}
	for _, n := range []Node{
		{Host: "h", Credentials: ask, Username: "u"},
		{Host: "h", Credentials: ask, Password: "secret99"},
	} {
		_, err := ParseNodes(n)
		wantConfigError(t, err, "nodes[0].Credentials", "no username or password")
	}
}

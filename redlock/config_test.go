package redlock

import (
	"context"
	"crypto/tls"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func TestNoNodesAreTheLocalServer(t *testing.T) {
	cfg, _, err := Config{}.complete()
	if err != nil {
		t.Fatal(err)
	}
	if got := names(cfg.Nodes); got != "localhost:6379" {
		t.Errorf("got %s", got)
	}
	_, _, err = Config{Nodes: []Node{}}.complete()
	wantConfigError(t, err, "nodes", "at least one")
}

func TestDefaultsAreThoseOfTheDocumentation(t *testing.T) {
	cfg, warnings, err := Config{}.complete()
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	cfg.Nodes = nil
	if !strings.HasSuffix(cfg.Owner, ":"+strconv.Itoa(os.Getpid())) || len(cfg.Owner) > maxOwner {
		t.Errorf("owner: got %q, want host:pid", cfg.Owner)
	}
	cfg.Owner = ""
	want := `{"ttl":"10s","retry_delay_min":"100ms","retry_delay_max":"300ms","drift_factor":0.01}`
	if got := cfg.String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestWhatIsSetIsKept(t *testing.T) {
	given := Config{
		Nodes: []Node{Addr("h", 1)}, TTL: time.Minute, NodeTimeout: time.Hour, RetryDelayMin: 1, RetryDelayMax: 1,
		Attempts: 3, DriftFactor: 0.5, Margin: time.Second, KeyPrefix: "redlock:", Owner: "billing",
		RenewInterval: 10 * time.Second,
	}
	cfg, _, err := given.complete()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := cfg.String(), given.String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTheTTLIsRoundedUpToWholeMilliseconds(t *testing.T) {
	cfg, _, err := Config{TTL: 100*time.Millisecond + 1}.complete()
	if err != nil || cfg.TTL != 101*time.Millisecond {
		t.Errorf("got %v, %v", cfg.TTL, err)
	}
}

func TestABadSettingIsNamed(t *testing.T) {
	for _, c := range []struct {
		cfg         Config
		field, part string
	}{
		{Config{TTL: -1}, "ttl", "or more"},
		{Config{NodeTimeout: -1}, "node_timeout", "or more"},
		{Config{RetryDelayMin: -1}, "retry_delay_min", "or more"},
		{Config{RetryDelayMax: -1}, "retry_delay_max", "or more"},
		{Config{Margin: -1}, "margin", "or more"},
		{Config{RenewInterval: -1}, "renew_interval", "or more"},
		{Config{Attempts: -1}, "attempts", "or more"},
		{Config{DriftFactor: -0.1}, "drift_factor", "less than 1"},
		{Config{DriftFactor: 1}, "drift_factor", "less than 1"},
		{Config{DriftFactor: math.NaN()}, "drift_factor", "less than 1"},
		{Config{DriftFactor: math.Inf(1)}, "drift_factor", "less than 1"},
		{Config{RetryDelayMin: 2, RetryDelayMax: 1}, "retry_delay_min", "retry_delay_max (1ns) at most"},
		{Config{RetryDelayMin: time.Second}, "retry_delay_min", "retry_delay_max (300ms) at most"},
		{Config{TTL: time.Nanosecond}, "ttl", "got 1ms"},
		{Config{TTL: 2 * time.Millisecond}, "ttl", "take of it"},
		{Config{TTL: time.Second, Margin: 988 * time.Millisecond}, "ttl", "margin (988ms) take of it"},
		{Config{Margin: math.MaxInt64}, "ttl", "take of it"},
		{Config{TTL: time.Second, DriftFactor: 0.999}, "ttl", "take of it"},
		{Config{TTL: time.Second, RenewInterval: 494*time.Millisecond + 1}, "renew_interval", "494ms at most"},
		{Config{RestartGuard: time.Minute}, "restart_guard", "not available in this version"},
		{Config{RestartGuard: -1}, "restart_guard", "not available in this version"},
		{Config{Owner: strings.Repeat("x", 257)}, "owner", "got 257"},
		{Config{Owner: "a\x1fb"}, "owner", "control"},
		{Config{Owner: "a\u0085b"}, "owner", "control"},
		{Config{KeyPrefix: "redlock:{"}, "key_prefix", "library's own"},
		{Config{KeyPrefix: "redlock:{fence}"}, "key_prefix", "library's own"},
	} {
		_, _, err := c.cfg.complete()
		t.Run(c.cfg.String(), func(t *testing.T) { wantConfigError(t, err, c.field, c.part) })
	}
}

func TestSettingsAtTheirBoundsAreTaken(t *testing.T) {
	for _, cfg := range []Config{
		{TTL: 3 * time.Millisecond},
		{TTL: time.Second, Margin: 988*time.Millisecond - 1},
		{TTL: time.Second, RenewInterval: 494 * time.Millisecond},
		{TTL: 100 * time.Millisecond, NodeTimeout: time.Second},
		{DriftFactor: 1e-9},
		{RetryDelayMin: 300 * time.Millisecond},
		{Owner: strings.Repeat("x", 256)},
		{KeyPrefix: "redlock:"},
	} {
		if _, _, err := cfg.complete(); err != nil {
			t.Errorf("%v: %v", cfg, err)
		}
	}
}

func TestAnEvenNumberOfNodesIsWarnedAbout(t *testing.T) {
	for n := 1; n <= 5; n++ {
		var cfg Config
		for i := range n {
			cfg.Nodes = append(cfg.Nodes, Addr("h", 7000+i))
		}
		_, warnings, err := cfg.complete()
		if err != nil || (len(warnings) > 0) != (n%2 == 0) {
			t.Errorf("%d nodes: got %q, %v", n, warnings, err)
		}
	}
}

func TestABadNodeIsNamedByItsPosition(t *testing.T) {
	for _, c := range []struct {
		node        Node
		field, part string
	}{
		{Node{}, "host", "got none"},
		{Node{Port: 6379}, "host", "got none"},
		{Node{Host: "a b"}, "host", "a name or an IP address"},
		{Node{Host: "redis://u:secret99@h"}, "host", "a name or an IP address"},
		{Node{Host: "u:secret99@h"}, "host", "a name or an IP address"},
		{Node{Host: "[::1]"}, "host", "without brackets"},
		{Node{Host: "h", Port: -1}, "port", "1 to 65535"},
		{Node{Host: "h", Port: 65536}, "port", "1 to 65535"},
		{Node{Host: "h", DB: -1}, "db", "or more"},
		{Node{Host: "h", Replicas: -1}, "replicas", "or more"},
		{Node{Host: "h", Socket: "/s"}, "socket", "no host"},
		{Node{Socket: "/s", Port: 1}, "socket", "no host"},
		{Node{Socket: "s"}, "socket", "absolute path"},
		{Node{Socket: "/s?password=secret99"}, "socket", "question mark"},
		{Node{Socket: "/s", TLS: true}, "tls", "unix socket"},
		{Node{Socket: "/s", TLSConfig: &tls.Config{}}, "tls", "unix socket"},
		{Node{Host: "h", Master: "m"}, "master", "Sentinels"},
		{Node{Sentinels: []string{}, Master: "m"}, "sentinels", "at least one"},
		{Node{Sentinels: []string{"h:1"}}, "master", "got none"},
		{Node{Sentinels: []string{"h:1"}, Master: "a\nb"}, "master", "control character"},
		{Node{Sentinels: []string{"h:1", "h:x"}, Master: "m"}, "sentinels[1]", "host:port"},
		{Node{Sentinels: []string{"h:1"}, Master: "m", Host: "h"}, "sentinels", "no host"},
		{Node{Sentinels: []string{"h:1"}, Master: "m", Port: 1}, "sentinels", "no host"},
		{Node{Sentinels: []string{"h:1"}, Master: "m", Socket: "/s"}, "sentinels", "no host"},
		{Node{Host: "h", SentinelUsername: "u"}, "sentinel_username", "Sentinels"},
		{Node{Host: "h", SentinelPassword: "secret99"}, "sentinel_password", "Sentinels"},
		{Node{Host: "h", SentinelTLS: true}, "sentinel_tls", "Sentinels"},
	} {
		_, _, err := Config{Nodes: []Node{Addr("first", 1), c.node}}.complete()
		t.Run(c.field, func(t *testing.T) { wantConfigError(t, err, "nodes[1]."+c.field, c.part) })
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}

func TestANodeTwiceIsNamedWithTheOtherPosition(t *testing.T) {
	client := newClient(t, "localhost:6379")
	sentinel := func(master string, addresses ...string) Node { return Node{Sentinels: addresses, Master: master} }
	for name, pair := range map[string][2]Node{
		"port left out":       {Addr("h", 6379), Addr("h", 0)},
		"another database":    {{Host: "h", DB: 1}, {Host: "h", DB: 2}},
		"another user":        {{Host: "h", Username: "a"}, {Host: "h", Username: "b"}},
		"case":                {Addr("Redis.Internal", 1), Addr("redis.internal.", 1)},
		"IPv6 spelled out":    {Addr("::1", 1), Addr("0:0:0:0:0:0:0:1", 1)},
		"IPv4 in IPv6":        {Addr("10.0.0.1", 1), Addr("::ffff:10.0.0.1", 1)},
		"socket":              {{Socket: "/a/b"}, {Socket: "/a//b", DB: 1}},
		"Sentinels in common": {sentinel("m", "a:1", "b:1"), sentinel("m", "c:1", "B:1")},
		"Sentinels' port":     {sentinel("m", "a"), sentinel("m", "a:26379")},
		"client":              {Client(client), Client(client)},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := Config{Nodes: []Node{Addr("other", 1), pair[0], pair[1]}}.complete()
			wantConfigError(t, err, "nodes[2]", "same server as nodes[1]")
		})
	}
}

func TestNodesThatDifferAreNotTakenForOne(t *testing.T) {
	type byValue struct {
		redis.UniversalClient
		_ []int // makes it not comparable
	}
	client := newClient(t, "localhost:6379")
	cfg := Config{Nodes: []Node{
		Addr("a", 1), Addr("a", 2), Addr("b", 1), Addr("fe80::1%eth0", 1), Addr("fe80::1%eth1", 1),
		{Socket: "/a"}, {Socket: "/b"},
		{Sentinels: []string{"a:1"}, Master: "m"}, {Sentinels: []string{"a:1"}, Master: "n"},
		{Sentinels: []string{"b:1"}, Master: "m"},
		Client(client), Client(newClient(t, "localhost:6379")),
		Client(byValue{UniversalClient: client}), Client(byValue{UniversalClient: client}),
	}}
	if _, _, err := cfg.complete(); err != nil {
		t.Error(err)
	}
}

func TestCompletingChangesNothingOfTheCallers(t *testing.T) {
	nodes := []Node{{Sentinels: []string{"a"}, Master: "m"}}
	cfg, _, err := Config{Nodes: nodes}.complete()
	if err != nil {
		t.Fatal(err)
	}
	if nodes[0].Sentinels[0] != "a" || cfg.Nodes[0].Sentinels[0] != "a:26379" {
		t.Errorf("given: %q, completed: %q", nodes[0].Sentinels, cfg.Nodes[0].Sentinels)
	}
	cfg.Nodes[0].Master = "other"
	if nodes[0].Master != "m" {
		t.Error("the caller's nodes are shared")
	}
}

func TestANodeIsDialledWhereItStands(t *testing.T) {
	for _, c := range []struct {
		node             Node
		network, address string
	}{
		{Node{Host: "h"}, "tcp", "h:6379"},
		{Node{Host: "::1", Port: 7, DB: 3}, "tcp", "[::1]:7"},
		{Node{Socket: "/run/redis.sock", DB: 3}, "unix", "/run/redis.sock"},
	} {
		if network, address := c.node.network(); network != c.network || address != c.address {
			t.Errorf("got %s %s, want %s %s", network, address, c.network, c.address)
		}
	}
}

func TestACredentialsFunctionIsTakenForSentinelNodesToo(t *testing.T) {
	ask := func(context.Context) (string, string, error) { return "u", "pw", nil }
	n := Node{Sentinels: []string{"h"}, Master: "m", Credentials: ask, SentinelPassword: "p"}
	if _, _, err := (Config{Nodes: []Node{n}}).complete(); err != nil {
		t.Error(err)
	}
}

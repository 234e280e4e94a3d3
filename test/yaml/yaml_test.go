// Package yaml_test reads and writes configurations with the two packages for YAML
// that are most in use. The library imports neither.
package yaml_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	goccy "github.com/goccy/go-yaml"
	yamlv3 "gopkg.in/yaml.v3"

	"github.com/redlock-go/redlock/redlock"
)

// secret is a part of every password here.
const secret = "hush"

// codec is a package for YAML.
type codec struct {
	unmarshal func([]byte, any) error
	marshal   func(any) ([]byte, error)
}

var codecs = map[string]codec{
	"yaml.v3": {yamlv3.Unmarshal, yamlv3.Marshal},
	"go-yaml": {func(b []byte, v any) error { return goccy.Unmarshal(b, v) }, goccy.Marshal},
	"go-yaml, strict": {
		func(b []byte, v any) error { return goccy.UnmarshalWithOptions(b, v, goccy.Strict()) }, goccy.Marshal,
	},
}

// each runs a test with each package.
func each(t *testing.T, test func(t *testing.T, c codec)) {
	t.Helper()
	for name, c := range codecs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, c)
		})
	}
}

const good = `
nodes:
  - rediss://locker:hush@10.0.0.1          # a URI
  - [10.0.0.2, 6379]                       # a pair
  - - "::1"
    - 6380
  - {host: 10.0.0.3, port: 6381, db: 1, username: locker, password: hush, minsize: 1, encoding: utf-8}
  - host: 10.0.0.4
    ssl: true
    timeout: 1.5
    replicas: 1
  - sentinels: [[10.0.0.5, 26380], "10.0.0.6"]
    master: locks
    password: hush
    sentinel_password: hush
    sentinel_tls: true
  - redis://:hush@10.0.0.7,10.0.0.8/5?master=others
  - /run/redis.sock
  - 10.0.0.9:6382
ttl: 30s
node_timeout: 100ms
retry_delay_min: 50ms
retry_delay_max: 500ms
attempts: 7
drift_factor: 0.02
margin: 5ms
key_prefix: "lock:"
owner: me
renew_interval: 10s
`

var names = []string{
	"10.0.0.1:6379", "10.0.0.2:6379", "[::1]:6380", "10.0.0.3:6381/1", "10.0.0.4:6379", "sentinel:locks",
	"sentinel:others", "unix:/run/redis.sock", "10.0.0.9:6382",
}

func TestAConfigIsReadFromYAML(t *testing.T) {
	each(t, func(t *testing.T, c codec) {
		var cfg redlock.Config
		if err := c.unmarshal([]byte(good), &cfg); err != nil {
			t.Fatal(err)
		}
		wantNames(t, cfg.Nodes, names...)
		nodes := cfg.Nodes
		cfg.Nodes = nil
		want := redlock.Config{
			TTL: 30 * time.Second, NodeTimeout: 100 * time.Millisecond, Attempts: 7, DriftFactor: 0.02,
			RetryDelayMin: 50 * time.Millisecond, RetryDelayMax: 500 * time.Millisecond,
			Margin: 5 * time.Millisecond, KeyPrefix: "lock:", Owner: "me", RenewInterval: 10 * time.Second,
		}
		if cfg.String() != want.String() {
			t.Errorf("got %v, want %v", cfg, want)
		}
		if n := nodes[0]; !n.TLS || n.Username != "locker" || n.Password != secret {
			t.Error("the URI has not given TLS, a user and a password")
		}
		if n := nodes[3]; n.DB != 1 || n.Username != "locker" || n.Password != secret {
			t.Error("the mapping has not given a database, a user and a password")
		}
		if n := nodes[4]; !n.TLS || n.Replicas != 1 {
			t.Error("the mapping has not given TLS and replicas")
		}
		if n := nodes[5]; !n.SentinelTLS || n.Password != secret || n.SentinelPassword != secret {
			t.Error("the mapping has not given Sentinel's TLS and both passwords")
		}
	})
}

func TestNodesAreReadFromYAMLByThemselves(t *testing.T) {
	each(t, func(t *testing.T, c codec) {
		var service struct {
			One  redlock.Node   `yaml:"one"`
			Many []redlock.Node `yaml:"many"`
			At   *redlock.Node  `yaml:"at"`
		}
		text := "one: [a, 1]\nmany:\n  - redis://b\n  - {host: c, db: 2}\nat: d:4\n"
		if err := c.unmarshal([]byte(text), &service); err != nil {
			t.Fatal(err)
		}
		wantNames(t, append(service.Many, service.One, *service.At), "b:6379", "c:6379/2", "a:1", "d:4")
	})
}

func TestWhatALoaderHasReadIntoAnyIsTakenAsItIs(t *testing.T) {
	each(t, func(t *testing.T, c codec) {
		var loaded map[string]any
		if err := c.unmarshal([]byte(good), &loaded); err != nil {
			t.Fatal(err)
		}
		nodes, err := redlock.ParseNodes(loaded["nodes"])
		if err != nil {
			t.Fatal(err)
		}
		wantNames(t, nodes, names...)
	})
}

func TestAnchorsAndMergedMappingsAreFollowed(t *testing.T) {
	each(t, func(t *testing.T, c codec) {
		var cfg redlock.Config
		text := "nodes:\n  - &first {host: a, port: 1, db: 3}\n  - {<<: *first, host: b}\n  - [c, &port 5]\n  - [d, *port]\n"
		if err := c.unmarshal([]byte(text), &cfg); err != nil {
			t.Fatal(err)
		}
		wantNames(t, cfg.Nodes, "a:1/3", "b:1/3", "c:5", "d:5")
	})
}

func TestAFileThatSaysNothingChangesNothing(t *testing.T) {
	each(t, func(t *testing.T, c codec) {
		for _, text := range []string{"{}", "null", "ttl: null\nowner:"} {
			cfg := redlock.Config{Nodes: []redlock.Node{redlock.Addr("a", 1)}, Attempts: 3}
			if err := c.unmarshal([]byte(text), &cfg); err != nil {
				t.Errorf("%q: %v", text, err)
			}
			if len(cfg.Nodes) != 1 || cfg.Attempts != 3 {
				t.Errorf("%q has changed it to %v", text, cfg)
			}
		}
	})
}

func TestABadFileNamesTheSettingAndShowsNoPassword(t *testing.T) {
	each(t, func(t *testing.T, c codec) {
		for text, field := range map[string]string{
			"nodes:\n  - redis://a\n  - {host: b, password: hush, colour: red}": "nodes[1].colour",
			"nodes:\n  - redis://a\n  - redis://:hush@b:x":                      "nodes[1].port",
			"nodes:\n  - redis://a\n  - {host: b, password: 1234}":              "nodes[1].password",
			"nodes:\n  - redis://a\n  - {host: b, password: [hush]}":            "nodes[1].password",
			"nodes:\n  - redis://a\n  - [b, six]":                               "nodes[1].port",
			"nodes:\n  - redis://a\n  - {host: b, port: 6379.5}":                "nodes[1].port",
			"nodes:\n  - redis://a\n  - {host: b, port: 99999999999999999999}":  "nodes[1].port",
			"nodes:\n  - redis://a\n  - {host: b, db: -1}":                      "nodes[1].db",
			"nodes:\n  - redis://a\n  - {host: b, ssl: maybe}":                  "nodes[1].ssl",
			"nodes:\n  - redis://a\n  - {sentinels: [b, \"c:0\"], master: m}":   "nodes[1].sentinels[1]",
			"nodes:\n  - redis://a\n  -":                                        "nodes[1]",
			"nodes: [localhost, 6379]":                                          "nodes[1]",
			"nodes: []":                                                         "nodes",
			"nodes:":                                                            "nodes",
			"nodes: 3":                                                          "nodes",
			"ttl: 10":                                                           "ttl",
			"ttl: ten seconds":                                                  "ttl",
			"attempts: 1.5":                                                     "attempts",
			"attempts: -1":                                                      "attempts",
			"time_to_live: 10s":                                                 "time_to_live",
			"- ttl: 10s":                                                        "config",
			"hush":                                                              "config",
		} {
			cfg := redlock.Config{Owner: "before"}
			err := c.unmarshal([]byte(text), &cfg)
			var config *redlock.ConfigError
			if !errors.As(err, &config) || config.Field != field {
				t.Errorf("%q: got %v, want a *ConfigError for %s", text, err, field)
			}
			if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), secret) {
				t.Errorf("%q: the error shows the password: %v", text, err)
			}
			if cfg.Owner != "before" || cfg.Nodes != nil || cfg.TTL != 0 {
				t.Errorf("%q: some of it was taken all the same: %v", text, cfg)
			}
		}
	})
}

// Where the text is no YAML, or has a key twice, it is the package that says so.
// go-yaml's errors quote the line then, whatever is in it.
func TestAKeyThatIsGivenTwiceIsAnError(t *testing.T) {
	each(t, func(t *testing.T, c codec) {
		for _, text := range []string{"nodes: [{host: a, db: 1, db: 2}]", "ttl: 1s\nttl: 2s"} {
			var cfg redlock.Config
			if err := c.unmarshal([]byte(text), &cfg); err == nil {
				t.Errorf("%q: got no error and %v", text, cfg)
			}
		}
	})
}

func TestWrittenAsYAMLNothingShowsAPassword(t *testing.T) {
	each(t, func(t *testing.T, c codec) {
		var cfg redlock.Config
		if err := c.unmarshal([]byte(good), &cfg); err != nil {
			t.Fatal(err)
		}
		type service struct{ Redlock redlock.Config }
		for _, v := range []any{cfg, &cfg, cfg.Nodes, cfg.Nodes[0], &cfg.Nodes[3], service{cfg}, &service{cfg}} {
			text, err := c.marshal(v)
			if err != nil {
				t.Errorf("%T: %v", v, err)
			}
			if strings.Contains(string(text), secret) || strings.Contains(string(text), "locker") {
				t.Errorf("%T shows a password or a user:\n%s", v, text)
			}
		}
	})
}

func TestWhatWasWrittenAsYAMLIsReadAgain(t *testing.T) {
	each(t, func(t *testing.T, c codec) {
		var cfg, again redlock.Config
		if err := c.unmarshal([]byte(good), &cfg); err != nil {
			t.Fatal(err)
		}
		text, err := c.marshal(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.unmarshal(text, &again); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		wantNames(t, again.Nodes, names...)
		if cfg.String() != again.String() {
			t.Errorf("it was %v and is %v", cfg, again)
		}
	})
}

func wantNames(t *testing.T, nodes []redlock.Node, names ...string) {
	t.Helper()
	got := make([]string, len(nodes))
	for i, node := range nodes {
		got[i] = node.String()
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		t.Errorf("got the nodes %q, want %q", got, names)
	}
}

package redlock

import (
	"encoding/json"
	"errors"
	"testing"
	"time"
)

// asYAML decodes as decoders of YAML do: into an any, with their types.
func asYAML(v any) func(any) error {
	return func(into any) error {
		*into.(*any) = v
		return nil
	}
}

const wholeConfig = `{"nodes": ["redis://a", ["b", 1], {"host": "c", "db": 2}], "ttl": "30s", "node_timeout": "50ms",
	"retry_delay_min": "10ms", "retry_delay_max": "1s", "attempts": 3, "drift_factor": 0.02, "margin": "5ms",
	"key_prefix": "app:", "owner": "billing", "auto_renew": true, "renew_interval": "3s", "restart_guard": "1m"}`

func checkWholeConfig(t *testing.T, cfg Config) {
	t.Helper()
	if got := names(cfg.Nodes); got != "a:6379 b:1 c:6379/2" {
		t.Errorf("nodes: got %s", got)
	}
	cfg.Nodes = nil
	want := Config{
		TTL: 30 * time.Second, NodeTimeout: 50 * time.Millisecond, RetryDelayMin: 10 * time.Millisecond,
		RetryDelayMax: time.Second, Attempts: 3, DriftFactor: 0.02, Margin: 5 * time.Millisecond, KeyPrefix: "app:",
		Owner: "billing", AutoRenew: true, RenewInterval: 3 * time.Second, RestartGuard: time.Minute,
	}
	if cfg.String() != want.String() {
		t.Errorf("got %v, want %v", cfg, want)
	}
}

func TestAConfigIsReadFromJSON(t *testing.T) {
	var cfg Config
	if err := json.Unmarshal([]byte(wholeConfig), &cfg); err != nil {
		t.Fatal(err)
	}
	checkWholeConfig(t, cfg)
}

func TestAConfigIsReadFromWhatDecodersOfYAMLGive(t *testing.T) {
	for _, integer := range []any{3, uint64(3), int64(3), 3.0} {
		var cfg Config
		err := cfg.UnmarshalYAML(asYAML(map[any]any{
			"nodes": []any{"redis://a", []any{"b", uint64(1)}, map[any]any{"host": "c", "db": 2}},
			"ttl":   "30s", "node_timeout": "50ms", "retry_delay_min": "10ms", "retry_delay_max": "1s", "attempts": integer,
			"drift_factor": 0.02, "margin": "5ms", "key_prefix": "app:", "owner": "billing", "auto_renew": true,
			"renew_interval": "3s", "restart_guard": "1m",
		}))
		if err != nil {
			t.Fatal(err)
		}
		checkWholeConfig(t, cfg)
	}
}

func TestAConfigInJSONKeepsWhatItsKeysDoNotName(t *testing.T) {
	cfg := Config{TTL: time.Second, Owner: "billing", Margin: time.Millisecond}
	if err := json.Unmarshal([]byte(`{"ttl": "2s", "margin": 0, "nodes": "redis://a,redis://b"}`), &cfg); err != nil {
		t.Fatal(err)
	}
	if cfg.TTL != 2*time.Second || cfg.Owner != "billing" || cfg.Margin != 0 || names(cfg.Nodes) != "a:6379 b:6379" {
		t.Errorf("got %v", cfg)
	}
	if err := json.Unmarshal([]byte(`{"ttl": null, "drift_factor": null}`), &cfg); err != nil || cfg.TTL != 0 {
		t.Errorf("null settings are the defaults: got %v, %v", cfg, err)
	}
	if err := json.Unmarshal([]byte(`null`), &cfg); err != nil || cfg.Owner != "billing" {
		t.Errorf("null: got %v, %v", cfg, err)
	}
}

func TestABadKeyOfAConfigIsNamedAndChangesNothing(t *testing.T) {
	for _, c := range []struct{ given, field, part string }{
		{`[]`, "config", "a mapping, got a list"},
		{`"redis://h"`, "config", "a mapping, got a string"},
		{`{"tttl": "5s"}`, "tttl", "not known"},
		{`{"TTL": "5s"}`, "TTL", "not known"},
		{`{"redis://u:secret99@h": 1}`, "config", "names of settings"},
		{`{"nodes": null}`, "nodes", "got null"},
		{`{"nodes": []}`, "nodes", "at least one"},
		{`{"nodes": ["redis://a", {"host": "b", "port": "x"}]}`, "nodes[1].port", "got a string"},
		{`{"nodes": ["redis://a", {"host": "b", "colour": "x"}]}`, "nodes[1].colour", "not known"},
		{`{"ttl": 5}`, "ttl", "a duration such as 1.5s or 250ms, got a number"},
		{`{"ttl": "5"}`, "ttl", "duration"},
		{`{"ttl": true}`, "ttl", "duration"},
		{`{"node_timeout": "soon"}`, "node_timeout", "duration"},
		{`{"retry_delay_min": []}`, "retry_delay_min", "duration"},
		{`{"retry_delay_max": {}}`, "retry_delay_max", "duration"},
		{`{"margin": 1}`, "margin", "duration"},
		{`{"renew_interval": 1}`, "renew_interval", "duration"},
		{`{"restart_guard": 1}`, "restart_guard", "duration"},
		{`{"attempts": "3"}`, "attempts", "whole number"},
		{`{"attempts": 1.5}`, "attempts", "whole number"},
		{`{"attempts": -1}`, "attempts", "0 or more"},
		{`{"attempts": 1e400}`, "attempts", "whole number"},
		{`{"drift_factor": "0.1"}`, "drift_factor", "a number, got a string"},
		{`{"drift_factor": 1e400}`, "drift_factor", "a number"},
		{`{"key_prefix": 5}`, "key_prefix", "a string"},
		{`{"owner": 5}`, "owner", "a string"},
		{`{"auto_renew": "yes"}`, "auto_renew", "true or false"},
	} {
		cfg := Config{TTL: time.Second}
		before := cfg.String()
		err := json.Unmarshal([]byte(c.given), &cfg)
		t.Run(c.given, func(t *testing.T) { wantConfigError(t, err, c.field, c.part) })
		if cfg.String() != before {
			t.Errorf("%s: the config became %v", c.given, cfg)
		}
	}
}

func TestANodeOfTheCallersOwnStructIsRead(t *testing.T) {
	var own struct {
		One  Node
		Many []Node
	}
	text := `{"One": "redis://:pw@a/1", "Many": [["b", 2], {"host": "c"}, "/d"]}`
	if err := json.Unmarshal([]byte(text), &own); err != nil {
		t.Fatal(err)
	}
	if own.One.name() != "a:6379/1" || own.One.Password != "pw" || names(own.Many) != "b:2 c:6379 unix:/d" {
		t.Errorf("got %v, %v", own.One, own.Many)
	}
	err := json.Unmarshal([]byte(`{"Many": [{"host": "c", "db": "x"}]}`), &own)
	wantConfigError(t, err, "node.db", "whole number")

	var n Node
	if err := n.UnmarshalYAML(asYAML([]any{"b", uint64(2)})); err != nil || n.name() != "b:2" {
		t.Errorf("got %v, %v", n, err)
	}
	err = n.UnmarshalYAML(asYAML(5))
	wantConfigError(t, err, "node", "got a number")
	if n.name() != "b:2" {
		t.Errorf("the failed read changed the node to %v", n)
	}
}

func TestWhatIsNoJSONOrYAMLIsAConfigErrorThatQuotesNothing(t *testing.T) {
	var n Node
	var cfg Config
	wantConfigError(t, n.UnmarshalJSON([]byte(`secret99`)), "node", "valid JSON, got other text")
	wantConfigError(t, cfg.UnmarshalJSON([]byte(`{} {}`)), "config", "something follows")
	broken := func(any) error { return errors.New("line 3: secret99") }
	wantConfigError(t, n.UnmarshalYAML(broken), "node", "valid YAML")
	wantConfigError(t, cfg.UnmarshalYAML(broken), "config", "valid YAML")
}

func TestAConfigWrittenAsJSONReadsBackButForItsSecrets(t *testing.T) {
	nodes, err := ParseNodes([]any{
		"rediss://u:secret99@a:1/2?timeout=1.5&client_name=x", "unix://:secret99@/b?db=1", []any{"::1", 5},
		"redis://:secret99@c,d/5?master=m&sentinel_username=u&sentinel_password=secret99&sentinel_tls=1&replicas=1",
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Nodes: nodes, TTL: 90 * time.Second, Attempts: 3, DriftFactor: 0.5, Owner: "<x>"}
	text, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var back Config
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if back.String() != cfg.String() || names(back.Nodes) != names(cfg.Nodes) {
		t.Errorf("wrote %s, read %v", text, back)
	}
	for i, n := range back.Nodes {
		if n.Username+n.Password+n.SentinelUsername+n.SentinelPassword != "" {
			t.Errorf("nodes[%d] came back with credentials", i)
		}
		if n.TLS != nodes[i].TLS || n.connectTimeout != nodes[i].connectTimeout || n.clientName != nodes[i].clientName {
			t.Errorf("nodes[%d] came back as %v", i, n)
		}
	}
	if _, err := ParseNodes(json.RawMessage(`[{"client": "10.0.0.1:6379"}]`)); err == nil {
		t.Error("a client was read back")
	}
}

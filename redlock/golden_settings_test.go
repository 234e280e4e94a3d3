package redlock

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// ofConfig is the error of New for the settings, beside a node.
func ofConfig(cfg Config) func(t *testing.T) error {
	return func(*testing.T) error {
		if cfg.Nodes == nil {
			cfg.Nodes = []Node{Addr("10.0.0.1", 6379)}
		}
		_, err := New(cfg)
		return err
	}
}

// ofFields is the error of New for a node behind a good one.
func ofFields(n Node) func(t *testing.T) error {
	return ofConfig(Config{Nodes: []Node{Addr("10.0.0.1", 1), n}})
}

// ofFile is the error of a Config in JSON.
func ofFile(text string) told {
	return told{text, func(*testing.T) error { return new(Config).UnmarshalJSON([]byte(text)) }}
}

var settingErrors = []told{
	{"no nodes", ofConfig(Config{Nodes: []Node{}})},
	{"a node twice", ofConfig(Config{Nodes: []Node{Addr("10.0.0.1", 6379), Addr("10.0.0.1", 0)}})},
	{"TTL: -1s", ofConfig(Config{TTL: -time.Second})},
	{"TTL: 2ms", ofConfig(Config{TTL: 2 * time.Millisecond})},
	{"TTL: 292 years", ofConfig(Config{TTL: math.MaxInt64})},
	{"TTL: 1s, Margin: 2s", ofConfig(Config{TTL: time.Second, Margin: 2 * time.Second})},
	{"NodeTimeout: -1s", ofConfig(Config{NodeTimeout: -time.Second})},
	{"RetryDelayMin: 1s", ofConfig(Config{RetryDelayMin: time.Second})},
	{"Attempts: -1", ofConfig(Config{Attempts: -1})},
	{"DriftFactor: 1", ofConfig(Config{DriftFactor: 1})},
	{"KeyPrefix: redlock:{", ofConfig(Config{KeyPrefix: "redlock:{"})},
	{"Owner of 300 bytes", ofConfig(Config{Owner: strings.Repeat("x", 300)})},
	{"Owner of two lines", ofConfig(Config{Owner: "one\ntwo"})},
	{"RenewInterval: 1m", ofConfig(Config{RenewInterval: time.Minute})},
	{"RestartGuard: 1m", ofConfig(Config{RestartGuard: time.Minute})},

	{"Node{}", ofFields(Node{})},
	{"Host: redis://:s3cret@10.0.0.2", ofFields(Node{Host: "redis://:s3cret@10.0.0.2"})},
	{"Port: 70000", ofFields(Node{Host: "10.0.0.2", Port: 70000})},
	{"DB: -1", ofFields(Node{Host: "10.0.0.2", DB: -1})},
	{"Replicas: -1", ofFields(Node{Host: "10.0.0.2", Replicas: -1})},
	{"Socket: redis.sock", ofFields(Node{Socket: "redis.sock"})},
	{"Socket that is no UTF-8", ofFields(Node{Socket: "/run/\x80"})},
	{"Socket: /run/redis.sock?db=1", ofFields(Node{Socket: "/run/redis.sock?db=1"})},
	{"Socket and Host", ofFields(Node{Socket: "/run/redis.sock", Host: "10.0.0.2"})},
	{"Socket and TLS", ofFields(Node{Socket: "/run/redis.sock", TLSConfig: new(tls.Config)})},
	{"Credentials and Password", ofFields(Node{Host: "10.0.0.2", Password: "s3cret",
		Credentials: func(context.Context) (string, string, error) { return "", "", nil }})},
	{"Sentinels and Host", ofFields(Node{Sentinels: []string{"10.0.0.3"}, Master: "locks", Host: "10.0.0.2"})},
	{"Sentinels of none", ofFields(Node{Sentinels: []string{}, Master: "locks"})},
	{"Sentinels: 10.0.0.3:port", ofFields(Node{Sentinels: []string{"10.0.0.3:port"}, Master: "locks"})},
	{"Sentinels without Master", ofFields(Node{Sentinels: []string{"10.0.0.3"}})},
	{"Master of two lines", ofFields(Node{Sentinels: []string{"10.0.0.3"}, Master: "one\ntwo"})},
	{"Master without Sentinels", ofFields(Node{Host: "10.0.0.2", Master: "locks"})},
	{"SentinelUsername without Sentinels", ofFields(Node{Host: "10.0.0.2", SentinelUsername: "me"})},
	{"SentinelPassword without Sentinels", ofFields(Node{Host: "10.0.0.2", SentinelPassword: "s3cret"})},
	{"SentinelTLS without Sentinels", ofFields(Node{Host: "10.0.0.2", SentinelTLS: true})},
	{"Client(nil)", ofFields(Client(nil))},
	{"Client of a Cluster", func(t *testing.T) error {
		cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"10.0.0.2:7000"}})
		defer func() { _ = cluster.Close() }()
		return ofFields(Client(cluster))(t)
	}},
	{"Client that is an AutoPipeliner", func(t *testing.T) error {
		pipeliner, err := newClient(t, "10.0.0.2:6379").AutoPipeline()
		if err != nil {
			return err
		}
		defer func() { _ = pipeliner.Close() }()
		return ofFields(Client(pipeliner))(t)
	}},
	{"Client and a DB", func(t *testing.T) error {
		n := Client(newClient(t, "10.0.0.2:6379"))
		n.DB = 1
		return ofFields(n)(t)
	}},

	ofFile(`["redis://10.0.0.1"]`),
	ofFile(`{"tttl": "5s"}`),
	ofFile(`{"redis://:s3cret@10.0.0.1": 5}`),
	ofFile(`{"ttl": 5}`),
	ofFile(`{"attempts": 1.5}`),
	ofFile(`{"attempts": -1}`),
	ofFile(`{"drift_factor": "1%"}`),
	ofFile(`{"auto_renew": "yes"}`),
	ofFile(`{"owner": 5}`),
	ofFile(`{"ttl": "5s"`),
	ofFile(`{"ttl": "5s"} 5`),
	{"YAML that is none", func(*testing.T) error {
		return new(Config).UnmarshalYAML(func(any) error { return errors.New("line 3: s3cret") })
	}},
}

// asWritten is the error of ParseNodes for what JSON has in text.
func asWritten(text string) told {
	return told{text, func(*testing.T) error {
		_, err := ParseNodes(json.RawMessage(text))
		return err
	}}
}

// ofURI is the error of ParseNode.
func ofURI(uri string) told {
	return told{strings.Trim(strconv.Quote(uri), `"`), func(*testing.T) error {
		_, err := ParseNode(uri)
		return err
	}}
}

// ofFiles is the error of a URI that names files of TLS: what is written to them.
func ofFiles(what, query string, files map[string]string) told {
	return told{what, func(t *testing.T) error {
		dir := t.TempDir()
		for name, content := range files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				return err
			}
		}
		_, err := ParseNode("rediss://10.0.0.1?" + strings.ReplaceAll(query, "DIR", url.QueryEscape(dir)))
		return err
	}}
}

var writtenErrors = []told{
	asWritten(`[]`), asWritten(`null`), asWritten(`5`), asWritten(`["10.0.0.1", 6379]`),
	asWritten(`["redis://10.0.0.1", null]`), asWritten(`[["10.0.0.1"]]`), asWritten(`[["10.0.0.1", null]]`),
	asWritten(`[["", 6379]]`), asWritten(`[{"host": "10.0.0.1", "port": "6379"}]`),
	asWritten(`[{"host": "10.0.0.1", "port": 0}]`), asWritten(`[{"host": "10.0.0.1", "db": 1.5}]`),
	asWritten(`[{"host": "10.0.0.1", "colour": "red"}]`), asWritten(`[{"redis://:s3cret@10.0.0.1": 6379}]`),
	asWritten(`[{"host": "10.0.0.1", "password": 12345}]`), asWritten(`[{"host": "10.0.0.1", "ssl": true, "tls": true}]`),
	asWritten(`[{"host": "10.0.0.1", "minsize": 3, "maxsize": 2}]`),
	asWritten(`[{"host": "10.0.0.1", "timeout": 0}]`), asWritten(`[{"host": "10.0.0.1", "master": ""}]`),
	asWritten(`[{"sentinels": "10.0.0.1", "master": "locks"}]`),
	asWritten(`[{"sentinels": [["one two", 26379]], "master": "locks"}]`),

	ofURI("redis"), ofURI("http://10.0.0.1"), ofURI("redis://10.0.0.1\n"), ofURI("redis://:p#s3cret@10.0.0.1"),
	ofURI("redis://:%zz@10.0.0.1"), ofURI("redis://10.0.0.1?db=%zz"), ofURI("redis://10.0.0.1:port"),
	ofURI("redis://10.0.0.1:70000"), ofURI("redis://::1"), ofURI("redis://fe80::1%eth0"), ofURI("redis://10.0.0.1/one"),
	ofURI("redis://10.0.0.1/-1"), ofURI("redis://10.0.0.1/1?db=1"), ofURI("redis://10.0.0.1?db=1&db=1"),
	ofURI("redis://10.0.0.1?timeout=1&dial_timeout=1"), ofURI("redis://10.0.0.1?port=6379"),
	ofURI("redis://10.0.0.1?password="), ofURI("redis://10.0.0.1?colour=red"), ofURI("redis://10.0.0.1?password=x&s3cret"),
	ofURI("redis://10.0.0.1?"), ofURI("redis://10.0.0.1?client_name=one%20two"), ofURI("redis://10.0.0.1?ssl=yes"),
	ofURI("rediss://10.0.0.1?ssl=false"), ofURI("redis://10.0.0.1?ssl_cert_reqs=none"),
	ofURI("rediss://10.0.0.1?ssl_cert_reqs=maybe"), ofURI("rediss://10.0.0.1?skip_verify=true"),
	ofURI("redis://10.0.0.1?master_name=locks"), ofURI("redis://10.0.0.1?addr=10.0.0.2"),
	ofURI("redis://10.0.0.1?read_timeout=soon"), ofURI("redis://10.0.0.1,10.0.0.2"),
	ofURI("redis://10.0.0.1,10.0.0.2:port?master=locks"), ofURI("unix://run/redis.sock"), ofURI("//run/redis.sock"),

	ofFiles("ssl_ca_certs that is not there", "ssl_ca_certs=DIR/ca.pem", nil),
	ofFiles("ssl_ca_certs that is a directory", "ssl_ca_certs=DIR", nil),
	ofFiles("ssl_ca_certs without a certificate", "ssl_ca_certs=DIR/ca.pem", map[string]string{"ca.pem": "s3cret"}),
	ofFiles("ssl_keyfile alone", "ssl_keyfile=DIR/key.pem", map[string]string{"key.pem": "s3cret"}),
	ofFiles("ssl_certfile that is none", "ssl_certfile=DIR/cert.pem", map[string]string{"cert.pem": "s3cret"}),
}

// ofArgument is the error of a call with a bad argument.
func ofArgument(f func(t *testing.T, r *rig) error) func(t *testing.T) error { return inBubble(1, f) }

// ofOption is the error of a TryLock with bad options.
func ofOption(opts ...LockOption) func(t *testing.T) error {
	return ofArgument(func(t *testing.T, r *rig) error { return r.take(t.Context(), opts...) })
}

// ofNew is the error of New with a bad option.
func ofNew(opts ...Option) func(t *testing.T) error {
	return func(*testing.T) error {
		_, err := New(Config{}, opts...)
		return err
	}
}

// ofResource is the error of a TryLock of the resource.
func ofResource(resource string) func(t *testing.T) error {
	return ofArgument(func(t *testing.T, r *rig) error {
		_, err := r.TryLock(t.Context(), resource)
		return err
	})
}

// ofResume is the error of a Resume of what the node keeps without expiry under
// "run-42".
func ofResume(token string, opts ...LockOption) func(t *testing.T) error {
	return ofArgument(func(t *testing.T, r *rig) error {
		r.nodes[0].Set("report", "run-42", 0)
		_, err := r.Resume(t.Context(), "report", token, opts...)
		return err
	})
}

// ofPrefix is the error of a ForceUnlockAll.
func ofPrefix(prefix string) func(t *testing.T) error {
	return ofArgument(func(t *testing.T, r *rig) error {
		_, err := r.ForceUnlockAll(t.Context(), prefix)
		return err
	})
}

var argumentErrors = []told{
	{"WithLogger(nil)", ofNew(WithLogger(nil))},
	{"New with a nil option", ofNew(WithLogger(slog.Default()), nil)},
	{"no resource", ofResource("")},
	{"a resource of 2000 bytes", ofResource(strings.Repeat("x", 2000))},
	{"the resource redlock:{report}", ofResource("redlock:{report}")},
	{"a nil option", ofOption(WithTTL(time.Second), nil)},
	{"WithTTL(-1s)", ofOption(WithTTL(-time.Second))},
	{"WithTTL(2ms)", ofOption(WithTTL(2 * time.Millisecond))},
	{"WithTTL of 292 years", ofOption(WithTTL(math.MaxInt64))},
	{"WithTTL and WithNoExpiry", ofOption(WithTTL(time.Second), WithNoExpiry())},
	{"WithMaxHold(-1s)", ofOption(WithMaxHold(-time.Second))},
	{"WithMaxHold and WithNoExpiry", ofOption(WithMaxHold(time.Second), WithNoExpiry())},
	{"WithAutoRenew and WithNoExpiry", ofOption(WithAutoRenew(), WithNoExpiry())},
	{"WithAutoRenew and too short a TTL", func(t *testing.T) (err error) {
		bubble(t, 1, Config{RenewInterval: 4 * time.Second}, func(t *testing.T, r *rig) {
			err = r.take(t.Context(), WithAutoRenew(), WithTTL(time.Second))
		})
		return err
	}},
	{"WithToken of nothing", ofOption(WithToken(""))},
	{"WithToken of 600 bytes", ofOption(WithToken(strings.Repeat("x", 600)))},
	{"WithToken of two lines", ofOption(WithToken("one\ntwo"))},
	{"WithAttempts(-1)", ofOption(WithAttempts(-1))},
	{"WithBackoff(nil)", ofOption(WithBackoff(nil))},
	{"WithFence", ofOption(WithFence())},
	{"Do without a function", ofArgument(func(t *testing.T, r *rig) error { return r.Do(t.Context(), "report", nil) })},
	{"Extend by -1s", held(func(t *testing.T, _ *rig, lock *Lock) error {
		return lock.Extend(t.Context(), -time.Second)
	})},
	{"ExtendBy 0s", held(func(t *testing.T, _ *rig, lock *Lock) error { return lock.ExtendBy(t.Context(), 0) })},
	{"ExtendBy 292 years", held(func(t *testing.T, _ *rig, lock *Lock) error {
		return lock.ExtendBy(t.Context(), math.MaxInt64)
	})},
	{"Unlock of nil", ofArgument(func(t *testing.T, r *rig) error { return r.Unlock(t.Context(), nil) })},
	{"Unlock of another manager's lock", held(func(t *testing.T, r *rig, lock *Lock) error {
		return r.manager(Config{}).Unlock(t.Context(), lock)
	})},
	{"Resume without a token", ofResume("")},
	{"Resume WithToken", ofResume("run-42", WithToken("run-42"))},
	{"Resume WithNoExpiry", ofResume("run-42", WithNoExpiry())},
	{"Resume WithMaxHold of a lock without expiry", ofResume("run-42", WithMaxHold(time.Second))},
	{"ForceUnlockAll of everything", ofPrefix("")},
	{"ForceUnlockAll with 2000 bytes", ofPrefix(strings.Repeat("x", 2000))},
	{"ForceUnlockAll of redlock:{", ofPrefix("redlock:{")},
}

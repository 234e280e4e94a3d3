package redlock

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// printings is v in every form in which it could end up in a log: each verb,
// the two handlers of slog, JSON, and what is handed to an encoder of YAML.
func printings(t *testing.T, v any) map[string]string {
	t.Helper()
	forms := make(map[string]string)
	for _, verb := range []string{"%v", "%+v", "%#v", "%q", "%s", "%x", "%d", "%10v"} {
		forms[verb] = fmt.Sprintf(verb, v)
	}
	forms["Sprint"] = fmt.Sprint(v)
	forms["Errorf"] = fmt.Errorf("bad: %v", v).Error()
	encoded, err := json.Marshal(v)
	if err != nil {
		t.Errorf("JSON of %T: %v", v, err)
	}
	forms["json"] = string(encoded)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("text", "value", v)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("json", "value", v)
	forms["slog"] = log.String()
	if m, ok := v.(interface{ MarshalYAML() (any, error) }); ok {
		out, err := m.MarshalYAML()
		forms["yaml"] = fmt.Sprintf("%+v %v", out, err)
	}
	return forms
}

// mustHide wants none of the secrets in any printing of the values.
func mustHide(t *testing.T, secrets []string, values ...any) {
	t.Helper()
	for _, v := range values {
		for form, text := range printings(t, v) {
			for _, secret := range secrets {
				for _, spelling := range []string{secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%d", []byte(secret))} {
					if strings.Contains(text, spelling) {
						t.Errorf("%s of %T shows %q: %s", form, v, spelling, text)
					}
				}
			}
		}
	}
}

func shapes(nodes []Node) []any {
	pointers := make([]*Node, len(nodes))
	values := make([]any, 0, len(nodes)+8)
	for i := range nodes {
		pointers[i] = &nodes[i]
		values = append(values, nodes[i], &nodes[i])
	}
	cfg := Config{Nodes: nodes}
	return append(values, nodes, pointers, &nodes, map[string]Node{"n": nodes[0]}, [1]Node{nodes[0]},
		struct{ N Node }{nodes[0]}, struct{ N *Node }{&nodes[0]}, struct{ Node }{nodes[0]}, cfg, &cfg,
		[]Config{cfg}, []*Config{&cfg}, struct{ C Config }{cfg}, any(cfg))
}

func TestNoFormOfANodeOrAConfigShowsASecret(t *testing.T) {
	secrets := []string{"passw0rd", "s3ntinel", "cr3dential", "us3rname", "k3ymaterial"}
	nodes := []Node{
		{
			Host: "h", Username: "us3rname", Password: "passw0rd",
			TLSConfig: &tls.Config{Certificates: []tls.Certificate{{PrivateKey: "k3ymaterial"}}},
		},
		{Socket: "/s", Password: "passw0rd"},
		{
			Sentinels: []string{"h:1"}, Master: "m", Password: "passw0rd",
			SentinelUsername: "us3rname", SentinelPassword: "s3ntinel",
		},
		{Host: "h", Credentials: func(context.Context) (string, string, error) { return "us3rname", "cr3dential", nil }},
	}
	for _, opts := range []*redis.Options{
		{Addr: "h:1", Username: "us3rname", Password: "passw0rd"}, {Addr: "redis://us3rname:passw0rd@h:1"},
	} {
		client := redis.NewClient(opts)
		t.Cleanup(func() { _ = client.Close() })
		nodes = append(nodes, Client(client))
	}
	for _, uri := range []string{
		"redis://:passw0rd@h", "redis://us3rname:passw0rd@h", "redis://h?password=passw0rd", "rediss://:%70assw0rd@h",
		"redis://us3rname:passw0rd@h?master=m&sentinel_password=s3ntinel", "unix:///s?password=passw0rd",
	} {
		n, err := ParseNode(uri)
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, n)
	}
	mustHide(t, secrets, shapes(nodes)...)
}

func TestANodeWithAURIWhereAHostBelongsShowsNothingOfIt(t *testing.T) {
	for _, n := range []Node{
		{Host: "redis://us3rname:passw0rd@h"},
		{Host: "us3rname:passw0rd@h", Port: 1},
		{Socket: "unix://:passw0rd@/s"},
		{Socket: "/s?password=passw0rd"},
		{Sentinels: []string{"redis://:passw0rd@h"}, Master: "m"},
	} {
		mustHide(t, []string{"passw0rd"}, shapes([]Node{n})...)
		if n.String() != invalidNode {
			t.Errorf("got %v", n)
		}
	}
}

func TestANodePrintsAsItsName(t *testing.T) {
	n := Node{Host: "h", Password: "pw", DB: 2}
	for verb, want := range map[string]string{
		"%v": "h:6379/2", "%+v": "h:6379/2", "%q": `"h:6379/2"`, "%12s": "    h:6379/2",
	} {
		if got := fmt.Sprintf(verb, n); got != want {
			t.Errorf("%s: got %s, want %s", verb, got, want)
		}
		if got := fmt.Sprintf(verb, &n); got != want {
			t.Errorf("%s of a pointer: got %s, want %s", verb, got, want)
		}
	}
	if got := fmt.Sprint((*Node)(nil), (*Config)(nil)); got != "<nil> <nil>" {
		t.Errorf("nil: got %s", got)
	}
}

func TestANodeIsLoggedByItsNameAndAConfigByItsSettings(t *testing.T) {
	n := Node{Host: "h", Password: "pw", DB: 2}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "node", n, "pointer", &n, "config", Config{Nodes: []Node{n}})
	want := `"node":"h:6379/2","pointer":"h:6379/2","config":{"nodes":[{"host":"h","db":2}]}}`
	if !strings.Contains(log.String(), want) {
		t.Errorf("got %s, want %s", log.String(), want)
	}
}

func TestWhatAnEncoderOfYAMLGetsIsWhatJSONShows(t *testing.T) {
	n := Node{Host: "h", Password: "pw", DB: 2}
	for _, v := range []interface{ MarshalYAML() (any, error) }{n, &n, Config{Nodes: []Node{n}, TTL: 1}} {
		out, err := v.MarshalYAML()
		if err != nil {
			t.Fatal(err)
		}
		got, gotErr := json.Marshal(out)
		want, wantErr := json.Marshal(v)
		if gotErr != nil || wantErr != nil || string(got) != string(want) {
			t.Errorf("got %s (%v), want %s (%v)", got, gotErr, want, wantErr)
		}
	}
}

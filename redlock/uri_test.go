package redlock

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"
)

// wantConfigError wants err to be a *ConfigError for field whose message has
// part in it.
func wantConfigError(t *testing.T, err error, field, part string) {
	t.Helper()
	bad, ok := errors.AsType[*ConfigError](err)
	if !ok {
		t.Fatalf("got %v (%T), want a *ConfigError for %s", err, err, field)
	}
	if bad.Field != field || !strings.Contains(bad.Msg, part) {
		t.Errorf("got %q: %q, want %q: ...%s...", bad.Field, bad.Msg, field, part)
	}
	if !isWellFormed(bad) {
		t.Errorf("%q does not say what was expected and what was found", bad.Msg)
	}
}

// wellFormed is the one form of what a ConfigError says.
var wellFormed = regexp.MustCompile(`^expected .+, (got|but) .+$`)

func isWellFormed(e *ConfigError) bool { return e.Field != "" && wellFormed.MatchString(e.Msg) }

// shown are the parts of a Node that tests compare.
type shown struct {
	name               string
	username, password string
	tls                bool
	timeout            time.Duration
	clientName         string
}

func shownOf(n Node) shown {
	return shown{n.name(), n.Username, n.Password, n.tlsFor("h") != nil, n.connectTimeout, n.clientName}
}

var goodURIs = map[string]shown{
	"redis://localhost":              {name: "localhost:6379"},
	"redis://localhost/":             {name: "localhost:6379"},
	"redis://10.0.0.1:6380":          {name: "10.0.0.1:6380"},
	"redis://10.0.0.1:6380/0":        {name: "10.0.0.1:6380"},
	"redis://10.0.0.1:6380/2":        {name: "10.0.0.1:6380/2"},
	"redis://10.0.0.1?db=2":          {name: "10.0.0.1:6379/2"},
	"REDIS://h":                      {name: "h:6379"},
	"redis://[::1]":                  {name: "[::1]:6379"},
	"redis://[::1]:7000/1":           {name: "[::1]:7000/1"},
	"redis://[fe80::1%25eth0]:7000":  {name: "[fe80::1%eth0]:7000"},
	"redis://redis_1.internal.:7000": {name: "redis_1.internal.:7000"},
	"rediss://h":                     {name: "h:6379", tls: true},
	"rediss://h?ssl=true":            {name: "h:6379", tls: true},
	"redis://h?ssl=1":                {name: "h:6379", tls: true},
	"redis://h?ssl=False":            {name: "h:6379"},
	"redis://h?tls=true":             {name: "h:6379", tls: true},

	"redis://user@h":                     {name: "h:6379", username: "user"},
	"redis://user:@h":                    {name: "h:6379", username: "user"},
	"redis://:secret@h":                  {name: "h:6379", password: "secret"},
	"redis://user:secret@h":              {name: "h:6379", username: "user", password: "secret"},
	"redis://us%40er:p%2Fw%3A%40%25@h":   {name: "h:6379", username: "us@er", password: "p/w:@%"},
	"redis://:a+b:c@h":                   {name: "h:6379", password: "a+b:c"},
	"redis://:a@b@h":                     {name: "h:6379", password: "a@b"},
	"redis://:a,b@h":                     {name: "h:6379", password: "a,b"},
	"redis://h?password=p%26w":           {name: "h:6379", password: "p&w"},
	"redis://h?password=p@w":             {name: "h:6379", password: "p@w"},
	"redis://user@h?password=secret":     {name: "h:6379", username: "user", password: "secret"},
	"redis://h?username=u&password=pw":   {name: "h:6379", username: "u", password: "pw"},
	"redis://:pw@h/3?encoding=utf-8":     {name: "h:6379/3", password: "pw"},
	"redis://h?timeout=5":                {name: "h:6379", timeout: 5 * time.Second},
	"redis://h?timeout=0.5":              {name: "h:6379", timeout: 500 * time.Millisecond},
	"redis://h?timeout=300ms":            {name: "h:6379", timeout: 300 * time.Millisecond},
	"redis://h?dial_timeout=300ms":       {name: "h:6379", timeout: 300 * time.Millisecond},
	"redis://h?client_name=billing":      {name: "h:6379", clientName: "billing"},
	"redis://h?minsize=1&maxsize=10":     {name: "h:6379"},
	"redis://h?minsize=5":                {name: "h:6379"},
	"redis://h?pool_size=9&protocol=3":   {name: "h:6379"},
	"redis://h?max_retries=-1":           {name: "h:6379"},
	"redis://h?read_timeout=-1":          {name: "h:6379"},
	"redis://h?pool_timeout=1m":          {name: "h:6379"},
	"redis://h?pool_fifo=true":           {name: "h:6379"},
	"redis://h?identitySuffix=x":         {name: "h:6379"},
	"unix:///run/redis.sock":             {name: "unix:/run/redis.sock"},
	"unix:///run/my%20redis.sock":        {name: "unix:/run/my redis.sock"},
	"unix://u:pw@/run/redis.sock?db=3":   {name: "unix:/run/redis.sock", username: "u", password: "pw"},
	"unix:///run/redis.sock?password=pw": {name: "unix:/run/redis.sock", password: "pw"},

	"/tmp/redis.sock":          {name: "unix:/tmp/redis.sock"},
	"/tmp/my redis%20.sock":    {name: "unix:/tmp/my redis%20.sock"},
	"unix:/tmp/redis.sock":     {name: "unix:/tmp/redis.sock"},
	"localhost:6379":           {name: "localhost:6379"},
	"redis:6379":               {name: "redis:6379"}, // a host that is called redis
	"[::1]:6379":               {name: "[::1]:6379"},
	"[fe80::1%eth0]:6379":      {name: "[fe80::1%eth0]:6379"},
	"redis://:pw@h:1?master=m": {name: "sentinel:m", password: "pw"},
}

func TestAURINamesANode(t *testing.T) {
	for uri, want := range goodURIs {
		n, err := ParseNode(uri)
		if err != nil {
			t.Errorf("%s: %v", uri, err)
			continue
		}
		if got := shownOf(n); got != want {
			t.Errorf("%s: got %+v, want %+v", uri, got, want)
		}
	}
}

var malformedURIs = []struct{ uri, field, part string }{
	{"", "node", "host:port"},
	{"localhost", "node", "host:port"},
	{"tmp/redis.sock", "node", "host:port"},
	{"::1", "node", "host:port"},
	{"::1:6379", "node", "host:port"},
	{"[::1]", "node", "host:port"},
	{"[::1", "node", "host:port"},
	{"[h]:6379", "node", "host:port"},
	{"localhost:6379/1", "node.port", "whole number"},
	{"localhost:", "node.port", "whole number"},
	{":6379", "node.host", "empty"},
	{"secret99@h:6379", "node.host", "a name or an IP address"},
	{"u:secret99@h:6379", "node", "host:port"},
	{"a:6379,b:6379", "node", "host:port"},
	{" redis://h", "node", "host:port"},
	{"http://u:secret99@h", "node", "redis://"},
	{"redis+tls://h", "node", "redis://"},
	{"://h", "node", "redis://"},
	{"redis:/h", "node.port", "whole number"},
	{"redis://h ", "node", "white space"},
	{"redis://:secret 99@h", "node", "white space"},
	{"redis://:secret#99@h", "node", "#"},
	{"redis://h\n", "node", "control"},
	{"redis://h\xff", "node", "UTF-8"},

	{"redis://", "node.host", "empty"},
	{"redis:///1", "node.host", "empty"},
	{"redis://:6379", "node.host", "empty"},
	{"redis://u:secret99@:6379", "node.host", "empty"},
	{"redis://a b", "node", "white space"},
	{"redis://h%20", "node.host", "%"},
	{"redis://[fe80::1%eth0]", "node.host", "%25"},
	{"redis://[h]", "node.host", "brackets"},
	{"redis://[::1]x", "node.host", "brackets"},
	{"redis://::1", "node.host", "brackets"},
	{"redis://[::g]", "node.host", "a name or an IP address"},
	{"redis://h:", "node.port", "whole number"},
	{"redis://h:x", "node.port", "whole number"},
	{"redis://h:+1", "node.port", "whole number"},
	{"redis://h:0", "node.port", "1 to 65535"},
	{"redis://h:-1", "node.port", "1 to 65535"},
	{"redis://h:65536", "node.port", "1 to 65535"},
	{"redis://h:99999999999999999999", "node.port", "whole number"},
	{"redis://%zz:secret99@h", "node.username", "hexadecimal"},
	{"redis://u:secret%zz@h", "node.password", "hexadecimal"},

	// What a password that is not percent-encoded turns a URI into.
	{"redis://u:99/secret99@h", "node.db", "whole number"},
	{"redis://u:secret/secret99@h", "node.port", "whole number"},
	{"redis://u:secret99?x=secret99@h", "node.port", "whole number"},
	{"redis://u:99?secret99=secret99@h", "node", "percent-encoded"},
	{"redis://h?password=x&secret99", "node", "percent-encoded"},
	{"redis://h?password=x&secret99=1", "node", "percent-encoded"},
	{"redis://h?master=m&sentinel_password=x&secret99=1", "node", "percent-encoded"},

	{"redis://h/x", "node.db", "whole number"},
	{"redis://h/-1", "node.db", "out of range"},
	{"redis://h/1/", "node.db", "whole number"},
	{"redis://h/1/2", "node.db", "whole number"},
	{"redis://h//1", "node.db", "whole number"},
	{"redis://h/%31", "node.db", "whole number"},
	{"redis://h?db=", "node.db", "whole number"},
	{"redis://h?db=1.5", "node.db", "whole number"},
	{"redis://h?db=1&db=1", "node.db", "twice"},
	{"redis://h/1?db=1", "node.db", "twice"},
	{"redis://:secret99@h?password=secret99", "node.password", "twice"},
	{"redis://u@h?username=u", "node.username", "twice"},
	{"redis://h?password=secret99&password=secret99", "node.password", "twice"},
	{"redis://h?ssl=1&tls=1", "node.tls", "ssl is the same setting"},
	{"redis://h?timeout=1&dial_timeout=1", "node.dial_timeout", "timeout is the same setting"},
	{"redis://h?pool_size=1&pool_size=1", "node.pool_size", "twice"},
	{"redis://h?password=", "node.password", "empty"},
	{"redis://h?encoding=", "node.encoding", "empty"},
	{"redis://h?master=", "node.master", "empty"},
	{"redis://h?", "node", "names of settings"},
	{"redis://h?=1", "node", "names of settings"},
	{"redis://h?db=1&", "node", "names of settings"},
	{"redis://h?db=1&&ssl=1", "node", "names of settings"},
	{"redis://h?colour=red", "node.colour", "not known"},
	{"redis://h?DB=1", "node.DB", "not known"},
	{"redis://h?host=x", "node.host", "question mark"},
	{"redis://h?port=1", "node.port", "question mark"},
	{"redis://h?socket=/x", "node.socket", "question mark"},
	{"redis://h?sentinels=x", "node.sentinels", "question mark"},
	{"redis://h?db=%zz", "node", "hexadecimal"},
	{"redis://h?%zz=1", "node", "hexadecimal"},

	{"redis://h?ssl=yes", "node.ssl", "true or false"},
	{"rediss://h?ssl=false", "node.ssl", "contradicts"},
	{"redis://h?timeout=0", "node.timeout", "above 0"},
	{"redis://h?timeout=-1", "node.timeout", "above 0"},
	{"redis://h?timeout=nan", "node.timeout", "above 0"},
	{"redis://h?timeout=1e300", "node.timeout", "above 0"},
	{"redis://h?timeout=soon", "node.timeout", "seconds"},
	{"redis://h?minsize=-1", "node.minsize", "out of range"},
	{"redis://h?maxsize=0", "node.maxsize", "out of range"},
	{"redis://h?minsize=2&maxsize=1", "node.minsize", "maxsize at most"},
	{"redis://h?replicas=-1", "node.replicas", "out of range"},
	{"redis://h?client_name=a%20b", "node.client_name", "character"},
	{"redis://h?pool_size=x", "node.pool_size", "whole number"},
	{"redis://h?read_timeout=x", "node.read_timeout", "seconds"},
	{"redis://h?read_timeout=", "node.read_timeout", "empty"},
	{"redis://h?pool_fifo=x", "node.pool_fifo", "true or false"},
	{"rediss://h?skip_verify=true", "node.skip_verify", "ssl_cert_reqs"},
	{"redis://h?master_name=m", "node.master_name", "expected master in its place"},
	{"redis://h?addr=h:1", "node.addr", "commas"},

	{"unix://", "node.socket", "unix:///path"},
	{"unix:///", "node.socket", "unix:///path"},
	{"unix://tmp/redis.sock", "node.socket", "unix:///path"},
	{"unix://u:secret99@h/redis.sock", "node.socket", "unix:///path"},
	{"unix:////tmp/x", "node.socket", "absolute path"},
	{"unix:///tmp/", "node.socket", "absolute path"},
	{"unix:///tmp/%3Fx", "node.socket", "question mark"},
	{"unix:///tmp/%0Ax", "node.socket", "control character"},
	{"unix:///tmp/%80x", "node.socket", "expected UTF-8"},
	{"redis://a,b?master=%80", "node.master", "expected UTF-8"},
	{"unix:///tmp/%zz", "node.socket", "hexadecimal"},
	{"unix:///tmp/x?ssl=true", "node.tls", "unix socket"},
	{"unix:///tmp/x?master=m", "node.master", "Sentinels"},
	{"unix:tmp/x", "node.port", "whole number"},
	{"/", "node.socket", "absolute path"},
	{"//tmp/x", "node.socket", "absolute path"},
	{"/tmp/x?password=secret99", "node.socket", "unix:///path"},
	{"/tmp/x,/tmp/y", "node.socket", "comma"},
	{"/tmp/x\x00", "node", "control"},
}

func TestAMalformedURINamesTheFieldAndShowsNothingOfThePassword(t *testing.T) {
	for _, c := range malformedURIs {
		n, err := ParseNode(c.uri)
		if err == nil {
			t.Errorf("%s was taken as %v", c.uri, n)
			continue
		}
		t.Run(c.uri, func(t *testing.T) { wantConfigError(t, err, c.field, c.part) })
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows the password: %v", c.uri, err)
		}
	}
}

func TestAURIWithAMasterNamesSentinels(t *testing.T) {
	for uri, want := range map[string]string{
		"redis://h?master=m":                        "h:26379",
		"redis://h:1?master=m":                      "h:1",
		"redis://a,b:2,[::1],[::1]:3/5?master=m":    "a:26379 b:2 [::1]:26379 [::1]:3",
		"redis://[fe80::1%25eth0],b?master=m":       "[fe80::1%eth0]:26379 b:26379",
		"rediss://u:pw@a,b/5?master=m&replicas=1":   "a:26379 b:26379",
		"redis://a?master=m&sentinel_tls=true":      "a:26379",
		"redis://a?master=m&sentinel_username=u":    "a:26379",
		"redis://a?master=m&sentinel_password=pass": "a:26379",
	} {
		n, err := ParseNode(uri)
		if err != nil {
			t.Errorf("%s: %v", uri, err)
			continue
		}
		if got := strings.Join(n.Sentinels, " "); got != want || n.Master != "m" || n.Host != "" || n.Port != 0 {
			t.Errorf("%s: got sentinels %q of %q beside %q:%d, want %q", uri, got, n.Master, n.Host, n.Port, want)
		}
	}
}

func TestTheCredentialsOfASentinelURIAreTheMasters(t *testing.T) {
	n, err := ParseNode("rediss://u:pw@a,b/5?master=m&sentinel_username=su&sentinel_password=sp&sentinel_tls=1&replicas=2")
	if err != nil {
		t.Fatal(err)
	}
	if n.Username != "u" || n.Password != "pw" || n.DB != 5 || !n.TLS || n.Replicas != 2 {
		t.Errorf("master: got %q, %q, db %d, tls %v, replicas %d", n.Username, n.Password, n.DB, n.TLS, n.Replicas)
	}
	if n.SentinelUsername != "su" || n.SentinelPassword != "sp" || !n.SentinelTLS {
		t.Errorf("sentinel: got %q, %q, tls %v", n.SentinelUsername, n.SentinelPassword, n.SentinelTLS)
	}
}

func TestSeveralHostsOrSentinelSettingsWithoutAMasterAreAnError(t *testing.T) {
	for _, c := range []struct{ uri, field, part string }{
		{"redis://a,b", "node.master", "name of the master"},
		{"redis://a:26379,b:26379/0", "node.master", "name of the master"},
		{"redis://h?sentinel_tls=true", "node.sentinel_tls", "Sentinels"},
		{"redis://h?sentinel_username=u", "node.sentinel_username", "Sentinels"},
		{"redis://h?sentinel_password=secret99", "node.sentinel_password", "Sentinels"},
		{"redis://a,?master=m", "node.sentinels[1]", "host:port"},
		{"redis://,a?master=m", "node.sentinels[0]", "host:port"},
		{"redis://a,b:0?master=m", "node.sentinels[1]", "host:port"},
		{"redis://a,b:?master=m", "node.sentinels[1]", "host:port"},
		{"redis://a,::1?master=m", "node.sentinels[1]", "host:port"},
		{"redis://a,b%20?master=m", "node.host", "%"},
		{"redis://a?master=a%20b", "node.master", "white space"},
	} {
		_, err := ParseNode(c.uri)
		t.Run(c.uri, func(t *testing.T) { wantConfigError(t, err, c.field, c.part) })
	}
	if n, err := ParseNode("redis://h:26379/0"); err != nil || n.name() != "h:26379" {
		t.Errorf("a host on Sentinel's port without a master is a plain node: got %v, %v", n, err)
	}
}

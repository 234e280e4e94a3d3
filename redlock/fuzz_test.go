package redlock

import (
	"encoding/json"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// FuzzParseNode: whatever the text, there is no panic, every error is a
// *ConfigError, no password shows, and the name of what was accepted leads to the
// same address.
func FuzzParseNode(f *testing.F) {
	for _, text := range []string{
		"redis://localhost:6379/2", "rediss://us3rname:passw0rd@h?ssl_cert_reqs=CERT_NONE", "unix://:passw0rd@/run/s?db=1",
		"redis://:passw0rd@a:26379,b,[::1]:1/5?master=leader&sentinel_password=s3ntinelpw&sentinel_tls=true",
		"/tmp/redis.sock", "unix:/tmp/redis.sock", "localhost:6379", "[fe80::1%eth0]:6379",
		"redis://h?password=passw0rd&timeout=1.5&dial_timeout=5s", "redis://u:passw0rd?1@h",
		"redis://h?pool_size=9&skip_verify=true", "http://u:passw0rd@h",
		"redis://h?minsize=1&maxsize=2&encoding=utf-8&replicas=1&client_name=x", "redis://h?colour=red", "redis://h?db=",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := ParseNode(text)
		checkParsed(t, text, []Node{n}, err)
	})
}

// FuzzParseNodes is FuzzParseNode for the decoder behind JSON, YAML, Go values
// and the environment variable.
func FuzzParseNodes(f *testing.F) {
	for _, text := range []string{
		`"redis://:passw0rd@a,redis://b"`, `["redis://a", ["b", 6379], {"host": "c"}, "/d"]`,
		`[{"host": "h", "port": 1, "db": 2, "username": "us3rname", "password": "passw0rd", "ssl": true, "timeout": 1.5}]`,
		`[{"sentinels": [["h", 26379], "h:26379"], "master": "m", "sentinel_password": "s3ntinelpw"}]`,
		`[{"host": "h", "port": 5, "master": "m", "sentinel_tls": true, "replicas": 1, "password": null}]`,
		`[{"socket": "/s", "minsize": 1, "maxsize": 2, "encoding": "x", "client_name": "y"}]`, `null`, `5`, `[[]]`, `[{}]`,
		`[{"host": "h", "ssl": true, "ssl_cert_reqs": "CERT_NONE", "ssl_ca_certs": "/", "ssl_certfile": "x"}]`,
		`"a:1,b:2 /c"`, `[[["h", 1]]]`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var v any
		if json.Unmarshal([]byte(text), &v) != nil {
			return
		}
		nodes, err := ParseNodes(v)
		canonical, encodeErr := json.Marshal(v)
		if encodeErr != nil {
			t.Fatal(encodeErr)
		}
		checkParsed(t, string(canonical), nodes, err)
		if _, again := ParseNodes(json.RawMessage(text)); (again == nil) != (err == nil) {
			t.Errorf("as an any: %v; as JSON: %v", err, again)
		}
	})
}

func checkParsed(t *testing.T, input string, nodes []Node, err error) {
	t.Helper()
	if err != nil {
		if _, ok := errors.AsType[*ConfigError](err); !ok {
			t.Fatalf("%T is no *ConfigError: %v", err, err)
		}
		for _, secret := range slipped(input) {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error shows %q: %v", secret, err)
			}
		}
		return
	}
	var secrets []string
	for _, n := range nodes {
		secrets = append(secrets, telling(input, n.Password, n.SentinelPassword)...)
		checkName(t, n)
	}
	mustHide(t, secrets, shapes(nodes)...)
}

var (
	// passwordPlaces find what may be a password, or a part of one, also where
	// the rest makes no sense: in a URI, from the first colon to the last @, and
	// all that follows the key; in a mapping, the value.
	passwordPlaces = regexp.MustCompile(
		`(?s:://[^:"]*:([^"]*)@)|(?s:password=([^"]*))|(?s:password":"((?:[^"\\]|\\.)*)")`)
	longWord = regexp.MustCompile(`[0-9A-Za-z]{6,}`)
)

// slipped are the words of input that may belong to a password.
func slipped(input string) []string {
	var words []string
	for _, place := range passwordPlaces.FindAllStringSubmatch(input, -1) {
		words = append(words, longWord.FindAllString(strings.Join(place[1:], " "), -1)...)
	}
	return telling(input, words...)
}

// telling are the words whose sight in an error or a name would mean something:
// long, with a digit and a letter in them, and at one place of the input only.
func telling(input string, words ...string) []string {
	unescaped, err := url.QueryUnescape(input)
	if err != nil {
		unescaped = input
	}
	return slices.DeleteFunc(slices.Clone(words), func(word string) bool {
		return len(word) < 6 || !strings.ContainsAny(word, "0123456789") || strings.Trim(word, "0123456789.:") == "" ||
			strings.Count(input, word) > 1 || strings.Count(unescaped, word) > 1
	})
}

// checkName wants a name that leads back to the node's address. That of a
// Sentinel's master holds none.
func checkName(t *testing.T, n Node) {
	t.Helper()
	if len(n.Sentinels) > 0 {
		return
	}
	name := n.name()
	if n.DB != 0 && n.Socket == "" {
		// Only a URI has a database; it writes a zone's % as %25.
		name = "redis://" + strings.ReplaceAll(name, "%", "%25")
	}
	again, err := ParseNode(name)
	if err != nil {
		t.Fatalf("the name %q is not taken back: %v", name, err)
	}
	network, address := n.network()
	if network2, address2 := again.network(); network2 != network || address2 != address {
		t.Errorf("%s leads to %s %s, not to %s %s", name, network2, address2, network, address)
	}
	if again.name() != n.name() && n.Socket == "" {
		t.Errorf("the name %s became %s", n.name(), again.name())
	}
}

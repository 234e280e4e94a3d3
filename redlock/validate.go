package redlock

import (
	"context"
	"net/netip"
	"path"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"
)

// validate finds what can be wrong with a Node before it is used. at is where
// the node stands, such as nodes[2]. No error repeats what was given: a
// password may be in the wrong place.
func (n *Node) validate(at string) error {
	if n.client != nil {
		return n.validateClient(at)
	}
	if err := n.validatePlace(at); err != nil {
		return err
	}
	switch {
	case n.Credentials != nil && (n.Username != "" || n.Password != ""):
		return configErrorf(at+".Credentials", "expected no username or password beside it, got one")
	case n.Socket != "" && (n.TLS || n.TLSConfig != nil):
		return configErrorf(at+".tls", "expected no TLS for a unix socket, but it is set")
	case n.DB < 0:
		return configErrorf(at+".db", "expected 0 or more, got %d", n.DB)
	case n.Replicas < 0:
		return configErrorf(at+".replicas", "expected 0 or more, got %d", n.Replicas)
	}
	return nil
}

func (n *Node) validateClient(at string) error {
	if v := reflect.ValueOf(n.client); v.Kind() == reflect.Pointer && v.IsNil() {
		return configErrorf(at, "expected a client, got a nil client")
	}
	// What embeds one of these is found too.
	type sharded interface {
		ForEachShard(ctx context.Context, fn func(ctx context.Context, client *redis.Client) error) error
	}
	switch n.client.(type) {
	case sharded:
		return configErrorf(at, "expected a client of one server, got a Cluster or Ring client, "+
			"which spreads keys over servers of its own choice: a node is one server")
	case *redis.AutoPipeliner:
		return configErrorf(at, "expected the client itself, got an AutoPipeliner, which hides its server")
	}
	rest := *n
	rest.client = nil
	if !reflect.ValueOf(rest).IsZero() {
		return configErrorf(at, "expected no other settings beside a client, got one: a client brings its own")
	}
	return nil
}

// validatePlace wants exactly one of a host, a socket and Sentinels.
func (n *Node) validatePlace(at string) error {
	host := n.Host != "" || n.Port != 0
	switch {
	case n.Sentinels != nil:
		if host || n.Socket != "" {
			return configErrorf(at+".sentinels", "expected no host, port or socket beside them, got one")
		}
		return n.validateSentinels(at)
	case n.Master != "":
		return configErrorf(at+".master", "expected the addresses of Sentinels (sentinels) beside it, got none")
	case n.SentinelUsername != "":
		return configErrorf(at+".sentinel_username", "expected the addresses of Sentinels (sentinels) beside it, got none")
	case n.SentinelPassword != "":
		return configErrorf(at+".sentinel_password", "expected the addresses of Sentinels (sentinels) beside it, got none")
	case n.SentinelTLS:
		return configErrorf(at+".sentinel_tls", "expected the addresses of Sentinels (sentinels) beside it, got none")
	case n.Socket != "" && host:
		return configErrorf(at+".socket", "expected no host or port beside it, got one")
	case n.Socket != "":
		return validateSocket(n.Socket, at+".socket")
	case n.Host == "":
		return configErrorf(at+".host", "expected a host, a socket or Sentinels, got none")
	case !isHost(n.Host):
		return configErrorf(at+".host", "expected a name or an IP address, IPv6 without brackets here, got other text")
	case n.Port < 0 || n.Port > maxPort:
		return configErrorf(at+".port", "expected 1 to %d, got %d", maxPort, n.Port)
	}
	return nil
}

func (n *Node) validateSentinels(at string) error {
	if len(n.Sentinels) == 0 {
		return configErrorf(at+".sentinels", "expected at least one address, got an empty list")
	}
	for i, address := range n.Sentinels {
		if _, err := parseSentinel(address, atIndex(at+".sentinels", i)); err != nil {
			return err
		}
	}
	if n.Master == "" {
		return configErrorf(at+".master", "expected the name of the master behind Sentinels or several hosts, got none")
	}
	if !utf8.ValidString(n.Master) || strings.ContainsFunc(n.Master, notGraphic) {
		return configErrorf(at+".master", "expected UTF-8 without white space and control characters, got other text")
	}
	return nil
}

// validateSocket refuses what would not survive in a list of URIs, and a query
// that was appended to a bare path.
func validateSocket(socket, at string) error {
	switch {
	case socket[0] != '/' || strings.HasPrefix(socket, "//") || strings.HasSuffix(socket, "/"):
		return configErrorf(at, "expected an absolute path with one slash in front, got other text")
	case !utf8.ValidString(socket):
		return configErrorf(at, "expected UTF-8, got other text")
	case strings.ContainsAny(socket, "?,") || strings.ContainsFunc(socket, unicode.IsControl):
		return configErrorf(at, "expected no comma, question mark or control character in it, got one: "+
			"settings for a socket are written as unix:///path?db=1")
	}
	return nil
}

// sameServer reports whether two nodes are one server as far as their settings
// tell. Databases of one server fail together, so they make no difference.
func (n *Node) sameServer(other *Node) bool {
	switch {
	case n.client != nil || other.client != nil:
		return sameClient(n.client, other.client)
	case n.Master != "" || other.Master != "":
		return n.Master == other.Master && slices.ContainsFunc(n.Sentinels, func(address string) bool {
			return slices.ContainsFunc(other.Sentinels, func(s string) bool { return strings.EqualFold(address, s) })
		})
	case n.Socket != "" || other.Socket != "":
		return path.Clean(n.Socket) == path.Clean(other.Socket)
	}
	return canonicalHost(n.Host) == canonicalHost(other.Host) && n.port() == other.port()
}

func sameClient(a, b redis.UniversalClient) bool {
	return a != nil && b != nil && reflect.TypeOf(a) == reflect.TypeOf(b) &&
		reflect.ValueOf(a).Comparable() && a == b
}

// canonicalHost makes the spellings of one host equal.
func canonicalHost(host string) string {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().String()
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

func notGraphic(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }

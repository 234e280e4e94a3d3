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
		return configErrorf(at+".credentials", "cannot be combined with a username or password")
	case n.Socket != "" && (n.TLS || n.TLSConfig != nil):
		return configErrorf(at+".tls", "is set for a unix socket, which has none")
	case n.DB < 0:
		return configErrorf(at+".db", "is negative; expected the number of a database")
	case n.Replicas < 0:
		return configErrorf(at+".replicas", "is negative; expected a number of replicas, or 0")
	}
	return nil
}

func (n *Node) validateClient(at string) error {
	if v := reflect.ValueOf(n.client); v.Kind() == reflect.Pointer && v.IsNil() {
		return configErrorf(at, "is a nil client")
	}
	// What embeds one of these is found too.
	type sharded interface {
		ForEachShard(ctx context.Context, fn func(ctx context.Context, client *redis.Client) error) error
	}
	switch n.client.(type) {
	case sharded:
		return configErrorf(at, "is a Cluster or Ring client, which spreads keys over servers of its own choice; "+
			"a node is one server")
	case *redis.AutoPipeliner:
		return configErrorf(at, "is an AutoPipeliner, which hides its server; expected the client itself")
	}
	rest := *n
	rest.client = nil
	if !reflect.ValueOf(rest).IsZero() {
		return configErrorf(at, "has a client and other settings; a client brings its own")
	}
	return nil
}

// validatePlace wants exactly one of a host, a socket and Sentinels.
func (n *Node) validatePlace(at string) error {
	host := n.Host != "" || n.Port != 0
	switch {
	case n.Sentinels != nil:
		if host || n.Socket != "" {
			return configErrorf(at+".sentinels", "cannot be combined with a host, port or socket")
		}
		return n.validateSentinels(at)
	case n.Master != "":
		return configErrorf(at+".master", "needs the addresses of Sentinels")
	case n.SentinelUsername != "":
		return configErrorf(at+".sentinel_username", "needs the addresses of Sentinels")
	case n.SentinelPassword != "":
		return configErrorf(at+".sentinel_password", "needs the addresses of Sentinels")
	case n.SentinelTLS:
		return configErrorf(at+".sentinel_tls", "needs the addresses of Sentinels")
	case n.Socket != "" && host:
		return configErrorf(at+".socket", "cannot be combined with a host or port")
	case n.Socket != "":
		return validateSocket(n.Socket, at+".socket")
	case n.Host == "":
		return configErrorf(at+".host", "is missing; expected a host, a socket or Sentinels")
	case !isHost(n.Host):
		return configErrorf(at+".host", "is not a host; expected a name or an IP address, IPv6 without brackets here")
	case n.Port < 0 || n.Port > maxPort:
		return configErrorf(at+".port", "is out of range; expected 1 to %d", maxPort)
	}
	return nil
}

func (n *Node) validateSentinels(at string) error {
	if len(n.Sentinels) == 0 {
		return configErrorf(at+".sentinels", "is empty; expected at least one address")
	}
	for i, address := range n.Sentinels {
		if _, err := parseSentinel(address, atIndex(at+".sentinels", i)); err != nil {
			return err
		}
	}
	if n.Master == "" {
		return configErrorf(at+".master", "is missing; Sentinels, or several hosts, need the name of the master")
	}
	if !utf8.ValidString(n.Master) || strings.ContainsFunc(n.Master, notGraphic) {
		return configErrorf(at+".master", "has white space or a control character in it, or is not UTF-8")
	}
	return nil
}

// validateSocket refuses what would not survive in a list of URIs, and a query
// that was appended to a bare path.
func validateSocket(socket, at string) error {
	switch {
	case socket[0] != '/' || strings.HasPrefix(socket, "//") || strings.HasSuffix(socket, "/"):
		return configErrorf(at, "is not a socket; expected an absolute path, with one slash in front")
	case !utf8.ValidString(socket):
		return configErrorf(at, "is not UTF-8")
	case strings.ContainsAny(socket, "?,") || strings.ContainsFunc(socket, unicode.IsControl):
		return configErrorf(at, "has a comma, question mark or control character in it; "+
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

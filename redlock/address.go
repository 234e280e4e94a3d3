package redlock

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/redis/go-redis/v9"
)

const (
	redisPort    = 6379 // where the port can be left out
	sentinelPort = 26379
	maxPort      = 65535
)

// Node is one server, or one master that Sentinel names. In JSON and YAML it is
// a URI, a pair [host, port] or a mapping; see [ParseNodes].
//
// Printed, logged or encoded as JSON or YAML, a Node leaves its credentials
// out. A struct of the caller's own that keeps a Node in an unexported field
// has to see to that itself: package fmt calls no method of such a field.
type Node struct {
	Host   string // a name, an IPv4 address, or an IPv6 address without brackets
	Port   int    // Defaults to 6379.
	Socket string // the absolute path of a unix socket, in place of Host and Port
	DB     int    // the number of the database

	Username, Password string

	// Credentials is asked at each connection, in place of Username and Password.
	// It must return when ctx ends.
	Credentials func(ctx context.Context) (username, password string, err error)

	// Dialer opens connections to the node, and to its Sentinels: through a proxy,
	// say, or a tunnel. It must return when ctx ends, which is when connecting has
	// taken too long. The connections must heed deadlines; TLS is spoken inside of
	// them. Errors and logs repeat what it fails with. Two nodes cannot have one
	// address, Dialer or not. Defaults to that of a [net.Dialer].
	Dialer func(ctx context.Context, network, address string) (net.Conn, error)

	TLS       bool
	TLSConfig *tls.Config // implies TLS; ServerName defaults to the host

	// Sentinels are asked for the address of Master, in place of Host and Port.
	// Each is host:port. The port defaults to 26379.
	Sentinels                          []string
	Master                             string // the name that Sentinel knows it by
	SentinelUsername, SentinelPassword string

	// SentinelTLS is TLS with the Sentinels. It uses the roots and certificates of
	// TLSConfig, which implies TLS with the master too.
	SentinelTLS bool

	// Replicas is how many replicas must have confirmed what a grant, an Extend or
	// the removal of an expiry has written (WAIT) before this node's vote counts.
	// Only all replicas of the master close the gap of a failover, and a promoted
	// one whose clock is ahead still ends locks earlier by that difference.
	// Defaults to none.
	Replicas int

	client         redis.UniversalClient
	clientName     string
	connectTimeout time.Duration // 0: the library's own
}

// Addr is the node at host and port. An IPv6 host is written without brackets.
func Addr(host string, port int) Node { return Node{Host: host, Port: port} }

// Client makes a node of a client that stays the caller's: its settings, hooks
// and pool are used as they are, and it is never closed. It must talk to a
// single server: a Cluster or Ring client is a *ConfigError from [New].
func Client(client redis.UniversalClient) Node {
	if client == nil {
		// So that the error can tell it from a Node without an address.
		client = (*redis.Client)(nil)
	}
	return Node{client: client}
}

// name is what the node is called in errors and logs. It holds no secret.
func (n *Node) name() string {
	if len(n.Sentinels) > 0 {
		return "sentinel:" + n.Master
	}
	network, address := n.network()
	if n.client != nil {
		network, address, _ = clientAddress(n.client)
	}
	switch db := n.database(); {
	case network == "unix":
		return "unix:" + address
	case db != 0:
		return address + "/" + strconv.Itoa(db)
	}
	return address
}

// nodeNames are the names of a manager's nodes. Where several have the same one
// their places are added, so that errors tell them apart: go-redis calls every
// failover client FailoverClient, and Sentinels of their own may use one name.
func nodeNames(nodes []Node) []string {
	names, many := make([]string, len(nodes)), make(map[string]int)
	for i := range nodes {
		names[i] = nodes[i].name()
		many[names[i]]++
	}
	for i, name := range names {
		if many[name] > 1 {
			names[i] = name + " (" + atIndex("nodes", i) + ")"
		}
	}
	return names
}

// network is where a plain node is dialled.
func (n *Node) network() (network, address string) {
	if n.Socket != "" {
		return "unix", n.Socket
	}
	return "tcp", joinPort(n.Host, n.port())
}

// database is the number of the node's database.
func (n *Node) database() int {
	if n.client == nil {
		return n.DB
	}
	_, _, db := clientAddress(n.client)
	return db
}

func (n *Node) port() int { return cmp.Or(n.Port, redisPort) }

// clientAddress is where a user's client says that it connects to. Whoever gave
// it a URI for an address gets the host back, not the password.
func clientAddress(client redis.UniversalClient) (network, address string, db int) {
	single, ok := client.(interface{ Options() *redis.Options })
	if !ok || single.Options() == nil {
		return "tcp", "client", 0
	}
	opts := single.Options()
	address = opts.Addr[strings.LastIndexByte(opts.Addr, '@')+1:]
	address, _, _ = strings.Cut(address, "?")
	return opts.Network, address, opts.DB
}

func joinPort(host string, port int) string {
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// cutPort splits host[:port]. The brackets of an IPv6 host are taken off; port
// is empty, and colon false, where there is none.
func cutPort(address string) (host, port string, colon, ok bool) {
	if inner, bracket := strings.CutPrefix(address, "["); bracket {
		host, rest, closed := strings.Cut(inner, "]")
		port, colon = strings.CutPrefix(rest, ":")
		return host, port, colon, closed && strings.Contains(host, ":") && (colon || rest == "")
	}
	host, port, colon = strings.Cut(address, ":")
	return host, port, colon, !strings.Contains(port, ":")
}

// parsePort reads decimal digits and nothing else.
func parsePort(text string) (port int, ok bool) {
	port, err := strconv.Atoi(text)
	return port, err == nil && strconv.Itoa(port) == text && 1 <= port && port <= maxPort
}

// parseSentinel brings host[:port] into the form host:port.
func parseSentinel(address, path string) (string, error) {
	host, text, colon, ok := cutPort(address)
	port := sentinelPort
	if ok && colon {
		port, ok = parsePort(text)
	}
	if !ok || !isHost(host) {
		return "", configErrorf(path, "expected host:port, an IPv6 host in brackets, got other text")
	}
	return joinPort(host, port), nil
}

// isHost reports whether host can be a name or an IP address. It is strict, so
// that a URI in the wrong place is found before a resolver sees its password.
func isHost(host string) bool {
	if strings.Contains(host, ":") {
		ip, err := netip.ParseAddr(host)
		return err == nil && (ip.Zone() == "" || isName(ip.Zone()))
	}
	return isName(host)
}

func isName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_.", r)
	})
}

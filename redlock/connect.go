package redlock

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	// connectTimeout bounds connecting: dial, TLS, handshake and checks together.
	connectTimeout = 2 * time.Second

	// masterTimeout bounds the same for a master that Sentinel has just named. If
	// it stays silent another one may be named by now.
	masterTimeout = time.Second
)

// serverInfo is what a server says about itself. Empty fields were not told.
type serverInfo struct {
	id                int64 // of the connection
	role, mode, runID string
}

// connect opens a stream that is ready for commands: authenticated, on the
// right database, to a server that may vote. The dial alone is bounded by
// dialing.
func (n *node) connect(ctx context.Context, dialing time.Duration) (*stream, error) {
	ctx, cancel := context.WithTimeout(ctx, n.connectTimeout())
	defer cancel()
	network, address := n.cfg.network()
	if n.sentinel != nil {
		var err error
		if address, err = n.sentinel.resolve(ctx); err != nil {
			return nil, err
		}
		network = "tcp"
		ctx, cancel = context.WithTimeout(ctx, cmp.Or(n.cfg.connectTimeout, masterTimeout))
		defer cancel()
	}
	conn, client, err := n.open(ctx, network, address, dialing)
	if err != nil {
		return nil, n.explain(err)
	}
	s := &stream{n: n, conn: conn, client: client, address: address,
		ended: make(chan struct{}), closed: make(chan struct{}),
		wake: make(chan struct{}, 1), turn: make(chan struct{}, 1)}
	// go-redis heeds a deadline, and not that ctx is cancelled.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	err = s.prepare(ctx)
	if !stop() { // the closed connection is not what is wrong
		err = ctx.Err()
	}
	if err != nil {
		_ = client.Close()
		_ = conn.Close()
		return nil, n.explain(err)
	}
	if err := n.admit(s); err != nil {
		_ = client.Close()
		return nil, err
	}
	return s, nil
}

// open dials, and makes a client around the open connection. Only then go-redis:
// its pool would cache a failed dial, probe by itself and log each one.
func (n *node) open(
	ctx context.Context, network, address string, dialing time.Duration,
) (net.Conn, *redis.Client, error) {
	conn, err := n.dial(ctx, network, address, dialing)
	if err != nil {
		return nil, nil, err
	}
	return conn, redis.NewClient(n.options(conn)), nil
}

// aside connects once more to the server that the node's stream leads to, for
// what must not hold up the commands of locks: until ctx or the stream ends,
// which is told by ended. The caller closes the client.
func (n *node) aside(ctx context.Context) (client *redis.Client, ended <-chan struct{}, err error) {
	n.mu.Lock()
	s := n.stream
	n.mu.Unlock()
	if s == nil {
		return nil, nil, connErrorf("its connection has ended")
	}
	network, _ := n.cfg.network()
	conn, client, err := n.open(ctx, network, s.address, n.connectTimeout())
	if err != nil {
		return nil, nil, n.explain(err)
	}
	context.AfterFunc(ctx, func() { _ = conn.Close() }) // go-redis heeds a deadline alone
	return client, s.ended, nil
}

func (n *node) connectTimeout() time.Duration {
	return cmp.Or(n.cfg.connectTimeout, connectTimeout)
}

var errCredentials = errors.New("Credentials")

// options are those of a client around one open connection to the node.
func (n *node) options(conn net.Conn) *redis.Options {
	opts := oneConnection(conn)
	opts.ClientName = n.cfg.clientName
	opts.Username, opts.Password = login(n.cfg.Username, n.cfg.Password)
	if ask := n.cfg.Credentials; ask != nil {
		opts.CredentialsProviderContext = func(ctx context.Context) (string, string, error) {
			username, password, err := ask(ctx)
			if err != nil {
				return "", "", fmt.Errorf("%w: %w", errCredentials, err)
			}
			username, password = login(username, password)
			return username, password, nil
		}
	}
	opts.DB = n.cfg.DB
	return opts
}

// login is what go-redis is to log in with. It logs in only with a password,
// and a user may have none: such a user (nopass) accepts any.
func login(username, password string) (string, string) {
	if username != "" && password == "" {
		password = "none"
	}
	return username, password
}

// oneConnection makes options for a client that has conn and will get no other.
// go-redis' defaults are wrong for a lock, and are replaced here for all: a
// command that is sent again could see its own key, and a context's deadline
// has to count.
func oneConnection(conn net.Conn) *redis.Options {
	opened := make(chan net.Conn, 1)
	opened <- conn
	address := "" // that of a user's connection need not be known
	if remote := conn.RemoteAddr(); remote != nil {
		address = remote.String()
	}
	return &redis.Options{
		Addr: address,
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			select {
			case conn := <-opened:
				return conn, nil
			default:
				return nil, net.ErrClosed
			}
		},
		Protocol:                 2,
		PoolSize:                 1,
		MaxRetries:               -1,
		DialerRetries:            1,
		ContextTimeoutEnabled:    true,
		ReadBufferSize:           4 << 10,
		WriteBufferSize:          4 << 10,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// prepare has go-redis make the handshake, then asks the server what it is and
// loads the scripts, in one round trip.
func (s *stream) prepare(ctx context.Context) error {
	conn := s.client.Conn()
	if err := conn.Ping(ctx).Err(); err != nil {
		return err
	}
	deadline, _ := ctx.Deadline()
	if err := s.conn.SetDeadline(deadline); err != nil {
		return err
	}
	replies, err := s.introduce()
	if err != nil {
		return withoutPorts(err)
	}
	s.server = readServer(replies[0], replies[1])
	for i, r := range replies[2:] {
		if s.prefix[i+1], err = prefixFor(script(i+1), r); err != nil {
			return err
		}
	}
	return s.conn.SetDeadline(time.Time{})
}

// introduce sends HELLO, INFO and the scripts, and returns the answers in that
// order.
func (s *stream) introduce() ([]reply, error) {
	b := appendCommand(nil, "HELLO")
	b = appendCommand(b, "INFO", "server")
	for _, text := range scriptText[1:] {
		b = appendCommand(b, "SCRIPT", "LOAD", text)
	}
	if _, err := s.conn.Write(b); err != nil {
		return nil, err
	}
	var (
		buf     = make([]byte, 0, 8<<10)
		replies []reply
		used    int
	)
	for len(replies) < 1+int(scriptCount) {
		r, size, err := parseReply(buf[used:])
		if err != nil {
			return nil, err
		}
		if size > 0 {
			replies = append(replies, r)
			used += size
			continue
		}
		if len(buf) > maxReply {
			return nil, errOutOfStep
		}
		buf = slices.Grow(buf, 4<<10)
		read, err := s.conn.Read(buf[len(buf):cap(buf)])
		if err != nil {
			return nil, err
		}
		buf = buf[:len(buf)+read]
	}
	return replies, nil
}

// spelledPrefix is what stands before a script's body where a node is sent the
// whole text.
var spelledPrefix = func() (p [scriptCount][]byte) {
	for i := script(1); i < scriptCount; i++ {
		p[i] = scriptPrefix(i, "EVAL", scriptText[i])
	}
	return p
}()

// prefixFor returns what stands before a script's body on a node that answered
// SCRIPT LOAD with r. The digest is the node's: SHA-1 is not ours to compute
// where only FIPS 140 algorithms may be used. A user who may not load scripts
// sends them in full.
func prefixFor(i script, r reply) ([]byte, error) {
	switch {
	case r.kind == '-':
		return spelledPrefix[i], nil
	case r.kind != '$' || len(r.text) != 40:
		return nil, errOutOfStep
	}
	return scriptPrefix(i, "EVALSHA", string(r.text)), nil
}

// readServer reads the answers to HELLO and to INFO server. A proxy or an
// access list may refuse either.
func readServer(hello, info reply) (s serverInfo) {
	for i := 0; i+1 < len(hello.items); i += 2 {
		value := hello.items[i+1]
		switch string(hello.items[i].text) {
		case "id":
			s.id = value.n
		case "role":
			s.role = string(value.text)
		case "mode":
			s.mode = string(value.text)
		}
	}
	for line := range strings.Lines(string(info.text)) {
		if id, ok := strings.CutPrefix(line, "run_id:"); ok && info.kind == '$' {
			s.runID = strings.TrimSpace(id)
		}
	}
	return s
}

// secure reports whether the node is spoken to in TLS.
func (n *node) secure() bool {
	if single, ok := n.cfg.client.(interface{ Options() *redis.Options }); ok {
		return single.Options().TLSConfig != nil
	}
	return n.cfg.TLS || n.cfg.TLSConfig != nil
}

// path is the node's place in the configuration.
func (n *node) path() string { return "nodes[" + strconv.Itoa(n.index) + "]" }

package redlock

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Manager takes locks on a quorum of independent nodes. It is safe for
// concurrent use. Make one for a process, and close it at the end.
//
// Of every call that takes a ctx, here and of a [Lock], but of Close and for what
// Do's fn returns: the error of a bad argument is a *ConfigError, that of a
// manager that is closing [ErrClosed], and any other matches the error of ctx too
// if that had ended.
type Manager struct {
	cfg     *Config // a pointer, so that no way of printing a Manager follows it
	label   string  // of the owner, behind the random part of a token
	log     *slog.Logger
	hooks   *Hooks // nil: none
	events  events // for the hooks
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	ping    request
	nodes   []*node
	servers servers
	uses    *uses // a pointer, so that no way of printing a Lock shows its tokens
	lines   lines

	renewals renewals

	open  context.Context // ends when Close begins: calls in progress return
	shut  context.CancelFunc
	life  context.Context // of the nodes: ends when Close has released everything
	die   context.CancelFunc
	tasks errgroup.Group // what outlives a call or a connection; Close waits for them, and they for all others

	calls  atomic.Int64  // in progress
	closed atomic.Bool   // no call may begin
	quiet  chan struct{} // capacity 1: calls may have come down to 0

	mu     sync.Mutex
	held   map[string]*Lock // by key; guarded by mu; nil: no lock may be added
	ending chan struct{}    // guarded by mu: closed when the first Close is done
}

// Open is New with default settings for the nodes at uris. None given:
// redis://localhost:6379.
func Open(uris ...string) (*Manager, error) {
	var cfg Config
	if len(uris) > 0 {
		nodes, err := ParseNodes(uris)
		if err != nil {
			return nil, err
		}
		cfg.Nodes = nodes
	}
	return New(cfg)
}

// New makes a manager. It does no I/O: connections are made at first use, and
// [Manager.Ping] is there for those who want to fail early. Nodes nil is
// redis://localhost:6379; an empty, non-nil Nodes is a *ConfigError, as is
// every other bad setting.
func New(cfg Config, opts ...Option) (*Manager, error) {
	cfg, warnings, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	m := &Manager{
		cfg:   &cfg,
		label: "@" + cfg.Owner,
		log:   slog.New(slog.DiscardHandler),
		dial:  new(net.Dialer).DialContext,
		ping:  pingRequest(),
		quiet: make(chan struct{}, 1),
		uses:  new(uses),
		held:  make(map[string]*Lock),

		renewals: renewals{wake: make(chan struct{}, 1)},
	}
	for i, opt := range opts {
		if opt == nil {
			return nil, configErrorf(atIndex("opts", i), "expected an option, got nil")
		}
		if err := opt.option(m); err != nil {
			return nil, err
		}
	}
	m.open, m.shut = context.WithCancel(context.Background())
	m.life, m.die = context.WithCancel(context.Background())
	for i, name := range nodeNames(cfg.Nodes) {
		m.nodes = append(m.nodes, newNode(m, i, name))
	}
	for _, warning := range warnings {
		m.log.Warn("redlock: " + warning)
	}
	return m, nil
}

// Held returns the locks of this manager that are valid now, in no
// particular order.
func (m *Manager) Held() []*Lock {
	m.mu.Lock()
	locks := make([]*Lock, 0, len(m.held))
	for _, l := range m.held {
		locks = append(locks, l)
	}
	m.mu.Unlock()
	valid := locks[:0]
	for _, l := range locks {
		if l.Valid() {
			valid = append(valid, l)
		}
	}
	return valid
}

// Ping asks every node, and connects to those that it has not used yet. It
// returns nil if a majority answers and none is misconfigured; otherwise the
// *ConfigError of that node, or a *QuorumError that matches [ErrNoQuorum].
func (m *Manager) Ping(ctx context.Context) error {
	if err := m.begin(); err != nil {
		return err
	}
	defer m.leave()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("redlock: ping: %w", err)
	}
	b, t := m.ask(ctx, &m.ping, complete, m.nodeTimeout(m.cfg.TTL))
	if m.open.Err() != nil && !complete(t) {
		return ErrClosed
	}
	if failures := b.failures(m.nodes); failures != nil {
		var config *ConfigError
		if errors.As(failures, &config) {
			return config
		}
	}
	if t.verdict() == won {
		return nil
	}
	return m.verdictError(ctx, "ping", "", ErrNoQuorum, b, t)
}

// nodeTimeout bounds one round trip to a node, for a lock of the given TTL.
func (m *Manager) nodeTimeout(ttl time.Duration) time.Duration {
	if m.cfg.NodeTimeout > 0 {
		return m.cfg.NodeTimeout
	}
	return min(max(ttl/20, 25*time.Millisecond), 250*time.Millisecond)
}

// begin counts a call in, unless the manager is closed.
func (m *Manager) begin() error {
	m.calls.Add(1)
	if m.closed.Load() {
		m.leave()
		return ErrClosed
	}
	return nil
}

// beginFor counts a call in that asks for resource, and returns the key of that.
func (m *Manager) beginFor(ctx context.Context, op, resource string) (key string, err error) {
	if err := m.begin(); err != nil {
		return "", err
	}
	if key, err = m.key(resource); err == nil && ctx.Err() != nil {
		err = opError(op, resource, ctx.Err())
	}
	if err != nil {
		m.leave()
	}
	return key, err
}

// leave counts a call out.
func (m *Manager) leave() {
	if m.calls.Add(-1) == 0 && m.closed.Load() {
		wakeUp(m.quiet)
	}
}

// detached runs f as a task, and then counts out the call that the caller has
// begun: Close waits for it.
func (m *Manager) detached(f func()) {
	m.tasks.Go(func() error {
		defer m.leave()
		f()
		return nil
	})
}

// hold starts the life of a lock that was won. An older one of the same key
// cannot have a majority any more: it is over before the new one is returned. It
// is released here, whoever has ended it: Close does not find it any more.
func (m *Manager) hold(l *Lock) error {
	m.mu.Lock()
	if m.held == nil {
		m.mu.Unlock()
		return ErrClosed
	}
	older := m.held[l.key]
	m.held[l.key] = l
	l.activate()
	m.mu.Unlock()
	if older == nil {
		return nil
	}
	if older.Err() == nil && older.end(ErrLost) {
		m.calls.Add(1) // the call that won is still counted: Close waits for both
		m.detached(func() { older.tellEnd(ErrLost, true) })
	}
	older.abandon()
	return nil
}

// holder is the lock by which this manager holds key; nil if none is valid.
func (m *Manager) holder(key string) *Lock {
	m.mu.Lock()
	l := m.held[key]
	m.mu.Unlock()
	if l == nil || l.Err() != nil {
		return nil
	}
	return l
}

// heldUnder returns the lock of this manager that has key under token; nil if
// there is none. It may be over, while its releases are not queued yet.
func (m *Manager) heldUnder(key, token string) *Lock {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.held[key]; l != nil && l.Token() == token {
		return l
	}
	return nil
}

// drop forgets a lock that is over.
func (m *Manager) drop(l *Lock) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held[l.key] == l {
		delete(m.held, l.key)
	}
}

package redlock

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

const (
	// scanCount is how many keys a node looks at for one answer of SCAN: few enough
	// that nobody else waits for it.
	scanCount = 500

	// maxDrops is how many resources one ForceUnlockAll drops at a time.
	maxDrops = 32
)

// ForceUnlockAll drops every resource whose name begins with prefix, as
// [Manager.ForceUnlock] does, and returns how many it has removed from a node at
// least. It finds them by SCAN on all nodes that it can reach. With a KeyPrefix
// the prefix may be empty; both empty would be the whole database, and are a
// *ConfigError.
//
// It cannot tell locks from other data: every string of fewer than 1024 bytes
// whose key begins with KeyPrefix and prefix is taken for a lock, and deleted.
//
// Its error names every node that failed, even half-way, with the count of what
// was removed all the same. It matches [ErrNoQuorum] where a majority failed, or
// did not confirm that a resource is gone, and the error of ctx if that has
// ended.
func (m *Manager) ForceUnlockAll(ctx context.Context, prefix string) (int, error) {
	if err := m.begin(); err != nil {
		return 0, err
	}
	defer m.leave()
	switch whole := m.cfg.KeyPrefix + prefix; {
	case whole == "":
		return 0, configErrorf("prefix",
			"expected one where there is no key_prefix, got none: all keys of the database would be deleted")
	case len(prefix) > maxResource:
		return 0, configErrorf("prefix", "expected %d bytes at most, got %d", maxResource, len(prefix))
	case strings.HasPrefix(whole, reservedKeys):
		return 0, configErrorf("prefix", "expected another beginning, got %q, which the library's own keys have",
			reservedKeys)
	}
	if err := ctx.Err(); err != nil {
		return 0, opError("force unlock all", prefix, err)
	}
	s := &sweep{m: m, prefix: m.cfg.KeyPrefix + prefix, failed: make([]error, len(m.nodes))}
	s.run(ctx)
	return s.removed, s.err(ctx, prefix)
}

// sweep is one ForceUnlockAll. One task per node scans it; the caller takes what
// they find, and has each resource dropped once, by tasks that it waits for.
type sweep struct {
	m      *Manager
	prefix string // of keys

	mu      sync.Mutex
	removed int     // resources; guarded by mu, as is all below
	failed  []error // why, by node; the first reason
	stays   bool    // a majority did not confirm that a resource is gone
}

// batch is what a scan has found, or its end.
type batch struct {
	keys  []string
	node  int
	ended bool
	err   error // why it ended early
}

// run scans the nodes until they are done, or ctx or the manager ends. A scan
// inside a user's client may outlive it: Close waits for that.
func (s *sweep) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.m.open, cancel)()
	batches := make(chan batch)
	scans := 0
	for i, v := range s.reach(ctx) {
		if v == granted {
			scans++
			s.m.tasks.Go(func() error { s.m.nodes[i].sweep(ctx, s.prefix, batches); return nil })
		}
	}
	var drops errgroup.Group
	drops.SetLimit(maxDrops)
	seen := make(map[string]struct{})
	for scans > 0 && ctx.Err() == nil {
		select {
		case b := <-batches:
			if b.ended {
				scans--
				s.fail(ctx, b.node, b.err)
			}
			for _, key := range b.keys {
				if _, again := seen[key]; !again && ctx.Err() == nil {
					seen[key] = struct{}{}
					drops.Go(func() error { s.drop(ctx, key); return nil })
				}
			}
		case <-ctx.Done():
		}
	}
	_ = drops.Wait()
}

// reach asks every node for a sign of life. It takes the time that connecting
// may take.
func (s *sweep) reach(ctx context.Context) []vote {
	b, _ := s.m.ask(ctx, &s.m.ping, complete, connectTimeout)
	votes, errs := b.byNode()
	for i, v := range votes {
		if v != granted {
			s.fail(ctx, i, errs[i])
		}
	}
	return votes
}

// drop drops the resource whose key was found. What cannot be the key of one is
// left alone, and so is what cannot be the value of a lock.
func (s *sweep) drop(ctx context.Context, key string) {
	m := s.m
	if _, err := m.key(strings.TrimPrefix(key, m.cfg.KeyPrefix)); err != nil {
		return
	}
	gone, removed := m.forceUnlock(ctx, key)
	_, errs := gone.byNode()
	odd := false
	for i, err := range errs {
		if errors.Is(err, errLongValue) || errors.Is(err, errWrongType) {
			odd = true
			continue
		}
		s.fail(ctx, i, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if removed {
		s.removed++
	}
	s.stays = s.stays || !odd && gone.sum().verdict() != won
}

// fail notes why a node has failed. That ctx has ended is no failure of a node.
func (s *sweep) fail(ctx context.Context, node int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && ctx.Err() == nil && s.failed[node] == nil {
		s.failed[node] = err
	}
}

// err is that of the whole call. No task is left that could change what it
// reads.
func (s *sweep) err(ctx context.Context, prefix string) error {
	m := s.m
	b := newBallot(len(m.nodes), complete)
	for i, err := range s.failed {
		if err != nil {
			b.receive(&b.commands[i], unknown, err)
		} else {
			b.receive(&b.commands[i], granted, nil)
		}
	}
	failures := b.failures(m.nodes)
	switch {
	case m.open.Err() != nil:
		return ErrClosed
	case b.sum().verdict() != won, s.stays && ctx.Err() == nil:
		return m.verdictError(ctx, "force unlock all", prefix, ErrNoQuorum, b, b.sum())
	case failures != nil:
		return m.alsoEnded(ctx, opError("force unlock all", prefix, failures))
	case ctx.Err() != nil:
		return opError("force unlock all", prefix, ctx.Err())
	}
	return nil
}

// sweep sends the keys of the node that begin with prefix, and then its end. It
// returns early when ctx ends.
func (n *node) sweep(ctx context.Context, prefix string, batches chan<- batch) {
	send := func(b batch) {
		b.node = n.index
		select {
		case batches <- b:
		case <-ctx.Done():
		}
	}
	found := func(keys []string) {
		send(batch{keys: slices.DeleteFunc(keys, func(key string) bool {
			return !strings.HasPrefix(key, prefix) || strings.HasPrefix(key, reservedKeys)
		})})
	}
	var err error
	if n.cfg.client != nil {
		err = n.scan(ctx, n.cfg.client, prefix, found)
	} else {
		err = n.scanAside(ctx, prefix, found)
	}
	send(batch{ended: true, err: err})
}

// scanAside scans the node on a connection of its own.
func (n *node) scanAside(ctx context.Context, prefix string, found func(keys []string)) error {
	client, _, err := n.aside(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	connecting, cancel := context.WithTimeout(ctx, n.connectTimeout())
	defer cancel()
	conn := client.Conn()
	if err := conn.Ping(connecting).Err(); err != nil {
		return n.explain(err)
	}
	return n.scan(ctx, conn, prefix, found)
}

// scanner is a client, or one connection of one.
type scanner interface {
	ScanType(ctx context.Context, cursor uint64, match string, count int64, keyType string) *redis.ScanCmd
}

// literally escapes what has a meaning in a pattern.
var literally = strings.NewReplacer(
	`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`, `^`, `\^`, `-`, `\-`)

// scan calls found with the keys of strings that begin with prefix, until it has
// gone through the database or ctx ends.
func (n *node) scan(ctx context.Context, via scanner, prefix string, found func(keys []string)) error {
	pattern := literally.Replace(prefix) + "*"
	for cursor := uint64(0); ctx.Err() == nil; {
		limited, cancel := context.WithTimeout(ctx, n.silence)
		keys, next, err := via.ScanType(limited, cursor, pattern, scanCount, "string").Result()
		cancel()
		if err != nil {
			return n.scanFailure(err)
		}
		if found(keys); next == 0 {
			return nil
		}
		cursor = next
	}
	return ctx.Err()
}

// scanFailure puts err into words. What will not heal by itself is a
// ConfigError.
func (n *node) scanFailure(err error) error {
	var answered redis.Error
	switch {
	case errors.As(err, &answered):
		v, err := readError(reply{kind: '-', text: []byte(answered.Error())})
		if v == misconfigured {
			return n.refusal(err)
		}
		return err
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return connErrorf("no answer to SCAN within %v", n.silence)
	}
	return readFailure(err)
}

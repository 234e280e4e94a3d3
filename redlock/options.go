package redlock

import (
	"cmp"
	"log/slog"
	"strings"
	"time"
)

// Option is a setting of [New] that only Go can express. What a file can say is
// in [Config].
type Option interface{ option(*Manager) error }

type optionFunc func(*Manager) error

func (f optionFunc) option(m *Manager) error { return f(m) }

// WithLogger has the manager log to logger: a line when a node goes down or
// comes up, one when a lock is lost or expires, and warnings of nodes that are
// an even number or do not tell who they are. By default nothing is logged.
func WithLogger(logger *slog.Logger) Option {
	return optionFunc(func(m *Manager) error {
		if logger == nil {
			return configErrorf("WithLogger", "expected a logger, or no such option to log nothing, got nil")
		}
		m.log = logger
		return nil
	})
}

// LockOption is a setting of one acquisition.
type LockOption interface{ lockOption(*lockOptions) error }

type lockOptionFunc func(*lockOptions) error

func (f lockOptionFunc) lockOption(o *lockOptions) error { return f(o) }

// lockOptions are what one acquisition asks for.
type lockOptions struct {
	resource, key string
	ttl           time.Duration
	noExpiry      bool
	autoRenew     bool          // by WithAutoRenew
	renew         bool          // by that, by Config.AutoRenew or by Do
	maxHold       time.Duration // 0: no limit
	token         string        // empty: a fresh one for each attempt
	attempts      int           // 0: no limit
	backoff       func(attempt int) time.Duration
	carry         any
	ignoreRelease bool
	wait          bool // Lock and Do: wait for the holder, and for the last use of the token
	asksTTL       bool // from the first refusal on: when may a waiter ask again?

	begun  time.Time // of the call, for the hooks; zero: it has asked for nothing
	waited bool      // it was not served at its first question
}

// WithTTL sets how long the nodes keep the lock. It is rounded up to whole
// milliseconds. Zero is [Config.TTL].
func WithTTL(ttl time.Duration) LockOption {
	return lockOptionFunc(func(o *lockOptions) error {
		if ttl < 0 {
			return configErrorf("ttl", "expected 0 (the default) or more, got %v", ttl)
		}
		o.ttl = ttl
		return nil
	})
}

// WithNoExpiry takes a lock that the nodes keep until it is unlocked. If its
// holder dies, or a failover brings back what was just deleted, somebody has to
// remove it by hand. It is acquired with [Config.TTL], so [WithTTL] does not go
// with it, and confirmed every [Config.RenewInterval]: it ends with [ErrLost] if
// a majority does not keep it any more. Nodes made by [Client] cannot keep one; a
// majority must be others.
func WithNoExpiry() LockOption {
	return lockOptionFunc(func(o *lockOptions) error {
		o.noExpiry = true
		return nil
	})
}

// WithAutoRenew has the lock extended in time, every [Config.RenewInterval],
// until it is unlocked, lost, or at the end of [WithMaxHold]. A renewal that
// fails is repeated quickly while the lock is valid; one that a majority confirms
// gives the key again to nodes that lack it. A lock without expiry needs none,
// and with [WithNoExpiry] this is a *ConfigError.
func WithAutoRenew() LockOption {
	return lockOptionFunc(func(o *lockOptions) error {
		o.autoRenew = true
		return nil
	})
}

// WithMaxHold ends the lock with [ErrExpired] at the latest d after its
// acquisition began, however often it is extended. An extend beyond that is cut
// short.
func WithMaxHold(d time.Duration) LockOption {
	return lockOptionFunc(func(o *lockOptions) error {
		if d <= 0 {
			return configErrorf("WithMaxHold", "expected more than 0, or no such option for no limit, got %v", d)
		}
		o.maxHold = d
		return nil
	})
}

// WithToken takes the lock under a token that the caller chooses: at most 512
// bytes, no control characters. No two processes may use one at the same time.
// This manager uses it again only when nothing of its last use can be left on
// any node: until then Lock waits, and TryLock returns [ErrNoQuorum].
func WithToken(token string) LockOption {
	return lockOptionFunc(func(o *lockOptions) error {
		if token == "" {
			return configErrorf("token", "expected a token, or no such option for a random one, got an empty one")
		}
		o.token = token
		return checkToken(token)
	})
}

// WithAttempts bounds the tries of one Lock, the first included. Zero is
// [Config.Attempts].
func WithAttempts(n int) LockOption {
	return lockOptionFunc(func(o *lockOptions) error {
		if n < 0 {
			return configErrorf("attempts", "expected 0 (the default) or more, got %d", n)
		}
		o.attempts = n
		return nil
	})
}

// WithBackoff sets the longest pause between two tries of one Lock: a release of
// the lock, or the end of its holder's TTL, ends it before. The argument of pause
// is 1 for the first pause, 2 for the second, and so on.
func WithBackoff(pause func(attempt int) time.Duration) LockOption {
	return lockOptionFunc(func(o *lockOptions) error {
		if pause == nil {
			return configErrorf("WithBackoff", "expected a function, or no such option for the default pauses, got nil")
		}
		o.backoff = pause
		return nil
	})
}

// WithCarry attaches v to the lock, for [Lock.Carry] and for the log. It is
// local.
func WithCarry(v any) LockOption {
	return lockOptionFunc(func(o *lockOptions) error {
		o.carry = v
		return nil
	})
}

// WithFence gives the call a *ConfigError: fencing tokens are not available in
// this version.
func WithFence() LockOption {
	return lockOptionFunc(func(*lockOptions) error { return unavailable("WithFence") })
}

// WithIgnoreReleaseError has [Manager.Do] drop the errors of the release at its
// end, [ErrExpired] and [ErrLost] included.
func WithIgnoreReleaseError() LockOption {
	return lockOptionFunc(func(o *lockOptions) error {
		o.ignoreRelease = true
		return nil
	})
}

// unavailable is the error of a name that is reserved and does nothing yet.
func unavailable(name string) error {
	return configErrorf(name, "expected to be left out, but it is used: it is not available in this version")
}

const (
	maxResource = 1 << 10 // bytes

	// maxTTL is far from what a sum of Durations can hold, 292 years.
	maxTTL = 100 * 365 * 24 * time.Hour
)

// lockOptions checks a resource and the options for it, before anything is
// sent.
func (m *Manager) lockOptions(resource string, opts []LockOption) (*lockOptions, error) {
	key, err := m.key(resource)
	if err != nil {
		return nil, err
	}
	o := &lockOptions{resource: resource, key: key}
	for i, opt := range opts {
		if opt == nil {
			return nil, configErrorf(atIndex("opts", i), "expected an option, got nil")
		}
		if err := opt.lockOption(o); err != nil {
			return nil, err
		}
	}
	switch {
	case o.noExpiry && o.ttl > 0:
		return nil, configErrorf("ttl", "expected WithTTL or WithNoExpiry, got both")
	case o.noExpiry && o.maxHold > 0:
		return nil, configErrorf("WithMaxHold", "expected WithMaxHold or WithNoExpiry, got both")
	case o.noExpiry && o.autoRenew:
		return nil, configErrorf("auto_renew", "expected WithAutoRenew or WithNoExpiry, got both")
	}
	if o.ttl, err = m.usableTTL(cmp.Or(o.ttl, m.cfg.TTL)); err != nil {
		return nil, err
	}
	if o.autoRenew || m.cfg.AutoRenew {
		if err := m.renewed(o); err != nil {
			return nil, err
		}
	}
	o.attempts = cmp.Or(o.attempts, m.cfg.Attempts)
	if o.backoff == nil {
		o.backoff = m.backoff
	}
	return o, nil
}

// key is what Redis stores for resource.
func (m *Manager) key(resource string) (string, error) {
	key := m.cfg.KeyPrefix + resource
	switch {
	case resource == "":
		return "", configErrorf("resource", "expected the name of what is locked, got an empty one")
	case len(resource) > maxResource:
		return "", configErrorf("resource", "expected %d bytes at most, got %d", maxResource, len(resource))
	case strings.HasPrefix(key, reservedKeys):
		return "", configErrorf("resource", "expected another beginning, got %q, which the library's own keys have",
			reservedKeys)
	}
	return key, nil
}

// usableTTL rounds ttl up to whole milliseconds and refuses one that leaves no
// validity.
func (m *Manager) usableTTL(ttl time.Duration) (time.Duration, error) {
	if ttl > maxTTL {
		return 0, configErrorf("ttl", "expected %v at most, got %v", maxTTL, ttl)
	}
	ttl = wholeMilliseconds(ttl)
	if valid := validity(ttl, m.cfg.DriftFactor, m.cfg.Margin); valid <= 0 {
		return 0, configErrorf("ttl", "expected more than drift and margin take of it (%v), got %v",
			ttl-valid, ttl)
	}
	return ttl, nil
}

package redlock

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
)

// reservedKeys is how the library's own keys begin.
const reservedKeys = "redlock:{"

// maxOwner is the largest Owner in bytes.
const maxOwner = 256

// Config is what a file can say. In JSON and YAML its keys are the names of the
// fields in snake case, as node_timeout, and durations are written as for
// [time.ParseDuration]. Printed, logged or encoded, it shows its nodes without
// their credentials.
type Config struct {
	// Nodes are the servers that vote, independent of each other. Their number is
	// the N of every majority; an odd one is best. Defaults to
	// redis://localhost:6379; a list that is empty but not nil is an error.
	Nodes []Node

	// TTL is how long the nodes keep a lock that does not ask for another TTL,
	// rounded up to whole milliseconds. Defaults to 10s.
	TTL time.Duration

	// NodeTimeout bounds the wait for one answer of one node. Defaults to a
	// twentieth of the TTL at hand, between 25ms and 250ms.
	NodeTimeout time.Duration

	// RetryDelayMin and RetryDelayMax bound the pause of a waiter that nothing
	// wakes, between two tries. From the fourth one on it is longer by their mean
	// each time, five times at most. RetryDelayMin defaults to 100ms.
	RetryDelayMin time.Duration

	// RetryDelayMax is the upper end. Defaults to 300ms.
	RetryDelayMax time.Duration

	// Attempts is how often Lock asks the nodes, the first time included. Defaults
	// to no limit.
	Attempts int

	// DriftFactor is the part of a TTL by which the clocks of the nodes may differ
	// while it passes, in [0, 1). 2ms are always added. Defaults to 0.01.
	DriftFactor float64

	// Margin is taken off the validity of a lock, on top of the drift. Defaults to
	// none.
	Margin time.Duration

	// KeyPrefix stands in front of a resource's name in its key. Defaults to none.
	KeyPrefix string

	// Owner is a label in the tokens of this manager's locks, at most 256 bytes,
	// for people who ask who holds a lock. Defaults to host name and process id.
	Owner string

	// AutoRenew has every lock renewed, as [WithAutoRenew] does for one. Defaults
	// to off.
	AutoRenew bool

	// RenewInterval is the time between two renewals, at most half of a TTL less
	// its drift and Margin. Defaults to a third of the lock's TTL, or to that half
	// where it is less.
	RenewInterval time.Duration

	// RestartGuard is not available in this version: setting it is an error.
	RestartGuard time.Duration
}

// complete checks everything that can be checked before the first connection.
// It returns a copy with the defaults in place, and what the caller should be
// warned of. NodeTimeout and RenewInterval stay 0 where they are not set: their
// defaults depend on the TTL of the lock at hand.
func (c Config) complete() (Config, []string, error) {
	c.Nodes = slices.Clone(c.Nodes)
	if c.Nodes == nil {
		c.Nodes = []Node{Addr("localhost", redisPort)}
	}
	if err := completeNodes(c.Nodes); err != nil {
		return Config{}, nil, err
	}
	if err := c.checkGiven(); err != nil {
		return Config{}, nil, err
	}
	c.TTL = wholeMilliseconds(cmp.Or(c.TTL, 10*time.Second))
	c.RetryDelayMin = cmp.Or(c.RetryDelayMin, 100*time.Millisecond)
	c.RetryDelayMax = cmp.Or(c.RetryDelayMax, 300*time.Millisecond)
	c.DriftFactor = cmp.Or(c.DriftFactor, 0.01)
	c.Owner = cmp.Or(c.Owner, defaultOwner())
	if err := c.checkTogether(); err != nil {
		return Config{}, nil, err
	}
	var warnings []string
	if n := len(c.Nodes); n%2 == 0 {
		warnings = append(warnings, fmt.Sprintf(
			"%d nodes tolerate no more failures than %d would; an odd number is better", n, n-1))
	}
	return c, warnings, nil
}

// completeNodes checks the nodes, and writes out the ports of their Sentinels.
func completeNodes(nodes []Node) error {
	if len(nodes) == 0 {
		return configErrorf("nodes", "expected at least one node, got an empty list")
	}
	for i := range nodes {
		n, at := &nodes[i], atIndex("nodes", i)
		if err := n.validate(at); err != nil {
			return err
		}
		n.Sentinels = slices.Clone(n.Sentinels)
		for j, address := range n.Sentinels {
			n.Sentinels[j], _ = parseSentinel(address, at) // validated above
		}
		for j := range i {
			if n.sameServer(&nodes[j]) {
				return configErrorf(at, "expected a server of its own, got the same server as nodes[%d]", j)
			}
		}
	}
	return nil
}

// checkGiven checks each field by itself.
func (c *Config) checkGiven() error {
	for _, given := range []struct {
		field string
		value time.Duration
	}{
		{"ttl", c.TTL},
		{"node_timeout", c.NodeTimeout},
		{"retry_delay_min", c.RetryDelayMin},
		{"retry_delay_max", c.RetryDelayMax},
		{"margin", c.Margin},
		{"renew_interval", c.RenewInterval},
	} {
		if given.value < 0 {
			return configErrorf(given.field, "expected 0 (the default) or more, got %v", given.value)
		}
	}
	switch {
	case c.TTL > maxTTL:
		return configErrorf("ttl", "expected %v at most, got %v", maxTTL, c.TTL)
	case c.Attempts < 0:
		return configErrorf("attempts", "expected 0 (no limit) or more, got %d", c.Attempts)
	case !(c.DriftFactor >= 0 && c.DriftFactor < 1): // so that NaN is found too
		return configErrorf("drift_factor", "expected 0 or more and less than 1, got %v", c.DriftFactor)
	case strings.HasPrefix(c.KeyPrefix, reservedKeys):
		return configErrorf("key_prefix", "expected another beginning, got %q, which the library's own keys have",
			reservedKeys)
	case len(c.Owner) > maxOwner:
		return configErrorf("owner", "expected %d bytes at most, got %d", maxOwner, len(c.Owner))
	case strings.ContainsFunc(c.Owner, unicode.IsControl):
		return configErrorf("owner", "expected printable text, got a control character in it")
	case c.RestartGuard != 0:
		return unavailable("restart_guard")
	}
	return nil
}

// checkTogether checks the fields that depend on each other.
func (c *Config) checkTogether() error {
	valid := validity(c.TTL, c.DriftFactor, c.Margin)
	switch {
	case valid <= 0:
		return configErrorf("ttl", "expected more than drift (%v) and margin (%v) take of it, got %v",
			drift(c.TTL, c.DriftFactor), c.Margin, c.TTL)
	case c.RetryDelayMin > c.RetryDelayMax:
		return configErrorf("retry_delay_min", "expected retry_delay_max (%v) at most, got %v",
			c.RetryDelayMax, c.RetryDelayMin)
	case c.RenewInterval > valid/2:
		return configErrorf("renew_interval", "expected %v at most, half of what drift and margin leave of ttl, got %v",
			valid/2, c.RenewInterval)
	}
	return nil
}

// defaultOwner is host:pid.
func defaultOwner() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	owner := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, fmt.Sprintf("%s:%d", host, os.Getpid()))
	return owner[:min(len(owner), maxOwner)]
}

package fakeredis

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// What follows looks at a node without any traffic, whatever its process and
// its wires are doing. Keys are those of database 0.

// Do executes a command that no fault concerns and returns its reply as it
// would be sent.
func (n *Node) Do(args ...string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.do(args...)
}

// Set sets a key; with ttl 0 it does not expire.
func (n *Node) Set(key, value string, ttl time.Duration) {
	args := []string{"SET", key, value}
	if ttl > 0 {
		args = append(args, "PX", strconv.FormatInt(ttl.Milliseconds(), 10))
	}
	n.Do(args...)
}

// Get returns a key's string, or nothing.
func (n *Node) Get(key string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tick()
	value, err := n.store.Get(key)
	if err != nil {
		return ""
	}
	return value
}

// Exists reports whether there is such a key.
func (n *Node) Exists(key string) bool { return slices.Contains(n.Keys(), key) }

// Keys returns all keys, sorted.
func (n *Node) Keys() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tick()
	return n.store.DB(0).Keys()
}

// PTTL returns how long a key has left: -1 if it does not expire, -2 if there
// is none.
func (n *Node) PTTL(key string) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tick()
	switch ttl := n.store.DB(0).TTL(key); {
	case !n.store.DB(0).Exists(key):
		return -2
	case ttl == 0:
		return -1
	default:
		return ttl
	}
}

// FlushAll removes all data.
func (n *Node) FlushAll() { n.Do("FLUSHALL") }

// ScriptFlush makes the node forget its scripts.
func (n *Node) ScriptFlush() { n.Do("SCRIPT", "FLUSH") }

// Commands returns what was executed, in order; of very many the last ones.
func (n *Node) Commands() []Command {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.log)
}

// Executed returns how often a command was executed, named as for FailWith.
func (n *Node) Executed(command string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.executed[strings.ToUpper(command)]
}

// Conns returns the ids of the connections that the server has open.
func (n *Node) Conns() []int {
	n.mu.Lock()
	defer n.mu.Unlock()
	var ids []int
	for _, s := range n.openSessions() {
		ids = append(ids, s.id)
	}
	return ids
}

// Subscribers returns how many connections have subscribed to a channel.
func (n *Node) Subscribers(channel string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.subscribers[channel])
}

// RunID returns the run_id.
func (n *Node) RunID() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.runID
}

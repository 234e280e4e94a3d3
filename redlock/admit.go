package redlock

import (
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"
)

// admit refuses a server that must not vote: a replica (a writable one accepts
// SET NX), a cluster node, a Sentinel, a server that another node of this
// manager is already connected to, and servers behind a load balancer.
func (n *node) admit(s *stream) error {
	switch {
	case s.server.mode == "cluster", s.server.mode == "sentinel":
		return configErrorf(n.path(), "expected an independent plain server, but %s runs in %s mode",
			n.name, s.server.mode)
	case s.server.role != "" && s.server.role != "master" && n.sentinel != nil:
		return connErrorf("%s, which Sentinel names, is not a master yet", s.address)
	case s.server.role != "" && s.server.role != "master":
		return configErrorf(n.path(), "expected an independent master, but %s is a replica", n.name)
	case s.server.runID == "":
		n.once.Do(func() {
			n.m.log.Warn("redlock: the server does not tell its run_id; "+
				"two nodes that are one server cannot be found", "node", n.name)
		})
		return nil
	}
	if err := n.remember(s.server.runID); err != nil {
		return err
	}
	if first := n.m.servers.claim(s.server.runID, n); first != n {
		return configErrorf(n.path(), "expected a server of its own, but %s and %s are one server",
			n.name, first.name)
	}
	return nil
}

// maxHistory is how many servers a load balancer may have and be found.
const maxHistory = 8

// remember finds a load balancer: a server that restarts never comes back under
// the run_id that it had before. Failovers of a Sentinel node look like that,
// and are not judged; nor are those of a user's client that follows them.
func (n *node) remember(runID string) error {
	seen := slices.Index(n.history, runID)
	if seen >= 0 && seen < len(n.history)-1 && n.sentinel == nil && !failsOver(n.cfg.client) {
		return configErrorf(n.path(), "expected one server and no load balancer, but %s leads to several in turn", n.name)
	}
	if seen < 0 {
		n.history = append(n.history[max(0, len(n.history)+1-maxHistory):], runID)
	}
	return nil
}

// failsOver reports whether client was made by [redis.NewFailoverClient], which
// gives this address to the master of the moment.
func failsOver(client redis.UniversalClient) bool {
	single, ok := client.(interface{ Options() *redis.Options })
	return ok && single.Options().Addr == "FailoverClient"
}

// servers says which node is connected to which server, by run_id.
type servers struct {
	mu    sync.Mutex
	nodes map[string]*node // guarded by mu
}

// claim gives the server to n, unless another node has it; it returns the one
// that has it then.
func (s *servers) claim(runID string, n *node) *node {
	s.mu.Lock()
	defer s.mu.Unlock()
	if first, ok := s.nodes[runID]; ok {
		return first
	}
	if s.nodes == nil {
		s.nodes = make(map[string]*node)
	}
	s.nodes[runID] = n
	return n
}

// leave gives the server back.
func (s *servers) leave(runID string, n *node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.nodes[runID] == n {
		delete(s.nodes, runID)
	}
}

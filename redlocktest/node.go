package redlocktest

import (
	"crypto/rand"
	"net"
	"strconv"
	"sync"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redlock-go/redlock/redlock"
)

const loopback = "127.0.0.1"

// node is one server in memory.
type node struct {
	port int // once started, for good

	mu    sync.Mutex
	redis *miniredis.Miniredis // guarded by mu; nil while stopped
}

func startNode() (*node, error) {
	n := &node{}
	if err := n.start(); err != nil {
		return nil, err
	}
	n.port = n.redis.Server().Addr().Port
	return n, nil
}

func (n *node) address() redlock.Node { return redlock.Addr(loopback, n.port) }

func (n *node) start() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.redis != nil {
		return nil
	}
	redis := miniredis.NewMiniRedis()
	redis.ClockTTL(true) // else no key expires as time passes
	if err := redis.StartAddr(net.JoinHostPort(loopback, strconv.Itoa(n.port))); err != nil {
		return err
	}
	redis.Server().SetPreHook(introduce(rand.Text()))
	n.redis = redis
	return nil
}

func (n *node) stop() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.redis != nil {
		n.redis.Close()
		n.redis = nil
	}
}

// introduce has a server answer INFO server, which miniredis refuses, with the
// run_id by which the library knows servers apart. Each start has one of its
// own.
func introduce(runID string) server.Hook {
	return func(c *server.Peer, command string, args ...string) bool {
		if command != "INFO" || len(args) != 1 || args[0] != "server" {
			return false
		}
		c.WriteBulk("# Server\r\nrun_id:" + runID + "\r\n")
		return true
	}
}

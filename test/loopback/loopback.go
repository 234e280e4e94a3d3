// Package loopback gives out ports of this machine for servers and proxies that
// come back under the address that they had.
package loopback

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Host is the only address that tests listen on.
const Host = "127.0.0.1"

// Ports are taken from below the range out of which systems serve outgoing
// connections: one of those could sit on the port while its owner is away. They
// come in blocks. Who listens on the first port of a block has the others, so
// that two test programs at once never give out the same one.
const (
	first     = 20000
	last      = 30000
	blockSize = 100
)

var (
	mu     sync.Mutex
	next   int            // port of the current block; guarded by mu
	end    int            // of the current block; guarded by mu
	guards []net.Listener // of our blocks, until the program ends; guarded by mu
)

// Port returns a port on which nobody listens and which no test program of this
// machine has given out while it runs.
func Port() int {
	mu.Lock()
	defer mu.Unlock()
	for {
		if next == end {
			takeBlock()
		}
		port := next
		next++
		if ln, err := net.Listen("tcp", Addr(port)); err == nil {
			_ = ln.Close()
			return port
		}
	}
}

// takeBlock makes a block that nobody has the current one.
func takeBlock() {
	for {
		base := first + blockSize*rand.IntN((last-first)/blockSize)
		if guard, err := net.Listen("tcp", Addr(base)); err == nil {
			guards = append(guards, guard)
			next, end = base+1, base+blockSize
			return
		}
	}
}

// Addr is port with the loopback address before it.
func Addr(port int) string { return net.JoinHostPort(Host, strconv.Itoa(port)) }

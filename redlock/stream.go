package redlock

import (
	"io"
	"net"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// writeSize is about how much one write carries: large enough that the cost of
	// the system call vanishes, small enough that replies come while it goes out.
	writeSize = 64 << 10

	// farewell bounds the last write on a connection that is given up.
	farewell = 10 * time.Millisecond

	// linger is how long a connection that was given up stays half open. Closed
	// while replies are still coming in, the kernel would reset it and throw away
	// what the server has not read yet: a release behind its acquire.
	linger = 2 * time.Second
)

// stream is one connection to a node: commands go out in the order in which
// they were queued, many in one write, and replies are read in the same order.
//
// Two goroutines serve it: a writer, for which the node's own waits, and a
// reader, for which Close does. A command that finds nothing in flight is
// written by its caller: a lone caller pays for no goroutine switch.
//
// How it ends: end marks it. The node's orphan takes its commands away and
// calls close, which appends their releases and closes our half. The reader
// drains the other half and hangs up. hurry shortens that for Close.
type stream struct {
	n       *node
	conn    net.Conn
	client  *redis.Client // that prepared conn; closed with it
	address string        // that was dialled
	server  serverInfo
	prefix  [scriptCount][]byte // of EVALSHA with the digest, or EVAL where the node gave none

	ended  chan struct{} // closed by end
	once   sync.Once
	err    error         // why it ended; set before ended is closed
	closed chan struct{} // closed by close: nothing more will be written

	wake chan struct{} // capacity 1: the writer has something to do

	turn chan struct{} // capacity 1: whoever has put something in may write
	buf  []byte        // belongs to whoever has the turn

	// What follows is guarded by n.mu.

	flight []*command // written and not answered, in order
	gone   bool       // the server is known to have let go of this connection
	heard  time.Time  // when the last reply came
}

// end gives the connection up for the reason err. Only the first call counts.
func (s *stream) end(err error) {
	s.once.Do(func() {
		s.err = err
		close(s.ended)
	})
}

// tryTurn takes the turn if nobody has it.
func (s *stream) tryTurn() bool {
	select {
	case s.turn <- struct{}{}:
		return true
	default:
		return false
	}
}

// write is the writer's loop.
func (s *stream) write() {
	for {
		select {
		case <-s.wake:
		case <-s.ended:
			return
		}
		// Others are about to queue theirs: one yield makes one write of many
		// commands. Without it a third of the throughput is gone.
		runtime.Gosched()
		s.turn <- struct{}{}
		s.flush()
		<-s.turn
	}
}

// flush makes one write of what is queued. The caller has the turn.
func (s *stream) flush() {
	if !s.fill() {
		return
	}
	// A server that does not read must not keep the writer for ever.
	err := s.conn.SetWriteDeadline(time.Now().Add(s.n.silence))
	select {
	case <-s.ended: // close has the rest: that deadline may have replaced its own
		return
	default:
	}
	if err == nil {
		var written int
		written, err = s.conn.Write(s.buf)
		s.buf = s.buf[:copy(s.buf, s.buf[written:])]
	}
	if err != nil {
		s.end(connErrorf("%v", withoutPorts(err)))
	}
}

// fill moves commands from the node's queue into the buffer and reports whether
// there is anything to write.
func (s *stream) fill() bool {
	n := s.n
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stream != s || len(n.queue) == 0 {
		return false
	}
	now := time.Now()
	taken, writes := 0, false
	for _, c := range n.queue {
		if len(s.buf) >= writeSize {
			break
		}
		taken++
		if c.state != queued {
			continue // it was given up while it waited
		}
		if c.droppable() || c.bound != nil && c.bound != s {
			n.dropLocked(c)
			continue
		}
		s.buf = s.appendCommand(s.buf, c)
		c.state, c.stream, c.sentAt = sent, s, now
		s.flight = append(s.flight, c)
		writes = writes || c.req.writes
	}
	n.queue = slices.Delete(n.queue, 0, taken) // which forgets what it moves, too
	if len(n.queue) > 0 {
		wakeUp(s.wake)
	}
	if writes && n.cfg.Replicas > 0 {
		s.buf = append(s.buf, n.wait.body...)
		n.bytes += len(n.wait.body)
		s.flight = append(s.flight, &command{req: n.wait, state: sent, stream: s, sentAt: now})
	}
	return len(s.buf) > 0
}

func (s *stream) appendCommand(b []byte, c *command) []byte {
	switch {
	case c.req.script == noScript:
	case c.spelled:
		b = append(b, spelledPrefix[c.req.script]...)
	default:
		b = append(b, s.prefix[c.req.script]...)
	}
	return append(b, c.req.body...)
}

// close gives the connection up in order: what is owed on it is appended, then
// it is half closed, so that the kernel delivers acquire and release together.
func (s *stream) close(releases []byte) {
	_ = s.conn.SetWriteDeadline(time.Now()) // whoever still writes must not keep us
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	if s.buf = append(s.buf, releases...); len(s.buf) > 0 {
		_ = s.conn.SetWriteDeadline(time.Now().Add(farewell))
		_, _ = s.conn.Write(s.buf) // best effort: the reaper asks again
	}
	if half, ok := s.conn.(interface{ CloseWrite() error }); ok {
		// TLS says goodbye with a deadline of its own, of five seconds.
		bound := time.AfterFunc(farewell, func() { _ = s.conn.SetWriteDeadline(time.Now()) })
		_ = half.CloseWrite()
		bound.Stop()
	}
	_ = s.conn.SetReadDeadline(time.Now().Add(linger))
	close(s.closed)
}

// hurry has a connection that was given up linger no longer than Close allows.
func (s *stream) hurry() {
	select {
	case <-s.closed:
		_ = s.conn.SetReadDeadline(time.Now().Add(lastLinger))
	default: // it is in use, and its node hears of the end itself
	}
}

// hangUp closes the connection once the server has, or once it has lingered.
func (s *stream) hangUp() {
	<-s.closed
	_, _ = io.Copy(io.Discard, s.conn)
	_ = s.client.Close() // closes conn too
}

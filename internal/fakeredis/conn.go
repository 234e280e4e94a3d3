package fakeredis

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// conn is the client's end of a connection: a net.Conn with CloseWrite.
type conn struct {
	n       *Node
	network string
	local   string
	up      wire       // to the node
	changed *sync.Cond // on the node's mu: whoever reads or writes looks again

	// What follows is guarded by the node's mu.

	inbox       []byte
	end         error // behind inbox: io.EOF or syscall.ECONNRESET
	unread      int   // bytes written that the node has not read
	closed      bool
	writeClosed bool
	reading     deadline
	writing     deadline
}

// deadline is when reads or writes give up.
type deadline struct {
	at    time.Time
	timer *time.Timer // wakes those who wait; nil where it has passed
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

// set makes a timer only for a time to come: the race detector crashes where
// two goroutines of a bubble make timers that fire at once (Go issue 78156).
func (d *deadline) set(at time.Time, wake func()) {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.at = at
	if !at.IsZero() && !d.passed() {
		d.timer = time.AfterFunc(time.Until(at), wake)
	}
}

// arrive takes what the node has sent.
func (c *conn) arrive(p packet) {
	if c.closed {
		if p.end == nil {
			c.abort()
		}
		return
	}
	c.inbox = append(c.inbox, p.data...)
	c.end = p.end // a reset may follow the orderly end
	c.changed.Broadcast()
}

// abort is what a kernel does when there are replies that nobody will read: it
// resets the connection, and what it has not sent yet is lost.
func (c *conn) abort() {
	c.up.queue = nil
	c.up.send(packet{end: syscall.ECONNRESET})
}

func (c *conn) Read(b []byte) (int, error) {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, c.fail("read", net.ErrClosed)
		case c.reading.passed():
			return 0, c.fail("read", os.ErrDeadlineExceeded)
		case len(c.inbox) > 0 || len(b) == 0:
			size := copy(b, c.inbox)
			c.inbox = c.inbox[size:]
			return size, nil
		case errors.Is(c.end, io.EOF):
			return 0, io.EOF
		case c.end != nil:
			return 0, c.fail("read", c.end)
		}
		c.changed.Wait()
	}
}

// Write returns when the kernels have taken all of b, which says nothing about
// the node.
func (c *conn) Write(b []byte) (int, error) {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	written := 0
	for {
		switch {
		case c.closed:
			return written, c.fail("write", net.ErrClosed)
		case c.writing.passed():
			return written, c.fail("write", os.ErrDeadlineExceeded)
		case c.writeClosed:
			return written, c.fail("write", syscall.EPIPE)
		case errors.Is(c.end, syscall.ECONNRESET):
			return written, c.fail("write", syscall.ECONNRESET)
		}
		if room := min(c.n.buffer-c.unread, len(b)-written); room > 0 {
			c.unread += room
			c.up.send(packet{data: bytes.Clone(b[written : written+room])})
			written += room
		}
		if written == len(b) {
			return written, nil
		}
		c.changed.Wait()
	}
}

// CloseWrite says that nothing more will be written. Replies can still be read.
func (c *conn) CloseWrite() error {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	if c.closed {
		return c.fail("close", net.ErrClosed)
	}
	c.closeWrite()
	return nil
}

func (c *conn) closeWrite() {
	if !c.writeClosed {
		c.writeClosed = true
		c.up.send(packet{end: io.EOF})
		c.changed.Broadcast()
	}
}

// Close closes both directions. What was written is still delivered, unless
// replies lie here unread, or come in later: then the connection is reset.
func (c *conn) Close() error {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	if c.closed {
		return c.fail("close", net.ErrClosed)
	}
	c.closed = true
	if len(c.inbox) > 0 {
		c.abort()
	}
	c.closeWrite()
	c.reading.set(time.Time{}, nil)
	c.writing.set(time.Time{}, nil)
	c.changed.Broadcast()
	return nil
}

func (c *conn) SetDeadline(at time.Time) error {
	if err := c.SetReadDeadline(at); err != nil {
		return err
	}
	return c.SetWriteDeadline(at)
}

func (c *conn) SetReadDeadline(at time.Time) error  { return c.setDeadline(&c.reading, at) }
func (c *conn) SetWriteDeadline(at time.Time) error { return c.setDeadline(&c.writing, at) }

func (c *conn) setDeadline(d *deadline, at time.Time) error {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	if c.closed {
		return c.fail("set", net.ErrClosed)
	}
	d.set(at, c.wake)
	c.changed.Broadcast() // it may have passed
	return nil
}

func (c *conn) wake() {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	c.changed.Broadcast()
}

func (c *conn) LocalAddr() net.Addr  { return addr{c.network, c.local} }
func (c *conn) RemoteAddr() net.Addr { return addr{c.network, c.n.address} }

func (c *conn) fail(op string, err error) error {
	if _, ok := errors.AsType[syscall.Errno](err); ok {
		err = os.NewSyscallError(op, err)
	}
	return &net.OpError{Op: op, Net: c.network, Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

package fakeredis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

const address = "10.0.0.1:6379"

// bubble runs f with one node in fake time.
func bubble(t *testing.T, f func(t *testing.T, n *Node)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, NewNet().Start(t, address)) })
}

// client is a raw connection.
type client struct {
	*conn
	t *testing.T
	r *bufio.Reader
}

func connect(t *testing.T, n *Node) *client {
	t.Helper()
	c, err := n.net.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &client{conn: c.(*conn), t: t, r: bufio.NewReader(c)}
}

func encode(args ...string) string {
	b := fmt.Sprintf("*%d\r\n", len(args))
	for _, arg := range args {
		b += fmt.Sprintf("$%d\r\n%s\r\n", len(arg), arg)
	}
	return b
}

func (c *client) send(args ...string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, encode(args...)); err != nil {
		c.t.Fatalf("send %q: %v", args, err)
	}
}

// do sends a command and returns its reply as it came.
func (c *client) do(args ...string) string {
	c.t.Helper()
	c.send(args...)
	return c.reply()
}

func (c *client) reply() string {
	c.t.Helper()
	reply, err := c.read()
	if err != nil {
		c.t.Fatalf("reply: %v", err)
	}
	return reply
}

// read returns the next reply, flat: words between blanks.
func (c *client) read() (string, error) {
	line, err := c.r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSuffix(line, "\r\n")
	size, _ := strconv.Atoi(line[1:])
	switch {
	case line[0] == '$' && size >= 0:
		text := make([]byte, size+2)
		_, err := io.ReadFull(c.r, text)
		return string(text[:size]), err
	case line[0] == '*':
		items := make([]string, size)
		for i := range items {
			if items[i], err = c.read(); err != nil {
				return "", err
			}
		}
		return strings.Join(items, " "), nil
	}
	return line, nil
}

func (c *client) expect(want string, args ...string) {
	c.t.Helper()
	if got := c.do(args...); got != want {
		c.t.Fatalf("%q answered %q, not %q", args, got, want)
	}
}

// silentFor fails if anything comes within d.
func (c *client) silentFor(d time.Duration) {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(d))
	defer func() { _ = c.SetReadDeadline(time.Time{}) }()
	if reply, err := c.read(); err == nil || !isTimeout(err) {
		c.t.Fatalf("not silent: %q, %v", reply, err)
	}
}

func (c *client) ends(with error) {
	c.t.Helper()
	if reply, err := c.read(); !errors.Is(err, with) {
		c.t.Fatalf("the connection should end with %v: %q, %v", with, reply, err)
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func dialFor(n *Node, d time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	c, err := n.net.DialContext(ctx, "tcp", address)
	if err == nil {
		_ = c.Close()
	}
	return err
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, not %v", what, got, want)
	}
}

// took checks a duration of fake time.
func took(t *testing.T, since time.Time, want time.Duration) {
	t.Helper()
	equal(t, "it took", time.Since(since), want)
}

var refused = syscall.ECONNREFUSED

package fakeredis

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestADialToAnUnknownAddressIsRefused(t *testing.T) {
	_, err := NewNet().DialContext(t.Context(), "tcp", "10.9.9.9:1")
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "dial" || !errors.Is(err, refused) {
		t.Fatalf("%v is no refused dial", err)
	}
}

func TestADialWithAnEndedContextFails(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := n.net.DialContext(ctx, "tcp", address); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	})
}

func TestAReadEndsAtItsDeadlineAndTheConnectionLives(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		c := connect(t, n)
		start := time.Now()
		_ = c.SetReadDeadline(start.Add(70 * time.Millisecond))
		_, err := c.Read(make([]byte, 1))
		took(t, start, 70*time.Millisecond)
		if !errors.Is(err, os.ErrDeadlineExceeded) || !isTimeout(err) {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Time{})
		c.expect("+PONG", "PING")
	})
}

func TestADeadlineSetWhileSomebodyReadsEndsTheRead(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		c := connect(t, n)
		ended := make(chan error)
		go func() {
			_, err := c.Read(make([]byte, 1))
			ended <- err
		}()
		synctest.Wait()
		_ = c.SetDeadline(time.Now())
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	})
}

func TestCloseEndsAReadInProgress(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		c := connect(t, n)
		ended := make(chan error)
		go func() {
			_, err := c.Read(make([]byte, 1))
			ended <- err
		}()
		synctest.Wait()
		_ = c.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
		if err := c.Close(); !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
	})
}

func TestAWriterBlocksWhenTheNodeDoesNotRead(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		n.SetBuffer(1000)
		c := connect(t, n)
		n.Pause()
		start := time.Now()
		_ = c.SetWriteDeadline(start.Add(time.Second))
		if _, err := c.Write(make([]byte, 600)); err != nil {
			t.Fatal(err)
		}
		written, err := c.Write(make([]byte, 600))
		equal(t, "bytes taken", written, 400)
		took(t, start, time.Second)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	})
}

func TestAWriterGoesOnWhenTheNodeReadsAgain(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		n.SetBuffer(1000)
		c := connect(t, n)
		n.Pause()
		go func() {
			passTime(time.Second)
			n.Resume()
		}()
		start := time.Now()
		c.expect("+OK", "SET", "k", strings.Repeat("v", 5000))
		took(t, start, time.Second)
	})
}

func TestAfterCloseWriteTheRepliesCanStillBeRead(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		n.SetDelay(10*time.Millisecond, 10*time.Millisecond)
		c := connect(t, n)
		c.send("SET", "k", "v")
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Fatal(err)
		}
		equal(t, "reply", c.reply(), "+OK")
		c.ends(io.EOF)
		equal(t, "connections", len(n.Conns()), 0)
	})
}

func TestWhatWasWrittenIsExecutedAlsoAfterClose(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		n.SetDelay(time.Second, 0)
		c := connect(t, n)
		c.send("SET", "k", "v")
		_ = c.Close()
		equal(t, "already there", n.Exists("k"), false)
		passTime(time.Second)
		synctest.Wait()
		equal(t, "value", n.Get("k"), "v")
		equal(t, "connections", len(n.Conns()), 0)
	})
}

func TestCloseWithUnreadRepliesLosesWhatIsOnTheWay(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		c := connect(t, n)
		c.send("PING")
		synctest.Wait()
		n.SetDelay(time.Second, 0)
		c.send("SET", "k", "v")
		_ = c.Close()
		passTime(5 * time.Second)
		synctest.Wait()
		equal(t, "executed", n.Exists("k"), false)
		equal(t, "connections", len(n.Conns()), 0)
	})
}

func TestAReplyToAClosedClientResetsTheConnection(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		n.SetDelay(time.Second, 0)
		c := connect(t, n)
		c.send("SET", "a", "1")
		passTime(500 * time.Millisecond)
		c.send("SET", "b", "1")
		_ = c.Close()
		passTime(5 * time.Second)
		synctest.Wait()
		equal(t, "the first is executed", n.Exists("a"), true)
		equal(t, "the second is executed", n.Exists("b"), false)
	})
}

func TestAWriteToAKilledNodeIsReset(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		c := connect(t, n)
		n.Kill()
		if _, err := io.WriteString(c, encode("PING")); !errors.Is(err, syscall.ECONNRESET) {
			t.Fatal(err)
		}
	})
}

func TestAWriteToAServerThatHasClosedIsAnsweredWithAReset(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		c := connect(t, n)
		n.KillClients()
		c.ends(io.EOF)
		n.Stall(true)
		c.send("PING") // the kernel takes it
		n.Stall(false)
		c.ends(syscall.ECONNRESET)
		if _, err := io.WriteString(c, encode("PING")); !errors.Is(err, syscall.ECONNRESET) {
			t.Fatal(err)
		}
	})
}

package fakeredis

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestKillResetsConnectionsAndRefusesDials(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		c := connect(t, n)
		c.expect("+OK", "SET", "k", "v")
		n.Kill()
		c.ends(syscall.ECONNRESET)
		if err := dialFor(n, time.Second); !errors.Is(err, refused) {
			t.Fatal(err)
		}
		equal(t, "data is kept", n.Get("k"), "v")
	})
}

func TestStartKeepsTheDataAndForgetsTheProcess(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		c := connect(t, n)
		c.expect("+OK", "SET", "k", "v", "PX", "10000")
		digest := c.do("SCRIPT", "LOAD", "return 1")
		before := n.RunID()
		n.Kill()
		passTime(4 * time.Second)
		n.Start()
		equal(t, "what is left", n.PTTL("k"), 6*time.Second)
		equal(t, "same run_id", n.RunID() == before, false)
		c = connect(t, n)
		c.expect(":1", "CLIENT", "ID")
		if got := c.do("EVALSHA", digest, "0"); !strings.HasPrefix(got, "-NOSCRIPT ") {
			t.Fatal(got)
		}
	})
}

func TestStartEmptyLosesTheData(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		n.Set("k", "v", 0)
		before := n.RunID()
		n.StartEmpty()
		equal(t, "keys", len(n.Keys()), 0)
		equal(t, "same run_id", n.RunID() == before, false)
		connect(t, n).expect("+PONG", "PING")
	})
}

func TestANodeThatWasClosedDoesNotStartAgain(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		n.Close()
		n.Start()
		n.StartEmpty()
		if err := dialFor(n, time.Second); !errors.Is(err, refused) {
			t.Fatal(err)
		}
	})
}

func TestAPausedNodeExecutesOnResumeWhatItHasReceived(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		old := connect(t, n)
		n.Pause()
		old.send("SET", "old", "1")
		_ = old.Close()
		c := connect(t, n) // the kernel accepts
		c.send("SET", "new", "1")
		c.silentFor(time.Hour)
		equal(t, "keys", len(n.Keys()), 0)
		n.Resume()
		equal(t, "reply", c.reply(), "+OK")
		equal(t, "keys", strings.Join(n.Keys(), " "), "new old")
		equal(t, "order", n.Commands()[0].Args[0], "old")
	})
}

func TestAKilledNodeExecutesNothingOfWhatItHadReceived(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		c := connect(t, n)
		n.Pause()
		c.send("SET", "k", "v")
		n.Kill()
		n.Start()
		synctest.Wait()
		equal(t, "keys", len(n.Keys()), 0)
		connect(t, n).expect("+PONG", "PING")
	})
}

func TestAStallDeliversLate(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		c := connect(t, n)
		n.Stall(true)
		c.send("SET", "k", "v")
		c.silentFor(time.Minute)
		equal(t, "executed", n.Exists("k"), false)
		if err := dialFor(n, time.Second); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		n.Stall(false)
		equal(t, "reply", c.reply(), "+OK")
	})
}

func TestAStallHoldsRepliesThatAreUnderWay(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		n.SetDelay(0, time.Second)
		c := connect(t, n)
		c.send("SET", "k", "v")
		synctest.Wait()
		n.Stall(true)
		n.Kill()
		c.silentFor(time.Minute)
		n.Stall(false)
		equal(t, "reply", c.reply(), "+OK")
		c.ends(syscall.ECONNRESET)
	})
}

func TestADialWaitsForTheEndOfAStall(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		n.Stall(true)
		go func() {
			passTime(time.Second)
			n.Stall(false)
		}()
		start := time.Now()
		connect(t, n).expect("+PONG", "PING")
		took(t, start, time.Second)
	})
}

func TestABlackholeLosesBothWaysAndTheConnectionStaysSilent(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		c := connect(t, n)
		idle := connect(t, n)
		n.Blackhole(true)
		c.send("SET", "k", "v")
		if err := dialFor(n, time.Second); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		n.Blackhole(false)
		c.send("PING")
		c.silentFor(time.Minute)
		equal(t, "executed", n.Exists("k"), false)
		equal(t, "connections", len(n.Conns()), 2)
		idle.expect("+PONG", "PING") // nothing of it was lost
	})
}

func TestDropRepliesLosesOnlyReplies(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		c := connect(t, n)
		n.DropReplies(true)
		c.send("SET", "k", "v")
		c.silentFor(time.Minute)
		n.DropReplies(false)
		c.send("SET", "l", "v")
		c.silentFor(time.Minute)
		equal(t, "keys", strings.Join(n.Keys(), " "), "k l")
		connect(t, n).expect("+PONG", "PING")
	})
}

func TestDelaysAddUpInOneRoundTrip(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		n.SetDelay(30*time.Millisecond, 20*time.Millisecond)
		start := time.Now()
		c := connect(t, n)
		took(t, start, 50*time.Millisecond)
		c.send("SET", "k", "v")
		passTime(29 * time.Millisecond)
		equal(t, "executed early", n.Exists("k"), false)
		equal(t, "reply", c.reply(), "+OK")
		took(t, start, 100*time.Millisecond)
	})
}

func TestAShorterDelayDoesNotOvertake(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		c := connect(t, n)
		n.SetDelay(time.Second, 0)
		c.send("SET", "k", "first")
		n.SetDelay(0, 0)
		c.send("SET", "k", "second")
		passTime(time.Second)
		synctest.Wait()
		equal(t, "value", n.Get("k"), "second")
	})
}

func TestKillClientsClosesInOrder(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		c := connect(t, n)
		c.send("SET", "k", "v")
		synctest.Wait()
		n.KillClients()
		equal(t, "reply", c.reply(), "+OK")
		c.ends(io.EOF)
		connect(t, n).expect("+PONG", "PING")
	})
}

func TestTheIdleTimeoutCountsFromTheLastCommand(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		n.SetIdleTimeout(time.Second)
		c := connect(t, n)
		passTime(900 * time.Millisecond)
		c.expect("+PONG", "PING")
		start := time.Now()
		c.ends(io.EOF)
		took(t, start, time.Second)
	})
}

func TestAPausedNodeClosesNoIdleConnectionBeforeItGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		n.SetIdleTimeout(time.Second)
		c := connect(t, n)
		n.Pause()
		c.silentFor(5500 * time.Millisecond)
		n.Resume()
		c.ends(io.EOF)
	})
}

func TestMaxClientsRefusesInWords(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		n.SetMaxClients(1)
		first := connect(t, n)
		second := connect(t, n)
		equal(t, "answer", second.reply(), "-ERR max number of clients reached")
		second.ends(io.EOF)
		first.expect("+PONG", "PING")
	})
}

func TestKeysExpireWithTheNodesOwnClock(t *testing.T) {
	for _, tc := range []struct {
		name string
		set  func(*Node)
		soon time.Duration
		want time.Duration
	}{
		{"in step", func(*Node) {}, 10 * time.Second, 6 * time.Second},
		{"jump forward", func(n *Node) { n.AdvanceClock(time.Second) }, 9 * time.Second, 5 * time.Second},
		{"jump back", func(n *Node) { n.AdvanceClock(-time.Second) }, 11 * time.Second, 7 * time.Second},
		{"fast", func(n *Node) { n.SetClockRate(1.5) }, 10 * time.Second, 4 * time.Second},
		{"slow", func(n *Node) { n.SetClockRate(0.5) }, 10 * time.Second, 8 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *Node) {
				c := connect(t, n)
				c.expect("+OK", "SET", "k", "v", "NX", "PX", "10000")
				tc.set(n)
				equal(t, "left at once", n.PTTL("k"), tc.soon)
				passTime(4 * time.Second)
				equal(t, "left", n.PTTL("k"), tc.want)
				left := ":" + itoa(tc.want.Milliseconds())
				equal(t, "left over the wire", c.do("EVAL", "return redis.call('PTTL', KEYS[1])", "1", "k"), left)
			})
		})
	}
}

func TestAKeyIsGoneWhenItsTTLHasPassed(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		c := connect(t, n)
		c.expect("+OK", "SET", "k", "v", "NX", "PX", "1000")
		passTime(time.Second - time.Nanosecond)
		c.expect("$-1", "SET", "k", "w", "NX", "PX", "1000")
		passTime(time.Nanosecond)
		c.expect("+OK", "SET", "k", "w", "NX", "PX", "1000")
	})
}

func TestLookingInNeedsNoTraffic(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		n.Kill()
		n.Set("a", "1", 0)
		n.Set("b", "2", time.Second)
		equal(t, "PTTL without expiry", n.PTTL("a"), -1)
		equal(t, "PTTL", n.PTTL("b"), time.Second)
		equal(t, "PTTL of no key", n.PTTL("c"), -2)
		equal(t, "Get", n.Get("b"), "2")
		equal(t, "Get of no key", n.Get("c"), "")
		equal(t, "keys", strings.Join(n.Keys(), " "), "a b")
		n.FlushAll()
		equal(t, "keys", len(n.Keys()), 0)
		equal(t, "commands", len(n.Commands()), 0)
	})
}

func TestTheLogHasWhatWasExecutedAndByWhom(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		a, b := connect(t, n), connect(t, n)
		n.Deny("get")
		a.expect("+OK", "set", "k", "v")
		b.do("GET", "k")
		b.do("CLIENT", "SETINFO", "LIB-NAME", "x")
		log := n.Commands()
		equal(t, "length", len(log), 2)
		equal(t, "name", log[0].Name, "SET")
		equal(t, "argument", log[0].Args[0], "k")
		equal(t, "client", log[1].Conn, 2)
		equal(t, "SET", n.Executed("set"), 1)
		equal(t, "GET", n.Executed("GET"), 0)
		equal(t, "SETINFO", n.Executed("client|setinfo"), 1)
		if !slices.Equal(n.Conns(), []int{1, 2}) {
			t.Error(n.Conns())
		}
	})
}

func TestMessagesOfAllNodesAreCountedInOrder(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		other := n.net.Start(t, "10.0.0.2:6379")
		seen := 0
		n.net.OnMessage(func(k int) {
			seen++
			equal(t, "number", k, seen)
		})
		c := connect(t, n)
		c.do("PING")
		equal(t, "one command, one reply", seen, 2)
		conn, err := n.net.DialContext(t.Context(), "tcp", other.address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		n.net.OnMessage(func(k int) {
			if k == 1 {
				other.Kill()
			}
		})
		c.send("PING")
		equal(t, "reply", c.reply(), "+PONG")
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Fatal(err)
		}
	})
}

func TestItWorksWithoutABubble(t *testing.T) {
	n := NewNet().Start(t, address)
	c := connect(t, n)
	c.expect("+OK", "SET", "k", "v", "PX", "60000")
	if left := n.PTTL("k"); left <= 0 || left > time.Minute {
		t.Fatal(left)
	}
	n.Close()
	c.ends(syscall.ECONNRESET)
}

// passTime moves the bubble's clock.
func passTime(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // in bubbles alone: it costs no time
}

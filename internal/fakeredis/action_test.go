package fakeredis

import (
	"io"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// on makes an OnCommand function that does a to the commands called name.
func on(name string, a Action) func(Command) Action {
	return func(c Command) Action {
		if c.Name == name {
			return a
		}
		return Action{}
	}
}

func TestAReplyCanBeAnyBytes(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		n.OnCommand(on("SET", Action{Reply: "-LOADING Redis is loading the dataset in memory\r\n"}))
		c := connect(t, n)
		c.expect("-LOADING Redis is loading the dataset in memory", "SET", "k", "v")
		equal(t, "executed", n.Exists("k"), false)
		n.OnCommand(nil)
		c.expect("+OK", "SET", "k", "v")
	})
}

func TestADelayedCommandHoldsUpItsOwnConnectionOnly(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		n.OnCommand(on("SET", Action{Delay: time.Second}))
		slow, fast := connect(t, n), connect(t, n)
		start := time.Now()
		slow.send("SET", "k", "v")
		slow.send("GET", "k")
		fast.expect("$-1", "GET", "k")
		took(t, start, 0)
		equal(t, "first reply", slow.reply(), "+OK")
		equal(t, "second reply", slow.reply(), "v")
		took(t, start, time.Second)
	})
}

func TestAHeldCommandIsExecutedWhenItIsReleasedAlsoAfterClose(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		release := make(chan struct{})
		n.OnCommand(on("SET", Action{Until: release}))
		old := connect(t, n)
		old.send("SET", "k", "v")
		_ = old.Close()
		c := connect(t, n)
		c.expect(":0", "DEL", "k")
		passTime(time.Hour)
		equal(t, "executed", n.Exists("k"), false)
		equal(t, "connections", len(n.Conns()), 2)
		close(release)
		synctest.Wait()
		equal(t, "executed", n.Exists("k"), true)
		equal(t, "connections", len(n.Conns()), 1)
	})
}

func TestAHeldCommandDiesWithItsConnection(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		release := make(chan struct{})
		n.OnCommand(on("SET", Action{Until: release}))
		old := connect(t, n)
		old.send("SET", "k", "v")
		connect(t, n).expect(":1", "CLIENT", "KILL", "ID", "1")
		close(release)
		synctest.Wait()
		equal(t, "executed", n.Exists("k"), false)
	})
}

func TestADroppedCommandIsLostWithAllBehindIt(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		n.OnCommand(on("SET", Action{Drop: true}))
		c := connect(t, n)
		c.expect("+PONG", "PING")
		if _, err := io.WriteString(c.conn, encode("SET", "k", "v")+encode("PING")); err != nil {
			t.Fatal(err)
		}
		c.send("PING")
		c.silentFor(time.Minute)
		equal(t, "executed", n.Exists("k"), false)
		equal(t, "PINGs", n.Executed("PING"), 1)
		connect(t, n).expect("+PONG", "PING")
	})
}

func TestADroppedReplyLeavesTheCommandExecuted(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		n.SetDelay(0, time.Millisecond)
		n.OnCommand(on("SET", Action{DropReply: true}))
		c := connect(t, n)
		c.send("PING")
		c.send("SET", "k", "v")
		c.send("PING")
		equal(t, "the reply before", c.reply(), "+PONG")
		c.silentFor(time.Minute)
		equal(t, "executed", n.Exists("k"), true)
		equal(t, "PINGs", n.Executed("PING"), 2)
	})
}

func TestACutComesBeforeTheCommandIsExecuted(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		n.OnCommand(on("SET", Action{Cut: true}))
		c := connect(t, n)
		c.send("SET", "k", "v")
		c.ends(syscall.ECONNRESET)
		equal(t, "executed", n.Exists("k"), false)
	})
}

func TestAReplyIsCutAtEveryByte(t *testing.T) {
	const whole = "+OK\r\n"
	for at := range len(whole) + 1 {
		t.Run(strconv.Itoa(at), func(t *testing.T) {
			bubble(t, func(t *testing.T, n *Node) {
				n.OnCommand(on("SET", Action{CutReply: true, CutAt: at}))
				c := connect(t, n)
				c.send("SET", "k", "v")
				got, err := io.ReadAll(c.conn)
				equal(t, "bytes", string(got), whole[:at])
				if err == nil {
					t.Error("the connection was closed, not reset")
				}
				equal(t, "executed", n.Exists("k"), true)
			})
		})
	}
}

func TestTheTestIsToldOfEachCommandInOrder(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		var seen []Command
		n.OnCommand(func(c Command) Action {
			seen = append(seen, c)
			return Action{}
		})
		c := connect(t, n)
		c.send("set", "k", "v")
		c.send("GET", "k")
		c.reply()
		c.reply()
		equal(t, "commands", len(seen), 2)
		equal(t, "name", seen[0].Name, "SET")
		equal(t, "connection", seen[1].Conn, 1)
		equal(t, "arguments", slices.Equal(seen[0].Args, []string{"k", "v"}), true)
	})
}

func TestTheTestMayPauseAndKillTheNodeFromWithin(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		n.OnCommand(func(c Command) Action {
			switch c.Name {
			case "SET":
				n.Pause()
			case "DEL":
				n.Kill()
				n.Start()
			}
			return Action{}
		})
		c := connect(t, n)
		c.send("SET", "k", "v")
		c.silentFor(time.Minute)
		equal(t, "executed", n.Exists("k"), false)
		n.Resume()
		equal(t, "reply", c.reply(), "+OK")
		c.send("DEL", "k")
		c.ends(syscall.ECONNRESET)
		equal(t, "still there", n.Exists("k"), true)
	})
}

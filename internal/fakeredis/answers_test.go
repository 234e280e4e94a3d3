package fakeredis

import (
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redlock-go/redlock/internal/scripts"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func TestAServerSaysWhatItIs(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		c := connect(t, n)
		c.expect("server redis version 7.4.0 proto :2 id :1 mode standalone role master modules ", "HELLO", "2")
		c.expect("master :0 ", "ROLE")
		if info := c.do("INFO", "server"); !strings.Contains(info, "run_id:"+n.RunID()+"\r\n") {
			t.Error(info)
		}
		n.SetRole("slave")
		n.SetMode("cluster")
		n.SetRunID("same")
		if hello := c.do("HELLO"); !strings.Contains(hello, "mode cluster role replica") {
			t.Error(hello)
		}
		if role := c.do("ROLE"); !strings.HasPrefix(role, "slave ") {
			t.Error(role)
		}
		if info := c.do("INFO"); !strings.Contains(info, "run_id:same\r\n") || !strings.Contains(info, "role:slave\r\n") {
			t.Error(info)
		}
		if answer := c.do("HELLO", "3"); !strings.HasPrefix(answer, "-NOPROTO ") {
			t.Error(answer)
		}
	})
}

func TestAPasswordIsDemanded(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		before := connect(t, n)
		n.SetPassword("secret")
		n.SetUser("alice", "hers")
		before.expect("+PONG", "PING")
		c := connect(t, n)
		c.expect("-NOAUTH Authentication required.", "PING")
		for _, args := range [][]string{
			{"AUTH", "wrong"}, {"AUTH", "bob", "secret"}, {"HELLO", "2", "AUTH", "alice", "secret"},
		} {
			if answer := c.do(args...); !strings.HasPrefix(answer, "-WRONGPASS ") {
				t.Errorf("%q: %s", args, answer)
			}
		}
		if answer := c.do("HELLO", "2"); !strings.HasPrefix(answer, "-NOAUTH ") {
			t.Error(answer)
		}
		c.expect("+OK", "AUTH", "secret")
		c.expect("+PONG", "PING")
		d := connect(t, n)
		d.do("HELLO", "2", "AUTH", "alice", "hers", "SETNAME", "me")
		d.expect("me", "CLIENT", "GETNAME")
	})
}

func TestAPasswordThatNobodyWantsIsAnError(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		if answer := connect(t, n).do("AUTH", "x"); !strings.HasPrefix(answer, "-ERR AUTH <password> called without") {
			t.Fatal(answer)
		}
	})
}

func TestWAITAnswersWhenEnoughHaveConfirmedOrItsTimeHasPassed(t *testing.T) {
	for _, tc := range []struct {
		name     string
		replicas int
		after    time.Duration
		timeout  string
		want     string
		takes    time.Duration
	}{
		{"enough, at once", 2, 0, "100", ":2", 0},
		{"enough, later", 1, 40 * time.Millisecond, "100", ":1", 40 * time.Millisecond},
		{"enough, without a timeout", 1, time.Second, "0", ":1", time.Second},
		{"enough, too late", 1, time.Second, "100", ":0", 100 * time.Millisecond},
		{"too few", 0, 0, "100", ":0", 100 * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *Node) {
				n.SetReplicas(tc.replicas, tc.after)
				start := time.Now()
				connect(t, n).expect(tc.want, "WAIT", "1", tc.timeout)
				took(t, start, tc.takes)
			})
		})
	}
}

func TestWAITBlocksItsOwnConnectionOnly(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		blocked, free := connect(t, n), connect(t, n)
		blocked.send("WAIT", "1", "0")
		blocked.send("SET", "k", "v")
		free.expect("+PONG", "PING")
		blocked.silentFor(time.Hour)
		equal(t, "executed", n.Exists("k"), false)
	})
}

func TestClientsAreListedAndKilledByID(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		a, b := connect(t, n), connect(t, n)
		a.expect(":1", "CLIENT", "ID")
		b.expect(":2", "CLIENT", "ID")
		a.expect("+OK", "CLIENT", "SETNAME", "first")
		equal(t, "clients", strings.Count(b.do("CLIENT", "LIST"), "\n"), 2)
		if list := b.do("CLIENT", "LIST", "ID", "1", "7"); !strings.HasPrefix(list, "id=1 ") ||
			!strings.Contains(list, "name=first\n") || strings.Count(list, "\n") != 1 {
			t.Error(list)
		}
		b.expect(":1", "CLIENT", "KILL", "ID", "1")
		a.ends(io.EOF)
		b.expect(":0", "CLIENT", "KILL", "ID", "1")
		b.expect(":0", "CLIENT", "KILL", "ID", "2")
	})
}

func TestAKilledClientsCommandsAreNeverExecuted(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		a, b := connect(t, n), connect(t, n)
		n.Pause()
		b.send("CLIENT", "KILL", "ID", "1")
		a.send("SET", "k", "v")
		n.Resume()
		equal(t, "killed", b.reply(), ":1")
		a.ends(io.EOF)
		equal(t, "executed", n.Exists("k"), false)
	})
}

func TestACommandFailsAsItIsTold(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		c := connect(t, n)
		n.FailWith("set", "OOM command not allowed when used memory > 'maxmemory'.")
		c.expect("-OOM command not allowed when used memory > 'maxmemory'.", "SET", "k", "v")
		equal(t, "executed", n.Executed("SET"), 0)
		n.FailWith("SET", "")
		c.expect("+OK", "SET", "k", "v")
		n.Deny("client|kill")
		c.expect("-NOPERM User default has no permissions to run the 'client|kill' command", "CLIENT", "KILL", "ID", "7")
		c.expect(":1", "CLIENT", "ID")
		n.FailWith("*", "LOADING Redis is loading the dataset in memory")
		c.expect("-LOADING Redis is loading the dataset in memory", "PING")
		c.expect(":1", "CLIENT", "ID")
	})
}

func TestErrorsInsideAScriptBeginWithTheirCode(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		c := connect(t, n)
		n.Do("HSET", "hash", "a", "b")
		n.Deny("del")
		c.expect("+OK", "SET", "k", "token")
		for _, tc := range []struct{ key, want string }{
			{"hash", "-WRONGTYPE "},
			{"k", "-NOPERM "},
		} {
			if got := c.do("EVAL", scripts.Release, "1", tc.key, "token", "0"); !strings.HasPrefix(got, tc.want) {
				t.Errorf("%s: %s", tc.key, got)
			}
		}
		got := c.do("EVAL", "return redis.call('nonsense')", "0")
		if !strings.HasPrefix(got, "-ERR ") {
			t.Error(got)
		}
	})
}

func TestTheLibrarysScriptsRunAsTheyAre(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		c := connect(t, n)
		load := func(script string) string { return c.do("SCRIPT", "LOAD", script) }
		acquire, extend, release := load(scripts.Acquire), load(scripts.Extend), load(scripts.Release)
		c.expect(":1", "EVALSHA", acquire, "1", "k", "mine", "1000")
		c.expect(":2", "EVALSHA", acquire, "1", "k", "mine", "1000")
		c.expect(":-1000", "EVALSHA", acquire, "1", "k", "other", "1000")
		c.expect(":1", "EVALSHA", extend, "1", "k", "mine", "5000")
		equal(t, "extended", n.PTTL("k"), 5*time.Second)
		c.expect(":1", "EVALSHA", extend, "1", "k", "mine", "500")
		equal(t, "not shortened", n.PTTL("k"), 5*time.Second)
		c.expect(":1", "EVAL", scripts.Persist, "1", "k", "mine")
		equal(t, "persisted", n.PTTL("k"), -1)
		c.expect(":0", "EVALSHA", release, "1", "k", "other", "0")
		c.expect(":1", "EVALSHA", release, "1", "k", "mine", "0")
		n.ScriptFlush()
		c.expect("-NOSCRIPT No matching script. Please use EVAL.", "EVALSHA", release, "1", "k", "mine", "0")
	})
}

func TestWhatIsNoCommandEndsTheConnection(t *testing.T) {
	for _, bytes := range []string{
		"GET / HTTP/1.1\r\n\r\n", "*x\r\n", "*1\r\n+PING\r\n", "*1\r\n$-1\r\n", "\x16\x03\x01",
	} {
		t.Run(bytes, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *Node) {
				c := connect(t, n)
				if _, err := io.WriteString(c.conn, bytes); err != nil {
					t.Fatal(err)
				}
				equal(t, "answer", c.reply(), "-ERR Protocol error")
				c.ends(io.EOF)
			})
		})
	}
}

func TestACommandMayComeInPieces(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		c := connect(t, n)
		for _, b := range []byte(encode("SET", "k", "v")) {
			if _, err := c.Write([]byte{b}); err != nil {
				t.Fatal(err)
			}
		}
		equal(t, "reply", c.reply(), "+OK")
	})
}

func TestADatabaseIsItsOwn(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		c := connect(t, n)
		c.expect("+OK", "SELECT", "5")
		c.expect("+OK", "SET", "k", "v")
		equal(t, "in database 0", n.Exists("k"), false)
		c.expect("-ERR DB index is out of range", "SELECT", "16")
		c.expect("v", "GET", "k")
	})
}

func TestQUITClosesTheConnection(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		c := connect(t, n)
		c.expect("+OK", "QUIT")
		c.ends(io.EOF)
	})
}

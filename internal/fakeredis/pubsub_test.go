package fakeredis

import (
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// listen connects a client that has subscribed to channel.
func listen(t *testing.T, n *Node, channel string) *client {
	t.Helper()
	c := connect(t, n)
	c.expect("subscribe "+channel+" :1", "SUBSCRIBE", channel)
	return c
}

func TestAMessageReachesThoseWhoHaveSubscribed(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		a, b, publisher := listen(t, n, "news"), listen(t, n, "news"), connect(t, n)
		other := listen(t, n, "sports")
		publisher.expect(":2", "PUBLISH", "news", "two words")
		equal(t, "the first hears", a.reply(), "message news two words")
		equal(t, "the second hears", b.reply(), "message news two words")
		other.silentFor(time.Minute)
		publisher.expect(":0", "PUBLISH", "nobody", "x")
		equal(t, "subscribers", n.Subscribers("news"), 2)
		equal(t, "PUBLISH", n.Executed("publish"), 2)
		equal(t, "SUBSCRIBE", n.Executed("subscribe"), 3)
	})
}

func TestEachChannelIsAcknowledgedWithTheNumberOfSubscriptions(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		c := connect(t, n)
		c.expect("unsubscribe $-1 :0", "UNSUBSCRIBE")
		c.expect("unsubscribe a :0", "UNSUBSCRIBE", "a")
		c.send("SUBSCRIBE", "a", "b", "a", "c")
		c.send("UNSUBSCRIBE", "b", "x")
		c.send("UNSUBSCRIBE")
		for _, want := range []string{
			"subscribe a :1", "subscribe b :2", "subscribe a :2", "subscribe c :3",
			"unsubscribe b :2", "unsubscribe x :2",
			"unsubscribe a :1", "unsubscribe c :0",
		} {
			equal(t, "answer", c.reply(), want)
		}
		equal(t, "subscribers", n.Subscribers("a"), 0)
		c.expect("+PONG", "PING")
	})
}

func TestASubscriberMaySendNothingElse(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		c := listen(t, n, "news")
		for _, args := range [][]string{{"GET", "k"}, {"PUBLISH", "news", "x"}, {"CLIENT", "ID"}} {
			c.expect("-ERR Can't execute '"+strings.ToLower(fullName(args[0], args[1:]))+
				"': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context", args...)
		}
		c.send("PING")
		want := "*2\r\n$4\r\npong\r\n$0\r\n\r\n"
		equal(t, "bytes", c.raw(len(want)), want)
		c.expect("pong hello", "PING", "hello")
		c.expect("+OK", "QUIT")
		c.ends(io.EOF)
		equal(t, "subscribers", n.Subscribers("news"), 0)
	})
}

// raw reads size bytes.
func (c *client) raw(size int) string {
	c.t.Helper()
	b := make([]byte, size)
	if _, err := io.ReadFull(c.r, b); err != nil {
		c.t.Fatal(err)
	}
	return string(b)
}

func TestAMalformedCommandIsAnsweredAsRedisDoes(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		c := connect(t, n)
		c.expect("-ERR wrong number of arguments for 'subscribe' command", "SUBSCRIBE")
		c.expect("-ERR wrong number of arguments for 'publish' command", "PUBLISH", "news")
		got := c.do("EVAL", "return redis.call('SUBSCRIBE', 'news')", "0")
		if !strings.HasPrefix(got, "-ERR This Redis command is not allowed from script") {
			t.Error(got)
		}
		equal(t, "subscribers", n.Subscribers("news"), 0)
	})
}

func TestAScriptPublishes(t *testing.T) {
	for _, call := range []string{"call", "pcall"} {
		t.Run(call, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *Node) {
				subscriber, c := listen(t, n, "news"), connect(t, n)
				script := "return redis." + call + "('PUBLISH', KEYS[1], 'from a script')"
				c.expect(":1", "EVAL", script, "1", "news")
				equal(t, "message", subscriber.reply(), "message news from a script")
				c.expect(":0", "EVAL", script, "1", "nobody")
				equal(t, "PUBLISH", n.Executed("PUBLISH"), 0)
			})
		})
	}
}

// publishThenSet is a script, but for what it calls PUBLISH with.
const publishThenSet = `
local told = redis.%s('PUBLISH', KEYS[1], 'x')
redis.call('SET', KEYS[1], 'went on')
return type(told) == 'table' and told['err'] or told`

func TestAScriptGoesOnWithoutTheRightToPublishOnlyByPCALL(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		subscriber, c := listen(t, n, "news"), connect(t, n)
		n.FailWith("PUBLISH", "NOPERM no such right")
		c.expect("-NOPERM no such right", "PUBLISH", "news", "x")
		got := c.do("EVAL", fmt.Sprintf(publishThenSet, "call"), "1", "news")
		if !strings.HasPrefix(got, "-NOPERM no such right script: ") || !strings.HasSuffix(got, "on @user_script:2.") {
			t.Error(got)
		}
		equal(t, "went on after call", n.Exists("news"), false)
		c.expect("NOPERM no such right", "EVAL", fmt.Sprintf(publishThenSet, "pcall"), "1", "news")
		equal(t, "went on after pcall", n.Exists("news"), true)
		subscriber.silentFor(time.Minute)
	})
}

func TestAnErrorAnswersAWholeSUBSCRIBE(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		n.Deny("subscribe")
		c := connect(t, n)
		c.expect("-NOPERM User default has no permissions to run the 'subscribe' command", "SUBSCRIBE", "a", "b")
		c.expect("+PONG", "PING")
		equal(t, "SUBSCRIBE", n.Executed("SUBSCRIBE"), 0)
		n.FailWith("subscribe", "")
		n.FailWith("*", "LOADING Redis is loading the dataset in memory")
		c.expect("subscribe a :1", "SUBSCRIBE", "a")
		n.SetPassword("secret")
		connect(t, n).expect("-NOAUTH Authentication required.", "SUBSCRIBE", "a")
	})
}

func TestAMuteNodeLosesMessagesAndNothingElse(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		c, publisher := listen(t, n, "news"), connect(t, n)
		n.SetMute(true)
		publisher.expect(":1", "PUBLISH", "news", "lost")
		c.silentFor(time.Minute)
		c.expect("subscribe sports :2", "SUBSCRIBE", "sports")
		n.SetMute(false)
		publisher.expect(":1", "PUBLISH", "news", "heard")
		equal(t, "message", c.reply(), "message news heard")
	})
}

func TestMessagesTravelAsRepliesDo(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		c, publisher := listen(t, n, "news"), connect(t, n)
		n.SetDelay(0, time.Second)
		start := time.Now()
		publisher.send("PUBLISH", "news", "1")
		equal(t, "message", c.reply(), "message news 1")
		took(t, start, time.Second)
		n.SetDelay(0, 0)

		n.Stall(true)
		n.Do("PUBLISH", "news", "2")
		c.silentFor(time.Minute)
		n.Stall(false)
		equal(t, "message", c.reply(), "message news 2")

		n.DropReplies(true)
		n.Do("PUBLISH", "news", "3")
		synctest.Wait()
		n.DropReplies(false)
		n.Do("PUBLISH", "news", "4") // nothing comes behind a hole
		c.silentFor(time.Minute)
		equal(t, "subscribers", n.Subscribers("news"), 1)
	})
}

func TestWhatASubscriberIsSentKeepsItsOrder(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		c := connect(t, n)
		n.net.OnMessage(func(k int) {
			if k%2 == 0 { // all but the first command, and the messages
				n.Do("PUBLISH", "news", itoa(int64(k)))
			}
		})
		if _, err := io.WriteString(c, encode("SUBSCRIBE", "news")+encode("PING")+encode("UNSUBSCRIBE")); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			"subscribe news :1", "message news 2", // published before that was sent
			"message news 4", "pong ", "message news 6",
			"message news 8", "unsubscribe news :0",
		} {
			equal(t, "sent", c.reply(), want)
		}
		c.silentFor(time.Minute)
	})
}

func TestMessagesAreSentInTheOrderOfSubscription(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		a, b := connect(t, n), connect(t, n)
		b.expect("subscribe news :1", "SUBSCRIBE", "news")
		a.expect("subscribe news :1", "SUBSCRIBE", "news")
		publisher := connect(t, n)
		n.net.OnMessage(func(k int) {
			if k == 3 { // the command, b's message, a's
				n.Kill()
			}
		})
		publisher.send("PUBLISH", "news", "x")
		equal(t, "message", b.reply(), "message news x")
		a.ends(syscall.ECONNRESET)
		publisher.ends(syscall.ECONNRESET)
	})
}

func TestASubscriptionEndsWithItsConnection(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(*Node, *client)
	}{
		{"the client closes", func(_ *Node, c *client) { _ = c.Close() }},
		{"the server closes", func(n *Node, _ *client) { n.KillClients() }},
		{"restart", func(n *Node, _ *client) { n.Start() }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *Node) {
				c := listen(t, n, "news")
				tc.end(n, c)
				synctest.Wait()
				equal(t, "subscribers", n.Subscribers("news"), 0)
				connect(t, n).expect(":0", "PUBLISH", "news", "x")
			})
		})
	}
}

func TestAPausedNodePublishesOnResumeAndAKilledOneNever(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		c, publisher := listen(t, n, "news"), connect(t, n)
		n.Pause()
		publisher.send("PUBLISH", "news", "1")
		n.Do("PUBLISH", "news", "2")
		c.silentFor(time.Hour)
		n.Resume()
		equal(t, "the first", c.reply(), "message news 2")
		equal(t, "the second", c.reply(), "message news 1")
		n.Pause()
		n.Do("PUBLISH", "news", "3")
		n.Kill()
		c.ends(syscall.ECONNRESET)
	})
}

func TestTheIdleTimeoutSparesSubscribers(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node) {
		n.SetIdleTimeout(time.Second)
		c := listen(t, n, "news")
		c.silentFor(time.Hour)
		c.expect("unsubscribe news :0", "UNSUBSCRIBE")
		start := time.Now()
		c.ends(io.EOF)
		took(t, start, time.Second)
	})
}

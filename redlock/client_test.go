package redlock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/redlock-go/redlock/internal/fakeredis"
)

// bringYourOwn runs f with a manager on n clients of the user's, made with the
// defaults of go-redis: with retries.
func bringYourOwn(t *testing.T, n int, f func(t *testing.T, r *rig)) {
	t.Helper()
	bubble(t, n, Config{}, func(t *testing.T, r *rig) {
		var nodes []Node
		for _, node := range r.cfg.Nodes {
			_, address := node.network()
			client := redis.NewClient(&redis.Options{
				Addr: address, Dialer: r.net.DialContext, DisableIdentity: true,
				MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
			})
			t.Cleanup(func() { _ = client.Close() })
			nodes = append(nodes, Client(client))
		}
		mine := r.manager(Config{Nodes: nodes})
		t.Cleanup(func() { _ = mine.Close(t.Context()) })
		f(t, &rig{Manager: mine, t: t, net: r.net, nodes: r.nodes})
	})
}

func TestAUsersClientIsANode(t *testing.T) {
	bringYourOwn(t, 3, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		r.mustHave("a", 3)
		if _, err := r.TryLock(t.Context(), "a"); !errors.Is(err, ErrTaken) {
			t.Errorf("got %v", err)
		}
		if err := lock.Extend(t.Context(), time.Minute); err != nil {
			t.Error(err)
		}
		if held, err := lock.IsHeld(t.Context()); !held || err != nil {
			t.Error(held, err)
		}
		if err := lock.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
		passTime(time.Second)
		r.mustHave("a", 0)
	})
}

func TestAnAcquireThatAUsersClientSendsTwiceIsItsOwnGrant(t *testing.T) {
	bringYourOwn(t, 1, func(t *testing.T, r *rig) {
		r.connected()
		once := true
		r.nodes[0].OnCommand(func(c fakeredis.Command) (a fakeredis.Action) {
			if c.Name == "EVAL" && once {
				once, a.CutReply = false, true
			}
			return a
		})
		lock := r.mustLock(r.Manager, "a")
		if got := r.nodes[0].Executed("EVAL"); got != 2 {
			t.Errorf("the acquire was executed %d times: nothing is shown", got)
		}
		if err := lock.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
		passTime(reaped)
		r.mustHave("a", 0)
	})
}

func TestACopyOfAnAcquireThatIsExecutedAfterItsReleaseIsReleasedToo(t *testing.T) {
	for name, first := range map[string]string{"granted": "", "refused": "someone's"} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 1, Config{}, func(t *testing.T, r *rig) {
				client := redis.NewClient(&redis.Options{
					Addr: "10.0.0.1:6379", Dialer: r.net.DialContext, DisableIdentity: true,
					ReadTimeout:              50 * time.Millisecond,
					MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
				})
				m := r.manager(Config{Nodes: []Node{Client(client)}})
				if err := m.Ping(t.Context()); err != nil {
					t.Fatal(err)
				}
				node := r.nodes[0]
				if first != "" {
					node.Set("a", first, time.Second)
				}
				until := make(chan struct{})
				var copies atomic.Int32
				node.OnCommand(func(c fakeredis.Command) (a fakeredis.Action) {
					if copies.Add(1) == 1 {
						a.Until = until // the client sends it again
					}
					return a
				})
				lock, err := m.TryLock(t.Context(), "a")
				if copies.Load() < 2 {
					t.Error("there is one copy: nothing is shown")
				}
				if err == nil {
					err = lock.Unlock(t.Context())
				}
				if err != nil && !errors.Is(err, ErrTaken) {
					t.Errorf("got %v", err)
				}
				passTime(2 * time.Second)
				r.mustHave("a", 0)
				close(until)
				passTime(reaped)
				r.mustHave("a", 0)
				if err := m.Close(t.Context()); err != nil {
					t.Error(err)
				}
				_ = client.Close()
			})
		})
	}
}

func TestUnlockThatAUsersClientSendsTwiceIsNoLossOfTheLock(t *testing.T) {
	bringYourOwn(t, 3, func(t *testing.T, r *rig) {
		lock := r.mustLock(r.Manager, "a")
		for _, node := range r.nodes {
			once := true
			node.OnCommand(func(c fakeredis.Command) (a fakeredis.Action) {
				a.CutReply, once = once && c.Name == "EVAL", false
				return a
			})
		}
		if err := lock.Unlock(t.Context()); !errors.Is(err, ErrNoQuorum) {
			t.Errorf("got %v", err)
		}
		if err := lock.Unlock(t.Context()); err != nil {
			t.Errorf("got %v", err)
		}
		r.mustHave("a", 0)
	})
}

func TestAFailoverOfAUsersClientBackToAnEarlierMasterIsNoLoadBalancer(t *testing.T) {
	bubble(t, 2, Config{}, func(t *testing.T, r *rig) {
		var master atomic.Int32
		client := redis.NewClient(&redis.Options{ // as redis.NewFailoverClient makes it
			Addr: "FailoverClient", DisableIdentity: true, MaxRetries: -1, ReadTimeout: 100 * time.Millisecond,
			Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return r.net.DialContext(ctx, network, fmt.Sprintf("10.0.0.%d:6379", master.Load()+1))
			},
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		})
		m := r.manager(Config{Nodes: []Node{Client(client)}})
		for _, next := range []int32{1, 0, 1} {
			if err := m.Ping(t.Context()); err != nil {
				t.Error(err)
			}
			old := r.nodes[master.Load()]
			old.Blackhole(true)
			_ = m.Ping(t.Context()) // it finds the master gone
			master.Store(next)
			passTime(5 * time.Second)
			old.Blackhole(false)
		}
		if err := m.Close(t.Context()); err != nil {
			t.Error(err)
		}
		_ = client.Close()
	})
}

func TestAUsersClientIsNotClosed(t *testing.T) {
	bringYourOwn(t, 1, func(t *testing.T, r *rig) {
		r.connected()
		if err := r.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := r.cfg.Nodes[0].client.Ping(t.Context()).Err(); err != nil {
			t.Errorf("got %v", err)
		}
	})
}

func TestCloseWithAContextThatHasEndedSendsTheReleasesThatWaitForAUsersClient(t *testing.T) {
	bringYourOwn(t, 3, wantReleasedByACloseWithoutTime)
}

func TestNodesWithOneNameAreToldApartByTheirPlace(t *testing.T) {
	failover := func() Node {
		client := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "m", SentinelAddrs: []string{"h:1"}})
		t.Cleanup(func() { _ = client.Close() })
		return Client(client)
	}
	m, err := New(Config{Nodes: []Node{
		failover(), Addr("h", 1), failover(),
		{Sentinels: []string{"a"}, Master: "m"}, {Sentinels: []string{"b"}, Master: "m"},
		{Sentinels: []string{"b"}, Master: "another"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := "redlock.Manager{FailoverClient (nodes[0]), h:1, FailoverClient (nodes[2]), " +
		"sentinel:m (nodes[3]), sentinel:m (nodes[4]), sentinel:another}"
	if got := fmt.Sprint(m); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAUsersClientWhoseServerIsAwayVotesAgainAndLeavesNoKey(t *testing.T) {
	bringYourOwn(t, 3, func(t *testing.T, r *rig) {
		r.connected()
		r.nodes[0].Kill()
		r.nodes[1].Pause()
		start := time.Now()
		if _, err := r.TryLock(t.Context(), "a"); !errors.Is(err, ErrNoQuorum) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took > 250*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		passTime(10 * time.Second)
		r.nodes[0].Start()
		r.nodes[1].Resume()
		passTime(reaped)
		r.mustHave("a", 0)
		lock := r.mustLock(r.Manager, "a")
		r.mustHave("a", 3)
		if err := lock.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// mangler is a hook that breaks the reply to the first command of a pipeline,
// once.
type mangler struct{ done bool }

func (*mangler) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (*mangler) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (m *mangler) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		if first, ok := cmds[0].(interface{ SetVal(any) }); ok && !m.done {
			m.done = true
			first.SetVal("QUEUED")
		}
		return err
	}
}

func TestABrokenReplyToAUsersClientLeavesNoKey(t *testing.T) {
	bringYourOwn(t, 1, func(t *testing.T, r *rig) {
		r.connected()
		r.cfg.Nodes[0].client.AddHook(new(mangler))
		if _, err := r.TryLock(t.Context(), "a"); !errors.Is(err, ErrNoQuorum) {
			t.Errorf("got %v", err)
		}
		passTime(reaped)
		r.mustHave("a", 0)
	})
}

func TestAUsersClientSaysThatItCannotKeepALockWithoutExpiry(t *testing.T) {
	bringYourOwn(t, 3, func(t *testing.T, r *rig) {
		var config *ConfigError
		_, err := r.TryLock(t.Context(), "a", WithNoExpiry())
		if !errors.Is(err, ErrNoQuorum) || !errors.As(err, &config) || !contains(config.Msg, "without expiry") {
			t.Errorf("got %v", err)
		}
		passTime(reaped)
		r.mustHave("a", 0)
	})
}

// Another connection of the client's pool is free meanwhile.
func TestAReleaseThroughAUsersClientNeverOvertakesItsAcquire(t *testing.T) {
	bringYourOwn(t, 3, func(t *testing.T, r *rig) {
		r.connected()
		for _, node := range r.nodes {
			slow := true
			node.OnCommand(func(c fakeredis.Command) (a fakeredis.Action) {
				if c.Name == "EVAL" && slow {
					slow, a.Delay = false, 700*time.Millisecond
				}
				return a
			})
		}
		if _, err := r.TryLock(t.Context(), "a"); !errors.Is(err, ErrNoQuorum) {
			t.Errorf("got %v", err)
		}
		passTime(time.Second)
		for i, node := range r.nodes {
			var order []string
			for _, c := range node.Commands() {
				if c.Name == "EVAL" {
					order = append(order, c.Args[0])
				}
			}
			if want := []string{scriptText[acquireScript], scriptText[releaseScript]}; !slices.Equal(order, want) {
				t.Errorf("node %d executed %q", i, order)
			}
		}
		r.mustHave("a", 0)
	})
}

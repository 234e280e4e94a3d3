package redlock

import (
	"crypto/sha1"
	"flag"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/redlock-go/redlock/internal/fakeredis"
)

var updateWire = flag.Bool("update-wire", false, "write testdata/wire.golden anew; see docs/wire.md")

const wireGolden = "testdata/wire.golden"

// The settings under which the wire is written down.
var wireConfig = Config{KeyPrefix: "lock:", Owner: "billing-1", TTL: 30 * time.Second}

func TestWhatGoesOverTheWireIsWhatTheGoldenFileHolds(t *testing.T) {
	tr := &transcript{scripts: make(map[string]string)}
	for i, name := range scriptNames {
		text := scriptText[i]
		if name != "" {
			tr.scripts[text] = "<text of " + name + ">"
			tr.scripts[fmt.Sprintf("%x", sha1.Sum([]byte(text)))] = "<" + name + ">"
		}
	}
	bubble(t, 1, wireConfig, func(_ *testing.T, r *rig) { tr.ofOneNode(r) })
	bubble(t, 3, wireConfig, func(_ *testing.T, r *rig) { tr.ofThreeNodes(r) })
	bubble(t, 1, wireConfig, func(_ *testing.T, r *rig) { tr.ofSettings(r) })
	synctest.Test(t, func(t *testing.T) { tr.ofSentinel(t) })
	for i, name := range scriptNames {
		if name != "" {
			tr.title("the script " + name + ", without its comments")
			tr.text.WriteString(withoutComments(scriptText[i]))
		}
	}
	got := tr.text.String()
	if *updateWire {
		if err := os.WriteFile(wireGolden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(wireGolden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the wire has changed. Programs of other versions and libraries share it: docs/wire.md says what a "+
			"change needs, before -update-wire writes it down.\n%s", difference(string(want), got))
	}
}

var scriptNames = [scriptCount]string{
	acquireScript: "acquire", extendScript: "extend", lookScript: "look",
	persistScript: "persist", releaseScript: "release",
}

// ofOneNode tells of calls whose commands on one node have one possible order.
func (tr *transcript) ofOneNode(r *rig) {
	ctx, node := r.t.Context(), r.nodes[0]
	rival := r.manager(wireConfig)
	if err := rival.Ping(ctx); err != nil {
		r.t.Fatal(err)
	}
	tr.follow(r, node.Conns()...)
	tr.section("the first call connects; Ping", func() { r.connected() })
	var lock *Lock
	tr.section("TryLock, and the first attempt of Lock", func() { lock = r.mustLock(r.Manager, "report") })
	tr.section("Extend, and each renewal", func() { tr.want(lock.Extend(ctx, time.Minute)) })
	tr.section("IsHeld", func() { _, err := lock.IsHeld(ctx); tr.want(err) })
	tr.section("IsLocked", func() { _, err := r.IsLocked(ctx, "report"); tr.want(err) })
	tr.section("Inspect", func() { _, err := r.Inspect(ctx, "report"); tr.want(err) })
	tr.section("Unlock", func() { tr.want(lock.Unlock(ctx)) })

	tr.section("TryLock WithToken", func() { lock = r.mustLock(r.Manager, "report", WithToken("import-42")) })
	tr.want(lock.Unlock(ctx))
	tr.section("TryLock WithNoExpiry", func() { lock = r.mustLock(r.Manager, "report", WithNoExpiry()) })
	tr.want(lock.Unlock(ctx))

	held := r.mustLock(rival, "report")
	tr.section("Resume", func() { resumed, err := r.Resume(ctx, "report", held.Token()); lock = resumed; tr.want(err) })
	tr.want(lock.Unlock(ctx))
	_ = held.Unlock(ctx)

	held = r.mustLock(rival, "report")
	tr.section("Lock: refused, it listens, asks again, and is woken by the release", func() {
		got := make(chan *Lock, 1)
		go func() { l, err := r.Lock(ctx, "report"); tr.want(err); got <- l }()
		synctest.Wait()
		tr.want(held.Unlock(ctx))
		lock = <-got
	})
	tr.want(lock.Unlock(ctx))

	r.mustLock(rival, "report")
	tr.section("ForceUnlock", func() { tr.want(r.ForceUnlock(ctx, "report")) })
	r.mustLock(rival, "report")
	tr.section("ForceUnlockAll", func() { _, err := r.ForceUnlockAll(ctx, "re"); tr.want(err) })

	lock = r.mustLock(r.Manager, "report")
	tr.section("Extend, on a node that has forgotten its scripts", func() {
		node.ScriptFlush()
		tr.want(lock.Extend(ctx, time.Minute))
	})
}

// ofThreeNodes tells what one node is sent where it stands apart from the others.
func (tr *transcript) ofThreeNodes(r *rig) {
	ctx, node := r.t.Context(), r.nodes[0]
	r.connected()
	tr.follow(r)
	for _, other := range r.nodes[1:] {
		other.Set("lock:report", "somebody else's", time.Minute)
	}
	tr.section("a try that failed where others had refused it: nobody is told", func() {
		if _, err := r.TryLock(ctx, "report"); err == nil {
			r.t.Error("the try was won")
		}
	})
	for _, other := range r.nodes[1:] {
		other.FlushAll()
	}
	lock := r.mustLock(r.Manager, "report")
	node.FlushAll()
	tr.section("Extend, on a node that has lost the key: it is given back", func() { tr.want(lock.Extend(ctx, 0)) })
	tr.want(lock.Unlock(ctx))

	once := true
	node.OnCommand(func(c fakeredis.Command) (a fakeredis.Action) {
		if c.Name == "SET" && once {
			once, a.CutReply = false, true
		}
		return a
	})
	tr.section("a connection that ends before the answer to an acquire", func() { lock = r.mustLock(r.Manager, "report") })
	node.OnCommand(nil)
	tr.want(lock.Unlock(ctx))
}

// ofSettings tells what the settings of a node change.
func (tr *transcript) ofSettings(r *rig) {
	ctx, node := r.t.Context(), r.nodes[0]
	with := func(n Node) *Manager {
		cfg := wireConfig
		cfg.Nodes = []Node{n}
		return r.manager(cfg)
	}
	tr.follow(r)
	node.SetUser("locker", "secret")
	user := Node{Host: "10.0.0.1", Username: "locker", Password: "secret", DB: 3}
	m := with(user)
	var lock *Lock
	tr.section("with a user, a password and database 3: connecting and TryLock", func() { lock = r.mustLock(m, "report") })
	tr.section("Unlock there", func() { tr.want(lock.Unlock(ctx)) })

	node.SetReplicas(1, 0)
	m = with(Node{Host: "10.0.0.1", Replicas: 1})
	tr.want(m.Ping(ctx))
	tr.section("with Replicas: 1, TryLock", func() { lock = r.mustLock(m, "report") })
	tr.section("Extend there", func() { tr.want(lock.Extend(ctx, time.Minute)) })
	token := lock.Token()
	other := with(Node{Host: "10.0.0.1", Replicas: 1})
	tr.want(other.Ping(ctx))
	tr.section("Resume there", func() { _, err := other.Resume(ctx, "report", token); tr.want(err) })
	tr.want(lock.Unlock(ctx))

	client := redis.NewClient(&redis.Options{
		Addr: "10.0.0.1:6379", Protocol: 2, Dialer: r.net.DialContext, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	r.t.Cleanup(func() { _ = client.Close() })
	m = with(Client(client))
	tr.section("through a client that was given: connecting and TryLock", func() { lock = r.mustLock(m, "report") })
	tr.section("Unlock there", func() { tr.want(lock.Unlock(ctx)) })
	tr.want(m.Close(ctx)) // before its client
}

// ofSentinel tells what a Sentinel is asked, in no order: two connections ask.
func (tr *transcript) ofSentinel(t *testing.T) {
	s, fakes := startSentinels(t, Node{})
	var mu sync.Mutex
	var lines []string // guarded by mu
	fakes[0].OnCommand(func(c fakeredis.Command) fakeredis.Action {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, tr.line(c))
		return fakes[0].answer(c)
	})
	mustResolve(t, s, oldMaster, 0)
	w := watchOldMaster(t, s)
	close(w.ended)
	tr.want(<-w.done)
	mu.Lock()
	defer mu.Unlock()
	tr.title("a Sentinel, in no order")
	slices.Sort(lines)
	for _, line := range slices.Compact(lines) {
		if line != "" {
			tr.text.WriteString(line + "\n")
		}
	}
}

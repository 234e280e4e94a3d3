package redlock_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/redlocktest"
)

// holding is a row of a table that is protected by the token of a lock.
type holding struct{ holder, text string }

func (h *holding) claim(token string) { h.holder = token }

func (h *holding) read() string { return h.text }

func (h *holding) write(text, token string) bool {
	if h.holder != token {
		return false
	}
	h.text = text
	return true
}

func ExampleLock_Token_claim() {
	// Here: three nodes in memory, and somebody who claims the report meanwhile.
	m, done := inMemory(3)
	defer done()
	report := &overtaken{}

	lock, err := m.TryLock(ctx, "report")
	if err != nil {
		fmt.Println(err)
		return
	}
	report.claim(lock.Token()) // UPDATE reports SET holder = :token
	text := report.read() + "one more line\n"
	if !report.write(text, lock.Token()) { // UPDATE reports SET text = :text WHERE holder = :token
		fmt.Println("somebody else is at it; nothing was written")
	}
	// Output: somebody else is at it; nothing was written
}

// overtaken is a holding that the next holder claims as soon as it was read.
type overtaken struct{ holding }

func (o *overtaken) read() string {
	defer o.claim("the next holder's token")
	return o.holding.read()
}

func ExampleLock_Context_inTime() {
	// Here: three nodes in memory, a lock, and a step that takes some time.
	m, done := inMemory(3)
	defer done()
	lock, err := m.TryLock(ctx, "account:7")
	transfer := func(ctx context.Context) error { fmt.Println("in time:", ctx.Err() == nil); return nil }

	within := lock.Context(ctx) // ends with the lock
	if lock.Remaining() < 5*time.Second {
		err = lock.Extend(within, 0) // the lock's own TTL, from now
	}
	if err == nil {
		err = transfer(within)
	}
	fmt.Println("transferred:", err)
	// Output:
	// in time: true
	// transferred: <nil>
}

func ExampleManager_Ping_atTheStart() {
	// Here: three nodes in memory.
	q, err := redlocktest.Start(3)
	if err != nil {
		log.Fatal(err)
	}
	defer q.Close()
	cfg := redlock.Config{Nodes: q.Nodes()}

	m, err := redlock.New(cfg, redlock.WithLogger(slog.Default()))
	if err != nil {
		log.Fatal(err) // a setting is wrong, and it says which
	}
	if err := m.Ping(ctx); err != nil {
		log.Println(err) // too few nodes answer, or one is misconfigured
	}
}

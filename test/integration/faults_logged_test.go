package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

// loadEnv, where set, makes the program one that loads these nodes. It logs to
// its output what the library logs, and go-redis by its own default.
const loadEnv = "REDLOCK_TEST_LOAD"

// beLoad takes locks and gives them back, by several callers, until the standard
// input ends. Its last line says how many that were.
func beLoad(nodes string) error {
	parsed, err := redlock.ParseNodes(nodes)
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(os.Stdout, nil))
	m, err := redlock.New(redlock.Config{Nodes: parsed, NodeTimeout: patience}, redlock.WithLogger(logger))
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	var callers sync.WaitGroup
	var taken atomic.Int64
	for i := range 16 {
		callers.Go(func() {
			for ctx.Err() == nil {
				lock, err := m.Lock(ctx, fmt.Sprint("loaded-", i%12)) // some are contended
				if err != nil {
					continue
				}
				if lock.Unlock(context.Background()) == nil {
					taken.Add(1)
				}
			}
		})
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	stop()
	callers.Wait()
	fmt.Println("taken:", taken.Load())
	return errors.Join(err, m.Close(context.Background()))
}

func TestANodeThatIsDeadForAMinuteUnderLoadIsFiveLinesOfLogAtMost(t *testing.T) {
	t.Parallel()
	rowsWith(t, 3, servers.Options{}, func(t *testing.T, q *Quorum) {
		uris := make([]string, len(q.Servers))
		for i, s := range q.Servers {
			uris[i] = s.URI()
		}
		binary, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		load := exec.CommandContext(t.Context(), binary)
		load.Env = append(os.Environ(), loadEnv+"="+strings.Join(uris, " "))
		var out bytes.Buffer
		load.Stdout, load.Stderr = &out, &out
		in, err := load.StdinPipe()
		if err == nil {
			err = load.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		q.Servers[0].Kill(t)
		time.Sleep(time.Minute)
		q.Servers[0].Restart(t)
		time.Sleep(2 * time.Second)
		if err := errors.Join(in.Close(), load.Wait()); err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
		logged, last, _ := strings.Cut(out.String(), "taken: ")
		var taken int
		if _, err := fmt.Sscan(last, &taken); err != nil || taken < 1000 {
			t.Errorf("it took %q locks: that is no load", last)
		}
		if lines := strings.Count(logged, "\n"); lines < 2 || lines > 5 {
			t.Errorf("%d lines:\n%s", lines, logged)
		}
	})
}

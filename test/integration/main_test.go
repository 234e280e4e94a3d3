// Package integration shows on real servers what the library promises.
//
// A test is written once and runs on three nodes of every kind of server:
//
//	func TestALockIsRefusedToOthers(t *testing.T) {
//		rows(t, func(t *testing.T, q *Quorum) {
//			resource := q.Resource(t)
//			first, err := q.New(t, redlock.Config{}).TryLock(t.Context(), resource)
//			...
//		})
//	}
//
// The servers behind rows are shared by the whole run. A test that stops, pauses
// or configures them asks for its own with rowsWith.
package integration

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/redlock-go/redlock/test/servers"
)

func TestMain(m *testing.M) {
	for env, be := range map[string]func(nodes string) error{holderEnv: beHolder, loadEnv: beLoad} {
		if nodes := os.Getenv(env); nodes != "" {
			if err := be(nodes); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	slog.SetDefault(slog.New(slog.NewTextHandler(&unasked, nil)))
	log.SetOutput(&unasked)
	code := m.Run()
	fmt.Print(outcomes.summary())
	problems := closePools()
	problems = errors.Join(problems, servers.Close(), goleak.Find(), checkUnasked())
	if isWholeRun() {
		problems = errors.Join(problems, unprovenRows(outcomes, countedKinds()))
	}
	if problems != nil {
		fmt.Println(problems)
		return 1
	}
	return code
}

// unasked is what is written to the default loggers. No manager has one of them.
var unasked notes

// checkUnasked is an error if the library has written to a default logger.
func checkUnasked() error {
	for line := range strings.Lines(unasked.String()) {
		if strings.Contains(line, "redlock") {
			return fmt.Errorf("a default logger was told: %s", line)
		}
	}
	return nil
}

// isWholeRun reports whether no flag left tests out.
func isWholeRun() bool {
	for _, name := range []string{"test.run", "test.skip", "test.list"} {
		if flag.Lookup(name).Value.String() != "" {
			return false
		}
	}
	return true
}

// countedKinds are those on which every row must have passed: all, where nothing
// may be skipped, otherwise those that can run here.
func countedKinds() (kinds []string) {
	for _, kind := range servers.All() {
		if servers.Required() || kind.Missing() == "" {
			kinds = append(kinds, kind.Name)
		}
	}
	return kinds
}

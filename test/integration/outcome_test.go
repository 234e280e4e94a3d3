package integration

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/redlock-go/redlock/test/servers"
)

// outcome is how one test ended on one kind of server.
type outcome string

const (
	passed  outcome = "passed"
	failed  outcome = "failed"
	skipped outcome = "skipped"
)

// outcomes are those of this run.
var outcomes = &ledger{kept: map[string]map[string]outcome{}}

type ledger struct {
	mu   sync.Mutex
	kept map[string]map[string]outcome // by kind and test; guarded by mu
}

// add keeps how t ended, which runs row on kind. Of a test that runs more than
// once (-count) the worst counts.
func (l *ledger) add(row string, kind servers.Kind, t *testing.T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kept[kind.Name] == nil {
		l.kept[kind.Name] = map[string]outcome{}
	}
	switch now := l.kept[kind.Name]; {
	case t.Failed():
		now[row] = failed
	case t.Skipped():
		now[row] = skipped
	case now[row] == "":
		now[row] = passed
	}
}

// summary is a line for each kind of server.
func (l *ledger) summary() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var lines strings.Builder
	for _, kind := range servers.All() {
		if reason := kind.Missing(); reason != "" {
			fmt.Fprintf(&lines, "%s\n", reason)
			continue
		}
		kept, count := l.kept[kind.Name], map[outcome]int{}
		for name, outcome := range kept {
			if !hasParts(kept, name) {
				count[outcome]++
			}
		}
		fmt.Fprintf(&lines, "%s: %d passed, %d skipped, %d failed%s\n",
			kind.Name, count[passed], count[skipped], count[failed], where(kind))
	}
	return lines.String()
}

// unproven says why test is not shown to pass on the kind; empty where it is. A
// test with subtests has passed where they all have.
func (l *ledger) unproven(test, kind string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	count := map[outcome]int{}
	for name, outcome := range l.kept[kind] {
		if name == test || strings.HasPrefix(name, test+"/") {
			count[outcome]++
		}
	}
	switch {
	case count[failed] > 0:
		return "failed"
	case count[skipped] > 0:
		return "was skipped"
	case count[passed] == 0:
		return "did not run"
	}
	return ""
}

// hasParts reports whether subtests of the test were kept: these count then.
func hasParts(kept map[string]outcome, name string) bool {
	for other := range kept {
		if strings.HasPrefix(other, name+"/") {
			return true
		}
	}
	return false
}

func where(kind servers.Kind) string {
	version := pools[kind.Name].Version()
	if version == "" {
		return ""
	}
	return fmt.Sprintf(" (%s from %s)", version, kind.Place())
}

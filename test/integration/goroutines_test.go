package integration

import (
	"bytes"
	"context"
	"runtime/pprof"
	"strconv"
	"strings"
	"testing"
)

// countGoroutines returns a function that counts the goroutines that have come
// out of t's own since now, directly or not, and still run. They inherit its label;
// those of tests that run at the same time have none, or another one.
func countGoroutines(t *testing.T) func() int {
	t.Helper()
	label(t)
	return func() int {
		t.Helper()
		var profile bytes.Buffer
		if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
			t.Fatal(err)
		}
		return labelled(profile.String(), strconv.Quote(t.Name())) - 1 // t's own
	}
}

// uncounted calls f, of which goroutines may stay: a call of Docker keeps its
// connection.
func uncounted(t *testing.T, f func()) {
	t.Helper()
	pprof.SetGoroutineLabels(context.Background())
	defer label(t)
	f()
}

func label(t *testing.T) {
	t.Helper()
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels("test", t.Name())))
}

// labelled counts the goroutines with a label in a profile. There each stack
// begins with a line "2 @ 0x45...", which may be followed by one for the labels.
func labelled(profile, label string) (n int) {
	many := 0
	for line := range strings.Lines(profile) {
		if number, _, found := strings.Cut(line, " @ "); found {
			many, _ = strconv.Atoi(number)
		}
		if strings.HasPrefix(line, "# labels: ") && strings.Contains(line, label) {
			n += many
		}
	}
	return n
}

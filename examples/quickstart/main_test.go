package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/redlocktest"
)

// asProgram makes the test binary the program itself.
const asProgram = "QUICKSTART_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestTheStoryIsToldToItsEndInUnderTenSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := redlocktest.New(t, 5)
		out, err := tell(t, memory.Nodes(), memory)
		if err != nil {
			t.Fatalf("%v, after:\n%s", err, out)
		}
		mustTell(t, out,
			"3 of\n5, holds it",
			"1. Alice takes the lock",
			"2. Bob is refused",
			`redlock: lock "invoice:42": taken (`,
			"3. Alice needs more time",
			"4. A node dies",
			"5. Bob waits, and is next",
			"6. Bob's job hangs",
			`lock.Err() is "redlock: expired"`,
			"7. Alice has a long job, and most nodes die",
			`redlock: lock "invoice:42": no quorum (`,
			`Its cause is "redlock: expired"`,
			"8. The nodes come back",
			"That is all",
		)
	})
}

func TestTheStoryOnNodesOfTheReadersStopsNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		out, err := tell(t, redlocktest.New(t, 3).Nodes(), nil)
		if err != nil {
			t.Fatalf("%v, after:\n%s", err, out)
		}
		mustTell(t, out,
			"2 of\n3, holds it",
			"none is stopped",
			"1. Alice takes the lock",
			`redlock: lock "invoice:42": taken (`,
			`lock.Err() is "redlock: expired"`,
			"6. Alice has a long job",
			"The job is done",
			"That is all",
		)
	})
}

func TestAStepThatDoesNotGoAsToldEndsTheStory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := redlocktest.New(t, 3)
		if _, err := memory.Manager.TryLock(t.Context(), prefix+resource); err != nil {
			t.Fatal(err)
		}
		out, err := tell(t, memory.Nodes(), nil)
		if !errors.Is(err, redlock.ErrTaken) || !strings.Contains(err.Error(), "step 1 (Alice takes the lock)") {
			t.Errorf("got %v, want an error of step 1 that says why", err)
		}
		if strings.Contains(out, "She has it") {
			t.Errorf("told what did not happen:\n%s", out)
		}
	})
}

func TestAStoryWithoutAMajorityOfItsNodesDoesNotBegin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := redlocktest.New(t, 3)
		memory.StopNode(0)
		memory.StopNode(1)
		out, err := tell(t, memory.Nodes(), nil)
		if !errors.Is(err, redlock.ErrNoQuorum) {
			t.Errorf("got %v, want ErrNoQuorum", err)
		}
		if out != "" {
			t.Errorf("told all the same:\n%s", out)
		}
	})
}

func TestArgumentsThatAreNotUnderstoodAreRefused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"10.0.0.1"}, {"-node", "10.0.0.1"}, {"-nodes", "http://10.0.0.1"}} {
		if err := run(t.Context(), args, &bytes.Buffer{}); err == nil {
			t.Errorf("%q: got no error", args)
		}
	}
}

func TestAFailureIsAMessageAndANonZeroStatus(t *testing.T) {
	t.Parallel()
	program := exec.CommandContext(t.Context(), os.Args[0], "-nodes", "redis://127.0.0.1:1")
	program.Env = append(os.Environ(), asProgram+"=1")
	var stderr bytes.Buffer
	program.Stderr = &stderr
	var exit *exec.ExitError
	if err := program.Run(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("got %v, want the status 1", err)
	}
	if !strings.Contains(stderr.String(), "127.0.0.1:1:") {
		t.Errorf("the message does not name the node: %s", &stderr)
	}
}

// tell tells the story as the program does, in the bubble of a test, and wants
// it to be over in ten seconds.
func tell(t *testing.T, nodes []redlock.Node, memory *redlocktest.Quorum) (string, error) {
	t.Helper()
	var out bytes.Buffer
	s := &story{out: &out, begun: time.Now(), ttl: ttl, nodes: nodes, memory: memory}
	err := s.tell(t.Context())
	if took := time.Since(s.begun); took >= 10*time.Second {
		t.Errorf("it took %v", took)
	}
	return out.String(), err
}

// mustTell wants parts in text, in this order.
func mustTell(t *testing.T, text string, parts ...string) {
	t.Helper()
	rest := text
	for _, part := range parts {
		_, after, found := strings.Cut(rest, part)
		if !found {
			t.Fatalf("no %q, or not in its place, in:\n%s", part, text)
		}
		rest = after
	}
}

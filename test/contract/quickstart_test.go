package contract_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redlock-go/redlock/test/servers"
)

// A program that is added here is run by a test like the two of the quickstart.
func TestThereIsNoProgramInExamplesThatNoTestRuns(t *testing.T) {
	programs, err := os.ReadDir("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range programs {
		if program.Name() != "quickstart" {
			t.Errorf("%s is run by none", program.Name())
		}
	}
}

func TestTheQuickstartEndsWellOnNodesInMemory(t *testing.T) {
	t.Parallel()
	out := quickstart(t, nil)
	if !strings.Contains(out, "The nodes come back") || !strings.Contains(out, "That is all") {
		t.Errorf("it told:\n%s", out)
	}
}

func TestTheQuickstartEndsWellOnRealServersAndLeavesNothingOnThem(t *testing.T) {
	t.Parallel()
	onRealServers(t)
}

// The digests of the scripts come from the servers: Go refuses SHA-1 there.
func TestTheQuickstartEndsWellWhereOnlyApprovedCryptographyIsAllowed(t *testing.T) {
	t.Parallel()
	onRealServers(t, "GODEBUG=fips140=only")
}

func onRealServers(t *testing.T, env ...string) {
	t.Helper()
	var started []*servers.Server
	var uris []string
	for range 3 {
		server := servers.Start(t, servers.Redis70, servers.Options{})
		started = append(started, server)
		uris = append(uris, server.URI())
	}
	out := quickstart(t, env, "-nodes", strings.Join(uris, ","))
	if !strings.Contains(out, "That is all") {
		t.Errorf("it told:\n%s", out)
	}
	for _, server := range started {
		if keys, err := server.Client.Keys(t.Context(), "*").Result(); err != nil || len(keys) > 0 {
			t.Errorf("%s has %q (%v)", server.Addr, keys, err)
		}
	}
}

// quickstart builds the program and runs it in an environment with env added.
func quickstart(t *testing.T, env []string, args ...string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "quickstart")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./examples/quickstart")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	program := exec.CommandContext(t.Context(), binary, args...)
	program.Env = append(os.Environ(), env...)
	out, err := program.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

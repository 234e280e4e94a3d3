package servers

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

//go:embed clock/clock.c
var clockSource []byte

// needClock skips the test where [Options.Clock] cannot work: the clock is a
// library that the server loads before all others, compiled on the spot.
func needClock(t testing.TB) {
	t.Helper()
	reason := ""
	if _, err := exec.LookPath("cc"); err != nil {
		reason = "a server's clock cannot be moved: there is no C compiler (cc)"
	}
	if runtime.GOOS != "linux" {
		reason = "a server's clock can be moved on Linux only"
	}
	need(t, reason)
}

// installClock compiles the library into dir and returns the environment that
// makes a server use it.
func installClock(dir string) ([]string, error) {
	library := filepath.Join(dir, "clock.so")
	source := filepath.Join(dir, "clock.c")
	if err := os.WriteFile(source, clockSource, 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(offsetPath(dir), make([]byte, 8), 0o600); err != nil {
		return nil, err
	}
	out, err := exec.Command("cc", "-O2", "-Wall", "-shared", "-fPIC", "-o", library, source).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("compiling the clock: %w\n%s", err, out)
	}
	return []string{"LD_PRELOAD=" + library, "REDLOCK_CLOCK=" + offsetPath(dir)}, nil
}

// SetClock makes the wall clock of a server with [Options.Clock] differ from the
// machine's by offset. Its monotonic clock stays as it is.
func (s *Server) SetClock(t testing.TB, offset time.Duration) {
	t.Helper()
	if !s.options.Clock {
		t.Fatalf("%s was started without a clock", s.Addr)
	}
	// Written in place: the server has the file mapped.
	file, err := os.OpenFile(offsetPath(s.dir), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.Write(binary.NativeEndian.AppendUint64(nil, uint64(offset)))
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		t.Fatal(err)
	}
}

func offsetPath(dir string) string { return filepath.Join(dir, "offset") }

package redlock

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// published are the packages whose documentation is kept in api.txt.
var published = []struct{ module, path string }{
	{"..", "./redlock"},
	{"..", "./redlocktest"},
}

// TestTheAPIIsWhatTheFileSays makes every change of what callers see a change of
// that file, so that nobody makes one unawares. After a change:
//
//	go test ./redlock -run TheAPI -update
func TestTheAPIIsWhatTheFileSays(t *testing.T) {
	t.Parallel()
	var api strings.Builder
	for i, p := range published {
		if i > 0 {
			api.WriteString("\n")
		}
		command := exec.CommandContext(t.Context(), "go", "doc", "-all", p.path)
		command.Dir = p.module
		command.Env = append(os.Environ(), "GOWORK=off")
		text, err := command.Output()
		if err != nil {
			t.Fatalf("go doc %s: %v", p.path, err)
		}
		api.Write(text)
	}
	compareWithGolden(t, filepath.Join("..", "api.txt"), api.String())
}

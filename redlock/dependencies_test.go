package redlock_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// What users of the library get with it: its three dependencies and what those
// need. Servers in memory, containers and YAML are not among it.
func TestImportersGetNoModuleThatTheLibraryDoesNotNeed(t *testing.T) {
	t.Parallel()
	needed := []string{
		"github.com/redlock-go/redlock",
		"github.com/redis/go-redis/v9",
		"github.com/cespare/xxhash/v2", // of go-redis
		"go.uber.org/atomic",           // of go-redis
		"golang.org/x/sys",             // of go-redis
		"golang.org/x/sync",
		"github.com/hashicorp/go-multierror",
		"github.com/hashicorp/errwrap", // of go-multierror
	}
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", ".")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	modules := strings.Fields(string(out))
	if !slices.Contains(modules, "github.com/redis/go-redis/v9") {
		t.Fatalf("the list is not the library's: %q", modules)
	}
	slices.Sort(modules)
	for _, module := range slices.Compact(modules) {
		if !slices.Contains(needed, module) {
			t.Errorf("importers get %s", module)
		}
	}
}

package redlock_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheFirstBlockOfTheREADMECompilesInAnEmptyModule(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	block := blocks(t, "go")[0].Text // the README is the first page
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod": "module example.com/pasted\n\ngo 1.26.0\n\n" +
			"require github.com/redlock-go/redlock v0.0.0\n\n" +
			"replace github.com/redlock-go/redlock => " + root + "\n",
		"go.sum": string(sums),
		"main.go": "package main\n\n" +
			"import (\n\t\"context\"\n\t\"log\"\n\n\t\"github.com/redlock-go/redlock/redlock\"\n)\n\n" +
			"func main() {\n" + block + "\n}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	vet := exec.CommandContext(t.Context(), "go", "vet", "-mod=mod", ".")
	vet.Dir = dir
	vet.Env = append(os.Environ(), "GOPROXY=off", "GOWORK=off", "GOFLAGS=")
	if out, err := vet.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// shown is what a page shows of an Example's body.
func shown(body []byte) string {
	for _, output := range []string{"\t// Output:", "\t// Unordered output:"} {
		body, _, _ = bytes.Cut(body, []byte(output))
	}
	text := strings.TrimSpace(strings.ReplaceAll(string(body), "\n\t", "\n"))
	if strings.HasPrefix(text, "// Here:") {
		_, text, _ = strings.Cut(text, "\n\n")
	}
	return text
}

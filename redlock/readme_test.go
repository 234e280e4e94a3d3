package redlock_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/redlock-go/redlock/internal/pages"
)

func TestTheFirstBlockOfTheREADMECompilesInAnEmptyModule(t *testing.T) {
	t.Parallel()
	block := blocks(t, "go")[0].Text // the README is the first page
	program := "package main\n\n" +
		"import (\n\t\"context\"\n\t\"log\"\n\n\t\"github.com/redlock-go/redlock/redlock\"\n)\n\n" +
		"func main() {\n" + block + "\n}\n"
	inAnEmptyModule(t, "main.go", program, "vet", "-mod=mod", ".")
}

func TestTheTestOfAServiceInTheREADMEPassesInAnEmptyModule(t *testing.T) {
	t.Parallel()
	block := serviceTest(t)
	if lines := strings.Count(block, "\n") + 1; lines >= 30 {
		t.Errorf("it has %d lines, want fewer than 30", lines)
	}
	out := inAnEmptyModule(t, "service_test.go", block+"\n", "test", "-mod=mod", "-v", "-timeout=1m", ".")
	if !strings.Contains(out, "--- PASS: TestTheServiceStopsWhenItsLockIsLost") {
		t.Errorf("it has not run:\n%s", out)
	}
}

func TestTheTestOfAServiceInTheREADMEIsThatOfTheTestKit(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../redlocktest/example_service_test.go")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(strings.TrimSpace(string(source)), "package redlocktest_test", "package service", 1)
	if block := serviceTest(t); block != want {
		t.Errorf("got\n\n%s\n\nwant\n\n%s", block, want)
	}
}

// serviceTest is the README's one block that is a whole file.
func serviceTest(t *testing.T) string {
	t.Helper()
	files := slices.DeleteFunc(blocks(t, "go"), func(block pages.Block) bool { return !isFile(block.Text) })
	if len(files) != 1 {
		t.Fatalf("the pages have %d whole files, want 1", len(files))
	}
	return files[0].Text
}

// isFile reports whether a block is a whole file, and no Example's body.
func isFile(block string) bool { return strings.HasPrefix(block, "package ") }

// inAnEmptyModule runs the go command in a module that has nothing but one file,
// and gets the library from this checkout. It returns what that prints.
func inAnEmptyModule(t *testing.T, name, content string, args ...string) string {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod": "module example.com/pasted\n\ngo 1.26.0\n\n" +
			"require github.com/redlock-go/redlock v0.0.0\n\n" +
			"replace github.com/redlock-go/redlock => " + root + "\n",
		"go.sum": string(sums),
		name:     content,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.CommandContext(t.Context(), "go", args...)
	command.Dir = dir
	command.Env = append(os.Environ(), "GOPROXY=off", "GOWORK=off", "GOFLAGS=")
	out, err := command.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return string(out)
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

package redlock_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestEveryGoBlockOfTheREADMEIsTheBodyOfAnExample(t *testing.T) {
	t.Parallel()
	bodies := exampleBodies(t)
	for _, block := range readmeBlocks(t, "go") {
		if !slices.Contains(bodies, block) {
			t.Errorf("this is no Example's body:\n\n%s", block)
		}
	}
}

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
	block := readmeBlocks(t, "go")[0]
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

// readmeBlocks are the code blocks of the README in the given language; there
// is one at least.
func readmeBlocks(t *testing.T, language string) []string {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for i, part := range strings.Split(string(readme), "```") {
		// The parts between the fences are text and block in turn.
		if block, found := strings.CutPrefix(part, language+"\n"); found && i%2 == 1 {
			blocks = append(blocks, strings.TrimSpace(block))
		}
	}
	if len(blocks) == 0 {
		t.Fatalf("the README has no block of %s", language)
	}
	return blocks
}

// exampleBodies are the bodies of this package's Examples, without the
// paragraph that sets one up and without the output.
func exampleBodies(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("example*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var bodies []string
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, name, source, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "Example") {
				body := source[fset.Position(f.Body.Lbrace).Offset+1 : fset.Position(f.Body.Rbrace).Offset]
				bodies = append(bodies, shown(body))
			}
		}
	}
	return bodies
}

// shown is what the README shows of an Example's body.
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

package redlock_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/redlock-go/redlock/internal/pages"
	"github.com/redlock-go/redlock/redlock"
)

// tested says of each language of a block in README.md or docs/ which test holds
// such blocks to the code. Whoever adds a language adds its test.
var tested = map[string]string{
	"go":           "TestEveryGoBlockIsTheBodyOfAnExample",
	"json":         "TestEveryJSONBlockConfiguresAManager",
	"wire":         "TestTheGuideToTheWireShowsOnlyWhatIsSent",
	"acl":          "TestEveryACLIsTheOneThatIsTriedOut", // with one in test/contract that tries it out
	"yaml":         "TestEveryYAMLBlockConfiguresAManager",
	"conf":         "TestAServerStartsWithEveryConfiguration",
	"redis":        "TestEveryCommandToAServerIsAnswered",
	"sh":           "TestEveryCommandOfAShellWorks",
	pages.Indented: "TestEveryCommandOfAShellWorks",
}

func TestEveryBlockOfThePagesIsInALanguageThatIsTested(t *testing.T) {
	t.Parallel()
	tests := testNames(t)
	for language, name := range tested {
		if !slices.Contains(tests, name) {
			t.Errorf("there is no %s, which is to test blocks of %s", name, language)
		}
	}
	blocks := 0
	for _, page := range read(t) {
		for _, block := range page.Blocks() {
			blocks++
			if tested[block.Language] == "" {
				t.Errorf("%s:%d: no test runs or compiles a block of %q", page.Name, block.Line, block.Language)
			}
		}
	}
	if blocks == 0 {
		t.Error("no block was found")
	}
}

func TestEveryGoBlockIsTheBodyOfAnExample(t *testing.T) {
	t.Parallel()
	// What needs other libraries is in the module of the tests.
	bodies := append(exampleBodies(t, "example*_test.go"), exampleBodies(t, "../test/docs/example*_test.go")...)
	for _, block := range blocks(t, "go") {
		if !isFile(block.Text) && !slices.Contains(bodies, block.Text) {
			t.Errorf("%s:%d: this is no Example's body:\n\n%s", block.Page, block.Line, block.Text)
		}
	}
}

func TestEveryJSONBlockConfiguresAManager(t *testing.T) {
	t.Parallel()
	for _, block := range blocks(t, "json") {
		var cfg redlock.Config
		err := json.Unmarshal([]byte(block.Text), &cfg)
		if err == nil {
			_, err = redlock.New(cfg)
		}
		if err != nil {
			t.Errorf("%s:%d: %v", block.Page, block.Line, err)
		}
	}
}

func TestEveryACLIsTheOneThatIsTriedOut(t *testing.T) {
	t.Parallel()
	all := blocks(t, "acl")
	for _, block := range all {
		if block.Page == "README.md" {
			continue
		}
		if !slices.ContainsFunc(all, func(b pages.Block) bool { return b.Page == "README.md" && b.Text == block.Text }) {
			t.Errorf("%s:%d: the README's is another one", block.Page, block.Line)
		}
	}
}

func TestEveryTestThatThePagesNameExists(t *testing.T) {
	t.Parallel()
	tests := testNames(t)
	for _, page := range read(t) {
		for _, span := range pages.Spans(page.Prose()) {
			if strings.HasPrefix(span, "Test") && !slices.Contains(tests, span) {
				t.Errorf("%s: there is no %s", page.Name, span)
			}
		}
	}
}

func TestEveryLinkBetweenThePagesLeadsSomewhere(t *testing.T) {
	t.Parallel()
	all := read(t)
	linked := make(map[string]bool)
	for _, page := range all {
		for _, link := range page.Links() {
			if strings.Contains(link, "://") {
				continue
			}
			name, anchor, _ := strings.Cut(link, "#")
			target := page.Name
			if name != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(page.Name), name))
			}
			if _, err := os.Stat(filepath.Join("..", target)); err != nil {
				t.Errorf("%s: %s leads nowhere", page.Name, link)
			}
			if page.Name == "README.md" {
				linked[target] = true
			}
			at := slices.IndexFunc(all, func(p pages.Page) bool { return p.Name == target })
			if anchor != "" && (at < 0 || !slices.Contains(all[at].Anchors(), anchor)) {
				t.Errorf("%s: %s has no such heading", page.Name, link)
			}
		}
	}
	for _, page := range all {
		if strings.HasPrefix(page.Name, "docs/") && !linked[page.Name] {
			t.Errorf("README.md does not link to %s", page.Name)
		}
	}
}

// read returns README.md and the guides.
func read(t *testing.T) []pages.Page {
	t.Helper()
	all, err := pages.Read("..")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// blocks are those of all pages in one language; there is one at least.
func blocks(t *testing.T, language string) []pages.Block {
	t.Helper()
	var found []pages.Block
	for _, page := range read(t) {
		for _, block := range page.Blocks() {
			if block.Language == language {
				found = append(found, block)
			}
		}
	}
	if len(found) == 0 {
		t.Fatalf("there is no block of %s", language)
	}
	return found
}

var testFunction = regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)

// testNames are the tests of the repository.
func testNames(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, pattern := range []string{"*_test.go", "../*/*_test.go", "../*/*/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			source, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range testFunction.FindAllStringSubmatch(string(source), -1) {
				names = append(names, m[1])
			}
		}
	}
	return names
}

// exampleBodies are the bodies of the Examples in files, without the paragraph
// that sets one up and without the output.
func exampleBodies(t *testing.T, files string) []string {
	t.Helper()
	names, err := filepath.Glob(files)
	if err != nil {
		t.Fatal(err)
	}
	var bodies []string
	for _, name := range names {
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

// Package docs_test holds README.md and the guides in docs/ to what really
// happens, where servers, other libraries or YAML are needed for that. Package
// redlock has the rest of these tests.
package docs_test

import (
	"errors"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.yaml.in/yaml/v3"

	"github.com/redlock-go/redlock/internal/pages"
	"github.com/redlock-go/redlock/redlock"
	"github.com/redlock-go/redlock/test/servers"
)

const root = "../.."

func TestEveryYAMLBlockConfiguresAManager(t *testing.T) {
	for _, block := range blocks(t, "yaml") {
		var cfg redlock.Config
		err := yaml.Unmarshal([]byte(block.Text), &cfg)
		if err == nil {
			_, err = redlock.New(cfg)
		}
		if err != nil {
			t.Errorf("%s:%d: %v", block.Page, block.Line, err)
		}
	}
}

func TestAServerStartsWithEveryConfiguration(t *testing.T) {
	for _, kind := range servers.All() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			for _, block := range blocks(t, "conf") {
				lines := strings.Split(block.Text, "\n")
				server := servers.Start(t, kind, servers.Options{Config: lines})
				for _, line := range lines {
					name, want, _ := strings.Cut(line, " ")
					got, err := server.Client.ConfigGet(t.Context(), name).Result()
					if err != nil || got[name] != strings.Trim(want, `"`) {
						t.Errorf("%s:%d: %s: the server has %q, %v", block.Page, block.Line, line, got, err)
					}
				}
			}
		})
	}
}

func TestEveryCommandToAServerIsAnswered(t *testing.T) {
	for _, kind := range servers.All() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			server := servers.Start(t, kind, servers.Options{})
			for _, block := range blocks(t, "redis") {
				for line := range strings.Lines(block.Text) {
					var args []any
					for _, arg := range strings.Fields(line) {
						args = append(args, arg)
					}
					if err := server.Client.Do(t.Context(), args...).Err(); err != nil && !errors.Is(err, redis.Nil) {
						t.Errorf("%s:%d: %s: %v", block.Page, block.Line, strings.TrimSpace(line), err)
					}
				}
			}
		})
	}
}

func TestEveryCommandOfAShellWorks(t *testing.T) {
	t.Parallel()
	for _, block := range slices.Concat(blocks(t, pages.Indented), someBlocks(t, "sh")) {
		for line := range strings.Lines(block.Text) {
			if err := works(t, strings.TrimSpace(line)); err != nil {
				t.Errorf("%s:%d: %v", block.Page, block.Line, err)
			}
		}
	}
}

func TestEveryMakeTargetThatAPageNamesExists(t *testing.T) {
	t.Parallel()
	found := 0
	for _, page := range read(t) {
		for _, span := range pages.Spans(page.Prose()) {
			if target, ok := strings.CutPrefix(span, "make "); ok {
				found++
				if err := isTarget(t, target); err != nil {
					t.Errorf("%s: %v", page.Name, err)
				}
			}
		}
	}
	if found == 0 {
		t.Error("no page names one")
	}
}

// read returns README.md and the guides.
func read(t *testing.T) []pages.Page {
	t.Helper()
	all, err := pages.Read(root)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// blocks are those of all pages in one language; there is one at least.
func blocks(t *testing.T, language string) []pages.Block {
	t.Helper()
	found := someBlocks(t, language)
	if len(found) == 0 {
		t.Fatalf("there is no block of %s", language)
	}
	return found
}

func someBlocks(t *testing.T, language string) []pages.Block {
	t.Helper()
	var found []pages.Block
	for _, page := range read(t) {
		for _, block := range page.Blocks() {
			if block.Language == language {
				found = append(found, block)
			}
		}
	}
	return found
}

var assignment = regexp.MustCompile(`^REDLOCK_NODES=`)

// programs are run to their end by the tests of package contract that are named.
var programs = map[string]string{
	"./examples/quickstart": "TestTheQuickstartEndsWellOnNodesInMemory",
}

// works tries a line of a shell's out, as far as it can without a network.
func works(t *testing.T, line string) error {
	t.Helper()
	words := strings.Fields(line)
	switch {
	case line == "":
		return nil
	case words[0] == "make":
		return isTarget(t, words[1])
	case strings.HasPrefix(line, "go run "):
		return isRun(t, words[2])
	case strings.HasPrefix(line, "go get "), strings.HasPrefix(line, "import "):
		return isPackage(t, strings.Trim(words[len(words)-1], `"`))
	case strings.HasPrefix(line, "go mod "), line == "go test": // in a module that needs the network
		return isTest("../../redlock/readme_test.go", "TestTheTestOfAServiceInTheREADMEPassesInAnEmptyModule")
	case assignment.MatchString(line):
		return areNodes(t, line)
	}
	return errors.New("no test tries out: " + line)
}

func isTarget(t *testing.T, name string) error {
	t.Helper()
	help := exec.CommandContext(t.Context(), "make", "--no-print-directory", "-C", root, "help")
	out, err := help.Output()
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(out)) {
		if target, _, _ := strings.Cut(line, " "); target == name {
			return nil
		}
	}
	return errors.New("make has no target " + name)
}

func isRun(t *testing.T, program string) error {
	t.Helper()
	test := programs[program]
	if test == "" {
		return errors.New("no test runs " + program)
	}
	return isTest("../contract/quickstart_test.go", test)
}

// isTest reports that a file has no test of that name.
func isTest(file, name string) error {
	source, err := os.ReadFile(file)
	if err == nil && !strings.Contains(string(source), "func "+name+"(") {
		err = errors.New("there is no test " + name)
	}
	return err
}

func isPackage(t *testing.T, path string) error {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", path)
	list.Dir = root
	if out, err := list.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != path {
		return errors.New(path + " is no package of this module: " + string(out))
	}
	return nil
}

// areNodes has a shell make the assignment, and takes what it makes of it.
func areNodes(t *testing.T, line string) error {
	t.Helper()
	shell := exec.CommandContext(t.Context(), "sh", "-c", line+`; printf %s "$REDLOCK_NODES"`)
	out, err := shell.Output()
	if err != nil {
		return err
	}
	nodes, err := redlock.ParseNodes(string(out))
	if err == nil {
		_, err = redlock.New(redlock.Config{Nodes: nodes})
	}
	return err
}

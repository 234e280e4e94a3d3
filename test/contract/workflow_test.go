package contract_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// step is one of a job: an action that is used, or a command that is run.
type step struct {
	Uses string `yaml:"uses"`
	Run  string `yaml:"run"`
}

func TestTheWorkflowRunsNothingButTargetsOfTheMakefile(t *testing.T) {
	makefile := repositoryFile(t, "Makefile")
	targets := regexp.MustCompile(`(?m)^([a-z-]+):`).FindAllStringSubmatch(makefile, -1)
	runs := 0
	for _, s := range workflowSteps(t) {
		if s.Run == "" {
			continue
		}
		runs++
		target, isMake := strings.CutPrefix(s.Run, "make ")
		if !isMake || !slices.ContainsFunc(targets, func(match []string) bool { return match[1] == target }) {
			t.Errorf("%q is no target of the Makefile", s.Run)
		}
	}
	if runs == 0 {
		t.Error("it runs nothing")
	}
}

// A tag can be moved to another commit, a digest cannot.
func TestTheWorkflowNamesItsActionsByTheirCommit(t *testing.T) {
	used := 0
	for _, s := range workflowSteps(t) {
		if s.Uses == "" {
			continue
		}
		used++
		if !regexp.MustCompile(`^[\w-]+/[\w-]+@[0-9a-f]{40}$`).MatchString(s.Uses) {
			t.Errorf("%q is not pinned", s.Uses)
		}
		if !regexp.MustCompile(regexp.QuoteMeta(s.Uses) + ` # v\d+\.\d+\.\d+\n`).MatchString(workflow(t)) {
			t.Errorf("the version of %q is not said", s.Uses)
		}
	}
	if used == 0 {
		t.Error("it uses nothing")
	}
}

func workflowSteps(t *testing.T) (steps []step) {
	t.Helper()
	var file struct {
		Jobs map[string]struct {
			Steps []step `yaml:"steps"`
		} `yaml:"jobs"`
	}
	if err := yaml.Unmarshal([]byte(workflow(t)), &file); err != nil {
		t.Fatal(err)
	}
	for _, job := range file.Jobs {
		steps = append(steps, job.Steps...)
	}
	return steps
}

func workflow(t *testing.T) string { return repositoryFile(t, ".github/workflows/ci.yml") }

// repositoryFile is a file of the repository, by its path from the top.
func repositoryFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile("../../" + path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

package redlock

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files in place of comparing with them")

// told is an error that a user can meet, and how it comes about.
type told struct {
	what string
	err  func(t *testing.T) error
}

// TestTheTextOfEveryErrorIsThatOfTheGoldenFile holds what is read at night. After
// a change:
//
//	go test ./redlock -run TheTextOfEveryError -update
//
// Nodes are in memory, so nothing of a text depends on the machine but the
// system's words for a refused or reset connection and a missing file: on other
// systems they are brought to those of Linux and macOS.
func TestTheTextOfEveryErrorIsThatOfTheGoldenFile(t *testing.T) {
	var golden strings.Builder
	golden.WriteString("Every error that a user can meet, and what it matches.\n")
	for _, section := range []struct {
		title string
		all   []told
	}{
		{"Calls", callErrors},
		{"Nodes", nodeErrors},
		{"Sentinels", sentinelErrors},
		{"Settings", settingErrors},
		{"Nodes as they are written", writtenErrors},
		{"Arguments and options", argumentErrors},
	} {
		fmt.Fprintf(&golden, "\n== %s\n", section.title)
		for _, c := range section.all {
			err := c.err(t)
			if err == nil {
				t.Errorf("%s: no error", c.what)
				continue
			}
			checkText(t, c.what, err)
			fmt.Fprintf(&golden, "\n%s\n\t%s\n", c.what, inLinuxWords(err.Error()))
			if names := matched(err); len(names) > 0 {
				fmt.Fprintf(&golden, "\tmatches %s\n", strings.Join(names, ", "))
			}
		}
	}
	compareWithGolden(t, filepath.Join("testdata", "errors.golden"), golden.String())
}

// compareWithGolden wants got to be what the file has, or writes it there.
func compareWithGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	wanted := strings.Split(strings.ReplaceAll(string(want), "\r\n", "\n"), "\n")
	for i, line := range strings.Split(got, "\n") {
		if i >= len(wanted) || line != wanted[i] {
			t.Fatalf("line %d of %s is\n%s\nand not\n%s", i+1, file, line, slices.Concat(wanted, make([]string, i+1))[i])
		}
	}
	if n := len(strings.Split(got, "\n")); n != len(wanted) {
		t.Errorf("%s has %d lines, want %d", file, len(wanted), n)
	}
}

// checkText wants one line that says whose it is, and of a bad setting the one
// form that all of them have.
func checkText(t *testing.T, what string, err error) {
	t.Helper()
	text := err.Error()
	if strings.ContainsAny(text, "\n\r\t") || !strings.Contains(text, "redlock: ") ||
		strings.Count(text, "redlock: ") > 1 {
		t.Errorf("%s: %q is no line of the library's", what, text)
	}
	if strings.Contains(text, "s3cret") {
		t.Errorf("%s: %q shows a password", what, text)
	}
	if config, ok := errors.AsType[*ConfigError](err); ok && !isWellFormed(config) {
		t.Errorf("%s: %q does not say what was expected and what was found", what, config.Msg)
	}
}

// inLinuxWords brings the system's words to those of Linux and macOS.
func inLinuxWords(text string) string {
	return strings.NewReplacer(
		syscall.ECONNREFUSED.Error(), "connection refused",
		syscall.ECONNRESET.Error(), "connection reset by peer",
		syscall.ENOENT.Error(), "no such file or directory",
	).Replace(text)
}

// matched are the names of what err matches.
func matched(err error) (names []string) {
	for _, target := range []struct {
		name string
		err  error
	}{
		{"ErrTaken", ErrTaken}, {"ErrAlreadyHeld", ErrAlreadyHeld}, {"ErrNoQuorum", ErrNoQuorum},
		{"ErrNotHeld", ErrNotHeld}, {"ErrExpired", ErrExpired}, {"ErrLost", ErrLost}, {"ErrReleased", ErrReleased},
		{"ErrNoExpiry", ErrNoExpiry}, {"ErrClosed", ErrClosed},
		{"context.Canceled", context.Canceled}, {"context.DeadlineExceeded", context.DeadlineExceeded},
	} {
		if errors.Is(err, target.err) {
			names = append(names, target.name)
		}
	}
	return names
}

// untold are texts of the source that the golden file lacks.
var untold = []string{
	// Nobody waits for the answer any more, or the call ends first.
	"released before it was sent",
	"no answer for %v",
	"had not answered when the call ended",
	"Sentinel names another master now, %s",

	// They take a fault in the middle of a call, which tests of their own bring
	// about.
	"its connection has ended",
	"the Dialer has returned no connection",
	"the connection that granted the lock has ended",
	"no answer to SCAN within %v",
	"the client has sent the release again, and only the last answer is known",
	"an earlier release of this manager for the same token may still be on its way",

	// 8,192 of them.
	"too many commands are waiting for its answers",

	// As of what is no string, which is in the file.
	"keeps something under this name that is longer than the value of any lock",
}

// What says why is in the source once: all of it is in the golden file.
func TestEveryTextOfTheSourceIsInTheGoldenFile(t *testing.T) {
	golden, err := os.ReadFile(filepath.Join("testdata", "errors.golden"))
	if err != nil {
		t.Fatal(err)
	}
	texts := errorTexts(t)
	if len(texts) < 100 {
		t.Fatalf("only %d texts were found", len(texts))
	}
	for _, text := range texts {
		told := asPattern(strings.TrimPrefix(text, "redlock: ")).Match(golden)
		if excused := slices.Contains(untold, text); told == excused {
			t.Errorf("%q: in the file: %v, excused: %v", text, told, excused)
		}
	}
	for _, text := range untold {
		if !slices.Contains(texts, text) {
			t.Errorf("%q is excused, and no text of the source", text)
		}
	}
}

// verbs are those of package fmt.
var verbs = regexp.MustCompile(`%[+#]?[0-9.]*[a-z%]`)

func asPattern(format string) *regexp.Regexp {
	var pattern strings.Builder
	at := 0
	for _, verb := range verbs.FindAllStringIndex(format, -1) {
		pattern.WriteString(regexp.QuoteMeta(format[at:verb[0]]))
		if format[verb[0]:verb[1]] == "%%" {
			pattern.WriteString("%")
		} else {
			pattern.WriteString(".*")
		}
		at = verb[1]
	}
	return regexp.MustCompile(pattern.String() + regexp.QuoteMeta(format[at:]))
}

// errorTexts are the formats that the package makes errors from.
func errorTexts(t *testing.T) (texts []string) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(node ast.Node) bool {
			if call, ok := node.(*ast.CallExpr); ok {
				if at := slices.Index([]string{"errors.New", "fmt.Errorf", "connErrorf"}, calledName(call)); at >= 0 {
					texts = append(texts, literal(call.Args[0]))
				} else if calledName(call) == "configErrorf" && len(call.Args) > 1 {
					texts = append(texts, literal(call.Args[1]))
				}
			}
			return true
		})
	}
	return slices.DeleteFunc(texts, func(text string) bool {
		return strings.Trim(verbs.ReplaceAllString(text, ""), ":; ") == "" // it only puts others together
	})
}

func calledName(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok {
			return x.Name + "." + f.Sel.Name
		}
	}
	return ""
}

// literal is a string that may be written in parts.
func literal(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, _ := strconv.Unquote(e.Value)
		return text
	case *ast.BinaryExpr:
		return literal(e.X) + literal(e.Y)
	}
	return ""
}

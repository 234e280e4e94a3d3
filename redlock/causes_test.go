package redlock_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redlock-go/redlock/internal/pages"
)

// The runbook in docs/operations.md quotes what errors say of a node, with an
// ellipsis for what differs. Whoever searches for the words of an error finds
// them there.

func TestTheRunbookQuotesEveryCauseThatANodeCanHave(t *testing.T) {
	t.Parallel()
	quoted := runbookCauses(t)
	for _, cause := range causes(t) {
		if !slices.Contains(quoted, cause) {
			t.Errorf("docs/operations.md has not `%s`", cause)
		}
	}
}

func TestTheRunbookQuotesWhatErrorsSay(t *testing.T) {
	t.Parallel()
	texts := literals(t)
	code := regexp.MustCompile(`^[A-Z]+$`) // of a server's own error
	for _, cause := range runbookCauses(t) {
		for part := range strings.SplitSeq(cause, "…") {
			part = strings.TrimSpace(part)
			says := func(text string) bool { return strings.Contains(text, part) }
			if !code.MatchString(cause) && !slices.ContainsFunc(texts, says) {
				t.Errorf("docs/operations.md: no error says %q", part)
			}
		}
	}
}

// runbookCauses are quoted in the first column of the table of causes.
func runbookCauses(t *testing.T) []string {
	t.Helper()
	for _, page := range read(t) {
		for _, table := range page.Tables() {
			if table.Head[0] != "the cause says" {
				continue
			}
			var all []string
			for _, row := range table.Rows {
				all = append(all, pages.Spans(row[0])...)
			}
			return all
		}
	}
	t.Fatal("docs/operations.md has no table of causes")
	return nil
}

var verb = regexp.MustCompile(`(%\.?\d*[a-z])+`)

// causes are the texts by which a node's failure is told, where they have words
// of their own.
func causes(t *testing.T) []string {
	t.Helper()
	var all []string
	each(t, func(node ast.Node) {
		call, ok := node.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return
		}
		text := ""
		switch f, args := name(call.Fun), call.Args; {
		case f == "connErrorf", f == "errors.New":
			text = literal(args[0])
		case f == "configErrorf" && ofANode(args[0]):
			text = literal(args[1])
		}
		if strings.HasPrefix(text, "redlock: ") || strings.Trim(verb.ReplaceAllString(text, ""), " ") == "" {
			return // a verdict, or somebody else's words
		}
		if text = verb.ReplaceAllString(text, "…"); !slices.Contains(beginnings, text) {
			all = append(all, text)
		}
	})
	if len(all) < 20 {
		t.Fatalf("found were only %q", all)
	}
	return all
}

// beginnings stand in front of somebody else's words, behind "connect: ".
var beginnings = []string{"TLS handshake", "Credentials"}

// ofANode reports whether a ConfigError's field is a node of a running manager.
func ofANode(field ast.Expr) bool {
	if sum, ok := field.(*ast.BinaryExpr); ok {
		field = sum.X
	}
	call, ok := field.(*ast.CallExpr)
	return ok && name(call.Fun) == "n.path"
}

// literals are all texts in the library.
func literals(t *testing.T) []string {
	t.Helper()
	var all []string
	each(t, func(node ast.Node) {
		if e, ok := node.(ast.Expr); ok {
			if text := literal(e); text != "" {
				all = append(all, text)
			}
		}
	})
	return all
}

// each calls f for every part of the library's code.
func each(t *testing.T, f func(ast.Node)) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(node ast.Node) bool { f(node); return true })
	}
}

// name is that of a function, with its package or receiver.
func name(f ast.Expr) string {
	switch f := f.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return name(f.X) + "." + f.Sel.Name
	}
	return ""
}

// literal is a constant text, or a sum of such; empty for all else.
func literal(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		if err == nil && e.Kind == token.STRING {
			return text
		}
	case *ast.BinaryExpr:
		if left, right := literal(e.X), literal(e.Y); left != "" && right != "" {
			return left + right
		}
	}
	return ""
}

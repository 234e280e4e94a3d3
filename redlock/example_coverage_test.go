package redlock_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// notOperations are methods that package fmt, encoders and package errors call,
// and one that gives nothing in this version.
var notOperations = []string{
	"Error", "Unwrap", "String", "Format", "LogValue", "Fence",
	"MarshalJSON", "MarshalYAML", "UnmarshalYAML", "Node.UnmarshalJSON",
}

func TestEveryExportedOperationHasAnExample(t *testing.T) {
	t.Parallel()
	check := func(name string, f *doc.Func) {
		words := strings.Join(strings.Fields(f.Doc), " ")
		if slices.Contains(notOperations, f.Name) || slices.Contains(notOperations, name) ||
			strings.Contains(words, "not available in this version") {
			return
		}
		if len(f.Examples) == 0 {
			t.Errorf("%s has none", name)
		}
	}
	library := documentation(t)
	for _, f := range library.Funcs {
		check(f.Name, f)
	}
	for _, typ := range library.Types {
		for _, f := range typ.Funcs {
			check(f.Name, f)
		}
		for _, f := range typ.Methods {
			check(typ.Name+"."+f.Name, f)
		}
	}
}

// documentation is what `go doc` reads.
func documentation(t *testing.T) *doc.Package {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") && !strings.HasPrefix(name, "example") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	library, err := doc.NewFromFiles(fset, files, "github.com/redlock-go/redlock/redlock")
	if err != nil {
		t.Fatal(err)
	}
	return library
}

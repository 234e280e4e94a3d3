package redlock_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// noOperations are exported functions and methods that need no Example of their
// own, and why. A name without a type is that method of every type.
var noOperations = map[string]string{
	"Error":              "the Examples of the errors print them",
	"Unwrap":             "package errors calls it, as in the Examples of the errors",
	"String":             "package fmt calls it, as in ExampleParseNode",
	"Format":             "package fmt calls it, as in ExampleOpen",
	"LogValue":           "package slog calls it, and it is String",
	"MarshalJSON":        "an encoder calls it, and what it writes is not for callers to use",
	"MarshalYAML":        "the same",
	"UnmarshalYAML":      "a decoder calls it, and it is UnmarshalJSON, of which there is one",
	"Node.UnmarshalJSON": "a decoder calls it, as in ExampleConfig_UnmarshalJSON",
	"Lock.Fence":         "there are no fences in this version",
	"WithFence":          "it is an error in this version",
	"redlocktest.New":    "an Example has no testing.T; ExampleStart is the same without",
}

func TestEveryExportedOperationHasAnExampleThatRuns(t *testing.T) {
	t.Parallel()
	needless := make(map[string]bool)
	for name := range noOperations {
		needless[name] = true
	}
	for _, library := range []*doc.Package{documentation(t, "redlock"), documentation(t, "redlocktest")} {
		operations := operationsOf(library)
		if len(operations) < 5 {
			t.Fatalf("only %d operations were found in %s", len(operations), library.Name)
		}
		for name, f := range operations {
			excused := ""
			for _, as := range []string{name, f.Name, library.Name + "." + name} {
				if noOperations[as] != "" {
					excused = as
				}
			}
			switch shown := runs(f); {
			case !shown && excused == "":
				t.Errorf("%s.%s has none", library.Name, name)
			case shown && excused == name:
				t.Errorf("%s.%s has one, and is excused all the same", library.Name, name)
			}
			delete(needless, excused)
		}
	}
	for name := range needless {
		t.Errorf("%s is excused, and there is no such operation", name)
	}
}

// operationsOf are the exported functions and methods by name.
func operationsOf(library *doc.Package) map[string]*doc.Func {
	operations := make(map[string]*doc.Func)
	for _, f := range library.Funcs {
		operations[f.Name] = f
	}
	for _, typ := range library.Types {
		for _, f := range typ.Funcs {
			operations[f.Name] = f
		}
		for _, f := range typ.Methods {
			operations[typ.Name+"."+f.Name] = f
		}
	}
	return operations
}

// runs reports whether go test runs an Example of f, and compares what it prints.
func runs(f *doc.Func) bool {
	for _, example := range f.Examples {
		if example.Output != "" {
			return true
		}
	}
	return false
}

// documentation is what go doc reads of a package.
func documentation(t *testing.T, name string) *doc.Package {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("..", name, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") && !strings.HasPrefix(filepath.Base(name), "example") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	library, err := doc.NewFromFiles(fset, files, "github.com/redlock-go/redlock/"+name)
	if err != nil {
		t.Fatal(err)
	}
	return library
}

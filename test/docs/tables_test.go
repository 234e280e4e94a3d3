package docs_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/redlock-go/redlock/internal/pages"
	"github.com/redlock-go/redlock/redlock"
)

// The guides to a change of libraries have tables: the other library's call, and
// the call here. Each piece of code in them must compile. What it is about is
// declared here, by the names that the tables use.

const common = `
	ctx context.Context, client *redis.Client, name, key, token, owner string, ttl, least, most time.Duration,
	n int, factor float64, pause func(int) time.Duration, err error, v any,
	work func(context.Context, *redlock.Lock) error,
`

// declared are the names of each column, by the head of its table's.
var declared = map[string]string{
	"redsync": "pools []redsyncredis.Pool, rs *redsync.Redsync, mutex *redsync.Mutex, " +
		"generate func() (string, error)",
	"bsm/redislock": "locker *redislock.Client, lock *redislock.Lock, strategy redislock.RetryStrategy",
	"here":          "m *redlock.Manager, lock *redlock.Lock, uris []string",
}

const imports = `package cells

import (
	"context"
	"errors"
	"time"

	"github.com/bsm/redislock"
	"github.com/go-redsync/redsync/v4"
	redsyncredis "github.com/go-redsync/redsync/v4/redis"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/redis/go-redis/v9"
	"github.com/redlock-go/redlock/redlock"
)

var (
	_ = errors.Is
	_ = redislock.New
	_ = redsync.New
	_ = goredis.NewPool
	_ redsyncredis.Pool
)
`

func TestEveryCallInATableOfAGuideCompiles(t *testing.T) {
	t.Parallel()
	var code strings.Builder
	code.WriteString(imports)
	found := 0
	for _, table := range tables(t) {
		for column, head := range table.Head {
			names, ok := declared[head]
			if !ok {
				continue
			}
			found++
			fmt.Fprintf(&code, "\nfunc _(%s\n%s) {\n", strings.TrimSpace(common), names)
			for _, row := range table.Rows {
				for _, span := range pages.Spans(row[column]) {
					code.WriteString("\t" + statement(t, table.Page, span) + "\n")
				}
			}
			code.WriteString("}\n")
		}
	}
	if found < len(declared) {
		t.Fatalf("there are only %d such columns", found)
	}
	compile(t, code.String())
}

// statement makes one of an expression.
func statement(t *testing.T, page, code string) string {
	t.Helper()
	e, err := parser.ParseExpr(code)
	if err != nil {
		t.Errorf("%s: `%s` is no expression: %v", page, code, err)
	}
	if _, call := e.(*ast.CallExpr); call {
		return code
	}
	return "_ = " + code
}

// compile compiles code in a module with the requirements of this one.
func compile(t *testing.T, code string) {
	t.Helper()
	library, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile("../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for file, content := range map[string]string{
		"go.mod":   strings.Replace(string(module), "=> ../\n", "=> "+library+"\n", 1),
		"go.sum":   string(sums),
		"cells.go": code,
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.CommandContext(t.Context(), "go", "build", ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOPROXY=off", "GOWORK=off", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s\n%s", err, out, code)
	}
}

// A connection of aioredlock's and the same node here must be read alike.
func TestAConnectionOfAioredlockIsTheNodeThatTheGuideSays(t *testing.T) {
	t.Parallel()
	rows := table(t, "a connection of aioredlock's").Rows
	both := 0
	for _, row := range rows {
		here := oneNode(t, pages.Spans(row[1])[0])
		literal := pages.Spans(row[0])[0]
		if strings.Contains(literal, "Sentinel(") {
			continue // a call, and no literal
		}
		both++
		if there := oneNode(t, fromPython.Replace(literal)); !same(there, here) {
			t.Errorf("%s is %v with %+v", literal, there, here)
		}
	}
	if both < 3 {
		t.Errorf("only %d of %d were compared", both, len(rows))
	}
}

// fromPython makes JSON of Python's tuples, dictionaries and strings.
var fromPython = strings.NewReplacer("'", `"`, "(", "[", ")", "]", "True", "true")

// oneNode reads one node as an element of a list in JSON.
func oneNode(t *testing.T, text string) redlock.Node {
	t.Helper()
	var cfg redlock.Config
	if err := json.Unmarshal([]byte(`{"nodes": [`+text+`]}`), &cfg); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return cfg.Nodes[0]
}

func same(a, b redlock.Node) bool {
	return a.String() == b.String() && a.Password == b.Password && a.Username == b.Username && a.TLS == b.TLS &&
		a.DB == b.DB && slices.Equal(a.Sentinels, b.Sentinels)
}

func TestASettingOfAioredlockHasTheNameThatTheGuideSays(t *testing.T) {
	t.Parallel()
	for _, row := range table(t, "a setting of aioredlock's").Rows {
		for _, setting := range pages.Spans(row[1]) {
			var cfg redlock.Config
			if err := json.Unmarshal([]byte("{"+setting+"}"), &cfg); err != nil {
				t.Errorf("%s: %v", setting, err)
			}
		}
	}
}

func tables(t *testing.T) []pages.Table {
	t.Helper()
	var all []pages.Table
	for _, page := range read(t) {
		all = append(all, page.Tables()...)
	}
	return all
}

// table is the one whose first column is called head.
func table(t *testing.T, head string) pages.Table {
	t.Helper()
	for _, table := range tables(t) {
		if table.Head[0] == head {
			return table
		}
	}
	t.Fatalf("there is no table of %s", head)
	return pages.Table{}
}

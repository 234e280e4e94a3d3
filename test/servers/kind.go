// Package servers starts the Redis and Valkey servers that the integration
// tests, the chaos runs and the benchmarks talk to.
//
// A [Kind] is a server that the library promises to work with. Where Docker
// answers and has an image of the kind, it runs in a container (by
// testcontainers-go, with host networking, so that a container and a program
// look the same to a test, and Sentinel announces addresses that a test can
// dial). Otherwise it runs as a program that is installed here. Where there is
// neither, [Kind.Missing] says so in a sentence.
//
// Everything a server has lives in a directory of its own that a container
// mounts under the same path: configuration, certificates, unix socket, data.
package servers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/client"
)

// requireEnv names the variable that forbids the fallbacks. Its only value is
// "docker": then a kind without an image is a failure and not a skip.
const requireEnv = "REDLOCK_TEST_REQUIRE"

// Kind is a server program and its version.
type Kind struct {
	// Name is how tests and their output call it.
	Name string

	images  []string // in order of preference
	program string   // the server's program
	version string   // how the version of an installed program begins
}

// The kinds that every row of the integration tests runs on.
var (
	Redis70 = Kind{
		Name:    "redis-7.0",
		images:  []string{"redlock-test:bookworm", "redis:7.0"},
		program: "redis-server", version: "7.",
	}
	Redis80 = Kind{
		Name:    "redis-8.0",
		images:  []string{cmp.Or(os.Getenv("REDLOCK_TEST_IMAGE"), "redis:8"), "redlock-test:trixie"},
		program: "redis-server", version: "8.",
	}
	Valkey81 = Kind{
		Name:    "valkey-8.1",
		images:  []string{"valkey/valkey:8.1", "redlock-test:trixie"},
		program: "valkey-server", version: "8.",
	}
)

// Installed is the redis-server of this machine, whatever its version, and never
// a container: benchmarks use it, and tests of the harness itself.
var Installed = Kind{Name: "installed", program: "redis-server"}

// All are the kinds that every row runs on.
func All() []Kind { return []Kind{Redis70, Redis80, Valkey81} }

// Missing says in one sentence why the kind cannot run here; it is empty where
// it can. With REDLOCK_TEST_REQUIRE=docker a program is no way to run.
func (k Kind) Missing() string {
	_, err := k.find()
	if err != nil {
		return err.Error()
	}
	return ""
}

// String is the kind's name.
func (k Kind) String() string { return k.Name }

// Place says where the kind runs: the image's name or the program's path.
func (k Kind) Place() string {
	where, err := k.find()
	if err != nil {
		return "nowhere"
	}
	return cmp.Or(where.image, where.path)
}

// Required reports whether nothing may be skipped.
func Required() bool { return os.Getenv(requireEnv) != "" }

// place is where a kind runs; one of the two is set.
type place struct {
	image string
	path  string
}

var (
	placesMu sync.Mutex
	places   = map[string]func() (place, error){} // by kind; guarded by placesMu
)

// find looks for the kind once per process: images come and go between runs, not
// within one.
func (k Kind) find() (place, error) {
	placesMu.Lock()
	once := places[k.Name]
	if once == nil {
		once = sync.OnceValues(k.look)
		places[k.Name] = once
	}
	placesMu.Unlock()
	return once()
}

func (k Kind) look() (place, error) {
	image, noImage := k.lookImage()
	if noImage == nil {
		return place{image: image}, nil
	}
	if require := os.Getenv(requireEnv); require != "" && len(k.images) > 0 {
		return place{}, fmt.Errorf("%s does not run: %w, and %s=%s allows nothing else",
			k.Name, noImage, requireEnv, require)
	}
	path, noProgram := k.lookProgram()
	if noProgram != nil {
		return place{}, fmt.Errorf("%s does not run: %w; %w", k.Name, noImage, noProgram)
	}
	return place{path: path}, nil
}

// dockerPatience is how long Docker may take to say what it has.
const dockerPatience = 30 * time.Second

var sweepOnce sync.Once

var errNoContainers = errors.New("it is not run in containers")

func (k Kind) lookImage() (string, error) {
	switch {
	case len(k.images) == 0:
		return "", errNoContainers
	case runtime.GOOS != "linux":
		return "", errors.New("containers share the loopback of this machine on Linux only")
	}
	ctx, cancel := context.WithTimeout(context.Background(), dockerPatience)
	defer cancel()
	docker, err := dockerClient()
	if err == nil {
		_, err = docker.Ping(ctx, client.PingOptions{})
	}
	if err != nil {
		return "", errors.New("no Docker answers")
	}
	sweepOnce.Do(func() { sweep(context.Background(), docker) }) // of many it takes long
	for _, image := range k.images {
		if _, err := docker.ImageInspect(ctx, image); err == nil {
			adapt(image)
			return image, nil
		}
	}
	if ctx.Err() != nil {
		return "", fmt.Errorf("no word from Docker within %v on which images it has", dockerPatience)
	}
	return "", fmt.Errorf("there is no image %s (`make images` gets it)", strings.Join(k.images, " or "))
}

func (k Kind) lookProgram() (string, error) {
	path, err := exec.LookPath(k.program)
	if err != nil {
		return "", fmt.Errorf("no %s is installed", k.program)
	}
	out, err := exec.Command(path, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w", path, err)
	}
	// Redis and Valkey both write "... v=7.0.15 sha=...".
	_, version, _ := strings.Cut(string(out), " v=")
	version, _, _ = strings.Cut(version, " ")
	if !strings.HasPrefix(version, k.version) {
		return "", fmt.Errorf("the installed %s is version %s", k.program, version)
	}
	return path, nil
}

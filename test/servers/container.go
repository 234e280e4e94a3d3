package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"
)

// dockerClient is the one client of the process. It is not testcontainers-go's
// own: making that one fixes the settings that adapt changes.
var dockerClient = sync.OnceValues(func() (*client.Client, error) {
	log.SetDefault(quiet{})
	return client.New(client.FromEnv)
})

// quiet keeps testcontainers-go from writing five lines for each server.
type quiet struct{}

// Printf drops the line.
func (quiet) Printf(string, ...any) {}

// homeMade is how the names of test/images/build.sh's images begin.
const homeMade = "redlock-test:"

// adapt prepares testcontainers-go for a machine that cannot pull images. Such a
// machine cannot have the image of the reaper either, and it often looks like a
// container itself, which makes testcontainers-go dial a gateway in place of the
// loopback.
func adapt(image string) {
	if !strings.HasPrefix(image, homeMade) {
		return
	}
	for name, value := range map[string]string{
		"TESTCONTAINERS_RYUK_DISABLED": "true",
		"TESTCONTAINERS_HOST_OVERRIDE": "localhost",
	} {
		if os.Getenv(name) == "" {
			_ = os.Setenv(name, value)
		}
	}
}

// containerRunner is a server in a container.
type containerRunner struct {
	container *testcontainers.DockerContainer
	docker    *client.Client
}

func runContainer(ctx context.Context, image string, cmd, env []string, dir string) (runner, error) {
	docker, err := dockerClient()
	if err != nil {
		return nil, err
	}
	c, err := testcontainers.Run(ctx, image,
		testcontainers.WithEntrypoint(cmd[0]),
		testcontainers.WithCmd(cmd[1:]...),
		testcontainers.WithLabels(labels()),
		testcontainers.WithConfigModifier(func(config *container.Config) {
			// Files that it writes must be removable by the test.
			config.User = fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid())
			config.WorkingDir = dir
			config.Env = append(config.Env, env...)
		}),
		testcontainers.WithHostConfigModifier(func(host *container.HostConfig) {
			host.NetworkMode = "host"
			host.Binds = []string{dir + ":" + dir}
		}),
	)
	r := &containerRunner{container: c, docker: docker}
	if err != nil {
		return nil, errors.Join(err, r.stop(context.WithoutCancel(ctx)))
	}
	return r, nil
}

func (r *containerRunner) kill(ctx context.Context) error {
	// The answer comes before the process is gone: wait, so that a test does not
	// talk to a server that it believes dead.
	wait := r.docker.ContainerWait(ctx, r.container.ID, client.ContainerWaitOptions{
		Condition: container.WaitConditionNotRunning,
	})
	if _, err := r.docker.ContainerKill(ctx, r.container.ID, client.ContainerKillOptions{}); err != nil {
		return err
	}
	select {
	case err := <-wait.Error:
		return err
	case <-wait.Result:
		return nil
	}
}

func (r *containerRunner) start(ctx context.Context) error {
	_, err := r.docker.ContainerStart(ctx, r.container.ID, client.ContainerStartOptions{})
	return err
}

func (r *containerRunner) pause(ctx context.Context) error {
	_, err := r.docker.ContainerPause(ctx, r.container.ID, client.ContainerPauseOptions{})
	return err
}

func (r *containerRunner) resume(ctx context.Context) error {
	_, err := r.docker.ContainerUnpause(ctx, r.container.ID, client.ContainerUnpauseOptions{})
	return err
}

func (r *containerRunner) stop(context.Context) error {
	if r.container == nil {
		return nil
	}
	return testcontainers.TerminateContainer(r.container, testcontainers.StopTimeout(0))
}

func (r *containerRunner) alive() bool {
	result, err := r.docker.ContainerInspect(context.Background(), r.container.ID, client.ContainerInspectOptions{})
	return err == nil && result.Container.State.Running
}

func (r *containerRunner) output() string {
	logs, err := r.container.Logs(context.Background())
	if err != nil {
		return err.Error()
	}
	defer func() { _ = logs.Close() }()
	text, _ := io.ReadAll(logs)
	return string(text)
}

// Close gives up what the package itself keeps open, for tests that look for
// leaked goroutines. It is called once, after all servers have stopped.
func Close() error {
	docker, err := dockerClient()
	if err != nil {
		return nil // there is none to close
	}
	return docker.Close()
}

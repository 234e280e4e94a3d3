package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/moby/moby/client"
)

// Labels of every container of these tests. The second says which process it
// belongs to; `make clean` goes by the first.
const (
	label      = "org.redlock.test"
	ownerLabel = "org.redlock.test.owner"
)

// labels are those of this process' containers.
func labels() map[string]string {
	host, _ := os.Hostname()
	return map[string]string{label: "1", ownerLabel: fmt.Sprintf("%s %d", host, os.Getpid())}
}

// sweep removes the containers of processes that are gone: a run that was killed,
// or that has panicked after its -timeout, cannot do it itself. It is best effort,
// since another run may be sweeping, too.
func sweep(ctx context.Context, docker *client.Client) {
	left, err := docker.ContainerList(ctx, client.ContainerListOptions{
		All:     true,
		Filters: make(client.Filters).Add("label", ownerLabel),
	})
	if err != nil {
		return
	}
	for _, c := range left.Items {
		if orphaned(c.Labels[ownerLabel]) {
			_, _ = docker.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true})
		}
	}
}

// orphaned reports whether owner was a process of this machine and is no more.
func orphaned(owner string) bool {
	name, number, _ := strings.Cut(owner, " ")
	host, err := os.Hostname()
	pid, bad := strconv.Atoi(number)
	if err != nil || bad != nil || name != host {
		return false
	}
	process, err := os.FindProcess(pid)
	return err != nil || errors.Is(process.Signal(syscall.Signal(0)), os.ErrProcessDone)
}

package servers

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
)

// processRunner is a server that runs as a program of this machine.
type processRunner struct {
	command []string
	env     []string
	dir     string

	process *exec.Cmd
	done    chan struct{} // closed when process has ended
	exited  atomic.Bool
}

func runProcess(ctx context.Context, command, env []string, dir string) (runner, error) {
	r := &processRunner{command: command, env: env, dir: dir}
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// start has nothing to do with ctx: the process outlives the call.
func (r *processRunner) start(context.Context) error {
	log, err := os.OpenFile(r.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	process := exec.Command(r.command[0], r.command[1:]...)
	process.Dir = r.dir
	process.Env = append(os.Environ(), r.env...)
	process.Stdout, process.Stderr = log, log
	if err := process.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	r.process, r.done = process, done
	r.exited.Store(false)
	// Joined by kill and stop, through done.
	go func() {
		_ = process.Wait()
		r.exited.Store(true)
		close(done)
	}()
	return nil
}

func (r *processRunner) kill(context.Context) error {
	// A process that has ended by itself is what kill wants.
	_ = r.process.Process.Kill()
	<-r.done
	return nil
}

func (r *processRunner) pause(context.Context) error {
	return r.process.Process.Signal(syscall.SIGSTOP)
}

func (r *processRunner) resume(context.Context) error {
	return r.process.Process.Signal(syscall.SIGCONT)
}

func (r *processRunner) stop(ctx context.Context) error { return r.kill(ctx) }

func (r *processRunner) alive() bool { return !r.exited.Load() }

func (r *processRunner) log() string { return filepath.Join(r.dir, "log") }

func (r *processRunner) output() string {
	text, err := os.ReadFile(r.log())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

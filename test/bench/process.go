package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// Job is what each process of a contest does: its callers take one resource,
// hold it, give it back and rest, over and over.
type Job struct {
	Contender  string
	Addrs      []string
	Resource   string
	Callers    int
	Hold, Rest time.Duration
	For        time.Duration
}

// Holding is one time that a caller held the resource, in nanoseconds of the
// clock that the processes share.
type Holding struct {
	Asked, Taken, Given int64
}

// Report is what a process says at its end.
type Report struct {
	Callers [][]Holding // by caller, in order
	Failed  int         // calls that failed though there was time
	Error   string      // of one of them
}

// jobVariable tells a process that it is one of a contest.
const jobVariable = "REDLOCK_BENCH_JOB"

// WorkIfTold does the job of a contest and ends the process, if it was started
// for one. TestMain calls it.
func WorkIfTold() {
	text, told := os.LookupEnv(jobVariable)
	if !told {
		return
	}
	if err := work(text); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// work says that it is ready, begins when it is told to, and reports.
func work(text string) error {
	var job Job
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		return err
	}
	open := Contenders[job.Contender]
	if open == nil {
		return fmt.Errorf("nobody is called %q", job.Contender)
	}
	take, err := open(job.Addrs)
	if err != nil {
		return err
	}
	// Every connection is open before the clock starts.
	release, err := take(context.Background(), fmt.Sprint("warm-", os.Getpid()))
	if err != nil {
		return err
	}
	if err := release(context.Background()); err != nil {
		return err
	}
	fmt.Println("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(job.run(take))
}

func (j Job) run(take Take) Report {
	report := Report{Callers: make([][]Holding, j.Callers)}
	var mu sync.Mutex
	ctx, cancel := context.WithTimeout(context.Background(), j.For)
	defer cancel()
	var callers sync.WaitGroup
	for i := range report.Callers {
		callers.Go(func() {
			for ctx.Err() == nil {
				holding, err := j.hold(ctx, take)
				switch {
				case err == nil:
					report.Callers[i] = append(report.Callers[i], holding)
				case ctx.Err() == nil:
					mu.Lock()
					report.Failed++
					report.Error = err.Error()
					mu.Unlock()
				}
			}
		})
	}
	callers.Wait()
	return report
}

func (j Job) hold(ctx context.Context, take Take) (h Holding, err error) {
	h.Asked = time.Now().UnixNano()
	release, err := take(ctx, j.Resource)
	h.Taken = time.Now().UnixNano()
	if err != nil {
		return h, err
	}
	time.Sleep(j.Hold)
	h.Given = time.Now().UnixNano()
	err = release(context.Background())
	time.Sleep(j.Rest)
	return h, err
}

// Compete runs the job in so many processes at once.
func (q *Quorum) Compete(tb testing.TB, processes int, job Job) Contest {
	tb.Helper()
	for _, s := range q.Servers {
		job.Addrs = append(job.Addrs, s.Addr)
	}
	job.Resource = fmt.Sprint("contested-", time.Now().UnixNano())
	workers := make([]*worker, processes)
	for i := range workers {
		workers[i] = start(tb, job)
	}
	for _, w := range workers {
		if _, err := io.WriteString(w.stdin, "go\n"); err != nil {
			tb.Fatal(err)
		}
	}
	contest := Contest{For: job.For}
	for _, w := range workers {
		var report Report
		err := w.answers.Decode(&report)
		if err := errors.Join(err, w.Wait()); err != nil {
			tb.Fatal(err)
		}
		if report.Failed > 0 {
			tb.Errorf("%s: %d calls failed, one with: %s", job.Contender, report.Failed, report.Error)
		}
		contest.Processes = append(contest.Processes, report.Callers)
	}
	if err := contest.overlap(); err != nil {
		tb.Errorf("%s: %v", job.Contender, err)
	}
	return contest
}

// worker is a process of a contest: this program again.
type worker struct {
	*exec.Cmd
	stdin   io.Writer
	answers *json.Decoder
}

// start returns when the process is ready. It is killed with the test.
func start(tb testing.TB, job Job) *worker {
	tb.Helper()
	text, err := json.Marshal(job)
	if err != nil {
		tb.Fatal(err)
	}
	w := &worker{Cmd: exec.CommandContext(tb.Context(), os.Args[0])}
	w.Env = append(os.Environ(), jobVariable+"="+string(text))
	w.Stderr = os.Stderr
	stdin, err := w.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	stdout, err := w.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := w.Start(); err != nil {
		tb.Fatal(err)
	}
	lines := bufio.NewReader(stdout)
	if said, err := lines.ReadString('\n'); err != nil || said != "ready\n" {
		tb.Fatalf("%s did not get ready: %q, %v", job.Contender, said, errors.Join(err, w.Wait()))
	}
	w.stdin, w.answers = stdin, json.NewDecoder(lines)
	return w
}

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
)

// result is what came of the tests of one module.
type result struct {
	Module                  string
	Passed, Skipped, Failed int
	OK                      bool // whether the run has passed, skipped tests considered
}

func (r result) String() string {
	return fmt.Sprintf("%s: %d passed, %d skipped, %d failed", r.Module, r.Passed, r.Skipped, r.Failed)
}

// keep appends the result to the file at path.
func (r result) keep(path string) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(append(line, '\n'))
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}

// total prints the results that were kept at path, and the sum in the last line.
// It reports whether every run has passed.
func total(path string, out io.Writer) (bool, error) {
	file, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer func() { _ = file.Close() }()
	var sum result
	var runs []result
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var r result
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return false, err
		}
		fmt.Fprintln(out, r)
		runs = append(runs, r)
		sum.Passed += r.Passed
		sum.Failed += r.Failed
	}
	fmt.Fprintf(out, "%d passed, %d failed\n", sum.Passed, sum.Failed)
	notOK := func(r result) bool { return !r.OK }
	return len(runs) > 0 && !slices.ContainsFunc(runs, notOK), nil
}

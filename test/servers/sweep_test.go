package servers

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

func TestAContainerIsOrphanedWhenItsProcessHasEnded(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	for owner, want := range map[string]bool{
		fmt.Sprintf("%s %d", host, gone.Process.Pid):  true,
		fmt.Sprintf("%s %d", host, os.Getpid()):       false,
		fmt.Sprintf("elsewhere %d", gone.Process.Pid): false,
		"":                                false,
		fmt.Sprintf("%s of nobody", host): false,
	} {
		if got := orphaned(owner); got != want {
			t.Errorf("%q: %t, want %t", owner, got, want)
		}
	}
}

func TestASweepLeavesTheContainersOfARunThatGoesOn(t *testing.T) {
	s := Start(t, Redis80, Options{})
	if _, contained := s.runner.(*containerRunner); !contained {
		t.Skip("servers do not run in containers here")
	}
	docker, err := dockerClient()
	if err != nil {
		t.Fatal(err)
	}
	sweep(t.Context(), docker)
	if !s.runner.alive() {
		t.Error("the container is gone")
	}
}

package main

import (
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sear/internal/server"
)

// readyTimeout is for a server to answer on a busy machine.
const readyTimeout = 30 * time.Second

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sear": main})
}

// TestScript runs test/script/*.txt, in which `sear` is this program.
func TestScript(t *testing.T) {
	t.Parallel()

	testscript.Run(t, testscript.Params{
		Dir:                 "../../test/script",
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"freeaddr": freeAddr,
			"ready":    ready,
			"keyfrom":  keyFrom,
			"answers":  answers,
			"triggers": triggers,
		},
	})
}

// freeAddr sets a variable to an address on which nobody listens: freeaddr NAME.
func freeAddr(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: freeaddr NAME")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	defer l.Close()
	ts.Setenv(args[0], l.Addr().String())
}

// ready waits until the server at an address answers: ready ADDR.
func ready(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: ready ADDR")
	}
	for end := time.Now().Add(readyTimeout); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		res, err := http.Get("http://" + args[0] + "/healthcheck")
		if err != nil {
			continue
		}
		res.Body.Close()
		if res.StatusCode == http.StatusOK {
			return
		}
	}
	ts.Fatalf("no server answers at %s", args[0])
}

// keyFrom sets a variable to a secret key of what `sear keys --json` has just printed: keyfrom NAME ENV.
func keyFrom(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: keyfrom NAME ENV")
	}
	var set server.KeySet
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &set))
	key := map[string]string{"staging": set.SecretKeys.Staging, "prod": set.SecretKeys.Prod}[args[1]]
	if key == "" {
		ts.Fatalf("there is no key of %s", args[1])
	}
	ts.Setenv(args[0], key)
}

// answers checks the status with which the server at an address meets a key: answers ADDR KEY STATUS.
func answers(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: answers ADDR KEY STATUS")
	}
	req, err := http.NewRequest(http.MethodGet, "http://"+args[0]+"/api/v1/runs", nil)
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+args[1])
	res, err := http.DefaultClient.Do(req)
	ts.Check(err)
	res.Body.Close()
	if strconv.Itoa(res.StatusCode) != args[2] {
		ts.Fatalf("%s answers %s, not %s", args[0], res.Status, args[2])
	}
}

// triggers triggers a run and sets a variable to its id: triggers NAME ADDR KEY.
func triggers(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: triggers NAME ADDR KEY")
	}
	req, err := http.NewRequest(http.MethodPost, "http://"+args[1]+"/api/v1/tasks/hello/trigger", strings.NewReader(`{"payload":{}}`))
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+args[2])
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer res.Body.Close()
	var made struct{ ID string }
	ts.Check(json.NewDecoder(res.Body).Decode(&made))
	if made.ID == "" {
		ts.Fatalf("%s answers %s", args[1], res.Status)
	}
	ts.Setenv(args[0], made.ID)
}

package jsdate_test

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"sear/internal/jsdate"
)

var update = flag.Bool("update", false, "record anew what Node makes of the texts in testdata")

// read is a text and the milliseconds since 1970 that Node's Date makes of it, nil for none.
type read struct {
	Text string   `json:"text"`
	MS   *float64 `json:"ms"`
}

// program reads texts as lines of JSON and answers with lines of read.
const program = `for (const line of require("fs").readFileSync(0, "utf8").split("\n").slice(0, -1)) {
	const text = JSON.parse(line);
	console.log(JSON.stringify({ text, ms: new Date(text).getTime() }));
}`

// askNode has Node read texts in UTC. Without Node the test is skipped, except in CI.
func askNode(t *testing.T, texts []string) []byte {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	var in bytes.Buffer
	for _, text := range texts {
		if err := json.NewEncoder(&in).Encode(text); err != nil {
			t.Fatal(err)
		}
	}
	node := exec.CommandContext(t.Context(), "node", "-e", program)
	node.Env = append(os.Environ(), "TZ=UTC")
	node.Stdin, node.Stderr = &in, os.Stderr
	out, err := node.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// compare reads each text that Node was asked for, and counts those that are a date.
func compare(t *testing.T, answers []byte) {
	t.Helper()
	lines := bytes.Split(bytes.TrimSpace(answers), []byte("\n"))
	dates := 0
	for _, line := range lines {
		var want read
		if err := json.Unmarshal(line, &want); err != nil {
			t.Fatal(err)
		}
		at, ok := jsdate.Parse(want.Text)
		switch {
		case ok != (want.MS != nil):
			t.Errorf("Parse(%+q) = %v, %v, and Node says %s", want.Text, at, ok, line)
		case ok && at.UnixMilli() != int64(*want.MS):
			t.Errorf("Parse(%+q) = %v, and Node says %v", want.Text, at, time.UnixMilli(int64(*want.MS)).UTC())
		}
		if ok {
			dates++
		}
	}
	t.Logf("%d texts, of which %d are dates", len(lines), dates)
}

// recorded is what Node 20 says of four thousand texts.
//
//go:embed testdata/node.jsonl
var recorded []byte

func TestReadsWhatNodeWasRecordedToRead(t *testing.T) {
	t.Parallel()
	if *update {
		list := texts(rand.New(rand.NewPCG(1, 2)), 4000)
		slices.SortFunc(list, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
		recorded = askNode(t, list)
		if err := os.WriteFile("testdata/node.jsonl", recorded, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	compare(t, recorded)
}

func TestReadsWhatNodeReads(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	compare(t, askNode(t, texts(rand.New(rand.NewPCG(seed, seed)), 5000)))
}

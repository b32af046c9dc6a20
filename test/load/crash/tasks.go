package crash

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// retryDelay is how long a failed attempt is away.
const retryDelay = 50 * time.Millisecond

// payload is that of every run. A schedule's has a time and no name.
type payload struct {
	Name      string `json:"name"`
	Key       string `json:"key,omitempty"`   // concurrency key
	Token     string `json:"token,omitempty"` // to be waited for
	Pad       string `json:"pad,omitempty"`   // makes it large
	Timestamp string `json:"timestamp,omitempty"`
	Schedule  string `json:"scheduleId,omitempty"`
}

// padding makes a payload too large for the row of its run.
var padding = strings.Repeat("0123456789abcdef", 600)

// parsePayload reads a payload, which is in superjson as the SDK writes it.
func parsePayload(text string) (payload, error) {
	var p struct{ JSON *payload }
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return payload{}, err
	}
	if p.JSON == nil {
		return payload{}, errors.New("no json in it")
	}
	return *p.JSON, nil
}

// lane is what limits the run besides its environment.
func (p payload) lane(task string) string { return task + ":" + p.Key }

// completion is how an attempt ended, as the protocol has it.
type completion map[string]any

// result is the output of a run: its name, what it saw of others, and which execution of
// it said so.
type result struct {
	Name string            `json:"name"`
	Saw  map[string]string `json:"saw,omitempty"` // outputs by run or token
	By   uint64            `json:"by"`
}

// results is how many results a task must see before it can be done.
var results = map[string]int{taskToken: 1, taskParent: parentChildren, taskFamily: familyChildren}

// succeed ends an attempt that saw what it waited for. One that went on without, although
// it still had the run, has found something.
func (a *attempt) succeed(saw map[string]string) completion {
	if want := results[a.task]; a.ctx.Err() == nil && len(saw) != want {
		a.ledger.find("wrong: %s (%s) waited for %d results and got %d", a.run, a.task, want, len(saw))
	}
	output, _ := json.Marshal(result{a.name, saw, rand.Uint64()}) // strings and a number always marshal
	return completion{"ok": true, "output": string(output), "outputType": "application/json"}
}

func (a *attempt) fail(retry bool) completion {
	c := completion{"ok": false, "error": map[string]any{"type": "BUILT_IN_ERROR", "name": "Error", "message": a.name, "stackTrace": "Error: " + a.name}}
	if retry {
		c["retry"] = map[string]int64{"timestamp": time.Now().Add(retryDelay).UnixMilli(), "delay": retryDelay.Milliseconds()}
	} else {
		c["skippedRetrying"] = true
	}
	return c
}

// The tasks there are.
const (
	taskWork   = "work"
	taskFlaky  = "flaky"  // fails twice
	taskBroken = "broken" // fails for good
	taskParent = "parent" // triggers two and waits for each
	taskFamily = "family" // triggers a batch and waits for it
	taskSleep  = "sleep"
	taskToken  = "token"  // waits for a token
	taskNarrow = "narrow" // at most narrowLimit at once
	taskKeyed  = "keyed"  // at most keyedLimit at once for each key
	taskCron   = "cron"
)

// The limits of the queues that have one.
const (
	narrowLimit = 3
	keyedLimit  = 1
)

// How many children those who have any wait for.
const (
	parentChildren = 2
	familyChildren = 3
)

// tasks is what each does. They are executed any number of times and so do the same again.
var tasks map[string]func(a *attempt) completion

func init() {
	tasks = map[string]func(a *attempt) completion{
		taskWork: work, taskNarrow: work, taskKeyed: work,
		taskFlaky:  func(a *attempt) completion { return a.failFirst(2) },
		taskBroken: func(a *attempt) completion { return a.fail(false) },
		taskParent: parent, taskFamily: family, taskSleep: sleep, taskToken: token, taskCron: cron,
	}
}

func work(a *attempt) completion {
	_ = pause(a.ctx, rand.N(20*time.Millisecond))
	return a.succeed(nil)
}

func (a *attempt) failFirst(n int) completion {
	if a.number <= n {
		return a.fail(true)
	}
	return a.succeed(nil)
}

func sleep(a *attempt) completion {
	over := a.wait("/engine/v1/runs/"+a.run+"/wait/duration", map[string]any{"date": time.Now().Add(rand.N(time.Second))})
	if a.ctx.Err() == nil && len(over) != 1 {
		a.ledger.find("wrong: %s slept and was told of %d ends", a.run, len(over))
	}
	return a.succeed(nil)
}

func token(a *attempt) completion {
	saw := map[string]string{}
	for _, w := range a.wait("/engine/v1/runs/"+a.run+"/waitpoints/tokens/"+a.payload.Token+"/wait", nil) {
		saw[a.payload.Token] = w.Output
	}
	return a.succeed(saw)
}

// parent triggers with idempotency keys, so that a second attempt finds the children of the first.
func parent(a *attempt) completion {
	saw := map[string]string{}
	for i := range parentChildren {
		name := fmt.Sprintf("%s/%d", a.name, i)
		a.ledger.try(name)
		body := triggerBody(payload{Name: name}, map[string]any{"parentRunId": a.run, "resumeParentOnCompletion": true,
			"lockToVersion": a.version, "idempotencyKey": name})
		var got struct{ ID string }
		a.release()
		if err := a.caller.post(a.ctx, "/api/v1/tasks/"+taskWork+"/trigger", body, &got); err != nil {
			a.refused("a child", err)
			return nil
		}
		a.ledger.accept(name, got.ID)
		collect(saw, a.resume())
	}
	return a.succeed(saw)
}

// collect notes the outputs of the children that were waited for.
func collect(saw map[string]string, list []waitpoint) {
	for _, w := range list {
		if w.CompletedByTaskRun != nil {
			saw[w.CompletedByTaskRun.FriendlyID] = w.Output
		}
	}
}

// family triggers in two phases. Each attempt has a batch of its own.
func family(a *attempt) completion {
	names := make([]string, familyChildren)
	for i := range names {
		names[i] = fmt.Sprintf("%s/%d.%d", a.name, a.number, i)
	}
	a.ledger.try(names...)
	a.release()
	if err := a.caller.batch(a.ctx, a.ledger, taskWork, names, map[string]any{"parentRunId": a.run, "resumeParentOnCompletion": true}); err != nil {
		a.refused("a batch", err)
		return nil
	}
	saw := map[string]string{}
	collect(saw, a.resume())
	return a.succeed(saw)
}

func cron(a *attempt) completion {
	a.ledger.fired(fire{a.payload.Schedule, a.payload.Timestamp}, a.run)
	return a.succeed(nil)
}

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sear/test/load/child"
	"sear/test/load/rawhttp"
)

// serveEcho is the ceiling of anything that speaks HTTP and JSON in Go: it decodes a
// trigger and encodes it again. It prints its address and ends with its input.
func serveEcho(in io.Reader, out io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(echo), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		_, _ = io.Copy(io.Discard, in)
		_ = server.Close()
	}()
	fmt.Fprintln(out, l.Addr())
	if err := server.Serve(l); err != http.ErrServerClosed {
		return err
	}
	return nil
}

func echo(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Payload string         `json:"payload"`
		Options map[string]any `json:"options"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body) // a client that is gone needs no answer
}

// echoServer is this program again, in a process of its own as the real server is.
type echoServer struct {
	*child.Process
	addr string
	hold io.Closer // its input
}

func startEcho() (*echoServer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, echoFlag)
	hold, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	c, err := child.Start(cmd)
	if err != nil {
		return nil, fmt.Errorf("echo server: %w", err)
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		c.Stop(time.Second)
		return nil, fmt.Errorf("echo server: %w", err)
	}
	return &echoServer{c, strings.TrimSpace(addr), hold}, nil
}

func (e *echoServer) close() {
	_ = e.hold.Close()
	e.Stop(time.Second)
}

// throughput is how often a second n clients get a trigger echoed, over d.
func (e *echoServer) throughput(ctx context.Context, n int, d time.Duration) (rate float64, times []time.Duration, err error) {
	var calls atomic.Int64
	var mu sync.Mutex
	begin := time.Now()
	err = parallel(ctx, n, func(ctx context.Context, i int) error {
		c := rawhttp.New(ctx, e.addr, headers("tr_dev_echo")...)
		defer c.Close()
		var own []time.Duration
		for time.Since(begin) < d {
			at := time.Now()
			if _, err := c.Post("/echo", triggerBody(nil, i)); err != nil {
				return fmt.Errorf("echo: %w", err)
			}
			own = append(own, time.Since(at))
		}
		calls.Add(int64(len(own)))
		mu.Lock()
		defer mu.Unlock()
		times = append(times, own...)
		return nil
	})
	return float64(calls.Load()) / time.Since(begin).Seconds(), times, err
}

// exchanges times, one after the other, how long it takes to be answered n times.
func (e *echoServer) exchanges(ctx context.Context, samples, n int) ([]time.Duration, error) {
	c := rawhttp.New(ctx, e.addr, headers("tr_dev_echo")...)
	defer c.Close()
	times := make([]time.Duration, 0, samples)
	for i := range samples {
		if err := pause(ctx, breath); err != nil {
			return nil, err
		}
		at := time.Now()
		for range n {
			if _, err := c.Post("/echo", triggerBody(nil, i)); err != nil {
				return nil, fmt.Errorf("echo: %w", err)
			}
		}
		times = append(times, time.Since(at))
	}
	return times, nil
}

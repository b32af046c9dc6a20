package rawhttp

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
)

// Timeout bounds one request with its answer. It is above the longest time that a
// server holds a long poll.
const Timeout = 60 * time.Second

// Conn is one connection, opened at the first request and again after one failed. It
// belongs to one goroutine.
type Conn struct {
	ctx  context.Context
	addr string
	head string // header lines that each request carries

	nc   net.Conn
	quit func() bool // stops the watch on ctx
	in   *bufio.Reader
	out  []byte
	body []byte
}

// New makes a connection to addr, a host with a port. Each request carries the given
// header lines ("Name: value"). The end of ctx ends a request under way.
func New(ctx context.Context, addr string, headers ...string) *Conn {
	head := "Host: " + addr + "\r\n"
	for _, line := range headers {
		head += line + "\r\n"
	}
	return &Conn{ctx: ctx, addr: addr, head: head, in: bufio.NewReaderSize(nil, 16<<10)}
}

// Request is what is sent. The zero Method means POST.
type Request struct {
	Method  string
	Path    string
	Headers []string // beside those of the connection
	Type    string   // of the body; "" means application/json
	Body    []byte
	Chunked bool // send the body without announcing its length
}

// Response is what came back.
type Response struct {
	Status int
	Body   []byte // valid until the next request of the connection
}

// Err is nil for a status from 200 to 299, else an error that quotes the body.
func (r Response) Err() error {
	if r.Status >= 200 && r.Status < 300 {
		return nil
	}
	const quoted = 300
	return fmt.Errorf("status %d: %.*s", r.Status, quoted, r.Body)
}

// Post sends a body and fails unless the answer is a success.
func (c *Conn) Post(path string, body []byte, headers ...string) ([]byte, error) {
	return c.Call(Request{Path: path, Body: body, Headers: headers})
}

// Call is Do that fails unless the answer is a success, and names the request when it does.
func (c *Conn) Call(q Request) ([]byte, error) {
	resp, err := c.Do(q)
	if err == nil {
		err = resp.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", q.Path, err)
	}
	return resp.Body, nil
}

// Do sends a request and reads its answer, whatever the status. After an error the
// connection is closed, and it is unknown whether the server acted.
func (c *Conn) Do(q Request) (Response, error) {
	resp, err := c.exchange(q)
	if err != nil {
		c.Close()
		if cause := c.ctx.Err(); cause != nil {
			err = cause
		}
	}
	return resp, err
}

func (c *Conn) exchange(q Request) (Response, error) {
	if err := c.open(); err != nil {
		return Response{}, err
	}
	if err := c.nc.SetDeadline(time.Now().Add(Timeout)); err != nil {
		return Response{}, err
	}
	if c.ctx.Err() != nil { // the watch may have set its deadline before ours
		return Response{}, c.ctx.Err()
	}
	c.out = c.appendRequest(c.out[:0], q)
	if _, err := c.nc.Write(c.out); err != nil {
		return Response{}, err
	}
	resp, last, err := c.read(q.Method == "HEAD")
	if err == nil && last {
		c.Close()
	}
	return resp, err
}

func (c *Conn) open() error {
	if c.nc != nil {
		return nil
	}
	d := net.Dialer{Timeout: 10 * time.Second}
	nc, err := d.DialContext(c.ctx, "tcp", c.addr)
	if err != nil {
		return err
	}
	c.nc = nc
	c.in.Reset(nc)
	c.quit = context.AfterFunc(c.ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	return nil
}

// Close gives the connection up. The next request opens another one.
func (c *Conn) Close() {
	if c.nc == nil {
		return
	}
	c.quit()
	_ = c.nc.Close() // nothing is under way that could be lost
	c.nc = nil
}

func (c *Conn) appendRequest(b []byte, q Request) []byte {
	method := cmp.Or(q.Method, "POST")
	b = append(b, method...)
	b = append(b, ' ')
	b = append(b, q.Path...)
	b = append(b, " HTTP/1.1\r\n"...)
	b = append(b, c.head...)
	for _, line := range q.Headers {
		b = append(b, line...)
		b = append(b, "\r\n"...)
	}
	if len(q.Body) == 0 && method != "POST" {
		return append(b, "\r\n"...)
	}
	b = append(b, "Content-Type: "...)
	b = append(b, cmp.Or(q.Type, "application/json")...)
	if q.Chunked {
		b = append(b, "\r\nTransfer-Encoding: chunked\r\n\r\n"...)
		return appendChunks(b, q.Body)
	}
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(q.Body)), 10)
	b = append(b, "\r\n\r\n"...)
	return append(b, q.Body...)
}

// chunk is the size of the chunks that are sent, about that of Node's streams.
const chunk = 64 << 10

func appendChunks(b, body []byte) []byte {
	for len(body) > 0 {
		n := min(len(body), chunk)
		b = strconv.AppendInt(b, int64(n), 16)
		b = append(b, "\r\n"...)
		b = append(b, body[:n]...)
		b = append(b, "\r\n"...)
		body = body[n:]
	}
	return append(b, "0\r\n\r\n"...)
}

// Errors of answers that are not HTTP/1.1, or larger than anybody expects.
var (
	errStatus   = errors.New("rawhttp: malformed status line")
	errHeader   = errors.New("rawhttp: malformed header")
	errChunk    = errors.New("rawhttp: malformed chunk")
	errTooLarge = errors.New("rawhttp: answer too large")
)

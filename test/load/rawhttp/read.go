package rawhttp

import (
	"bytes"
	"errors"
	"io"
	"strconv"
)

// Bounds of an answer.
const (
	maxHeaders = 128
	maxBody    = 64 << 20
)

// framing is how the end of a body is found.
type framing struct {
	length  int64 // -1: not announced
	chunked bool
	close   bool // the server closes the connection after the answer
}

// read reads one answer; last says that the connection is of no more use.
func (c *Conn) read(head bool) (resp Response, last bool, err error) {
	for {
		if resp.Status, err = c.status(); err != nil {
			return resp, true, err
		}
		f, err := c.headers()
		if err != nil {
			return resp, true, err
		}
		if resp.Status < 200 { // 100 Continue and the like come before the answer
			continue
		}
		if head || resp.Status == 204 || resp.Status == 304 {
			return resp, f.close, nil
		}
		last, err = c.readBody(f)
		resp.Body = c.body
		return resp, last, err
	}
}

// line reads one line without its end.
func (c *Conn) line() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte{'\r'}), nil
}

func (c *Conn) status() (int, error) {
	line, err := c.line()
	if err != nil {
		return 0, err
	}
	const version = "HTTP/1.1 "
	if len(line) < len(version)+3 || string(line[:len(version)]) != version {
		return 0, errStatus
	}
	status, err := strconv.Atoi(string(line[len(version) : len(version)+3]))
	if err != nil || status < 100 {
		return 0, errStatus
	}
	return status, nil
}

func (c *Conn) headers() (framing, error) {
	f := framing{length: -1}
	for range maxHeaders {
		line, err := c.line()
		if err != nil || len(line) == 0 {
			return f, err
		}
		name, value, ok := bytes.Cut(line, []byte{':'})
		if !ok {
			return f, errHeader
		}
		if err := f.note(name, bytes.TrimSpace(value)); err != nil {
			return f, err
		}
	}
	return f, errTooLarge
}

// note takes down a header that says something about the end of the body.
func (f *framing) note(name, value []byte) (err error) {
	switch {
	case is(name, "content-length"):
		f.length, err = strconv.ParseInt(string(value), 10, 64)
		if err != nil || f.length < 0 {
			return errHeader
		}
		if f.length > maxBody {
			return errTooLarge
		}
	case is(name, "transfer-encoding"):
		if !is(value, "chunked") {
			return errHeader
		}
		f.chunked = true
	case is(name, "connection"):
		f.close = is(value, "close")
	}
	return nil
}

// is compares without regard to case; the length decides nearly always.
func is(b []byte, lower string) bool {
	return len(b) == len(lower) && bytes.EqualFold(b, []byte(lower))
}

func (c *Conn) readBody(f framing) (last bool, err error) {
	c.body = c.body[:0]
	switch {
	case f.chunked:
		return f.close, c.readChunks()
	case f.length >= 0:
		return f.close, c.readFull(int(f.length))
	}
	rest, err := io.ReadAll(io.LimitReader(c.in, maxBody+1))
	if err == nil && len(rest) > maxBody {
		err = errTooLarge
	}
	c.body = append(c.body, rest...)
	return true, err
}

// readFull appends n bytes to the body.
func (c *Conn) readFull(n int) error {
	at := len(c.body)
	if at+n > maxBody {
		return errTooLarge
	}
	if need := at + n - cap(c.body); need > 0 {
		c.body = append(c.body[:cap(c.body)], make([]byte, need)...)
	}
	c.body = c.body[:at+n]
	_, err := io.ReadFull(c.in, c.body[at:])
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (c *Conn) readChunks() error {
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		size, _, _ := bytes.Cut(line, []byte{';'})
		n, err := strconv.ParseUint(string(bytes.TrimSpace(size)), 16, 31)
		if err != nil {
			return errChunk
		}
		if n == 0 {
			_, err := c.headers() // trailers
			return err
		}
		if err := c.readFull(int(n)); err != nil {
			return err
		}
		if end, err := c.line(); err != nil || len(end) != 0 {
			return errors.Join(errChunk, err)
		}
	}
}

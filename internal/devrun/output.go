package devrun

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

// maxLine bounds what is held back while waiting for a line to end.
//
//limit:inside a line of the CLI's output that is shown at once; longer ones are shown in parts
const maxLine = 64 << 10

// output is where the lines of several processes meet, each line whole and under a prefix.
type output struct {
	mu    sync.Mutex
	w     io.Writer
	color bool
	next  int // colour of the next prefix
}

// colors tells the prefixes apart: cyan, magenta.
var colors = [...]string{"\x1b[36m", "\x1b[35m"}

const colorReset = "\x1b[0m"

func newOutput(w io.Writer, color bool) *output { return &output{w: w, color: color} }

// prefixed returns a writer whose lines appear as `name │ line`. seen, if not nil, gets each
// line without its prefix, before it is written.
func (o *output) prefixed(name string, seen func(line []byte)) *prefixer {
	prefix := fmt.Sprintf("%-6s │ ", name)
	if o.color {
		prefix = colors[o.next%len(colors)] + prefix + colorReset
	}
	o.next++

	return &prefixer{out: o, prefix: prefix, seen: seen}
}

// prefixer is one process's writer. It may be used for stdout and stderr at once.
type prefixer struct {
	out    *output
	prefix string
	seen   func(line []byte)

	mu      sync.Mutex
	partial []byte // the line that has not ended yet
}

// Write never fails on account of the reader of these lines: a terminal that has gone must
// not stop the process that writes.
func (p *prefixer) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()

	n := len(b)
	for {
		line, rest, found := bytes.Cut(b, []byte{'\n'})
		p.partial = append(p.partial, line...)
		if !found && len(p.partial) < maxLine {
			return n, nil
		}
		p.emit()
		b = rest
	}
}

// flush writes the last line if it did not end with a newline.
func (p *prefixer) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()

	if len(p.partial) > 0 {
		p.emit()
	}
}

func (p *prefixer) emit() {
	line := bytes.TrimSuffix(p.partial, []byte{'\r'})
	p.partial = p.partial[:0]
	if p.seen != nil {
		p.seen(line)
	}

	p.out.mu.Lock()
	defer p.out.mu.Unlock()
	fmt.Fprintf(p.out.w, "%s%s\n", p.prefix, line)
}

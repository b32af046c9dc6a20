package wire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"sear/internal/deploy"
	"sear/internal/fault"
	"sear/internal/rest"
	"sear/internal/run"
)

// MaxItem is the size of an item's line beyond which a failed run takes its place.
//
//limit:batches A line of the stream of items | bytes | a run that has failed with PAYLOAD_TOO_LARGE takes its place; 422 when it has no index before its payload
const MaxItem = 3 << 20

// maxBlankLines is how many lines of a stream may have nothing on them.
//
//limit:batches Blank lines of a stream | lines | 400 Line … is blank, as are {} others: no more are read
const maxBlankLines = 1000

// Item is one item of a batch.
type Item struct {
	Index int
	Task  string
	TriggerBody
	Failed *run.Error // not nil: the line was too long to be read
}

// Items reads the items of a batch from a stream of one JSON object a line. It keeps
// no more than one line in memory.
type Items struct {
	r    *bufio.Reader
	long []byte // a line that did not fit into the reader's buffer
	line int
	void int // lines with nothing on them
	next int // the index that the next item has if it does not say
}

// NewItems reads items from r.
func NewItems(r io.Reader) *Items { return &Items{r: bufio.NewReaderSize(r, 64<<10)} }

// Next returns the next item, io.EOF after the last. Text that is not JSON is a
// [fault.Malformed] that names the line, an item of the wrong shape a
// [fault.Invalid]; the stream is of no more use then.
func (s *Items) Next() (Item, error) {
	for {
		line, size, err := s.readLine()
		if err != nil {
			return Item{}, err
		}
		s.line++
		var item Item
		switch line = bytes.TrimSpace(line); {
		case size > MaxItem:
			if item, err = s.tooLarge(line, size); err != nil {
				return Item{}, err
			}
		case len(line) == 0:
			if s.void++; s.void > maxBlankLines {
				return Item{}, fault.Newf(fault.Malformed, "Line %d is blank, as are %d others: no more are read", s.line, maxBlankLines)
			}
			continue
		default:
			if item, err = s.decode(line); err != nil {
				return Item{}, err
			}
		}
		s.next = item.Index + 1
		return item, nil
	}
}

// readLine returns the next line, which is good until the next call, and its size.
// Of a line longer than MaxItem it returns the beginning.
func (s *Items) readLine() (line []byte, size int, err error) {
	line, err = s.r.ReadSlice('\n')
	size = len(line)
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, size, endOfStream(size, err)
	}
	s.long = append(s.long[:0], line...)
	for errors.Is(err, bufio.ErrBufferFull) {
		line, err = s.r.ReadSlice('\n')
		size += len(line)
		s.long = append(s.long, line[:min(len(line), max(MaxItem-len(s.long), 0))]...)
	}
	return s.long, size, endOfStream(size, err)
}

// endOfStream lets a last line pass that has no end.
func endOfStream(size int, err error) error {
	switch {
	case err == nil, err == io.EOF && size > 0:
		return nil
	case err == io.EOF:
		return io.EOF
	}
	return fault.Wrap(fault.Malformed, err, "Request body could not be read")
}

func (s *Items) decode(line []byte) (Item, error) {
	if err := validate(line); err != nil {
		return Item{}, fault.Newf(fault.Malformed, "Invalid JSON at line %d: %v", s.line, err)
	}
	var problems rest.Problems
	item := readItem(line, &problems)
	if len(problems) > 0 {
		return Item{}, fault.Newf(fault.Invalid, "Invalid item at index %d: %v", s.next, problems)
	}
	return item, nil
}

// validate says why a text is not JSON.
func validate(text []byte) error {
	if !utf8.Valid(text) {
		return errors.New("invalid UTF-8")
	}
	if json.Valid(text) {
		return nil
	}
	var ignored json.RawMessage
	return json.Unmarshal(text, &ignored)
}

func readItem(line []byte, problems *rest.Problems) Item {
	f, ok := formOf(line, problems)
	if !ok {
		return Item{}
	}
	return f.item(line, true, true)
}

// item reads an item, which has to say its index and its task if it is to say them.
func (f form) item(text []byte, indexed, named bool) Item {
	var item Item
	var payload []byte
	hasIndex, hasTask := !indexed, !named
	for k, v := range members(text) {
		switch k := string(k); {
		case k == "index" && indexed:
			hasIndex = true
			item.Index = f.count(k, v, 0)
		case k == "task" && named:
			hasTask = true
			item.Task = f.task(k, v)
		default:
			item.TriggerBody.read(f, k, v, &payload)
		}
	}
	if !hasIndex {
		f.required("index")
	}
	if !hasTask {
		f.required("task")
	}
	item.finish(f, payload)
	return item
}

// tooLarge is the item of a line that is too long. Its index must stand before what makes it
// so, as in what the SDK sends: a guess would take another's place.
func (s *Items) tooLarge(beginning []byte, size int) (Item, error) {
	item := Item{Index: -1, Task: "unknown", Failed: &run.Error{
		Type: run.Internal, Code: run.CodePayloadTooLarge,
		Message: fmt.Sprintf("Batch item payload is too large (%.1f KB). Maximum allowed size is %.1f KB. "+
			"Reduce the payload size or offload large data to external storage.", float64(size)/1024, float64(MaxItem)/1024),
	}}
	d := json.NewDecoder(bytes.NewReader(beginning[:min(len(beginning), maxHead)]))
	open, err := d.Token()
	for err == nil && open == json.Delim('{') && d.More() {
		var key json.Token
		if key, err = d.Token(); err != nil {
			break
		}
		switch key {
		case "index":
			var n int
			if err = d.Decode(&n); err == nil && n >= 0 {
				item.Index = n
			}
		case "task":
			var name string
			if err = d.Decode(&name); err == nil && deploy.ValidTaskID(name) {
				item.Task = name
			}
		default:
			var skipped json.RawMessage
			err = d.Decode(&skipped)
		}
	}
	if item.Index < 0 {
		return item, fault.Newf(fault.Invalid, "Line %d is too large (%.1f KB), and no index stands before its payload: which item it is cannot be told", s.line, float64(size)/1024)
	}
	return item, nil
}

// maxHead is how much of a line that is too long is searched for its index and task.
//
//limit:batches The beginning of a line that is too long, in which its index must stand | bytes | 422
const maxHead = 64 << 10

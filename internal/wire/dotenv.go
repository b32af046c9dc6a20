package wire

import "strings"

// DotenvEntry is one variable of a dotenv file.
type DotenvEntry struct {
	Line        int // where its name stands, counted from 1
	Name, Value string
}

// ParseDotenv reads a dotenv file as the npm package dotenv 16 does, and says which
// lines that package would silently skip: they are neither variables nor comments.
// Names are not checked, and one may come twice: the last counts.
func ParseDotenv(text string) (entries []DotenvEntry, skipped []int) {
	text = strings.TrimPrefix(text, "\uFEFF")
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	for line := 1; text != ""; {
		name, rest, ok := dotenvName(text)
		if !ok {
			first, _, _ := strings.Cut(text, "\n")
			if first = strings.TrimSpace(first); first != "" && first[0] != '#' {
				skipped = append(skipped, line)
			}
			rest = text
		} else {
			var value string
			value, rest = dotenvValue(rest)
			entries = append(entries, DotenvEntry{line, name, value})
		}
		_, after, _ := strings.Cut(rest, "\n")
		line += strings.Count(text[:len(text)-len(after)], "\n")
		text = after
	}
	return entries, skipped
}

const dotenvSpace = " \t\v\f"

// dotenvName reads the name at the start of a line and what separates it from its value.
func dotenvName(s string) (name, rest string, ok bool) {
	s = strings.TrimLeft(s, dotenvSpace)
	if after, ok := strings.CutPrefix(s, "export"); ok {
		if t := strings.TrimLeft(after, dotenvSpace); len(t) < len(after) && t != "" && isDotenvName(t[0]) {
			s = t
		}
	}
	end := 0
	for end < len(s) && isDotenvName(s[end]) {
		end++
	}
	name, rest = s[:end], s[end:]
	if after, ok := strings.CutPrefix(strings.TrimLeft(rest, dotenvSpace), "="); ok {
		return name, after, name != ""
	}
	after, ok := strings.CutPrefix(rest, ":")
	return name, after, ok && name != "" && (after == "" || strings.IndexByte(dotenvSpace+"\n", after[0]) >= 0)
}

func isDotenvName(c byte) bool {
	return c == '_' || c == '.' || c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// dotenvValue reads the value at the start of s; rest begins on the line where it ends.
func dotenvValue(s string) (value, rest string) {
	s = strings.TrimLeft(s, dotenvSpace)
	if n := quotedLen(s); n > 0 {
		value, rest = s[:n], s[n:]
	} else {
		n := strings.IndexAny(s, "#\n")
		if n < 0 {
			n = len(s)
		}
		value, rest = strings.TrimSpace(s[:n]), s[n:]
	}
	if value == "" {
		return "", rest
	}
	quote, last := value[0], len(value)-1
	if last > 0 && isQuote(quote) && value[last] == quote {
		value = value[1:last]
	}
	if quote == '"' {
		value = strings.NewReplacer(`\n`, "\n", `\r`, "\r").Replace(value)
	}
	return value, rest
}

func isQuote(c byte) bool { return c == '"' || c == '\'' || c == '`' }

// quotedLen is the length of the quoted text that s starts with, 0 when it does not:
// the closing quote ends the line but for a comment. It is the first without a
// backslash before it or, failing that, the last with one: 'C:\dir\'. The scan stops
// at the next quote, which may only be one that opens another value, so that reading
// a whole file takes time in proportion to its length.
func quotedLen(s string) int {
	if s == "" || !isQuote(s[0]) {
		return 0
	}
	var escaped []int
	for i := 1; i < len(s); i++ {
		if s[i] != s[0] {
			continue
		}
		if s[i-1] != '\\' {
			if endsLine(s[i+1:]) {
				return i + 1
			}
			break
		}
		escaped = append(escaped, i)
	}
	for len(escaped) > 0 {
		last := len(escaped) - 1
		if endsLine(s[escaped[last]+1:]) {
			return escaped[last] + 1
		}
		escaped = escaped[:last]
	}
	return 0
}

// endsLine reports whether nothing but a comment is on the rest of the line.
func endsLine(s string) bool {
	s = strings.TrimLeft(s, dotenvSpace)
	return s == "" || s[0] == '\n' || s[0] == '#'
}

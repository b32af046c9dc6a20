package jsdate

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// kind is what a token is.
type kind int

const (
	end     kind = iota
	number       // digits
	word         // letters, and whatever else stands above them in Unicode
	space        // any amount of it
	comment      // parentheses and what they enclose
	symbol       // a character of any other sort
)

// token is the smallest part of a date that means something.
type token struct {
	kind  kind
	text  string
	value int // of a number: its first nine digits, without leading zeros
}

func (t token) is(s string) bool { return t.kind == symbol && t.text == s }

func (t token) sign() bool { return t.is("+") || t.is("-") }

// digits reports whether a token is a number of just n digits.
func (t token) digits(n int) bool { return t.kind == number && len(t.text) == n }

// scanner yields the tokens of a text.
type scanner struct {
	rest string
	next token
}

func scan(text string) scanner {
	s := scanner{rest: text}
	s.take()
	return s
}

// take moves to the next token and returns the one before.
func (s *scanner) take() token {
	t := s.next
	s.next = s.read()
	return t
}

// skip moves beyond a symbol if it is the next token.
func (s *scanner) skip(symbol string) bool {
	if !s.next.is(symbol) {
		return false
	}
	s.take()
	return true
}

func (s *scanner) read() token {
	c, width := utf8.DecodeRuneInString(s.rest)
	switch {
	case width == 0:
		return token{}
	case isDigit(c):
		text := s.span(isDigit)
		return token{kind: number, text: text, value: value(strings.TrimLeft(text, "0"))}
	case isSpace(c):
		return token{kind: space, text: s.span(isSpace)}
	case isWord(c):
		return token{kind: word, text: s.span(isWord)}
	case c == '(':
		return token{kind: comment, text: s.cut(enclosed(s.rest))}
	}
	return token{kind: symbol, text: s.cut(width)}
}

func (s *scanner) cut(n int) string {
	text := s.rest[:n]
	s.rest = s.rest[n:]
	return text
}

// span cuts off what consists of characters of a sort.
func (s *scanner) span(of func(rune) bool) string {
	n := strings.IndexFunc(s.rest, func(c rune) bool { return !of(c) })
	if n < 0 {
		n = len(s.rest)
	}
	return s.cut(n)
}

func isDigit(c rune) bool { return '0' <= c && c <= '9' }

func isWord(c rune) bool { return c >= 'A' && !isSpace(c) }

// isSpace reports whether ECMAScript takes a character for white space or the end of a line.
func isSpace(c rune) bool {
	switch c {
	case '\t', '\n', '\v', '\f', '\r', 0x2028, 0x2029, 0xfeff:
		return true
	}
	return unicode.Is(unicode.Zs, c)
}

// significant is how many digits of a number count; others are taken for digits that are not there.
const significant = 9

func value(digits string) (n int) {
	for i := range min(len(digits), significant) {
		n = n*10 + int(digits[i]-'0')
	}
	return n
}

// enclosed is the length of the parentheses that a text begins with. What is not closed
// reaches to the end.
func enclosed(text string) int {
	depth := 0
	for i := range len(text) {
		switch text[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(text)
}

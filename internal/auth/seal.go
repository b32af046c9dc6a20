package auth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// KeySize is the length in bytes of the server's sealing key.
const KeySize = 32

// Sealer encrypts what the store must be able to give back, and makes codes that only
// servers with the same key can make. It is safe for concurrent use.
type Sealer struct {
	aead cipher.AEAD
	mac  []byte
}

// NewSealer makes a Sealer of the server's key, of KeySize bytes. Encryption and codes
// use keys derived from it, so neither weakens the other.
func NewSealer(key []byte) (*Sealer, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("the sealing key has %d bytes, want %d", len(key), KeySize)
	}
	enc, err := hkdf.Key(sha256.New, key, nil, "sear seal", KeySize)
	if err != nil {
		return nil, err
	}
	mac, err := hkdf.Key(sha256.New, key, nil, "sear mac", KeySize)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(enc)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &Sealer{aead: aead, mac: mac}, nil
}

// Seal encrypts plain for one row of one table: copied to another, it does not open.
func (s *Sealer) Seal(plain []byte, table, row string) []byte {
	return s.aead.Seal(nil, nil, plain, place(table, row))
}

// errSealed says no more than it must: why a seal does not open is of use to attackers only.
var errSealed = errors.New("sealed value does not open: it was changed, moved, or sealed under another key")

// Open decrypts what Seal made for the same table and row.
func (s *Sealer) Open(sealed []byte, table, row string) ([]byte, error) {
	plain, err := s.aead.Open(nil, nil, sealed, place(table, row))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", table, row, errSealed)
	}
	return plain, nil
}

// place is the additional data that binds a sealed value to its row.
func place(table, row string) []byte { return []byte(table + "\x00" + row) }

// code is the HMAC-SHA-256 over the parts, each with its length before it so that no
// two lists of parts run together to the same text. The first part is the purpose.
func (s *Sealer) code(parts ...string) []byte {
	h := hmac.New(sha256.New, s.mac)
	var n [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	return h.Sum(nil)
}

// ParseKey reads a sealing key as people hand it over: 64 hexadecimal digits, or
// base64 of 32 bytes.
func ParseKey(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	if key, err := hex.DecodeString(text); err == nil && len(key) == KeySize {
		return key, nil
	}
	if key, err := base64.StdEncoding.DecodeString(text); err == nil && len(key) == KeySize {
		return key, nil
	}
	return nil, fmt.Errorf("a sealing key is %d bytes in hexadecimal or base64", KeySize)
}

// LoadOrCreateKey reads the sealing key from a file, which only its owner can read
// when it has to be created. Two processes that create it at once get the same key. It is for
// stores that are not set up: one that is would not open with a new key.
func LoadOrCreateKey(path string) ([]byte, error) {
	key, err := LoadKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := createKey(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("create sealing key: %w", err)
	}
	return LoadKey(path)
}

// LoadKey reads the sealing key from a file, fs.ErrNotExist when there is none.
func LoadKey(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := ParseKey(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// createKey makes the file appear with its whole content or not at all: a link to a
// finished temporary file fails when somebody else was first.
func createKey(path string) error {
	key := make([]byte, KeySize)
	rand.Read(key)                                          // never fails
	tmp, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(hex.EncodeToString(key) + "\n")
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path)) // nothing may be sealed with a key that a power cut takes away
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

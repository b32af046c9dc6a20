package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"strings"
	"time"

	"sear/internal/fault"
	"sear/internal/store"
)

// Login is what a command line says of itself when it begins a login, and who asks.
type Login struct {
	Challenge    [sha256.Size]byte // the SHA-256 of the verifier, which only that program knows
	CallbackPort int               // where it listens on the approving machine, 0 for nowhere
	Address      string            // IP address that the login began from, "" when it is not known
	Client       string            // what the program calls itself, in printable ASCII
	Began        time.Time
}

// Approval is how the program learns that it was approved. Either way the proof goes through
// the browser of whoever approves, so that who began a login elsewhere gets nothing of it.
func (l Login) Approval() store.Approval {
	if l.CallbackPort != 0 {
		return store.ApprovalCallback
	}
	return store.ApprovalPaste
}

// maxClient bounds what is kept of a program's name, in bytes: it travels in a link.
//
//limit:inside how much of a program's name is shown to who approves it
const maxClient = 64

// clientName makes one line of plain letters of what a program calls itself.
func clientName(userAgent string) string {
	if len(userAgent) > maxClient {
		userAgent = userAgent[:maxClient]
	}
	plain := []byte(userAgent)
	for i, c := range plain {
		if c < ' ' || c > '~' {
			plain[i] = '?'
		}
	}
	return string(plain)
}

// The code of a login is ABCD-… : a few letters for people, then, in base64url, what the
// login is, and a code over both that only servers with the same key can make. So a login
// needs no row until somebody approves it, and any node knows it.
const (
	wordLen   = 4
	codeMAC   = 16
	codeFixed = 8 + 2 + sha256.Size + 16 // began, port, challenge, address; the client follows
	//limit:inside no code of a login is longer
	maxCode    = 300
	loginCodes = "login code" // the purpose of the codes
)

// loginCode writes a login. word is what people compare.
func (s *Sealer) loginCode(word string, l Login) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(l.Began.UnixMicro()))
	b = binary.BigEndian.AppendUint16(b, uint16(l.CallbackPort))
	b = append(b, l.Challenge[:]...)
	address := netip.IPv6Unspecified()
	if a, err := netip.ParseAddr(l.Address); err == nil {
		address = a
	}
	sixteen := address.As16()
	b = append(b, sixteen[:]...)
	b = append(b, l.Client...)
	b = append(b, s.code(loginCodes, word, string(b))[:codeMAC]...)
	return word + "-" + base64.RawURLEncoding.EncodeToString(b)
}

var errNoLogin = fault.New(fault.NotFound, "Authorization code not found, or expired")

// openLogin reads a code that loginCode made under the same key, however long ago.
func (s *Sealer) openLogin(code string) (word string, l Login, err error) {
	word, text, _ := strings.Cut(code, "-")
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(code) > maxCode || len(word) != wordLen || len(b) < codeFixed+codeMAC {
		return "", Login{}, errNoLogin
	}
	b, mac := b[:len(b)-codeMAC], b[len(b)-codeMAC:]
	if !hmac.Equal(mac, s.code(loginCodes, word, string(b))[:codeMAC]) {
		return "", Login{}, errNoLogin
	}
	l.Began = time.UnixMicro(int64(binary.BigEndian.Uint64(b))).UTC()
	l.CallbackPort = int(binary.BigEndian.Uint16(b[8:]))
	copy(l.Challenge[:], b[10:])
	if a := netip.AddrFrom16([16]byte(b[codeFixed-16 : codeFixed])).Unmap(); !a.IsUnspecified() {
		l.Address = a.String()
	}
	l.Client = string(b[codeFixed:])
	return word, l, nil
}

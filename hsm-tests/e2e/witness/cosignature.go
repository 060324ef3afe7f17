package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// algCosignature is the signature type of cosignature/v1 (C2SP tlog-cosignature), which Go's note package leaves to others.
const algCosignature = 0x04

// A cosigner signs checkpoints as a witness: note.Signer and note.Verifier.
type cosigner struct {
	name    string
	private ed25519.PrivateKey
	public  ed25519.PublicKey
}

func (c cosigner) Name() string { return c.name }

func (c cosigner) KeyHash() uint32 {
	h := sha256.New()
	h.Write([]byte(c.name + "\n"))
	h.Write(append([]byte{algCosignature}, c.public...))
	return binary.BigEndian.Uint32(h.Sum(nil))
}

func (c cosigner) vkey() string {
	key := base64.StdEncoding.EncodeToString(append([]byte{algCosignature}, c.public...))
	return fmt.Sprintf("%s+%08x+%s", c.name, c.KeyHash(), key)
}

func cosigned(t uint64, text []byte) []byte {
	return append([]byte(fmt.Sprintf("cosignature/v1\ntime %d\n", t)), text...)
}

func (c cosigner) Sign(text []byte) ([]byte, error) {
	t := uint64(time.Now().Unix())
	return append(binary.BigEndian.AppendUint64(nil, t), ed25519.Sign(c.private, cosigned(t, text))...), nil
}

func (c cosigner) Verify(text, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	t := binary.BigEndian.Uint64(sig)
	return t != 0 && ed25519.Verify(c.public, cosigned(t, text), sig[8:])
}

// newVerifier reads a verifier key: of a witness, or one of those that Go's own package knows.
func newVerifier(vkey string) (note.Verifier, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("verifier key: name+hash+key")
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(key) == 0 || key[0] != algCosignature {
		return note.NewVerifier(vkey)
	}
	c := cosigner{name: parts[0], public: bytes.Clone(key[1:])}
	if len(c.public) != ed25519.PublicKeySize || c.vkey() != vkey {
		return nil, errors.New("verifier key: the hash is not that of name and key")
	}
	return c, nil
}

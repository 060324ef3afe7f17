package main

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A witness cosigns the checkpoints of one log.
type witness struct {
	key  cosigner
	log  note.Verifier
	file string

	mu    sync.Mutex
	state state
	mode  string
}

// state is what a witness must not forget.
type state struct {
	Seed       []byte
	Size       int64
	Root       []byte
	Checkpoint []byte
}

func openWitness(name, file string, log note.Verifier) (*witness, error) {
	w := &witness{log: log, file: file}
	data, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		_, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			return nil, err
		}
		w.state = state{Seed: private.Seed()}
		if err := w.save(); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	default:
		if err := json.Unmarshal(data, &w.state); err != nil {
			return nil, err
		}
	}
	private := ed25519.NewKeyFromSeed(w.state.Seed)
	w.key = cosigner{name: "witness.example/" + name, private: private, public: private.Public().(ed25519.PublicKey)}
	return w, nil
}

func (w *witness) save() error {
	data, err := json.Marshal(w.state)
	if err != nil {
		return err
	}
	return os.WriteFile(w.file, data, 0o600)
}

func (w *witness) size() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state.Size
}

func (w *witness) showCheckpoint(r http.ResponseWriter, _ *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r.Write(w.state.Checkpoint)
}

// addCheckpoint is C2SP tlog-witness, add-checkpoint, check for check.
func (w *witness) addCheckpoint(r http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(r, q.Body, 1<<20))
	if err != nil {
		http.Error(r, err.Error(), http.StatusBadRequest)
		return
	}
	old, proof, signed, err := parseRequest(body)
	if err != nil {
		http.Error(r, err.Error(), http.StatusBadRequest)
		return
	}
	origin, _, _ := bytes.Cut(signed, []byte("\n"))
	if string(origin) != w.log.Name() {
		http.Error(r, "unknown log", http.StatusNotFound)
		return
	}
	opened, err := note.Open(signed, note.VerifierList(w.log))
	if err != nil {
		http.Error(r, err.Error(), http.StatusForbidden)
		return
	}
	size, root, err := parseCheckpoint(opened.Text)
	if err != nil || old > size {
		http.Error(r, "bad checkpoint, or old size above it", http.StatusBadRequest)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if old != w.state.Size {
		tellSize(r, w.state.Size)
		return
	}
	if old == size && size > 0 && !bytes.Equal(root[:], w.state.Root) {
		http.Error(r, "another root of the same size", http.StatusUnprocessableEntity)
		return
	}
	if old == 0 && len(proof) > 0 || old == size && len(proof) > 0 {
		http.Error(r, "a proof where none belongs", http.StatusBadRequest)
		return
	}
	if old > 0 && old < size {
		if err := tlog.CheckTree(proof, size, root, old, tlog.Hash(w.state.Root)); err != nil {
			http.Error(r, err.Error(), http.StatusUnprocessableEntity)
			return
		}
	}
	whole, err := note.Sign(&note.Note{Text: opened.Text}, w.key)
	if err != nil {
		http.Error(r, err.Error(), http.StatusInternalServerError)
		return
	}
	w.state.Size, w.state.Root, w.state.Checkpoint = size, root[:], signed
	if err := w.save(); err != nil {
		http.Error(r, err.Error(), http.StatusInternalServerError)
		return
	}
	lines := whole[bytes.LastIndex(whole, []byte("\n\n"))+2:]
	r.Write(lines)
}

func tellSize(r http.ResponseWriter, size int64) {
	r.Header().Set("Content-Type", "text/x.tlog.size")
	r.WriteHeader(http.StatusConflict)
	fmt.Fprintln(r, size)
}

func parseRequest(body []byte) (old int64, proof tlog.TreeProof, signed []byte, err error) {
	head, signed, found := bytes.Cut(body, []byte("\n\n"))
	if !found {
		return 0, nil, nil, errors.New("no empty line")
	}
	lines := bufio.NewScanner(bytes.NewReader(head))
	if !lines.Scan() {
		return 0, nil, nil, errors.New("no old size")
	}
	digits, found := strings.CutPrefix(lines.Text(), "old ")
	old, err = strconv.ParseInt(digits, 10, 64)
	if !found || err != nil || strconv.FormatInt(old, 10) != digits || old < 0 {
		return 0, nil, nil, errors.New("bad old size line")
	}
	for lines.Scan() {
		hash, err := base64.StdEncoding.Strict().DecodeString(lines.Text())
		if err != nil || len(hash) != tlog.HashSize || len(proof) == 63 {
			return 0, nil, nil, errors.New("bad proof line, or more than 63")
		}
		proof = append(proof, tlog.Hash(hash))
	}
	return old, proof, signed, nil
}

func parseCheckpoint(text string) (size int64, root tlog.Hash, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 {
		return 0, root, errors.New("too few lines")
	}
	size, err = strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return 0, root, errors.New("bad size")
	}
	hash, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(hash) != tlog.HashSize {
		return 0, root, errors.New("bad root")
	}
	return size, tlog.Hash(hash), nil
}

func (w *witness) control(_ http.ResponseWriter, q *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mode = q.FormValue("mode")
}

// faulty puts the fault that was chosen before the honest answer.
func (w *witness) faulty(honest http.HandlerFunc) http.HandlerFunc {
	return func(r http.ResponseWriter, q *http.Request) {
		w.mu.Lock()
		mode, size := w.mode, w.state.Size
		w.mu.Unlock()
		switch mode {
		case "", "good":
			honest(r, q)
		case "down":
			if conn, _, err := http.NewResponseController(r).Hijack(); err == nil {
				conn.Close()
			}
		case "slow":
			time.Sleep(time.Minute)
		case "trickle":
			for range 600 {
				r.Write([]byte("x"))
				http.NewResponseController(r).Flush()
				time.Sleep(100 * time.Millisecond)
			}
		case "400", "403", "404", "422", "500", "301":
			code, _ := strconv.Atoi(mode)
			r.Header().Set("Location", "/elsewhere")
			r.WriteHeader(code)
		case "empty-409":
			r.WriteHeader(http.StatusConflict)
		case "409":
			// The size that it was asked with, as if it did not match.
			body, _ := io.ReadAll(q.Body)
			old, _, _, _ := parseRequest(body)
			tellSize(r, old)
		case "garbage":
			r.Write([]byte("\x00\xffnot a note\n"))
		case "huge":
			r.Write(bytes.Repeat([]byte("— witness.example/x AAAA\n"), 1<<20))
		case "forged":
			_, private, _ := ed25519.GenerateKey(nil)
			forger := cosigner{name: w.key.name, private: private, public: w.key.public}
			body, _ := io.ReadAll(q.Body)
			_, _, signed, _ := parseRequest(body)
			text := signed[:bytes.LastIndex(signed, []byte("\n\n"))+1]
			whole, _ := note.Sign(&note.Note{Text: string(text)}, forger)
			r.Write(whole[len(text)+1:])
		case "stranger":
			_, private, _ := ed25519.GenerateKey(nil)
			stranger := cosigner{name: "stranger.example", private: private, public: private.Public().(ed25519.PublicKey)}
			body, _ := io.ReadAll(q.Body)
			_, _, signed, _ := parseRequest(body)
			text := signed[:bytes.LastIndex(signed, []byte("\n\n"))+1]
			whole, _ := note.Sign(&note.Note{Text: string(text)}, stranger)
			r.Write(whole[len(text)+1:])
		case "larger":
			tellSize(r, size+1000)
		case "smaller":
			// A size that it never stops changing.
			body, _ := io.ReadAll(q.Body)
			old, _, _, _ := parseRequest(body)
			tellSize(r, max(old-1, 0)+map[bool]int64{true: 2, false: 0}[old == 0])
		default:
			http.Error(r, "no such mode", http.StatusTeapot)
		}
	}
}

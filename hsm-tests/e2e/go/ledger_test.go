// Package e2e checks with Go's own implementations what the quickstart left in a directory: the ledger with
// golang.org/x/mod/sumdb, certificates and CRLs with crypto/x509, the running signer's handshake with crypto/tls.
//
//	go test ./... -args -dir DIR -address HOST:PORT
package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

var dir = flag.String("dir", "", "the quickstart's directory")

// read returns a file of the hierarchy.
func read(t *testing.T, name ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{*dir}, name...)...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// checkpoint opens a signed note and parses what it says (C2SP tlog-checkpoint).
func checkpoint(t *testing.T, signed []byte) tlog.Tree {
	t.Helper()
	verifier, err := note.NewVerifier(strings.TrimSpace(string(read(t, "out", "ledger.vkey"))))
	if err != nil {
		t.Fatal(err)
	}
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[3] != "" || lines[0] != verifier.Name() {
		t.Fatalf("not a checkpoint of %s: %q", verifier.Name(), opened.Text)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return tlog.Tree{N: size, Hash: parseHash(t, lines[2])}
}

func parseHash(t *testing.T, line string) tlog.Hash {
	t.Helper()
	hash, err := tlog.ParseHash(line)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

// tilePath is a tile's place in the export: C2SP tlog-tiles leaves out the height, which is always 8, and calls the
// level of entries by its name.
func tilePath(tile tlog.Tile) string {
	path := strings.TrimPrefix(tile.Path(), "tile/8/")
	return "tile/" + strings.Replace(path, "data/", "entries/", 1)
}

// exported reads tiles from the export for tlog.TileHashReader.
type exported struct{ t *testing.T }

func (exported) Height() int                     { return 8 }
func (exported) SaveTiles([]tlog.Tile, [][]byte) {}
func (e exported) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var data [][]byte
	for _, tile := range tiles {
		data = append(data, read(e.t, "ledger", tilePath(tile)))
	}
	return data, nil
}

// entries splits the entry bundles of a tree: each entry follows its length in two octets.
func entries(t *testing.T, tree tlog.Tree) [][]byte {
	t.Helper()
	var all [][]byte
	for start := int64(0); start < tree.N; start += 256 {
		tile := tlog.Tile{H: 8, L: -1, N: start / 256, W: int(min(256, tree.N-start))}
		bundle := read(t, "ledger", tilePath(tile))
		for range tile.W {
			if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
				t.Fatalf("%s ends within an entry", tilePath(tile))
			}
			end := 2 + int(binary.BigEndian.Uint16(bundle))
			all, bundle = append(all, bundle[2:end]), bundle[end:]
		}
		if len(bundle) != 0 {
			t.Fatalf("%s holds more than its entries", tilePath(tile))
		}
	}
	return all
}

func TestEveryEntryIsIncluded(t *testing.T) {
	tree := checkpoint(t, read(t, "ledger", "checkpoint"))
	// This reader checks what it reads against the tree's root.
	hashes := tlog.TileHashReader(tree, exported{t})
	root, err := tlog.TreeHash(tree.N, hashes)
	if err != nil || root != tree.Hash {
		t.Fatalf("the tiles give %v (%v), the checkpoint says %v", root, err, tree.Hash)
	}
	for index, entry := range entries(t, tree) {
		proof, err := tlog.ProveRecord(tree.N, int64(index), hashes)
		if err != nil {
			t.Fatal(err)
		}
		leaf := tlog.RecordHash(entry)
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, int64(index), leaf); err != nil {
			t.Errorf("entry %d: %v", index, err)
		}
		var record struct{ Index int }
		if err := json.Unmarshal(entry, &record); err != nil || record.Index != index {
			t.Errorf("entry %d says that it is %d (%v)", index, record.Index, err)
		}
	}
	t.Logf("%d entries", tree.N)
}

// memory keeps the hashes of a tree that is built from its entries.
type memory []tlog.Hash

func (m memory) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var hashes []tlog.Hash
	for _, index := range indexes {
		if index >= int64(len(m)) {
			return nil, fmt.Errorf("no hash %d", index)
		}
		hashes = append(hashes, m[index])
	}
	return hashes, nil
}

func TestExportHoldsExactlyTheTilesOfItsCheckpoint(t *testing.T) {
	tree := checkpoint(t, read(t, "ledger", "checkpoint"))
	var stored memory
	for index, entry := range entries(t, tree) {
		hashes, err := tlog.StoredHashes(int64(index), entry, stored)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
	}
	expected := []string{"checkpoint"}
	for _, tile := range tlog.NewTiles(8, 0, tree.N) {
		data, err := tlog.ReadTileData(tile, stored)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(data, read(t, "ledger", tilePath(tile))) {
			t.Errorf("%s is not what its entries give", tilePath(tile))
		}
		expected = append(expected, tilePath(tile))
		if tile.L == 0 {
			tile.L = -1
			expected = append(expected, tilePath(tile))
		}
	}
	var found []string
	root := filepath.Join(*dir, "ledger")
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			path, err = filepath.Rel(root, path)
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(expected)
	slices.Sort(found)
	if !slices.Equal(expected, found) {
		t.Errorf("the export holds %q, the checkpoint needs %q", found, expected)
	}
}

func TestEveryProofFileHolds(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(*dir, "out", "*.tlog-proof"))
	if err != nil || len(paths) < 9 {
		t.Fatalf("%d proof files (%v)", len(paths), err)
	}
	exportedEntries := entries(t, checkpoint(t, read(t, "ledger", "checkpoint")))
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".tlog-proof")
		t.Run(name, func(t *testing.T) {
			head, signed, found := strings.Cut(string(read(t, "out", name+".tlog-proof")), "\n\n")
			lines := strings.Split(head, "\n")
			if !found || len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
				t.Fatalf("not a tlog-proof: %q", lines[0])
			}
			entry, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
			if err != nil {
				t.Fatal(err)
			}
			index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			var proof tlog.RecordProof
			for _, line := range lines[3:] {
				proof = append(proof, parseHash(t, line))
			}
			tree := checkpoint(t, []byte(signed))
			if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry)); err != nil {
				t.Error(err)
			}
			if !bytes.Equal(entry, exportedEntries[index]) {
				t.Error("the proof's record is not the ledger's")
			}
			var record struct {
				Body struct{ Signed struct{ Inline []byte } }
			}
			if err := json.Unmarshal(entry, &record); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(record.Body.Signed.Inline, certificate(t, "out", name+".pem").Raw) {
				t.Error("the record holds another certificate")
			}
		})
	}
}

func TestAlteredCheckpointIsRefused(t *testing.T) {
	verifier, err := note.NewVerifier(strings.TrimSpace(string(read(t, "out", "ledger.vkey"))))
	if err != nil {
		t.Fatal(err)
	}
	signed := read(t, "ledger", "checkpoint")
	altered := bytes.Replace(signed, []byte("/1\n"), []byte("/1\n1"), 1)
	if _, err := note.Open(altered, note.VerifierList(verifier)); err == nil || bytes.Equal(altered, signed) {
		t.Error("a checkpoint of another size was accepted")
	}
}

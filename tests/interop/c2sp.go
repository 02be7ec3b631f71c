// Reads a log with golang.org/x/mod/sumdb, which knows nothing of this project.
//
//	c2sp PREFIX VKEY [OLD-CHECKPOINT-FILE]
//
// It verifies the newest checkpoint, then proofs of inclusion of records all over the
// log and of consistency with older trees, all from tiles. The paths of x/mod have the
// height of the tiles in them, which C2SP fixed at 8 and left out.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func get(url string) []byte {
	answer, err := http.Get(url)
	check(err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	check(err)
	if answer.StatusCode != 200 {
		check(fmt.Errorf("%s: %s", url, answer.Status))
	}
	return body
}

func open(raw []byte, verifier note.Verifier) tlog.Tree {
	opened, err := note.Open(raw, note.VerifierList(verifier))
	check(err)
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		check(fmt.Errorf("not a checkpoint of %s: %q", verifier.Name(), opened.Text))
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := base64.StdEncoding.DecodeString(lines[2])
	check(err)
	tree := tlog.Tree{N: size}
	copy(tree.Hash[:], root)
	return tree
}

type reader struct {
	prefix string
	count  int
}

func (r *reader) Height() int { return 8 }

func (r *reader) SaveTiles([]tlog.Tile, [][]byte) {}

func (r *reader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range tiles {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		found = append(found, get(r.prefix+"/"+path))
		r.count++
	}
	return found, nil
}

func item(prefix string, size, index int64) []byte {
	bundle := index / 256
	path := fmt.Sprintf("%03d", bundle%1000)
	for n := bundle / 1000; n > 0; n /= 1000 {
		path = fmt.Sprintf("x%03d/%s", n%1000, path)
	}
	if width := size - bundle*256; width < 256 {
		path += fmt.Sprintf(".p/%d", width)
	}
	raw := get(prefix + "/tile/entries/" + path)
	for n := index % 256; n > 0; n-- {
		raw = raw[2+binary.BigEndian.Uint16(raw):]
	}
	return raw[2 : 2+binary.BigEndian.Uint16(raw)]
}

func main() {
	prefix := os.Args[1]
	verifier, err := note.NewVerifier(os.Args[2])
	check(err)
	tree := open(get(prefix+"/checkpoint"), verifier)
	tiles := &reader{prefix: prefix}
	hashes := tlog.TileHashReader(tree, tiles)
	records := []int64{0, 1, 255, 256, 257, 1000, 65535, 65536, tree.N / 3, tree.N - 1}
	proved := 0
	for _, index := range records {
		if index >= tree.N {
			continue
		}
		proof, err := tlog.ProveRecord(tree.N, index, hashes)
		check(err)
		leaf := tlog.RecordHash(item(prefix, tree.N, index))
		check(tlog.CheckRecord(proof, tree.N, tree.Hash, index, leaf))
		proved++
	}
	for _, old := range []int64{1, 2, 255, 256, 257, 4096, 65536, tree.N - 1} {
		if old < 1 || old >= tree.N {
			continue
		}
		root, err := tlog.TreeHash(old, hashes)
		check(err)
		proof, err := tlog.ProveTree(tree.N, old, hashes)
		check(err)
		check(tlog.CheckTree(proof, tree.N, tree.Hash, old, root))
	}
	if len(os.Args) > 3 {
		raw, err := os.ReadFile(os.Args[3])
		check(err)
		old := open(raw, verifier)
		proof, err := tlog.ProveTree(tree.N, old.N, hashes)
		check(err)
		check(tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash))
	}
	fmt.Printf("%s: %d records, %d proved, %d tiles\n", verifier.Name(), tree.N, proved, tiles.count)
}

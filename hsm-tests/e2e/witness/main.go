// Command witness serves C2SP tlog-witness for one log, on golang.org/x/mod/sumdb: notes, proofs and trees are Go's, so
// that a witness which shares no code with Stele judges its checkpoints.
//
//	witness serve -log-vkey FILE -names one,two,three -state DIR
//	witness verify -vkeys FILE < CHECKPOINT
//
// serve prints the addresses that it listens on, http and https; the certificate of the second is DIR/witness.pem. Each witness is below its name: /one/add-checkpoint. Faults are switched on
// below it too: /one/control?mode=slow; /one/vkey and /one/size tell what it is and what it holds. The state is kept in
// files, as a witness must. verify opens a note with Go's note.Open, prints the names whose signatures it holds, and fails
// where the log's is missing or one is wrong. What is posted to /board is shown there, as a mirror of the log would.
package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) < 2 {
		log.Fatal("witness: serve or verify")
	}
	switch os.Args[1] {
	case "serve":
		serve(os.Args[2:])
	case "verify":
		verify(os.Args[2:])
	default:
		log.Fatalf("witness: %q: serve or verify", os.Args[1])
	}
}

func serve(args []string) {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	vkeyFile := flags.String("log-vkey", "", "file with the log's verifier key")
	names := flags.String("names", "one", "the witnesses, with commas between")
	state := flags.String("state", ".", "directory of their state")
	listen := flags.String("listen", "127.0.0.1:0", "address")
	flags.Parse(args)
	vkey, err := os.ReadFile(*vkeyFile)
	if err != nil {
		log.Fatal(err)
	}
	logVerifier, err := note.NewVerifier(strings.TrimSpace(string(vkey)))
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	for _, name := range strings.Split(*names, ",") {
		w, err := openWitness(name, filepath.Join(*state, name+".json"), logVerifier)
		if err != nil {
			log.Fatal(err)
		}
		mux.HandleFunc("POST /"+name+"/add-checkpoint", w.faulty(w.addCheckpoint))
		mux.HandleFunc("POST /"+name+"/control", w.control)
		mux.HandleFunc("GET /"+name+"/vkey", func(r http.ResponseWriter, _ *http.Request) { io.WriteString(r, w.key.vkey()) })
		mux.HandleFunc("GET /"+name+"/size", func(r http.ResponseWriter, _ *http.Request) { fmt.Fprintln(r, w.size()) })
		mux.HandleFunc("GET /"+name+"/checkpoint", w.showCheckpoint)
	}
	shown := &board{}
	mux.HandleFunc("POST /board", shown.put)
	mux.HandleFunc("GET /board", shown.get)
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	certificate, err := localCertificate(filepath.Join(*state, "witness.pem"))
	if err != nil {
		log.Fatal(err)
	}
	secure, err := tls.Listen("tcp", *listen, &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr(), secure.Addr())
	go func() { log.Fatal(http.Serve(secure, mux)) }()
	log.Fatal(http.Serve(listener, mux))
}

func verify(args []string) {
	flags := flag.NewFlagSet("verify", flag.ExitOnError)
	vkeys := flags.String("vkeys", "", "file with verifier keys, one a line, the log's first")
	flags.Parse(args)
	text, err := os.ReadFile(*vkeys)
	if err != nil {
		log.Fatal(err)
	}
	var verifiers []note.Verifier
	for _, line := range strings.Fields(string(text)) {
		v, err := newVerifier(line)
		if err != nil {
			log.Fatal(err)
		}
		verifiers = append(verifiers, v)
	}
	signed, err := io.ReadAll(os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	opened, err := note.Open(signed, note.VerifierList(verifiers...))
	if err != nil {
		log.Fatal(err)
	}
	byLog := false
	for _, sig := range opened.Sigs {
		byLog = byLog || sig.Hash == verifiers[0].KeyHash()
		fmt.Println(sig.Name)
	}
	if !byLog || len(opened.UnverifiedSigs) > 0 {
		log.Fatalf("log's signature: %t; unknown lines: %d", byLog, len(opened.UnverifiedSigs))
	}
}

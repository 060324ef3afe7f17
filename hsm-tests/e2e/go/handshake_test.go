package e2e

import (
	"crypto/tls"
	"flag"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var address = flag.String("address", "", "the running signer, HOST:PORT")

// dial handshakes with the running signer and waits for the first frame of HTTP/2, which the server sends. In TLS 1.3
// a client learns only then that its certificate was refused.
func dial(t *testing.T, config *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	config.ServerName = "localhost"
	config.RootCAs = pool(certificate(t, "out", "root.pem"))
	config.NextProtos = []string{"h2"}
	// Go would by itself withhold a certificate of a CA that the server does not name.
	if pairs := config.Certificates; len(pairs) > 0 {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pairs[0], nil }
	}
	connection, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", *address, config)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(connection, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"); err != nil {
		return tls.ConnectionState{}, err
	}
	frame := make([]byte, 9)
	if _, err := io.ReadFull(connection, frame); err != nil {
		return tls.ConnectionState{}, err
	}
	const settings = 4 // RFC 9113 section 6.5
	if frame[3] != settings {
		t.Errorf("the first frame is of type %d", frame[3])
	}
	return connection.ConnectionState(), nil
}

func identity(t *testing.T, certificate, key string) []tls.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(*dir, certificate), filepath.Join(*dir, key))
	if err != nil {
		t.Fatal(err)
	}
	return []tls.Certificate{pair}
}

func TestCallerIsLetIn(t *testing.T) {
	state, err := dial(t, &tls.Config{Certificates: identity(t, "state/caller.pem", "state/caller.key")})
	if err != nil {
		t.Fatal(err)
	}
	if state.Version != tls.VersionTLS13 || state.NegotiatedProtocol != "h2" {
		t.Errorf("%s, protocol %q", tls.VersionName(state.Version), state.NegotiatedProtocol)
	}
}

func TestOthersAreShutOut(t *testing.T) {
	caller := identity(t, "state/caller.pem", "state/caller.key")
	for what, test := range map[string]struct {
		config *tls.Config
		says   string
	}{
		"TLS 1.2":        {&tls.Config{Certificates: caller, MaxVersion: tls.VersionTLS12}, "protocol version"},
		"no certificate": {&tls.Config{}, "certificate required"},
		"a certificate of another of our CAs": {
			&tls.Config{Certificates: identity(t, "out/kubelet-client-chain.pem", "state/kubelet-client.key")}, "unknown certificate authority",
		},
	} {
		t.Run(what, func(t *testing.T) {
			_, err := dial(t, test.config)
			if err == nil {
				t.Fatal("it was let in")
			}
			if !strings.Contains(err.Error(), test.says) {
				t.Errorf("refused by %q, not by %q", err, test.says)
			}
		})
	}
}

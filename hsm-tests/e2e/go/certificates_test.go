package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// certificates parses all certificates of a PEM file.
func certificates(t *testing.T, name ...string) []*x509.Certificate {
	t.Helper()
	var found []*x509.Certificate
	for rest := read(t, name...); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return found
		}
		parsed, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, parsed)
	}
}

// certificate parses the first certificate of a PEM file.
func certificate(t *testing.T, name ...string) *x509.Certificate {
	t.Helper()
	found := certificates(t, name...)
	if len(found) == 0 {
		t.Fatalf("no certificate in %q", name)
	}
	return found[0]
}

func pool(list ...*x509.Certificate) *x509.CertPool {
	made := x509.NewCertPool()
	for _, one := range list {
		made.AddCert(one)
	}
	return made
}

// options verify a chain file of out/ up to the root, for one usage and, unless it is empty, one DNS name or address.
func options(t *testing.T, name, host string, usage x509.ExtKeyUsage) x509.VerifyOptions {
	t.Helper()
	return x509.VerifyOptions{
		Roots:         pool(certificate(t, "out", "root.pem")),
		Intermediates: pool(certificates(t, "out", name+"-chain.pem")[1:]...),
		DNSName:       host,
		KeyUsages:     []x509.ExtKeyUsage{usage},
	}
}

func TestLeavesAreWhatTheyAreFor(t *testing.T) {
	server, client := x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth
	for _, test := range []struct {
		name   string
		host   string
		usage  x509.ExtKeyUsage
		accept bool
	}{
		{"kube-apiserver", "kubernetes", server, true},
		{"kube-apiserver", "kubernetes.default.svc.cluster.local", server, true},
		{"kube-apiserver", "api.demo.example", server, true},
		{"kube-apiserver", "10.96.0.1", server, true},
		{"kube-apiserver", "10.96.0.2", server, false},
		{"kube-apiserver", "bank.example.com", server, false},
		{"kube-apiserver", "", client, false},
		{"kube-apiserver-old", "old.demo.example", server, true},
		{"kubelet-serving", "node-1.demo.example", server, true},
		{"kubelet-serving", "10.0.0.11", server, true},
		{"kubelet-serving", "", client, false},
		{"kubelet-client", "", client, true},
		{"kubelet-client", "", server, false},
		{"etcd-peer", "a.etcd.demo.example", server, true},
		{"etcd-peer", "10.0.0.21", server, true},
		{"etcd-peer", "", client, true},
		{"front-proxy-client", "", client, true},
		{"front-proxy-client", "", server, false},
		{"spiffe-workload", "", server, true},
		{"spiffe-workload", "", client, true},
		{"app-pod", "web-0.shop.pod.cluster.local", server, true},
		{"app-pod", "", client, true},
	} {
		_, err := certificate(t, "out", test.name+".pem").Verify(options(t, test.name, test.host, test.usage))
		if accepted := err == nil; accepted != test.accept {
			t.Errorf("%s for %q, usage %d: %v", test.name, test.host, test.usage, err)
		}
	}
}

func TestWorkloadIsNamedByItsServiceAccountAlone(t *testing.T) {
	workload := certificate(t, "out", "spiffe-workload.pem")
	if len(workload.URIs) != 1 || workload.URIs[0].String() != "spiffe://cluster.local/ns/shop/sa/cart" {
		t.Errorf("URIs: %v", workload.URIs)
	}
	if len(workload.DNSNames)+len(workload.IPAddresses)+len(workload.EmailAddresses) != 0 {
		t.Errorf("it has other names: %v %v %v", workload.DNSNames, workload.IPAddresses, workload.EmailAddresses)
	}
}

// The CA inside the cluster signs for names of the cluster and is constrained to them.
func TestInClusterCA(t *testing.T) {
	ca := certificate(t, "out", "in-cluster-ca.pem")
	if !ca.IsCA || !ca.BasicConstraintsValid || ca.MaxPathLen != 0 || !ca.MaxPathLenZero || len(ca.PermittedDNSDomains) == 0 {
		t.Fatalf("CA %v, path length %d, permitted %q", ca.IsCA, ca.MaxPathLen, ca.PermittedDNSDomains)
	}
	opts := options(t, "in-cluster-ca", "", x509.ExtKeyUsageAny)
	if _, err := ca.Verify(opts); err != nil {
		t.Fatal(err)
	}
	opts.Intermediates.AddCert(ca)
	for name, accept := range map[string]bool{"cart.shop.svc.cluster.local": true, "bank.example.com": false} {
		if _, err := issueUnder(t, ca, name).Verify(opts); (err == nil) != accept {
			t.Errorf("a leaf for %s below the in-cluster CA: %v", name, err)
		}
	}
}

// issueUnder signs a leaf with the in-cluster CA's key, as cert-manager would.
func issueUnder(t *testing.T, ca *x509.Certificate, name string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(read(t, "state", "in-cluster-ca.key"))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     []string{name},
		NotBefore:    time.Now().Add(-time.Minute),
		NotAfter:     time.Now().Add(time.Hour),
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, ca, leaf.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// crl parses a CA's CRL and checks its signature and dates.
func crl(t *testing.T, ca string) *x509.RevocationList {
	t.Helper()
	block, rest := pem.Decode(read(t, "out", ca+".crl.pem"))
	if block == nil || block.Type != "X509 CRL" || len(rest) != 0 {
		t.Fatalf("%s.crl.pem is not one CRL", ca)
	}
	list, err := x509.ParseRevocationList(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if err := list.CheckSignatureFrom(certificate(t, "out", ca+".pem")); err != nil {
		t.Errorf("%s: %v", ca, err)
	}
	if now := time.Now(); now.Before(list.ThisUpdate) || now.After(list.NextUpdate) {
		t.Errorf("%s: the CRL is for %v to %v", ca, list.ThisUpdate, list.NextUpdate)
	}
	if list.Number == nil || list.Number.Sign() <= 0 {
		t.Errorf("%s: CRL number %v", ca, list.Number)
	}
	return list
}

func TestCRLs(t *testing.T) {
	for _, ca := range []string{"root", "cluster-ca", "etcd-ca", "front-proxy-ca", "access-ca"} {
		if revoked := crl(t, ca).RevokedCertificateEntries; len(revoked) != 0 {
			t.Errorf("%s revokes %v", ca, revoked)
		}
	}
	revoked := crl(t, "issuing-ca").RevokedCertificateEntries
	old := certificate(t, "out", "kube-apiserver-old.pem").SerialNumber
	const superseded = 4 // RFC 5280 section 5.3.1
	if len(revoked) != 1 || revoked[0].SerialNumber.Cmp(old) != 0 || revoked[0].ReasonCode != superseded {
		t.Errorf("the issuing CA revokes %v, not %x alone", revoked, old)
	}
}

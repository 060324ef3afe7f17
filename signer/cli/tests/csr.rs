//! `stele csr new` makes requests that openssl reads and verifies.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // this is all test code

mod support;

use std::os::unix::fs::PermissionsExt as _;

use support::{Place, run, stele_fails, stele_ok};

#[test]
fn openssl_verifies_requests_of_every_algorithm() {
    for algorithm in ["ec-p256", "ec-p384", "ec-p521", "rsa2048", "rsa3072", "ed25519"] {
        let place = Place::new();
        let (key, csr) = (place.at("key.pem"), place.at("csr.pem"));
        let made = [
            "csr",
            "new",
            "--key-out",
            &key,
            "--out",
            &csr,
            "--algorithm",
            algorithm,
            "--cn",
            "web",
        ];
        stele_ok(
            &[
                &made[..],
                &[
                    "--org",
                    "Example",
                    "--san",
                    "dns:web.example.org",
                    "--san",
                    "ip:10.0.0.1",
                ],
            ]
            .concat(),
        );
        let read = run(
            "openssl",
            &["req", "-in", &csr, "-verify", "-noout", "-text", "-nameopt", "RFC2253"],
        );
        let text = String::from_utf8(read.stdout).unwrap();
        assert!(read.status.success(), "{algorithm}");
        for part in ["CN=web", "O=Example", "DNS:web.example.org", "IP Address:10.0.0.1"] {
            assert!(text.contains(part), "{algorithm}: no {part} in {text}");
        }
        let check = run("openssl", &["pkey", "-in", &key, "-check", "-noout"]);
        assert!(check.status.success(), "{algorithm}: {check:?}");
        let mode = std::fs::metadata(&key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn nothing_is_overwritten() {
    let place = Place::new();
    let (key, csr) = (place.at("key.pem"), place.at("csr.pem"));
    std::fs::write(&csr, "mine").unwrap();
    let error = stele_fails(4, &["csr", "new", "--key-out", &key, "--out", &csr]);
    assert!(error.contains("csr.pem") && error.contains("overwritten"), "{error}");
    assert_eq!(std::fs::read_to_string(&csr).unwrap(), "mine");
    assert!(!std::path::Path::new(&key).exists(), "a key was left behind");
}

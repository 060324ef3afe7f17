//! What a client says when it cannot talk to its server.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // this is all test code

mod support;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use support::{Place, run, stele_fails};

/// A self-signed certificate for localhost and its key; it is its own trust anchor.
fn identity(place: &Place) -> (String, String) {
    let (key, certificate) = (place.at("tls-key.pem"), place.at("tls.pem"));
    let made = run(
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            &key,
            "-out",
            &certificate,
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
        ],
    );
    assert!(made.status.success(), "{made:?}");
    (key, certificate)
}

/// `openssl s_server`, ended with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts it on a port of the system's choice.
fn serve(key: &str, certificate: &str, version: &str) -> (Server, String) {
    let mut child = Command::new("openssl")
        .args([
            "s_server",
            "-accept",
            "localhost:0",
            "-key",
            key,
            "-cert",
            certificate,
            version,
            "-alpn",
            "h2",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = lines.find_map(|line| {
        let line = line.unwrap();
        let address = line.strip_prefix("ACCEPT ")?;
        Some(address.rsplit_once(':').unwrap().1.to_owned())
    });
    std::thread::spawn(move || lines.for_each(drop));
    (Server(child), format!("https://localhost:{}", port.unwrap()))
}

#[test]
fn tls_1_2_is_refused() {
    let place = Place::new();
    let (key, certificate) = identity(&place);
    let (_server, url) = serve(&key, &certificate, "-tls1_2");
    let error = stele_fails(
        3,
        &[
            "ledger",
            "checkpoint",
            "--server",
            &url,
            "--ca",
            &certificate,
            "--cert",
            &certificate,
            "--key",
            &key,
        ],
    );
    assert!(error.contains(&url), "{error}");
}

#[test]
fn a_server_under_another_ca_is_refused() {
    let (place, other) = (Place::new(), Place::new());
    let (key, certificate) = identity(&place);
    let (_, stranger) = identity(&other);
    let (_server, url) = serve(&key, &certificate, "-tls1_3");
    let error = stele_fails(
        3,
        &[
            "ledger",
            "checkpoint",
            "--server",
            &url,
            "--ca",
            &stranger,
            "--cert",
            &certificate,
            "--key",
            &key,
        ],
    );
    assert!(error.to_lowercase().contains("certificate"), "{error}");
}

#[test]
fn settings_come_from_a_strict_file() {
    let place = Place::new();
    let (key, certificate) = identity(&place);
    let config = place.at("config.toml");
    // Nobody listens on port 1; the paths count from the file's directory.
    std::fs::write(
        &config,
        "server = \"https://localhost:1\"\nca = \"tls.pem\"\ncert = \"tls.pem\"\nkey = \"tls-key.pem\"\n",
    )
    .unwrap();
    assert!(certificate.ends_with("tls.pem") && key.ends_with("tls-key.pem"));
    let error = stele_fails(3, &["ledger", "checkpoint", "--config", &config]);
    assert!(error.contains("https://localhost:1"), "{error}");
    std::fs::write(&config, "server = \"https://localhost:1\"\nsrever = 1\n").unwrap();
    let error = stele_fails(2, &["ledger", "checkpoint", "--config", &config]);
    assert!(
        error.contains("config.toml, line 2") && error.contains("srever"),
        "{error}"
    );
    let error = stele_fails(2, &["ledger", "checkpoint"]);
    assert!(error.contains("--server"), "{error}");
}

//! What people of cfssl bring with them: a configuration, and requests in JSON.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // this is all test code

mod support;

use serde_json::{Value, json};
use support::{Place, run, stele_fails, stele_ok};

/// A configuration with most of what cfssl knows.
fn config() -> Value {
    json!({
        "signing": {
            "default": {"expiry": "168h", "usages": ["signing", "server auth"]},
            "profiles": {
                "WWW Server": {
                    "expiry": "8760h", "backdate": "1h",
                    "usages": ["signing", "key encipherment", "server auth", "netscape sgc"],
                    "name_whitelist": r"^.*\.example\.org$",
                    "crl_url": "http://crl.example.org/ca.crl", "ocsp_url": "http://ocsp.example.org/",
                    "issuer_urls": ["http://ca.example.org/ca.crt", "https://ca.example.org/ca.crt"],
                    "policies": [{"ID": "1.2.3.4", "Qualifiers": [{"Type": "id-qt-cps", "Value": "http://x/"}]}],
                    "auth_key": "one", "ocsp_no_check": true, "unheard_of": 1,
                },
                "intermediate": {
                    "expiry": "43800h", "usages": ["cert sign", "crl sign", "key encipherment"],
                    "ca_constraint": {"is_ca": true, "max_path_len": 0, "max_path_len_zero": true},
                },
                "odd": {"expiry": "1h", "usages": ["ipsec tunnel"]},
            },
        },
        "auth_keys": {"one": {"type": "standard", "key": "00"}},
    })
}

#[test]
fn a_configuration_becomes_profiles_and_a_list_of_the_rest() {
    let place = Place::new();
    let (file, out) = (place.at("ca-config.json"), place.at("profiles"));
    std::fs::write(&file, config().to_string()).unwrap();
    let import = [
        "profile",
        "import-cfssl",
        &file,
        "--issuer",
        "kubernetes-ca",
        "--caller",
        "cluster-signer",
        "--out",
        &out,
    ];
    let said: Value = serde_json::from_str(&stele_ok(&[&import[..], &["--output", "json"]].concat())).unwrap();
    let names: Vec<_> = said["profiles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["default", "www-server", "intermediate"]);
    let all = said.to_string();
    for named in [
        "auth_keys",
        "odd",
        "netscape sgc",
        "ocsp_no_check",
        "unheard_of",
        "Qualifiers",
        "auth_key",
        "https://ca",
        "key encipherment",
    ] {
        assert!(
            all.to_lowercase().contains(&named.to_lowercase()),
            "{named} is not named in {all}"
        );
    }
    for name in names {
        let profile = format!("{out}/{name}.toml");
        assert!(stele_ok(&["profile", "check", &profile]).contains("no fault found"));
    }
    let text = std::fs::read_to_string(format!("{out}/www-server.toml")).unwrap();
    for line in [
        "default = \"365d\"",
        "backdate = \"1h\"",
        "patterns = [\"**.example.org\"]",
        "crl_urls = [\"http://crl.example.org/ca.crl\"]",
        "ca_issuers_urls = [\"http://ca.example.org/ca.crt\"]",
        "policies = [\"1.2.3.4\"]",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    let ca = std::fs::read_to_string(format!("{out}/intermediate.toml")).unwrap();
    assert!(
        ca.contains("kind = \"intermediate\"") && ca.contains("approval = { m = 1"),
        "{ca}"
    );
    let again = stele_fails(4, &import);
    assert!(again.contains("overwritten"), "{again}");
}

#[test]
fn an_imported_profile_permits_what_cfssl_signed_and_no_more() {
    let place = Place::new();
    let (file, key) = (place.at("ca-config.json"), place.ssh_key("alice"));
    std::fs::write(&file, config().to_string()).unwrap();
    let authority = place.authority("authority", &format!("{key}.pub"));
    let authority = authority.to_str().unwrap();
    let out = format!("{authority}/profiles");
    stele_ok(&[
        "profile",
        "import-cfssl",
        &file,
        "--issuer",
        "kubernetes-ca",
        "--caller",
        "cluster-signer",
        "--out",
        &out,
    ]);
    // An intermediate comes from a key that may sign one.
    let path = format!("{out}/intermediate.toml");
    let text = std::fs::read_to_string(&path)
        .unwrap()
        .replace("kubernetes-ca", "cluster-ca");
    std::fs::write(path, text).unwrap();
    let attempt = |host: &str| {
        let (request, key, csr) = (
            place.at(&format!("{host}.json")),
            place.at(&format!("{host}.key")),
            place.at(&format!("{host}.csr")),
        );
        let asked = json!({"CN": host, "hosts": [host], "key": {"algo": "ecdsa", "size": 256}, "names": []});
        std::fs::write(&request, asked.to_string()).unwrap();
        stele_ok(&["csr", "new", "--cfssl", &request, "--key-out", &key, "--out", &csr]);
        [
            "profile",
            "try",
            "--authority",
            authority,
            "--profile",
            "www-server",
            "--as",
            "cluster-signer",
            "--csr",
            &csr,
        ]
        .map(str::to_owned)
    };
    let words = |args: &[String; 10]| args.iter().map(String::clone).collect::<Vec<_>>();
    let good = words(&attempt("www.example.org"));
    let permitted = stele_ok(&good.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(
        permitted.contains("permitted") && permitted.contains("www.example.org"),
        "{permitted}"
    );
    let bad = words(&attempt("www.example.com"));
    let refused = stele_fails(1, &bad.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(refused.contains("san-not-permitted"), "{refused}");
}

#[test]
fn requests_of_cfssl_become_csrs() {
    let place = Place::new();
    for (algo, size, shown) in [("rsa", 2048, "2048 bit"), ("ecdsa", 384, "384 bit")] {
        let at = |what: &str| place.at(&format!("{algo}.{what}"));
        let (request, key, csr) = (at("json"), at("key"), at("csr"));
        let asked = json!({
            "CN": "web", "hosts": ["web.example.org", "10.0.0.1", "::1", "https://web.example.org/x", "me@example.org"],
            "key": {"algo": algo, "size": size},
            "names": [{"C": "DE", "ST": "Berlin", "L": "Mitte", "O": "Example", "OU": "Ops"}],
            "ca": {"expiry": "1h"},
        });
        std::fs::write(&request, asked.to_string()).unwrap();
        let said = stele_ok(&["csr", "new", "--cfssl", &request, "--key-out", &key, "--out", &csr]);
        assert!(said.contains("left out: `ca`"), "{said}");
        let read = run(
            "openssl",
            &["req", "-in", &csr, "-verify", "-noout", "-text", "-nameopt", "RFC2253"],
        );
        let text = String::from_utf8(read.stdout).unwrap();
        for part in [
            shown,
            "CN=web,OU=Ops,O=Example,L=Mitte,ST=Berlin,C=DE",
            "DNS:web.example.org",
            "IP Address:10.0.0.1",
            "IP Address:0:0:0:0:0:0:0:1",
            "URI:https://web.example.org/x",
            "email:me@example.org",
        ] {
            assert!(text.contains(part), "no {part} in {text}");
        }
    }
    let request = place.at("weak.json");
    std::fs::write(&request, r#"{"key": {"algo": "rsa", "size": 1024}}"#).unwrap();
    let error = stele_fails(
        2,
        &[
            "csr",
            "new",
            "--cfssl",
            &request,
            "--key-out",
            &place.at("k"),
            "--out",
            &place.at("c"),
        ],
    );
    assert!(error.contains("1024"), "{error}");
}

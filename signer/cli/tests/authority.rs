//! The authority bundle from its directory to operators' signatures, by the real ssh-keygen.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // this is all test code

mod support;

use support::{Place, run, stele_fails, stele_ok};

/// Builds the bundle of `place`'s operator; the paths of bundle and text.
fn built(place: &Place, key: &str) -> (String, String) {
    let authority = place.authority("authority", &format!("{key}.pub"));
    let (bundle, text) = (place.at("bundle.json"), place.at("bundle.txt"));
    stele_ok(&[
        "authority",
        "build",
        authority.to_str().unwrap(),
        "--out",
        &bundle,
        "--text-out",
        &text,
        "--origin",
        "log.example/stele",
    ]);
    (bundle, text)
}

#[test]
fn a_bundle_is_signed_by_its_operator() {
    let place = Place::new();
    let key = place.ssh_key("alice");
    let (bundle, text) = built(&place, &key);
    let signed = place.at("bundle.signed");
    stele_ok(&[
        "authority",
        "sign",
        &bundle,
        "--text",
        &text,
        "--ssh-key",
        &key,
        "--out",
        &signed,
    ]);
    let shown = stele_ok(&["authority", "show", &signed]);
    assert!(shown.contains("signed by alice (SHA256:"), "{shown}");
    assert!(shown.contains("PLAINLY: some decisions take one person"), "{shown}");
    let again = stele_fails(
        4,
        &[
            "authority",
            "sign",
            &bundle,
            "--text",
            &text,
            "--ssh-key",
            &key,
            "--out",
            &signed,
        ],
    );
    assert!(again.contains("overwritten"), "{again}");
}

#[test]
fn a_second_operator_signs_the_same_text_and_strangers_are_named() {
    let place = Place::new();
    let (alice, mallory) = (place.ssh_key("alice"), place.ssh_key("mallory"));
    let (bundle, text) = built(&place, &alice);
    let (one, two) = (place.at("one"), place.at("two"));
    stele_ok(&[
        "authority",
        "sign",
        &bundle,
        "--text",
        &text,
        "--ssh-key",
        &alice,
        "--out",
        &one,
    ]);
    stele_ok(&["authority", "sign", &one, "--ssh-key", &mallory, "--out", &two]);
    let shown = stele_ok(&["authority", "show", &two]);
    assert!(
        shown.contains("signed by alice") && shown.contains("belongs to no operator"),
        "{shown}"
    );
}

#[test]
fn a_text_is_signed_elsewhere_in_two_steps() {
    let place = Place::new();
    let key = place.ssh_key("alice");
    let (bundle, text) = built(&place, &key);
    let carried = place.at("carried.txt");
    stele_ok(&["authority", "sign", &bundle, "--text", &text, "--text-out", &carried]);
    assert_eq!(std::fs::read(&carried).unwrap(), std::fs::read(&text).unwrap());
    let sign = |namespace: &str| {
        let _ = std::fs::remove_file(format!("{carried}.sig"));
        let made = run("ssh-keygen", &["-Y", "sign", "-n", namespace, "-f", &key, &carried]);
        assert!(made.status.success(), "{made:?}");
    };
    let out = place.at("signed");
    let back = [
        "authority",
        "sign",
        &bundle,
        "--text",
        &text,
        "--signature",
        &format!("{carried}.sig"),
        "--out",
        &out,
    ];
    sign("stele-plan");
    let error = stele_fails(1, &back);
    assert!(error.contains("namespace"), "{error}");
    sign("stele-bundle");
    stele_ok(&back);
}

#[test]
fn a_text_for_another_bundle_is_refused() {
    let place = Place::new();
    let key = place.ssh_key("alice");
    let (bundle, text) = built(&place, &key);
    let words = std::fs::read_to_string(&text).unwrap();
    let digest = words.lines().find_map(|l| l.strip_prefix("bundle-sha256: ")).unwrap();
    std::fs::write(&text, words.replace(digest, &"0".repeat(64))).unwrap();
    let out = place.at("signed");
    let error = stele_fails(
        1,
        &[
            "authority",
            "sign",
            &bundle,
            "--text",
            &text,
            "--ssh-key",
            &key,
            "--out",
            &out,
        ],
    );
    assert!(error.contains("bundle-sha256"), "{error}");
    assert!(!std::path::Path::new(&out).exists());
}

#[test]
fn a_diff_is_in_words() {
    let place = Place::new();
    let key = format!("{}.pub", place.ssh_key("alice"));
    let (old, new) = (place.authority("old", &key), place.authority("new", &key));
    std::fs::remove_file(new.join("profiles/pod.toml")).unwrap();
    let text = stele_ok(&["authority", "diff", old.to_str().unwrap(), new.to_str().unwrap()]);
    assert!(text.contains("pod"), "{text}");
    let same = stele_ok(&["authority", "diff", old.to_str().unwrap(), old.to_str().unwrap()]);
    assert_eq!(same, "nothing changes\n");
}

#[test]
fn an_unfreezing_is_signed_as_a_stop() {
    let place = Place::new();
    let key = place.ssh_key("alice");
    let (text, signed) = (place.at("stop.txt"), place.at("stop.signed"));
    let stop = [
        "authority",
        "text",
        "stop",
        "unfreeze",
        "key:etcd-ca",
        "--reason",
        "the drill is over",
    ];
    stele_ok(&[&stop[..], &["--origin", "log.example/stele", "--out", &text]].concat());
    stele_ok(&["authority", "sign", &text, "--ssh-key", &key, "--out", &signed]);
    let shown = stele_ok(&["authority", "show", &signed]);
    assert!(
        shown.contains("a signed stop") && shown.contains("target: key:etcd-ca"),
        "{shown}"
    );
}

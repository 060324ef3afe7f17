//! The hierarchy of the service's tests: the real ceremony, the import, and certificates for people.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::scratch::{binary_path, repository};
use crate::service::{ORIGIN, Service, succeed};

/// CA keys and their algorithms.
const KEYS: &[(&str, &str)] = &[
    ("cluster-ca", "ec-p384"),
    ("issuing-ca", "ec-p256"),
    ("etcd-ca", "ec-p256"),
    ("front-proxy-ca", "ec-p256"),
    ("access-ca", "ec-p256"),
];
/// Who gets a client certificate: name, enrolment profile, identity.
pub const PEOPLE: &[(&str, &str, &str)] = &[
    ("operator", "operator", "spiffe://stele/operator/olga"),
    ("caller", "caller", "spiffe://stele/caller/cluster-signer"),
    ("auditor", "caller", "spiffe://stele/caller/auditor"),
    ("guest", "caller", "spiffe://stele/caller/guest"),
];
/// A second operator, so that one can approve what the other asked for; and a caller that a later bundle may drop.
const MORE: &str = r#"
[[operator]]
name = "otto"
keys = ["@otto-ssh-key"]
roles = ["approver"]
acts_as = ["uri:spiffe://stele/operator/otto"]

[[caller]]
name = "operator-otto"
san = "uri:spiffe://stele/operator/otto"
roles = ["operate"]

[[caller]]
name = "guest"
san = "uri:spiffe://stele/caller/guest"
roles = ["request"]
"#;

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a file");
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A PIN that stands nowhere else, so that a search for it finds leaks and nothing but leaks.
fn new_pin(path: &Path) {
    let random = std::fs::read("/proc/sys/kernel/random/uuid").expect("randomness");
    std::fs::write(path, random.trim_ascii()).expect("the PIN");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(path, mode).expect("mode 0600");
}

/// Signs a file with an SSH key; the signature lies beside it.
pub(crate) fn ssh_sign(key: &Path, namespace: &str, file: &Path) -> PathBuf {
    let signature = PathBuf::from(format!("{}.sig", file.display()));
    let _ = std::fs::remove_file(&signature);
    succeed(
        Command::new("ssh-keygen")
            .args(["-q", "-Y", "sign", "-n", namespace, "-f"])
            .arg(key)
            .arg(file),
    );
    signature
}

/// Makes everything from nothing to the import: the signer in `dir/signer`, what is public in `dir/out`, keys and
/// certificates of people in `dir/people`, the authority's files in `dir/authority`.
pub(crate) fn hold_ceremony(dir: &Path) {
    prepare(dir);
    run_ceremony(dir);
    publish(dir, &dir.join("ceremony/transcript"));
}

/// Everything before the ceremony: tokens, the signer's keys and request, the authority's files.
pub(crate) fn prepare(dir: &Path) {
    for sub in ["root", "signer", "out", "people"] {
        std::fs::create_dir(dir.join(sub)).expect("a directory");
    }
    let token_env = repository().join("softhsm/token-env");
    succeed(Command::new(&token_env).arg(dir.join("root")));
    let module = succeed(Command::new(&token_env).arg(dir.join("signer")))
        .trim()
        .to_owned();
    for side in ["root", "signer"] {
        new_pin(&dir.join(side).join("pin"));
        new_pin(&dir.join(side).join("so-pin"));
    }
    write(&dir.join("module"), &module);
    init_keeper(dir, &module);
    write_authority(dir);
}

fn init_keeper(dir: &Path, module: &str) {
    let keys: String = KEYS
        .iter()
        .map(|(name, algorithm)| {
            format!("[[ca_key]]\nname = \"{name}\"\nalgorithm = \"{algorithm}\"\ncommon_name = \"{name}\"\n")
        })
        .collect();
    let config = dir.join("signer/keeper.toml");
    let text = format!(
        "origin = \"{ORIGIN}\"\npurpose = \"signer\"\nsocket = \"keeper.sock\"\nledger = \"ledger.db\"\n\
         [token]\nmodule = \"{module}\"\nlabel = \"stele-signer\"\npin_file = \"pin\"\nso_pin_file = \"so-pin\"\n\
         [checkpoint_key]\nname = \"checkpoint\"\nalgorithm = \"ed25519\"\n{keys}"
    );
    write(&config, &text);
    let request = dir.join("signer-request.json");
    succeed(
        Command::new(binary_path("stele-keeper"))
            .env("SOFTHSM2_CONF", dir.join("signer/softhsm2.conf"))
            .arg("init")
            .arg("--config")
            .arg(&config)
            .arg("--request-out")
            .arg(&request),
    );
}

/// The demonstration's authority with a second operator, and an operator who may ask for an intermediate too.
fn write_authority(dir: &Path) {
    let authority = dir.join("authority");
    std::fs::create_dir_all(authority.join("profiles")).expect("a directory");
    for name in ["olga", "otto"] {
        succeed(
            Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
                .arg(dir.join(format!("people/ssh-{name}"))),
        );
    }
    let ssh = |name: &str| read(&dir.join(format!("people/ssh-{name}.pub"))).trim().to_owned();
    let demo = read(&repository().join("softhsm/demo/authority.toml"));
    let text = format!("{demo}{MORE}")
        .replace(
            "roles = [\"operate\", \"revoke\"]",
            "roles = [\"operate\", \"revoke\", \"request\"]",
        )
        .replace("@olga-ssh-key", &ssh("olga"))
        .replace("@otto-ssh-key", &ssh("otto"));
    write(&authority.join("authority.toml"), &text);
    for preset in std::fs::read_dir(repository().join("signer/presets/profiles"))
        .expect("presets")
        .flatten()
    {
        let name = preset.file_name().into_string().expect("a name");
        let mut text = read(&preset.path())
            .replace("kubernetes-ca", "issuing-ca")
            .replace("operator-alice", "operator-olga")
            .replace("\"stele.example.org\", ", "")
            .replace("etcd-peer.example.org", "etcd.demo.example")
            .replace("example.org", "demo.example");
        if name.starts_with("etcd-") {
            text = text.replace(
                "\"*.demo.example\", \"localhost\"",
                "\"*.etcd.demo.example\", \"localhost\"",
            );
        }
        text = match name.as_str() {
            "cluster-intermediate.toml" => text.replace(
                "callers = [\"cluster-signer\"]",
                "callers = [\"cluster-signer\", \"operator-olga\"]",
            ),
            "caller.toml" => text.replace("\"auditor\"]", "\"auditor\", \"guest\"]"),
            _ => text,
        };
        write(&authority.join("profiles").join(name), &text);
    }
}

fn run_ceremony(dir: &Path) {
    let (module, request) = (read(&dir.join("module")), dir.join("signer-request.json"));
    let ceremony = |command: &str| {
        let mut ceremony = Command::new(binary_path("stele-ceremony"));
        ceremony
            .env("SOFTHSM2_CONF", dir.join("root/softhsm2.conf"))
            .arg(command);
        ceremony
    };
    let script = repository().join("softhsm/demo/ceremony.toml");
    let work = dir.join("ceremony");
    succeed(
        ceremony("init")
            .arg("--script")
            .arg(&script)
            .arg("--dir")
            .arg(&work)
            .args(["--module", &module, "--pin-file"])
            .arg(dir.join("root/pin"))
            .arg("--so-pin-file")
            .arg(dir.join("root/so-pin")),
    );
    succeed(
        ceremony("plan")
            .arg("--dir")
            .arg(&work)
            .arg("--request")
            .arg(request)
            .arg("--authority")
            .arg(dir.join("authority"))
            .arg("--clock-confirmed"),
    );
    let olga = dir.join("people/ssh-olga");
    let bundle = ssh_sign(&olga, "stele-bundle", &work.join("to-sign/bundle.txt"));
    let plan = ssh_sign(&olga, "stele-plan", &work.join("to-sign/plan.txt"));
    let digest = stele_core::types::Digest::of(read(&work.join("transcript/plan.json")).as_bytes());
    succeed(
        ceremony("run")
            .arg("--dir")
            .arg(&work)
            .arg("--bundle-sig")
            .arg(bundle)
            .arg("--plan-sig")
            .arg(plan)
            .arg("--confirm")
            .arg(digest.to_string()),
    );
}

/// What a transcript makes public, and the first bundle's digest where an administrator puts it.
pub(crate) fn publish(dir: &Path, transcript: &Path) {
    let request = dir.join("signer-request.json");
    for entry in std::fs::read_dir(transcript).expect("the transcript").flatten() {
        if entry.path().is_file() {
            std::fs::copy(entry.path(), dir.join("out").join(entry.file_name())).expect("a copy");
        }
    }
    let request: serde_json::Value = serde_json::from_str(&read(&request)).expect("JSON");
    write(
        &dir.join("out/ledger.vkey"),
        request["vkey"].as_str().expect("the verifier key"),
    );
    let bundle = read(&dir.join("out/bundle.json"));
    // The authority's files with the digests that the ceremony filled in: a next bundle begins with them.
    let parsed = stele_core::authority::Bundle::parse(bundle.as_bytes()).expect("a bundle");
    for (name, text) in parsed.files() {
        write(&dir.join("authority").join(name), text);
    }
    let first = stele_core::types::Digest::of(bundle.as_bytes());
    let config = dir.join("signer/keeper.toml");
    let text = format!("first_bundle = \"{first}\"\n{}", read(&config));
    write(&config, &text);
}

/// Client certificates for everybody, through the running daemon's local socket.
pub fn enrol_people(service: &Service) {
    for (name, profile, uri) in PEOPLE {
        let (key, csr) = (
            service.path(&format!("people/{name}.key")),
            service.path(&format!("people/{name}.csr")),
        );
        let san = format!("uri:{uri}");
        succeed(
            Command::new(binary_path("stele"))
                .args(["csr", "new", "--algorithm", "ec-p256", "--san", &san, "--key-out"])
                .arg(key)
                .arg("--out")
                .arg(&csr),
        );
        succeed(
            service
                .signer_command("stele-signer", "enrol")
                .args(["--profile", profile, "--san", &san, "--csr"])
                .arg(csr)
                .arg("--out")
                .arg(service.path(&format!("people/{name}.pem"))),
        );
    }
}

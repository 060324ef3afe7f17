//! Operators' signatures, made by the real `ssh-keygen`, so that agents and hardware keys work as they do elsewhere.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use stele_core::authority::Authority;
use stele_core::sshsig::{self, SshPublicKey};
use stele_core::types::{OperatorName, SignedText};

use crate::error::CliError;
use crate::files;

/// Where the signature comes from.
#[derive(clap::Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct SignatureSource {
    /// Sign now with this SSH key: a private key, or a public key whose private half is in the agent or in a token
    #[arg(long, value_name = "FILE")]
    ssh_key: Option<PathBuf>,
    /// Only write the text to this file, to be signed elsewhere with `ssh-keygen -Y sign`
    #[arg(long, value_name = "FILE")]
    text_out: Option<PathBuf>,
    /// Take the signature from this file: what `ssh-keygen -Y sign` made of the text
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
}

/// A text that was signed, or that waits to be.
pub(crate) enum Outcome {
    /// The text with its signature.
    Signed(SignedText),
    /// The text was written to a file; these words tell how to go on.
    Written(String),
}

impl SignatureSource {
    /// Whether a signature is made by this very command.
    pub(crate) const fn signs_now(&self) -> bool {
        self.ssh_key.is_some()
    }

    /// The text with a signature in `namespace`, or its file.
    pub(crate) fn obtain(&self, text: &str, namespace: &str) -> Result<Outcome, CliError> {
        if let Some(path) = &self.text_out {
            files::create(path, text.as_bytes())?;
            let words = format!(
                "written: {path}\nsign it: ssh-keygen -Y sign -n {namespace} -f KEY {path}\n\
                 then the same command with --signature {path}.sig",
                path = path.display()
            );
            return Ok(Outcome::Written(words));
        }
        let signature = match (&self.signature, &self.ssh_key) {
            (Some(path), _) => files::read_text(path)?,
            (None, Some(key)) => sign(text, namespace, key)?,
            (None, None) => {
                return Err(CliError::Usage(
                    "--ssh-key, --text-out or --signature is needed".to_owned(),
                ));
            }
        };
        Ok(Outcome::Signed(SignedText {
            text: text.to_owned(),
            signature,
        }))
    }
}

/// Signs `text`; prompts for a passphrase, a PIN or a touch come from `ssh-keygen` itself.
fn sign(text: &str, namespace: &str, key: &Path) -> Result<String, CliError> {
    let failed = |e: &std::io::Error| CliError::Local(format!("run ssh-keygen: {e}; it comes with OpenSSH"));
    let mut child = Command::new("ssh-keygen")
        .args(["-Y", "sign", "-n", namespace, "-f"])
        .arg(key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| failed(&e))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(text.as_bytes()).map_err(|e| failed(&e))?;
    }
    let output = child.wait_with_output().map_err(|e| failed(&e))?;
    if !output.status.success() {
        let words = format!("ssh-keygen could not sign with {} ({})", key.display(), output.status);
        return Err(CliError::Refused(words));
    }
    String::from_utf8(output.stdout).map_err(|_| CliError::Defect("ssh-keygen answered with no text".to_owned()))
}

/// Who signed: verifies the signature and looks for its key among the operators.
///
/// # Errors
/// When the signature does not verify, or no operator of the bundle holds the key.
pub(crate) fn signer(signed: &SignedText, namespace: &str, authority: &Authority) -> Result<OperatorName, CliError> {
    let key = verify(signed, namespace)?;
    let holds = |line: &String| line.parse::<SshPublicKey>().is_ok_and(|held| held.blob() == key.blob());
    let operator = authority.operators().values().find(|o| o.keys.iter().any(holds));
    operator.map(|o| o.name.clone()).ok_or_else(|| {
        let words = format!(
            "the key {} belongs to no operator of the authority bundle",
            key.fingerprint()
        );
        CliError::Refused(words)
    })
}

/// Verifies a signature and answers with the key that made it.
pub(crate) fn verify(signed: &SignedText, namespace: &str) -> Result<SshPublicKey, CliError> {
    Ok(sshsig::verify(signed, namespace)?)
}

//! Client certificates for whoever sits at the signer's machine, under the bundle's enrolment profiles only.

use serde::{Deserialize, Serialize};
use stele_api::convert::{Issued, SignAnswer};
use stele_core::names::San;
use stele_core::request::{Context, KeyProof, SignRequest, Wanted};
use stele_core::types::{B64, CallerSan, ProfileName};

use crate::error::SignerError;
use crate::server_cert::csr_der;
use crate::signer::{Signer, Who};

/// What a local user asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Enrolment {
    /// The profile.
    pub(crate) profile: ProfileName,
    /// The CSR, in PEM or DER.
    pub(crate) csr: B64,
    /// Names that replace the CSR's; `None`: the CSR's count.
    pub(crate) sans: Option<Vec<San>>,
}

impl Signer {
    /// Issues a certificate to a local user.
    ///
    /// # Errors
    /// When it is refused, waits for operators, or cannot be signed now.
    pub(crate) fn enrol(&self, user: CallerSan, enrolment: Enrolment) -> Result<Issued, SignerError> {
        let Enrolment { profile, csr, sans } = enrolment;
        let request = SignRequest {
            id: self.random_id("enrol")?.parse()?,
            profile,
            issuer: None,
            proof: KeyProof::Pkcs10(csr_der(&csr.0)?),
            wanted: Wanted {
                sans,
                ..Wanted::default()
            },
            context: Context::default(),
        };
        match self.sign(&Who::Local(user), &request)? {
            SignAnswer::Issued(issued) => Ok(*issued),
            SignAnswer::Pending(pending) => Err(SignerError::other(format!(
                "the request {} waits for operators until {}; ask for its state with `stele request show`",
                pending.request_id, pending.expires
            ))),
        }
    }
}

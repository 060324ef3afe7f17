//! The reasons of errors: stable names, their gRPC codes, what they mean and who mends them.

use tonic::Code;

/// Declares the reasons in the order of `ErrorReason` in `stele/v1/errors.proto`.
macro_rules! reasons {
    ($($variant:ident $name:literal $code:ident $meaning:literal $remedy:literal;)+) => {
        /// Why a call fails; `ErrorReason` of the contract, with the gRPC code that goes with each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $(#[doc = $meaning] $variant,)+
        }

        impl Reason {
            /// Every reason, in the contract's order.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name on the wire, in `ErrorInfo.reason`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The gRPC code that a call fails with.
            #[must_use]
            pub const fn code(self) -> Code {
                match self { $(Self::$variant => Code::$code,)+ }
            }

            /// What it means, in a sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }

            /// Who mends it, and how.
            #[must_use]
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)+ }
            }

            /// The reason of this name on the wire; `None` for one of a newer server.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|reason| reason.name() == name)
            }
        }
    };
}

reasons! {
    MalformedRequest "MALFORMED_REQUEST" InvalidArgument
        "A field of the call is missing, malformed, too large or contradicts another."
        "The client corrects the fields.";
    PageTokenInvalid "PAGE_TOKEN_INVALID" InvalidArgument
        "The page token is not one of ours, or belongs to other conditions."
        "The client starts again without one.";
    KeyProofInvalid "KEY_PROOF_INVALID" InvalidArgument
        "The CSR or public key is malformed or weak, or the proof of possession does not verify."
        "The requester makes a new key or CSR.";
    PolicyRefused "POLICY_REFUSED" InvalidArgument
        "The request breaks rules of its profile."
        "The requester asks for what the profile permits, or the operators change the profile.";
    LintRefused "LINT_REFUSED" InvalidArgument
        "The certificate that would result breaks a rule of X.509 or of Kubernetes."
        "The requester changes the request, or the operators the profile.";
    SignedTextInvalid "SIGNED_TEXT_INVALID" InvalidArgument
        "A signed text or file is malformed, does not fit what it is about, or its signature does not verify."
        "The operator signs again.";
    CallerUnidentified "CALLER_UNIDENTIFIED" Unauthenticated
        "The client's certificate does not name a caller: it needs exactly one URI SAN, or none and one DNS SAN."
        "The caller's owner obtains a fitting certificate.";
    CallerUnknown "CALLER_UNKNOWN" PermissionDenied
        "The authority bundle does not list the caller."
        "The operators list it.";
    CallerFrozen "CALLER_FROZEN" PermissionDenied
        "The caller is frozen."
        "The operators find out why, and unfreeze it.";
    MethodNotPermitted "METHOD_NOT_PERMITTED" PermissionDenied
        "The caller may not call this method, or not about this object."
        "The operators grant it.";
    ProfileNotPermitted "PROFILE_NOT_PERMITTED" PermissionDenied
        "There is no such profile, or the caller may not use it."
        "The requester looks at ListProfiles, or the operators grant it.";
    OperatorNotPermitted "OPERATOR_NOT_PERMITTED" PermissionDenied
        "Whoever signed may not decide this: no operator, without the role, or on the requester's side."
        "Another operator signs.";
    RequestNotFound "REQUEST_NOT_FOUND" NotFound
        "There is no such request, or it is not yours to see."
        "The client checks the id and the caller.";
    CertificateNotFound "CERTIFICATE_NOT_FOUND" NotFound
        "The ledger knows no certificate with this serial from this issuer."
        "The client checks the serial and the issuer.";
    IssuerNotFound "ISSUER_NOT_FOUND" NotFound
        "There is no issuer of this name, or it may not sign under the profile."
        "The client looks at ListIssuers and ListProfiles.";
    CrlNotFound "CRL_NOT_FOUND" NotFound
        "The issuer has made no CRL yet."
        "The signer's administrator looks at why.";
    ObjectNotFound "OBJECT_NOT_FOUND" NotFound
        "There is no such bundle, caller or log here."
        "The client checks the name.";
    BeyondCheckpoint "BEYOND_CHECKPOINT" OutOfRange
        "The index or size lies beyond the newest checkpoint."
        "The client asks again later, or for less.";
    RequestIdReused "REQUEST_ID_REUSED" AlreadyExists
        "The request id was used for a request with another digest."
        "The client chooses a new id.";
    RequestInProgress "REQUEST_IN_PROGRESS" Aborted
        "The same request is under way on another connection."
        "The client tries again.";
    FateUnknown "FATE_UNKNOWN" Aborted
        "Nobody knows whether the token signed; the attempt counts as issued and its serial will be revoked."
        "The client tries again with the same request, which makes a new attempt.";
    NotSigned "NOT_SIGNED" Aborted
        "Nothing was signed: the authority bundle changed on the way, or the token refused."
        "The client tries again with the same request, which makes a new attempt.";
    RequestClosed "REQUEST_CLOSED" FailedPrecondition
        "The request waits no more: it was issued, denied, withdrawn, or lapsed."
        "The client looks at its state.";
    QuorumNotMet "QUORUM_NOT_MET" FailedPrecondition
        "Too few operators signed."
        "More operators sign.";
    NotSuccessor "NOT_SUCCESSOR" FailedPrecondition
        "The signed file does not follow what is in force, e.g. a bundle that names another predecessor."
        "The operators build and sign it anew.";
    Frozen "FROZEN" FailedPrecondition
        "The issuer or the profile is frozen."
        "The operators find out why, and unfreeze it.";
    CeilingExceeded "CEILING_EXCEEDED" FailedPrecondition
        "The certificate would exceed the ceiling of its CA's key."
        "The operators mend the profile, or sign a bundle with another ceiling.";
    ClockStopped "CLOCK_STOPPED" FailedPrecondition
        "Signing has stopped until operators confirm a step of the clock."
        "The signer's administrator sets the clock right, or the operators sign the recovery.";
    LedgerStopped "LEDGER_STOPPED" FailedPrecondition
        "Signing has stopped: the ledger disagrees with its index, exports or witnesses, or these lag too far."
        "The signer's administrator and the operators mend it.";
    RateLimited "RATE_LIMITED" ResourceExhausted
        "The caller asks more often than its limit permits."
        "The client waits as RetryInfo says.";
    TooManyOpenRequests "TOO_MANY_OPEN_REQUESTS" ResourceExhausted
        "Too many of the caller's requests wait for operators."
        "The operators decide them, or the caller withdraws some.";
    Overloaded "OVERLOADED" Unavailable
        "More is asked than the token can sign in time; nothing was signed."
        "The client tries again later.";
    KeeperUnavailable "KEEPER_UNAVAILABLE" Unavailable
        "The keeper or its token cannot be reached."
        "The client tries again; the signer's administrator looks at the keeper's log.";
    LedgerUnavailable "LEDGER_UNAVAILABLE" Unavailable
        "The ledger cannot be written (disk full, read-only, failing), so nothing is signed."
        "The signer's administrator mends it.";
    ShuttingDown "SHUTTING_DOWN" Unavailable
        "The server is stopping."
        "The client tries again.";
    DeadlineExceeded "DEADLINE_EXCEEDED" DeadlineExceeded
        "The client's deadline passed before anything was signed."
        "The client tries again with a longer one.";
    Internal "INTERNAL" Internal
        "A defect of the server; its log says more, under the request id."
        "Whoever runs it reports it.";
    MessageTooLarge "MESSAGE_TOO_LARGE" ResourceExhausted
        "The message is larger than the server takes."
        "The client sends less; waiting does not help.";
}

//! The one door: prove, decide, build, lint, authorise, record the intent, sign, verify, record the outcome.
//!
//! Each step consumes the value of the step before and none has a public constructor, so a signature that skipped a
//! step does not compile. Leaf, intermediate, CRL and the steps of a ceremony all come through here; they differ in
//! how they become [`Linted`], and under which authority they leave it.

mod open;
mod passage;

pub use open::{Entry, Linted, prove};
pub use passage::{Asked, Authorised, DoorError, Evidence, Issued, Step, Steps, Stored, ToBeSigned, Verified};

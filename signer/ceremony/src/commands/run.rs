//! `run`: the signatures, each step once, and what the ceremony leaves behind.

mod outputs;
mod steps;

use std::path::{Path, PathBuf};

use stele_core::authority::texts::{BundleText, OperatorText, PlanText};
use stele_core::authority::{Action, Bundle};
use stele_core::ceremony::transcript::{name, signature_name};
use stele_core::ceremony::{CeremonyFile as _, Plan, SignerRequest, texts};
use stele_core::door::Steps;
use stele_core::record::{self, Body};
use stele_core::types::{Digest, SignedText, Time};

use crate::cli::RunArgs;
use crate::error::CeremonyError;
use crate::folder::{read, read_text};
use crate::people;
use crate::session::{CONFIG, CONFIG_WITH_BUNDLE, Ceremony, Session};

/// What `plan` left, read and checked.
struct Planned {
    ceremony: Ceremony,
    bundle: Bundle,
    plan: Plan,
    plan_bytes: Vec<u8>,
    request: SignerRequest,
}

impl Planned {
    fn open(dir: &Path) -> Result<Self, CeremonyError> {
        let ceremony = Ceremony::open(dir)?;
        let file = |name| ceremony.folder.transcript(name);
        if !file(name::READABLE).exists() {
            return Err(CeremonyError::Order(format!(
                "{}: missing; draw the plan with `stele-ceremony plan`",
                file(name::READABLE).display()
            )));
        }
        let plan_bytes = read(&file(name::PLAN))?;
        let planned = Self {
            bundle: Bundle::parse(&read(&file(name::BUNDLE))?)?,
            plan: Plan::decode(&plan_bytes)?,
            request: SignerRequest::decode(&read(&file(name::REQUEST))?)?,
            plan_bytes,
            ceremony,
        };
        planned.plan.check()?;
        if planned.plan.bundle_sha256 != planned.bundle.digest()
            || planned.plan.script_sha256 != planned.ceremony.script_sha256
        {
            return Err(CeremonyError::Order(
                "plan.json: was drawn for another bundle or script; begin again in a new --dir".to_owned(),
            ));
        }
        Ok(planned)
    }

    fn digest(&self) -> Digest {
        Digest::of(&self.plan_bytes)
    }

    /// The texts that `paths` hold signatures over, verified; with the names under which the transcript keeps them.
    fn signed<T: OperatorText>(
        &self,
        text: &T,
        file: &str,
        paths: &[PathBuf],
    ) -> Result<Vec<SignedText>, CeremonyError> {
        let mut signed = Vec::new();
        for path in paths {
            let one = SignedText {
                text: text.to_string(),
                signature: read_text(path)?,
            };
            let operator = texts::signer::<T>(self.bundle.authority(), &one)
                .map_err(|e| CeremonyError::Order(format!("{}: {e}", path.display())))?;
            println!("  {operator} signed {file}");
            signed.push(one);
        }
        Ok(signed)
    }

    /// The transcript keeps the signatures that the log holds, whatever files were given.
    fn keep<T: OperatorText>(&self, file: &str, signed: &[SignedText]) -> Result<(), CeremonyError> {
        for one in signed {
            let operator = texts::signer::<T>(self.bundle.authority(), one)?;
            let path = self
                .ceremony
                .folder
                .transcript(&signature_name(file, operator.as_str()));
            self.ceremony.folder.write(&path, one.signature.as_bytes())?;
        }
        Ok(())
    }
}

/// Carries the plan out, or goes on where an earlier run stopped.
pub(crate) fn run(args: &RunArgs, keeper: Option<&Path>, at: &dyn Steps) -> Result<(), CeremonyError> {
    let planned = Planned::open(&args.dir)?;
    let folder = &planned.ceremony.folder;
    if folder.handover().exists() {
        println!("This ceremony is complete: {}", folder.handover().display());
        return Ok(());
    }
    confirm(&planned, args.confirm)?;
    if !folder.transcript("log").exists() {
        let config = config_with_bundle(&planned)?;
        let mut session = planned.ceremony.start(keeper, config)?;
        adopt_bundle(&planned, &mut session, &args.bundle_sig)?;
        adopt_plan(&planned, &mut session, &args.plan_sig)?;
        steps::carry_out(&planned, &mut session, at)?;
        outputs::close(&planned, &mut session)?;
        session.keeper.stop()?;
    }
    outputs::hand_over(&planned)?;
    println!("The ceremony is complete.");
    println!(
        "  transcript  {}\n  hand-over   {}",
        folder.transcript("").display(),
        folder.handover().display()
    );
    if planned.bundle.number() == 0 {
        println!(
            "  first_bundle = \"{}\"   (for the configuration of the signer's keeper)",
            planned.bundle.digest()
        );
    }
    println!(
        "Next: stele-ceremony verify {} --root root.pem, on another machine",
        folder.transcript("").display()
    );
    Ok(())
}

fn confirm(planned: &Planned, confirmed: Option<Digest>) -> Result<(), CeremonyError> {
    let digest = planned.digest();
    people::show("Plan", &digest);
    match confirmed {
        Some(confirmed) if confirmed == digest => Ok(()),
        Some(other) => Err(CeremonyError::NotConfirmed(format!(
            "--confirm: found {other}; this plan's digest is {digest}"
        ))),
        None => {
            let first: String = digest.to_string().chars().take(8).collect();
            people::ask(
                "Does everybody hear and read the same?",
                &first,
                "give --confirm SHA-256",
            )
        }
    }
}

/// The keeper takes a first bundle only if its configuration names the digest: here the people's word becomes that.
fn config_with_bundle(planned: &Planned) -> Result<&'static str, CeremonyError> {
    let folder = &planned.ceremony.folder;
    let base = read_text(&folder.state(CONFIG))?;
    let config = format!("first_bundle = \"{}\"\n{base}", planned.bundle.digest());
    folder.write(&folder.state(CONFIG_WITH_BUNDLE), config.as_bytes())?;
    Ok(CONFIG_WITH_BUNDLE)
}

fn now() -> Time {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Time::from_secs(since.as_secs())
}

fn adopt_bundle(planned: &Planned, session: &mut Session, paths: &[PathBuf]) -> Result<(), CeremonyError> {
    if session.facts.bundles.is_empty() {
        let text = texts::bundle_text(&planned.bundle, &planned.ceremony.script, planned.plan.drawn_at);
        let signed = planned.signed(&text, name::BUNDLE_TEXT, paths)?;
        texts::agreed(planned.bundle.authority(), Action::Bundle, &text, &signed, now())?;
        session.append(&Body::BundleAdopted(record::BundleAdopted {
            number: planned.bundle.number(),
            sha256: planned.bundle.digest(),
            predecessor: planned.bundle.predecessor(),
            bundle: session.keeper.client.payload(planned.bundle.bytes())?,
            texts: signed,
        }))?;
        session.refresh()?;
    }
    if !session.facts.first_bundle_is_new() {
        return Ok(());
    }
    let recorded = session.facts.bundles.iter().flat_map(|found| found.body.texts.clone());
    planned.keep::<BundleText>(name::BUNDLE_TEXT, &recorded.collect::<Vec<_>>())
}

fn adopt_plan(planned: &Planned, session: &mut Session, paths: &[PathBuf]) -> Result<(), CeremonyError> {
    if session.facts.sitting.plan.is_none() {
        let text = texts::plan_text(&planned.plan, planned.digest(), &planned.ceremony.script);
        let signed = planned.signed(&text, name::PLAN_TEXT, paths)?;
        texts::agreed(planned.bundle.authority(), Action::Plan, &text, &signed, now())?;
        session.append(&Body::Plan(record::Plan {
            sha256: planned.digest(),
            plan: session.keeper.client.payload(&planned.plan_bytes)?,
            texts: signed,
        }))?;
        session.refresh()?;
    }
    let recorded = session
        .facts
        .sitting
        .plan
        .iter()
        .flat_map(|found| found.body.texts.clone());
    planned.keep::<PlanText>(name::PLAN_TEXT, &recorded.collect::<Vec<_>>())
}

//! `plan`: everything that will be signed, drawn and shown before anyone signs.

mod later;
mod revocations;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use stele_core::authority::Bundle;
use stele_core::authority::texts::{BundleText, OperatorText as _, PlanText};
use stele_core::ceremony::transcript::name;
use stele_core::ceremony::{
    CeremonyFile as _, CheckedRequest, Drawing, Plan, SignerRequest, draw, fill, readable_plan, texts,
};
use stele_core::lint;
use stele_core::record::{self, Body, Purpose};
use stele_core::types::{Digest, Time};

use crate::cli::PlanArgs;
use crate::error::CeremonyError;
use crate::folder::{read, read_tree};
use crate::people;
use crate::session::{CONFIG, Ceremony, Session};

/// In the state of a ceremony that draws the first bundle, so that its text is signed there too.
const FIRST_BUNDLE: &str = "first-bundle";

/// What was drawn, and its canonical bytes.
struct Drawn {
    bundle: Bundle,
    plan: Plan,
    bytes: Vec<u8>,
}

impl Drawn {
    fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }
}

/// Draws the plan, or shows the one that was drawn.
pub(crate) fn run(args: &PlanArgs, keeper: Option<&Path>) -> Result<(), CeremonyError> {
    let ceremony = Ceremony::open(&args.dir)?;
    let path = ceremony.folder.transcript(name::PLAN);
    if path.exists() {
        println!("The plan is drawn already; it stays as it is.\n");
        let drawn = drawn_before(&ceremony)?;
        write_papers(&ceremony, &drawn)?;
        return report(&ceremony, &drawn, false);
    }
    let request_bytes = read(&args.request)?;
    let request = SignerRequest::decode(&request_bytes)?;
    if request.origin != ceremony.script.signer_origin {
        let permitted = format!("`{}`, the script's signer_origin", ceremony.script.signer_origin);
        let error =
            stele_core::Error::malformed("signer's request, origin", format!("`{}`", request.origin), permitted);
        return Err(error.into());
    }
    let checked = request.check()?;
    let mut session = ceremony.start(keeper, CONFIG)?;
    let next = later::bundles(&session, &request)?;
    if let Some(ledger) = &args.ledger {
        later::complete(&session, &request, &next, ledger)?;
    }
    if !args.dry_run {
        confirm_clock(&mut session, args.clock_confirmed)?;
        record_request(&ceremony, &mut session, &request, &request_bytes)?;
        later::adopt(&mut session, &next)?;
        revocations::record(&ceremony, &mut session, &args.revoke_sig)?;
    }
    let bundle = match next.into_iter().next_back() {
        Some(newest) => newest.bundle,
        None => bundle(args, &session, &checked)?,
    };
    let drawn = draw_and_lint(&ceremony, &session, bundle, &checked, args.dry_run)?;
    session.keeper.stop()?;
    if args.dry_run {
        return report(&ceremony, &drawn, true);
    }
    let folder = &ceremony.folder;
    folder.write(&folder.transcript(name::BUNDLE), drawn.bundle.bytes())?;
    if args.authority.is_some() {
        folder.write(&folder.state(FIRST_BUNDLE), b"")?;
    }
    folder.write(&path, &drawn.bytes)?;
    write_papers(&ceremony, &drawn)?;
    report(&ceremony, &drawn, false)
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn confirm_clock(session: &mut Session, confirmed: bool) -> Result<(), CeremonyError> {
    println!("This machine's clock says {}.", now());
    if !confirmed {
        let otherwise = "compare it with a visible clock and give --clock-confirmed";
        people::ask("Compare it with the visible clock.", "yes", otherwise)?;
    }
    session.note(
        "clock",
        &format!("compared with a visible clock and confirmed at {}", now()),
    )
}

fn record_request(
    ceremony: &Ceremony,
    session: &mut Session,
    request: &SignerRequest,
    bytes: &[u8],
) -> Result<(), CeremonyError> {
    // Copied first: a recorded request without its file could never be verified.
    ceremony
        .folder
        .write(&ceremony.folder.transcript(name::REQUEST), bytes)?;
    if session.facts.sitting.request.is_some() {
        return Ok(());
    }
    session.append(&Body::SignerRequest(record::SignerRequest {
        origin: request.origin.clone(),
        vkey: request.vkey.clone(),
        checkpoint: request.checkpoint.clone(),
        request: session.keeper.client.payload(bytes)?,
    }))?;
    session.refresh()
}

/// The newest bundle of the log, or the first: the authority's files with the digests of this ceremony's keys.
fn bundle(args: &PlanArgs, session: &Session, request: &CheckedRequest) -> Result<Bundle, CeremonyError> {
    let authority = match (&args.authority, session.facts.bundles.last()) {
        (None, Some(newest)) => return Ok(Bundle::parse(&newest.body.bundle.resolve(&session.facts)?)?),
        (Some(authority), None) => authority,
        (None, None) => {
            let why = "--authority: missing; the log holds no authority bundle yet";
            return Err(CeremonyError::Order(why.to_owned()));
        }
        (Some(_), Some(_)) => {
            let why = "--authority: the log holds a bundle already; a next one is adopted by the signer (`stele apply`), \
                       and comes here with its request";
            return Err(CeremonyError::Order(why.to_owned()));
        }
    };
    let mut files = BTreeMap::new();
    for (name, bytes) in read_tree(authority)? {
        let text = String::from_utf8(bytes)
            .map_err(|_| CeremonyError::Order(format!("{}: is no UTF-8 text", authority.join(&name).display())))?;
        files.insert(name, text);
    }
    let signers = request.keys().iter().map(|(name, key)| (name.clone(), key.digest()));
    let root = (
        stele_core::ceremony::script::ROOT_KEY.parse()?,
        session.facts.root_key()?.digest(),
    );
    fill(&mut files, &signers.chain([root]).collect())?;
    let bundle = Bundle::build(0, None, files)?;
    bundle.lint_samples()?;
    Ok(bundle)
}

fn draw_and_lint(
    ceremony: &Ceremony,
    session: &Session,
    bundle: Bundle,
    request: &CheckedRequest,
    dry_run: bool,
) -> Result<Drawn, CeremonyError> {
    let now = now();
    let mut standing = session.facts.standing(now)?;
    if dry_run {
        standing
            .revoked
            .extend(revocations::as_if(&ceremony.script, &session.facts, now));
    }
    let drawing = Drawing {
        script: &ceremony.script,
        script_sha256: ceremony.script_sha256,
        bundle_sha256: bundle.digest(),
        root: session.facts.root_key()?,
        request,
        standing: &standing,
        now,
    };
    let serials = (0..drawing.serials()).map(|_| session.keeper.client.random::<20>());
    let plan = draw(&drawing, &serials.collect::<Result<Vec<_>, _>>()?)?;
    for step in plan.steps.iter().filter(|step| step.purpose != Purpose::Crl) {
        lint::lint(&step.tbs.0, &[]).map_err(|refusal| {
            CeremonyError::Order(format!("step {}, `{}`: {refusal}", step.step, step.subject_key))
        })?;
    }
    Ok(Drawn {
        bundle,
        bytes: plan.encode()?,
        plan,
    })
}

fn drawn_before(ceremony: &Ceremony) -> Result<Drawn, CeremonyError> {
    let bytes = read(&ceremony.folder.transcript(name::PLAN))?;
    let bundle = Bundle::parse(&read(&ceremony.folder.transcript(name::BUNDLE))?)?;
    Ok(Drawn {
        bundle,
        plan: Plan::decode(&bytes)?,
        bytes,
    })
}

/// The texts that operators sign: the plan's, and the bundle's where this ceremony draws it.
fn texts_to_sign(ceremony: &Ceremony, drawn: &Drawn) -> Vec<(&'static str, &'static str, String)> {
    let plan = texts::plan_text(&drawn.plan, drawn.digest(), &ceremony.script).to_string();
    let bundle = ceremony
        .folder
        .state(FIRST_BUNDLE)
        .exists()
        .then(|| texts::bundle_text(&drawn.bundle, &ceremony.script, drawn.plan.drawn_at).to_string());
    bundle
        .map(|bundle| (name::BUNDLE_TEXT, BundleText::NAMESPACE, bundle))
        .into_iter()
        .chain([(name::PLAN_TEXT, PlanText::NAMESPACE, plan)])
        .collect()
}

/// What follows from plan and bundle; written again after a crash, to the same bytes.
fn write_papers(ceremony: &Ceremony, drawn: &Drawn) -> Result<(), CeremonyError> {
    let folder = &ceremony.folder;
    for (file, _, text) in texts_to_sign(ceremony, drawn) {
        folder.write(&folder.transcript(file), text.as_bytes())?;
        folder.write(&folder.to_sign(file), text.as_bytes())?;
    }
    let readable = readable_plan(&drawn.plan, drawn.digest())?;
    folder.write(&folder.transcript(name::READABLE), readable.as_bytes())
}

fn report(ceremony: &Ceremony, drawn: &Drawn, dry_run: bool) -> Result<(), CeremonyError> {
    println!("{}", readable_plan(&drawn.plan, drawn.digest())?);
    people::show("Authority bundle", &drawn.bundle.digest());
    people::show("Plan", &drawn.digest());
    if dry_run {
        println!("Dry run: nothing was written; the next drawing has other serials and dates.");
        return Ok(());
    }
    println!(
        "Operators sign, before {}:",
        texts::expires(&ceremony.script, drawn.plan.drawn_at)
    );
    let mut signatures = String::new();
    for (file, namespace, _) in texts_to_sign(ceremony, drawn) {
        let path = ceremony.folder.to_sign(file);
        println!("  ssh-keygen -Y sign -n {namespace} -f KEY {}", path.display());
        let option = namespace.trim_start_matches("stele-");
        let _ = write!(signatures, " --{option}-sig {}.sig", path.display());
    }
    println!("With several operators rename each .sig before the next one signs. Then:");
    println!("  stele-ceremony run --dir DIR{signatures}");
    Ok(())
}

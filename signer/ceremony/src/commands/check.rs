//! `check`: is this a script that could be carried out?

use stele_core::ceremony::Script;
use stele_core::types::Digest;

use crate::cli::CheckArgs;
use crate::error::CeremonyError;
use crate::folder::read_text;
use crate::people;

/// Reads the script and says what a ceremony from it would make.
pub(crate) fn run(args: &CheckArgs) -> Result<(), CeremonyError> {
    let text = read_text(&args.script)?;
    let script = Script::parse(&args.script.display().to_string(), &text)?;
    println!(
        "{}: a {} that can be carried out",
        script.title,
        if script.rehearsal { "rehearsal" } else { "ceremony" }
    );
    println!("  log     {}\n  signer  {}", script.origin, script.signer_origin);
    match &script.root {
        Some(root) => println!(
            "  root    {} for {}, key {}",
            common_name(&root.subject, script.rehearsal),
            root.validity,
            root.algorithm
        ),
        None => println!(
            "  root    as the log holds it; its next CRL for {}",
            script.root_crl.validity
        ),
    }
    for revocation in &script.revocations {
        println!("  revokes {} ({})", revocation.serial, revocation.reason.name());
    }
    for intermediate in &script.intermediates {
        let name = common_name(&intermediate.subject, script.rehearsal);
        println!(
            "  {:<16}{name} for {}, path length {}",
            intermediate.key.as_str(),
            intermediate.validity,
            intermediate.path_length
        );
    }
    people::show("Script", &Digest::of(text.as_bytes()));
    Ok(())
}

fn common_name(subject: &stele_core::ceremony::script::SubjectScript, rehearsal: bool) -> String {
    let subject = subject.subject(rehearsal);
    subject
        .values(stele_core::names::AttributeType::CommonName)
        .collect::<Vec<_>>()
        .join(", ")
}

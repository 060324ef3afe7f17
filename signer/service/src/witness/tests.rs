use super::ask::Fault;
use super::*;

fn name(name: &str) -> WitnessName {
    name.parse().unwrap()
}

fn policy(quorum: u32) -> WitnessPolicy {
    WitnessPolicy {
        quorum,
        ca_intents: true,
        max_lag: None,
    }
}

fn fault(kind: &'static str) -> Outcome {
    Outcome::Fault(Fault {
        kind,
        words: "words that differ each time".to_owned(),
    })
}

#[test]
fn one_witness_that_claims_a_larger_log_is_not_believed() {
    let witnesses = Witnesses::default();
    witnesses.note(&name("a"), &Outcome::ClaimsLarger(9));
    assert_eq!(witnesses.believed_claims(&policy(1)), None);
    witnesses.note(&name("b"), &Outcome::ClaimsLarger(8));
    assert_eq!(witnesses.believed_claims(&policy(1)).map(|c| c.len()), Some(2));
    assert_eq!(witnesses.believed_claims(&policy(3)), None);
    witnesses.note(&name("a"), &fault("slow"));
    assert_eq!(witnesses.believed_claims(&policy(1)), None);
}

#[test]
fn a_change_is_told_once() {
    let witnesses = Witnesses::default();
    assert!(witnesses.note(&name("a"), &Outcome::Cosigned(vec![])));
    assert!(!witnesses.note(&name("a"), &Outcome::Cosigned(vec![])));
    assert!(witnesses.note(&name("a"), &fault("garbage")));
    assert!(!witnesses.note(&name("a"), &fault("garbage")));
    assert!(witnesses.note(&name("a"), &fault("slow")));
    assert!(
        witnesses
            .metrics()
            .contains("stele_witness_faults_total{witness=\"a\"} 3")
    );
    assert!(witnesses.metrics().contains("stele_witness_cosigning{witness=\"a\"} 0"));
}

#[test]
fn waiting_ends_with_the_cosignatures_or_with_patience() {
    let witnesses = std::sync::Arc::new(Witnesses::default());
    let begun = Instant::now();
    witnesses.wait_for(7, Duration::from_millis(30));
    assert!(begun.elapsed() >= Duration::from_millis(30));
    let other = witnesses.clone();
    let waiting = std::thread::spawn(move || other.wait_for(7, Duration::from_secs(60)));
    witnesses.cover(7);
    witnesses.cover(8);
    waiting.join().unwrap();
    witnesses.wait_for(7, Duration::ZERO);
}

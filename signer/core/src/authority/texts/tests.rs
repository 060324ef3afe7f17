use super::*;

const HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn approval() -> String {
    format!(
        "stele-approval-v1\norigin: stele.example/log\nrequest: r-1\nattempt: 2\nrequester: uri:spiffe://a/b\ntbs-sha256: {HASH}\n\
         profile-sha256: {HASH}\ndecision: approve\nexpires: 2026-11-22T01:22:26.000Z\n"
    )
}

fn reads_back<T: OperatorText>(text: &str) -> T {
    let parsed: T = text.parse().unwrap();
    assert_eq!(parsed.to_string(), text);
    parsed
}

#[test]
fn every_kind_reads_what_it_writes() {
    let a: ApprovalText = reads_back(&approval());
    assert_eq!((a.attempt, a.decision), (2, Decision::Approve));
    for predecessor in ["none", HASH] {
        let text = format!(
            "stele-bundle-v1\norigin: o\nnumber: 3\npredecessor: {predecessor}\nbundle-sha256: {HASH}\nexpires: 2026-11-22T01:22:26.000Z\n"
        );
        let bundle: BundleText = reads_back(&text);
        assert_eq!(bundle.predecessor.is_some(), predecessor != "none");
    }
    let plan: PlanText = reads_back(&format!(
        "stele-plan-v1\norigin: o\nplan-sha256: {HASH}\nbundle-sha256: {HASH}\nexpires: 2026-11-22T01:22:26.000Z\n\
         step: 1 root-ca {HASH}\nstep: 2 root-ca {HASH}\n"
    ));
    assert_eq!(plan.steps.len(), 2);
    let stop: StopText = reads_back(
        "stele-stop-v1\norigin: o\naction: unfreeze\ntarget: key:issuing-ca\nreason: false alarm: \u{e9}\nexpires: 2026-11-22T01:22:26.000Z\n",
    );
    assert_eq!(stop.action, StopAction::Unfreeze);
    let recovery: RecoveryText = reads_back(&format!(
        "stele-recovery-v1\norigin: o\naction: clock\ndetail-sha256: {HASH}\nexpires: 2026-11-22T01:22:26.000Z\n"
    ));
    assert_eq!(recovery.action, "clock");
    let close: CloseText = reads_back(
        "stele-close-v1\norigin: o/1\nsuccessor: o/2\nsuccessor-vkey: o/2+01020304+AQ==\nexpires: 2026-11-22T01:22:26.000Z\n",
    );
    assert_eq!(close.successor.as_str(), "o/2");
    let succession: SuccessionText = reads_back(&format!(
        "stele-succession-v1\norigin: o/2\nvkey: o/2+01020304+AQ==\nkind: discontinuity\npredecessor: o/1\nsize: 7\nroot: {HASH}\n\
         missing: all after the fire\ncarry-over-sha256: {HASH}\nexpires: 2026-11-22T01:22:26.000Z\n"
    ));
    assert_eq!((succession.kind, succession.size), (SuccessionKind::Discontinuity, 7));
    let key: KeyText = reads_back(
        "stele-key-v1\norigin: o\naction: generate\nkey: etcd-ca-2\nalgorithm: ec-p384\nspki-sha256: none\nwords: etcd CA 2\n\
         certificates: expired\nexpires: 2026-11-22T01:22:26.000Z\n",
    );
    assert_eq!((key.algorithm, key.spki_sha256), (KeyAlgorithm::EcP384, None));
}

#[test]
fn a_text_has_one_form_only() {
    let good = approval();
    for (from, to) in [
        ("stele-approval-v1", "stele-approval-v2"),
        ("stele-approval-v1", "stele-plan-v1"),
        ("attempt: 2", "attempt: 02"),
        ("attempt: 2", "attempt: +2"),
        ("attempt: 2", "attempt:  2"),
        ("attempt: 2\n", ""),
        ("attempt: 2\n", "attempt: 2\nattempt: 2\n"),
        ("attempt: 2\n", "attempt: 2\nnote: x\n"),
        ("decision: approve", "decision: Approve"),
        ("26.000Z", "26Z"),
        ("26.000Z\n", "26.000Z"),
        ("26.000Z\n", "26.000Z\n\n"),
        ("\n", "\r\n"),
        ("dns:x", "dns:X"),
        ("e3b0", "E3b0"),
    ] {
        let other = good.replace("uri:spiffe://a/b", "dns:x").replacen(from, to, 1);
        assert!(other.parse::<ApprovalText>().is_err(), "{from} -> {to}");
    }
    let swapped = good.replace("request: r-1\nattempt: 2\n", "attempt: 2\nrequest: r-1\n");
    assert!(swapped.parse::<ApprovalText>().is_err());
    let steps = format!(
        "stele-plan-v1\norigin: o\nplan-sha256: {HASH}\nbundle-sha256: {HASH}\nexpires: 2026-11-22T01:22:26.000Z\n"
    );
    for step in ["step: 2 root-ca ", "step: 1  root-ca ", "step: 1 Root "] {
        assert!(format!("{steps}{step}{HASH}\n").parse::<PlanText>().is_err(), "{step}");
    }
    assert!("x".repeat(70_000).parse::<ApprovalText>().is_err());
}

#[test]
fn a_text_counts_for_its_log_until_it_expires() {
    let text: ApprovalText = approval().parse().unwrap();
    let before = "2026-11-22T01:22:25.999Z".parse().unwrap();
    text.check(&"stele.example/log".parse().unwrap(), before).unwrap();
    assert!(text.check(&"stele.example/other".parse().unwrap(), before).is_err());
    assert!(text.check(&"stele.example/log".parse().unwrap(), text.expires).is_err());
}

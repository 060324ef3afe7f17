use super::*;
use crate::v1;

fn violation(i: usize, pad: usize) -> Violation {
    Violation::new(
        format!("wanted.sans.names[{i}].dns"),
        "san-not-permitted",
        format!("`host-{i}-{}.example.org`", "x".repeat(pad)),
        "`*.svc.cluster.local`",
    )
}

/// What the trailers really take, by tonic's own encoding.
fn trailers(status: &Status) -> usize {
    let mut map = tonic::codegen::http::HeaderMap::new();
    status.add_header(&mut map).unwrap();
    map.iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 2)
        .sum()
}

#[test]
fn a_thousand_violations_stay_below_4_kib() {
    for pad in [0, 50, 5_000] {
        let refusal = Refusal {
            violations: (0..1000).map(|i| violation(i, pad)).collect(),
        };
        let origin = "o".repeat(255).parse().unwrap();
        let status = Failure::refused(Reason::PolicyRefused, refusal)
            .recorded_at(Position {
                origin,
                index: u64::MAX,
            })
            .of_attempt("r".repeat(128).parse().unwrap(), u32::MAX)
            .retry_after(Duration::from_millis(1500))
            .to_status();
        assert!(trailers(&status) < 4096, "{pad}: {}", trailers(&status));
        assert!(trailers(&status) <= wire_size(&status), "the estimate is from above");

        let details = status.get_error_details();
        let shown = &details.bad_request().unwrap().field_violations;
        assert!(!shown.is_empty(), "{pad}: the first violation always fits");
        assert_eq!(shown[0].field, "wanted.sans.names[0].dns");
        assert_eq!(details.error_info().unwrap().metadata["violations"], "1000");
    }
}

#[test]
fn foreign_characters_cannot_swell_the_trailers() {
    // Each of these takes nine octets percent-encoded, and three in the details.
    let wide = "\u{20ac}".repeat(1000);
    let violations = vec![Violation::new(&wide, &wide, &wide, &wide); 5];
    let status = Failure::refused(Reason::PolicyRefused, Refusal { violations }).to_status();
    assert!(trailers(&status) < 4096, "{}", trailers(&status));
}

#[test]
fn details_say_what_the_failure_says() {
    let status: Status = Failure::new(Reason::RateLimited, "60 requests in a minute; permitted: 10")
        .retry_after(Duration::from_secs(3))
        .into();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "RATE_LIMITED");
    assert_eq!(details.error_info().unwrap().domain, DOMAIN);
    assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_secs(3)));
    assert!(details.bad_request().is_none());
}

#[test]
fn reasons_agree_with_the_contract_and_its_readme() {
    let readme = include_str!("../../../../proto/README.md");
    for (i, reason) in Reason::ALL.iter().enumerate() {
        let wire = v1::ErrorReason::try_from(i32::try_from(i).unwrap() + 1).unwrap();
        assert_eq!(wire.as_str_name(), format!("ERROR_REASON_{}", reason.name()));
        assert_eq!(Reason::from_name(reason.name()), Some(*reason));
        let code = screaming(&format!("{:?}", reason.code()));
        let row = format!(
            "| `{}` | `{code}` | {} | {} |",
            reason.name(),
            reason.meaning(),
            reason.remedy()
        );
        assert!(readme.contains(&row), "proto/README.md lacks:\n{row}");
    }
    assert!(v1::ErrorReason::try_from(i32::try_from(Reason::ALL.len()).unwrap() + 1).is_err());
}

#[test]
fn comments_of_the_contract_name_the_code_of_each_reason() {
    let proto = include_str!("../../../../proto/stele/v1/errors.proto");
    for reason in Reason::ALL {
        let declared = format!("  ERROR_REASON_{} =", reason.name());
        let before = proto.split(&declared).next().unwrap();
        let comment = before.rsplit(";\n").next().unwrap().trim_start();
        let code = screaming(&format!("{:?}", reason.code()));
        assert!(
            comment.starts_with(&format!("// {code}. ")),
            "{}: {comment}",
            reason.name()
        );
    }
}

fn screaming(camel: &str) -> String {
    camel.chars().fold(String::new(), |mut out, c| {
        if c.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.extend(c.to_uppercase());
        out
    })
}

#[test]
fn people_read_one_violation_per_line() {
    let refusal = Refusal {
        violations: vec![violation(0, 0), violation(1, 0)],
    };
    let status = Failure::refused(Reason::PolicyRefused, refusal)
        .recorded_at(Position {
            origin: "example.org/log".parse().unwrap(),
            index: 12,
        })
        .of_attempt("csr-1".parse().unwrap(), 2)
        .to_status();
    assert_eq!(
        explain(&status),
        "The request breaks rules of its profile. (POLICY_REFUSED)\n  \
         wanted.sans.names[0].dns [san-not-permitted]: found `host-0-.example.org`; permitted: `*.svc.cluster.local`\n  \
         wanted.sans.names[1].dns [san-not-permitted]: found `host-1-.example.org`; permitted: `*.svc.cluster.local`\n  \
         request csr-1, attempt 2\n  \
         recorded at example.org/log#12\n  \
         to mend it: The requester asks for what the profile permits, or the operators change the profile."
    );
}

#[test]
fn people_learn_how_many_violations_are_not_shown() {
    let refusal = Refusal {
        violations: (0..1000).map(|i| violation(i, 0)).collect(),
    };
    let text = explain(&Failure::malformed(refusal).to_status());
    let shown = text.lines().filter(|l| l.contains("[san-not-permitted]")).count();
    assert!(
        text.contains(&format!("... and {} more violations", 1000 - shown)),
        "{text}"
    );
}

#[test]
fn a_hostile_or_foreign_status_is_still_safe_text() {
    let foreign = Status::unavailable("tcp connect error\x1b[2J\r\nfake line");
    let text = explain(&foreign);
    assert!(
        !text.contains('\x1b') && !text.contains('\n') && !text.contains('\r'),
        "{text}"
    );
    assert!(text.contains("tcp connect error"));

    let garbage = Status::with_details(tonic::Code::Internal, "x", vec![0xff; 64].into());
    assert!(explain(&garbage).starts_with("x (Internal"));
}

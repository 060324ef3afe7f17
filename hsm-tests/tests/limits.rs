//! The limits of the running service: what is too much is refused with RESOURCE_EXHAUSTED, and with when to come again
//! where coming again helps.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a surprise ends the test"
)]

use std::time::Duration;

use stele_api::convert::SignAnswer;
use stele_api::status::Reason;
use stele_api::v1;
use stele_hsm_tests::service::Service;
use stele_hsm_tests::service_client::{intermediate, leaf, reason, runtime, sign, sign_persistently};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// The refusal's reason, and after which delay it says to come again.
fn exhausted(status: &Status) -> (Option<Reason>, Option<Duration>) {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    (
        reason(status),
        status.get_details_retry_info().and_then(|info| info.retry_delay),
    )
}

#[test]
fn requests_that_wait_for_operators_are_counted() {
    let mut service = Service::new();
    service.write_config("[limits]\nopen_requests = 3\n");
    service.start();
    runtime().block_on(async {
        let caller = service.channel("caller");
        // Twelve at once, for three places.
        let calls: Vec<_> = (0..12)
            .map(|n| {
                let (caller, request) = (caller.clone(), intermediate(&format!("open-{n}")));
                tokio::spawn(async move { sign(&caller, request).await })
            })
            .collect();
        let mut open = 0;
        for call in calls {
            match call.await.unwrap() {
                Ok(SignAnswer::Pending(_)) => open += 1,
                Ok(other) => panic!("{other:?}"),
                Err(status) => {
                    let (why, delay) = exhausted(&status);
                    assert_eq!(why, Some(Reason::TooManyOpenRequests));
                    assert!(delay.is_some_and(|d| d >= Duration::from_secs(1)), "{delay:?}");
                }
            }
        }
        assert_eq!(open, 3);
        // What needs nobody is not held up, and another caller has room of its own.
        sign_persistently(&caller, &leaf("not-open")).await;
        assert!(matches!(
            sign(&service.channel("operator"), intermediate("mine")).await,
            Ok(SignAnswer::Pending(_))
        ));
    });
}

#[test]
fn one_caller_asks_as_often_as_the_profile_says() {
    let service = Service::started();
    let path = service.path("authority/profiles/kube-apiserver-serving.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}\n[rate]\nper_minute = 30\nburst = 2\n")).unwrap();
    service.adopt_next_bundle("olga");
    runtime().block_on(async {
        let caller = service.channel("caller");
        let mut delay = None;
        for n in 0..6 {
            if let Err(status) = sign(&caller, leaf(&format!("often-{n}"))).await {
                let (why, after) = exhausted(&status);
                assert_eq!(why, Some(Reason::RateLimited));
                delay = after;
            }
        }
        let delay = delay.expect("six at once are more than two, and the refusal says when to come again");
        assert!(delay <= Duration::from_secs(3), "{delay:?}");
        tokio::time::sleep(delay).await;
        sign_persistently(&caller, &leaf("patient")).await;
    });
}

#[test]
fn a_message_beyond_the_limit_is_refused_whole() {
    let mut service = Service::new();
    service.write_config("");
    let config = service.path("signer/signer.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("[http]", "max_message_bytes = 65536\n[http]")).unwrap();
    service.start();
    runtime().block_on(async {
        let caller = service.channel("caller");
        let mut request = leaf("large");
        request.key_proof = Some(v1::KeyProof {
            proof: Some(v1::key_proof::Proof::Pkcs10Der(vec![0x30; 100_000])),
        });
        let status = sign(&caller, request.clone()).await.expect_err("too large");
        // Coming again would not help.
        assert_eq!(exhausted(&status), (Some(Reason::MessageTooLarge), None));
        request.key_proof = Some(v1::KeyProof {
            proof: Some(v1::key_proof::Proof::Pkcs10Der(vec![0x30; 60_000])),
        });
        let status = sign(&caller, request).await.expect_err("no CSR");
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        sign_persistently(&caller, &leaf("small")).await;
    });
}

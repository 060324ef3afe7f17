//! Every look-up, over logs of real records.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod log;

use log::*;
use stele_core::record::*;
use stele_core::types::*;
use stele_index::*;

fn filled(fill: impl FnOnce(&mut Log)) -> (tempfile::TempDir, Reader, Log) {
    let dir = tempfile::tempdir().unwrap();
    let mut log = Log::default();
    fill(&mut log);
    let (_, reader) = log.index(&dir.path().join("index"));
    (dir, reader, log)
}

fn view(reader: &Reader, id: &str) -> RequestView {
    reader.request(&caller(1), &parse(id)).unwrap().unwrap()
}

#[test]
fn a_refusal_does_not_burn_the_id() {
    let (_dir, reader, _) = filled(|log| {
        log.push(refusal(&request(1, "a", 0, 1)));
        log.push(refusal(&request(1, "a", 0, 2)));
        log.push(refusal(&request(1, "b", 0, 1)));
        log.push(intent(request(1, "b", 1, 2), Purpose::Leaf, Some(1)));
        // Another digest is refused, and changes nothing.
        log.push(refusal(&request(1, "b", 0, 3)));
    });
    let a = view(&reader, "a");
    assert_eq!(
        (a.is_bound(), a.digest, a.state),
        (false, Digest([2; 32]), State::Refused { refusal: 1 })
    );
    let b = view(&reader, "b");
    assert_eq!(
        (b.is_bound(), b.digest, b.state),
        (true, Digest([2; 32]), State::Intended { intent: 3 })
    );
    assert!(reader.request(&caller(2), &parse("a")).unwrap().is_none());
    assert!(reader.anomalies(None, 10).unwrap().items.is_empty());
}

#[test]
fn a_proposal_gathers_decisions_until_it_ends() {
    let (_dir, reader, _) = filled(|log| {
        let waiting = log.push(proposal(request(1, "waiting", 1, 1), 1));
        log.push(decision(waiting, "alice", true));
        let denied = log.push(proposal(request(1, "denied", 1, 1), 2));
        log.push(decision(denied, "bob", false));
        log.push(withdrawal(denied));
        let withdrawn = log.push(proposal(request(1, "withdrawn", 1, 1), 3));
        log.push(withdrawal(withdrawn));
        log.push(decision(withdrawn, "bob", false));
    });
    let State::Pending(waiting) = view(&reader, "waiting").state else {
        panic!("not pending")
    };
    assert_eq!(
        (waiting.index, waiting.need.m, waiting.expires),
        (0, 2, Time::from_secs(START + 600))
    );
    let decided: Vec<_> = waiting
        .decisions
        .iter()
        .map(|d| (d.index, d.operator.as_str(), d.approve))
        .collect();
    assert_eq!(decided, [(1, "alice", true)]);
    assert_eq!(waiting.decisions[0].text, signed_text());
    assert_eq!(
        view(&reader, "denied").state,
        State::Denied {
            proposal: 2,
            decision: 3
        }
    );
    assert_eq!(
        view(&reader, "withdrawn").state,
        State::Withdrawn {
            proposal: 5,
            withdrawal: 6
        }
    );
    let proposed = reader.proposal(5).unwrap().unwrap();
    assert_eq!(proposed.request, request(1, "withdrawn", 1, 1));
    assert_eq!(proposed.proposal.decisions.len(), 1);
    assert!(reader.proposal(6).unwrap().is_none());
    assert!(reader.proposal(u64::MAX).unwrap().is_none());
}

#[test]
fn attempts_follow_each_other_to_the_certificate() {
    let der = certificate(3, "web", &["dns:web.example.org", "ip:192.0.2.1"]);
    let mut log = Log::default();
    let dir = tempfile::tempdir().unwrap();
    let (mut index, reader) = log.index(&dir.path().join("index"));
    let mut after = |log: &mut Log, body| {
        log.push(body);
        index.apply(&log.records).unwrap();
        view(&reader, "r")
    };
    after(&mut log, intent(request(1, "r", 1, 1), Purpose::Leaf, Some(1)));
    assert_eq!(reader.open_intents().unwrap()[0].serial, Some(serial(1)));
    let seen = after(&mut log, unknown(0, Some(1)));
    assert_eq!(seen.state, State::Unknown { intent: 0, outcome: 1 });
    assert_eq!((seen.attempt, seen.intent), (1, Some(0)));
    let seen = after(&mut log, refusal(&request(1, "r", 0, 1)));
    assert_eq!(
        (seen.state, seen.attempt, seen.intent),
        (State::Refused { refusal: 2 }, 1, Some(0))
    );
    after(&mut log, intent(request(1, "r", 2, 1), Purpose::Leaf, Some(2)));
    assert_eq!(
        after(&mut log, failed(3)).state,
        State::Failed { intent: 3, outcome: 4 }
    );
    after(&mut log, intent(request(1, "r", 3, 1), Purpose::Leaf, Some(3)));
    let signed = Payload::Inline(B64(der.clone()));
    let seen = after(
        &mut log,
        issued(5, request(1, "r", 3, 1), Purpose::Leaf, Some(serial(3)), &der, signed),
    );
    let state = State::Issued {
        intent: 5,
        outcome: 6,
        key: key(),
        serial: Some(serial(3)),
    };
    assert_eq!((seen.state, seen.attempt, seen.first, seen.last), (state, 3, 0, 6));
    assert!(reader.open_intents().unwrap().is_empty());
    let unknown: Vec<_> = reader
        .unknown()
        .unwrap()
        .into_iter()
        .map(|i| (i.index, i.attempt))
        .collect();
    assert_eq!(unknown, [(0, 1)]);
    let found = reader.certificate(&key(), &serial(3)).unwrap().unwrap();
    assert_eq!(
        (found.index, &found.der, found.not_after),
        (6, &der, Time::from_secs(START + 3600))
    );
    assert!(reader.certificate(&key(), &serial(1)).unwrap().is_none());
    let history = reader
        .find(
            &Filter {
                request: Some(parse("r")),
                caller: Some(caller(1)),
                ..Filter::default()
            },
            None,
            100,
        )
        .unwrap();
    assert_eq!(
        history.items.iter().map(|r| r.index).collect::<Vec<_>>(),
        [0, 1, 2, 3, 4, 5, 6]
    );
    assert!(history.items.iter().all(|r| r.profile == Some(profile().name)));
}

#[test]
fn contradictions_are_noted_and_change_nothing() {
    let (_dir, reader, _) = filled(|log| {
        log.push(intent(request(1, "r", 2, 1), Purpose::Leaf, Some(1)));
        log.push(intent(request(1, "r", 3, 2), Purpose::Leaf, Some(2)));
        log.push(intent(request(1, "r", 1, 1), Purpose::Leaf, Some(3)));
        log.push(failed(0));
        log.push(unknown(0, Some(1)));
        log.push(failed(99));
        log.push(decision(u64::MAX, "alice", true));
        let missing = Payload::Chunks {
            sha256: Digest([0; 32]),
            length: 1,
            at: vec![u64::MAX],
        };
        log.push(issued(1, request(1, "r", 3, 2), Purpose::Crl, None, b"", missing));
    });
    let seen = view(&reader, "r");
    assert_eq!(
        (seen.attempt, seen.digest, seen.state),
        (2, Digest([1; 32]), State::Failed { intent: 0, outcome: 3 })
    );
    let odd: Vec<_> = reader
        .anomalies(None, 100)
        .unwrap()
        .items
        .into_iter()
        .map(|a| a.index)
        .collect();
    assert_eq!(odd, [1, 2, 4, 5, 6, 7]);
    // The odd intents still count as intents.
    assert_eq!(
        reader
            .open_intents()
            .unwrap()
            .iter()
            .map(|i| i.index)
            .collect::<Vec<_>>(),
        [2]
    );
    assert!(reader.crl(&key()).unwrap().is_none());
}

#[test]
fn requests_are_listed_by_page_and_filter() {
    let (_dir, reader, _) = filled(|log| {
        for n in 0..7u8 {
            log.push(proposal(request(n % 2, &format!("r{n}"), 1, 1), n));
        }
        log.push(withdrawal(0));
        log.push(intent(request(0, "crl", 1, 1), Purpose::Crl, None));
    });
    let firsts = |filter: &RequestFilter, after, limit| {
        let page = reader.list_requests(filter, after, limit).unwrap();
        (page.items.iter().map(|r| r.first).collect::<Vec<_>>(), page.next)
    };
    let all = RequestFilter::default();
    assert_eq!(firsts(&all, None, 5), (vec![0, 1, 2, 3, 4], Some(4)));
    assert_eq!(firsts(&all, Some(4), 5), (vec![5, 6, 8], None));
    assert_eq!(firsts(&all, Some(u64::MAX), 5), (vec![], None));
    let newest = |before, limit| {
        let page = reader.newest_requests(&all, before, limit).unwrap();
        (page.items.iter().map(|r| r.first).collect::<Vec<_>>(), page.next)
    };
    assert_eq!(newest(None, 3), (vec![8, 6, 5], Some(5)));
    assert_eq!(newest(Some(5), 5), (vec![4, 3, 2, 1, 0], None));
    assert_eq!(newest(Some(0), 5), (vec![], None));
    let pending = RequestFilter {
        caller: Some(caller(0)),
        state: Some(StateKind::Pending),
        profile: None,
    };
    assert_eq!(firsts(&pending, None, 2), (vec![2, 4], Some(4)));
    assert_eq!(firsts(&pending, Some(4), 2), (vec![6], None));
    let profiled = RequestFilter {
        profile: Some(profile().name),
        ..RequestFilter::default()
    };
    assert_eq!(firsts(&profiled, None, 100).0.len(), 7);
}

#[test]
fn records_are_found_by_what_they_hold() {
    let (_dir, reader, log) = filled(|log| {
        for n in 1..=3u8 {
            let asked = request(n, "r", 1, n);
            let at = log.push(intent(asked.clone(), Purpose::Leaf, Some(n)));
            let der = certificate(
                n,
                if n < 3 { "web" } else { "db" },
                &["dns:a.example.org", "uri:spiffe://x/y"],
            );
            log.issue(at, asked, &der, n);
        }
        log.push(revocation(2, Reason::KeyCompromise));
    });
    let found = |filter: Filter| {
        let page = reader.find(&filter, None, 100).unwrap();
        let forward = page.items.into_iter().map(|r| r.index).collect::<Vec<_>>();
        let mut back = reader.find_newest(&filter, None, 100).unwrap().items;
        back.reverse();
        assert_eq!(back.into_iter().map(|r| r.index).collect::<Vec<_>>(), forward);
        forward
    };
    let web = subject_text(&subject("web"));
    assert_eq!(web, "O=Example\\, Inc,CN=web");
    assert_eq!(
        found(Filter {
            name: Some(Name::Subject(web.clone())),
            ..Filter::default()
        }),
        [1, 3]
    );
    let san = |text: &str| Some(Name::San(parse(text)));
    assert_eq!(
        found(Filter {
            name: san("uri:spiffe://x/y"),
            ..Filter::default()
        }),
        [1, 3, 5]
    );
    assert_eq!(
        found(Filter {
            name: san("dns:a.example.org"),
            caller: Some(caller(3)),
            ..Filter::default()
        }),
        [5]
    );
    assert_eq!(
        found(Filter {
            name: san("dns:b.example.org"),
            ..Filter::default()
        }),
        [0u64; 0]
    );
    assert_eq!(
        found(Filter {
            serial: Some(serial(2)),
            ..Filter::default()
        }),
        [2, 3, 6]
    );
    assert_eq!(
        found(Filter {
            serial: Some(serial(2)),
            key: Some(parse("other")),
            ..Filter::default()
        }),
        [0u64; 0]
    );
    assert_eq!(
        found(Filter {
            kind: Some("issued".into()),
            ..Filter::default()
        }),
        [1, 3, 5]
    );
    assert_eq!(
        found(Filter {
            profile: Some(profile().name),
            ..Filter::default()
        }),
        [0, 1, 2, 3, 4, 5]
    );
    let (from, until) = (Some(log.time(2)), Some(log.time(4)));
    assert_eq!(
        found(Filter {
            from,
            until,
            ..Filter::default()
        }),
        [2, 3]
    );
    assert_eq!(
        found(Filter {
            from: Some(log.time(6).plus_secs(1)),
            ..Filter::default()
        }),
        [0u64; 0]
    );
    let page = reader
        .find(
            &Filter {
                key: Some(key()),
                ..Filter::default()
            },
            Some(1),
            2,
        )
        .unwrap();
    assert_eq!((page.items.len(), page.next), (2, Some(3)));
    let newest = reader.newest_certificate(&Name::Subject(web)).unwrap().unwrap();
    assert_eq!((newest.index, newest.serial), (3, serial(2)));
}

#[test]
fn crls_come_whole_and_never_go_back() {
    let (large, small) = (crl(5, 4_000), crl(4, 0));
    assert!(large.len() > MAX_INLINE);
    let (_dir, reader, log) = filled(|log| {
        let at = log.push(intent(request(1, "crl-5", 1, 1), Purpose::Crl, None));
        let signed = log.payload(&large);
        log.push(issued(
            at,
            request(1, "crl-5", 1, 1),
            Purpose::Crl,
            None,
            &large,
            signed,
        ));
        let older = log.payload(&small);
        log.push(ca_certificate(
            "issuing-ca",
            certificate(1, "ca", &[]),
            vec![B64(vec![1])],
            Some(older),
        ));
        let of_root = log.payload(&small);
        log.push(ca_certificate(
            "root",
            certificate(2, "root", &[]),
            vec![],
            Some(of_root),
        ));
    });
    let newest = reader.crl(&key()).unwrap().unwrap();
    assert_eq!((newest.number, newest.der), (5, large));
    assert_eq!(newest.index, log.records.len() as u64 - 3);
    assert_eq!(reader.crl(&parse("root")).unwrap().unwrap().number, 4);
    let root = reader.root().unwrap().unwrap();
    assert_eq!(root.ca.key.as_str(), "root");
    assert_eq!(reader.ca(&key()).unwrap().unwrap().ca.chain, [B64(vec![1])]);
    assert!(reader.ca(&parse("other")).unwrap().is_none());
    assert_eq!(reader.all_cas().unwrap().len(), 2);
    assert!(reader.anomalies(None, 10).unwrap().items.is_empty());
}

#[test]
fn a_crl_must_list_what_is_revoked_or_unknown() {
    let (_dir, reader, log) = filled(|log| {
        for n in 1..=3u8 {
            let at = log.push(intent(request(1, &format!("r{n}"), 1, 1), Purpose::Leaf, Some(n)));
            log.push(unknown(at, Some(n)));
        }
        log.push(revocation(2, Reason::Superseded));
        log.push(revocation(2, Reason::KeyCompromise));
        log.push(revocation(9, Reason::Unspecified));
    });
    let listed = |secs| {
        let listed = reader.listed(&key(), Time::from_secs(START + secs)).unwrap();
        listed
            .into_iter()
            .map(|l| (l.serial, l.index, l.reason))
            .collect::<Vec<_>>()
    };
    let expected = [
        (serial(1), 1, None),
        (serial(3), 5, None),
        (serial(2), 6, Some(Reason::Superseded)),
        (serial(9), 8, Some(Reason::Unspecified)),
    ];
    assert_eq!(listed(3600), expected);
    assert_eq!(listed(3601), []);
    let first = reader.revoked(&key(), &serial(2)).unwrap().unwrap();
    assert_eq!((first.index, first.time), (6, log.time(6)));
    assert!(reader.revoked(&parse("other"), &serial(2)).unwrap().is_none());
}

#[test]
fn freezes_hold_until_they_are_lifted() {
    let issuer = FreezeTarget::Issuer(key());
    let profile = FreezeTarget::Profile(profile().name);
    let (_dir, reader, _) = filled(|log| {
        log.push(freeze(issuer.clone()));
        log.push(freeze(profile.clone()));
        log.push(freeze(issuer.clone()));
        log.push(unfreeze(profile.clone()));
    });
    assert_eq!(
        reader.frozen().unwrap(),
        [Frozen {
            target: issuer.clone(),
            index: 0
        }]
    );
    assert_eq!(reader.is_frozen(&issuer).unwrap(), Some(0));
    assert_eq!(reader.is_frozen(&profile).unwrap(), None);
}

#[test]
fn the_newest_bundle_counts_even_when_it_does_not_read() {
    let whole = vec![b'x'; 3 * MAX_INLINE];
    let mut log = Log::default();
    let payload = log.payload(&whole);
    let at = log.push(bundle(u64::MAX, &whole, payload));
    let dir = tempfile::tempdir().unwrap();
    let (mut index, reader) = log.index(&dir.path().join("index"));
    let newest = reader.newest_bundle().unwrap().unwrap();
    assert_eq!((newest.index, newest.number, newest.bytes), (at, u64::MAX, whole));
    log.push(bundle(3, b"other", Payload::Inline(B64(b"not other".to_vec()))));
    index.apply(&log.records).unwrap();
    let error = reader.newest_bundle().unwrap_err();
    assert!(
        matches!(error, IndexError::BundleUnreadable { index: 4, .. }),
        "{error}"
    );
    assert_eq!(reader.anomalies(None, 10).unwrap().items[0].index, 4);
}

/// Every page of what `page` finds, from the one that begins at `None` on.
fn pages<T>(page: impl Fn(Option<u64>) -> Page<T>) -> Vec<T> {
    let (mut all, mut next) = (Vec::new(), None);
    loop {
        let found = page(next);
        all.extend(found.items);
        next = found.next;
        if next.is_none() {
            return all;
        }
    }
}

/// What is found through blocks is what a walk through everything finds, in either direction and on every page.
#[test]
fn values_that_occur_often_are_found_wherever_they_are() {
    let (_dir, reader, _) = filled(|log| {
        for n in 0..1500u32 {
            // The third caller is in few blocks.
            let who = if n % 600 < 10 { 2 } else { u8::from(n % 3 == 0) };
            let asked = request(who, &format!("r{n}"), 1, 1);
            let at = match n % 4 {
                0 => log.push(intent(asked, Purpose::Crl, None)),
                _ => log.push(intent(asked, Purpose::Leaf, Some(1))),
            };
            if n % 7 == 0 {
                let reason = String::new();
                log.push(Body::Failed(Failed { intent: at, reason }));
            }
        }
    });
    let all = pages(|after| reader.find(&Filter::default(), after, 1000).unwrap());
    assert_eq!(all.len(), 1715);
    let callers = [None, Some(caller(0)), Some(caller(1)), Some(caller(2)), Some(caller(9))];
    let kinds = [None, Some("intent"), Some("failed"), Some("issued")];
    let profiles = [None, Some(profile().name), Some(parse("another"))];
    let times = [(None, None), (Some(700), Some(1400)), (Some(5000), None)];
    for ((caller, kind), (profile, (from, until))) in
        callers.iter().flat_map(|c| kinds.map(|k| (c, k))).flat_map(|ck| {
            profiles
                .iter()
                .flat_map(|p| times.map(|t| (p, t)))
                .map(move |pt| (ck, pt))
        })
    {
        let at = |seconds: Option<u64>| seconds.map(|s| Time::from_secs(START + s));
        let filter = Filter {
            caller: caller.clone(),
            kind: kind.map(str::to_owned),
            profile: profile.clone(),
            key: kind.map(|_| key()),
            from: at(from),
            until: at(until),
            ..Filter::default()
        };
        let mut expected: Vec<u64> = all
            .iter()
            .filter(|r| filter.caller.is_none() || r.caller == filter.caller)
            .filter(|r| filter.kind.as_ref().is_none_or(|k| r.kind == *k))
            .filter(|r| filter.profile.is_none() || r.profile == filter.profile)
            .filter(|r| filter.key.is_none() || r.key == filter.key)
            .filter(|r| filter.from.is_none_or(|t| r.time >= t) && filter.until.is_none_or(|t| r.time < t))
            .map(|r| r.index)
            .collect();
        let found = pages(|after| reader.find(&filter, after, 100).unwrap());
        assert_eq!(
            found.iter().map(|r| r.index).collect::<Vec<_>>(),
            expected,
            "{filter:?}"
        );
        let newest = pages(|before| reader.find_newest(&filter, before, 100).unwrap());
        expected.reverse();
        assert_eq!(
            newest.iter().map(|r| r.index).collect::<Vec<_>>(),
            expected,
            "{filter:?}"
        );
    }
    let requests = pages(|after| reader.list_requests(&RequestFilter::default(), after, 1000).unwrap());
    for (caller, state) in callers
        .iter()
        .flat_map(|c| [None, Some(StateKind::Intended), Some(StateKind::Issued)].map(|s| (c, s)))
    {
        let filter = RequestFilter {
            caller: caller.clone(),
            state,
            profile: state.map(|_| profile().name),
        };
        let fits = |r: &&RequestView| {
            (caller.is_none() || Some(&r.caller) == caller.as_ref())
                && (filter.profile.is_none() || r.profile == filter.profile)
                && match state {
                    None => true,
                    Some(StateKind::Intended) => matches!(r.state, State::Intended { .. }),
                    Some(_) => false,
                }
        };
        let mut expected: Vec<u64> = requests.iter().filter(fits).map(|r| r.first).collect();
        let found = pages(|after| reader.list_requests(&filter, after, 100).unwrap());
        assert_eq!(
            found.iter().map(|r| r.first).collect::<Vec<_>>(),
            expected,
            "{filter:?}"
        );
        let newest = pages(|before| reader.newest_requests(&filter, before, 100).unwrap());
        expected.reverse();
        assert_eq!(
            newest.iter().map(|r| r.first).collect::<Vec<_>>(),
            expected,
            "{filter:?}"
        );
    }
}

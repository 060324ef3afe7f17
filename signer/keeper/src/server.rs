//! The socket: one thread a connection, peer credentials checked before the first byte is read.

use std::io::{self, BufReader};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use stele_core::checkpoint::TilePath;
use stele_core::checkpoint::tile::TileKind;
use stele_core::types::SignedText;
use stele_keeper_client::frame;
use stele_keeper_client::protocol::{self as wire, Answer, Ask, Empty, PROTOCOL, Reply, Request};

use crate::config::Config;
use crate::connections::Connections;
use crate::error::KeeperError;
use crate::examine::Asker;
use crate::keeper::Keeper;

/// The most bytes of entries in one answer.
const PAGE_BYTES: usize = 512 * 1024;
/// Entries that are read with one query. With one entry above [`PAGE_BYTES`] an answer stays below the largest frame.
const READ_AT_ONCE: u64 = 7;
/// The most random bytes in one answer.
const MAX_RANDOM: u32 = 1024;
/// How often what a failing disk left undone is tried again.
const MEND_EVERY: Duration = Duration::from_millis(500);
/// How often the accepting thread looks whether it should end.
const ACCEPT_POLL: Duration = Duration::from_millis(50);

/// Listens until `ending`, then waits for the calls under way.
///
/// # Errors
/// When the socket cannot be made.
pub(crate) fn serve(keeper: &Arc<Keeper>, config: &Config, ending: &AtomicBool) -> Result<(), KeeperError> {
    let listener = listen(&config.socket)?;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ending.load(Ordering::Relaxed) {
                std::thread::sleep(MEND_EVERY);
                keeper.mend();
            }
        });
        accept(keeper, config, &listener, ending);
    });
    let _ = std::fs::remove_file(&config.socket);
    Ok(())
}

fn accept(keeper: &Arc<Keeper>, config: &Config, listener: &UnixListener, ending: &AtomicBool) {
    while !ending.load(Ordering::Relaxed) {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                std::thread::sleep(ACCEPT_POLL);
                continue;
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                std::thread::sleep(ACCEPT_POLL);
                continue;
            }
        };
        if !permitted(&stream, &config.allowed_users) || keeper.connections.count() >= config.limits.connections {
            continue;
        }
        let connection = Connections::begin(keeper, stream);
        let (number, keeper) = (connection.number, keeper.clone());
        let spawned = std::thread::Builder::new()
            .name(format!("connection-{number}"))
            .spawn(move || {
                if let Err(error) = converse(&keeper, &connection.stream, number) {
                    tracing::debug!(connection = number, %error, "a connection ended");
                }
            });
        if let Err(error) = spawned {
            tracing::warn!(%error, "no thread for a connection");
        }
    }
}

fn listen(path: &Path) -> Result<UnixListener, KeeperError> {
    // The log's lock is held by now, so a socket that lies here is a left-over of a keeper that is gone.
    match std::fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(KeeperError::file(path, cause)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(|cause| KeeperError::file(path, cause))?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o660);
    std::fs::set_permissions(path, mode).map_err(|cause| KeeperError::file(path, cause))?;
    listener
        .set_nonblocking(true)
        .map_err(|cause| KeeperError::file(path, cause))?;
    Ok(listener)
}

/// Whether the peer's user may connect (SO_PEERCRED).
fn permitted(stream: &UnixStream, users: &[u32]) -> bool {
    match rustix::net::sockopt::socket_peercred(stream) {
        Ok(peer) => {
            let uid = peer.uid.as_raw();
            let permitted = uid == rustix::process::geteuid().as_raw() || users.contains(&uid);
            if !permitted {
                tracing::warn!(uid, "a user who is not in allowed_users was turned away");
            }
            permitted
        }
        Err(error) => {
            tracing::warn!(%error, "a peer without credentials was turned away");
            false
        }
    }
}

fn converse(keeper: &Keeper, stream: &UnixStream, number: u64) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(Duration::from_secs(30)))?;
    let mut greeted = false;
    let (mut asked, mut stream) = (BufReader::with_capacity(frame::BUFFER, stream), stream);
    while let Some(request) = frame::read::<Request>(&mut asked)? {
        let answer = match request.ask {
            Some(Ask::Hello(hello)) if hello.protocol == PROTOCOL => {
                greeted = true;
                Ok(Answer::Welcome(keeper.connections.name(number)))
            }
            Some(Ask::Hello(hello)) => Err(KeeperError::refused(format!(
                "protocol {}: this keeper speaks {PROTOCOL}; run signer and keeper of the same release",
                hello.protocol
            ))),
            Some(ask) if greeted => answer(keeper, ask, number),
            Some(_) => Err(KeeperError::refused("the first message of a connection is Hello")),
            None => Err(KeeperError::refused("a request that asks nothing this keeper knows")),
        };
        let reply = Reply {
            answer: Some(answer.unwrap_or_else(|error| Answer::Refused(refused(&error)))),
        };
        frame::write(&mut stream, &reply)?;
    }
    Ok(())
}

fn refused(error: &KeeperError) -> wire::Refused {
    wire::Refused {
        code: error.code() as u32,
        message: error.to_string(),
    }
}

/// Appends an intent; when that is durable, signs it.
fn intended(keeper: &Keeper, intend: wire::Intend, asker: Asker) -> Result<wire::Intended, KeeperError> {
    let written = keeper.append_intent(intend.body, asker)?;
    let signed = keeper.sign(written.at.index, patience(intend.deadline_millis));
    let (signature, refused) = match signed {
        Ok(signature) => (signature, None),
        Err(error) => (Vec::new(), Some(refused(&error))),
    };
    Ok(wire::Intended {
        index: written.at.index,
        time_millis: written.at.time.millis(),
        record: written.record,
        signature,
        refused,
    })
}

/// How long a signature waits for the token, whatever the caller would wait.
fn patience(millis: u64) -> Duration {
    Duration::from_millis(millis.min(30_000))
}

fn answer(keeper: &Keeper, ask: Ask, number: u64) -> Result<Answer, KeeperError> {
    let asker = Asker::Connection(number);
    Ok(match ask {
        Ask::Hello(_) => Answer::Done(Empty {}),
        Ask::Append(append) => {
            let at = keeper.append_encoded(append.body, asker)?.at;
            Answer::Appended(wire::Appended {
                index: at.index,
                time_millis: at.time.millis(),
            })
        }
        Ask::Sign(sign) => Answer::Signed(wire::Bytes {
            bytes: keeper.sign(sign.index, patience(sign.deadline_millis))?,
        }),
        Ask::Intend(intend) => Answer::Intended(intended(keeper, intend, asker)?),
        Ask::End(name) => {
            keeper.connections.end(&name, number)?;
            Answer::Done(Empty {})
        }
        Ask::Commit(outcome) => {
            let done = keeper.commit_encoded(outcome.body, asker)?;
            let proof = done.proof.into_iter().map(|h| h.to_vec()).collect();
            Answer::Committed(wire::Committed {
                index: done.index,
                time_millis: done.time.millis(),
                record: done.record,
                checkpoint: done.checkpoint,
                proof,
            })
        }
        Ask::Checkpoint(_) => Answer::Bytes(wire::Bytes {
            bytes: keeper.checkpoint()?.into_bytes(),
        }),
        Ask::Published(_) => Answer::Bytes(wire::Bytes {
            bytes: keeper.published()?.into_bytes(),
        }),
        Ask::Cosigned(note) => {
            keeper.cosigned(&note.note)?;
            Answer::Done(Empty {})
        }
        Ask::Seen(note) => {
            keeper.seen(&note.note)?;
            Answer::Done(Empty {})
        }
        Ask::Read(read) => Answer::List(wire::List {
            items: page(keeper, read)?,
        }),
        Ask::Inclusion(q) => {
            let hashes = keeper
                .readers
                .with(|r| r.inclusion_proof(q.index, q.size).map_err(KeeperError::from))?;
            Answer::List(wire::List {
                items: hashes.into_iter().map(|h| h.0.to_vec()).collect(),
            })
        }
        Ask::Consistency(q) => {
            let hashes = keeper
                .readers
                .with(|r| r.consistency_proof(q.old, q.new).map_err(KeeperError::from))?;
            Answer::List(wire::List {
                items: hashes.into_iter().map(|h| h.0.to_vec()).collect(),
            })
        }
        Ask::Tile(tile) => Answer::Bytes(wire::Bytes {
            bytes: hash_tile(keeper, tile)?,
        }),
        Ask::Random(random) if random.length <= MAX_RANDOM => Answer::Bytes(wire::Bytes {
            bytes: keeper.random(random.length)?,
        }),
        Ask::Random(_) => {
            return Err(KeeperError::refused(format!(
                "at most {MAX_RANDOM} random bytes at a time"
            )));
        }
        Ask::Status(_) => Answer::Status(status(keeper)),
        Ask::GiveUp(give_up) => {
            keeper.unknown(give_up.index, &give_up.reason)?;
            Answer::Done(Empty {})
        }
        Ask::CrlState(query) => crl_state(keeper, &query)?,
        Ask::Key(order) => {
            let texts = order.texts.into_iter();
            let signed = texts.map(|t| SignedText {
                text: t.text,
                signature: t.signature,
            });
            let done = crate::key_order::carry_out(keeper, signed.collect())?;
            Answer::KeyDone(wire::KeyDone {
                index: done.index,
                csr: done.csr.unwrap_or_default(),
            })
        }
        Ask::Probe(_) => {
            keeper.probe()?;
            Answer::Done(Empty {})
        }
    })
}

fn page(keeper: &Keeper, read: wire::Read) -> Result<Vec<Vec<u8>>, KeeperError> {
    let end = read.start.saturating_add(read.count.min(256).into()).min(keeper.size());
    let mut items = Vec::new();
    let mut bytes = 0;
    keeper.readers.with(|r| {
        let mut next = read.start;
        while next < end && bytes <= PAGE_BYTES {
            let some = r.entries(next..end.min(next + READ_AT_ONCE))?;
            next += some.len() as u64;
            bytes += some.iter().map(Vec::len).sum::<usize>();
            items.extend(some);
        }
        Ok::<(), KeeperError>(())
    })?;
    Ok(items)
}

fn hash_tile(keeper: &Keeper, tile: wire::Tile) -> Result<Vec<u8>, KeeperError> {
    let out_of_range = |_| KeeperError::refused("tile: level 0 to 63 and width 1 to 256");
    let level = u8::try_from(tile.level).map_err(out_of_range)?;
    let width = u16::try_from(tile.width).map_err(out_of_range)?;
    let path = TilePath::new(TileKind::Hashes(level), tile.number, width)?;
    keeper.readers.with(|r| r.tile(&path).map_err(KeeperError::from))
}

fn status(keeper: &Keeper) -> wire::Status {
    wire::Status {
        origin: keeper.genesis.origin.to_string(),
        vkey: keeper.genesis.vkey.clone(),
        size: keeper.size(),
        instance: keeper.instance.clone(),
        keys: keeper
            .ca_keys()
            .into_iter()
            .map(|k| wire::Key {
                name: k.name.to_string(),
                spki: k.spki_der,
            })
            .collect(),
        bundle_index_plus_one: keeper.bundle_index().map_or(0, |i| i + 1),
        stopped: keeper
            .stopped()
            .map(|stop| stop.why().to_owned())
            .or_else(|| keeper.unwitnessed())
            .unwrap_or_default(),
    }
}

fn crl_state(keeper: &Keeper, query: &wire::CrlQuery) -> Result<Answer, KeeperError> {
    let (next_number, gone) = keeper.crl_state(&query.key.parse()?)?;
    let entries = gone
        .into_iter()
        .map(|(serial, gone)| wire::RevokedSerial {
            serial: serial.as_bytes().to_vec(),
            time_millis: gone.time.millis(),
            reason: gone.reason.into(),
        })
        .collect();
    Ok(Answer::CrlState(wire::CrlState { next_number, entries }))
}

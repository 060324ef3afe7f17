//! The CAs of a log as a tree, and the tree as a picture.

use stele_core::names::{AttributeType, Subject};
use stele_core::tbs::{TbsView, parse_certificate};
use stele_core::types::{Digest, KeyAlgorithm, KeyName, Serial, Time};

use super::gather::{Gathered, KeyFacts, same_serial};
use super::html::{Html, short};
use crate::certificate;

/// A CA certificate.
struct Ca {
    view: TbsView,
    index: u64,
    how: &'static str,
    revoked: bool,
}

/// Keys of the token and certificates of CAs.
#[derive(Default)]
pub(super) struct Cas {
    keys: Vec<KeyFacts>,
    frozen: Vec<KeyName>,
    all: Vec<Ca>,
}

/// Beyond so many boxes nobody sees anything.
const MOST: usize = 200;
const WIDTH: f64 = 270.0;
const HEIGHT: f64 = 84.0;
const GAP_X: f64 = 56.0;
const GAP_Y: f64 = 16.0;

impl Cas {
    pub(super) fn key(&mut self, name: &KeyName, algorithm: KeyAlgorithm, spki_sha256: Digest) {
        self.keys.push(KeyFacts {
            name: name.clone(),
            algorithm,
            spki_sha256,
        });
    }

    pub(super) fn learn(&mut self, der: &[u8], index: u64, how: &'static str) {
        let Ok((view, ..)) = parse_certificate(der) else { return };
        let there = |ca: &Ca| ca.view.spki_der == view.spki_der && ca.view.serial == view.serial;
        if view.ca && self.all.len() < MOST && !self.all.iter().any(there) {
            self.all.push(Ca {
                view,
                index,
                how,
                revoked: false,
            });
        }
    }

    pub(super) fn revoke(&mut self, serial: &Serial) {
        for ca in self.all.iter_mut().filter(|ca| same_serial(serial, &ca.view.serial)) {
            ca.revoked = true;
        }
    }

    pub(super) fn freeze(&mut self, key: &KeyName, frozen: bool) {
        self.frozen.retain(|k| k != key);
        if frozen {
            self.frozen.push(key.clone());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    fn key_of(&self, ca: &Ca) -> Option<&KeyFacts> {
        let sha256 = Digest::of(&ca.view.spki_der);
        self.keys.iter().find(|key| key.spki_sha256 == sha256)
    }

    fn is_above(parent: &Ca, child: &Ca) -> bool {
        !child.view.is_self_issued()
            && parent.view.subject_der == child.view.issuer_der
            && parent.view.subject_key_identifier == child.view.authority_key_identifier
    }

    /// The first CA that is above this one; roots have none.
    fn parent(&self, child: usize) -> Option<usize> {
        let ca = self.all.get(child)?;
        self.all.iter().position(|parent| Self::is_above(parent, ca))
    }

    /// The boxes in the order in which they are drawn, each with its depth and its parent's number.
    fn order(&self) -> Vec<(usize, usize, Option<usize>)> {
        let parents: Vec<Option<usize>> = (0..self.all.len()).map(|n| self.parent(n)).collect();
        let mut order = Vec::new();
        let mut stack: Vec<_> = (0..self.all.len())
            .rev()
            .filter(|n| parents.get(*n).is_some_and(Option::is_none))
            .map(|n| (n, 0, None))
            .collect();
        while let Some((n, depth, parent)) = stack.pop() {
            // A circle of issuers has no root, so its CAs are not reached; that is the verification's to report.
            order.push((n, depth, parent));
            let children = (0..self.all.len()).rev();
            let children = children.filter(|c| parents.get(*c) == Some(&Some(n)));
            stack.extend(children.map(|c| (c, depth + 1, Some(n))));
        }
        order
    }

    /// Draws the tree, one row a CA, one column a level.
    pub(super) fn draw(&self, html: &mut Html, gathered: &Gathered, now: Time) {
        let order = self.order();
        let row_of = |n: usize| order.iter().position(|(m, ..)| *m == n).unwrap_or(0) as f64;
        let depth_of = |n: usize| order.iter().find(|(m, ..)| *m == n).map_or(0, |(_, depth, _)| *depth) as f64;
        let deepest = order.iter().map(|(_, depth, _)| *depth).max().unwrap_or(0) as f64;
        let width = (deepest + 1.0) * (WIDTH * 0.42 + GAP_X) + WIDTH;
        let height = order.len() as f64 * (HEIGHT + GAP_Y);
        let x = |depth: f64| depth * (WIDTH * 0.42 + GAP_X) + 2.0;
        let y = |row: f64| row * (HEIGHT + GAP_Y) + 2.0;
        html.raw("<div class=\"scroll\"><svg class=\"tree\" role=\"img\" aria-label=\"The hierarchy of CAs\" width=\"");
        html.xy(width)
            .raw("\" height=\"")
            .xy(height)
            .raw("\" viewBox=\"0 0 ")
            .xy(width)
            .raw(" ")
            .xy(height)
            .raw("\">");
        for (n, depth, parent) in &order {
            let Some(parent) = parent else { continue };
            let (from_x, from_y) = (x(depth_of(*parent)) + 24.0, y(row_of(*parent)) + HEIGHT - 4.0);
            let (to_x, to_y) = (x(*depth as f64), y(row_of(*n)) + HEIGHT / 2.0);
            html.raw("<path class=\"edge\" d=\"M").xy(from_x).raw(" ").xy(from_y);
            html.raw(" V").xy(to_y - 8.0).raw(" q0 8 8 8 H").xy(to_x).raw("\"/>");
        }
        for (n, depth, _) in &order {
            if let Some(ca) = self.all.get(*n) {
                self.node(html, ca, x(*depth as f64), y(row_of(*n)), gathered, now);
            }
        }
        html.raw("</svg></div>");
    }

    fn node(&self, html: &mut Html, ca: &Ca, x: f64, y: f64, gathered: &Gathered, now: Time) {
        let key = self.key_of(ca);
        let frozen = key.is_some_and(|key| self.frozen.contains(&key.name));
        let (class, state) = if ca.revoked {
            ("bad", "REVOKED, ")
        } else if frozen {
            ("bad", "FROZEN, ")
        } else if ca.view.not_after < now {
            ("off", "expired, ")
        } else {
            ("on", "")
        };
        let name = common_name(&ca.view);
        let until = ca.view.not_after.to_string();
        let until = until.get(..10).unwrap_or_default();
        let whose = key.map_or("not a key of this signer".to_owned(), |k| {
            format!("key {}, {}", k.name, k.algorithm)
        });
        let issued = key.and_then(|k| gathered.by_issuer.get(&k.name)).copied().unwrap_or(0);
        html.raw("<g><title>")
            .text(certificate::describe(&ca.view).replace('\n', " · "))
            .raw("</title>");
        html.raw("<rect class=\"box ")
            .raw(class)
            .raw("\" x=\"")
            .xy(x)
            .raw("\" y=\"")
            .xy(y)
            .raw("\" width=\"")
            .xy(WIDTH);
        html.raw("\" height=\"").xy(HEIGHT - 4.0).raw("\" rx=\"6\"/>");
        let lines = [
            ("name", short(&name, 34)),
            ("line", short(&whose, 42)),
            ("line", format!("{state}until {until}, {} at {}", ca.how, ca.index)),
            (
                "line",
                if key.is_some() {
                    format!("{issued} certificates in the period")
                } else {
                    String::new()
                },
            ),
        ];
        for ((class, text), offset) in lines.into_iter().zip([20.0, 38.0, 54.0, 70.0]) {
            html.raw("<text class=\"")
                .raw(class)
                .raw("\" x=\"")
                .xy(x + 12.0)
                .raw("\" y=\"")
                .xy(y + offset)
                .raw("\">");
            html.text(text).raw("</text>");
        }
        html.raw("</g>");
    }
}

fn common_name(view: &TbsView) -> String {
    let name = |subject: &Subject| subject.values(AttributeType::CommonName).next().map(str::to_owned);
    let found = view.subject.as_ref().ok().and_then(name);
    found.unwrap_or_else(|| certificate::subject(&view.subject))
}

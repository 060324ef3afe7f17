//! Names of certificates as they are looked up.

use std::fmt;

use stele_core::names::{San, Subject};

/// A name that a certificate carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// Its subject, as [`subject_text`] writes it.
    Subject(String),
    /// One of its subject alternative names.
    San(San),
}

/// The form in which names are stored: SANs have their own prefixes (`dns:` and so on), subjects get one.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject(text) => write!(f, "subject:{text}"),
            Self::San(san) => san.fmt(f),
        }
    }
}

/// A subject as text: `CN=web,O=Example`, attributes in the certificate's own order, joined by commas.
///
/// The characters that RFC 4514 section 2.4 escapes are escaped by a backslash, so that two subjects never share a
/// text.
#[must_use]
pub fn subject_text(subject: &Subject) -> String {
    let attributes = subject.0.iter().map(|attribute| {
        let mut text = format!("{}=", attribute.kind.name());
        for c in attribute.value.chars() {
            if matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';') {
                text.push('\\');
            }
            text.push(c);
        }
        text
    });
    attributes.collect::<Vec<_>>().join(",")
}

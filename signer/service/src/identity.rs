//! Who a client is: the one name in its certificate. Never its common name.

use std::net::SocketAddr;

use stele_core::names::San;
use stele_core::tbs::parse_certificate;
use stele_core::types::CallerSan;
use stele_core::{Error, types};

/// What a connection says of the client at its other end. Its certificate was verified by the handshake.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Its identity, or why its certificate does not give one.
    pub(crate) caller: Result<CallerSan, Error>,
    /// The serial of its certificate, without a leading zero.
    pub(crate) serial: Vec<u8>,
    /// Its address.
    pub(crate) address: Option<SocketAddr>,
}

impl Peer {
    /// Reads a client's certificate.
    pub(crate) fn new(certificate: &[u8], address: Option<SocketAddr>) -> Self {
        let read = parse_certificate(certificate);
        let serial = read.as_ref().ok().and_then(|(view, ..)| {
            let serial = types::Serial::from_unsigned(&view.serial).ok()?;
            Some(serial.as_bytes().to_vec())
        });
        Self {
            caller: read.and_then(|(view, ..)| caller(&view.sans)),
            serial: serial.unwrap_or_default(),
            address,
        }
    }
}

/// Any URI name: exactly one, or refused. None: exactly one DNS name.
fn caller(sans: &[San]) -> Result<CallerSan, Error> {
    let bad = |found: String| {
        Error::malformed(
            "client certificate",
            found,
            "exactly one URI SAN, or none and exactly one DNS SAN",
        )
    };
    let uris: Vec<&String> = sans
        .iter()
        .filter_map(|san| if let San::Uri(uri) = san { Some(uri) } else { None })
        .collect();
    let names: Vec<&String> = sans
        .iter()
        .filter_map(|san| if let San::Dns(name) = san { Some(name) } else { None })
        .collect();
    match (uris.as_slice(), names.as_slice()) {
        ([uri], _) => format!("uri:{uri}").parse(),
        ([], [name]) => format!("dns:{name}").parse(),
        (uris, names) => Err(bad(format!("{} URI SANs and {} DNS SANs", uris.len(), names.len()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_uri_or_else_one_dns_name() {
        let san = |text: &str| text.parse::<San>().unwrap();
        let of = |texts: &[&str]| caller(&texts.iter().map(|t| san(t)).collect::<Vec<_>>());
        assert_eq!(
            of(&["uri:spiffe://a/b", "dns:x.example", "dns:y.example"])
                .unwrap()
                .to_string(),
            "uri:spiffe://a/b"
        );
        assert_eq!(
            of(&["dns:X.example", "ip:10.0.0.1"]).unwrap().to_string(),
            "dns:x.example"
        );
        for bad in [
            &[][..],
            &["dns:a", "dns:b"],
            &["uri:spiffe://a/b", "uri:spiffe://a/c"],
            &["email:a@b"],
        ] {
            assert!(of(bad).is_err(), "{bad:?}");
        }
    }
}

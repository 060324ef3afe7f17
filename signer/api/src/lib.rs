//! The public gRPC contract in Rust: generated code, conversion between wire and core, and errors as statuses.
//!
//! Wire types stop here. Whoever handles a call converts it first ([`convert`]), which destructures every field and
//! refuses what it does not understand; whoever fails answers through [`status`].

pub mod convert;
pub mod status;

/// Messages, clients and servers of the package `stele.v1`, generated from `proto/stele/v1`.
#[allow(
    clippy::all,
    clippy::use_self,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    reason = "generated code follows its generator's style"
)]
pub mod v1 {
    tonic::include_proto!("stele.v1");
}

/// The contract's descriptors (an encoded `google.protobuf.FileDescriptorSet`, imports included), for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/stele_v1_descriptor.bin"));

#[cfg(test)]
mod tests {
    use prost::Message as _;

    #[test]
    fn reflection_finds_every_service_with_its_imports() {
        let set = prost_types::FileDescriptorSet::decode(super::FILE_DESCRIPTOR_SET).unwrap();
        let services: Vec<&str> = set.file.iter().flat_map(|f| &f.service).map(|s| s.name()).collect();
        let expected = ["Authority", "Ledger", "Profile", "Request", "Signing", "Stop", "Trust"];
        for name in expected {
            assert!(services.contains(&format!("{name}Service").as_str()), "{services:?}");
        }
        assert_eq!(services.len(), expected.len());
        let files: Vec<&str> = set.file.iter().map(|f| f.name()).collect();
        for import in set.file.iter().flat_map(|f| &f.dependency) {
            assert!(files.contains(&import.as_str()), "{import} is missing");
        }
    }
}

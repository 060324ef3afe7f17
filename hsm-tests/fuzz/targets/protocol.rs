//! Frames between the keeper and its callers. What is read, written again, reads the same.

#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use prost::Message;
use stele_keeper_client::frame;
use stele_keeper_client::protocol::{Reply, Request};

fuzz_target!(|data: &[u8]| {
    both(data);
    let mut framed = (data.len() as u32).to_be_bytes().to_vec();
    framed.extend_from_slice(data);
    both(&framed);
});

fn both(stream: &[u8]) {
    read_all::<Request>(stream);
    read_all::<Reply>(stream);
}

fn read_all<M: Message + Default + PartialEq + Debug>(mut stream: &[u8]) {
    while let Ok(Some(message)) = frame::read::<M>(&mut stream) {
        let mut written = Vec::new();
        frame::write(&mut written, &message).expect("what fitted a frame fits one again");
        let again = frame::read::<M>(&mut written.as_slice()).expect("what was written can be read");
        assert_eq!(again, Some(message));
    }
}

//! Requests for certificates from the network. One that is understood is equal after a journey back and forth.

#![no_main]

use libfuzzer_sys::fuzz_target;
use prost::Message;
use stele_api::convert::{sign_request, sign_request_to_wire};
use stele_api::v1::SignRequest;

fuzz_target!(|data: &[u8]| {
    let Ok(wire) = SignRequest::decode(data) else { return };
    if let Ok(request) = sign_request(wire) {
        let again = sign_request(sign_request_to_wire(&request)).expect("what was understood is understood again");
        assert_eq!(again, request);
    }
});

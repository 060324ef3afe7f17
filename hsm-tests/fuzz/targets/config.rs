//! The texts that people write: TOML of any content, profiles, and ceremony scripts.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stele_core::ceremony::Script;
use stele_core::profile::Profile;
use stele_core::strict_toml;

fuzz_target!(|text: &str| {
    let _ = strict_toml::parse::<toml::Table>("a.toml", text);
    let _ = Profile::parse("a.toml", text);
    let _ = Script::parse("a.toml", text);
});

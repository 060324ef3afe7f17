//! Generates the Rust side of the public contract from `proto/`, without protoc.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use prost::Message as _;

const ROOT: &str = "../../proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={ROOT}/stele");
    let mut files: Vec<PathBuf> = fs::read_dir(format!("{ROOT}/stele/v1"))?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<_, _>>()?;
    // The same order everywhere, so that builds are reproducible.
    files.sort();

    let mut compiler = protox::Compiler::new([ROOT])?;
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_files(files)?;
    let mut descriptors = compiler.file_descriptor_set();
    tonic_prost_build::configure().compile_fds(descriptors.clone())?;

    // Reflection wants the descriptors without the comments, which would only make the binary larger.
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    fs::write(out.join("stele_v1_descriptor.bin"), descriptors.encode_to_vec())?;
    Ok(())
}

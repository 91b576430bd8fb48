//! Writes the vocabulary in the form that `src/tokens.rs` reads: the tokens in the order of their ranks, each a
//! length (one byte) and its bytes.

// A build script that cannot do its work has nobody to tell but cargo.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{env, fs, path::Path};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let vocabulary = &bpe_openai::o200k_base().bpe;
    let mut packed = Vec::new();
    for rank in 0..vocabulary.num_tokens() {
        let token = vocabulary.token_bytes(u32::try_from(rank).expect("ranks are small"));
        packed.push(u8::try_from(token.len()).expect("tokens are short"));
        packed.extend_from_slice(token);
    }
    fs::write(Path::new(&env::var_os("OUT_DIR").unwrap()).join("o200k_base.bin"), packed).unwrap();
}

//! Writes the vocabulary and the classes of characters in the form that `src/tokens` reads: the tokens in the order of
//! their ranks, each a length (one byte) and its bytes; the classes as ranges, each its first character (three bytes,
//! lowest first) and its class.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "it has nobody else to tell")]

use std::{env, fs, path::Path};

use regex_syntax::{
    ParserBuilder,
    hir::{Class, HirKind},
};

/// The bits of `src/tokens/pieces.rs`; what is in none of them is 128.
const CLASSES: [(&str, u8); 6] = [
    (r"[\p{Lu}\p{Lt}]", 1),
    (r"\p{Ll}", 2),
    (r"[\p{Lm}\p{Lo}]", 4),
    (r"\p{M}", 8),
    (r"\p{N}", 16),
    (r"[\s&&[^\r\n]]", 32),
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let out = env::var_os("OUT_DIR").unwrap();
    fs::write(Path::new(&out).join("o200k_base.bin"), vocabulary()).unwrap();
    fs::write(Path::new(&out).join("classes.bin"), classes()).unwrap();
}

fn vocabulary() -> Vec<u8> {
    let vocabulary = &bpe_openai::o200k_base().bpe;
    let mut packed = Vec::new();
    for rank in 0..vocabulary.num_tokens() {
        let token = vocabulary.token_bytes(u32::try_from(rank).expect("ranks are small"));
        packed.push(u8::try_from(token.len()).expect("tokens are short"));
        packed.extend_from_slice(token);
    }
    packed
}

fn classes() -> Vec<u8> {
    let mut ranges = vec![('\n', '\n', 64), ('\r', '\r', 64)];
    for (pattern, class) in CLASSES {
        let parsed = ParserBuilder::new().build().parse(pattern).unwrap();
        let HirKind::Class(Class::Unicode(characters)) = parsed.kind() else { panic!("{pattern} is a class") };
        ranges.extend(characters.iter().map(|range| (range.start(), range.end(), class)));
    }
    ranges.sort_unstable();
    let mut packed = Vec::new();
    let mut next = 0;
    let mut push = |from: u32, class: u8| {
        packed.extend_from_slice(&from.to_le_bytes()[..3]);
        packed.push(class);
    };
    for (from, to, class) in ranges {
        if u32::from(from) > next {
            push(next, 128);
        }
        push(u32::from(from), class);
        next = u32::from(to) + 1;
    }
    push(next, 128);
    packed
}

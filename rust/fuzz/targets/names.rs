//! Bytes for [`omnimind_fuzz::checks::names`].
#![no_main]

libfuzzer_sys::fuzz_target!(|raw: &[u8]| omnimind_fuzz::checks::names(raw));

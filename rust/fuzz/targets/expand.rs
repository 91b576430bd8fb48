//! Bytes for [`omnimind_fuzz::expand::expanding`].
#![no_main]

libfuzzer_sys::fuzz_target!(|raw: &[u8]| omnimind_fuzz::expand::expanding(raw));

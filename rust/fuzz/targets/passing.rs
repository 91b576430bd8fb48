//! Bytes for [`omnimind_fuzz::checks::passing`].
#![no_main]

libfuzzer_sys::fuzz_target!(|raw: &[u8]| omnimind_fuzz::checks::passing(raw));

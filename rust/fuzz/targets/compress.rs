//! Bytes for [`omnimind_fuzz::press::press`].
#![no_main]

libfuzzer_sys::fuzz_target!(|raw: &[u8]| omnimind_fuzz::press::press(raw));

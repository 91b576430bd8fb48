//! What fuzzing started from and what it found, once more on every run.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may")]

#[path = "../../fuzz/src/expand.rs"]
#[allow(unreachable_pub, reason = "the fuzz crate's face")]
mod expand;
#[path = "../../fuzz/src/press.rs"]
#[allow(unreachable_pub, reason = "the fuzz crate's face")]
mod press;

/// Calls `check` with every file of a folder, and with the begins of it.
fn with_each(target: &str, least: usize, check: fn(&[u8])) {
    let folder = format!(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/{}"), target);
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= least);
    for file in files {
        let raw = std::fs::read(&file).unwrap();
        for cut in [raw.len(), raw.len() / 2, raw.len() / 5] {
            check(raw.get(..cut).unwrap_or_default());
        }
    }
}

#[test]
fn the_press_keeps_its_promises_on_every_file_of_the_corpus() {
    with_each("compress", 12, press::press);
}

#[test]
fn parts_of_an_original_are_what_stands_there_on_every_file_of_the_corpus() {
    with_each("expand", 6, expand::expanding);
}

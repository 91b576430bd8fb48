//! What fuzzing started from and what it found, once more on every run.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may")]

#[path = "../../fuzz/src/press.rs"]
#[allow(unreachable_pub, reason = "the fuzz crate's face")]
mod press;

#[test]
fn the_press_keeps_its_promises_on_every_file_of_the_corpus() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/compress");
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= 12);
    for file in files {
        let raw = std::fs::read(&file).unwrap();
        for cut in [raw.len(), raw.len() / 2, raw.len() / 5] {
            press::press(raw.get(..cut).unwrap_or_default());
        }
    }
}

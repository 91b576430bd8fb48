//! What fuzzing started from and what it found, once more on every run.

use std::path::Path;

#[allow(unreachable_pub)]
#[path = "../../../fuzz/src/checks.rs"]
mod checks;

fn each(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut files = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let raw = std::fs::read(&path).unwrap();
        let outcome = std::panic::catch_unwind(|| check(&raw));
        assert!(outcome.is_ok(), "{}", path.display());
        files += 1;
    }
    assert!(files >= 3, "the corpus of {target} is there");
}

#[test]
fn the_corpus_of_every_parser_keeps_its_promises() {
    each("json", checks::json);
    each("message", checks::message);
    each("edit", checks::edit);
    each("sse", checks::sse);
    each("headers", checks::headers);
    each("seal", checks::seal);
    each("names", checks::names);
    each("passing", checks::passing);
}

//! Texts made to hurt: each form reads them back or says that it cannot, in time and without a panic.

use omnimind_compress::{Kind, forms, outline::Aim};

const SIZE: usize = 100_000;

fn repeated(part: &str) -> String {
    part.repeat(SIZE / part.len())
}

#[test]
fn no_text_is_too_odd_for_a_form() {
    let line = |at| format!("2026-11-21 10:00:01 INFO w{at:x}z did y{at:x}q");
    let distinct = (0..SIZE / 50).map(line).collect::<Vec<_>>().join("\n");
    let texts = [
        repeated("a"),
        repeated("x=1 "),
        repeated("\n"),
        repeated("-1"),
        repeated("\u{1b}[3\r"),
        repeated("\u{0}\u{fffd}\u{7f}"),
        repeated("@@ -1,1 +1,1 @@\n-a\n+b\n"),
        format!("--- a\n+++ b\n@@ -1,99999999 +1,99999999 @@\n{}", repeated("-a\n+b\n")),
        format!("E: x\n{}", repeated("\tat a.b.c(D.java:3)\n")),
        format!("a.c:1:x\n{}", repeated("-1-2-3-4-5-6-7-8-9-\n")),
        repeated("2026-11-21 10:00:01 \"a\\\" \"b\" \"\n"),
        distinct,
    ];
    for text in &texts {
        for kind in [Kind::Log, Kind::Build, Kind::Trace, Kind::Diff, Kind::Search] {
            if let Some(outline) = forms::outline(kind, text, Aim::Whole) {
                assert_eq!(forms::decode(kind, &outline.whole()).as_ref(), Some(text), "{kind:?}");
            }
            let _ = forms::outline(kind, text, Aim::Cut);
        }
    }
}

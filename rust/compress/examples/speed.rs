//! How long the press takes, in milliseconds for 100,000 tokens: `cargo run --release -p omnimind-compress --example speed`.
//!
//! Texts of eight kinds are made here, each of about 100,000 tokens and, in the last column, of 10,000; each is pressed
//! to a quarter with a query. A figure is the best of several rounds, since what else runs can only make one longer.

#![allow(clippy::print_stdout, clippy::cast_precision_loss, reason = "it prints a table")]

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use omnimind_compress::{Hints, Policy, compress, critical, lossless, router, tokens};

const ROUNDS: usize = 7;

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn word(&mut self) -> &'static str {
        const WORDS: [&str; 16] = [
            "queue", "ledger", "gateway", "archive", "worker", "window", "channel", "packet", "branch", "schema",
            "refund", "courier", "harbor", "meadow", "signal", "record",
        ];
        WORDS.get(usize::try_from(self.roll(16)).unwrap_or(0)).copied().unwrap_or_default()
    }
}

type Line = fn(&mut Dice, usize, &mut String);

fn main() {
    let kinds: [(&str, &str, Line); 8] = [
        ("log", "", |dice, at, out| {
            let (id, ms) = (dice.roll(1 << 31), dice.roll(90));
            let said = match dice.roll(40) {
                0 => format!("ERROR [app.store] write to /srv/{}/{id:x} failed: no space left", dice.word()),
                1..12 => format!("INFO [app.jobs] worker {} took job {}-{id}", dice.roll(8), dice.word()),
                _ => format!("INFO [app.http] request {id:08x}{:08x} finished in {ms} ms", dice.roll(1 << 31)),
            };
            let _ =
                writeln!(out, "2026-03-01 {:02}:{:02}:{:02},{:03} {said}", at / 3600 % 24, at / 60 % 60, at % 60, ms);
        }),
        ("json", "[", |dice, at, out| {
            let begin = if at == 0 { "" } else { "," };
            let id = dice.roll(1 << 31);
            let (name, team, ms) = (dice.word(), dice.word(), dice.roll(900));
            let _ = writeln!(
                out,
                "{begin}{{\"id\":\"{id:08x}-{at:04x}\",\"name\":\"{name}-{at}\",\"state\":\"active\",\"owner\":{{\"team\":\"{team}\"}},\"ms\":{ms},\"note\":null}}"
            );
        }),
        ("jsonl", "", |dice, at, out| {
            let _ = writeln!(
                out,
                "{{\"ts\":{at},\"level\":\"info\",\"event\":\"{}.done\",\"trace\":\"{:016x}\",\"ms\":{}}}",
                dice.word(),
                dice.roll(1 << 40),
                dice.roll(90)
            );
        }),
        ("csv", "order,customer,country,amount,remark\n", |dice, at, out| {
            let (one, other) = (dice.word(), dice.word());
            let _ =
                writeln!(out, "ORD-{at},{one}-{other}-{},PT,{}.{:02},", dice.roll(9999), dice.roll(90), dice.roll(99));
        }),
        ("prose", "", |dice, at, out| {
            let (one, verb, other) = (dice.word(), dice.word(), dice.word());
            let _ = write!(out, "The {one} of the {verb} was closed by the {other}, and nobody said a word about it. ");
            if at % 6 == 5 {
                let _ = write!(out, "For {one}-{at} the limit is {} requests.\n\n", dice.roll(9999));
            }
        }),
        ("code", "", |dice, at, out| {
            if at % 12 == 0 {
                let _ =
                    writeln!(out, "\ndef load_{}_{at}({}: str, retries: int = 3) -> bool:", dice.word(), dice.word());
            }
            let _ = writeln!(out, "    {}_{at} = moved({}, {at}, mode='{}')", dice.word(), dice.word(), dice.word());
        }),
        ("search", "", |dice, at, out| {
            let _ = writeln!(out, "src/app/file_{}.rs:{}:    let {} = ask({at});", at / 9, at % 9 * 7 + 1, dice.word());
        }),
        ("diff", "", |dice, at, out| {
            let (file, line) = (dice.word(), at * 40 + 1);
            let _ = writeln!(
                out,
                "diff --git a/{file}_{at}.py b/{file}_{at}.py\n--- a/{file}_{at}.py\n+++ b/{file}_{at}.py"
            );
            let _ = writeln!(
                out,
                "@@ -{line},3 +{line},3 @@\n     keep({at})\n-    {file} = {at}\n+    {file} = {}\n     done()",
                dice.roll(9999)
            );
        }),
    ];
    println!(
        "{:8}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>12}",
        "", "count", "detect", "route", "lossless", "quarter", "kept %", "10k, quarter"
    );
    let mut sum = 0.0;
    for (name, head, line) in kinds {
        let (long, short) = (made(head, line, 100_000), made(head, line, 10_000));
        let count = tokens::count(&long);
        let part = |took: Duration| took.as_secs_f64() * 1000.0 * 100_000.0 / count as f64;
        let policy = |text: &str| Policy {
            budget: Some(tokens::count(text) / 4),
            query: "why did the refund of the harbor fail?",
            ..Policy::default()
        };
        let (whole, little) = (policy(&long), policy(&short));
        let quarter = part(best(|| compress(&long, &whole).tokens_after));
        sum += quarter;
        println!(
            "{name:8}{:>9.1}{:>9.1}{:>9.1}{:>9.1}{quarter:>9.1}{:>9.1}{:>12.2}",
            part(best(|| tokens::count(&long))),
            part(best(|| critical::scan(&long).len())),
            part(best(|| router::parts(&long, &Hints::default()).len())),
            part(best(|| lossless(&long).tokens_after)),
            compress(&long, &whole).tokens_after as f64 * 100.0 / count as f64,
            best(|| compress(&short, &little).tokens_after).as_secs_f64() * 1000.0,
        );
    }
    println!("mean of a quarter: {:.1} ms for 100,000 tokens", sum / 8.0);
}

/// A text of about so many tokens.
fn made(head: &str, line: Line, tokens: usize) -> String {
    let mut dice = Dice(7);
    let mut text = head.to_owned();
    let mut at = 0;
    while text.len() < 4_000 {
        line(&mut dice, at, &mut text);
        at += 1;
    }
    let bytes = tokens * text.len() / tokens::count(&text).max(1);
    while text.len() < bytes {
        line(&mut dice, at, &mut text);
        at += 1;
    }
    text.push_str(if head == "[" { "]" } else { "" });
    text
}

fn best<T>(run: impl Fn() -> T) -> Duration {
    let round = |_| {
        let begun = Instant::now();
        std::hint::black_box(run());
        begun.elapsed()
    };
    (0..ROUNDS).map(round).min().unwrap_or_default()
}

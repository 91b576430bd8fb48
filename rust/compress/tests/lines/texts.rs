//! Builds, traces, diffs and search hits from a seed.

use std::fmt::Write as _;

use omnimind_compress::Kind;

use crate::logs::Dice;

/// Makes a text of about so many lines.
type Make = fn(u64, usize) -> String;

/// The share of tokens, in percent, that may be left of each kind without loss.
pub(crate) const GOAL: [usize; 5] = [45, 95, 40, 95, 76];

/// Where a kind stands in [`GOAL`].
pub(crate) fn place(kind: Kind) -> usize {
    match kind {
        Kind::Log => 0,
        Kind::Build => 1,
        Kind::Trace => 2,
        Kind::Diff => 3,
        _ => 4,
    }
}

pub(crate) const TEXTS: &[(Kind, Make)] = &[
    (Kind::Build, cargo),
    (Kind::Build, make_and_gcc),
    (Kind::Build, npm),
    (Kind::Build, pytest),
    (Kind::Trace, python),
    (Kind::Trace, java),
    (Kind::Trace, node),
    (Kind::Trace, go),
    (Kind::Trace, rust),
    (Kind::Diff, git),
    (Kind::Search, grep),
];

const NAMES: [&str; 12] = [
    "serde", "tokio", "bytes", "store", "parser", "ledger", "mailer", "window", "planner", "cursor", "bridge", "signal",
];

fn path(dice: &mut Dice, ending: &str) -> String {
    format!("src/{}/{}_{}.{ending}", dice.one(&NAMES), dice.one(&NAMES), dice.below(40))
}

fn cargo(seed: u64, lines: usize) -> String {
    let mut dice = Dice::new(seed);
    let mut out = String::new();
    for at in 0..lines {
        let name = dice.one(&NAMES);
        if at % 17 == 9 {
            let (file, row) = (path(&mut dice, "rs"), dice.below(400));
            let _ = writeln!(
                out,
                "error[E0382]: borrow of moved value: `{name}`\n  --> {file}:{row}:9\n   |\n{row} |     use_of({name});\n   |            ^^^^ value borrowed here after move\n"
            );
        } else if at % 17 == 4 {
            let file = path(&mut dice, "rs");
            let _ = writeln!(out, "warning: unused variable: `{name}`\n  --> {file}:{}:13\n", dice.below(400));
        } else {
            let _ = writeln!(
                out,
                "   Compiling {name}-{} v{}.{}.{}",
                dice.below(90),
                dice.below(3),
                dice.below(40),
                dice.below(9)
            );
        }
    }
    out + "error: could not compile `app` (lib) due to 3 previous errors\n"
}

fn make_and_gcc(seed: u64, lines: usize) -> String {
    let mut dice = Dice::new(seed);
    let mut out = String::from("$ make -j8 all\n");
    for at in 0..lines {
        let file = path(&mut dice, "cc");
        match at % 23 {
            7 => {
                let _ = writeln!(
                    out,
                    "{file}:{}:{}: error: use of undeclared identifier 'ledger_{}'",
                    dice.below(900),
                    dice.below(80),
                    dice.below(90)
                );
            }
            15 => {
                let _ =
                    writeln!(out, "{file}:{}:5: warning: unused variable 'tmp' [-Wunused-variable]", dice.below(900));
            }
            _ => {
                let _ = writeln!(out, "[{:3}%] Building CXX object {file}.o", 100 * at / lines);
            }
        }
    }
    out + "make: *** [all] Error 2\n"
}

fn npm(seed: u64, lines: usize) -> String {
    let mut dice = Dice::new(seed);
    let mut out = String::new();
    for _ in 0..lines {
        let name = dice.one(&NAMES);
        let _ = match dice.below(3) {
            0 => writeln!(
                out,
                "npm http fetch GET 200 https://packages.example/{name}-{} {}ms",
                dice.below(900),
                dice.below(400)
            ),
            1 => writeln!(
                out,
                "npm WARN deprecated {name}@{}.{}.0: this version is no longer supported",
                dice.below(9),
                dice.below(30)
            ),
            _ => writeln!(
                out,
                "npm timing idealTree:node_modules/{name}-{} Completed in {}ms",
                dice.below(900),
                dice.below(90)
            ),
        };
    }
    out + "npm ERR! code ERESOLVE\nnpm ERR! could not resolve dependency tree\n"
}

fn pytest(seed: u64, lines: usize) -> String {
    let mut dice = Dice::new(seed);
    let mut out = format!("collected {lines} items\n\n");
    for at in 0..lines {
        let state = if dice.below(30) == 0 { "FAILED" } else { "PASSED" };
        let _ = writeln!(
            out,
            "tests/{}/test_{}.py::test_{}_{} {state}{:>24}%]",
            dice.one(&NAMES),
            dice.one(&NAMES),
            dice.one(&NAMES),
            dice.below(90),
            format!("[{:3}", 100 * at / lines)
        );
    }
    out + "FAILED tests/a/test_b.py::test_c - AssertionError: 3 != 4\n"
}

fn python(seed: u64, lines: usize) -> String {
    let mut dice = Dice::new(seed);
    let depth = 4 + dice.below(6);
    let mut out = String::new();
    for at in 0..lines / 14 + 2 {
        out.push_str("Traceback (most recent call last):\n");
        for frame in 0..depth {
            let name = NAMES[usize::try_from(frame + at as u64 % 2).unwrap() % NAMES.len()];
            let _ = writeln!(
                out,
                "  File \"/srv/app/{name}.py\", line {}, in load_{name}\n    return open_{name}(item)",
                10 + frame * 7
            );
        }
        let _ = writeln!(out, "ValueError: item {} of {} is not there\n", dice.below(9000), dice.one(&NAMES));
    }
    out
}

fn java(seed: u64, lines: usize) -> String {
    let mut dice = Dice::new(seed);
    let mut out = String::new();
    for _ in 0..lines / 14 + 2 {
        let _ = writeln!(out, "java.lang.IllegalStateException: order {:016x} is locked", dice.next());
        for frame in 0..6 {
            let _ = writeln!(out, "\tat com.acme.store.Step{frame}.run(Step{frame}.java:{})", 10 + frame);
        }
        let _ = writeln!(out, "Caused by: java.io.IOException: connection {} reset", dice.below(900));
        for frame in 0..3 + dice.below(3) {
            let _ = writeln!(out, "\tat com.acme.net.Wire{frame}.read(Wire{frame}.java:{})", 30 + frame);
        }
        out.push_str("\t... 12 more\n");
    }
    out
}

fn node(seed: u64, lines: usize) -> String {
    let mut dice = Dice::new(seed);
    let mut out = String::new();
    for _ in 0..lines / 8 + 2 {
        let _ = writeln!(out, "TypeError: Cannot read properties of undefined (reading 'id{}')", dice.below(99));
        for frame in 0..5 {
            let _ = writeln!(out, "    at step{frame} (/srv/app/dist/step{frame}.js:{}:{})", 10 + frame, 5);
        }
        out.push_str("    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)\n\n");
    }
    out
}

fn go(seed: u64, lines: usize) -> String {
    let mut dice = Dice::new(seed);
    let mut out = String::from("panic: runtime error: index out of range [5] with length 3\n\n");
    for at in 0..lines / 9 + 2 {
        let _ = writeln!(out, "goroutine {} [select, {} minutes]:", at + 1, dice.below(90));
        for frame in 0..4 {
            let _ = writeln!(
                out,
                "acme/store.(*Pool).step{frame}(0xc000{:06x})\n\t/srv/store/pool.go:{} +0x1d",
                0xabc,
                40 + frame
            );
        }
        out.push('\n');
    }
    out
}

fn rust(seed: u64, lines: usize) -> String {
    let mut dice = Dice::new(seed);
    let mut out = String::new();
    for _ in 0..lines / 12 + 2 {
        let _ = writeln!(
            out,
            "thread 'worker-{}' panicked at src/pool.rs:{}:9:\nno room for {}\nstack backtrace:",
            dice.below(9),
            dice.below(90),
            dice.one(&NAMES)
        );
        for frame in 0..5 {
            let _ =
                writeln!(out, "   {frame}: app::pool::step{frame}\n             at ./src/pool.rs:{}:13", 40 + frame);
        }
    }
    out
}

fn git(seed: u64, lines: usize) -> String {
    let mut dice = Dice::new(seed);
    let mut out = String::new();
    for file in 0..=lines / 14 {
        let name = path(&mut dice, "rs");
        if file % 9 == 5 {
            let _ = writeln!(
                out,
                "diff --git a/{name} b/old/{name}\nsimilarity index 100%\nrename from {name}\nrename to old/{name}"
            );
            continue;
        }
        if file % 9 == 7 {
            let _ = writeln!(
                out,
                "diff --git a/{name}.png b/{name}.png\nindex {:07x}..{:07x} 100644\nBinary files a/{name}.png and b/{name}.png differ",
                dice.below(1 << 28),
                dice.below(1 << 28)
            );
            continue;
        }
        let _ = writeln!(
            out,
            "diff --git a/{name} b/{name}\nindex {:07x}..{:07x} 100644\n--- a/{name}\n+++ b/{name}",
            dice.below(1 << 28),
            dice.below(1 << 28)
        );
        let start = dice.below(400) + 1;
        let _ = writeln!(
            out,
            "@@ -{start},4 +{start},5 @@ fn {}\n     let one = 1;\n-    let limit = {};\n+    let limit = {};\n+    check(limit);\n     done()\n }}",
            dice.one(&NAMES),
            dice.below(90),
            dice.below(90)
        );
    }
    out
}

fn grep(seed: u64, lines: usize) -> String {
    let mut dice = Dice::new(seed);
    let mut out = String::new();
    while out.lines().count() < lines {
        let file = path(&mut dice, "py");
        for hit in 0..=dice.below(7) {
            let _ = writeln!(
                out,
                "{file}:{}:    return open_{}(limit={})",
                10 * hit + dice.below(9),
                dice.one(&NAMES),
                dice.below(99)
            );
        }
    }
    out
}

//! What a probe costs that nobody watches: a check with everything it would tell at hand.
//!
//! `reference` is a multiplication that waits for the one before it: three cycles on any processor of these years, a
//! nanosecond at 3 GHz. So a ratio below 1 is below a nanosecond. At the end the same is held to the bar by the clock,
//! less a loop that does nothing, by the best of all rounds; it ends with an error where that is a nanosecond or more.
#![allow(missing_docs, clippy::print_stdout, clippy::cast_precision_loss)]

mod cpu;

use std::{hint::black_box, process::ExitCode, time::Instant};

use omnimind_probes::request_done;

const ROUNDS: usize = 25;
const PASSES: u32 = 2_000_000;
const BAR_NS: f64 = 1.0;
const ODD: u64 = 0x9E37_79B9_7F4A_7C15;

fn main() -> ExitCode {
    let mut criterion = cpu::criterion().configure_from_args();
    let mut group = criterion.benchmark_group("probe");
    group.bench_function("reference", |b| {
        let (mut number, factor) = (1_u64, black_box(ODD));
        b.iter(|| {
            number = number.wrapping_mul(factor);
        });
        black_box(number);
    });
    group.bench_function("nobody_watches", |b| {
        let mut pass = 0;
        b.iter(|| {
            pass += 1;
            probe(pass);
        });
    });
    group.finish();
    criterion.final_summary();

    let nothing = best_ns(|pass| {
        black_box(pass);
    });
    let probe = best_ns(probe);
    let cost = probe - nothing;
    println!(
        "a loop {nothing:.3} ns a pass, with a probe nobody watches {probe:.3} ns: {cost:.3} ns, at most {BAR_NS}"
    );
    if cost < BAR_NS { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn probe(pass: u64) {
    black_box(pass);
    if request_done::is_on() {
        request_done::fire("server", b"1", "tools/call", "tool", pass, "ok");
    }
}

/// Nanoseconds a pass.
fn best_ns(mut pass: impl FnMut(u64)) -> f64 {
    let round = |pass: &mut dyn FnMut(u32)| {
        let began = Instant::now();
        pass(PASSES);
        began.elapsed().as_nanos() as f64 / f64::from(PASSES)
    };
    let mut all = |passes: u32| (0..u64::from(passes)).for_each(&mut pass);
    (0..ROUNDS).map(|_| round(&mut all)).fold(f64::INFINITY, f64::min)
}

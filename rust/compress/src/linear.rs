//! What the tests of every reader ask of it: a text sixteen times as long takes no more than some sixteen times as long.

use std::time::Instant;

/// Panics if a text that `make` makes sixteen times as long as `size` takes much more than sixteen times as long to read.
/// What is quadratic takes 256 times; half of that is the bound, since others use the machine as well.
pub(crate) fn assert_linear(hostile: &[fn(usize) -> String], size: usize, read: impl Fn(&str)) {
    // The best of three, for the same reason.
    let timed = |text: &str| {
        let rounds = (0..3).map(|_| {
            let begun = Instant::now();
            read(text);
            begun.elapsed().as_secs_f64()
        });
        rounds.fold(f64::MAX, f64::min)
    };
    for make in hostile {
        let (short, long) = (make(size), make(size * 16));
        let (short, long) = (timed(&short), timed(&long));
        assert!(long < short * 16.0 * 8.0 + 0.05, "{} {short} {long}", make(24));
    }
}

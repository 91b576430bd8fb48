//! How sure a count makes: exact (Clopper-Pearson) bounds of a share, one-sided.
//!
//! Exact and not approximate (Wilson, normal): what is bounded is a share near 0 or 1 with no failure at all in a few
//! hundred samples, where the approximations err on the wrong side.

/// The share of right answers that is at least there, after `right` right ones in a row, but for a chance of `alpha`:
/// with a smaller share such a row would come up less often than that.
pub(super) fn lower_without_failure(right: u32, alpha: f64) -> f64 {
    if right == 0 { 0.0 } else { alpha.powf(1.0 / f64::from(right)) }
}

/// The share of wrong answers that is at most there, after `wrong` wrong ones among `samples`, but for a chance of
/// `alpha`. Without samples nothing is known: 1.
pub(super) fn upper(wrong: u64, samples: u64, alpha: f64) -> f64 {
    if samples == 0 || wrong >= samples {
        return 1.0;
    }
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if at_most(wrong, samples, middle) > alpha { low = middle } else { high = middle }
    }
    high
}

/// The chance of at most `wrong` wrong ones among `samples` if the share of wrong ones is `share`.
#[allow(clippy::cast_precision_loss)] // counts of calls
fn at_most(wrong: u64, samples: u64, share: f64) -> f64 {
    let (samples, odds) = (samples as f64, share.ln() - (-share).ln_1p());
    let mut term = samples * (-share).ln_1p();
    let mut sum = term.exp();
    for count in 1..=wrong {
        let count = count as f64;
        term += ((samples - count + 1.0) / count).ln() + odds;
        sum += term.exp();
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_those_of_the_tables() {
        // 0 of 298 is not yet 1 % at 95 %, 0 of 299 is; 459 at 99 % (the "rule of three" and its kin).
        assert!(lower_without_failure(298, 0.05) < 0.99 && lower_without_failure(299, 0.05) >= 0.99);
        assert!(lower_without_failure(458, 0.01) < 0.99 && lower_without_failure(459, 0.01) >= 0.99);
        assert!((upper(0, 300, 0.05) - 0.009_936).abs() < 1e-5);
        // Clopper-Pearson tables: 1 of 100 -> 4.656 %, 5 of 50 -> 19.883 %, one-sided 95 %.
        assert!((upper(1, 100, 0.05) - 0.046_56).abs() < 1e-4);
        assert!((upper(5, 50, 0.05) - 0.198_83).abs() < 1e-4);
    }

    #[test]
    fn nothing_known_is_nothing_promised() {
        assert!(lower_without_failure(0, 0.01) <= 0.0);
        assert!(upper(0, 0, 0.05) >= 1.0 && upper(7, 7, 0.05) >= 1.0);
    }
}

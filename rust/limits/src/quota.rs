//! What a cell grants: a rate and a burst, checked once, so that the cell itself never meets a bad number.
//!
//! Names follow the GCRA papers: the *emission interval* `T` is the time one token takes to come back, the *burst
//! tolerance* `tau` is the time a full bucket takes. Both are whole nanoseconds and rounded up, and a call of cost `c`
//! moves the cell by `ceil(c * T)`: the rate granted is never above the rate asked for, and below it by less than one
//! nanosecond a token (0.1 % at a million a second).

use std::fmt;

/// The longest time a full bucket may take to come back, in nanoseconds: nine years.
const LONGEST_NS: f64 = 288_230_376_151_711_744.0; // 2^58
const NS_PER_S: f64 = 1e9;

/// Tokens a second: above 0, at most 1e9.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Rate(f64);

/// A rate and a burst: `per_s` tokens come back each second, a full bucket holds `burst`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quota {
    per_s: f64,
    burst: f64,
    emission_interval_ns: u64,
    burst_tolerance_ns: u64,
}

/// Why two numbers are no [`Quota`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum InvalidQuota {
    /// The rate is not a number between 0 (excluded) and 1e9 tokens a second.
    Rate(f64),
    /// The burst is not a positive number.
    Burst(f64),
    /// A full bucket would take more than nine years to come back.
    TooSlow,
}

impl Rate {
    /// A rate of `per_s` tokens a second.
    pub fn new(per_s: f64) -> Result<Self, InvalidQuota> {
        if per_s > 0.0 && per_s <= NS_PER_S { Ok(Self(per_s)) } else { Err(InvalidQuota::Rate(per_s)) }
    }

    /// The rate nearest to `per_s`, which must be a number.
    pub(crate) fn clamped(per_s: f64) -> Self {
        Self(per_s.clamp(f64::MIN_POSITIVE, NS_PER_S))
    }

    /// Tokens that come back each second.
    #[inline]
    pub fn per_s(self) -> f64 {
        self.0
    }
}

impl Quota {
    /// A quota of `per_s` tokens a second and at most `burst` tokens at once.
    pub fn new(per_s: f64, burst: f64) -> Result<Self, InvalidQuota> {
        Rate::new(per_s)?;
        if !(burst > 0.0 && burst.is_finite()) {
            return Err(InvalidQuota::Burst(burst));
        }
        let interval_ns = (NS_PER_S / per_s).ceil();
        let tolerance_ns = (burst * interval_ns).ceil();
        if interval_ns > LONGEST_NS || tolerance_ns > LONGEST_NS {
            return Err(InvalidQuota::TooSlow);
        }
        Ok(Self {
            per_s,
            burst,
            emission_interval_ns: whole_ns(interval_ns),
            burst_tolerance_ns: whole_ns(tolerance_ns),
        })
    }

    /// Tokens that come back each second.
    #[inline]
    pub fn per_s(&self) -> f64 {
        self.per_s
    }

    /// Tokens a full bucket holds.
    #[inline]
    pub fn burst(&self) -> f64 {
        self.burst
    }

    /// `T`: the time one token takes to come back.
    #[inline]
    pub(crate) fn emission_interval_ns(&self) -> u64 {
        self.emission_interval_ns
    }

    /// `tau`: the time a full bucket takes to come back.
    #[inline]
    pub(crate) fn burst_tolerance_ns(&self) -> u64 {
        self.burst_tolerance_ns
    }

    /// The four numbers as words, to be kept in atomics.
    #[inline]
    pub(crate) fn to_words(self) -> [u64; 4] {
        [self.per_s.to_bits(), self.burst.to_bits(), self.emission_interval_ns, self.burst_tolerance_ns]
    }

    /// What [`Quota::to_words`] made.
    #[inline]
    pub(crate) fn from_words([per_s, burst, emission_interval_ns, burst_tolerance_ns]: [u64; 4]) -> Self {
        Self { per_s: f64::from_bits(per_s), burst: f64::from_bits(burst), emission_interval_ns, burst_tolerance_ns }
    }
}

impl fmt::Display for InvalidQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate(rate) => write!(f, "rate must be above 0 and at most 1e9 tokens a second, got {rate}"),
            Self::Burst(burst) => {
                write!(f, "burst must be a positive number of tokens, got {burst}")
            }
            Self::TooSlow => {
                f.write_str("a full bucket must come back within nine years: raise the rate or lower the burst")
            }
        }
    }
}

impl std::error::Error for InvalidQuota {}

/// What a call weighs, in tokens: finite, not negative.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Cost(f64);

/// The number given is no [`Cost`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InvalidCost(pub f64);

impl Cost {
    /// The weight of an ordinary call.
    pub const ONE: Self = Self(1.0);

    /// A cost of `tokens`.
    #[inline]
    pub fn new(tokens: f64) -> Result<Self, InvalidCost> {
        if tokens >= 0.0 && tokens.is_finite() { Ok(Self(tokens)) } else { Err(InvalidCost(tokens)) }
    }

    /// The cost in tokens.
    #[inline]
    pub fn tokens(self) -> f64 {
        self.0
    }

    /// How far a call of this cost moves the cell, where the quota can carry it at all.
    #[inline]
    #[allow(clippy::cast_precision_loss)] // an interval is at most 2^58; what is lost lies below one part in 2^53
    pub(crate) fn increment_ns(self, quota: &Quota) -> Option<u64> {
        if self.0 > quota.burst {
            return None;
        }
        Some(whole_ns((self.0 * quota.emission_interval_ns as f64).ceil()))
    }
}

impl fmt::Display for InvalidCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cost must be a finite number of tokens, not negative, got {}", self.0)
    }
}

impl std::error::Error for InvalidCost {}

/// A whole, checked number of nanoseconds (at most `LONGEST_NS`) as an integer.
#[inline]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // in range: `Quota::new` and `Cost::new` saw to it
fn whole_ns(ns: f64) -> u64 {
    ns as u64
}

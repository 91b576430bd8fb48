//! What a tool has shown: whether two texts that look alike have had the same answer.
//!
//! Three things must hold before an answer of one text is given to another; the guard is the fourth.
//!
//! 1. **The difference is witnessed.** Two texts differ by some changes of words. Each change (`show` → `list`,
//!    nothing → `please`) must have left the real answer the same in [`WITNESSES`] different surroundings, and never
//!    have altered it. What was never seen is never served, however alike the vectors are and whatever came before:
//!    a row of easy questions buys nothing for a hard one.
//! 2. **The band is sure.** Of texts as similar as these, whose differences were witnessed, so many in a row were
//!    answered alike that the exact (Clopper-Pearson) lower bound of the share of right answers is at least
//!    1 - [`DELTA`]. A band that failed starts anew and its next try must be surer, so that the chance that *any* of
//!    its tries lets a band pass that is not good enough stays below [`ALPHA`]: the first try takes 459 pairs of
//!    texts, the second 568, the third 637.
//! 3. **The answer tells something.** That two texts have the same answer proves nothing where most texts of the tool
//!    have it too ("nothing found"). Such agreement counts for nothing.
//!
//! A share of [`EXPLORE`] is checked for ever. One mismatch of what could have been served takes its band and all
//! below it back to the start, and its changes count as altering from then on.

use std::collections::{HashMap, HashSet, VecDeque};

use super::bound;

/// The share of wrong answers that is tolerated, and hence proven.
pub const DELTA: f64 = 0.01;
/// The chance that a band passes which is not good enough, over all its tries.
pub const ALPHA: f64 = 0.02;
/// One in so many answers that could be served is checked instead.
pub const EXPLORE: u64 = 50;
/// Surroundings in which a change must have been harmless.
pub const WITNESSES: usize = 3;
/// The lower ends of the bands of similarity, in thousandths.
pub const BANDS: [u16; 4] = [750, 850, 920, 970];

/// Changes remembered of a tool.
const CHANGES: usize = 4_096;
/// Last answers of a tool that are remembered, and how many there must be before agreement counts.
const ANSWERS: usize = 256;
const ANSWERS_AT_LEAST: usize = 20;
/// Agreement on an answer that one in so many texts has counts for nothing.
const COMMON: usize = 10;
/// The chance left out of the bound of wrong answers that is reported.
const REPORT_ALPHA: f64 = 0.05;

/// One change of words, or the surroundings of one: digests.
pub(super) type Digest = u64;

/// What verification says of a pair of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Say {
    Serve,
    Explore,
    Learn,
}

/// What became of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The answers were the same.
    Same,
    /// They were the same, but most answers of this tool are: it counts for nothing.
    Untelling,
    /// They differed; it could not have been served yet.
    Altered,
    /// They differed, and this could have been served: the band and all below it start anew.
    Demoted,
}

#[derive(Default)]
struct Band {
    /// Pairs answered alike since the last start; each pair counts once.
    pairs: HashSet<Digest>,
    failures: u32,
}

impl Band {
    /// The lower bound of the share of right answers; the k-th try spends alpha / (k (k + 1)), all tries alpha.
    fn lower(&self) -> f64 {
        let k = f64::from(self.failures) + 1.0;
        let right = u32::try_from(self.pairs.len()).unwrap_or(u32::MAX);
        bound::lower_without_failure(right, ALPHA / (k * (k + 1.0)))
    }

    fn sure(&self) -> bool {
        self.lower() >= 1.0 - DELTA
    }
}

#[derive(Default)]
struct Change {
    surroundings: Vec<Digest>,
    alters: bool,
}

/// What is known of one tool.
#[derive(Default)]
pub(super) struct Trust {
    bands: [Band; BANDS.len()],
    changes: HashMap<Digest, Change>,
    order: VecDeque<Digest>,
    answers: VecDeque<u128>,
    counts: Counts,
}

/// How often what happened to a tool.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Answers served without a call.
    pub served: u64,
    /// Calls whose answer was compared with what might have been served.
    pub checked: u64,
    /// Calls where the nearest texts were refused by the guard.
    pub vetoed: u64,
    /// Checks of what could have been served: the same answer, another answer.
    pub right: u64,
    /// See `right`.
    pub wrong: u64,
    /// Checks that found another answer for a difference that was not witnessed yet.
    pub altered: u64,
    /// Agreements that count for nothing, since most answers of the tool are the same.
    pub untelling: u64,
    /// Times a band had to start anew.
    pub demotions: u64,
}

/// A band of similarity, for the report.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BandReport {
    /// Its lower end, in thousandths.
    pub from_milli: u16,
    /// Different pairs answered alike since it last started.
    pub samples: usize,
    /// The share of right answers is at least this.
    pub lower: f64,
    /// It may serve.
    pub serving: bool,
}

impl Trust {
    /// Whether a pair may be served, by its similarity, its changes and chance.
    pub(super) fn say(&self, similarity_milli: u16, changes: &[Digest], dice: u64) -> Say {
        let sure = band(similarity_milli).is_some_and(|band| self.bands[band].sure());
        match sure && self.witnessed(changes) {
            false => Say::Learn,
            true if dice.is_multiple_of(EXPLORE) => Say::Explore,
            true => Say::Serve,
        }
    }

    /// Whether a change has altered an answer before.
    pub(super) fn refuted(&self, changes: &[Digest]) -> bool {
        changes.iter().any(|change| self.changes.get(change).is_some_and(|change| change.alters))
    }

    fn witnessed(&self, changes: &[Digest]) -> bool {
        changes.iter().all(|change| {
            self.changes.get(change).is_some_and(|change| !change.alters && change.surroundings.len() >= WITNESSES)
        })
    }

    /// An answer the tool gave.
    pub(super) fn answered(&mut self, answer: u128) {
        if self.answers.len() == ANSWERS {
            self.answers.pop_front();
        }
        self.answers.push_back(answer);
    }

    fn telling(&self, answer: u128) -> bool {
        let alike = self.answers.iter().filter(|other| **other == answer).count();
        self.answers.len() >= ANSWERS_AT_LEAST && alike * COMMON <= self.answers.len()
    }

    /// What the real call said of a pair.
    pub(super) fn learn(&mut self, similarity_milli: u16, seen: &Seen, stored: u128, real: u128) -> Outcome {
        let eligible = self.witnessed(&seen.changes);
        if stored != real {
            self.refute(&seen.changes, eligible);
            let Some(band) = band(similarity_milli).filter(|_| eligible) else {
                self.counts.altered += 1;
                return Outcome::Altered;
            };
            for lost in &mut self.bands[..=band] {
                lost.pairs.clear();
                lost.failures = lost.failures.saturating_add(1);
            }
            self.counts.wrong += 1;
            self.counts.demotions += 1;
            return Outcome::Demoted;
        }
        if !self.telling(real) {
            self.counts.untelling += 1;
            return Outcome::Untelling;
        }
        if let Some(band) = band(similarity_milli).filter(|_| eligible) {
            self.counts.right += 1;
            if !self.bands[band].sure() {
                self.bands[band].pairs.insert(seen.pair);
            }
        } else {
            self.witness(seen);
        }
        Outcome::Same
    }

    /// Where one change is not witnessed, it is that one that altered the answer. Where several are not, nobody knows
    /// which; none of them is served, and all begin anew. Where all are, none of them is believed any more.
    fn refute(&mut self, changes: &[Digest], eligible: bool) {
        let known = |trust: &Self, change: &Digest| trust.witnessed(std::slice::from_ref(change));
        let suspects: Vec<Digest> = changes.iter().filter(|change| eligible || !known(self, change)).copied().collect();
        for digest in &suspects {
            let change = self.change(*digest);
            change.surroundings.clear();
            change.alters |= eligible || suspects.len() == 1;
        }
    }

    fn witness(&mut self, seen: &Seen) {
        for digest in &seen.changes {
            let change = self.change(*digest);
            if change.surroundings.len() < WITNESSES && !change.surroundings.contains(&seen.surroundings) {
                change.surroundings.push(seen.surroundings);
            }
        }
    }

    fn change(&mut self, digest: Digest) -> &mut Change {
        if !self.changes.contains_key(&digest) {
            if self.order.len() == CHANGES
                && let Some(oldest) = self.order.pop_front()
            {
                self.changes.remove(&oldest);
            }
            self.order.push_back(digest);
        }
        self.changes.entry(digest).or_default()
    }

    pub(super) fn counts(&mut self) -> &mut Counts {
        &mut self.counts
    }

    /// Counts, bands, and the upper 95 % bound of the share of wrong answers among what could have been served.
    pub(super) fn report(&self) -> (Counts, Vec<BandReport>, f64) {
        let report = |(band, from_milli): (&Band, u16)| BandReport {
            from_milli,
            samples: band.pairs.len(),
            lower: band.lower(),
            serving: band.sure(),
        };
        let bands = self.bands.iter().zip(BANDS).map(report).collect();
        let checks = self.counts.right + self.counts.wrong;
        (self.counts, bands, bound::upper(self.counts.wrong, checks, REPORT_ALPHA))
    }
}

/// What a pair of texts is, for verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) changes: Box<[Digest]>,
    pub(super) surroundings: Digest,
    pub(super) pair: Digest,
}

fn band(similarity_milli: u16) -> Option<usize> {
    BANDS.iter().rposition(|from| similarity_milli >= *from)
}

//! L4: an answer to the same question in other words. Off unless an operator names a tool and one argument of it.
//!
//! Rule: no likeness is believed. Vectors only find candidates; then the [`guard`] refuses every pair that differs in
//! something that carries meaning (numbers, names, negations, antonyms, order…), and [`verify`] lets through only
//! what the real tool itself has shown to be the same, again and again. Cosine alone cannot tell "the same question"
//! from "the same words, another answer": no encoder can. But a cache in front of a tool, unlike one in front of a
//! model, can ask the tool and compare, for nothing: the call was due anyway.
//!
//! The owner's part, for a call that no exact level could answer:
//!
//! 1. [`Scope`]: a digest of everything but the text: server, its generation, tool, schema, principal, all other
//!    arguments. Nothing crosses scopes.
//! 2. `encode` the text (an [`Encoder`], not on an event loop's thread), [`Semantic::propose`].
//! 3. [`Proposal::Serve`]: answer with what is kept under the claim's key; if nothing is, [`Semantic::forget`] it and
//!    call. [`Proposal::Shadow`]: call, then tell the answer with [`Semantic::verdict`], unless the generation moved
//!    meanwhile. Otherwise: call.
//! 4. An answer that may be kept: keep it exactly, then [`Semantic::insert`] its text.
//!
//! Time, chance and answers (a digest of the canonical result) are arguments.

mod bound;
mod encoder;
mod guard;
mod index;
mod vector;
mod verify;

#[cfg(test)]
mod suite;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use parking_lot::{Mutex, RwLock};

pub use encoder::{Encoder, EncoderRefused, StaticEncoder};
use guard::{Compared, Reading};
pub use guard::{Slot, Veto, filler, opposed, slot};
use index::Index;
pub use index::PER_SCOPE;
pub use vector::Vector;
pub use verify::{ALPHA, BANDS, BandReport, Counts, DELTA, EXPLORE, Outcome, WITNESSES};
use verify::{Say, Seen, Trust};

use crate::{Key, Life};

/// Texts longer than this, in bytes, are no questions.
pub const LONGEST_TEXT: usize = 1_024;
/// Nearest texts that are looked at.
const CANDIDATES: usize = 8;
/// Tools that are remembered; more are never served.
const TOOLS: usize = 1_024;

/// A tool of a server with its schema: what is learned is learned of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ToolId(pub u64);

/// A digest of everything an answer depends on but the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scope(pub Key);

/// How much is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SemanticLimits {
    /// Bytes of texts and vectors, over all tools.
    pub max_bytes: usize,
}

/// A text that was asked before, and how alike it is to the one asked now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What its answer is kept under.
    pub key: Key,
    /// The cosine, in thousandths.
    pub similarity_milli: u16,
    answer: u128,
    seen: Seen,
}

/// What to do with a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proposal {
    /// Answer with what is kept under the claim's key.
    Serve(Claim),
    /// Call, and tell what came back.
    Shadow(Claim),
    /// Call.
    Nothing(Why),
}

/// Why nothing is proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// No text of this scope is near, or the only one is this text itself.
    NothingNear,
    /// What is near differs in something that carries meaning.
    Vetoed(Veto),
    /// What is near differs by a change of words that has altered an answer of this tool before.
    Altering,
    /// The text is empty or too long.
    NoQuestion,
}

/// What is known of a tool.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolReport {
    /// Which tool.
    pub tool: ToolId,
    /// How often what happened.
    pub counts: Counts,
    /// Its bands of similarity.
    pub bands: Vec<BandReport>,
    /// Among what could have been served, the share of wrong answers is at most this, at 95 %.
    pub false_upper: f64,
}

/// What is known in all.
#[derive(Debug, Clone, PartialEq)]
pub struct SemanticStats {
    /// Texts kept.
    pub entries: usize,
    /// Their bytes.
    pub bytes: usize,
    /// The tools, in order.
    pub tools: Vec<ToolReport>,
}

/// The level: see the module's text.
pub struct Semantic {
    index: RwLock<Index>,
    trust: Mutex<HashMap<ToolId, Trust>>,
}

impl Semantic {
    /// An empty one.
    pub fn new(limits: SemanticLimits) -> Self {
        Self { index: RwLock::new(Index::new(limits.max_bytes)), trust: Mutex::default() }
    }

    /// What to do with a text that no exact level could answer. `dice` is any random number.
    pub fn propose(&self, scope: Scope, tool: ToolId, text: &str, vector: &Vector, dice: u64, now_ms: u64) -> Proposal {
        if text.len() > LONGEST_TEXT {
            return Proposal::Nothing(Why::NoQuestion);
        }
        let asked = Reading::new(text);
        let index = self.index.read();
        let floor = f32::from(BANDS[0]) / 1_000.0;
        let near = index.nearest::<CANDIDATES>(&(tool, scope), text, vector, floor, now_ms);
        let mut why = Why::NothingNear;
        let mut vetoed = false;
        let mut first = None;
        for (similarity, row) in near {
            let claim = match guard::compare(&Reading::new(&row.text), &asked) {
                Compared::Vetoed(veto) => {
                    why = Why::Vetoed(veto);
                    vetoed = true;
                    continue;
                }
                Compared::Changed(seen) => {
                    Claim { key: row.key, similarity_milli: milli(similarity), answer: row.answer, seen }
                }
            };
            let mut trust = self.trust.lock();
            let Some(trust) = room(&mut trust, tool) else { break };
            if trust.refuted(&claim.seen.changes) {
                why = Why::Altering;
                continue;
            }
            match trust.say(claim.similarity_milli, &claim.seen.changes, dice) {
                Say::Serve => {
                    trust.counts().served += 1;
                    return Proposal::Serve(claim);
                }
                Say::Explore => return Proposal::Shadow(claim),
                Say::Learn => first = first.or(Some(claim)),
            }
        }
        if vetoed
            && first.is_none()
            && let Some(trust) = room(&mut self.trust.lock(), tool)
        {
            trust.counts().vetoed += 1;
        }
        first.map_or(Proposal::Nothing(why), Proposal::Shadow)
    }

    /// What the call of a [`Proposal::Shadow`] answered: a digest of the canonical result.
    pub fn verdict(&self, tool: ToolId, claim: &Claim, answer: u128) -> Outcome {
        let outcome = {
            let mut trust = self.trust.lock();
            let Some(trust) = room(&mut trust, tool) else { return Outcome::Untelling };
            trust.counts().checked += 1;
            trust.learn(claim.similarity_milli, &claim.seen, claim.answer, answer)
        };
        if matches!(outcome, Outcome::Altered | Outcome::Demoted) {
            self.forget(&claim.key);
        }
        outcome
    }

    /// A text, and the key and the digest of its answer. What is no question is not kept.
    #[allow(clippy::too_many_arguments)] // each is one fact of the entry
    pub fn insert(&self, scope: Scope, tool: ToolId, text: &str, vector: &Vector, key: Key, answer: u128, life: Life) {
        if text.len() > LONGEST_TEXT {
            return;
        }
        if let Some(trust) = room(&mut self.trust.lock(), tool) {
            trust.answered(answer);
        }
        self.index.write().insert((tool, scope), text, vector, key, answer, life);
    }

    /// Forgets one text, whose answer is no longer there.
    pub fn forget(&self, key: &Key) {
        self.index.write().forget(key);
    }

    /// Forgets all texts of a tool. What its answers have shown of words stays.
    pub fn clear(&self, tool: ToolId) {
        self.index.write().clear(|(of, _)| *of == tool);
    }

    /// What is kept and what is known.
    pub fn stats(&self) -> SemanticStats {
        let (entries, bytes) = self.index.read().size();
        let trust = self.trust.lock();
        let mut tools: Vec<ToolReport> = trust
            .iter()
            .map(|(tool, trust)| {
                let (counts, bands, false_upper) = trust.report();
                ToolReport { tool: *tool, counts, bands, false_upper }
            })
            .collect();
        tools.sort_by_key(|report| report.tool);
        SemanticStats { entries, bytes, tools }
    }
}

/// What is known of a tool; `None` for one too many.
fn room(trust: &mut HashMap<ToolId, Trust>, tool: ToolId) -> Option<&mut Trust> {
    if !trust.contains_key(&tool) && trust.len() >= TOOLS {
        return None;
    }
    Some(trust.entry(tool).or_default())
}

/// A cosine in thousandths, rounded down: no band is reached by rounding.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and 1,000
fn milli(similarity: f32) -> u16 {
    (similarity.clamp(0.0, 1.0) * 1_000.0) as u16
}

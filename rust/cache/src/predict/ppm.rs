//! Which tool comes next: prediction by partial matching over (server, tool, status), of order two.
//!
//! A context is the last two, the last one or none of the session's calls, each as tool and status. Under a context
//! stand the tools that followed it, with counts that decay, so that what an agent does now outweighs what it did an
//! hour ago. The long context speaks first; what it leaves open (its *escape*, by method D of the literature: half a
//! count for each tool seen) is shared out by the shorter one.
//!
//! Each follower also has a two-bit counter, as branch predictors have: it rises when the follower comes and falls
//! when another does, and at zero the follower is not believed, whatever its count.
//!
//! Bounds: at most `contexts` contexts, the one untouched for longest goes first; at most eight followers in each.
//! Learning and predicting look up three contexts.

use xxhash_rust::xxh3::xxh3_64;

use super::lru::Lru;

/// A tool, or a tool with the status of its call, as a number.
pub(super) type Symbol = u64;

const FOLLOWERS: usize = 8;
const DECAY: f32 = 0.95;
/// A count below this is forgotten.
const TRACE: f32 = 0.05;

#[derive(Debug)]
pub(super) struct Ppm {
    contexts: Lru<Vec<Follower>>,
    limit: usize,
}

#[derive(Debug, Clone, Copy)]
struct Follower {
    tool: Symbol,
    count: f32,
    confidence: u8,
}

/// A tool that may come next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Next {
    pub(super) tool: Symbol,
    pub(super) probability: f32,
}

/// What one context costs at most: its followers, its node and its place in the map.
pub(super) const CONTEXT_BYTES: usize = FOLLOWERS * size_of::<Follower>() + 96;

impl Ppm {
    pub(super) fn new(limit: usize) -> Self {
        Self { contexts: Lru::new(), limit: limit.max(3) }
    }

    pub(super) fn len(&self) -> usize {
        self.contexts.len()
    }

    /// `tool` was called after these calls, the last one first.
    pub(super) fn learn(&mut self, past: [Option<Symbol>; 2], tool: Symbol) {
        for context in contexts(past).into_iter().flatten() {
            if let Some(followers) = self.contexts.touch(context) {
                follow(followers, tool);
                continue;
            }
            if self.contexts.len() >= self.limit {
                self.contexts.remove_oldest();
            }
            self.contexts.insert(context, vec![Follower { tool, count: 1.0, confidence: 1 }]);
        }
    }

    /// The tools that may follow these calls, the likeliest first.
    pub(super) fn predict(&self, past: [Option<Symbol>; 2]) -> Vec<Next> {
        let mut found: Vec<Next> = Vec::with_capacity(FOLLOWERS);
        let mut open = 1.0;
        for context in contexts(past).into_iter().flatten() {
            let Some(followers) = self.contexts.peek(context) else { continue };
            let total: f32 = followers.iter().map(|follower| follower.count).sum();
            let mut spoken = 0.0;
            for follower in followers.iter().filter(|follower| follower.confidence > 0) {
                let share = (follower.count - 0.5).max(0.0) / total.max(1.0);
                spoken += share;
                match found.iter_mut().find(|next| next.tool == follower.tool) {
                    Some(next) => next.probability += open * share,
                    None => found.push(Next { tool: follower.tool, probability: open * share }),
                }
            }
            open *= (1.0 - spoken).clamp(0.0, 1.0);
        }
        found.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        found
    }
}

/// Keys of the contexts, the longest first.
fn contexts([last, before]: [Option<Symbol>; 2]) -> [Option<u64>; 3] {
    let key = |order: u8, symbols: [Symbol; 2]| {
        let mut bytes = [0; 17];
        let (head, tail) = bytes.split_at_mut(1);
        head.fill(order);
        for (place, symbol) in tail.chunks_exact_mut(8).zip(symbols) {
            place.copy_from_slice(&symbol.to_le_bytes());
        }
        xxh3_64(&bytes)
    };
    [
        last.zip(before).map(|(last, before)| key(2, [last, before])),
        last.map(|last| key(1, [last, 0])),
        Some(key(0, [0; 2])),
    ]
}

fn follow(followers: &mut Vec<Follower>, tool: Symbol) {
    for follower in followers.iter_mut() {
        follower.count *= DECAY;
        if follower.tool == tool {
            follower.count += 1.0;
            follower.confidence = (follower.confidence + 1).min(3);
        } else {
            follower.confidence = follower.confidence.saturating_sub(1);
        }
    }
    followers.retain(|follower| follower.count > TRACE);
    if followers.iter().any(|follower| follower.tool == tool) {
        return;
    }
    if followers.len() == FOLLOWERS {
        let rarest = followers.iter().enumerate().min_by(|a, b| a.1.count.total_cmp(&b.1.count)).map(|(at, _)| at);
        if let Some(at) = rarest {
            followers.swap_remove(at);
        }
    }
    followers.push(Follower { tool, count: 1.0, confidence: 1 });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taught(sequence: &[Symbol]) -> Ppm {
        let mut ppm = Ppm::new(64);
        let mut past = [None, None];
        for &tool in sequence {
            ppm.learn(past, tool);
            past = [Some(tool), past[0]];
        }
        ppm
    }

    fn chance(ppm: &Ppm, past: [Option<Symbol>; 2], tool: Symbol) -> f32 {
        ppm.predict(past).iter().find(|next| next.tool == tool).map_or(0.0, |next| next.probability)
    }

    #[test]
    fn two_calls_back_decide_what_one_call_back_leaves_open() {
        let ppm = taught(&[1, 5, 2, 9, 3, 5, 4, 9].repeat(6));
        assert!(chance(&ppm, [Some(5), Some(1)], 2) > 0.8);
        assert!(chance(&ppm, [Some(5), Some(3)], 4) > 0.8);
        assert!(chance(&ppm, [Some(5), Some(3)], 2) < 0.2);
    }

    #[test]
    fn an_unseen_pair_falls_back_to_the_last_call() {
        let ppm = taught(&[1, 5, 2].repeat(6));
        assert!(chance(&ppm, [Some(5), Some(77)], 2) > 0.7);
    }

    #[test]
    fn what_followed_once_is_no_certainty_and_chances_add_up_to_no_more_than_one() {
        assert!(chance(&taught(&[1, 2]), [Some(1), None], 2) < 0.7);
        let ppm = taught(&(0..400).map(|n| (n * n) % 7).collect::<Vec<_>>());
        for last in 0..7 {
            let sum: f32 = ppm.predict([Some(last), Some(1)]).iter().map(|next| next.probability).sum();
            assert!(sum <= 1.001, "{sum}");
        }
    }

    #[test]
    fn a_changed_habit_outweighs_the_old_one_within_a_few_calls() {
        let mut habit = [1, 2].repeat(50);
        habit.extend([1, 3].repeat(6));
        let ppm = taught(&habit);
        assert!(chance(&ppm, [Some(1), Some(3)], 3) > chance(&ppm, [Some(1), Some(3)], 2));
    }

    #[test]
    fn contexts_stay_within_their_bound() {
        let mut ppm = Ppm::new(16);
        for tool in 0..1_000 {
            ppm.learn([Some(tool), Some(tool + 1)], tool);
            assert!(ppm.len() <= 16);
        }
        assert!(!ppm.predict([None, None]).is_empty());
    }
}

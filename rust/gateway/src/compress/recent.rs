//! What a principal looked for in originals lately: the question of results that come with none of their own.
//!
//! Rule: in memory only, bounded in number, length and time, and what one principal said is never used for another.
//! Time is an argument.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

/// Questions of one principal that are remembered, the last ones.
const MOST: usize = 8;
/// How long each is.
const LASTS: Duration = Duration::from_secs(600);
/// Bytes of a question; what is longer is cut.
const LONGEST: usize = 256;
/// Principals who are remembered; one more takes the place of who asked longest ago.
const PRINCIPALS: usize = 1_024;

/// The last questions, by principal.
#[derive(Default)]
pub(super) struct Recent(Mutex<HashMap<Arc<str>, VecDeque<Question>>>);

struct Question {
    at: Instant,
    words: Box<str>,
}

impl Recent {
    /// Takes a question; the same again is one, asked now.
    pub(super) fn note(&self, principal: &Arc<str>, words: &str, now: Instant) {
        let words = super::wanted::cut(words.trim(), LONGEST);
        if words.is_empty() {
            return;
        }
        let mut all = self.0.lock();
        if !all.contains_key(principal) && all.len() >= PRINCIPALS {
            let last = |questions: &VecDeque<Question>| questions.back().map(|question| question.at);
            let oldest = all.iter().min_by_key(|(_, questions)| last(questions)).map(|(name, _)| Arc::clone(name));
            oldest.and_then(|name| all.remove(&name));
        }
        let own = all.entry(Arc::clone(principal)).or_default();
        own.retain(|question| *question.words != *words);
        if own.len() >= MOST {
            own.pop_front();
        }
        own.push_back(Question { at: now, words: words.into() });
    }

    /// What it asked, the last first; empty if there was nothing lately.
    pub(super) fn words(&self, principal: &str, now: Instant) -> String {
        let mut all = self.0.lock();
        let Some(own) = all.get_mut(principal) else { return String::new() };
        own.retain(|question| now.saturating_duration_since(question.at) < LASTS);
        own.iter().rev().map(|question| &*question.words).collect::<Vec<_>>().join(" ")
    }
}

/// The words that a regular expression looks for, without its signs.
pub(super) fn words_of(pattern: &str) -> String {
    let mut words = String::with_capacity(pattern.len());
    let mut signs = pattern.chars();
    while let Some(sign) = signs.next() {
        match sign {
            // The letter behind it is a class or a bound.
            '\\' => words.push(signs.next().filter(|next| !next.is_alphanumeric()).unwrap_or(' ')),
            '^' | '$' | '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '|' => words.push(' '),
            _ => words.push(sign),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn named(name: &str) -> Arc<str> {
        name.into()
    }

    #[test]
    fn the_last_eight_are_remembered_for_ten_minutes_each() {
        let (recent, begun, ada) = (Recent::default(), Instant::now(), named("ada"));
        for at in 0..10_u32 {
            recent.note(&ada, &format!("word{at}"), begun + SECOND * at);
        }
        assert_eq!(recent.words("ada", begun + SECOND * 9), "word9 word8 word7 word6 word5 word4 word3 word2");
        assert_eq!(recent.words("ada", begun + LASTS + SECOND * 7), "word9 word8");
        assert_eq!(recent.words("ada", begun + LASTS + SECOND * 9), "");
    }

    #[test]
    fn the_same_again_is_one_and_nothing_is_none() {
        let (recent, now, ada) = (Recent::default(), Instant::now(), named("ada"));
        for words in ["one", "two", " one ", "  ", ""] {
            recent.note(&ada, words, now);
        }
        assert_eq!(recent.words("ada", now), "one two");
        recent.note(&ada, &"й".repeat(300), now);
        assert_eq!(recent.words("ada", now).split(' ').next().map(str::len), Some(256));
    }

    #[test]
    fn what_one_said_is_never_another_s_and_the_number_of_principals_is_bounded() {
        let (recent, begun) = (Recent::default(), Instant::now());
        for at in 0..=PRINCIPALS {
            let moment = begun + SECOND / 1_000 * u32::try_from(at).unwrap();
            recent.note(&named(&format!("p{at}")), &format!("secret{at}"), moment);
        }
        assert_eq!(recent.words("p0", begun), "", "who asked longest ago made room");
        assert_eq!(recent.words("p1", begun), "secret1");
        assert_eq!(recent.words("p", begun), "");
        assert_eq!(recent.0.lock().len(), PRINCIPALS);
    }

    #[test]
    fn of_a_pattern_the_words_are_left() {
        assert_eq!(
            words_of(r"\brefund_\w+ (failed|lost)\.$").split_whitespace().collect::<Vec<_>>(),
            ["refund_", "failed", "lost", "."]
        );
    }
}

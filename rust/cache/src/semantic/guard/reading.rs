//! A text, word by word, as the guard sees it.
//!
//! Rule: what is not plainly an ordinary word is taken literally. Quotes, paths, identifiers, anything with a digit or
//! a sign in it, single letters, words of other scripts: they mean what they are, letter by letter.

use std::mem;

use super::{Slot, words};

/// What a word is to the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// It must be the same in both texts, at its place among the others.
    Slot(Slot),
    /// A word with a meaning of its own.
    Word,
    /// A capitalised first word: a name where the other text has it as one, else a word that must be there too.
    Perhaps,
    /// A word that may say nothing.
    Weak,
}

/// One word, sign or quotation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) text: String,
}

/// A text that was read.
#[derive(Debug)]
pub(in crate::semantic) struct Reading {
    pub(super) tokens: Vec<Token>,
}

impl Reading {
    pub(in crate::semantic) fn new(text: &str) -> Self {
        let mut reader = Reader { tokens: Vec::new(), opening: true };
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let end = if let Some(end) = quotation(rest, first) {
                reader.push(Kind::Slot(Slot::Quoted), &rest[..end]);
                end
            } else {
                let inner = &rest[first.len_utf8()..];
                let end = inner.find(|sign: char| sign.is_whitespace() || DOUBLE.contains(sign));
                let end = end.map_or(rest.len(), |end| end + first.len_utf8());
                reader.chunk(&rest[..end]);
                end
            };
            rest = rest[end..].trim_start();
        }
        reader.courtesies();
        Self { tokens: reader.tokens }
    }
}

/// Quotation marks that are nothing else.
const DOUBLE: &str = "\"`\u{201c}\u{201d}\u{ab}\u{bb}\u{201e}";

/// Where a quotation at the start ends.
fn quotation(text: &str, opening: char) -> Option<usize> {
    let closing = match opening {
        '"' | '`' | '\'' => opening,
        '\u{201c}' => '\u{201d}',
        '\u{201e}' => '\u{201c}',
        '\u{2018}' => '\u{2019}',
        '\u{ab}' => '\u{bb}',
        _ => return None,
    };
    let inner = &text[opening.len_utf8()..];
    let ends = inner.match_indices(closing).map(|(at, _)| opening.len_utf8() + at + closing.len_utf8());
    // An apostrophe inside a word closes nothing.
    ends.into_iter().find(|end| !text[*end..].starts_with(char::is_alphanumeric))
}

struct Reader {
    tokens: Vec<Token>,
    /// The next word begins a sentence.
    opening: bool,
}

impl Reader {
    fn push(&mut self, kind: Kind, text: &str) {
        self.tokens.push(Token { kind, text: text.to_owned() });
        self.opening = false;
    }

    /// What stands between two spaces: signs, a core, signs.
    fn chunk(&mut self, chunk: &str) {
        let core = chunk.trim_start_matches('(');
        if core.len() < chunk.len() {
            self.push(Kind::Weak, "(");
        }
        let bare = core.trim_end_matches(['.', ',', ';', ':', '!', '?', ')']);
        if bare.is_empty() {
            if !core.is_empty() && !core.chars().all(|sign| ".!?".contains(sign)) {
                self.push(Kind::Slot(Slot::Literal), core);
            }
        } else if plain(bare) {
            for word in bare.split('-') {
                self.word(word);
            }
        } else if let Some(number) = number(bare) {
            self.push(Kind::Slot(Slot::Number), &number);
        } else {
            self.push(Kind::Slot(Slot::Literal), bare);
        }
        for sign in core[bare.len()..].chars().filter(|sign| ",;:)".contains(*sign)) {
            self.push(Kind::Weak, sign.encode_utf8(&mut [0; 4]));
        }
        self.opening |= core.ends_with(['.', '!', '?', ':']);
    }

    /// A word of letters and apostrophes.
    fn word(&mut self, word: &str) {
        let opening = mem::replace(&mut self.opening, false);
        let (word, tail) = word.find(['\'', '\u{2019}']).map_or((word, ""), |at| word.split_at(at));
        let tail = tail.trim_start_matches(['\'', '\u{2019}']).to_ascii_lowercase();
        let (word, not) = match word.strip_suffix(['n', 'N']) {
            Some(verb) if tail == "t" => (verb, true),
            _ => (word, false),
        };
        let capital = word.starts_with(|first: char| first.is_ascii_uppercase());
        let small = word.to_ascii_lowercase();
        let literal = !word.is_ascii() || word.bytes().skip(1).any(|byte| byte.is_ascii_uppercase());
        if literal || (word.len() == 1 && small != "a" && small != "i") {
            self.push(Kind::Slot(Slot::Literal), word);
        } else if capital && !opening && small != "i" {
            self.push(Kind::Slot(Slot::Name), word);
        } else if capital && small != "i" && !words::opener(&small) {
            self.push(Kind::Perhaps, word);
        } else if let Some((slot, spelling)) = words::slot(&small) {
            self.push(Kind::Slot(slot), spelling);
        } else if words::filler(&small) {
            self.push(Kind::Weak, &small);
        } else if !small.is_empty() {
            self.push(Kind::Word, &small);
        }
        match tail.as_str() {
            _ if not => self.push(Kind::Slot(Slot::Negation), "not"),
            "" => {}
            "s" => self.push(Kind::Weak, "'s"),
            _ => self.push(Kind::Slot(Slot::Literal), &tail),
        }
    }

    /// Words that are slots elsewhere and say nothing in a courtesy: "can you", "show me", "I want", "to see".
    fn courtesies(&mut self) {
        const ASK: [&str; 8] = ["give", "show", "tell", "get", "find", "list", "let", "fetch"];
        for at in 0..self.tokens.len() {
            let text =
                |at: Option<usize>| at.and_then(|at| self.tokens.get(at)).map_or("", |token| token.text.as_str());
            let (before, this, after) = (text(at.checked_sub(1)), text(Some(at)), text(Some(at + 1)));
            let weak = match this {
                "can" | "could" | "would" | "will" => after == "you",
                "you" => matches!(before, "can" | "could" | "would" | "will"),
                "me" | "us" => ASK.contains(&before),
                "i" => matches!(after, "want" | "need"),
                "to" => matches!(before, "want" | "need") && (ASK.contains(&after) || after == "see"),
                _ => false,
            };
            if weak {
                self.tokens[at].kind = Kind::Weak;
            }
        }
    }
}

/// Letters, with apostrophes and hyphens inside.
fn plain(core: &str) -> bool {
    let inside = core.starts_with(char::is_alphabetic) && !core.ends_with('-') && !core.contains("--");
    inside && core.chars().all(|sign| sign.is_alphabetic() || "'\u{2019}-".contains(sign))
}

/// A plain number, without the commas between its thousands.
fn number(core: &str) -> Option<String> {
    let digits = core.strip_prefix(['+', '-']).unwrap_or(core);
    let whole = digits.split_once('.').map_or(digits, |(whole, _)| whole);
    let fraction = digits.split_once('.').map_or("0", |(_, fraction)| fraction);
    let counts = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let thousands = || {
        let mut groups = whole.split(',');
        let first = groups.next().is_some_and(|first| counts(first) && first.len() <= 3);
        first && groups.all(|group| counts(group) && group.len() == 3)
    };
    let ordinal = ["st", "nd", "rd", "th"].iter().any(|end| core.strip_suffix(end).is_some_and(counts));
    let plain = counts(fraction) && (counts(whole) || thousands());
    (plain || ordinal).then(|| core.replace(',', ""))
}

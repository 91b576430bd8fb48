//! Cuts a text into the pieces of `o200k_base`: words with at most one sign before them, numbers of three digits, runs
//! of signs, white space.
//!
//! The vocabulary's own definition is a regular expression; it is read here by hand, by the class of each character,
//! because it is tried at every piece and costs more there than all the rest of the counting. The alternatives are
//! tried in the same order, and what the expression gives back on its way is given back here: a test compares both.

/// Bits of a character's class.
const UPPER: u8 = 1;
const LOWER: u8 = 2;
/// A letter without case.
const PLAIN: u8 = 4;
const MARK: u8 = 8;
const DIGIT: u8 = 16;
const SPACE: u8 = 32;
const LINE: u8 = 64;
const OTHER: u8 = 128;

const CAPITAL: u8 = UPPER | PLAIN | MARK;
const SMALL: u8 = LOWER | PLAIN | MARK;
const WORD: u8 = CAPITAL | SMALL;
const SIGN: u8 = OTHER | MARK;

/// `build.rs`'s list: where a class begins, three bytes, and the class.
static RANGES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/classes.bin"));

/// Characters below this have their class in a table.
const TABLED: usize = 0x2_0000;

/// The class of every character.
pub(super) struct Classes {
    table: Vec<u8>,
    /// Of the characters beyond the table.
    rest: Vec<(u32, u8)>,
}

impl Classes {
    pub(super) fn unpacked() -> Self {
        let ranges = ranges();
        let mut table = vec![OTHER; TABLED];
        for (at, (from, class)) in ranges.iter().enumerate() {
            let to = ranges.get(at + 1).map_or(TABLED, |next| next.0 as usize).min(TABLED);
            if let Some(same) = table.get_mut(*from as usize..to) {
                same.fill(*class);
            }
        }
        Self { table, rest: ranges }
    }

    #[inline]
    fn of(&self, character: char) -> u8 {
        let code = u32::from(character);
        if let Some(class) = self.table.get(code as usize) {
            return *class;
        }
        let after = self.rest.partition_point(|range| range.0 <= code);
        after.checked_sub(1).and_then(|at| self.rest.get(at)).map_or(OTHER, |range| range.1)
    }
}

/// Where each class begins.
fn ranges() -> Vec<(u32, u8)> {
    let range = |range: &[u8]| match range {
        [low, middle, high, class] => Some((u32::from_le_bytes([*low, *middle, *high, 0]), *class)),
        _ => None,
    };
    RANGES.chunks_exact(4).filter_map(range).collect()
}

/// The first character of each range.
#[cfg(test)]
pub(super) fn edges() -> impl Iterator<Item = u32> {
    ranges().into_iter().map(|range| range.0)
}

/// A text with, perhaps, a line end behind it that is not in it.
#[derive(Clone, Copy)]
pub(super) struct Pieces<'a> {
    pub(super) classes: &'a Classes,
    pub(super) text: &'a str,
    pub(super) line_end: bool,
}

impl Pieces<'_> {
    /// The bytes in all.
    pub(super) fn len(self) -> usize {
        self.text.len() + usize::from(self.line_end)
    }

    /// Class and width of the character there; nothing at the end.
    #[inline]
    fn look(self, at: usize) -> (u8, usize) {
        match self.text.as_bytes().get(at) {
            Some(byte) if *byte < 128 => (self.classes.table.get(usize::from(*byte)).copied().unwrap_or(OTHER), 1),
            Some(_) => self.look_far(at),
            None if self.line_end && at == self.text.len() => (LINE, 1),
            None => (0, 0),
        }
    }

    #[inline(never)]
    fn look_far(self, at: usize) -> (u8, usize) {
        let character = self.text.get(at..).and_then(|rest| rest.chars().next());
        character.map_or((0, 1), |character| (self.classes.of(character), character.len_utf8()))
    }

    /// Where the run of characters of these classes ends.
    #[inline]
    fn run(self, from: usize, classes: u8) -> usize {
        let mut at = from;
        loop {
            let (class, width) = self.look(at);
            if class & classes == 0 {
                return at;
            }
            at += width;
        }
    }

    /// Where the piece that begins at `at` ends.
    #[inline]
    pub(super) fn end(self, at: usize) -> usize {
        let (class, width) = self.look(at);
        let next = at + width;
        match class {
            UPPER | LOWER | PLAIN => self.word(at, next),
            // A mark is a sign before a word as well as a word: before capitals alone it stays the latter.
            MARK => self.word(next, next),
            DIGIT => self.number(next),
            LINE => self.white(at),
            _ => {
                let (after, width) = self.look(next);
                if after & WORD != 0 {
                    return self.word(next, next + width);
                }
                match class {
                    OTHER => self.signs(next),
                    SPACE if after == OTHER && self.text.as_bytes().get(at) == Some(&b' ') => self.signs(next),
                    _ => self.white(at),
                }
            }
        }
    }

    /// Capitals, then small letters. Without small ones it goes to the last letter that has no case, and if there is
    /// none of these either it is the capitals; `least` is what it has in any case.
    #[inline]
    fn word(self, from: usize, least: usize) -> usize {
        let mut at = from;
        let mut caseless = None;
        let end = loop {
            let (class, width) = self.look(at);
            if class == LOWER {
                break self.run(at + width, SMALL);
            }
            if class & CAPITAL == 0 {
                break caseless.unwrap_or(if least == from { least } else { at });
            }
            at += width;
            if class != UPPER {
                caseless = Some(at);
            }
        };
        self.with_ending(end)
    }

    /// `'s`, `'t`, `'m`, `'d`, `'re`, `'ve`, `'ll` belong to the word before them. The long s is an s to Unicode.
    #[inline]
    fn with_ending(self, at: usize) -> usize {
        let bytes = self.text.as_bytes();
        if bytes.get(at) != Some(&b'\'') {
            return at;
        }
        let small = |ahead: usize| bytes.get(at + ahead).map_or(0, u8::to_ascii_lowercase);
        match (small(1), small(2)) {
            (b's' | b't' | b'm' | b'd', _) => at + 2,
            (b'r' | b'v', b'e') | (b'l', b'l') | (0xC5, 0xBF) => at + 3,
            _ => at,
        }
    }

    /// Up to three digits; one is read.
    #[inline]
    fn number(self, from: usize) -> usize {
        let mut at = from;
        for _ in 0..2 {
            let (class, width) = self.look(at);
            if class != DIGIT {
                break;
            }
            at += width;
        }
        at
    }

    /// Signs, with the line ends and slashes behind them.
    #[inline]
    fn signs(self, from: usize) -> usize {
        let mut at = self.run(from, SIGN);
        while matches!(self.text.as_bytes().get(at), Some(b'\r' | b'\n' | b'/')) {
            at += 1;
        }
        if self.line_end && at == self.text.len() { self.len() } else { at }
    }

    /// White space: to the last line end in it; without one all but its last character, which goes with what follows.
    fn white(self, from: usize) -> usize {
        let mut at = from;
        let mut last = from;
        let mut line_end = None;
        loop {
            let (class, width) = self.look(at);
            if class & (SPACE | LINE) == 0 {
                break;
            }
            last = at;
            at += width;
            if class == LINE {
                line_end = Some(at);
            }
        }
        match line_end {
            Some(end) => end,
            None if at == self.len() || last == from => at,
            None => last,
        }
    }
}

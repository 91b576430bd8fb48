//! Bytes read by class: a table says of each byte what it can be part of, and nothing here can read past the end.

/// Bits of [`CLASS`].
pub(super) const DIGIT: u16 = 1;
pub(super) const UPPER: u16 = 1 << 1;
pub(super) const LOWER: u16 = 1 << 2;
/// A byte of a letter of two bytes: Latin with accents, Greek, Cyrillic, Hebrew, Arabic.
pub(super) const HIGH: u16 = 1 << 3;
pub(super) const DOT: u16 = 1 << 4;
pub(super) const COLON: u16 = 1 << 5;
pub(super) const SLASH: u16 = 1 << 6;
pub(super) const BACK: u16 = 1 << 7;
pub(super) const DASH: u16 = 1 << 8;
pub(super) const UNDER: u16 = 1 << 9;
pub(super) const AT: u16 = 1 << 10;
/// `+ ~ # $`
pub(super) const SIGN: u16 = 1 << 11;
pub(super) const LETTER: u16 = UPPER | LOWER | HIGH;

/// What a byte is in a chunk; 0 if it ends one.
static CLASS: [u16; 256] = classes();

const fn classes() -> [u16; 256] {
    let mut table = [0; 256];
    let mut byte: u8 = 0;
    loop {
        table[byte as usize] = match byte {
            b'0'..=b'9' => DIGIT,
            b'A'..=b'Z' => UPPER,
            b'a'..=b'z' => LOWER,
            // A byte in the middle of a character is met only after its first one.
            0xC3..=0xDF | 0x80..=0xBF => HIGH,
            b'.' => DOT,
            b':' => COLON,
            b'/' => SLASH,
            b'\\' => BACK,
            b'-' => DASH,
            b'_' => UNDER,
            b'@' => AT,
            b'+' | b'~' | b'#' | b'$' => SIGN,
            _ => 0,
        };
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}

/// What this byte can be in a chunk; 0 if it ends one.
pub(super) fn class(byte: u8) -> u16 {
    CLASS.get(usize::from(byte)).copied().unwrap_or(0)
}

/// A text as bytes.
#[derive(Clone, Copy)]
pub(super) struct Text<'a>(pub(super) &'a [u8]);

impl<'a> Text<'a> {
    pub(super) fn len(self) -> usize {
        self.0.len()
    }

    /// The byte there; 0 past the end.
    pub(super) fn at(self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(0)
    }

    /// The byte before; 0 at the begin.
    pub(super) fn before(self, at: usize) -> u8 {
        at.checked_sub(1).map_or(0, |at| self.at(at))
    }

    pub(super) fn slice(self, from: usize, to: usize) -> &'a [u8] {
        self.0.get(from..to).unwrap_or_default()
    }

    /// Where the run of bytes that begins at `from` and of which `part` says yes ends.
    pub(super) fn run(self, from: usize, part: impl Fn(u8) -> bool) -> usize {
        let rest = self.0.get(from..).unwrap_or_default();
        from + rest.iter().position(|byte| !part(*byte)).unwrap_or(rest.len())
    }

    /// How many digits stand there, counted up to `most`.
    pub(super) fn digits(self, from: usize, most: usize) -> usize {
        (0..most).take_while(|ahead| self.at(from + ahead).is_ascii_digit()).count()
    }

    /// How often a byte stands in a part.
    pub(super) fn times(self, from: usize, to: usize, wanted: u8) -> usize {
        self.slice(from, to).iter().map(|byte| usize::from(*byte == wanted)).sum()
    }

    /// The number that `count` digits from there spell (at most nine of them).
    pub(super) fn value(self, from: usize, count: usize) -> u32 {
        self.slice(from, from + count.min(9)).iter().fold(0, |sum, digit| sum * 10 + u32::from(digit & 15))
    }

    /// Whether the text there begins with this, which is spelled in small ASCII letters.
    pub(super) fn says(self, at: usize, small: &[u8]) -> bool {
        self.slice(at, at + small.len()).eq_ignore_ascii_case(small)
    }
}

/// How many bytes the character has that begins with this byte.
pub(super) fn width(first: u8) -> usize {
    match first {
        0..0xC0 => 1,
        0xC0..0xE0 => 2,
        0xE0..0xF0 => 3,
        _ => 4,
    }
}

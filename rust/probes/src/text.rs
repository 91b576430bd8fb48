//! A text with an end that its reader finds.

/// Bytes of a text that a probe tells.
pub const LONGEST: usize = 255;

/// A copy of a text, with a zero byte after it.
pub(crate) struct Text([u8; LONGEST + 1]);

impl Text {
    /// As much of a text as there is room for.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut text = [0; LONGEST + 1];
        for (place, byte) in text.iter_mut().zip(bytes.iter().take(LONGEST)) {
            *place = *byte;
        }
        Self(text)
    }

    /// Where it stands, for as long as it is held.
    pub(crate) fn address(&self) -> *const u8 {
        self.0.as_ptr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_ends_with_a_zero_byte_however_long_it_is() {
        for length in [0, 1, LONGEST - 1, LONGEST, LONGEST + 1, 4 * LONGEST] {
            let text = Text::of(&vec![b'x'; length]);
            let end = text.0.iter().position(|byte| *byte == 0);
            assert_eq!(end, Some(length.min(LONGEST)));
        }
    }
}

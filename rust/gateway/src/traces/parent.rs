//! `traceparent` and `tracestate` as W3C Trace Context writes them.
//!
//! Read strictly: what is not exactly a `traceparent` is none, and whoever sent it gets a trace of its own. A version
//! to come is read as far as this one goes, as the specification asks.

use std::sync::Arc;

/// Bytes of a `traceparent`.
pub(crate) const LENGTH: usize = 55;
/// The bit that says that the trace is recorded, and the one that says that its id is random.
const SAMPLED: u8 = 1;
const RANDOM: u8 = 2;
/// A longer `tracestate` may be left out, and is.
const LONGEST_STATE: usize = 512;

/// A place in a trace: what the next one down is told of who called it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// The trace's id; not zero.
    pub trace: u128,
    /// The span's id; not zero.
    pub span: u64,
    /// Flags as they were sent.
    pub flags: u8,
}

impl Parent {
    /// Reads a `traceparent`.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (known, rest) = text.split_at_checked(LENGTH)?;
        let mut parts = known.split(|byte| *byte == b'-');
        let mut part = |digits: usize| parts.next().filter(|part| part.len() == digits).and_then(hex);
        let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        let is_whole = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.first().is_none_or(|byte| *byte == b'-'),
        };
        let (span, flags) = (u64::try_from(span).ok()?, u8::try_from(flags).ok()?);
        (is_whole && trace != 0 && span != 0).then_some(Self { trace, span, flags })
    }

    /// As it is sent on.
    pub fn write(&self) -> [u8; LENGTH] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        let mut put = |start: usize, digits: usize, mut value: u128| {
            for place in text.iter_mut().skip(start).take(digits).rev() {
                *place = b"0123456789abcdef".get((value & 15) as usize).copied().unwrap_or(b'0');
                value >>= 4;
            }
        };
        put(3, 32, self.trace);
        put(36, 16, self.span.into());
        put(53, 2, self.flags.into());
        text
    }

    /// The trace is recorded where it comes from.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The flags of who records a part of this trace.
    pub(super) fn recorded(flags: u8) -> u8 {
        flags & RANDOM | SAMPLED
    }
}

/// Lower-case digits; no other are allowed.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0u128, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u128::from(digit))
    })
}

/// A `tracestate` that can be sent on; its members are nobody's business here.
pub(super) fn state(text: &str) -> Option<Arc<str>> {
    let text = text.trim_ascii();
    let is_plain =
        !text.is_empty() && text.len() <= LONGEST_STATE && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    is_plain.then(|| text.into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SOUND: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn one_that_is_sound_is_read_and_written_back() {
        let parent = Parent::parse(SOUND.as_bytes()).unwrap();
        assert_eq!(parent.trace, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!(parent.span, 0x00f0_67aa_0ba9_02b7);
        assert!(parent.is_sampled());
        assert_eq!(parent.write(), SOUND.as_bytes());
        assert!(!Parent::parse(SOUND.replace("-01", "-00").as_bytes()).unwrap().is_sampled());
    }

    #[test]
    fn a_version_to_come_is_read_as_far_as_it_is_known() {
        let newer = |rest: &str| Parent::parse(format!("cc{}{rest}", SOUND.strip_prefix("00").unwrap()).as_bytes());
        assert!(newer("").is_some());
        assert!(newer("-what-the-future-will-be").is_some());
        assert!(newer(".what").is_none());
    }

    #[test]
    fn what_the_specification_calls_invalid_is_none() {
        for text in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 ",
            " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Parent::parse(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn a_state_that_is_too_long_or_not_plain_is_left_out() {
        assert_eq!(state("rojo=00f067aa0ba902b7,congo=t61 ").as_deref(), Some("rojo=00f067aa0ba902b7,congo=t61"));
        for text in ["", " ", "a\n=", "a=é", &"a".repeat(LONGEST_STATE + 1)] {
            assert_eq!(state(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(trace in 1u128.., span in 1u64.., flags: u8) {
            let parent = Parent { trace, span, flags };
            prop_assert_eq!(Parent::parse(&parent.write()), Some(parent));
        }

        /// The grammar again, told in another way: the reader agrees with it on anything near a sound one.
        #[test]
        fn the_reader_agrees_with_the_grammar(at in 0usize..58, byte: u8, cut in 0usize..3, version in "[0-9a-f]{2}") {
            let mut text = format!("{version}{}", SOUND.strip_prefix("00").unwrap()).into_bytes();
            if let Some(place) = text.get_mut(at) {
                *place = byte;
            } else {
                text.push(byte);
            }
            text.truncate(text.len() - cut.min(text.len()));
            prop_assert_eq!(Parent::parse(&text).is_some(), is_sound(&text), "{:?}", String::from_utf8_lossy(&text));
        }

        #[test]
        fn no_bytes_upset_the_reader(text in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(Parent::parse(&text).is_some(), is_sound(&text));
        }
    }

    fn is_sound(text: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(text) else {
            // Only the rest of a version to come may hold anything.
            return text.len() > LENGTH
                && !text.starts_with(b"00")
                && text[LENGTH] == b'-'
                && is_sound(&text[..LENGTH]);
        };
        let digits = |part: &str, many: usize| {
            part.len() == many && part.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c))
        };
        let parts: Vec<_> = text.splitn(5, '-').collect();
        let (Some(version), Some(trace), Some(span), Some(flags)) =
            (parts.first(), parts.get(1), parts.get(2), parts.get(3))
        else {
            return false;
        };
        digits(version, 2)
            && *version != "ff"
            && digits(trace, 32)
            && trace.chars().any(|c| c != '0')
            && digits(span, 16)
            && span.chars().any(|c| c != '0')
            && digits(flags, 2)
            && (parts.len() == 4 || *version != "00")
    }
}

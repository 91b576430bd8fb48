//! The bytes of a response, as hyper is given them.

use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// A kept result in its message: what opens it, the result itself, what ends it. One frame, so that hyper takes it as
/// one thing to write.
#[derive(Debug)]
pub(crate) struct Around {
    pub(super) open: Bytes,
    pub(super) result: Bytes,
    pub(super) end: &'static [u8],
}

impl Around {
    /// The parts in their order.
    pub(crate) fn into_parts(self) -> [Bytes; 3] {
        [self.open, self.result, Bytes::from_static(self.end)]
    }
}

impl Buf for Around {
    fn remaining(&self) -> usize {
        self.open.len() + self.result.len() + self.end.len()
    }

    fn chunk(&self) -> &[u8] {
        let parts: [&[u8]; 2] = [&self.open, &self.result];
        parts.into_iter().find(|part| !part.is_empty()).unwrap_or(self.end)
    }

    fn advance(&mut self, count: usize) {
        let of_open = count.min(self.open.len());
        self.open.advance(of_open);
        let of_result = (count - of_open).min(self.result.len());
        self.result.advance(of_result);
        self.end.advance(count - of_open - of_result);
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let parts: [&[u8]; 3] = [&self.open, &self.result, self.end];
        let mut count = 0;
        for (slice, part) in slices.iter_mut().zip(parts.into_iter().filter(|part| !part.is_empty())) {
            *slice = IoSlice::new(part);
            count += 1;
        }
        count
    }
}

/// The bytes of a frame.
#[derive(Debug)]
pub(crate) enum Data {
    /// In one piece.
    Bytes(Bytes),
    /// Around a result.
    Around(Around),
}

impl Buf for Data {
    fn remaining(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Around(around) => around.remaining(),
        }
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Around(around) => around.chunk(),
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::Bytes(bytes) => bytes.advance(count),
            Self::Around(around) => around.advance(count),
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.chunks_vectored(slices),
            Self::Around(around) => around.chunks_vectored(slices),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: [&str; 3] = ["{\"result\":", "[1,2,3]", "}"];

    fn around() -> Data {
        let [open, result, end] = PARTS;
        Data::Around(Around { open: open.into(), result: result.into(), end: end.as_bytes() })
    }

    fn listed(data: &Data) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); 4];
        let count = data.chunks_vectored(&mut slices);
        slices[..count].iter().flat_map(|slice| slice.to_vec()).collect()
    }

    #[test]
    fn wherever_a_write_stops_the_rest_is_what_was_not_written() {
        let whole = PARTS.concat();
        for first in 0..=whole.len() {
            for second in 0..=whole.len() - first {
                let mut data = around();
                data.advance(first);
                data.advance(second);
                let rest = &whole.as_bytes()[first + second..];
                assert_eq!(data.remaining(), rest.len());
                assert_eq!(listed(&data), rest);
                assert_eq!(data.copy_to_bytes(rest.len()), rest);
            }
        }
    }

    #[test]
    fn what_does_not_fit_into_the_list_waits_for_the_next() {
        let mut slices = [IoSlice::new(&[]); 2];
        assert_eq!(around().chunks_vectored(&mut slices), 2);
    }
}

//! Whether a text is UTF-8, piece by piece.

/// The beginning of a character whose rest is still to come.
#[derive(Debug, Default)]
pub(super) struct Utf8 {
    begun: [u8; 4],
    length: usize,
}

impl Utf8 {
    /// Takes a piece; tells at which byte of it a character is none.
    pub(super) fn push(&mut self, mut piece: &[u8]) -> Result<(), usize> {
        let whole = piece.len();
        while self.length > 0 {
            let Some((first, rest)) = piece.split_first() else { return Ok(()) };
            if let Some(place) = self.begun.get_mut(self.length) {
                *place = *first;
            }
            (self.length, piece) = (self.length + 1, rest);
            match std::str::from_utf8(self.begun.get(..self.length).unwrap_or_default()) {
                Ok(_) => self.length = 0,
                Err(error) if error.error_len().is_some() => return Err(whole - piece.len()),
                Err(_) => {}
            }
        }
        let Err(error) = std::str::from_utf8(piece) else { return Ok(()) };
        let rest = piece.get(error.valid_up_to()..).unwrap_or_default();
        if error.error_len().is_some() || rest.len() >= self.begun.len() {
            return Err(whole - rest.len());
        }
        for (place, byte) in self.begun.iter_mut().zip(rest) {
            *place = *byte;
        }
        self.length = rest.len();
        Ok(())
    }

    /// True if no character is half.
    pub(super) fn is_whole(&self) -> bool {
        self.length == 0
    }
}

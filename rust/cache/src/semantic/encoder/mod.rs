//! From a text to its direction: a table with a row for each token, and the mean of a text's rows.
//!
//! Rule: nothing is fetched. The table and the tokenizer's description are files of an installed package, whose
//! place the owner is told; what is not exactly of the expected form is refused with the reason, never guessed at.
//! Without such files there is no encoder and no semantic level.
//!
//! A static table and no network of layers: it takes microseconds instead of milliseconds and megabytes instead of a
//! runtime. That it hears no word order is no loss here: the [`guard`](super::guard) sees order.

mod pairs;
mod safetensors;

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use self::pairs::Pairs;
use self::safetensors::Table;
use super::{LONGEST_TEXT, Vector};

/// Files larger than this are not what they should be.
const LARGEST_FILE: u64 = 256 << 20;

/// Gives a text its direction.
pub trait Encoder: Send + Sync {
    /// `None` for a text without one: empty, too long, not for this encoder.
    fn encode(&self, text: &str) -> Option<Vector>;
}

/// Why there is no encoder.
#[derive(Debug)]
pub enum EncoderRefused {
    /// A file could not be read.
    Unreadable(PathBuf, std::io::Error),
    /// A file is not what it should be.
    Unexpected(PathBuf, String),
    /// The table has fewer rows than the tokenizer has tokens.
    Mismatch {
        /// Rows of the table.
        rows: usize,
        /// Tokens of the tokenizer.
        tokens: usize,
    },
}

impl fmt::Display for EncoderRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => write!(f, "{} cannot be read: {error}", path.display()),
            Self::Unexpected(path, what) => write!(f, "{} is not of the expected form: {what}", path.display()),
            Self::Mismatch { rows, tokens } => {
                write!(f, "the table has {rows} rows, the tokenizer {tokens} tokens: they do not belong together")
            }
        }
    }
}

impl std::error::Error for EncoderRefused {}

/// A table of directions by token, as packages like `wordllama` carry it.
pub struct StaticEncoder {
    pairs: Pairs,
    table: Table,
}

impl StaticEncoder {
    /// Reads the table (`safetensors`: one tensor of 16-bit floats) and the tokenizer's description (byte pairs with
    /// byte fallback, as JSON). Takes some tens of milliseconds.
    pub fn open(weights: &Path, tokenizer: &Path) -> Result<Self, EncoderRefused> {
        let table = Table::read(&bytes(weights)?).map_err(unexpected(weights))?;
        let pairs = Pairs::read(&bytes(tokenizer)?).map_err(unexpected(tokenizer))?;
        if table.rows() < pairs.tokens() {
            return Err(EncoderRefused::Mismatch { rows: table.rows(), tokens: pairs.tokens() });
        }
        Ok(Self { pairs, table })
    }

    /// Dimensions of its vectors.
    pub fn dimensions(&self) -> usize {
        self.table.dimensions()
    }

    /// The sum of a text's rows; `None` for a text that is too long, or holds the tokenizer's own signs.
    pub fn sum(&self, text: &str) -> Option<Vec<f32>> {
        if text.len() > LONGEST_TEXT {
            return None;
        }
        let mut sum = vec![0.0; self.table.dimensions()];
        for token in self.pairs.tokenize(text)? {
            self.table.add(token, &mut sum)?;
        }
        Some(sum)
    }
}

impl Encoder for StaticEncoder {
    fn encode(&self, text: &str) -> Option<Vector> {
        Vector::new(&self.sum(text)?)
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>, EncoderRefused> {
    let unreadable = |error| EncoderRefused::Unreadable(path.to_owned(), error);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(unexpected(path)(format!("more than {} MiB", LARGEST_FILE >> 20)));
    }
    Ok(bytes)
}

fn unexpected(path: &Path) -> impl Fn(String) -> EncoderRefused {
    |what| EncoderRefused::Unexpected(path.to_owned(), what)
}

#[cfg(test)]
pub(super) mod tests;

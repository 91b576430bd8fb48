//! `Encoder`, as Python sees it: the table of directions that compression may be given.
//!
//! The table and what words mean to who compares texts are those of the cache's semantic level; compression knows
//! neither, so they meet here.

use std::path::{Path, PathBuf};

use omnimind_cache::semantic::{EncoderRefused, Slot, StaticEncoder, filler, opposed, slot};
use omnimind_compress::meaning::{self, Weight};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;

/// Adds the class to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Encoder>()
}

#[pyclass(frozen, module = "omnimind._core")]
pub(crate) struct Encoder(StaticEncoder);

#[pymethods]
impl Encoder {
    #[new]
    #[allow(clippy::needless_pass_by_value, reason = "Python hands over values")]
    fn new(py: Python<'_>, weights: PathBuf, tokenizer: PathBuf) -> PyResult<Self> {
        opened(py, &weights, &tokenizer).map(Self)
    }
}

/// Reads the two files while other threads run.
pub(crate) fn opened(py: Python<'_>, weights: &Path, tokenizer: &Path) -> PyResult<StaticEncoder> {
    py.detach(|| StaticEncoder::open(weights, tokenizer)).map_err(|refused| match refused {
        EncoderRefused::Unreadable(..) => PyOSError::new_err(refused.to_string()),
        EncoderRefused::Unexpected(..) | EncoderRefused::Mismatch { .. } => PyValueError::new_err(refused.to_string()),
    })
}

impl meaning::Encoder for Encoder {
    fn encode(&self, text: &str) -> Option<Vec<f32>> {
        self.0.sum(text)
    }

    fn weigh<'a>(&self, word: &'a str) -> Weight<'a> {
        match slot(word) {
            // How a verb is bent, and how a question is put, does not change what is said.
            Some((Slot::Question, _) | (Slot::Tense, "was" | "were" | "did" | "had" | "been" | "being")) => {
                Weight::Light
            }
            Some((Slot::Direction, _)) => Weight::Leading,
            Some((Slot::Person, spelled)) => Weight::Pointing(spelled),
            Some((_, spelled)) => Weight::Own(spelled),
            None if filler(word) => Weight::Light,
            None => Weight::Plain,
        }
    }

    fn is_opposed(&self, one: &str, other: &str) -> bool {
        opposed(one, other)
    }
}

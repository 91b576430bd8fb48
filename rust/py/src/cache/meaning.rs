//! `Semantic`, as Python sees it: what was asked before in other words.
//!
//! Conversions only, a clock and two counts; the rules are in `omnimind_cache::semantic`. A level has one tool: the
//! program that asks. Reading the encoder and encoding let other threads run.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use omnimind_cache::Key;
use omnimind_cache::semantic::{self, Encoder, Proposal, Scope, SemanticLimits, StaticEncoder, ToolId, Vector};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::clock::steady_ms;
use super::store::NEVER;
use super::{life, millis};
use crate::encoder::opened;

const TOOL: ToolId = ToolId(0);
/// Memory for texts and their vectors.
const MOST_BYTES: usize = 16 << 20;

/// Adds the classes to the module.
pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Semantic>()?;
    module.add_class::<Question>()
}

#[pyclass(frozen, module = "omnimind._core")]
struct Semantic {
    level: semantic::Semantic,
    encoder: StaticEncoder,
    asked: AtomicU64,
    gone: AtomicU64,
    inserts: AtomicU64,
}

/// A text, and what is proposed for it.
#[pyclass(frozen, module = "omnimind._core")]
struct Question {
    scope: Scope,
    text: Box<str>,
    vector: Vector,
    proposal: Proposal,
}

#[pymethods]
impl Semantic {
    #[new]
    #[allow(clippy::needless_pass_by_value, reason = "Python hands over values")]
    fn new(py: Python<'_>, weights: PathBuf, tokenizer: PathBuf) -> PyResult<Self> {
        Ok(Self {
            level: semantic::Semantic::new(SemanticLimits { max_bytes: MOST_BYTES }),
            encoder: opened(py, &weights, &tokenizer)?,
            asked: AtomicU64::new(0),
            gone: AtomicU64::new(0),
            inserts: AtomicU64::new(0),
        })
    }

    /// What to do with a text that has no answer of its own; None if it is no question.
    fn ask(&self, py: Python<'_>, scope: &[u8], text: &str, dice: u64) -> PyResult<Option<Question>> {
        let scope = Scope(key(scope)?);
        self.asked.fetch_add(1, Relaxed);
        Ok(py.detach(|| {
            let vector = self.encoder.encode(text)?;
            let proposal = self.level.propose(scope, TOOL, text, &vector, dice, steady_ms());
            Some(Question { scope, text: text.into(), vector, proposal })
        }))
    }

    /// There is no answer any more under the key that was to be served.
    fn gone(&self, question: &Question) {
        if let Proposal::Serve(claim) = &question.proposal {
            self.level.forget(&claim.key);
            self.gone.fetch_add(1, Relaxed);
        }
    }

    /// What the program answered: its digest, and if it is kept under this key, that.
    #[pyo3(signature = (question, answer, key, ttl_s))]
    fn learn(&self, question: &Question, answer: &[u8], key: Option<&[u8]>, ttl_s: Option<f64>) -> PyResult<()> {
        let answer = answer.first_chunk().ok_or_else(|| PyValueError::new_err("an answer's digest has 16 bytes"))?;
        let answer = u128::from_le_bytes(*answer);
        if let Proposal::Shadow(claim) = &question.proposal {
            self.level.verdict(TOOL, claim, answer);
        }
        if let Some(key) = key {
            let Question { scope, text, vector, .. } = question;
            let ttl_ms = ttl_s.map_or(Ok(NEVER), |ttl_s| millis("ttl_s", ttl_s))?;
            self.level.insert(*scope, TOOL, text, vector, self::key(key)?, answer, life(steady_ms(), ttl_ms, 0));
            self.inserts.fetch_add(1, Relaxed);
        }
        Ok(())
    }

    /// What it did and holds, by name.
    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let stats = self.level.stats();
        let tool = stats.tools.first().map(|report| report.counts).unwrap_or_default();
        let hits = tool.served.saturating_sub(self.gone.load(Relaxed));
        let counts = PyDict::new(py);
        for (name, count) in [
            ("hits", hits),
            ("misses", self.asked.load(Relaxed).saturating_sub(hits)),
            ("entries", stats.entries as u64),
            ("bytes", stats.bytes as u64),
            ("inserts", self.inserts.load(Relaxed)),
            ("refused", tool.vetoed),
        ] {
            counts.set_item(name, count)?;
        }
        Ok(counts)
    }
}

#[pymethods]
impl Question {
    /// The key of the answer to be served, if one may be.
    #[getter]
    fn served<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        match &self.proposal {
            Proposal::Serve(claim) => Some(PyBytes::new(py, &claim.key)),
            Proposal::Shadow(_) | Proposal::Nothing(_) => None,
        }
    }
}

fn key(digest: &[u8]) -> PyResult<Key> {
    Key::try_from(digest).map_err(|_| PyValueError::new_err("a digest has 32 bytes"))
}

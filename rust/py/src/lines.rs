//! `LineMatcher`: a regular expression over lines of logs, in time linear in the line, whoever wrote the pattern.
//!
//! Python's `re` backtracks and cannot be interrupted, so a pattern of a stranger could hold a worker for ever.
//! This engine has no backtracking without a bound; what a pattern may weigh is limited, and a list of lines is
//! searched without the interpreter, until the time given for it is over.

use std::time::{Duration, Instant};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use regex_automata::meta::Regex;
use regex_automata::util::syntax;

/// A pattern that becomes larger than this is refused: it bounds what one line can cost.
const COMPILED_BYTES: usize = 1024 * 1024;
const NESTED: u32 = 50;

/// Adds the class to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<LineMatcher>()
}

#[pyclass(frozen, module = "omnimind._core")]
struct LineMatcher {
    regex: Regex,
}

#[pymethods]
impl LineMatcher {
    #[new]
    #[pyo3(signature = (pattern, *, ignore_case=false))]
    fn new(pattern: &str, ignore_case: bool) -> PyResult<Self> {
        let limits = Regex::config().nfa_size_limit(Some(COMPILED_BYTES));
        let syntax = syntax::Config::new().case_insensitive(ignore_case).nest_limit(NESTED);
        match Regex::builder().configure(limits).syntax(syntax).build(pattern) {
            Ok(regex) => Ok(Self { regex }),
            Err(error) if error.size_limit().is_some() => {
                Err(PyValueError::new_err(format!("it becomes larger than {COMPILED_BYTES} bytes when compiled")))
            }
            Err(error) => Err(PyValueError::new_err(match error.syntax_error() {
                Some(why) => why.to_string(),
                None => error.to_string(),
            })),
        }
    }

    fn search(&self, py: Python<'_>, line: &[u8]) -> bool {
        py.detach(|| self.regex.is_match(line))
    }

    #[allow(clippy::needless_pass_by_value)] // a list that comes from Python is taken apart once, here
    fn filter(&self, py: Python<'_>, lines: Vec<PyBackedBytes>, budget_ms: u64) -> (Vec<usize>, usize) {
        py.detach(|| {
            let end = Instant::now() + Duration::from_millis(budget_ms.min(600_000));
            let mut found = Vec::new();
            for (at, line) in lines.iter().enumerate() {
                if at > 0 && Instant::now() > end {
                    return (found, at);
                }
                if self.regex.is_match(&**line) {
                    found.push(at);
                }
            }
            (found, lines.len())
        })
    }
}

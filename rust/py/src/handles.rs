//! `Originals` and `expand`, as Python sees them: bytes, texts and plain numbers; the typed face makes names of them.

use std::ops::Range;
use std::path::PathBuf;

use omnimind_compress::expand::{Expanded, Part, expand as part_of};
use omnimind_handles::{Bounds, Original, Store, Trouble, hex};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rustix::rand::{GetRandomFlags, getrandom};

/// Adds class and function to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Originals>()?;
    module.add_function(wrap_pyfunction!(expand, module)?)
}

/// The store of one folder.
#[pyclass(frozen, module = "omnimind._core")]
struct Originals {
    store: Store,
}

/// What crosses, in the order of `_core.pyi`.
type Kept<'py> = (String, Bound<'py, PyBytes>, String, String, u64, u64);
type Told = (String, usize, usize, usize, Option<String>, Option<(usize, usize)>);

#[pymethods]
impl Originals {
    #[new]
    #[allow(clippy::needless_pass_by_value)] // what a path of Python becomes
    fn new(py: Python<'_>, folder: PathBuf) -> PyResult<Self> {
        let store =
            py.detach(|| Store::open(&folder, Bounds::default(), random)).map_err(|trouble| refused(&trouble))?;
        Ok(Self { store })
    }

    fn put(
        &self,
        py: Python<'_>,
        principal: &str,
        data: &[u8],
        mime: &str,
        source: &str,
        now_ms: u64,
    ) -> PyResult<String> {
        let original = Original { bytes: data, mime, from: source };
        let handle = py.detach(|| self.store.put(principal, &original, now_ms)).map_err(|trouble| refused(&trouble))?;
        Ok(hex(&handle))
    }

    fn get<'py>(&self, py: Python<'py>, principal: &str, handle: &str, now_ms: u64) -> PyResult<Option<Kept<'py>>> {
        let kept = py.detach(|| self.store.get(principal, handle, now_ms)).map_err(|trouble| refused(&trouble))?;
        Ok(kept.map(|kept| {
            let bytes = PyBytes::new(py, &kept.bytes);
            (hex(&kept.handle), bytes, kept.mime, kept.from, kept.put_ms, kept.until_ms)
        }))
    }

    fn key<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.store.key())
    }

    fn notices(&self) -> Vec<String> {
        self.store.notices()
    }
}

/// A handle that cannot be one is the caller's; all else is the disk's.
fn refused(trouble: &Trouble) -> PyErr {
    match trouble {
        Trouble::NoName | Trouble::Ambiguous => PyValueError::new_err(trouble.to_string()),
        _ => PyOSError::new_err(trouble.to_string()),
    }
}

fn random() -> std::io::Result<[u8; 32]> {
    let mut key = [0; 32];
    // The kernel gives so few bytes at once or not at all.
    if getrandom(&mut key, GetRandomFlags::empty())? != key.len() {
        return Err(std::io::Error::other("there is no randomness"));
    }
    Ok(key)
}

#[pyfunction]
#[pyo3(signature = (text, max_tokens, *, lines=None, bytes=None, grep=None, context=0, json_path=None, query=None))]
#[allow(clippy::too_many_arguments)] // the kinds of parts, of which one is given
fn expand(
    py: Python<'_>,
    text: &str,
    max_tokens: Option<usize>,
    lines: Option<(usize, usize)>,
    bytes: Option<(usize, usize)>,
    grep: Option<&str>,
    context: usize,
    json_path: Option<&str>,
    query: Option<&str>,
) -> PyResult<Told> {
    let part = match (grep, json_path, query, bytes, lines) {
        (Some(pattern), ..) => Part::Grep { pattern, context, within: lines.unwrap_or((1, usize::MAX)) },
        (_, Some(path), ..) => Part::JsonPath(path),
        (_, _, Some(words), ..) => Part::Query(words),
        (.., Some((start, end)), _) => Part::Bytes(start..end),
        (.., Some((first, last))) => Part::Lines(first, last),
        _ => Part::All,
    };
    let expanded = py.detach(|| part_of(text, &part, max_tokens));
    expanded.map(told).map_err(|why| PyValueError::new_err(why.to_string()))
}

fn told(expanded: Expanded) -> Told {
    let Expanded { text, tokens, found, shown, next, widened } = expanded;
    let range = |range: Range<usize>| (range.start, range.end);
    (text, tokens, found, shown, next.map(|place| place.to_string()), widened.map(range))
}

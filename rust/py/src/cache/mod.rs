//! `Cache`, as Python sees it: objects by reference in memory, or bytes in the levels below too.
//!
//! The rules of the rim: no foreign code runs while the store is in use (keys compare without any, weights and
//! encodings are made before, what leaves is dropped after); a hit in memory never lets the interpreter go, while
//! whatever may wait or takes long does.

mod clock;
mod foresight;
mod guarded;
mod key;
mod lower;
mod meaning;
mod quick;
mod store;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use omnimind_cache::Life;
use omnimind_cache::levels::LevelStats;
use omnimind_cache::ram::RamStats;
use pyo3::exceptions::{PyKeyError, PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use clock::{steady_ms, wall_ms};
use guarded::Guarded;
use key::Asked;
use lower::{Lower, Plan};
use store::{Bounds, Leaving, Looked, NEVER, Store};

/// Adds the class to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Cache>()?;
    foresight::register(module)?;
    meaning::register(module)?;
    quick::register(module)
}

/// Where the values are.
#[allow(clippy::large_enum_variant)] // there is one a cache, and a box would be one more step in each hit
enum Kept {
    Objects(Guarded<Store>),
    /// Empty when the cache is closed.
    Bytes(ArcSwapOption<Lower>),
}

/// How values become bytes and come back.
struct Codec {
    dumps: Py<PyAny>,
    loads: Py<PyAny>,
}

#[pyclass(frozen, subclass, generic, module = "omnimind._core")]
struct Cache {
    kept: Kept,
    ttl_ms: u64,
    stale_ms: u64,
    weigher: Option<Py<PyAny>>,
    codec: Option<Codec>,
    generation: AtomicU64,
}

/// What the shortest way came to.
enum Quick {
    Hit(Py<PyAny>),
    Miss,
    /// It has to be looked at closer.
    Ask,
}

#[pymethods]
impl Cache {
    #[new]
    #[pyo3(signature = (*, max_bytes, max_items, ttl_s=None, stale_s=None, weigher=None, codec=None,
        compressed_bytes=None, folder=None, disk_bytes=0))]
    #[allow(clippy::too_many_arguments)] // each is one setting
    fn new(
        py: Python<'_>,
        max_bytes: u64,
        max_items: usize,
        ttl_s: Option<f64>,
        stale_s: Option<f64>,
        weigher: Option<Py<PyAny>>,
        codec: Option<(Py<PyAny>, Py<PyAny>)>,
        compressed_bytes: Option<u64>,
        folder: Option<PathBuf>,
        disk_bytes: u64,
    ) -> PyResult<Self> {
        if max_bytes == 0 || max_items == 0 {
            return Err(PyValueError::new_err("max_bytes and max_items must be at least 1"));
        }
        let bounds = Bounds { max_bytes, max_items };
        let kept = if compressed_bytes.is_some() || folder.is_some() {
            let plan = Plan { bounds, compressed_bytes: compressed_bytes.unwrap_or(0), folder, disk_bytes };
            Kept::Bytes(ArcSwapOption::from_pointee(py.detach(|| Lower::open(&plan))))
        } else {
            Kept::Objects(Guarded::new(Store::new(bounds)))
        };
        Ok(Self {
            kept,
            ttl_ms: ttl_s.map_or(Ok(NEVER), |ttl_s| millis("ttl_s", ttl_s))?,
            stale_ms: stale_s.map_or(Ok(0), |stale_s| millis("stale_s", stale_s))?,
            weigher,
            codec: codec.map(|(dumps, loads)| Codec { dumps, loads }),
            generation: AtomicU64::new(0),
        })
    }

    /// A value that may be stale, and whether it is fresh; None if there is none.
    fn look(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<(Py<PyAny>, bool)>> {
        let asked = Asked::new(key.as_borrowed())?;
        self.found(key.py(), asked)
    }

    #[pyo3(signature = (key, value, *, ttl_s=None, stale_s=None, weight=None))]
    fn set(
        &self,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        ttl_s: Option<f64>,
        stale_s: Option<f64>,
        weight: Option<u64>,
    ) -> PyResult<bool> {
        let ttl_ms = ttl_s.map_or(Ok(self.ttl_ms), |ttl_s| millis("ttl_s", ttl_s))?;
        let stale_ms = stale_s.map_or(Ok(self.stale_ms), |stale_s| millis("stale_s", stale_s))?;
        self.put(key, value, ttl_ms, stale_ms, weight)
    }

    fn __setitem__(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.put(key, value, self.ttl_ms, self.stale_ms, None).map(drop)
    }

    fn __getitem__(&self, key: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let asked = Asked::new(key.as_borrowed())?;
        let found = match self.quick(key.py(), asked)? {
            Quick::Hit(value) => Some(value),
            Quick::Miss => None,
            Quick::Ask => self.get_slowly(key.py(), asked)?,
        };
        found.ok_or_else(|| PyKeyError::new_err(key.clone().unbind()))
    }

    fn __delitem__(&self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.delete(key)? { Ok(()) } else { Err(PyKeyError::new_err(key.clone().unbind())) }
    }

    /// Takes a key out; whether it was there.
    fn delete(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = key.py();
        let asked = Asked::new(key.as_borrowed())?;
        self.generation.fetch_add(1, Ordering::AcqRel);
        match &self.kept {
            Kept::Bytes(lower) => asked.spelled(|spelling| Ok(opened(lower)?.remove(py, spelling)))?,
            Kept::Objects(store) => {
                let asked = asked.hashed()?;
                change(py, store, |store, leaving| store.remove(&asked, leaving))
            }
        }
    }

    /// Takes everything out.
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        self.generation.fetch_add(1, Ordering::AcqRel);
        match &self.kept {
            Kept::Bytes(lower) => opened(lower)?.clear(py),
            Kept::Objects(store) => change(py, store, Store::clear)?,
        }
        Ok(())
    }

    /// Whether a key has a fresh value; counts as no use of it where values are kept by reference.
    fn __contains__(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = key.py();
        let asked = Asked::new(key.as_borrowed())?;
        match &self.kept {
            Kept::Bytes(lower) => {
                let found = asked.spelled(|spelling| Ok::<_, PyErr>(opened(lower)?.get(py, spelling)))??;
                Ok(found.is_some_and(|(_, is_fresh)| is_fresh))
            }
            Kept::Objects(store) => {
                let asked = asked.hashed()?;
                store.with(py, |store| store.holds(&asked, steady_ms()))
            }
        }
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        match &self.kept {
            Kept::Bytes(lower) => Ok(usize::try_from(opened(lower)?.stats().ram.entries).unwrap_or(usize::MAX)),
            Kept::Objects(store) => store.with(py, |store| store.len()),
        }
    }

    /// Waits until what was set is in the files of the disk level, if there is one.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        if let Kept::Bytes(lower) = &self.kept {
            opened(lower)?.flush(py);
        }
        Ok(())
    }

    /// Empties memory; writes what is queued for the disk and gives the folder back. Only this may follow.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        match &self.kept {
            Kept::Bytes(lower) => {
                let lower = lower.swap(None);
                py.detach(|| drop(lower));
            }
            Kept::Objects(store) => change(py, store, Store::clear)?,
        }
        Ok(())
    }

    /// Moves with every removal: what was loaded before one is not to be kept after it.
    #[getter]
    fn _generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Why the disk is not used, if it should be and is not.
    #[getter]
    fn _no_disk(&self) -> PyResult<Option<String>> {
        match &self.kept {
            Kept::Bytes(lower) => Ok(opened(lower)?.no_disk().map(str::to_owned)),
            Kept::Objects(_) => Ok(None),
        }
    }

    /// The counts of each level, by its name.
    fn _counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let levels = PyDict::new(py);
        match &self.kept {
            Kept::Objects(store) => {
                let stats = store.with(py, |store| of_objects(store))?;
                levels.set_item("ram", counts(py, &stats)?)?;
            }
            Kept::Bytes(lower) => {
                let stats = opened(lower)?.stats();
                levels.set_item("ram", counts(py, &stats.ram)?)?;
                levels.set_item("compressed", counts(py, &stats.compressed)?)?;
                levels.set_item("disk", counts(py, &stats.disk)?)?;
            }
        }
        Ok(levels)
    }

    #[allow(unsafe_code)]
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let codec = self.codec.iter().flat_map(|codec| [&codec.dumps, &codec.loads]);
        codec.chain(&self.weigher).try_for_each(|object| visit.call(object))?;
        let Kept::Objects(store) = &self.kept else { return Ok(()) };
        // SAFETY: the collector runs with the interpreter held. What is in use is not looked at, and so kept alive.
        let visited = unsafe { store.visit(|store| store.objects().try_for_each(|object| visit.call(object))) };
        visited.unwrap_or(Ok(()))
    }

    fn __clear__(&self, py: Python<'_>) {
        if let Kept::Objects(store) = &self.kept {
            // In use, it is not garbage.
            drop(change(py, store, Store::clear));
        }
    }
}

impl Cache {
    #[inline]
    fn quick(&self, py: Python<'_>, asked: Asked<'_, '_>) -> PyResult<Quick> {
        let store = match &self.kept {
            Kept::Objects(store) => store,
            Kept::Bytes(lower) => return self.quick_bytes(lower, py, asked),
        };
        let asked = &asked.hashed()?;
        store.with(py, |store| match store.get(asked, steady_ms) {
            Looked::Fresh(value) => Quick::Hit(value.clone_ref(py)),
            Looked::Nothing => Quick::Miss,
            Looked::Stale(_) => {
                store.count_stale_as_miss();
                Quick::Miss
            }
            Looked::Ended => {
                store.uncount_miss();
                Quick::Ask
            }
        })
    }

    /// The same for bytes, if they are what was set.
    #[inline]
    fn quick_bytes(&self, lower: &ArcSwapOption<Lower>, py: Python<'_>, asked: Asked<'_, '_>) -> PyResult<Quick> {
        if self.codec.is_some() {
            return Ok(Quick::Ask);
        }
        let opened = lower.load();
        let lower = opened.as_deref().ok_or_else(closed)?;
        Ok(match asked.spelled(|spelling| lower.get(py, spelling))? {
            Some((value, true)) => Quick::Hit(value.into_any().unbind()),
            Some((_, false)) | None => Quick::Miss,
        })
    }

    /// What the shortest way leaves: values that have ended, and bytes that are to be decoded.
    fn get_slowly(&self, py: Python<'_>, asked: Asked<'_, '_>) -> PyResult<Option<Py<PyAny>>> {
        Ok(self.found(py, asked)?.and_then(|(value, is_fresh)| is_fresh.then_some(value)))
    }

    fn found(&self, py: Python<'_>, asked: Asked<'_, '_>) -> PyResult<Option<(Py<PyAny>, bool)>> {
        match &self.kept {
            Kept::Bytes(lower) => {
                let found = asked.spelled(|spelling| Ok::<_, PyErr>(opened(lower)?.get(py, spelling)))??;
                found.map(|(body, is_fresh)| Ok((self.decode(body)?, is_fresh))).transpose()
            }
            Kept::Objects(store) => {
                let asked = &asked.hashed()?;
                change(py, store, |store, leaving| match store.get(asked, steady_ms) {
                    Looked::Fresh(value) => Some((value.clone_ref(py), true)),
                    Looked::Stale(value) => Some((value.clone_ref(py), false)),
                    Looked::Nothing => None,
                    Looked::Ended => {
                        store.remove_ended(asked, leaving);
                        None
                    }
                })
            }
        }
    }

    fn put(
        &self,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        ttl_ms: u64,
        stale_ms: u64,
        weight: Option<u64>,
    ) -> PyResult<bool> {
        let py = key.py();
        let asked = Asked::new(key.as_borrowed())?;
        match &self.kept {
            Kept::Bytes(lower) => {
                let body = self.encode(value)?;
                let life = life(wall_ms(), ttl_ms, stale_ms);
                asked.spelled(|spelling| Ok(opened(lower)?.set(py, spelling, body.as_bytes(), life)))?
            }
            Kept::Objects(store) => {
                let weight = weight.map_or_else(|| self.weigh(value), Ok)?;
                let life = life(steady_ms(), ttl_ms, stale_ms);
                let (asked, value) = (asked.hashed()?, value.clone().unbind());
                change(py, store, |store, leaving| store.insert(&asked, value, weight, &life, leaving))
            }
        }
    }

    fn weigh(&self, value: &Bound<'_, PyAny>) -> PyResult<u64> {
        if let Some(weigher) = &self.weigher {
            return weigher.bind(value.py()).call1((value,))?.extract();
        }
        if let Ok(bytes) = value.cast_exact::<PyBytes>() {
            return Ok(bytes.as_bytes().len() as u64);
        }
        if let Ok(text) = value.cast_exact::<PyString>() {
            return Ok(text.len()? as u64);
        }
        value.call_method0("__sizeof__")?.extract()
    }

    fn encode<'py>(&self, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        let encoded = match &self.codec {
            Some(codec) => codec.dumps.bind(value.py()).call1((value,))?,
            None => value.clone(),
        };
        encoded.cast_into::<PyBytes>().map_err(|error| {
            let given = error.into_inner();
            let kind = given.get_type().name().map_or_else(|_| String::from("something else"), |name| name.to_string());
            PyTypeError::new_err(format!("levels below ram keep bytes, not {kind}; give the cache a codec"))
        })
    }

    fn decode(&self, body: Bound<'_, PyBytes>) -> PyResult<Py<PyAny>> {
        match &self.codec {
            Some(codec) => Ok(codec.loads.bind(body.py()).call1((body,))?.unbind()),
            None => Ok(body.into_any().unbind()),
        }
    }
}

/// The levels, unless the cache is closed.
fn opened(lower: &ArcSwapOption<Lower>) -> PyResult<Arc<Lower>> {
    lower.load_full().ok_or_else(closed)
}

fn closed() -> PyErr {
    PyValueError::new_err("the cache is closed")
}

/// Changes the store, and drops what left it when it is no longer in use.
fn change<R>(py: Python<'_>, store: &Guarded<Store>, work: impl FnOnce(&mut Store, &mut Leaving) -> R) -> PyResult<R> {
    let mut leaving = Leaving::default();
    store.with(py, |store| work(store, &mut leaving))
}

fn life(now_ms: u64, ttl_ms: u64, stale_ms: u64) -> Life {
    let fresh_until_ms = now_ms.saturating_add(ttl_ms);
    Life { created_ms: now_ms, fresh_until_ms, stale_until_ms: fresh_until_ms.saturating_add(stale_ms) }
}

/// A time in seconds, in whole milliseconds, at least one; infinity is for ever.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates, and is not negative
fn millis(name: &str, seconds: f64) -> PyResult<u64> {
    if seconds.is_nan() || seconds <= 0.0 {
        return Err(PyValueError::new_err(format!("{name} must be above 0")));
    }
    Ok(((seconds * 1_000.0) as u64).max(1))
}

fn of_objects(store: &Store) -> LevelStats {
    let RamStats { hits, stale_hits, misses, inserts, evictions, too_large, .. } = store.stats();
    LevelStats {
        off: None,
        hits,
        stale_hits,
        misses,
        entries: store.len() as u64,
        bytes: store.bytes(),
        inserts,
        evictions,
        refused: too_large,
        damaged: 0,
    }
}

fn counts<'py>(py: Python<'py>, stats: &LevelStats) -> PyResult<Bound<'py, PyDict>> {
    let counts = PyDict::new(py);
    let LevelStats { off, hits, stale_hits, misses, entries, bytes, inserts, evictions, refused, damaged } = stats;
    counts.set_item("off", off)?;
    for (name, count) in [
        ("hits", hits),
        ("stale_hits", stale_hits),
        ("misses", misses),
        ("entries", entries),
        ("bytes", bytes),
        ("inserts", inserts),
        ("evictions", evictions),
        ("refused", refused),
        ("damaged", damaged),
    ] {
        counts.set_item(name, *count)?;
    }
    Ok(counts)
}

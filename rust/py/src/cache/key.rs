//! What an entry is kept under: a `str` or `bytes`.
//!
//! Only these, of exactly these types, because they can be hashed and compared without running anybody's code; so it
//! may be done while the store is in use. The hash is Python's own, which a string keeps once it was asked for; who has
//! a digest of its own need not ask.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use pyo3::{Borrowed, ffi};

/// Keys below this length are spelled without an allocation.
const SHORT: usize = 128;

/// A key as it was asked for.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a, 'py> {
    object: Borrowed<'a, 'py, PyAny>,
}

/// A key as it was asked for, with its hash.
#[derive(Clone, Copy)]
pub(crate) struct Hashed<'a, 'py> {
    object: Borrowed<'a, 'py, PyAny>,
    hash: u64,
}

impl<'a, 'py> Asked<'a, 'py> {
    /// Raises `TypeError` for anything but a `str` or `bytes`; enums and other classes derived from them too.
    #[inline]
    pub(crate) fn new(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if !(object.is_exact_instance_of::<PyString>() || object.is_exact_instance_of::<PyBytes>()) {
            return Err(PyTypeError::new_err(format!("a key is a str or bytes, not {}", object.get_type().name()?)));
        }
        Ok(Self { object })
    }

    #[inline]
    pub(crate) fn hashed(self) -> PyResult<Hashed<'a, 'py>> {
        Ok(Hashed { object: self.object, hash: self.object.hash()?.cast_unsigned() as u64 })
    }

    /// Shows the key as bytes that no other key has: of which type it is, and what is in it.
    #[inline]
    pub(crate) fn spelled<R>(self, show: impl FnOnce(&[u8]) -> R) -> PyResult<R> {
        if let Ok(text) = self.object.cast_exact::<PyString>() {
            return Ok(spell(b's', text.to_str()?.as_bytes(), show));
        }
        Ok(spell(b'b', self.object.cast_exact::<PyBytes>()?.as_bytes(), show))
    }
}

impl Hashed<'_, '_> {
    #[inline]
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// The object, to keep.
    pub(crate) fn object(&self) -> Py<PyAny> {
        self.object.to_owned().unbind()
    }

    /// Whether a kept key, made of one that was asked for, is this key.
    #[inline]
    pub(crate) fn is(&self, kept: &Py<PyAny>) -> bool {
        let py = self.object.py();
        let kept = kept.bind_borrowed(py);
        if kept.as_ptr() == self.object.as_ptr() {
            return true;
        }
        if !kept.get_type_ptr().eq(&self.object.get_type_ptr()) {
            return false;
        }
        if let Ok(kept) = kept.cast_exact::<PyBytes>() {
            return self.object.cast_exact::<PyBytes>().is_ok_and(|asked| asked.as_bytes() == kept.as_bytes());
        }
        // SAFETY: both are exactly `str`, as `new` has seen to, and alive. Comparing two such runs no Python code and
        // makes no object; it cannot fail, because hashing has brought both into their final form.
        #[allow(unsafe_code)]
        unsafe {
            ffi::PyUnicode_Compare(kept.as_ptr(), self.object.as_ptr()) == 0
        }
    }
}

fn spell<R>(kind: u8, text: &[u8], show: impl FnOnce(&[u8]) -> R) -> R {
    let mut short = [kind; SHORT];
    match short.get_mut(1..=text.len()) {
        Some(place) => {
            place.copy_from_slice(text);
            show(short.get(..=text.len()).unwrap_or_default())
        }
        None => show(&[&[kind], text].concat()),
    }
}

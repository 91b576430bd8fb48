//! `Cache.get`, as a method of the C interface.
//!
//! A hit takes some thirty nanoseconds, and a third of that is what a generated method does around it: counting
//! attachments, reading keywords. `get` has two positional arguments and nothing to release, so it is written by hand
//! and answers the two plain cases, a fresh hit in memory and a miss; everything else it leaves to the generated way.

use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use pyo3::exceptions::PyTypeError;
use pyo3::panic::PanicException;
use pyo3::prelude::*;
use pyo3::{Borrowed, ffi};

use super::key::Asked;
use super::{Cache, Quick};

const NAME: &CStr = c"get";
const DOC: &CStr = c"get($self, key, default=None, /)\n--\n\nThe value of a key while it is fresh, else the default.";

struct Method(ffi::PyMethodDef);

// SAFETY: it is never written, and what it points at is static.
#[allow(unsafe_code)]
unsafe impl Sync for Method {}

static GET: Method = Method(ffi::PyMethodDef {
    ml_name: NAME.as_ptr(),
    ml_meth: ffi::PyMethodDefPointer { PyCFunctionFast: get },
    ml_flags: ffi::METH_FASTCALL,
    ml_doc: DOC.as_ptr(),
});

/// Gives the class its method.
pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let class = module.py().get_type::<Cache>();
    // SAFETY: the definition is static, as the descriptor needs it to be, and the flags fit the function. Python
    // checks that the first argument is a `Cache` whenever the descriptor is called.
    #[allow(unsafe_code)]
    let method = unsafe {
        let definition = (&raw const GET.0).cast_mut();
        Bound::from_owned_ptr_or_err(module.py(), ffi::PyDescr_NewMethod(class.as_type_ptr(), definition))?
    };
    class.setattr("get", method)
}

#[allow(unsafe_code)]
unsafe extern "C" fn get(
    this: *mut ffi::PyObject,
    arguments: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    // SAFETY: Python calls this with the interpreter held, `this` a `Cache` and `count` arguments, all of which
    // outlive the call.
    let (py, this, arguments) = unsafe {
        let py = Python::assume_attached();
        let count = usize::try_from(count).unwrap_or(0);
        let arguments = if count == 0 { &[][..] } else { std::slice::from_raw_parts(arguments.cast_const(), count) };
        (py, Borrowed::from_ptr(py, this), arguments)
    };
    // SAFETY: as above: it is a `Cache`.
    let cache = unsafe { this.cast_unchecked::<Cache>() };
    let found = catch_unwind(AssertUnwindSafe(|| look(cache, arguments)));
    let failed = match found {
        Ok(Ok(object)) => return object,
        Ok(Err(error)) => error,
        Err(_) => PanicException::new_err("Cache.get panicked"),
    };
    failed.restore(py);
    ptr::null_mut()
}

#[inline]
fn look(cache: Borrowed<'_, '_, Cache>, arguments: &[*mut ffi::PyObject]) -> PyResult<*mut ffi::PyObject> {
    let py = cache.py();
    let (key, default) = match *arguments {
        [key] => (key, None),
        [key, default] => (key, Some(default)),
        _ => {
            let words = format!("get expected 1 or 2 arguments, got {}", arguments.len());
            return Err(PyTypeError::new_err(words));
        }
    };
    // SAFETY: they are arguments of a call that is under way.
    #[allow(unsafe_code)]
    let (key, default) = unsafe { (Borrowed::from_ptr(py, key), default.map(|object| Borrowed::from_ptr(py, object))) };
    let asked = Asked::new(key)?;
    let found = match cache.get().quick(py, asked)? {
        Quick::Hit(value) => Some(value),
        Quick::Miss => None,
        Quick::Ask => Python::attach(|py| cache.get().get_slowly(py, asked))?,
    };
    Ok(match (found, default) {
        (Some(value), _) => value.into_ptr(),
        (None, Some(default)) => default.to_owned().into_ptr(),
        (None, None) => py.None().into_ptr(),
    })
}

//! `compress` and the forms of tool lists, as Python sees them: a text in, a text and plain numbers out; the typed face
//! makes names of them.

use omnimind_compress::{
    Hints, Kind, Outcome, Policy, compress as press, decode_blocks, forms::tools, mark, meaning, outline::Reserve,
    report::Form,
};
use pyo3::{IntoPyObjectExt, exceptions::PyValueError, prelude::*};

use crate::encoder::Encoder;

/// Adds the functions to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(compress, module)?)?;
    module.add_function(wrap_pyfunction!(decompress, module)?)?;
    module.add_function(wrap_pyfunction!(prune_tools, module)?)?;
    module.add_function(wrap_pyfunction!(tool_signatures, module)?)
}

#[pyfunction]
fn prune_tools(py: Python<'_>, text: &str) -> Option<String> {
    py.detach(|| tools::prune(text))
}

#[pyfunction]
fn tool_signatures(py: Python<'_>, text: &str) -> Option<String> {
    py.detach(|| tools::signatures(text))
}

#[pyfunction]
#[pyo3(signature = (text, budget, query, mime, name, encoder=None))]
fn compress<'py>(
    py: Python<'py>,
    text: &str,
    budget: Option<usize>,
    query: &str,
    mime: &str,
    name: &str,
    encoder: Option<&Bound<'py, Encoder>>,
) -> PyResult<Bound<'py, PyAny>> {
    let encoder = encoder.map(|encoder| encoder.get() as &dyn meaning::Encoder);
    let policy = Policy { budget, query, hints: Hints { mime, name }, encoder, ..Policy::default() };
    let outcome = py.detach(|| press(text, &policy));
    told(&outcome).into_bound_py_any(py)
}

/// What was compressed without loss, from its content and the kind, place and form of each block.
#[pyfunction]
fn decompress(py: Python<'_>, content: &str, blocks: Vec<(String, Span, String)>) -> PyResult<String> {
    let read = |(kind, (start, end), form): (String, Span, String)| {
        let kind = Kind::ALL.into_iter().find(|known| known.name() == kind)?;
        let form = FORMS.into_iter().find(|known| form_name(*known) == form)?;
        Some((kind, start..end, form))
    };
    let text = py.detach(|| {
        let blocks: Vec<_> = blocks.into_iter().map(read).collect::<Option<_>>()?;
        decode_blocks(content, blocks.into_iter())
    });
    text.ok_or_else(|| PyValueError::new_err("these blocks do not describe this content, or part of it is left out"))
}

type Lines = (usize, usize);
/// Bytes, the end not in.
type Span = (usize, usize);

/// Kind, bytes of the text, bytes of what is printed, tokens before and after, form.
type Part = (&'static str, Span, Span, (usize, usize), &'static str);

/// What crosses, in the order of `_core.pyi`.
#[derive(IntoPyObject)]
struct Told<'a>(
    &'a str,
    String,
    Lines,
    bool,
    Vec<(&'static str, usize, usize)>,
    Vec<(&'static str, Lines, &'a str)>,
    usize,
    Vec<(Lines, Span, usize, usize)>,
    Vec<Part>,
);

fn told(outcome: &Outcome) -> Told<'_> {
    let omissions = &outcome.omissions;
    let blocks = &outcome.blocks;
    Told(
        &outcome.text,
        mark::hex(&outcome.handle),
        (outcome.tokens_before, outcome.tokens_after),
        outcome.preserved,
        outcome.critical.iter().map(|share| (share.kind.name(), share.kept, share.total)).collect(),
        outcome.missing.iter().map(|one| (reserve_name(one.reserve), one.lines, one.text.as_str())).collect(),
        outcome.missing_more,
        omissions.iter().map(|gap| (gap.lines, (gap.bytes.start, gap.bytes.end), gap.units, gap.tokens)).collect(),
        blocks
            .iter()
            .map(|block| {
                let bytes = (block.bytes.start, block.bytes.end);
                let printed = (block.printed.start, block.printed.end);
                let tokens = (block.tokens_before, block.tokens_after);
                (block.kind.name(), bytes, printed, tokens, form_name(block.form))
            })
            .collect(),
    )
}

const FORMS: [Form; 3] = [Form::Plain, Form::Whole, Form::Cut];

fn form_name(form: Form) -> &'static str {
    match form {
        Form::Plain => "plain",
        Form::Whole => "whole",
        Form::Cut => "cut",
    }
}

fn reserve_name(reserve: Reserve) -> &'static str {
    match reserve {
        Reserve::Error => "error",
        Reserve::Template => "template",
        Reserve::Rare => "rare",
        Reserve::Changed => "changed",
        Reserve::Signature => "signature",
        Reserve::Outlier => "outlier",
        Reserve::Heading => "heading",
        Reserve::Edge => "edge",
    }
}

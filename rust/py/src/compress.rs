//! `compress` and the forms of tool lists, as Python sees them: a text in, a text and plain numbers out; the typed face
//! makes names of them.

use omnimind_compress::{
    Hints, Kind, Outcome, Policy, compress as press, critical, forms::tools, mark, outline::Reserve, report::Form,
};
use pyo3::{IntoPyObjectExt, prelude::*};

/// Adds the functions to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(compress, module)?)?;
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
fn compress<'py>(
    py: Python<'py>,
    text: &str,
    budget: Option<usize>,
    query: &str,
    mime: &str,
    name: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let policy = Policy { budget, query, hints: Hints { mime, name }, ..Policy::default() };
    let outcome = py.detach(|| press(text, &policy));
    told(&outcome).into_bound_py_any(py)
}

type Lines = (usize, usize);

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
    Vec<(Lines, (usize, usize), usize, usize)>,
    Vec<(&'static str, (usize, usize), Lines, &'static str)>,
);

fn told(outcome: &Outcome) -> Told<'_> {
    let omissions = &outcome.omissions;
    let blocks = &outcome.blocks;
    Told(
        &outcome.text,
        mark::hex(&outcome.handle),
        (outcome.tokens_before, outcome.tokens_after),
        outcome.preserved,
        outcome.critical.iter().map(|share| (critical_name(share.kind), share.kept, share.total)).collect(),
        outcome.missing.iter().map(|one| (reserve_name(one.reserve), one.lines, one.text.as_str())).collect(),
        outcome.missing_more,
        omissions.iter().map(|gap| (gap.lines, (gap.bytes.start, gap.bytes.end), gap.units, gap.tokens)).collect(),
        blocks
            .iter()
            .map(|block| {
                let bytes = (block.bytes.start, block.bytes.end);
                (kind_name(block.kind), bytes, (block.tokens_before, block.tokens_after), form_name(block.form))
            })
            .collect(),
    )
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Json => "json",
        Kind::JsonLines => "jsonl",
        Kind::Log => "log",
        Kind::Build => "build",
        Kind::Trace => "trace",
        Kind::Diff => "diff",
        Kind::Code => "code",
        Kind::Search => "search",
        Kind::Table => "table",
        Kind::Prose => "prose",
        Kind::Html => "html",
        Kind::Tools => "tools",
        Kind::Text => "text",
    }
}

fn form_name(form: Form) -> &'static str {
    match form {
        Form::Plain => "plain",
        Form::Whole => "whole",
        Form::Cut => "cut",
    }
}

fn critical_name(kind: critical::Kind) -> &'static str {
    match kind {
        critical::Kind::Id => "id",
        critical::Kind::Number => "number",
        critical::Kind::Date => "date",
        critical::Kind::Path => "path",
        critical::Kind::Url => "url",
        critical::Kind::Version => "version",
        critical::Kind::Address => "address",
        critical::Kind::Quoted => "quoted",
        critical::Kind::Limit => "limit",
        critical::Kind::Error => "error",
        critical::Kind::Exit => "exit",
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

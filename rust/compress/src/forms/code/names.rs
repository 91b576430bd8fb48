//! What a line of code is, by its first words: a definition, an import, a comment, a decorator, a section.

/// What a line defines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Definition {
    Function,
    /// Something that definitions stand in.
    Type,
    /// A function if a block follows: `name(…) {`.
    Perhaps,
}

/// What may stand before the word that says what is defined.
static MODIFIERS: &[&str] = &[
    "pub",
    "public",
    "private",
    "protected",
    "internal",
    "static",
    "final",
    "abstract",
    "async",
    "export",
    "default",
    "declare",
    "extern",
    "unsafe",
    "inline",
    "virtual",
    "override",
    "sealed",
    "open",
    "data",
    "suspend",
    "partial",
    "readonly",
    "native",
    "synchronized",
    "constexpr",
    "explicit",
    "friend",
    "fileprivate",
    "mutating",
    "lazy",
    "local",
];

static FUNCTIONS: &[&str] =
    &["def", "fn", "func", "function", "function*", "fun", "sub", "proc", "defp", "defmacro", "macro_rules!"];

static TYPES: &[&str] = &[
    "class",
    "struct",
    "enum",
    "trait",
    "interface",
    "impl",
    "mod",
    "namespace",
    "module",
    "record",
    "object",
    "protocol",
    "extension",
    "union",
    "typedef",
    "defmodule",
    "contract",
];

/// Words before a bracket that call or branch and define nothing.
static NO_NAMES: &[&str] = &[
    "if", "for", "while", "switch", "catch", "return", "else", "do", "sizeof", "new", "match", "loop", "using", "lock",
    "foreach", "with", "when", "until", "elif", "elseif", "await", "throw", "in", "not", "and", "or", "except",
    "assert", "print", "case", "yield", "super", "this", "unless",
];

/// What the line defines, if it does.
pub(super) fn definition(text: &str) -> Option<Definition> {
    let mut rest = text;
    loop {
        let word = rest.split([' ', '\t', '<', '(', '{']).next().unwrap_or_default();
        if FUNCTIONS.contains(&word) && rest.len() > word.len() + 1 {
            return is_named(rest.get(word.len()..)?).then_some(Definition::Function);
        }
        if TYPES.contains(&word) {
            let named = is_named(rest.get(word.len()..)?.trim_start_matches(['<', '\'', '(']));
            return (named && (word != "mod" || text.ends_with('{'))).then_some(Definition::Type);
        }
        match word {
            "type" => return alias(rest.get(4..)?),
            "const" | "let" | "var" => {
                // `const fn` of Rust, `const name = (…) =>` of JavaScript.
                let behind = rest.get(word.len()..)?.trim_start();
                return if behind.starts_with("fn ")
                    || behind.starts_with("unsafe fn ")
                    || behind.starts_with("async fn ")
                {
                    Some(Definition::Function)
                } else if behind.starts_with("enum ") {
                    Some(Definition::Type)
                } else {
                    arrow(behind).then_some(Definition::Function)
                };
            }
            "CREATE" | "create" => return sql(rest),
            _ if MODIFIERS.contains(&word) => {
                rest = rest.get(word.len()..)?.trim_start();
                // `pub(crate)`, `extern "C"`.
                if let Some(inner) = rest.strip_prefix('(') {
                    rest = inner.split_once(')')?.1.trim_start();
                } else if let Some(inner) = rest.strip_prefix('"') {
                    rest = inner.split_once('"')?.1.trim_start();
                }
            }
            _ => break,
        }
    }
    method(rest).then_some(Definition::Perhaps)
}

/// A name follows, and not a sign of something else (`class = 3`).
fn is_named(behind: &str) -> bool {
    let behind = behind.trim_start();
    let first = behind.chars().next().unwrap_or(' ');
    (first.is_alphabetic() || matches!(first, '_' | '(' | '$' | '`' | '!' | '&'))
        && !behind.starts_with("= ")
        && !behind.split(['(', '{', '<', ':', ';']).next().unwrap_or_default().contains(" = ")
}

/// `type Name = …`, `type Name struct {`.
fn alias(behind: &str) -> Option<Definition> {
    let behind = behind.trim_start();
    let typed =
        behind.ends_with('{') || behind.contains(" = ") || behind.contains(" struct") || behind.contains(" func(");
    (is_named(behind.split(" = ").next().unwrap_or_default()) && typed).then_some(Definition::Type)
}

/// `name = (…) => …`, `name = async function (…) …`.
fn arrow(behind: &str) -> bool {
    let Some((name, value)) = behind.split_once('=') else { return false };
    let value = value.trim_start().trim_start_matches("async ").trim_start();
    let name = name.split(':').next().unwrap_or_default().trim();
    let simple = !name.is_empty() && name.chars().all(|sign| sign.is_alphanumeric() || matches!(sign, '_' | '$'));
    let takes =
        value.starts_with('(') || value.split(' ').next().is_some_and(|word| word.chars().all(char::is_alphanumeric));
    simple && (value.starts_with("function") || takes && (value.contains("=>") || value.ends_with('(')))
}

fn sql(rest: &str) -> Option<Definition> {
    let small = rest.get(..rest.len().min(64)).unwrap_or_default().to_ascii_lowercase();
    let kinds = [" table ", " view ", " function ", " procedure ", " index ", " trigger ", " type "];
    kinds.iter().any(|kind| small.contains(kind)).then_some(Definition::Function)
}

/// `name(…`, `Type name(…`: the word before the bracket is a name.
fn method(text: &str) -> bool {
    let Some((before, _)) = text.split_once('(') else { return false };
    if before.is_empty()
        || before.len() > 160
        || before.contains(['=', '"', '\'', ';', '{', '}', '[', ')', '+', '|', '!', '/', '%', '?'])
    {
        return false;
    }
    let name = before.rsplit([' ', '\t', '*', '&']).next().unwrap_or_default();
    let first = before.split([' ', '\t', '.']).next().unwrap_or_default();
    let plain = |sign: char| sign.is_alphanumeric() || matches!(sign, '_' | '$' | '~' | '#' | '<' | '>' | ',' | ':');
    !name.is_empty()
        && name.chars().all(plain)
        && !name.starts_with(|sign: char| sign.is_ascii_digit())
        && !NO_NAMES.contains(&name.trim_end_matches(':'))
        && !NO_NAMES.contains(&first)
}

/// `type name(…);`, as headers have it.
pub(super) fn is_prototype(text: &str) -> bool {
    text.split_once('(').is_some_and(|(before, _)| before.trim().contains([' ', '*']) && !before.contains('.'))
}

/// What is brought in from elsewhere.
pub(super) fn is_import(text: &str) -> bool {
    const STARTS: [&str; 9] =
        ["import ", "from ", "use ", "pub use ", "#include", "require ", "using ", "package ", "require_once"];
    STARTS.iter().any(|start| text.starts_with(start)) && (!text.starts_with("from ") || text.contains(" import"))
        || text.contains("= require(")
        || text.starts_with("import(")
        || text == "import ("
}

/// A comment of its own.
pub(super) fn is_comment(text: &str) -> bool {
    text.starts_with("//")
        || text.starts_with("/*")
        || text.starts_with("-- ")
        || text.starts_with('#')
            && !text.starts_with("#[")
            && !["#include", "#define", "#if", "#end", "#else", "#pragma", "#undef"]
                .iter()
                .any(|word| text.starts_with(word))
}

/// It says something of the definition that follows.
pub(super) fn is_decorator(text: &str) -> bool {
    let named = |rest: &str| rest.chars().next().is_some_and(char::is_alphabetic);
    text.strip_prefix('@').is_some_and(named) && !text.starts_with("@media") && !text.contains(" class ")
        || text.starts_with("#[")
        || text.starts_with("template<")
        || text.starts_with("template <")
}

/// `[name]`, `[[name]]`: what follows belongs to it.
pub(super) fn is_section(text: &str) -> bool {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.is_some_and(|inner| {
        let inner = inner.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(inner);
        !inner.is_empty()
            && inner.starts_with(|sign: char| sign.is_alphabetic() || sign == '"')
            && inner.chars().all(|sign| {
                sign.is_alphanumeric() || matches!(sign, '.' | '-' | '_' | '"' | ' ' | ':' | '/' | '*' | '@')
            })
    })
}

/// `name:`, with nothing behind it, as YAML has it.
pub(super) fn is_key(text: &str) -> bool {
    const BRANCHES: [&str; 6] = ["else:", "try:", "finally:", "except:", "default:", "do:"];
    let Some(name) = text.strip_suffix(':') else { return false };
    let name = name.strip_prefix("- ").unwrap_or(name);
    !BRANCHES.contains(&text)
        && !name.is_empty()
        && name.len() < 120
        && (!name.contains(' ') || name.starts_with('"'))
        && name.chars().all(|sign| {
            sign.is_alphanumeric() || matches!(sign, '.' | '-' | '_' | '"' | '\'' | '/' | ' ' | '*' | '$' | '@' | '&')
        })
}

//! What makes a word an error, where an error's core ends, and numbers that say how something ended.

use super::{
    Kind,
    text::{DIGIT, LETTER, LOWER, Text, UPPER, class},
    words::Role,
};

/// An error's core is cut here, bytes, at the end of a word.
const CORE: usize = 200;

/// Whether the word at `at..to` tells of an error that happened. `0 errors` and `no failures` do not.
pub(super) fn is_one(text: Text<'_>, at: usize, to: usize, role: Role) -> bool {
    if none_before(text, at) || zero_after(text, to) {
        return false;
    }
    let joined = matches!(text.before(at), b'_' | b'-' | b'.') || matches!(text.at(to), b'_' | b'-');
    match role {
        Role::Phrase => true,
        Role::Level => {
            // In capitals, in brackets, before a colon, or as the value of a level: else it is a word of a sentence.
            let capitals = text.slice(at, to).iter().all(|byte| class(*byte) & LOWER == 0);
            let named =
                matches!(text.at(to), b':' | b']' | b'[' | b'"') || matches!(text.before(at), b'=' | b'[' | b'"');
            !joined && (capitals || named && !called(text, to))
        }
        _ => false,
    }
}

/// `error::Kind`, `error[0]`, `errors[...]` in code.
fn called(text: Text<'_>, to: usize) -> bool {
    text.slice(to, to + 2) == b"::" || text.at(to) == b'[' && text.at(to + 1).is_ascii_digit()
}

/// `no`, `0`, `without` and their like right before.
fn none_before(text: Text<'_>, at: usize) -> bool {
    let end = at.saturating_sub(1);
    if text.at(end) != b' ' || at == 0 {
        return false;
    }
    let from = end
        - text
            .slice(end.saturating_sub(12), end)
            .iter()
            .rev()
            .take_while(|byte| class(**byte) & (LETTER | DIGIT) != 0)
            .count();
    let word = text.slice(from, end);
    ["0", "no", "No", "NO", "zero", "without", "kein", "keine", "ohne", "sans", "aucune", "sin", "без", "нет"]
        .iter()
        .any(|none| none.as_bytes() == word)
}

/// `errors: 0`, `failed=0`.
fn zero_after(text: Text<'_>, to: usize) -> bool {
    let sign = text.run(to, |byte| matches!(byte, b'"' | b's' | b' '));
    if !matches!(text.at(sign), b':' | b'=') {
        return false;
    }
    let value = text.run(sign + 1, |byte| byte == b' ');
    text.at(value) == b'0' && class(text.at(value + 1)) & (LETTER | DIGIT) == 0 && text.at(value + 1) != b'.'
        || text.says(value, b"null")
        || text.says(value, b"none")
        || text.says(value, b"false")
}

/// Where the exception's name ends, if the chunk is one that was thrown: `Name:`, `Name` at the end of its line, or at
/// the line's begin.
pub(super) fn exception(text: Text<'_>, at: usize, end: usize) -> Option<usize> {
    let name = text.slice(at, end);
    let name = name
        .iter()
        .rposition(|byte| matches!(byte, b'.' | b'/' | b':'))
        .and_then(|dot| name.get(dot + 1..))
        .unwrap_or(name);
    let errno = errno(name);
    if !errno {
        let known = [&b"Error"[..], b"Exception", b"Panic", b"Failure", b"Fault", b"Interrupt", b"Timeout"]
            .iter()
            .any(|tail| name.ends_with(tail) && name.len() > tail.len());
        if !known || !name.first().is_some_and(u8::is_ascii_uppercase) {
            return None;
        }
    }
    let before = text.before(at);
    let after = text.at(end);
    let first = matches!(before, 0 | b'\n' | b'"' | b'[' | b'(' | b'=' | b':');
    let thrown = matches!(after, b':' | b'\n' | b'\r' | 0 | b']')
        || errno && matches!(after, b' ' | b')' | b',' | b'"' | b'\'' | b';' | b'.');
    let named = caught(text, at) || text.slice(end, end + 2) == b"::";
    (!named && (thrown || first && matches!(after, b' ' | b'"' | b'\''))).then_some(end)
}

/// `ECONNREFUSED`, `SIGSEGV`.
fn errno(name: &[u8]) -> bool {
    (5..=16).contains(&name.len()) && name.iter().all(u8::is_ascii_uppercase) && ERRNO.contains(&name)
}

static ERRNO: &[&[u8]] = &[
    b"ENOENT",
    b"EACCES",
    b"EPERM",
    b"EEXIST",
    b"ENOTDIR",
    b"EISDIR",
    b"EINVAL",
    b"EMFILE",
    b"ENFILE",
    b"ENOSPC",
    b"EROFS",
    b"EPIPE",
    b"EAGAIN",
    b"ENOMEM",
    b"EBUSY",
    b"EBADF",
    b"EFAULT",
    b"EINTR",
    b"ETIMEDOUT",
    b"ECONNREFUSED",
    b"ECONNRESET",
    b"ECONNABORTED",
    b"EHOSTUNREACH",
    b"ENETUNREACH",
    b"EADDRINUSE",
    b"EADDRNOTAVAIL",
    b"ENOTFOUND",
    b"ENOTEMPTY",
    b"ELOOP",
    b"EDEADLK",
    b"EPROTO",
    b"ENOTCONN",
    b"ESRCH",
    b"ENAMETOOLONG",
    b"EXDEV",
    b"EDQUOT",
    b"ENOSYS",
    b"ENOTSUP",
    b"EIO",
    b"SIGSEGV",
    b"SIGKILL",
    b"SIGABRT",
    b"SIGBUS",
    b"SIGTERM",
    b"SIGILL",
    b"SIGFPE",
    b"SIGPIPE",
    b"OOMKILLED",
];

/// The word before says that the exception is named here, not thrown.
fn caught(text: Text<'_>, at: usize) -> bool {
    if text.before(at) != b' ' && text.before(at) != b'(' {
        return false;
    }
    let end = text.slice(0, at).iter().rposition(|byte| !matches!(byte, b' ' | b'(')).map_or(0, |last| last + 1);
    let length =
        text.slice(end.saturating_sub(10), end).iter().rev().take_while(|byte| byte.is_ascii_alphabetic()).count();
    matches!(
        text.slice(end - length, end),
        b"except"
            | b"catch"
            | b"raise"
            | b"throw"
            | b"throws"
            | b"class"
            | b"import"
            | b"new"
            | b"struct"
            | b"enum"
            | b"instanceof"
            | b"extends"
            | b"raises"
    )
}

/// The end of the core: of the line, of the string around it (`bound`), or of a word near [`CORE`] bytes.
pub(super) fn core_end(text: Text<'_>, from: usize, bound: usize) -> usize {
    let most = (from + CORE).min(bound);
    let line = text.slice(from, most);
    let mut to = from + line.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(line.len());
    if to == from + CORE && class(text.at(to)) != 0 {
        // In the middle of a word: back to its begin, but not to nothing.
        let back = text.slice(from, to).iter().rposition(|byte| matches!(byte, b' ' | b',' | b';'));
        match back {
            Some(space) => to = from + space,
            None => {
                while (0x80..0xC0).contains(&text.at(to)) && to > from {
                    to -= 1;
                }
            }
        }
    }
    let kept = text.slice(from, to).iter().rposition(|byte| !matches!(byte, b' ' | b'\t'));
    kept.map_or(from, |last| from + last + 1)
}

/// What the words before a number say that it is: an exit code, or an HTTP status that tells of an error.
pub(super) fn by_context(text: Text<'_>, from: usize, to: usize) -> Option<Kind> {
    if to - from != 3 || !matches!(text.at(from), b'4' | b'5') || text.digits(from, 4) != 3 {
        return None;
    }
    let end = text
        .slice(from.saturating_sub(4), from)
        .iter()
        .rposition(|byte| !matches!(byte, b' ' | b'=' | b':' | b'"' | b'\''))
        .map_or(from.saturating_sub(4), |last| from.saturating_sub(4) + last + 1);
    let begin = end.saturating_sub(12);
    let before = text.slice(begin, end);
    let known = [
        &b"status"[..],
        b"code",
        b"http",
        b"http/1.1",
        b"http/1.0",
        b"http/2",
        b"statuscode",
        b"status_code",
        b"returned",
        b"respond",
        b"response",
    ]
    .iter()
    .any(|word| {
        before.len() >= word.len()
            && before.get(before.len() - word.len()..).is_some_and(|tail| tail.eq_ignore_ascii_case(word))
    });
    // `"GET /x HTTP/1.1" 502`.
    known.then_some(Kind::Error)
}

/// The number after `exit code`, `exit status`, `exited with`: its begin and end.
pub(super) fn exit_number(text: Text<'_>, at: usize) -> Option<(usize, usize)> {
    let mut from = at;
    for _ in 0..4 {
        from = text.run(from, |byte| matches!(byte, b' ' | b':' | b'=' | b'"' | b'(' | b'_' | b'\''));
        if text.at(from).is_ascii_digit() || text.at(from) == b'-' && text.at(from + 1).is_ascii_digit() {
            let digits = from + usize::from(text.at(from) == b'-');
            let to = text.run(digits, |byte| byte.is_ascii_digit());
            return (to - digits <= 10 && class(text.at(to)) & (LETTER | UPPER) == 0).then_some((from, to));
        }
        let word = text.run(from, |byte| byte.is_ascii_alphabetic());
        let joins = [&b"with"[..], b"code", b"status", b"signal", b"non", b"zero", b"value", b"mit"]
            .iter()
            .any(|join| word - from == join.len() && text.says(from, join));
        if !joins {
            return unspaced_number(text, from);
        }
        from = word;
    }
    None
}

/// After Chinese or Japanese words: `退出码：137`.
fn unspaced_number(text: Text<'_>, at: usize) -> Option<(usize, usize)> {
    let from = ["：", "为", "是", "は"]
        .iter()
        .find(|sign| text.slice(at, at + sign.len()) == sign.as_bytes())
        .map(|sign| at + sign.len())?;
    let from = from + usize::from(text.at(from) == b' ');
    let to = text.run(from, |byte| byte.is_ascii_digit());
    (to > from).then_some((from, to))
}

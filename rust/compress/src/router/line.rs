//! What one line looks like by itself. Each test reads the line once, most of them only its begin.

use std::ops::Range;

/// What a line looks like. The order is the order in which the tests are made: what is written most strictly first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// White space or nothing.
    Blank,
    /// The begin of a stack trace.
    TraceHead,
    /// A line within a stack trace.
    Frame,
    /// `path:line:text`, as grep prints it.
    Hit,
    /// A line that a compiler, a test runner or a package manager prints.
    Build,
    /// A line of the source that a compiler shows, and what it says to it.
    Shown,
    /// A line with a time or a level at its begin.
    Log,
    /// `key = value`, or the name of a section.
    Setting,
    /// A tag.
    Tag,
    /// A Markdown heading or a point of a list.
    Markdown,
    /// A statement, a bracket, a comment.
    Code,
    /// Words.
    Words,
    /// None of them.
    Other,
}

/// How much of a line is looked at.
const HEAD: usize = 160;

pub(super) fn look(line: &str) -> Look {
    let head = begin(line, HEAD);
    let bare = head.trim_start();
    if bare.trim_end().is_empty() && line.trim().is_empty() {
        return Look::Blank;
    }
    if is_trace_head(bare) {
        Look::TraceHead
    } else if is_frame(head, bare) {
        Look::Frame
    } else if is_build(head, bare) {
        Look::Build
    } else if is_shown(head, bare) {
        Look::Shown
    } else if hit(head).is_some() {
        Look::Hit
    } else if is_log(head) {
        Look::Log
    } else if is_tag(bare) {
        Look::Tag
    } else if is_setting(head) {
        Look::Setting
    } else if is_markdown(bare) {
        Look::Markdown
    } else if is_code(head, line.trim_end()) {
        Look::Code
    } else if is_words(head) {
        Look::Words
    } else {
        Look::Other
    }
}

/// The first `most` bytes, or as many as make whole characters.
pub(super) fn begin(line: &str, most: usize) -> &str {
    if line.len() <= most {
        return line;
    }
    let end = (0..=most).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
    line.get(..end).unwrap_or_default()
}

/// Where the number of a `path:line:` stands; a path has a letter and a dot or a slash, and no space.
pub(super) fn hit(head: &str) -> Option<Range<usize>> {
    let colon = head.bytes().position(|byte| byte == b':')?;
    let path = head.get(..colon)?;
    let digits = head.get(colon + 1..)?.bytes().take_while(u8::is_ascii_digit).count();
    let after = head.as_bytes().get(colon + 1 + digits)?;
    let is_path = path.bytes().any(|byte| byte.is_ascii_alphabetic())
        && path.bytes().any(|byte| byte == b'.' || byte == b'/')
        && !path.bytes().any(|byte| byte == b' ' || byte == b'\t' || byte == b'"' || byte == b'(')
        && !path.as_bytes().first().is_some_and(|byte| byte.is_ascii_digit() && has_date(path));
    (digits > 0 && *after == b':' && is_path).then_some(colon + 1..colon + 1 + digits)
}

fn has_date(text: &str) -> bool {
    text.as_bytes().windows(4).any(|four| {
        matches!(four, [b'-' | b'/' | b'.', one, other, b'-' | b'/' | b'.'] if one.is_ascii_digit() && other.is_ascii_digit())
    })
}

fn is_trace_head(bare: &str) -> bool {
    const HEADS: [&str; 10] = [
        "Traceback (most recent call last)",
        "Exception in thread ",
        "Unhandled exception",
        "Uncaught ",
        "panic: ",
        "fatal error: ",
        "stack backtrace:",
        "goroutine ",
        "The above exception was the direct cause",
        "During handling of the above exception",
    ];
    HEADS.iter().any(|head| bare.starts_with(head))
        || (bare.starts_with("thread '") && bare.contains("panicked at"))
        || (bare.starts_with("Stack trace") || bare.starts_with("Call Stack"))
}

fn is_frame(head: &str, bare: &str) -> bool {
    let indented = head.len() > bare.len();
    if bare.starts_with("Caused by: ") || bare.starts_with("Suppressed: ") {
        return true;
    }
    if !indented {
        return false;
    }
    (bare.starts_with("File \"") && bare.contains(", line "))
        || (bare.starts_with("at ") && (bare.contains('(') || bare.contains(':') || bare.contains('.')))
        || (bare.starts_with("... ") && bare.contains(" more"))
        || (head.starts_with('\t') && bare.contains(".go:"))
        || (bare.split_once(": ").is_some_and(|(number, rest)| {
            !number.is_empty()
                && number.bytes().all(|byte| byte.is_ascii_digit())
                && (rest.contains("::") || rest.starts_with("0x"))
        }))
}

fn is_build(head: &str, bare: &str) -> bool {
    const STARTS: [&str; 53] = [
        "error[E",
        "error: ",
        "warning: ",
        "Compiling ",
        "Finished ",
        "Checking ",
        "Downloaded ",
        "Updating ",
        "npm ERR!",
        "npm error",
        "npm warn",
        "npm WARN",
        "=== RUN",
        "--- FAIL",
        "--- PASS",
        "FAILED ",
        "PASSED ",
        "FAIL ",
        "PASS ",
        "> Task :",
        "Collecting ",
        "Successfully ",
        "Requirement already",
        "Building ",
        "Step ",
        "make[",
        "make: ",
        "gcc ",
        "g++ ",
        "cc ",
        "clang ",
        "ninja: ",
        "CMake ",
        "-- ",
        "test result:",
        "running ",
        "E   ",
        "collected ",
        "platform ",
        "Running ",
        "Installing ",
        "Downloading ",
        "BUILD ",
        "Tests run:",
        "✓ ",
        "Setting up ",
        "Unpacking ",
        "Preparing to unpack ",
        "Selecting previously ",
        "Processing triggers for ",
        "Removing ",
        "Get:",
        "Fetched ",
    ];
    if STARTS.iter().any(|start| bare.starts_with(start)) && !(bare.starts_with("-- ") && head.len() < 8) {
        return true;
    }
    if is_progress(bare) {
        return true;
    }
    if bare.starts_with("test ") && (bare.ends_with("... ok") || bare.ends_with("FAILED") || bare.ends_with("ignored"))
    {
        return true;
    }
    if bare.contains("::") && (bare.contains(" PASSED") || bare.contains(" FAILED") || bare.contains(" SKIPPED")) {
        return true;
    }
    hit(head).is_some() && [": error", ": warning", ": note:", " error TS"].iter().any(|word| bare.contains(word))
}

/// ` --> src/a.rs:1:2`, `12 |     let x = 1;`, `   |     ^^^`, ` = note: ...`.
fn is_shown(head: &str, bare: &str) -> bool {
    let rest = bare.trim_start_matches(|sign: char| sign.is_ascii_digit());
    let numbered = rest.len() < bare.len();
    bare.starts_with("--> ")
        || (numbered || head.len() > bare.len()) && (rest.starts_with(" | ") || rest.trim_end() == " |")
        || head.len() > bare.len()
            && (bare.starts_with("| ")
                || bare.trim_end() == "|"
                || bare.starts_with("= note: ")
                || bare.starts_with("= help: "))
}

/// `key = value`, `key=value` or `[section]` at the begin of a line, and nothing that code would have.
fn is_setting(head: &str) -> bool {
    let name = head.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(byte)).count();
    let rest = head.get(name..).unwrap_or_default().trim_start_matches([' ', '\t']);
    let section = || {
        let inner = head.trim_end().strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
        inner.is_some_and(|inner| !inner.is_empty() && !inner.contains(['(', ')', ',']))
    };
    (1..48).contains(&name) && rest.starts_with('=') && !rest.starts_with("==") && !rest.starts_with("=>") || section()
}

/// The names of columns: at least three words, all of them in capitals.
pub(super) fn is_header(line: &str) -> bool {
    let sign = |byte: u8| byte.is_ascii_uppercase() || b" %/_-()#+.".contains(&byte);
    line.len() < 400
        && line.bytes().all(sign)
        && line.split(' ').filter(|word| word.bytes().any(|byte| byte.is_ascii_uppercase())).count() > 2
}

/// `[ 53%] ` or `[12/340] `, as `CMake` and ninja count.
fn is_progress(bare: &str) -> bool {
    let Some((inside, rest)) = bare.strip_prefix('[').and_then(|rest| rest.split_once(']')) else { return false };
    rest.starts_with(' ')
        && inside.ends_with(|last: char| last == '%' || last.is_ascii_digit())
        && inside.contains(['%', '/'])
        && inside.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b' ' | b'%' | b'/'))
}

/// A time of day, a date or a level within the first characters.
fn is_log(head: &str) -> bool {
    let early = begin(head, 72).as_bytes();
    if early.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
        return false;
    }
    early.windows(8).enumerate().any(|(at, eight)| {
        (at == 0 || early.get(at - 1).is_none_or(|byte| !byte.is_ascii_digit()))
            && matches!(eight, [_, _, b':', _, _, b':', _, _])
            && eight.iter().all(|byte| byte.is_ascii_digit() || *byte == b':')
    }) || begins_with_number_of_time(early)
        || has_level(begin(head, 48))
}

/// Seconds since 1970, or `yymmdd hhmmss`, or `yyyymmdd-hh:mm`.
fn begins_with_number_of_time(early: &[u8]) -> bool {
    let start = early.iter().take_while(|byte| matches!(byte, b'[' | b'(' | b'-' | b' ')).count();
    let rest = early.get(start..).unwrap_or_default();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let next = rest.get(digits).copied();
    match digits {
        10 | 13 => matches!(next, Some(b'.' | b' ' | b']' | b',')),
        6 => next == Some(b' ') && rest.get(7..13).is_some_and(|six| six.iter().all(u8::is_ascii_digit)),
        8 => next == Some(b'-') && rest.get(9).is_some_and(u8::is_ascii_digit),
        4 => {
            matches!(next, Some(b'-' | b'/' | b'.'))
                && rest.get(5..7).is_some_and(|two| two.iter().all(u8::is_ascii_digit))
                && rest.get(7).is_some_and(|byte| matches!(byte, b'-' | b'/' | b'.'))
                && rest.get(10).is_some_and(|byte| matches!(byte, b' ' | b'T' | b'_'))
        }
        _ => false,
    }
}

fn has_level(early: &str) -> bool {
    const LEVELS: [&str; 13] = [
        "TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "WARNING", "ERROR", "FATAL", "CRITICAL", "SEVERE", "PANIC",
        "EMERG", "ALERT",
    ];
    if early.starts_with("level=") || early.contains(" level=") {
        return true;
    }
    let mut words = early.split(|sign: char| !sign.is_ascii_alphabetic()).filter(|word| !word.is_empty()).take(6);
    words.any(|word| LEVELS.contains(&word))
}

fn is_tag(bare: &str) -> bool {
    let mut bytes = bare.bytes();
    bytes.next() == Some(b'<')
        && bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'/' | b'!' | b'?'))
        && (bare.contains('>') || bare.len() > 60)
        && !bare.starts_with("</s>")
}

fn is_markdown(bare: &str) -> bool {
    let marks = bare.bytes().take_while(|byte| *byte == b'#').count();
    ((1..=6).contains(&marks) && bare.as_bytes().get(marks) == Some(&b' '))
        || ["- ", "* ", "+ ", "> "].iter().any(|mark| bare.starts_with(mark) && bare.len() > 4)
        || {
            let digits = bare.bytes().take_while(u8::is_ascii_digit).count();
            (1..4).contains(&digits)
                && bare.get(digits..).is_some_and(|rest| rest.starts_with(". ") || rest.starts_with(") "))
        }
}

fn is_code(head: &str, line: &str) -> bool {
    const STARTS: [&str; 46] = [
        "fn ",
        "pub ",
        "def ",
        "class ",
        "import ",
        "from ",
        "return",
        "let ",
        "const ",
        "var ",
        "function ",
        "if (",
        "if ",
        "for ",
        "while ",
        "else",
        "elif ",
        "try:",
        "try ",
        "except",
        "async ",
        "await ",
        "func ",
        "package ",
        "use ",
        "struct ",
        "enum ",
        "impl ",
        "static ",
        "public ",
        "private ",
        "protected ",
        "void ",
        "int ",
        "#include",
        "#define",
        "export ",
        "type ",
        "interface ",
        "//",
        "/*",
        "* ",
        "@",
        "#[",
        "match ",
        "raise ",
    ];
    let bare = head.trim_start();
    let last = line.bytes().next_back();
    let closed = matches!(last, Some(b';' | b'{' | b'}' | b')' | b'(' | b',' | b'[' | b']'));
    if closed && (matches!(last, Some(b';' | b'{' | b'}' | b'(' | b'[')) || head.len() > bare.len() || bare.len() < 4) {
        return true;
    }
    let starts = STARTS.iter().any(|start| bare.starts_with(start));
    starts
        && (closed
            || matches!(last, Some(b':'))
            || bare.contains('(')
            || bare.contains(" = ")
            || bare.starts_with("//")
            || bare.starts_with("import ")
            || bare.starts_with("use ")
            || (head.len() > bare.len() && bare.len() < 60))
        || (head.len() > bare.len()
            && (bare.contains(" = ") || bare.contains('(') && bare.contains(')') && !bare.contains(". ")))
}

/// Mostly letters, in words of usual length.
fn is_words(head: &str) -> bool {
    let (mut letters, mut spaces, mut others) = (0_usize, 0_usize, 0_usize);
    for sign in head.chars() {
        if sign.is_alphabetic() || sign == '\'' {
            letters += 1;
        } else if sign == ' ' {
            spaces += 1;
        } else {
            others += 1;
        }
    }
    let wide = head.chars().take(12).filter(|sign| u32::from(*sign) > 0x2e80).count() >= 4;
    (spaces >= 2 || wide) && others * 5 <= letters && (wide || letters <= spaces * 14 + 14)
}

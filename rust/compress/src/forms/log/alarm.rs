//! Which lines say that something went wrong.
//!
//! Rule: words decide, in the languages of the logs we know, and numbers only beside such words: a non-zero exit, an
//! HTTP status of 500 and more. A count of nought ("0 errors") is no alarm. It is better to keep a line too many.

use super::{
    pieces::What,
    shape::{Line, Log},
};

/// In lower case, sorted.
const WORDS: [&str; 69] = [
    "abort",
    "aborted",
    "aborting",
    "alert",
    "avertissement",
    "aviso",
    "cannot",
    "corrupt",
    "corrupted",
    "crash",
    "crashed",
    "crit",
    "critical",
    "deadlock",
    "denied",
    "diverged",
    "emerg",
    "emergency",
    "err",
    "erreur",
    "erro",
    "error",
    "errore",
    "errored",
    "errors",
    "exception",
    "exhausted",
    "expired",
    "fail",
    "failed",
    "failing",
    "fails",
    "failure",
    "failures",
    "falha",
    "fallo",
    "fatal",
    "fehler",
    "fehlgeschlagen",
    "forbidden",
    "hata",
    "illegal",
    "invalid",
    "killed",
    "lost",
    "mismatch",
    "oom",
    "overflow",
    "panic",
    "panicked",
    "refused",
    "rejected",
    "segfault",
    "severe",
    "stderr",
    "terminated",
    "timeout",
    "timeouts",
    "traceback",
    "unable",
    "unauthorized",
    "undefined",
    "unexpected",
    "unreachable",
    "unresolved",
    "violation",
    "warn",
    "warning",
    "warnung",
];

/// Those of the words that only warn.
const WARNINGS: [&str; 5] = ["avertissement", "aviso", "warn", "warning", "warnung"];
const WARNING_STEMS: [&str; 3] = ["предупрежд", "警告", "경고"];

/// Parts of words in other scripts.
const STEMS: [&str; 34] = [
    "ошибк",
    "сбой",
    "сбоя",
    "отказ",
    "удалось",
    "исключени",
    "предупрежд",
    "критич",
    "таймаут",
    "превышен",
    "недоступ",
    "аварий",
    "错误",
    "失败",
    "异常",
    "超时",
    "拒绝",
    "警告",
    "致命",
    "崩溃",
    "无法",
    "錯誤",
    "失敗",
    "エラー",
    "例外",
    "오류",
    "실패",
    "경고",
    "échec",
    "błąd",
    "błęd",
    "помилк",
    "خطأ",
    "فشل",
];

/// How loud a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Grade {
    Quiet,
    Warning,
    Error,
}

/// The loudest word of the text decides.
pub(super) fn grade(text: &str) -> Grade {
    let mut lower = String::new();
    let mut before = "";
    let mut loudest = Grade::Quiet;
    let mut words = text.split(|sign: char| !sign.is_alphanumeric() && sign != '_').filter(|word| !word.is_empty());
    let mut next = words.next();
    while let Some(word) = next {
        next = words.next();
        if before != "0" && next != Some("0") && !is_denied(before) {
            loudest = loudest.max(grade_of_word(word, &mut lower));
            if loudest == Grade::Error {
                return loudest;
            }
        }
        before = word;
    }
    if !text.is_ascii() {
        let lower = text.to_lowercase();
        let stems = STEMS.iter().filter(|stem| lower.contains(**stem));
        return stems
            .map(|stem| if WARNING_STEMS.contains(stem) { Grade::Warning } else { Grade::Error })
            .fold(loudest, Grade::max);
    }
    loudest
}

fn is_denied(before: &str) -> bool {
    matches!(before, "no" | "No" | "without" | "zero")
}

/// `lower` is room to work in.
fn grade_of_word(word: &str, lower: &mut String) -> Grade {
    if word.len() < 3 || !word.is_ascii() {
        return Grade::Quiet;
    }
    // `java.io.IOException`, `TypeError`, `error_code`.
    if word.ends_with("Exception") || word.ends_with("Error") || word.ends_with("Failure") {
        return Grade::Error;
    }
    lower.clear();
    lower.extend(word.chars().map(|letter| letter.to_ascii_lowercase()));
    let parts = lower.split('_').filter(|part| WORDS.binary_search(part).is_ok());
    parts.map(|part| if WARNINGS.contains(&part) { Grade::Warning } else { Grade::Error }).max().unwrap_or(Grade::Quiet)
}

/// How loud the words are that this line has in common with all of its template.
pub(super) fn in_words(log: &Log<'_>, line: &Line) -> Grade {
    let text = log.text(line);
    let mut words = String::with_capacity(text.len());
    let mut at = 0;
    for piece in log.pieces(line).iter().filter(|piece| piece.what == What::Value && piece.of(text).starts_with('"')) {
        words.push_str(text.get(at..piece.start as usize).unwrap_or_default());
        at = piece.end as usize;
    }
    words.push_str(text.get(at..).unwrap_or_default());
    grade(&words).max(grade_of_letter(text, line))
}

/// Some say it with a letter: klog before the date, pytest before what went wrong.
fn grade_of_letter(text: &str, line: &Line) -> Grade {
    let before_date = line.stamp.as_ref().is_some_and(|stamp| stamp.whole.start == 1);
    match text.as_bytes() {
        [b'E' | b'F', ..] if before_date => Grade::Error,
        [b'W', ..] if before_date => Grade::Warning,
        [b'E', b' ', b' ', b' ', ..] => Grade::Error,
        _ => Grade::Quiet,
    }
}

/// A value of this line says that something went wrong.
pub(super) fn in_values(log: &Log<'_>, line: &Line) -> bool {
    let text = log.text(line);
    let pieces = log.pieces(line);
    pieces.iter().enumerate().filter(|(_, piece)| piece.what == What::Value).any(|(place, piece)| {
        let value = piece.of(text);
        if value.starts_with('"') {
            return grade(value) == Grade::Error;
        }
        let before = place.checked_sub(1).and_then(|place| pieces.get(place));
        let behind_request = || text.get(..piece.start as usize).is_some_and(|text| text.ends_with("\" "));
        let word = || before.map_or("", |piece| piece.of(text));
        is_server_error(value) && (behind_request() || is_status(word()))
            || is_non_zero(value)
                && is_exit(word(), pieces.get(place.wrapping_sub(2)).map_or("", |piece| piece.of(text)))
    })
}

fn is_server_error(value: &str) -> bool {
    value.len() == 3 && value.starts_with('5') && value.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_status(word: &str) -> bool {
    ["status", "code", "http", "HTTP", "http_status", "statusCode", "status_code"].contains(&word)
}

fn is_non_zero(value: &str) -> bool {
    value.len() < 8
        && value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
        && value.bytes().any(|byte| byte > b'0')
}

fn is_exit(word: &str, before: &str) -> bool {
    let is = |word: &str| word.eq_ignore_ascii_case("exit") || word.eq_ignore_ascii_case("exited");
    matches!(word, "exit_code" | "exitCode" | "exit_status" | "exitcode" | "rc")
        || is(word)
        || matches!(word, "code" | "status") && (is(before) || before == "with")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_in_order() {
        assert!(WORDS.is_sorted());
    }

    #[test]
    fn alarm_is_told_by_words_in_many_languages() {
        for text in [
            "2026 ERROR x",
            "a java.io.IOException: b",
            "connection refused",
            "код: ошибка диска",
            "连接超时",
            "[error] x",
            "TypeError: x",
            "build FAILED",
            "error_code=12",
            "接続エラー",
            "warn: low disk",
        ] {
            assert!(grade(text) > Grade::Quiet, "{text}");
        }
        for text in
            ["INFO ready", "0 errors", "errors: 0", "no error", "terror of interrupts", "запуск службы", "启动完成"]
        {
            assert!(grade(text) == Grade::Quiet, "{text}");
        }
    }

    #[test]
    fn a_letter_may_say_it() {
        for (line, expected) in [
            ("E1121 10:00:01.000001 1 a.go:3] pod x", Grade::Error),
            ("W1121 10:00:01.000001 1 a.go:3] pod x", Grade::Warning),
            ("I1121 10:00:01.000001 1 a.go:3] pod x", Grade::Quiet),
            ("E       assert 3 == 4", Grade::Error),
            ("East of it", Grade::Quiet),
        ] {
            let log = Log::read(line);
            assert_eq!(in_words(&log, &log.lines[0]), expected, "{line}");
        }
    }

    #[test]
    fn statuses_and_exits_count_only_at_their_places() {
        for (line, alarm) in [
            ("1.2.3.4 - - [21/Nov/2026:10:00:01 +0000] \"GET /a HTTP/1.1\" 503 5", true),
            ("1.2.3.4 - - [21/Nov/2026:10:00:01 +0000] \"GET /a HTTP/1.1\" 200 503", false),
            ("process exited with code 137", true),
            ("process exited with code 0", false),
            ("took 503 ms", false),
            ("path=/a status=502", true),
        ] {
            let log = Log::read(line);
            assert_eq!(in_values(&log, &log.lines[0]), alarm, "{line}");
        }
    }
}

//! Names that were generated: UUIDs, hashes, tokens, tickets, ARNs, names with a generated end, versions.

use super::{
    Kind, number,
    text::{COLON, DASH, DIGIT, DOT, LETTER, LOWER, SIGN, SLASH, Text, UNDER, UPPER, class},
};

/// Longer ones are content, not names.
const LONGEST: usize = 1024;

/// The id or version that the chunk is; it begins where the first of the answer says.
pub(super) fn find(text: Text<'_>, at: usize, end: usize, seen: u16) -> Option<(usize, Kind)> {
    if end <= at || end - at > LONGEST {
        return None;
    }
    if (seen & DOT != 0 || text.at(at) == b'v')
        && let Some(from) = version(text, at, end)
    {
        return Some((from, Kind::Version));
    }
    if text.at(at) == b'#' {
        return (end - at >= 3 && text.slice(at + 1, end).iter().all(u8::is_ascii_digit)).then_some((at, Kind::Id));
    }
    let chunk = text.slice(at, end);
    let known = hex(chunk)
        || uuid(chunk)
        || ticket(chunk)
        || token(chunk, seen)
        || short_token(chunk, seen)
        || generated(chunk, seen)
        || code(chunk);
    known.then_some((at, Kind::Id))
}

/// `1.2.3`, `v1.2`, `2.0.0-rc.1+build5`, `v3`.
fn version(text: Text<'_>, at: usize, end: usize) -> Option<usize> {
    let marked = matches!(text.at(at), b'v' | b'V') && text.at(at + 1).is_ascii_digit();
    let mut to = at + usize::from(marked);
    let operator = text.at(to) == b'~';
    to += usize::from(operator);
    let begin = to;
    let mut dots = 0;
    loop {
        let digits = text.digits(to, 9);
        if digits == 0 || digits > 8 {
            return None;
        }
        to += digits;
        if to < end && text.at(to) == b'.' && text.at(to + 1).is_ascii_digit() {
            dots += 1;
            to += 1;
            continue;
        }
        break;
    }
    let tail = text.slice(to, end);
    let suffix = match tail {
        [] => true,
        [b'-' | b'+', rest @ ..] => {
            rest.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+'))
        }
        [b'a' | b'b', rest @ ..] => !rest.is_empty() && rest.iter().all(u8::is_ascii_digit),
        [b'r', b'c', rest @ ..] | [b'.', b'd', b'e', b'v', rest @ ..] | [b'.', b'p', b'o', b's', b't', rest @ ..] => {
            rest.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    };
    let enough = if marked {
        dots >= 1 || tail.is_empty() && to - begin <= 3
    } else {
        dots >= 2 || dots == 1 && tail.len() > 1 && tail.iter().any(u8::is_ascii_alphabetic)
    };
    // More than four parts, or thousands with dots: no version.
    (suffix && enough && dots <= 4).then(|| number::requirement(text, at))
}

/// Seven or more hex digits, some of them letters, or a long run; `0x` before them.
fn hex(chunk: &[u8]) -> bool {
    let (body, marked) = match chunk {
        [b'0', b'x' | b'X', body @ ..] => (body, true),
        _ => (chunk, false),
    };
    if body.is_empty() || !body.iter().all(u8::is_ascii_hexdigit) {
        return false;
    }
    if marked {
        return true;
    }
    let digits = body.iter().filter(|byte| byte.is_ascii_digit()).count();
    let upper = body.iter().any(u8::is_ascii_uppercase) && body.iter().any(u8::is_ascii_lowercase);
    // `2e10` is a number, `1234567` too.
    body.len() >= 7 && digits >= 1 && digits < body.len() && !upper && !exponent(body)
}

fn exponent(body: &[u8]) -> bool {
    let letters = body.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    letters == 1
        && body.iter().any(|byte| matches!(byte, b'e' | b'E'))
        && body.first().is_some_and(u8::is_ascii_digit)
        && body.len() < 8
}

fn uuid(chunk: &[u8]) -> bool {
    chunk.len() == 36
        && chunk.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// `ABC-1234`, `CVE-2026-1234`, `INC0012345`.
fn ticket(chunk: &[u8]) -> bool {
    let letters = chunk.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    if !(2..=10).contains(&letters) {
        return false;
    }
    let rest = chunk.get(letters..).unwrap_or_default();
    match rest {
        [b'-', digits @ ..] => {
            let mut parts = digits.split(|byte| *byte == b'-');
            parts.all(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit)) && !standard(chunk)
        }
        digits => digits.len() >= 4 && digits.iter().all(u8::is_ascii_digit),
    }
}

/// Names of standards look like tickets.
fn standard(chunk: &[u8]) -> bool {
    [&b"UTF-"[..], b"SHA-", b"ISO-", b"RFC-", b"AES-", b"HTTP-", b"IPV-", b"COVID-", b"RS-", b"UTC-", b"GMT-"]
        .iter()
        .any(|name| chunk.starts_with(name))
}

/// `E0308`, `TS2345`, `ORA-00942`: one or two letters and four digits or more.
fn code(chunk: &[u8]) -> bool {
    let letters = chunk.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    let digits = chunk.get(letters..).unwrap_or_default();
    (1..=3).contains(&letters)
        && digits.len() >= 3
        && digits.len() <= 12
        && digits.iter().all(u8::is_ascii_digit)
        && !(letters == 1 && digits.len() < 4)
}

/// Sixteen or more signs in which digits and letters are mixed: ULIDs, keys, base64.
fn token(chunk: &[u8], seen: u16) -> bool {
    if chunk.len() < 16 || seen & DIGIT == 0 || seen & LETTER == 0 || seen & (DOT | COLON) != 0 {
        return chunk.len() >= 40
            && seen & (DOT | DIGIT) == DOT | DIGIT
            && seen & (COLON | SLASH) == 0
            && chunk.starts_with(b"eyJ");
    }
    if seen & SIGN != 0 && chunk.contains(&b'$') {
        return false;
    }
    let digits = chunk.iter().filter(|byte| byte.is_ascii_digit()).count();
    // A word has its digits at the end, a key has them anywhere.
    let tail = chunk.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let changes =
        chunk.windows(2).filter(|pair| matches!(pair, [a, b] if a.is_ascii_digit() != b.is_ascii_digit())).count();
    let plain = seen & (DASH | UNDER | SLASH) == 0;
    if plain {
        digits > tail && changes >= 3 || digits >= 8 && changes >= 2
    } else {
        digits >= 4 && changes >= 5 && mixed_part(chunk)
    }
}

/// Eight to fifteen letters and digits that change as no name in code does: small letters behind digits, digits behind
/// capitals, small letters behind several capitals.
fn short_token(chunk: &[u8], seen: u16) -> bool {
    if !(8..16).contains(&chunk.len()) || seen & DIGIT == 0 || seen & !(DIGIT | UPPER | LOWER) != 0 {
        return false;
    }
    let (mut changes, mut odd, mut run) = (0, 0, 1);
    let pairs = chunk.windows(2).filter_map(|pair| match pair {
        [one, other] => Some((class(*one), class(*other))),
        _ => None,
    });
    for (one, other) in pairs {
        if one == other {
            run += 1;
            continue;
        }
        changes += 1;
        odd += usize::from(one == DIGIT && other == LOWER || one == UPPER && (other == DIGIT || run > 1));
        run = 1;
    }
    changes * 3 >= chunk.len() && odd >= if chunk.len() < 10 { 3 } else { 2 }
}

/// Whether one of the parts between dashes and underscores is itself mixed.
fn mixed_part(chunk: &[u8]) -> bool {
    chunk.split(|byte| matches!(byte, b'-' | b'_' | b'/')).any(|part| {
        let changes =
            part.windows(2).filter(|pair| matches!(pair, [a, b] if a.is_ascii_digit() != b.is_ascii_digit())).count();
        part.len() >= 8 && changes >= 2
    })
}

/// `web-7d4b9c6f5-x2x9z`, `i-0abc123def`, `req_8f3k2m9x`: words, and parts that no word has.
fn generated(chunk: &[u8], seen: u16) -> bool {
    if seen & (DASH | UNDER) == 0 || chunk.len() < 8 || seen & (COLON | DOT | SLASH | SIGN) != 0 {
        return false;
    }
    let mixed = |part: &[u8]| {
        let digits = part.iter().filter(|byte| byte.is_ascii_digit()).count();
        let leading = part.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let tail = part.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let letters = part.len() - digits;
        part.len() >= 5
            && digits >= 1
            && letters >= 1
            && (tail < digits && leading < digits || digits >= 2 && letters >= 2 && part.len() >= 8 && tail != digits)
    };
    let parts = || chunk.split(|byte| matches!(byte, b'-' | b'_'));
    let long = parts().any(|part| part.len() >= 6 && part.iter().all(u8::is_ascii_digit));
    (parts().any(mixed) || long)
        && parts().all(|part| part.iter().all(|byte| class(*byte) & (DIGIT | LETTER) != 0))
        && seen & (UPPER | LOWER) != 0
}

//! Where something is: URLs, paths, IP addresses and networks, e-mail addresses, hosts with a port, ARNs.

use super::{
    Kind,
    text::{AT, BACK, COLON, DIGIT, DOT, LETTER, SLASH, Text, class},
};

type Place = (usize, usize, Kind);

/// The place that the chunk is, or that begins with it: it may reach beyond the chunk's end.
pub(super) fn find(text: Text<'_>, at: usize, end: usize, seen: u16) -> Option<Place> {
    if seen & (COLON | SLASH) == COLON | SLASH
        && let Some(to) = url(text, at, end)
    {
        return Some((at, to, Kind::Url));
    }
    if seen & DOT != 0 && text.says(at, b"www.") {
        return Some((at, url_end(text, at), Kind::Url));
    }
    if seen & COLON != 0
        && let Some(to) = named_id(text, at, end)
    {
        return Some((at, to, Kind::Id));
    }
    let bare = trimmed(text, at, end);
    if seen & AT != 0
        && let Some(found) = with_at(text, at, bare)
    {
        return Some(found);
    }
    if seen & BACK != 0 {
        return windows(text, at).map(|to| (at, to, Kind::Path));
    }
    if seen & (DOT | COLON) != 0
        && let Some(to) = address(text, at, end)
    {
        return Some((at, to, Kind::Address));
    }
    path(text, at, end, seen).map(|to| (at, to, Kind::Path))
}

/// The end without the signs of the sentence; a slash stays.
fn trimmed(text: Text<'_>, at: usize, end: usize) -> usize {
    let kept =
        text.slice(at, end).iter().rposition(|byte| class(*byte) & (LETTER | DIGIT | SLASH) != 0 || *byte == b'_');
    kept.map_or(at, |last| at + last + 1)
}

fn url(text: Text<'_>, at: usize, end: usize) -> Option<usize> {
    let scheme = text.run(at, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')).min(end);
    let begins = text.at(at).is_ascii_alphabetic() && scheme - at >= 2 && scheme - at <= 16;
    if !begins || text.slice(scheme, scheme + 3) != b"://" {
        return None;
    }
    let to = url_end(text, at);
    (to > scheme + 3).then_some(to)
}

/// A URL goes on to a space or quote; signs at its end are the sentence's, a bracket is its own if it opened in it.
fn url_end(text: Text<'_>, at: usize) -> usize {
    let part = |byte: u8| {
        byte > 0x20
            && byte < 0xE2
            && !matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'`' | b'\\' | b'{' | b'}' | b'|' | b'^')
    };
    let end = text.run(at, part);
    let mut round = 0_usize;
    let mut square = 0_usize;
    let mut to = at;
    for (ahead, byte) in text.slice(at, end).iter().enumerate() {
        match byte {
            b'(' => round += 1,
            b'[' => square += 1,
            b')' if round == 0 => break,
            b']' if square == 0 => break,
            b')' => round -= 1,
            b']' => square -= 1,
            _ => {}
        }
        if !matches!(byte, b'.' | b',' | b';' | b':' | b'!' | b'?' | b'*' | b'_' | b'~' | b'(' | b'[' | b'&') {
            to = at + ahead + 1;
        }
    }
    to
}

/// `arn:aws:…`, `urn:…`, `sha256:…`: names that begin with what they are.
fn named_id(text: Text<'_>, at: usize, end: usize) -> Option<usize> {
    if text.says(at, b"arn:") || text.says(at, b"urn:") {
        let to = text.run(at, |byte| class(byte) != 0 || matches!(byte, b'*' | b'=')).max(end);
        return Some(trimmed(text, at, to)).filter(|to| *to > at + 5);
    }
    let digest = [&b"sha256:"[..], b"sha1:", b"sha512:", b"md5:"].into_iter().find(|name| text.says(at, name))?;
    let to = text.run(at + digest.len(), |byte| byte.is_ascii_hexdigit());
    (to - at - digest.len() >= 7).then_some(to)
}

/// E-mail addresses, `user@host`, `git@host:owner/name.git`, `name@1.2.3`, `image@sha256:…`.
fn with_at(text: Text<'_>, at: usize, end: usize) -> Option<Place> {
    let chunk = text.slice(at, end);
    let sign = chunk.iter().position(|byte| *byte == b'@')?;
    let (name, host) = (chunk.get(..sign)?, chunk.get(sign + 1..)?);
    if name.is_empty() || host.contains(&b'@') {
        return None;
    }
    if host.starts_with(b"sha256:") {
        return Some((at, end, Kind::Id));
    }
    if host.first().is_some_and(u8::is_ascii_digit)
        && !host.iter().any(|byte| matches!(byte, b':' | b'/'))
        && ip4(text, at + sign + 1).is_none()
    {
        return host.contains(&b'.').then_some((at, end, Kind::Version));
    }
    let labels = host.split(|byte| matches!(byte, b':' | b'/')).next()?;
    let whole = labels.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
    let plain = name.iter().all(|byte| class(*byte) & (COLON | SLASH | BACK) == 0);
    (whole && plain && labels.contains(&b'.')).then_some((at, end, Kind::Address))
}

/// `C:\Users\x`, `\\server\share`; a part with spaces goes on if a backslash follows.
fn windows(text: Text<'_>, at: usize) -> Option<usize> {
    let drive = text.at(at).is_ascii_alphabetic() && text.at(at + 1) == b':' && matches!(text.at(at + 2), b'\\' | b'/');
    let share = text.says(at, b"\\\\") && text.at(at + 2).is_ascii_alphanumeric();
    if !drive && !share {
        return None;
    }
    let part = |byte: u8| {
        byte > 0x20
            && !matches!(
                byte,
                b'"' | b'\'' | b'<' | b'>' | b'|' | b'?' | b'*' | b',' | b';' | b'(' | b')' | b'[' | b']' | b'='
            )
    };
    let mut end = text.run(at, part);
    for _ in 0..8 {
        // `Program Files (x86)\`.
        let on = text.run(end, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'(' | b')' | b'-' | b'.'));
        if text.at(end) != b' ' || on - end > 24 || text.at(on) != b'\\' {
            break;
        }
        end = text.run(on, part);
    }
    let to = trimmed(text, at, end);
    (to > at + 3).then_some(to)
}

/// An IPv4 or IPv6 address with its network or port, or a host with its port.
fn address(text: Text<'_>, at: usize, end: usize) -> Option<usize> {
    if let Some(to) = ip4(text, at) {
        return Some(to);
    }
    ip6(text, at, end).or_else(|| host_port(text, at, end))
}

fn ip4(text: Text<'_>, at: usize) -> Option<usize> {
    let mut to = at;
    for part in 0..4 {
        let digits = text.digits(to, 4);
        if !(1..=3).contains(&digits) || text.value(to, digits) > 255 || part < 3 && text.at(to + digits) != b'.' {
            return None;
        }
        to += digits + usize::from(part < 3);
    }
    let fits = |most: u32, digits: usize, from: usize| digits > 0 && text.value(from, digits) <= most;
    if text.at(to) == b'/' && fits(32, text.digits(to + 1, 3), to + 1) {
        to += 1 + text.digits(to + 1, 3);
    } else if text.at(to) == b':' && fits(65535, text.digits(to + 1, 6), to + 1) {
        to += 1 + text.digits(to + 1, 6);
    }
    let more = text.at(to) == b'.' && text.at(to + 1).is_ascii_digit();
    (!more && class(text.at(to)) & (DIGIT | LETTER) == 0).then_some(to)
}

/// Eight groups, or fewer with `::` in them; a MAC address is six groups of two.
fn ip6(text: Text<'_>, at: usize, end: usize) -> Option<usize> {
    let to = text.run(at, |byte| byte.is_ascii_hexdigit() || byte == b':').min(end).min(at + 48);
    let colons = text.times(at, to, b':');
    if colons < 2 {
        return None;
    }
    let to = if text.before(to) == b':' && !text.slice(at, to).ends_with(b"::") { to - 1 } else { to };
    let groups = || text.slice(at, to).split(|byte| *byte == b':');
    let short = text.slice(at, to).windows(2).filter(|pair| *pair == b"::").count();
    let fits = groups().all(|group| group.len() <= 4);
    let mac = groups().count() == 6 && groups().all(|group| group.len() == 2);
    let told = text.slice(at, to).iter().any(u8::is_ascii_digit);
    let full = groups().count() == 8 && short == 0 || short == 1 && told && groups().count() <= 9;
    if !(fits && (full || mac) && (told || mac)) {
        return None;
    }
    let to = if text.at(to) == b'/' && (1..=3).contains(&text.digits(to + 1, 4)) {
        to + 1 + text.digits(to + 1, 3)
    } else {
        to
    };
    (class(text.at(to)) & (DIGIT | LETTER) == 0).then_some(to)
}

/// `db-1.internal:5432`, `localhost:8080`, `redis:6379`; `main.rs:42` is a path.
fn host_port(text: Text<'_>, at: usize, end: usize) -> Option<usize> {
    let host = text.run(at, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')).min(end);
    let port = text.digits(host + 1, 6);
    if text.at(host) != b':' || !(2..=5).contains(&port) || text.value(host + 1, port) > 65535 {
        return domain(text, at, end);
    }
    let to = host + 1 + port;
    let name = text.slice(at, host);
    let letters = name.first().is_some_and(u8::is_ascii_alphabetic);
    let likely = name.contains(&b'.') && extension(name).is_none()
        || name == b"localhost"
        || port >= 4 && (name.contains(&b'-') || SERVICES.contains(&name));
    (letters && likely && class(text.at(to)) & (DIGIT | LETTER) == 0 && text.at(to) != b':').then_some(to)
}

static SERVICES: &[&[u8]] = &[
    b"redis",
    b"postgres",
    b"mysql",
    b"mongo",
    b"kafka",
    b"rabbitmq",
    b"elasticsearch",
    b"db",
    b"nginx",
    b"etcd",
    b"vault",
    b"consul",
];

/// A host alone, if its last part says that it is one.
fn domain(text: Text<'_>, at: usize, end: usize) -> Option<usize> {
    let to = text.run(at, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')).min(end);
    let to = trimmed(text, at, to);
    let name = text.slice(at, to);
    let last = name.rsplit(|byte| *byte == b'.').next()?;
    let dots = text.times(at, to, b'.');
    let known = dots >= 1 && (DOMAINS.contains(&last) || matches!(last, b"internal" | b"local" | b"svc" | b"lan"));
    let small = !name.iter().any(u8::is_ascii_uppercase);
    let ends = to >= end || !matches!(text.at(to), b'/' | b'_' | b'@' | b'\\');
    (known && small && ends && name.len() >= 6).then_some(to)
}

static DOMAINS: &[&[u8]] = &[
    b"com", b"org", b"net", b"io", b"dev", b"app", b"de", b"fr", b"ru", b"cn", b"jp", b"uk", b"eu", b"gov", b"edu",
    b"cloud", b"ai",
];

/// A path: with a root, or with slashes and a file's name at its end, or with two slashes; a file's name alone.
fn path(text: Text<'_>, at: usize, end: usize, seen: u16) -> Option<usize> {
    let rooted = seen & SLASH != 0 && root(text, at);
    if !rooted && seen & (SLASH | DOT) == 0 {
        return None;
    }
    let end = if seen & SLASH != 0 { path_end(text, at) } else { end };
    let colon = text.slice(at, end).iter().position(|byte| *byte == b':').map_or(end, |colon| at + colon);
    let to = trimmed(text, at, colon);
    let name = text.slice(at, to);
    let slashes = text.times(at, to, b'/');
    let file = name.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let known = extension(file).is_some();
    let is_path = if rooted {
        name.len() >= 3 && name.iter().any(|byte| class(*byte) & LETTER != 0)
    } else if slashes == 0 {
        known && file.len() >= 4 && !framework(file)
    } else {
        known || slashes >= 2 && name.iter().any(|byte| class(*byte) & LETTER != 0) && parts_are_names(name)
    };
    is_path.then(|| with_place(text, to))
}

/// `/`, `./`, `../`, `~/`, `$HOME/`; what stands before `/` must not make it a closing tag or a fraction.
fn root(text: Text<'_>, at: usize) -> bool {
    match text.at(at) {
        b'/' => {
            text.at(at + 1) != b'/' && text.at(at + 1) != b'*' && !matches!(text.before(at), b'<' | b')' | b']' | b'}')
        }
        b'.' => text.at(at + 1) == b'/' || text.says(at, b"../"),
        b'~' => text.at(at + 1) == b'/',
        b'$' => text.at(at + 1).is_ascii_uppercase(),
        letter => letter.is_ascii_alphabetic() && text.at(at + 1) == b':' && text.at(at + 2) == b'/',
    }
}

fn path_end(text: Text<'_>, at: usize) -> usize {
    text.run(at, |byte| class(byte) & !BACK != 0 || matches!(byte, b'=' | b'%' | b'*') || (0xE4..=0xE9).contains(&byte))
}

/// `a/b/c` of words is a path; `and/or/not` is one too, but dates and fractions are none.
fn parts_are_names(name: &[u8]) -> bool {
    name.split(|byte| *byte == b'/').all(|part| part.len() >= 2 || part.is_empty()) && !name.starts_with(b"//")
}

/// `Node.js` is no file.
fn framework(file: &[u8]) -> bool {
    file.ends_with(b".js") && file.first().is_some_and(u8::is_ascii_uppercase)
        || matches!(file, b"socket.io" | b"asp.net")
}

/// `:42`, `:42:7`, `#L10` behind a path.
fn with_place(text: Text<'_>, at: usize) -> usize {
    let mut to = at;
    for _ in 0..2 {
        let digits = text.digits(to + 1, 8);
        if text.at(to) == b':' && (1..8).contains(&digits) {
            to += 1 + digits;
        }
    }
    to
}

/// The ending by which a file's name is known.
fn extension(file: &[u8]) -> Option<&[u8]> {
    let dot = file.iter().rposition(|byte| *byte == b'.')?;
    let ending = file.get(dot + 1..)?;
    (dot > 0 && (1..=10).contains(&ending.len()) && ENDINGS.contains(&ending)).then_some(ending)
}

static ENDINGS: &[&[u8]] = &[
    b"py",
    b"rs",
    b"js",
    b"ts",
    b"tsx",
    b"jsx",
    b"mjs",
    b"cjs",
    b"go",
    b"java",
    b"kt",
    b"c",
    b"h",
    b"cc",
    b"cpp",
    b"hpp",
    b"cs",
    b"rb",
    b"php",
    b"swift",
    b"scala",
    b"sh",
    b"bash",
    b"zsh",
    b"ps1",
    b"bat",
    b"sql",
    b"html",
    b"htm",
    b"css",
    b"scss",
    b"vue",
    b"svelte",
    b"json",
    b"jsonl",
    b"yaml",
    b"yml",
    b"toml",
    b"ini",
    b"cfg",
    b"conf",
    b"env",
    b"xml",
    b"csv",
    b"tsv",
    b"txt",
    b"md",
    b"rst",
    b"log",
    b"lock",
    b"sum",
    b"mod",
    b"pdf",
    b"doc",
    b"docx",
    b"xls",
    b"xlsx",
    b"ppt",
    b"pptx",
    b"png",
    b"jpg",
    b"jpeg",
    b"gif",
    b"svg",
    b"webp",
    b"mp3",
    b"mp4",
    b"wav",
    b"zip",
    b"gz",
    b"tar",
    b"tgz",
    b"bz2",
    b"xz",
    b"zst",
    b"7z",
    b"jar",
    b"war",
    b"whl",
    b"so",
    b"dll",
    b"exe",
    b"bin",
    b"o",
    b"a",
    b"db",
    b"sqlite",
    b"sqlite3",
    b"pem",
    b"crt",
    b"key",
    b"pub",
    b"proto",
    b"graphql",
    b"tf",
    b"hcl",
    b"gradle",
    b"ipynb",
    b"parquet",
    b"npy",
    b"onnx",
    b"pt",
    b"tmpl",
    b"tpl",
    b"bak",
    b"tmp",
    b"pid",
    b"sock",
    b"service",
    b"timer",
    b"socket",
    b"dockerfile",
    b"patch",
    b"diff",
    b"map",
    b"wasm",
    b"lua",
    b"pl",
    b"r",
    b"jl",
    b"ex",
    b"exs",
    b"erl",
    b"hs",
    b"clj",
    b"dart",
    b"ko",
];

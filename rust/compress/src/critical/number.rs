//! Numbers: with signs, thousands, fractions, exponents, currency before and unit behind.

use super::{
    Kind,
    text::{HIGH, LETTER, Text, class},
};

/// A number that begins at `at`, with all that belongs to it.
pub(super) fn find(text: Text<'_>, at: usize) -> Option<(usize, usize, Kind)> {
    let mut from = at;
    while matches!(text.at(from), b'-' | b'+' | b'$' | b'~' | b'#') {
        from += 1;
    }
    if text.at(from) == b'.' && text.at(from + 1).is_ascii_digit() {
        from += 1;
    }
    if !text.at(from).is_ascii_digit() || from > at + 2 {
        return None;
    }
    let end = digits_end(text, from);
    let signed = if from > at && matches!(text.at(at), b'-' | b'+' | b'$') && !joined(text, at) { at } else { from };
    if let Some(start) = required(text, from).filter(|_| text.slice(from, end).contains(&b'.')) {
        return Some((start, end, Kind::Version));
    }
    let signed = money_before(text, signed).unwrap_or(signed);
    let to = unit_end(text, end).unwrap_or(end);
    let next = text.at(to);
    // `3rd`, `2fa`, `7z`: a word that begins with a digit.
    let whole = class(next) & LETTER == 0 && next != b'_';
    whole.then_some((signed, to, Kind::Number))
}

/// A sign after a letter or digit joins two things and is not the number's own.
fn joined(text: Text<'_>, at: usize) -> bool {
    text.before(at).is_ascii_alphanumeric() || matches!(text.before(at), b')' | b']' | b'}')
}

/// The end of digits with thousands, fraction and exponent.
fn digits_end(text: Text<'_>, from: usize) -> usize {
    let mut end = text.run(from, |byte| byte.is_ascii_digit());
    if end - from <= 3 {
        for sign in [b',', b'_', b'\''] {
            while text.at(end) == sign && text.digits(end + 1, 4) == 3 {
                end += 4;
            }
        }
        while text.at(end) == b'.' && text.digits(end + 1, 4) == 3 && text.at(end + 4) == b'.' {
            end += 4;
        }
    }
    if text.at(end) == b'.' && text.at(end + 1).is_ascii_digit() {
        end = text.run(end + 1, |byte| byte.is_ascii_digit());
        if text.at(end) == b',' && text.digits(end + 1, 3) == 2 {
            end += 3;
        }
    } else if text.at(end) == b',' && (1..=2).contains(&text.digits(end + 1, 3)) && decimal_comma(text, end) {
        end += 1 + text.digits(end + 1, 3);
    }
    if matches!(text.at(end), b'e' | b'E') {
        let sign = usize::from(matches!(text.at(end + 1), b'-' | b'+'));
        let power = text.digits(end + 1 + sign, 4);
        if (1..4).contains(&power) {
            end += 1 + sign + power;
        }
    }
    end
}

/// `3,5 GB` and `12,5 %` have a decimal comma; `[3,5]` is a list.
fn decimal_comma(text: Text<'_>, comma: usize) -> bool {
    let after = comma + 1 + text.digits(comma + 1, 3);
    unit_end(text, after).is_some()
}

/// Where the operator begins that says which versions are meant: `>=3.11`, `~=1.4`, `^1.2`.
fn required(text: Text<'_>, at: usize) -> Option<usize> {
    let sign = text.before(at);
    let two = at.checked_sub(2).map(|two| text.slice(two, at));
    match two {
        Some(b">=" | b"<=" | b"==" | b"~=" | b"!=" | b"~>") => Some(at - 2),
        _ if matches!(sign, b'^' | b'~' | b'<' | b'>') => Some(at - 1),
        _ => None,
    }
}

pub(super) fn requirement(text: Text<'_>, at: usize) -> usize {
    required(text, at).unwrap_or(at)
}

/// The currency before an amount: `€`, `£`, `¥`, `USD `.
fn money_before(text: Text<'_>, at: usize) -> Option<usize> {
    for sign in ["€", "£", "¥", "₹", "₽"] {
        let bare = text.before(at) == b' ';
        let end = at - usize::from(bare && at > 0);
        if let Some(from) = end.checked_sub(sign.len()).filter(|from| text.slice(*from, end) == sign.as_bytes()) {
            return Some(from);
        }
    }
    let from = at.checked_sub(4)?;
    let code = text.slice(from, at - 1);
    let spaced = text.before(at) == b' ' && !text.before(from).is_ascii_alphanumeric();
    (spaced && CURRENCIES.contains(&code)).then_some(from)
}

/// An amount that begins with a currency's sign of several bytes: `€ 1.200,50`.
pub(super) fn money(text: Text<'_>, at: usize) -> Option<(usize, usize)> {
    let sign = ["€", "£", "¥", "₹", "₽"].into_iter().find(|sign| text.slice(at, at + sign.len()) == sign.as_bytes())?;
    let gap = at + sign.len();
    let from = gap + usize::from(text.at(gap) == b' ');
    text.at(from).is_ascii_digit().then(|| find(text, from)).flatten().map(|(_, end, _)| (at, end))
}

/// Whether the number alone says something: it has a unit, a currency, a fraction, or four digits.
pub(super) fn tells(text: Text<'_>, from: usize, to: usize) -> bool {
    let slice = text.slice(from, to);
    slice.iter().any(|byte| !matches!(byte, b'0'..=b'9' | b'-' | b'+'))
        || slice.iter().filter(|byte| byte.is_ascii_digit()).count() >= 4
}

static CURRENCIES: &[&[u8]] = &[b"USD", b"EUR", b"GBP", b"CHF", b"JPY", b"CNY", b"RUB", b"INR", b"BTC"];

/// Units that stand right behind the digits, or after one space if they have two letters or more or are in [`ALONE`].
static UNITS: &[&str] = &[
    "%",
    "‰",
    "°",
    "°C",
    "°F",
    "A",
    "B",
    "C",
    "G",
    "GB",
    "GHz",
    "GiB",
    "Gbit",
    "Gbps",
    "Gi",
    "Gi/s",
    "Hz",
    "J",
    "K",
    "KB",
    "KiB",
    "Ki",
    "Kbps",
    "M",
    "MB",
    "MHz",
    "MW",
    "MiB",
    "Mi",
    "Mbit",
    "Mbps",
    "Mpx",
    "N",
    "PB",
    "PiB",
    "Pa",
    "T",
    "TB",
    "TiB",
    "Ti",
    "Tbps",
    "V",
    "VA",
    "W",
    "Wh",
    "b",
    "bar",
    "bit",
    "bits",
    "bn",
    "bp",
    "bps",
    "byte",
    "bytes",
    "c",
    "cm",
    "d",
    "dB",
    "day",
    "days",
    "dBm",
    "dpi",
    "eV",
    "em",
    "f",
    "fps",
    "ft",
    "g",
    "gb",
    "GBP",
    "EUR",
    "USD",
    "CHF",
    "RUB",
    "CNY",
    "JPY",
    "h",
    "hPa",
    "hour",
    "hours",
    "hr",
    "hrs",
    "ha",
    "in",
    "k",
    "kB",
    "kHz",
    "kN",
    "kPa",
    "kV",
    "kW",
    "kWh",
    "kb",
    "kbps",
    "kg",
    "km",
    "km²",
    "l",
    "lb",
    "lbs",
    "m",
    "mA",
    "mAh",
    "mb",
    "MPa",
    "mV",
    "mW",
    "m²",
    "m³",
    "mg",
    "mi",
    "mil",
    "min",
    "mins",
    "minute",
    "minutes",
    "ml",
    "mm",
    "mmol",
    "month",
    "months",
    "mol",
    "mph",
    "ms",
    "msec",
    "nm",
    "ns",
    "oz",
    "p",
    "pF",
    "pct",
    "percent",
    "pm",
    "pp",
    "ppm",
    "ps",
    "pt",
    "px",
    "qps",
    "rem",
    "rpm",
    "rps",
    "s",
    "sec",
    "second",
    "seconds",
    "secs",
    "tps",
    "u",
    "us",
    "vCPU",
    "vCPUs",
    "vh",
    "vw",
    "week",
    "weeks",
    "wk",
    "x",
    "y",
    "year",
    "years",
    "yr",
    "µA",
    "µF",
    "µg",
    "µm",
    "µs",
    "μs",
    "Ω",
    "€",
    "£",
    "$",
    "¥",
    "₽",
    "req",
    "requests",
    "request",
    "rows",
    "row",
    "tokens",
    "token",
    "retries",
    "attempts",
    "connections",
    "threads",
    "workers",
    "replicas",
    "cores",
    "nodes",
    "times",
    "items",
    "records",
    "users",
    "people",
    "pages",
    "lines",
    "files",
    "packets",
    "errors",
    "warnings",
    "failures",
    "tests",
    "milliseconds",
    "microseconds",
    "nanoseconds",
    "kilometers",
    "kilometres",
    "meters",
    "metres",
    "miles",
    "degrees",
    "dollars",
    "euros",
    "million",
    "billion",
    "trillion",
    "thousand",
    "Sekunden",
    "Sekunde",
    "Minuten",
    "Minute",
    "Stunden",
    "Stunde",
    "Tage",
    "Tagen",
    "Tag",
    "Wochen",
    "Monate",
    "Jahre",
    "Prozent",
    "Millionen",
    "Mio.",
    "Uhr",
    "Zeilen",
    "Versuche",
    "secondes",
    "heures",
    "heure",
    "jours",
    "jour",
    "mois",
    "ans",
    "semaines",
    "octets",
    "Go",
    "Mo",
    "Ko",
    "millions",
    "segundos",
    "minutos",
    "horas",
    "hora",
    "días",
    "día",
    "meses",
    "años",
    "millones",
    "veces",
    "секунд",
    "секунды",
    "сек",
    "минут",
    "минуты",
    "мин",
    "часов",
    "часа",
    "час",
    "дней",
    "дня",
    "день",
    "месяцев",
    "лет",
    "года",
    "мс",
    "руб",
    "рублей",
    "ГБ",
    "МБ",
    "КБ",
    "ТБ",
    "байт",
    "тыс",
    "млн",
    "млрд",
    "строк",
    "раз",
    "попыток",
    "кг",
];
/// Units of Chinese and Japanese, which need no end of word.
static UNSPACED: &[&str] = &[
    "毫秒",
    "微秒",
    "秒",
    "分钟",
    "分鐘",
    "分間",
    "小时",
    "小時",
    "時間",
    "天",
    "日",
    "周",
    "个月",
    "か月",
    "年",
    "元",
    "円",
    "万",
    "億",
    "亿",
    "次",
    "回",
    "个",
    "個",
    "人",
    "行",
    "件",
    "台",
    "条",
    "兆",
    "倍",
    "度",
    "米",
    "公里",
    "千米",
    "公斤",
    "字节",
    "バイト",
    "ミリ秒",
];
/// Units of one letter that may stand after a space.
static ALONE: &[&[u8]] = &[b"s", b"h", b"V", b"W", b"g", b"m", b"B", b"%", b"K", b"l"];

/// Where the unit ends that belongs to the number that ends at `at`.
fn unit_end(text: Text<'_>, at: usize) -> Option<usize> {
    let gap =
        usize::from(text.at(at) == b' ') + usize::from(text.at(at) == b'-' && text.at(at + 1).is_ascii_lowercase());
    let from = at + gap;
    let first = text.at(from);
    if first == b'%' || first == b'$' {
        return (gap == 0 || first == b'%').then_some(from + 1);
    }
    if first >= 0xE3 {
        return UNSPACED
            .iter()
            .find(|unit| text.slice(from, from + unit.len()) == unit.as_bytes())
            .map(|unit| from + unit.len());
    }
    let to = text.run(from, |byte| class(byte) & LETTER != 0 || byte >= 0xC2).min(from + 24);
    let to = if text.slice(from, to) == "°".as_bytes() && matches!(text.at(to), b' ') { from + 2 } else { to };
    let word = text.slice(from, to);
    let known = !word.is_empty() && (gap == 0 || word.len() > 1 || ALONE.contains(&word)) && units().contains(word);
    if !known {
        return None;
    }
    Some(per(text, to))
}

/// `/s`, `/day` behind a unit.
fn per(text: Text<'_>, at: usize) -> usize {
    if text.at(at) != b'/' {
        return at;
    }
    let to = text.run(at + 1, |byte| byte.is_ascii_alphabetic() || class(byte) & HIGH != 0);
    let known = matches!(
        text.slice(at + 1, to),
        b"s" | b"sec"
            | b"second"
            | b"min"
            | b"minute"
            | b"h"
            | b"hour"
            | b"day"
            | b"d"
            | b"month"
            | b"mo"
            | b"year"
            | b"ms"
            | b"op"
            | b"kg"
            | b"l"
            | b"m"
    );
    if known { to } else { at }
}

/// Units by their length and first byte.
struct Units(Vec<Vec<&'static [u8]>>);

impl Units {
    fn contains(&self, word: &[u8]) -> bool {
        self.0.get(word.len()).is_some_and(|same| same.binary_search(&word).is_ok())
    }
}

fn units() -> &'static Units {
    static TABLE: std::sync::LazyLock<Units> = std::sync::LazyLock::new(|| {
        let longest = UNITS.iter().map(|unit| unit.len()).max().unwrap_or(0);
        let mut table = vec![Vec::new(); longest + 1];
        for unit in UNITS {
            if let Some(same) = table.get_mut(unit.len()) {
                same.push(unit.as_bytes());
            }
        }
        for same in &mut table {
            same.sort_unstable();
        }
        Units(table)
    });
    &TABLE
}

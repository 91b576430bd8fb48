//! JSON values by chance: what a form meets, and what it hopes not to meet.

/// A small generator that says the same for the same seed.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// 0 to `sides` - 1.
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(sides).unwrap()).unwrap()
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())]
    }

    pub(crate) fn hex(&mut self, length: usize) -> String {
        (0..length)
            .map(|_| self.pick(&['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f']))
            .collect()
    }
}

/// Strings between their quotes; most of them trouble.
const STRINGS: &[&str] = &[
    "",
    "a",
    "web",
    "open",
    "null",
    "true",
    "false",
    "~",
    "-",
    "=",
    "=x",
    "(",
    ")",
    "(a=b)",
    "1",
    "-1",
    "1.50",
    "01",
    "1e3",
    "3 rows",
    "3 items",
    "4 values",
    "2 rows; columns: a|b",
    "5 lines of text",
    "12 minutes",
    "a b",
    " a",
    "a ",
    "a|b",
    "a,b",
    "a;b",
    "a:b",
    "[",
    "]",
    "[a]",
    "{",
    "}",
    "{a:1}",
    "\\\"",
    "\\\\",
    "\\n",
    "a\\nb",
    "a\\nb\\nc",
    "a\\n\\nb\\n",
    "\\r\\n",
    "\\t",
    "a\\tb",
    "\\u0000",
    "\\u001f",
    "\\ud83d\\ude00",
    "\\ud800",
    "\\udc00x",
    "\\u00e9",
    "é",
    "漢字",
    "имя",
    "\\/",
    "/a/b",
    "x=y",
    "x.y",
    "a\\u000ab\\nc\\nd",
    "2024-05-01T10:00:00Z",
    "https://example.org/a?b=c#d",
    "-",
    "--",
    "=",
    "a\u{2028}b",
    "\u{7f}",
];
const NAMES: &[&str] = &[
    "id", "name", "a", "b", "c", "a.b", "a b", "", "x:y", "é", "\\u0061b", "\\ud800", "-", "1", "k[0]", "k", "=", "~",
];
const NUMBERS: &[&str] =
    &["0", "-0", "1", "17", "350", "-4", "1.0", "1.50", "1e5", "1E+5", "2.5e-3", "12345678901234567890"];

pub(crate) fn value(dice: &mut Dice, depth: usize) -> String {
    match dice.roll(if depth == 0 { 5 } else { 11 }) {
        0 => dice.pick(&["null", "true", "false"]).to_owned(),
        1 => dice.pick(NUMBERS).to_owned(),
        2 => number(dice),
        3 | 4 => string(dice),
        5 | 6 => object(dice, depth),
        7 => table(dice, depth),
        8 => entries(dice, depth),
        9 => arrays(dice),
        _ => {
            let count = dice.roll(5) * dice.roll(9);
            list(dice, count, |dice| value(dice, depth - 1))
        }
    }
}

fn number(dice: &mut Dice) -> String {
    dice.roll(2000).to_string()
}

fn string(dice: &mut Dice) -> String {
    format!("\"{}\"", dice.pick(STRINGS))
}

fn list(dice: &mut Dice, count: usize, mut one: impl FnMut(&mut Dice) -> String) -> String {
    let inner: Vec<String> = (0..count).map(|_| one(dice)).collect();
    format!("[{}]", inner.join(dice.pick(&[",", ", ", " ,\n"])))
}

fn members(dice: &mut Dice, names: &[&str], keep: usize, mut one: impl FnMut(&mut Dice, usize) -> String) -> String {
    let mut inner = Vec::new();
    for (at, name) in names.iter().enumerate() {
        if dice.roll(100) < keep {
            inner.push(format!("\"{name}\":{}", one(dice, at)));
        }
    }
    format!("{{{}}}", inner.join(","))
}

fn object(dice: &mut Dice, depth: usize) -> String {
    let keep = dice.pick(&[10, 30, 70]);
    members(dice, NAMES, keep, |dice, _| value(dice, depth - 1))
}

/// Objects that are alike, with some that are not.
fn table(dice: &mut Dice, depth: usize) -> String {
    let names: Vec<&str> = NAMES.iter().copied().filter(|_| dice.roll(3) == 0).collect();
    let columns: Vec<usize> = names.iter().map(|_| dice.roll(8)).collect();
    let keep = dice.pick(&[100, 95, 60]);
    let odd = dice.roll(4) == 0;
    let reverse = dice.roll(4) == 0;
    let count = dice.roll(30);
    list(dice, count, |dice| {
        if odd && dice.roll(12) == 0 {
            return value(dice, depth - 1);
        }
        let mut names = names.clone();
        if reverse && dice.roll(9) == 0 {
            names.reverse();
        }
        members(dice, &names, keep, |dice, at| cell(dice, columns.get(at).copied().unwrap_or(0), depth))
    })
}

fn cell(dice: &mut Dice, column: usize, depth: usize) -> String {
    if dice.roll(25) == 0 {
        return dice.pick(&["null", "{}", "[]", "\"\""]).to_owned();
    }
    match column {
        0 => number(dice),
        1 => string(dice),
        2 => "\"open\"".to_owned(),
        3 => dice.pick(&["\"open\"", "\"open\"", "\"open\"", "\"open\"", "\"shut\""]).to_owned(),
        4 => dice.pick(&["\"1.0\"", "\"v2\"", "\"17\"", "\"null\""]).to_owned(),
        5 => members(dice, &["login", "id", "x.y"], 90, |dice, at| if at == 0 { string(dice) } else { number(dice) }),
        6 => {
            let count = dice.roll(4);
            list(dice, count, |dice| members(dice, &["name", "color"], 100, |dice, _| string(dice)))
        }
        _ => value(dice, depth - 1),
    }
}

fn entries(dice: &mut Dice, depth: usize) -> String {
    let columns: Vec<usize> = (0..3).map(|_| dice.roll(8)).collect();
    members(dice, NAMES, 60, |dice, _| {
        members(dice, &["version", "size", "k"], 95, |dice, at| cell(dice, columns[at], depth))
    })
}

fn arrays(dice: &mut Dice) -> String {
    let width = dice.roll(4);
    let count = dice.roll(12);
    list(dice, count, |dice| list(dice, width, |dice| if dice.roll(2) == 0 { number(dice) } else { string(dice) }))
}

//! Results as MCP servers give them, made up: file texts, listings, rows, git logs, JSON. The same seed, the same results.
//!
//! For tests and measurements only. Half of what a result says is of its own (names, numbers, digests, times), so that
//! a dictionary has to live on what servers repeat: field names, paths, phrases.

/// Small numbers from a seed (xorshift*).
pub struct Chance(u64);

const WORDS: [&str; 48] = [
    "cache", "server", "request", "token", "result", "config", "handler", "session", "buffer", "stream", "worker",
    "index", "record", "segment", "policy", "limit", "queue", "parser", "schema", "error", "report", "client", "value",
    "counter", "table", "column", "thread", "signal", "socket", "header", "payload", "bucket", "window", "cursor",
    "resource", "prompt", "context", "metric", "latency", "deadline", "retry", "backoff", "budget", "digest", "folder",
    "archive", "release", "upgrade",
];
const SYLLABLES: [&str; 24] = [
    "bra", "cel", "dor", "fen", "gil", "hax", "ino", "jur", "kal", "lom", "mir", "nep", "oso", "pli", "qua", "rut",
    "sev", "tiv", "und", "vos", "wen", "xal", "yor", "zim",
];
const AUTHORS: [&str; 6] = ["Ada Moreau", "Kenji Sato", "Lena Brandt", "Omar Haddad", "Priya Nair", "Tomás Vidal"];
const ENDINGS: [&str; 5] = ["py", "rs", "md", "json", "toml"];

impl Chance {
    /// A source of chance.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        let at = self.below(from.len() as u64);
        usize::try_from(at).ok().and_then(|at| from.get(at)).copied().unwrap_or_default()
    }

    /// A word of the trade, or a name that nobody has thought of.
    fn word(&mut self) -> String {
        let word = self.pick(&WORDS);
        if self.below(3) > 0 { word.to_owned() } else { format!("{}{}", self.pick(&SYLLABLES), self.pick(&SYLLABLES)) }
    }

    fn path(&mut self) -> String {
        format!("/srv/work/{}/{}_{}.{}", self.word(), self.word(), self.word(), self.pick(&ENDINGS))
    }

    /// Digits without a pattern.
    pub fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| char::from(b"0123456789abcdef"[usize::try_from(self.below(16)).unwrap_or(0)])).collect()
    }

    fn time(&mut self) -> String {
        let [month, day, hour, minute, second] = [12, 28, 24, 60, 60].map(|end| self.below(end));
        format!("2026-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", month + 1, day + 1)
    }

    fn sentence(&mut self) -> String {
        let words: Vec<String> = (0..4 + self.below(8)).map(|_| self.word()).collect();
        words.join(" ")
    }
}

/// One result, of at most about `most` bytes: a tool's answer as a server writes it.
pub fn result(chance: &mut Chance, most: usize) -> String {
    let pieces: fn(&mut Chance) -> String = match chance.below(5) {
        0 => source_line,
        1 => listing_line,
        2 => row,
        3 => commit,
        _ => reading,
    };
    let goal = most / 4 + usize::try_from(chance.below(most as u64 * 2 / 3)).unwrap_or(0);
    let mut text = String::new();
    while text.len() < goal {
        text.push_str(&pieces(chance));
    }
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!(r#"{{"content":[{{"type":"text","text":"{escaped}"}}],"isError":false,"resultType":"complete"}}"#)
}

fn source_line(chance: &mut Chance) -> String {
    let (a, b, c) = (chance.word(), chance.word(), chance.word());
    match chance.below(5) {
        0 => format!("def {a}_{b}(self, {c}: str, limit: int = {}) -> dict[str, Any]:\n", chance.below(1_000)),
        1 => format!("    \"\"\"{}.\"\"\"\n", chance.sentence()),
        2 => format!("    if self.{a} is None or {b}.{c} > {}:\n", chance.below(10_000)),
        3 => format!("        raise ValueError(f\"{a} of {b} is not {}\")\n", chance.word()),
        _ => format!("    self.{a} = {b}.{c}({}, {})\n", chance.word(), chance.below(500)),
    }
}

fn listing_line(chance: &mut Chance) -> String {
    let kind = if chance.below(5) == 0 { "DIR" } else { "FILE" };
    format!("[{kind}] {}  {} bytes  {}\n", chance.path(), chance.below(200_000), chance.time())
}

fn row(chance: &mut Chance) -> String {
    let [id, amount, cents] = [1_000_000, 5_000, 100].map(|end| chance.below(end));
    let state = chance.pick(&["open", "paid", "shipped", "cancelled"]);
    let (name, made) = (chance.pick(&AUTHORS), chance.time());
    format!(
        "{{\"id\": {id}, \"customer\": \"{name}\", \"state\": \"{state}\", \"amount\": {amount}.{cents:02}, \"created_at\": \"{made}\"}},\n"
    )
}

fn commit(chance: &mut Chance) -> String {
    let (digest, author, time) = (chance.hex(40), chance.pick(&AUTHORS), chance.time());
    let mail = author.to_lowercase().replace(' ', ".");
    let words = chance.sentence();
    format!("commit {digest}\nAuthor: {author} <{mail}@example.org>\nDate:   {time}\n\n    {words}\n\n")
}

fn reading(chance: &mut Chance) -> String {
    let (at, host) = (chance.time(), chance.below(40));
    let [cpu, used, total, load] = [1_000, 32_000, 64_000, 800].map(|end| chance.below(end));
    format!(
        "{{\"timestamp\":\"{at}\",\"host\":\"node-{host:02}\",\"cpu_percent\":{}.{},\"memory\":{{\"used_mb\":{used},\"total_mb\":{total}}},\"load_1m\":{}.{:02},\"service\":\"{}\"}}\n",
        cpu / 10,
        cpu % 10,
        load / 100,
        load % 100,
        chance.pick(&WORDS)
    )
}

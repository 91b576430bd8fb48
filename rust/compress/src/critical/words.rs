//! Words that tell of errors, limits and ends, in English, German, French, Spanish, Russian, Chinese and Japanese.
//!
//! A phrase is found by its first word, by length and hash, and compared as a whole; scripts without spaces are
//! compared at each character. Words are kept in small letters. What is ambiguous in one of the languages (`pas`,
//! `nie`, `non`) stands here only in a phrase that is not.

use std::sync::LazyLock;

use super::text::{LETTER, Text, class};

/// What a word says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A negation or limit.
    Limit,
    /// A level, an error only where it stands as one.
    Level,
    /// Tells of an error wherever it stands.
    Phrase,
    /// An exit code may follow.
    Exit,
}

static LIMITS: &[&str] = &[
    "not",
    "never",
    "must",
    "must not",
    "cannot",
    "can't",
    "can not",
    "don't",
    "doesn't",
    "won't",
    "shouldn't",
    "mustn't",
    "isn't",
    "aren't",
    "didn't",
    "wasn't",
    "may not",
    "shall",
    "shall not",
    "except",
    "except for",
    "unless",
    "without",
    "only",
    "at most",
    "at least",
    "no more than",
    "no less than",
    "no longer",
    "no fewer than",
    "not more than",
    "up to",
    "maximum",
    "minimum",
    "maximal",
    "minimal",
    "exactly",
    "required",
    "forbidden",
    "prohibited",
    "mandatory",
    "limit",
    "limited to",
    "neither",
    "nor",
    "none",
    "excluding",
    "more than",
    "less than",
    "fewer than",
    "nicht",
    "nie",
    "niemals",
    "kein",
    "keine",
    "keinen",
    "keiner",
    "keinem",
    "muss",
    "müssen",
    "darf",
    "dürfen",
    "ohne",
    "außer",
    "nur",
    "höchstens",
    "mindestens",
    "maximal",
    "verboten",
    "erforderlich",
    "ausgenommen",
    "spätestens",
    "höchstgrenze",
    "ne",
    "jamais",
    "aucun",
    "aucune",
    "sauf",
    "sans",
    "seulement",
    "uniquement",
    "au plus",
    "au moins",
    "au maximum",
    "au minimum",
    "doit",
    "doivent",
    "interdit",
    "obligatoire",
    "n'est",
    "n'a",
    "pas plus de",
    "no",
    "nunca",
    "jamás",
    "ningún",
    "ninguna",
    "debe",
    "deben",
    "excepto",
    "salvo",
    "sin",
    "solo",
    "sólo",
    "solamente",
    "como máximo",
    "como mínimo",
    "a lo sumo",
    "al menos",
    "prohibido",
    "obligatorio",
    "не",
    "нет",
    "нельзя",
    "никогда",
    "кроме",
    "без",
    "только",
    "не более",
    "не менее",
    "должен",
    "должна",
    "должны",
    "обязательно",
    "запрещено",
    "максимум",
    "минимум",
    "исключая",
    "за исключением",
    "до",
];

static LEVELS: &[&str] = &[
    "error",
    "errors",
    "fatal",
    "critical",
    "severe",
    "panic",
    "emerg",
    "emergency",
    "alert",
    "err",
    "crit",
    "exception",
    "failure",
    "failed",
    "fail",
    "fehler",
    "erreur",
    "ошибка",
    "сбой",
    "исключение",
    "traceback",
    "ftl",
    "eror",
];

static PHRASES: &[&str] = &[
    "failed to",
    "failed with",
    "failed because",
    "failed after",
    "failed at",
    "failed for",
    "failed on",
    "has failed",
    "have failed",
    "permission denied",
    "access denied",
    "connection refused",
    "connection reset",
    "connection timed out",
    "timed out",
    "no such file",
    "no such host",
    "no space left",
    "out of memory",
    "segmentation fault",
    "core dumped",
    "stack overflow",
    "broken pipe",
    "could not",
    "unable to",
    "cannot open",
    "cannot find",
    "cannot connect",
    "cannot allocate",
    "undefined reference",
    "undefined symbol",
    "unexpected token",
    "panicked at",
    "aborting",
    "aborted",
    "oomkilled",
    "crashloopbackoff",
    "imagepullbackoff",
    "deadlock detected",
    "assertion failed",
    "traceback (most",
    "caused by",
    "uncaught",
    "unhandled",
    "is corrupt",
    "data loss",
    "checksum mismatch",
    "hash mismatch",
    "rolled back",
    "certificate has expired",
    "quota exceeded",
    "rate limit exceeded",
    "deadline exceeded",
    "disk full",
    "crashed",
    "segfault",
    "internal server error",
    "bad gateway",
    "service unavailable",
    "gateway timeout",
    "fehlgeschlagen",
    "konnte nicht",
    "zugriff verweigert",
    "verbindung abgelehnt",
    "zeitüberschreitung",
    "nicht gefunden",
    "abgebrochen",
    "abgestürzt",
    "a échoué",
    "ont échoué",
    "échec",
    "accès refusé",
    "connexion refusée",
    "délai dépassé",
    "impossible de",
    "introuvable",
    "error al",
    "error de",
    "falló",
    "fallo",
    "ha fallado",
    "acceso denegado",
    "conexión rechazada",
    "tiempo de espera agotado",
    "no se pudo",
    "no encontrado",
    "не удалось",
    "отказано",
    "отказ",
    "соединение разорвано",
    "превышено время",
    "не найден",
    "не найдена",
    "не найдено",
    "аварийно",
    "прервано",
    "невозможно",
];

static EXITS: &[&str] = &[
    "exit code",
    "exit status",
    "exit",
    "exited with",
    "exited",
    "exitcode",
    "return code",
    "returncode",
    "exit_code",
    "exit-code",
    "beendet mit",
    "code de sortie",
    "código de salida",
    "код выхода",
    "код возврата",
];

static UNSPACED: &[(&str, Role)] = &[
    ("错误", Role::Phrase),
    ("錯誤", Role::Phrase),
    ("失败", Role::Phrase),
    ("失敗", Role::Phrase),
    ("异常", Role::Phrase),
    ("異常", Role::Phrase),
    ("崩溃", Role::Phrase),
    ("超时", Role::Phrase),
    ("拒绝", Role::Phrase),
    ("拒否", Role::Phrase),
    ("无法", Role::Phrase),
    ("エラー", Role::Phrase),
    ("例外", Role::Phrase),
    ("致命", Role::Phrase),
    ("タイムアウト", Role::Phrase),
    ("中断", Role::Phrase),
    ("找不到", Role::Phrase),
    ("見つかりません", Role::Phrase),
    ("できません", Role::Phrase),
    ("故障", Role::Phrase),
    ("损坏", Role::Phrase),
    ("不得", Role::Limit),
    ("不能", Role::Limit),
    ("不可", Role::Limit),
    ("不要", Role::Limit),
    ("不", Role::Limit),
    ("没有", Role::Limit),
    ("未", Role::Limit),
    ("必须", Role::Limit),
    ("必須", Role::Limit),
    ("最多", Role::Limit),
    ("最少", Role::Limit),
    ("至少", Role::Limit),
    ("至多", Role::Limit),
    ("仅", Role::Limit),
    ("只", Role::Limit),
    ("除了", Role::Limit),
    ("除非", Role::Limit),
    ("禁止", Role::Limit),
    ("以上", Role::Limit),
    ("以下", Role::Limit),
    ("以内", Role::Limit),
    ("まで", Role::Limit),
    ("のみ", Role::Limit),
    ("ない", Role::Limit),
    ("ません", Role::Limit),
    ("除外", Role::Limit),
    ("绝不", Role::Limit),
    ("超过", Role::Limit),
    ("不超过", Role::Limit),
    ("退出码", Role::Exit),
    ("退出代码", Role::Exit),
    ("终了コード", Role::Exit),
    ("終了コード", Role::Exit),
    ("退出状态", Role::Exit),
];

struct Phrase {
    text: &'static str,
    /// Bytes of its first word.
    first: usize,
    role: Role,
}

struct Words {
    /// A bit for each pair of first letter and length of the first words, for words of ASCII letters.
    lengths: [u32; 256],
    /// By the first word, the longest phrases first.
    phrases: Vec<Phrase>,
    /// By the hash of a first word: where its phrases begin, plus one; 0 where no word has that hash.
    slots: Vec<u16>,
    /// The first bytes of what is compared at each character, sorted, the longest of one begin first.
    unspaced: Vec<(&'static str, Role)>,
    /// A bit for the last two bytes of each character that one of these begins with: most characters begin none.
    begins: [u64; 64],
}

/// Eight times as many as there are first words: most other words meet an empty one.
const SLOTS: usize = 2048;

/// Where a first word is looked for.
fn slot(word: &[u8]) -> usize {
    let sum = word.iter().fold(word.len() as u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    usize::try_from((sum ^ (sum >> 29)) % SLOTS as u64).unwrap_or_default()
}

fn key(phrase: &Phrase) -> &'static [u8] {
    phrase.text.as_bytes().get(..phrase.first).unwrap_or_default()
}

static WORDS: LazyLock<Words> = LazyLock::new(|| {
    let mut words = Words {
        lengths: [0; 256],
        phrases: Vec::new(),
        slots: vec![0; SLOTS],
        unspaced: UNSPACED.to_vec(),
        begins: [0; 64],
    };
    // What tells of an error goes before what limits, where both begin alike.
    for (list, role) in [(PHRASES, Role::Phrase), (EXITS, Role::Exit), (LEVELS, Role::Level), (LIMITS, Role::Limit)] {
        for text in list {
            let first = text.bytes().position(|byte| class(byte) & LETTER == 0).unwrap_or(text.len());
            if let Some(lengths) = words.lengths.get_mut(usize::from(text.as_bytes().first().copied().unwrap_or(0))) {
                *lengths |= 1 << first.min(31);
            }
            words.phrases.push(Phrase { text, first, role });
        }
    }
    words.phrases.sort_by(|one, other| key(one).cmp(key(other)).then(other.text.len().cmp(&one.text.len())));
    for at in (0..words.phrases.len()).rev() {
        let Some(phrase) = words.phrases.get(at) else { continue };
        let mut slot = slot(key(phrase));
        // Of the phrases with one first word the first is met last and stays.
        while let Some(other) =
            words.slots.get(slot).and_then(|found| words.phrases.get(usize::from(*found).checked_sub(1)?))
        {
            if key(other) == key(phrase) {
                break;
            }
            slot = (slot + 1) % SLOTS;
        }
        if let Some(place) = words.slots.get_mut(slot) {
            *place = u16::try_from(at + 1).unwrap_or_default();
        }
    }
    for (text, _) in UNSPACED {
        if let [_, second, third, ..] = text.as_bytes()
            && let Some(bits) = words.begins.get_mut(usize::from(second & 63))
        {
            *bits |= 1 << (third & 63);
        }
    }
    words.unspaced.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
    words
});

/// What the word of ASCII letters at `at..end` says, and where that ends.
pub(super) fn plain(text: Text<'_>, at: usize, end: usize) -> Option<(usize, Role)> {
    let length = end - at;
    let lengths = WORDS.lengths.get(usize::from(text.at(at) | 0x20)).copied().unwrap_or(0);
    if length > 30 || lengths & (1 << length) == 0 {
        return None;
    }
    let mut small = [0_u8; 32];
    for (place, byte) in small.iter_mut().zip(text.slice(at, end)) {
        *place = byte.to_ascii_lowercase();
    }
    phrase(text, end, small.get(..length).unwrap_or_default())
}

/// The same for a word with letters beyond ASCII.
pub(super) fn folded(text: Text<'_>, at: usize, end: usize) -> Option<(usize, Role)> {
    if end - at > 40 {
        return None;
    }
    let word = std::str::from_utf8(text.slice(at, end)).ok()?.to_lowercase();
    phrase(text, end, word.as_bytes())
}

/// The longest phrase whose first word is `small` and that goes on as the text does.
fn phrase(text: Text<'_>, end: usize, small: &[u8]) -> Option<(usize, Role)> {
    let phrases = &WORDS.phrases;
    let mut slot = slot(small);
    let from = loop {
        let found = WORDS.slots.get(slot).copied().unwrap_or_default();
        let from = usize::from(found).checked_sub(1)?;
        if phrases.get(from).is_some_and(|phrase| key(phrase) == small) {
            break from;
        }
        slot = (slot + 1) % SLOTS;
    };
    let same = phrases.get(from..).unwrap_or_default().iter().take_while(|phrase| key(phrase) == small);
    let mut found = same.filter_map(|phrase| {
        let rest = phrase.text.as_bytes().get(phrase.first..).unwrap_or_default();
        let to = end + rest.len();
        let ends = class(text.at(to)) & LETTER == 0;
        (ends && follows(text.slice(end, to), rest)).then_some((to, phrase.role))
    });
    found.next()
}

fn follows(text: &[u8], rest: &[u8]) -> bool {
    text.eq_ignore_ascii_case(rest)
}

/// What the characters at `at` say, in a script without spaces.
pub(super) fn unspaced(text: Text<'_>, at: usize) -> Option<(usize, Role)> {
    let [second, third] = [text.at(at + 1) & 63, text.at(at + 2) & 63];
    let begins = WORDS.begins.get(usize::from(second)).copied().unwrap_or_default() >> third & 1 == 1;
    if !begins || !(0xE3..=0xE9).contains(&text.at(at)) {
        return None;
    }
    let found = WORDS.unspaced.iter().find(|(word, _)| text.slice(at, at + word.len()) == word.as_bytes())?;
    Some((at + found.0.len(), found.1))
}

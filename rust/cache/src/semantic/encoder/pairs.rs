//! The tokenizer: byte pairs merged by rank, over the whole text, as Llama's vocabulary is used.
//!
//! A space is the sign `▁`, and one more stands before the text. A character without a token of its own becomes the
//! tokens of its bytes. Then the neighbouring pair of the lowest rank is merged, the leftmost of equals first, until
//! none is left. A description that asks for anything else is refused.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use serde::Deserialize;
use serde_json::Value;

const SPACE: &str = "\u{2581}";

#[derive(Deserialize)]
struct Description {
    added_tokens: Vec<Added>,
    normalizer: Normalizer,
    pre_tokenizer: Option<Value>,
    model: Model,
}

#[derive(Deserialize)]
struct Added {
    content: String,
}

#[derive(Deserialize, PartialEq)]
#[serde(tag = "type", deny_unknown_fields)]
enum Normalizer {
    Sequence { normalizers: Vec<Normalizer> },
    Prepend { prepend: String },
    Replace { pattern: Pattern, content: String },
}

#[derive(Deserialize, PartialEq)]
enum Pattern {
    String(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Model {
    r#type: String,
    dropout: Option<f32>,
    unk_token: Option<String>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    #[serde(rename = "fuse_unk")]
    _fuse_unknown: bool, // with byte fallback nothing is unknown
    byte_fallback: bool,
    #[serde(default)]
    ignore_merges: bool,
    vocab: HashMap<String, u32>,
    merges: Vec<String>,
}

/// What a pair of tokens becomes.
#[derive(Clone, Copy)]
struct Merge {
    rank: u32,
    token: u32,
}

pub(super) struct Pairs {
    tokens: usize,
    reserved: Vec<String>,
    characters: HashMap<char, u32>,
    bytes: Vec<u32>,
    merges: HashMap<(u32, u32), Merge>,
}

impl Pairs {
    pub(super) fn read(json: &[u8]) -> Result<Self, String> {
        let description: Description = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let model = description.model;
        let normalizer = Normalizer::Sequence {
            normalizers: vec![
                Normalizer::Prepend { prepend: SPACE.to_owned() },
                Normalizer::Replace { pattern: Pattern::String(" ".to_owned()), content: SPACE.to_owned() },
            ],
        };
        let plain = model.r#type == "BPE"
            && model.byte_fallback
            && !model.ignore_merges
            && model.dropout.is_none()
            && [&model.continuing_subword_prefix, &model.end_of_word_suffix].iter().all(|part| part.is_none());
        if !plain || description.pre_tokenizer.is_some() || description.normalizer != normalizer {
            return Err("it asks for more than byte pairs with byte fallback".to_owned());
        }
        let vocabulary = &model.vocab;
        let id = |token: &str| vocabulary.get(token).copied().ok_or_else(|| format!("it has no token {token:?}"));
        let bytes = (0..=255_u8).map(|byte| id(&format!("<0x{byte:02X}>"))).collect::<Result<_, _>>()?;
        let mut merges = HashMap::with_capacity(model.merges.len());
        for (rank, merge) in model.merges.iter().enumerate() {
            let (left, right) = merge.split_once(' ').ok_or_else(|| format!("merge {merge:?}"))?;
            let token = id(&format!("{left}{right}"))?;
            let rank = u32::try_from(rank).map_err(|error| error.to_string())?;
            merges.insert((id(left)?, id(right)?), Merge { rank, token });
        }
        let single = |(token, id): (&String, &u32)| {
            let mut characters = token.chars();
            characters.next().filter(|_| characters.next().is_none()).map(|character| (character, *id))
        };
        Ok(Self {
            tokens: vocabulary.values().max().map_or(0, |most| *most as usize + 1),
            reserved: description.added_tokens.into_iter().map(|added| added.content).chain(model.unk_token).collect(),
            characters: vocabulary.iter().filter_map(single).collect(),
            bytes,
            merges,
        })
    }

    /// One more than the largest token.
    pub(super) fn tokens(&self) -> usize {
        self.tokens
    }

    /// The tokens of a text; `None` where it holds one of the tokenizer's own signs.
    pub(super) fn tokenize(&self, text: &str) -> Option<Vec<u32>> {
        if self.reserved.iter().any(|sign| text.contains(sign.as_str())) {
            return None;
        }
        let mut pieces = Vec::with_capacity(text.len() + 1);
        if !text.is_empty() {
            self.spell('\u{2581}', &mut pieces);
        }
        for character in text.chars() {
            self.spell(if character == ' ' { '\u{2581}' } else { character }, &mut pieces);
        }
        Some(self.merge(pieces))
    }

    fn spell(&self, character: char, pieces: &mut Vec<u32>) {
        if let Some(token) = self.characters.get(&character) {
            pieces.push(*token);
            return;
        }
        let mut bytes = [0; 4];
        let bytes = character.encode_utf8(&mut bytes).bytes();
        pieces.extend(bytes.filter_map(|byte| self.bytes.get(usize::from(byte))));
    }

    /// Merges neighbours by rank. `next[i]` and `before[i]` chain the pieces that are left; a piece that was merged
    /// into the one before it is [`GONE`].
    fn merge(&self, mut pieces: Vec<u32>) -> Vec<u32> {
        const GONE: u32 = u32::MAX;
        let count = pieces.len();
        let mut next: Vec<usize> = (1..=count).collect();
        let mut before: Vec<usize> = (0..count).map(|at| at.wrapping_sub(1)).collect();
        let pair = |pieces: &[u32], left: usize, right: usize| {
            let pair = (*pieces.get(left)?, *pieces.get(right)?);
            self.merges.get(&pair).copied()
        };
        let mut queue: BinaryHeap<Reverse<(u32, usize, u32)>> = (1..count)
            .filter_map(|at| pair(&pieces, at - 1, at).map(|merge| Reverse((merge.rank, at - 1, merge.token))))
            .collect();
        while let Some(Reverse((_, at, token))) = queue.pop() {
            // A pair of which one was merged meanwhile stands only if it still makes the same token.
            let right = next[at];
            if pieces[at] == GONE || pair(&pieces, at, right).is_none_or(|merge| merge.token != token) {
                continue;
            }
            pieces[at] = token;
            pieces[right] = GONE;
            next[at] = next[right];
            if let Some(after) = before.get_mut(next[at]) {
                *after = at;
            }
            for (left, right) in [(before[at], at), (at, next[at])] {
                if let Some(merge) = pair(&pieces, left, right) {
                    queue.push(Reverse((merge.rank, left, merge.token)));
                }
            }
        }
        pieces.retain(|piece| *piece != GONE);
        pieces
    }
}

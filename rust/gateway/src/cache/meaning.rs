//! L4: an answer to the same question in other words, for tools of which the operator named the free-text argument.
//!
//! The rule is the level's own (see [`omnimind_cache::semantic`]): likeness only finds candidates, and only what the
//! real tool has shown to be the same, again and again, is served. Everything but that one argument must be equal: it is all
//! in the scope, with the generation. Encoding happens on a thread that may wait; without an encoder the
//! level is off.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use omnimind_cache::{
    Key, Life,
    levels::{Found, Levels},
    semantic::{
        Claim, Encoder, Proposal, Scope, Semantic, SemanticLimits, SemanticStats, StaticEncoder, ToolId, Vector,
    },
};
use omnimind_wire::{
    Edit, Object,
    json::{as_str, find, push_members},
};
use parking_lot::Mutex;
use serde::Deserialize;

use super::{Hit, Memory, Shelf, key, path::Asked};
use crate::{config::ToolCache, relay::Word};

/// Most tools whose names are remembered; a tool that is described anew is another.
const MOST_NAMES: usize = 1_024;
/// Memory for texts and their vectors.
const MOST_BYTES: usize = 16 << 20;

/// Where the weights of the encoder lie.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct EncoderFiles {
    /// A table of vectors by token (safetensors).
    pub weights: PathBuf,
    /// How a text becomes tokens (JSON).
    pub tokenizer: PathBuf,
}

/// The level with its encoder.
pub(super) struct Meaning {
    semantic: Semantic,
    encoder: Mutex<Encoding>,
    /// Server and tool, for people who look at what was learned.
    names: Mutex<HashMap<ToolId, Name>>,
}

/// A tool and its server.
#[derive(Debug, Clone, Default)]
pub(super) struct Name {
    pub(super) server: String,
    pub(super) tool: String,
}

/// The encoder, which is opened when the first text comes.
enum Encoding {
    Off(Arc<str>),
    Unopened(EncoderFiles),
    Open(Arc<StaticEncoder>),
}

/// A text on its way to the tool, to be learned from.
pub(super) struct Question {
    scope: Scope,
    tool: ToolId,
    text: Box<str>,
    vector: Vector,
    /// What may answer it as well, to be compared with what the tool says.
    claim: Option<Claim>,
}

/// What the level has for a text.
pub(super) enum Meant {
    /// An answer.
    Hit(Hit),
    /// Nothing yet.
    Ask(Question),
    /// It is none of its texts.
    Nothing,
}

impl Meaning {
    /// The level; without files it says why it is off.
    pub(super) fn new(files: Result<EncoderFiles, String>) -> Self {
        let encoder = match files {
            Ok(files) => Encoding::Unopened(files),
            Err(why) => Encoding::Off(why.into()),
        };
        Self {
            semantic: Semantic::new(SemanticLimits { max_bytes: MOST_BYTES }),
            encoder: Mutex::new(encoder),
            names: Mutex::default(),
        }
    }

    /// Why it is off; none if it is on.
    pub(super) fn off(&self) -> Option<Arc<str>> {
        match &*self.encoder.lock() {
            Encoding::Off(why) => Some(Arc::clone(why)),
            Encoding::Unopened(_) | Encoding::Open(_) => None,
        }
    }

    pub(super) fn stats(&self) -> SemanticStats {
        self.semantic.stats()
    }

    fn call(&self, tool: ToolId, server: &str, name: String) {
        let mut names = self.names.lock();
        if names.len() < MOST_NAMES || names.contains_key(&tool) {
            names.entry(tool).or_insert_with(|| Name { server: server.to_owned(), tool: name });
        }
    }

    /// What a tool of the statistics is called.
    pub(super) fn name(&self, tool: ToolId) -> Name {
        self.names.lock().get(&tool).cloned().unwrap_or_default()
    }

    /// Blocks for some tens of milliseconds the first time.
    fn encode(&self, text: &str) -> Option<Vector> {
        let encoder = {
            let mut encoding = self.encoder.lock();
            if let Encoding::Unopened(files) = &*encoding {
                *encoding = match StaticEncoder::open(&files.weights, &files.tokenizer) {
                    Ok(encoder) => Encoding::Open(Arc::new(encoder)),
                    Err(refused) => Encoding::Off(refused.to_string().into()),
                };
            }
            match &*encoding {
                Encoding::Open(encoder) => Arc::clone(encoder),
                Encoding::Off(_) | Encoding::Unopened(_) => return None,
            }
        };
        encoder.encode(text)
    }

    /// Learns from what the tool said: `answer` is the digest of its result, `kept` where it is kept and how long.
    pub(super) fn learn(&self, question: &Question, answer: u128, kept: Option<(Key, Life)>) {
        if let Some(claim) = &question.claim {
            self.semantic.verdict(question.tool, claim, answer);
        }
        if let Some((key, life)) = kept {
            let Question { scope, tool, text, vector, .. } = question;
            self.semantic.insert(*scope, *tool, text, vector, key, answer, life);
        }
    }
}

impl Memory {
    /// What has been said to this question in other words.
    pub(super) async fn look_by_meaning(
        self: &Arc<Self>,
        asked: &Asked<'_>,
        shelf: &Shelf,
        levels: &Arc<Levels>,
        word: Word,
        began: u64,
    ) -> Meant {
        let Some((name, argument, text)) = question(asked, shelf) else { return Meant::Nothing };
        if self.meaning.off().is_some() {
            return Meant::Nothing;
        }
        let Some(scope) = self.scope(asked, shelf, argument, word, began) else { return Meant::Nothing };
        let tool = tool_id(shelf, word);
        self.meaning.call(tool, &shelf.spec.name, name);
        let (memory, asked_text) = (Arc::clone(self), text.clone());
        let encoded = tokio::task::spawn_blocking(move || memory.meaning.encode(&asked_text)).await;
        let Some(vector) = encoded.ok().flatten() else { return Meant::Nothing };
        let claim = match self.meaning.semantic.propose(scope, tool, &text, &vector, dice(), self.now_ms()) {
            Proposal::Serve(claim) => {
                let now_ms = self.now_ms();
                let found = match levels.get(&claim.key, now_ms) {
                    Found::Hit(found) => self.held(shelf, found, now_ms),
                    Found::Cold(_) | Found::Miss => None,
                };
                if let Some(hit) = found.filter(|hit| hit.left_ms > 0) {
                    return Meant::Hit(Hit { likeness_milli: Some(claim.similarity_milli), ..hit });
                }
                self.meaning.semantic.forget(&claim.key);
                None
            }
            Proposal::Shadow(claim) => Some(claim),
            Proposal::Nothing(_) => None,
        };
        Meant::Ask(Question { scope, tool, text: text.into(), vector, claim })
    }

    /// Everything an answer depends on but the text.
    fn scope(&self, asked: &Asked<'_>, shelf: &Shelf, argument: &str, word: Word, began: u64) -> Option<Scope> {
        let params = Edit::new(asked.params).remove(&["arguments", argument]).finish().ok()?;
        let keys = key::keys(&asked.subject(shelf, &params, Some(word))).ok()?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&keys.own).update(&began.to_le_bytes()).update(&self.process.to_le_bytes());
        Some(Scope(*hasher.finalize().as_bytes()))
    }
}

/// The tool of a call that has a free-text argument, that argument's name, and the text.
fn question<'a>(asked: &Asked<'_>, shelf: &'a Shelf) -> Option<(String, &'a str, String)> {
    if shelf.spec.cache.tools.is_empty() {
        return None;
    }
    let tool = find(asked.params, &["name"]).ok().flatten().and_then(as_str)?;
    let argument = shelf.spec.cache.tools.get(&*tool).and_then(|tool: &ToolCache| tool.semantic.as_deref())?;
    let text = find(asked.params, &["arguments", argument]).ok().flatten().and_then(as_str)?;
    Some((tool.into_owned(), argument, text.into_owned()))
}

fn tool_id(shelf: &Shelf, word: Word) -> ToolId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&shelf.digest).update(&word.digest.to_le_bytes());
    ToolId(hasher.finalize().as_bytes().first_chunk().copied().map_or(0, u64::from_le_bytes))
}

/// A digest of what a result says; how it was made (`_meta`) is not part of that.
pub(super) fn said(result: &[u8]) -> Option<u128> {
    let result = Object::parse(result).ok()?;
    let mut spelled = Vec::new();
    let members = result.iter().filter(|member| member.key != "_meta");
    push_members(&mut spelled, members.map(|member| (&*member.key, member.value))).ok()?;
    blake3::hash(&spelled).as_bytes().first_chunk().copied().map(u128::from_le_bytes)
}

/// Any number.
fn dice() -> u64 {
    let mut bytes = [0; 8];
    // Without chance nothing is explored this once.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    u64::from_le_bytes(bytes)
}

//! One dictionary: what the answers of a server have in common, so that a small one need not say it again.
//!
//! Its number is a digest of its content and stands in every frame made with it, so a frame finds its own dictionary
//! or none. It may be forgotten once nothing made with it can be served any more: `needed_until_ms` is the end of the
//! longest life among those.
//!
//! Cost: 32 KB of content, and as much again for each of the two prepared forms (see `bytes`).

use std::sync::atomic::{AtomicU64, Ordering};

use xxhash_rust::xxh3::xxh3_64;
use zstd::zstd_safe::{CDict, DDict, get_dict_id, train_from_buffer};

/// The size of a dictionary, at most.
pub(super) const DICTIONARY_BYTES: usize = 32 * 1024;
/// The level all is compressed at: the next one costs half as much time again for a few percent.
pub(super) const LEVEL: i32 = 1;

/// Numbers below and above are reserved by the format.
const FIRST_ID: u32 = 1 << 15;
const END_OF_IDS: u32 = 1 << 31;
/// Where the format keeps the number in the content.
const ID_AT: std::ops::Range<usize> = 4..8;

pub(super) struct Dictionary {
    pub(super) id: u32,
    pub(super) group: u32,
    pub(super) made_ms: u64,
    pub(super) content: Box<[u8]>,
    pub(super) packing: CDict<'static>,
    pub(super) unpacking: DDict<'static>,
    needed_until_ms: AtomicU64,
}

impl Dictionary {
    /// Learns one from samples; nothing if they have too little in common.
    pub(super) fn train(group: u32, samples: &[Box<[u8]>], now_ms: u64) -> Option<Self> {
        let sizes: Vec<usize> = samples.iter().map(|sample| sample.len()).collect();
        let joined = samples.concat();
        let mut content = Vec::with_capacity(DICTIONARY_BYTES);
        train_from_buffer(&mut content, &joined, &sizes).ok()?;
        let id = number(&content);
        content.get_mut(ID_AT)?.copy_from_slice(&id.to_le_bytes());
        Self::prepare(group, now_ms, content.into_boxed_slice())
    }

    /// One whose content is known; nothing if it is none, or does not bear its own number.
    pub(super) fn prepare(group: u32, made_ms: u64, content: Box<[u8]>) -> Option<Self> {
        let id = get_dict_id(&content)?.get();
        if id != number(&content) || content.len() > DICTIONARY_BYTES {
            return None;
        }
        let packing = CDict::try_create(&content, LEVEL)?;
        let unpacking = DDict::try_create(&content)?;
        Some(Self { id, group, made_ms, content, packing, unpacking, needed_until_ms: AtomicU64::new(made_ms) })
    }

    /// Something made with it may be served until then.
    pub(super) fn need_until(&self, ms: u64) {
        self.needed_until_ms.fetch_max(ms, Ordering::Relaxed);
    }

    pub(super) fn is_needed(&self, now_ms: u64) -> bool {
        now_ms < self.needed_until_ms.load(Ordering::Relaxed)
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> u64 {
        (self.content.len() + self.packing.sizeof() + self.unpacking.sizeof()) as u64
    }
}

/// The number of a content: a digest of all of it but the number.
fn number(content: &[u8]) -> u32 {
    let digest = xxh3_64(content.get(ID_AT.end..).unwrap_or_default());
    let within = digest % u64::from(END_OF_IDS - FIRST_ID);
    FIRST_ID + u32::try_from(within).unwrap_or_default()
}

//! Dictionaries kept in a folder, so that what a disk holds can be read by the next process.
//!
//! One file each: a head, the content, and a checksum of both. A file that is not exactly what was written is removed:
//! what was made with it is then not found, which is a miss. A write goes to a second name first, so a file is whole
//! or not there. Files are for their owner alone: a dictionary is made of pieces of answers.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::dictionary::{DICTIONARY_BYTES, Dictionary};

const MAGIC: &[u8; 8] = b"OMDICT1\n";
const HEAD_BYTES: usize = MAGIC.len() + 4 + 8 + 8;
const CHECK_BYTES: usize = 8;
const UNFINISHED: &str = "unfinished";

pub(super) struct Shelf {
    folder: PathBuf,
}

/// A dictionary as kept, and how well it did when it was made.
pub(super) struct Shelved {
    pub(super) dictionary: Dictionary,
    pub(super) promised: u64,
}

impl Shelf {
    /// The folder, made if it is not there.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// All that is whole, oldest first; at most `limit` of the newest. The rest is removed.
    pub(super) fn load(&self, limit: usize) -> Vec<Shelved> {
        let mut found = Vec::new();
        for file in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let path = file.path();
            match read(&path) {
                Some(shelved) if path == self.path(shelved.dictionary.group, shelved.dictionary.id) => {
                    found.push(shelved);
                }
                _ => drop(fs::remove_file(path)),
            }
        }
        found.sort_by_key(|shelved| shelved.dictionary.made_ms);
        let kept = found.split_off(found.len().saturating_sub(limit));
        for shelved in found {
            self.remove(&shelved.dictionary);
        }
        kept
    }

    pub(super) fn keep(&self, dictionary: &Dictionary, promised: u64) -> io::Result<()> {
        let unfinished = self.folder.join(UNFINISHED);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(&encode(dictionary, promised))?;
        fs::rename(unfinished, self.path(dictionary.group, dictionary.id))
    }

    pub(super) fn remove(&self, dictionary: &Dictionary) {
        drop(fs::remove_file(self.path(dictionary.group, dictionary.id)));
    }

    fn path(&self, group: u32, id: u32) -> PathBuf {
        self.folder.join(format!("{group:08x}-{id:08x}"))
    }
}

fn encode(dictionary: &Dictionary, promised: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD_BYTES + dictionary.content.len() + CHECK_BYTES);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&dictionary.group.to_le_bytes());
    bytes.extend_from_slice(&dictionary.made_ms.to_le_bytes());
    bytes.extend_from_slice(&promised.to_le_bytes());
    bytes.extend_from_slice(&dictionary.content);
    let check = xxh3_64(&bytes);
    bytes.extend_from_slice(&check.to_le_bytes());
    bytes
}

fn read(path: &Path) -> Option<Shelved> {
    let most = HEAD_BYTES + DICTIONARY_BYTES + CHECK_BYTES;
    let mut bytes = Vec::new();
    OpenOptions::new().read(true).open(path).ok()?.take(most as u64 + 1).read_to_end(&mut bytes).ok()?;
    decode(&bytes)
}

fn decode(bytes: &[u8]) -> Option<Shelved> {
    let (told, check) = bytes.split_last_chunk::<CHECK_BYTES>()?;
    if xxh3_64(told) != u64::from_le_bytes(*check) {
        return None;
    }
    let rest = told.strip_prefix(MAGIC)?;
    let (group, rest) = rest.split_first_chunk()?;
    let (made_ms, rest) = rest.split_first_chunk()?;
    let (promised, content) = rest.split_first_chunk()?;
    let dictionary = Dictionary::prepare(u32::from_le_bytes(*group), u64::from_le_bytes(*made_ms), content.into())?;
    Some(Shelved { dictionary, promised: u64::from_le_bytes(*promised) })
}

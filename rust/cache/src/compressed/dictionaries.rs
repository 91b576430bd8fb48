//! All dictionaries: the current one of each group, and those before it that something may still need.
//!
//! Rules kept: a dictionary is there as long as anything made with it can be served; there are at most
//! [`MOST`] of them, and where that is reached nothing new is learned until an old one is not needed any more;
//! samples take at most [`SAMPLE_BYTES`]. Whoever inflates takes no lock and never waits for a training.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::dictionary::Dictionary;
use super::learner::{GAIN, Learner, Lesson};
use super::shelf::{Shelf, Shelved};

/// Dictionaries at a time.
const MOST: usize = 64;
/// Samples of all groups together.
const SAMPLE_BYTES: usize = 8 * 1024 * 1024;
/// How long a dictionary of an earlier run is kept for what the disk may hold.
const RESUMED_MS: u64 = 24 * 3_600_000;

pub(super) struct Dictionaries {
    groups: Mutex<HashMap<u32, Learner>>,
    by_id: papaya::HashMap<u32, Arc<Dictionary>>,
    shelf: Option<Shelf>,
}

/// Bytes that bodies come to when packed with a dictionary, or without one.
pub(super) type Weigh<'a> = dyn Fn(&[Box<[u8]>], Option<&Dictionary>) -> u64 + 'a;

impl Dictionaries {
    /// None yet, or those kept in `folder`. A folder that cannot be used is as none.
    pub(super) fn new(folder: Option<&Path>, now_ms: u64) -> Self {
        let shelf = folder.and_then(|folder| Shelf::open(folder).ok());
        let by_id = papaya::HashMap::new();
        let mut groups = HashMap::new();
        for Shelved { dictionary, promised } in shelf.as_ref().map(|shelf| shelf.load(MOST)).unwrap_or_default() {
            let dictionary = Arc::new(dictionary);
            dictionary.need_until(now_ms.saturating_add(RESUMED_MS));
            by_id.pin().insert(dictionary.id, Arc::clone(&dictionary));
            groups.insert(dictionary.group, Learner::resumed(dictionary, promised));
        }
        Self { groups: Mutex::new(groups), by_id, shelf }
    }

    pub(super) fn find(&self, id: u32) -> Option<Arc<Dictionary>> {
        self.by_id.pin().get(&id).cloned()
    }

    /// Shows a body of a group; the dictionary to pack it with, and whether a training is due.
    pub(super) fn meet(&self, group: u32, body: &[u8]) -> (Option<Arc<Dictionary>>, bool) {
        let mut groups = self.groups.lock();
        let learner = groups.entry(group).or_default();
        let due = learner.meet(body);
        let current = learner.current().cloned();
        if groups.values().map(Learner::sample_bytes).sum::<usize>() > SAMPLE_BYTES
            && let Some(largest) =
                groups.values_mut().filter(|learner| !learner.is_due()).max_by_key(|l| l.sample_bytes())
        {
            largest.drop_samples();
        }
        (current, due)
    }

    pub(super) fn packed(&self, group: u32, bytes_in: usize, bytes_out: usize) {
        if let Some(learner) = self.groups.lock().get_mut(&group) {
            learner.packed(bytes_in, bytes_out);
        }
    }

    /// Trains one group that is due; whether there was one. Takes a good part of a second.
    pub(super) fn train_due(&self, now_ms: u64, weigh: &Weigh<'_>) -> bool {
        let (group, lesson) = {
            let mut groups = self.groups.lock();
            let Some((&group, learner)) = groups.iter_mut().find(|(_, learner)| learner.is_due()) else {
                return false;
            };
            (group, learner.lesson())
        };
        self.drop_unneeded(now_ms);
        let outcome = if self.by_id.pin().len() < MOST { teach(group, &lesson, now_ms, weigh) } else { None };
        self.install(group, outcome);
        true
    }

    /// Forgets what was learned of one group, or of all: dictionaries and samples hold pieces of answers.
    pub(super) fn clear(&self, group: Option<u32>) {
        let mut groups = self.groups.lock();
        groups.retain(|&of, _| group.is_some_and(|group| group != of));
        self.by_id.pin().retain(|_, dictionary| {
            let stays = group.is_some_and(|group| group != dictionary.group);
            if let (false, Some(shelf)) = (stays, &self.shelf) {
                shelf.remove(dictionary);
            }
            stays
        });
    }

    /// How many there are, and the memory they and the samples take.
    pub(super) fn count(&self) -> (usize, u64) {
        let samples: usize = self.groups.lock().values().map(Learner::sample_bytes).sum();
        let by_id = self.by_id.pin();
        (by_id.len(), by_id.values().map(|dictionary| dictionary.bytes()).sum::<u64>() + samples as u64)
    }

    fn install(&self, group: u32, outcome: Option<(Arc<Dictionary>, u64)>) {
        let mut groups = self.groups.lock();
        // A group that was cleared meanwhile keeps nothing of what it was taught before.
        let Some(learner) = groups.get_mut(&group).filter(|learner| learner.is_training()) else {
            return;
        };
        let outcome = outcome.filter(|(new, _)| self.by_id.pin().try_insert(new.id, Arc::clone(new)).is_ok());
        if let (Some((new, promised)), Some(shelf)) = (&outcome, &self.shelf) {
            // What it packs is then not found after a restart: a miss, no fault.
            drop(shelf.keep(new, *promised));
        }
        learner.learned(outcome);
    }

    fn drop_unneeded(&self, now_ms: u64) {
        let groups = self.groups.lock();
        self.by_id.pin().retain(|_, dictionary| {
            let current = groups.get(&dictionary.group).and_then(Learner::current);
            let stays = dictionary.is_needed(now_ms) || current.is_some_and(|current| current.id == dictionary.id);
            if let (false, Some(shelf)) = (stays, &self.shelf) {
                shelf.remove(dictionary);
            }
            stays
        });
    }
}

/// A dictionary that is better than what there is, and the parts of a thousand that it leaves of what it has not seen.
fn teach(group: u32, lesson: &Lesson, now_ms: u64, weigh: &Weigh<'_>) -> Option<(Arc<Dictionary>, u64)> {
    let new = Dictionary::train(group, &lesson.seen, now_ms)?;
    let before = weigh(&lesson.unseen, lesson.current.as_deref());
    let after = weigh(&lesson.unseen, Some(&new));
    let raw: usize = lesson.unseen.iter().map(|sample| sample.len()).sum();
    let pays = after * 100 <= before * (100 - GAIN);
    (pays && raw > 0).then(|| (Arc::new(new), after * 1_000 / raw as u64))
}

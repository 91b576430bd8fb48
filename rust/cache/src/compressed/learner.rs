//! What a group knows about its answers: samples to train on, and whether its dictionary still pays.
//!
//! Pure bookkeeping. A group collects samples until it has enough, is due, and gives them away to be trained on.
//! A new dictionary counts if it makes samples it has not seen [`GAIN`] smaller than what was used before; from then
//! on nothing is collected. Each [`WINDOW`] of packed bytes is compared with what the dictionary did on those samples:
//! a quarter worse and more, and the answers have changed, so it collects anew. A training that brought nothing doubles what
//! must be packed before the next try, so answers without a pattern cost ever less.

use std::sync::Arc;

use super::dictionary::Dictionary;

/// Samples a training needs: bytes, or pieces where they are small.
const ENOUGH_BYTES: usize = 512 * 1024;
const ENOUGH_SAMPLES: usize = 1_000;
/// One sample in so many is kept from the training, to judge it by.
const HELD_OUT: usize = 8;
/// Packed bytes after which a dictionary is judged.
const WINDOW: u64 = 512 * 1024;
/// To wait for as long as the dictionary pays.
const NOT_AT_ALL: u64 = u64::MAX;
/// And by how many parts of a thousand of the bodies, so that nothing is learned anew for a trifle.
const WORSE: u64 = 25;
/// How much smaller the unseen samples must become, in parts of a hundred.
pub(super) const GAIN: u64 = 10;

#[derive(Default)]
pub(super) struct Learner {
    current: Option<Arc<Dictionary>>,
    samples: Vec<Box<[u8]>>,
    sample_bytes: usize,
    /// Bytes to pack before samples are collected (again).
    wait_bytes: u64,
    fruitless: u32,
    training: bool,
    /// Parts of a thousand that remained of the unseen samples when the dictionary was made.
    promised: u64,
    window: Window,
}

#[derive(Default)]
struct Window {
    bytes_in: u64,
    bytes_out: u64,
}

/// What a training works on.
pub(super) struct Lesson {
    pub(super) seen: Vec<Box<[u8]>>,
    pub(super) unseen: Vec<Box<[u8]>>,
    pub(super) current: Option<Arc<Dictionary>>,
}

impl Learner {
    /// A group whose dictionary was kept from an earlier run, when it did as well as `promised`.
    pub(super) fn resumed(current: Arc<Dictionary>, promised: u64) -> Self {
        Self { current: Some(current), promised, wait_bytes: NOT_AT_ALL, ..Self::default() }
    }

    pub(super) fn current(&self) -> Option<&Arc<Dictionary>> {
        self.current.as_ref()
    }

    pub(super) fn sample_bytes(&self) -> usize {
        self.sample_bytes
    }

    /// Sees a body on its way to be packed; says whether it is due for training now.
    pub(super) fn meet(&mut self, body: &[u8]) -> bool {
        if self.wait_bytes > 0 {
            if self.wait_bytes != NOT_AT_ALL {
                self.wait_bytes = self.wait_bytes.saturating_sub(body.len() as u64);
            }
            return false;
        }
        if !self.is_due() {
            self.samples.push(body.into());
            self.sample_bytes += body.len();
        }
        self.is_due()
    }

    pub(super) fn is_training(&self) -> bool {
        self.training
    }

    pub(super) fn is_due(&self) -> bool {
        !self.training && (self.sample_bytes >= ENOUGH_BYTES || self.samples.len() >= ENOUGH_SAMPLES)
    }

    /// Forgets what was collected: others need the room more.
    pub(super) fn drop_samples(&mut self) {
        self.samples = Vec::new();
        self.sample_bytes = 0;
    }

    /// Gives the samples away, for one training at a time.
    pub(super) fn lesson(&mut self) -> Lesson {
        let samples = std::mem::take(&mut self.samples);
        self.drop_samples();
        self.training = true;
        let (mut seen, mut unseen) = (Vec::with_capacity(samples.len()), Vec::new());
        for (at, sample) in samples.into_iter().enumerate() {
            if at % HELD_OUT == 0 { unseen.push(sample) } else { seen.push(sample) }
        }
        Lesson { seen, unseen, current: self.current.clone() }
    }

    /// The training brought this dictionary, which left `promised` of a thousand of what it had not seen; or nothing
    /// worth having.
    pub(super) fn learned(&mut self, outcome: Option<(Arc<Dictionary>, u64)>) {
        self.training = false;
        self.window = Window::default();
        if let Some((dictionary, promised)) = outcome {
            self.current = Some(dictionary);
            self.promised = promised;
            self.fruitless = 0;
            self.wait_bytes = NOT_AT_ALL;
        } else {
            self.fruitless = (self.fruitless + 1).min(10);
            self.wait_bytes = WINDOW << self.fruitless;
        }
    }

    /// Counts what the dictionary made of a body.
    pub(super) fn packed(&mut self, bytes_in: usize, bytes_out: usize) {
        self.window.bytes_in += bytes_in as u64;
        self.window.bytes_out += bytes_out as u64;
        if self.window.bytes_in < WINDOW {
            return;
        }
        let left = self.window.bytes_out * 1_000 / self.window.bytes_in;
        self.window = Window::default();
        if self.wait_bytes == NOT_AT_ALL && left > self.promised + self.promised / 4 + WORSE {
            self.wait_bytes = 0;
        }
    }
}

//! What the levels did and hold.

/// One level. Exact: `hits + misses` are the lookups that reached it (a read of the disk that has not come back yet is
/// neither).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LevelStats {
    /// Why the level is off, if it is.
    pub off: Option<String>,
    /// Lookups that it answered, with a stale entry too.
    pub hits: u64,
    /// Those of them that were stale.
    pub stale_hits: u64,
    /// Lookups that it could not answer.
    pub misses: u64,
    /// What it holds.
    pub entries: u64,
    /// The bytes of that.
    pub bytes: u64,
    /// Entries that were put into it.
    pub inserts: u64,
    /// Entries that left it to make room.
    pub evictions: u64,
    /// Entries that it refused: too large, or more than may be written.
    pub refused: u64,
    /// Entries that were not as they had been written.
    pub damaged: u64,
}

/// All levels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LevelsStats {
    /// L1.
    pub ram: LevelStats,
    /// L3.
    pub compressed: LevelStats,
    /// L2.
    pub disk: LevelStats,
    /// Entries that came up to L1 because they were asked for.
    pub promoted: u64,
    /// Entries that went down from L1 because they had been asked for.
    pub demoted: u64,
    /// Entries that were not moved, because what is under their key (or one like it) had changed.
    pub overtaken: u64,
    /// Writes that the guard of the disk's wear refused.
    pub spared: u64,
    /// Dictionaries.
    pub dictionaries: usize,
    /// The memory that they and the samples for the next ones take.
    pub dictionary_bytes: u64,
}

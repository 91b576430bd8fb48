//! Six small workloads, the same on every run: what a cache meets, and what breaks one.

/// Requests in each.
const REQUESTS: usize = 60_000;
/// Keys of the stationary ones.
const KEYS: usize = 10_000;

/// The name of each workload and its keys in the order they are asked for.
pub(crate) fn all() -> Vec<(&'static str, Vec<u64>)> {
    vec![
        ("zipf-0.7", zipf(0.7)),
        ("zipf-0.99", zipf(0.99)),
        ("zipf-and-scans", zipf_and_scans()),
        ("loop", looping()),
        ("shifting-hot-set", shifting_hot_set()),
        ("bursts", bursts()),
    ]
}

/// Few keys are asked for often, many rarely.
fn zipf(skew: f64) -> Vec<u64> {
    let ranks = Ranks::new(KEYS, skew);
    let mut chance = Chance(0x5EED + skew.to_bits());
    (0..REQUESTS).map(|_| scattered(ranks.draw(&mut chance))).collect()
}

/// The same, and now and then somebody reads 2,000 keys once that nobody asks for again.
fn zipf_and_scans() -> Vec<u64> {
    let ranks = Ranks::new(KEYS, 0.99);
    let mut chance = Chance(0x5CA7);
    let mut once = 1 << 40;
    let mut trace = Vec::with_capacity(REQUESTS);
    while trace.len() < REQUESTS {
        trace.extend((0..6_000).map(|_| scattered(ranks.draw(&mut chance))));
        trace.extend(once..once + 2_000);
        once += 2_000;
    }
    trace.truncate(REQUESTS);
    trace
}

/// 1,300 keys round and round: each comes back just after a queue of 1,000 has forgotten it.
fn looping() -> Vec<u64> {
    (0..1_300).map(scattered).cycle().take(REQUESTS).collect()
}

/// What is asked for often is something else every 5,000 requests.
fn shifting_hot_set() -> Vec<u64> {
    let ranks = Ranks::new(2_000, 0.8);
    let mut chance = Chance(0x5_17F7);
    let hot = |request: usize| (request / 5_000 * 700) as u64;
    (0..REQUESTS).map(|request| scattered(hot(request) + ranks.draw(&mut chance))).collect()
}

/// New keys come, are read a few times within a short while and never again, beside a stationary half.
fn bursts() -> Vec<u64> {
    let ranks = Ranks::new(KEYS, 0.9);
    let mut chance = Chance(0xB0257);
    let mut due: Vec<(usize, u64)> = Vec::new();
    let mut next = 1 << 41;
    (0..REQUESTS)
        .map(|request| {
            if let Some(place) = due.iter().position(|(at, _)| *at <= request) {
                return due.swap_remove(place).1;
            }
            if chance.below(4) != 0 {
                return scattered(ranks.draw(&mut chance));
            }
            next += 1;
            let again = 1 + chance.below(3);
            due.extend((0..again).map(|_| (request + 1 + chance.below(300) as usize, next)));
            next
        })
        .collect()
}

/// Ranks by Zipf's law.
struct Ranks(Vec<f64>);

impl Ranks {
    #[allow(clippy::cast_precision_loss)] // ranks are small
    fn new(keys: usize, skew: f64) -> Self {
        let sums = (1..=keys).scan(0.0, |sum, rank| {
            *sum += (rank as f64).powf(-skew);
            Some(*sum)
        });
        Self(sums.collect())
    }

    #[allow(clippy::cast_precision_loss)] // 53 bits are meant
    fn draw(&self, chance: &mut Chance) -> u64 {
        let whole = self.0.last().copied().unwrap_or_default();
        let at = (chance.next() >> 11) as f64 / (1_u64 << 53) as f64 * whole;
        self.0.partition_point(|sum| *sum <= at) as u64
    }
}

/// Neighbours in rank are no neighbours in number.
fn scattered(rank: u64) -> u64 {
    (rank + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 24
}

/// A generator of numbers (splitmix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u32) -> u32 {
        u32::try_from(self.next() % u64::from(end)).unwrap_or(0)
    }
}

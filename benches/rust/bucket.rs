//! What one decision of a token bucket costs: admitted, refused, contended, and under a changing rate.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use omnimind_limits::{Cost, Quota, TokenBucket};

fn bucket(per_s: f64, burst: f64) -> TokenBucket {
    TokenBucket::new(Quota::new(per_s, burst).unwrap())
}

fn decisions(c: &mut Criterion) {
    let mut group = c.benchmark_group("bucket");
    group.bench_function("admit", |b| {
        let bucket = bucket(1e9, 1e9);
        b.iter(|| bucket.try_take(black_box(Cost::ONE), black_box(Duration::from_secs(1))));
    });
    group.bench_function("refuse", |b| {
        let bucket = bucket(0.001, 1.0);
        bucket.try_take(Cost::ONE, Duration::ZERO).unwrap();
        b.iter(|| bucket.try_take(black_box(Cost::ONE), black_box(Duration::from_secs(1))));
    });
    group.bench_function("admit_with_clock", |b| {
        let bucket = bucket(1e9, 1e9);
        let origin = Instant::now();
        b.iter(|| bucket.try_take(black_box(Cost::ONE), origin.elapsed()));
    });
    group.bench_function("three_levels_with_clock", |b| {
        let levels = [bucket(1e9, 1e9), bucket(1e9, 1e9), bucket(1e9, 1e9)];
        let origin = Instant::now();
        b.iter(|| {
            let now = origin.elapsed();
            levels.iter().all(|level| level.try_take(black_box(Cost::ONE), now).is_ok())
        });
    });
    group.bench_function("change_rate", |b| {
        let bucket = bucket(1000.0, 100.0);
        let quotas = [Quota::new(500.0, 50.0).unwrap(), Quota::new(1000.0, 100.0).unwrap()];
        let mut turns = quotas.into_iter().cycle();
        b.iter(|| bucket.set_quota(turns.next().unwrap(), black_box(Duration::from_secs(1))));
    });
    group.finish();
}

fn contended(c: &mut Criterion) {
    let bucket = bucket(1e9, 1e9);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let _ = bucket.try_take(Cost::ONE, Duration::from_secs(1));
            }
        });
        c.bench_function("bucket/admit_beside_one_busy_thread", |b| {
            b.iter(|| bucket.try_take(black_box(Cost::ONE), black_box(Duration::from_secs(1))));
        });
        stop.store(true, Ordering::Relaxed);
    });
}

criterion_group!(benches, decisions, contended);
criterion_main!(benches);

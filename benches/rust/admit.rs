//! What one decision costs: of a token bucket alone (admitted, refused, contended, under a changing rate), of a bucket
//! found by its key, and of three levels at once, with the digests of three names and three look-ups. `reference` of each
//! group is an addition to a counter that other threads may add to as well: the least that counting calls can cost.
#![allow(missing_docs, clippy::unwrap_used)]

mod cpu;

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cpu::CpuTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use omnimind_limits::rate::{Admission, Call, Keyed, Keys, Quotas};
use omnimind_limits::{Cost, Quota, TokenBucket};

fn bucket(per_s: f64, burst: f64) -> TokenBucket {
    TokenBucket::new(Quota::new(per_s, burst).unwrap())
}

fn reference(group: &mut BenchmarkGroup<'_, CpuTime>) {
    let counter = AtomicU64::new(0);
    group.bench_function("reference", |b| b.iter(|| counter.fetch_add(black_box(1), Ordering::Relaxed)));
}

fn decisions(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("bucket");
    reference(&mut group);
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
    group.bench_function("change_rate", |b| {
        let bucket = bucket(1000.0, 100.0);
        let quotas = [Quota::new(500.0, 50.0).unwrap(), Quota::new(1000.0, 100.0).unwrap()];
        let mut turns = quotas.into_iter().cycle();
        b.iter(|| bucket.set_quota(turns.next().unwrap(), black_box(Duration::from_secs(1))));
    });
    group.finish();
}

const TENANTS: usize = 10_000;

fn keyed(c: &mut Criterion<CpuTime>) {
    let quota = Quota::new(1e9, 1e9).unwrap();
    let names: Vec<String> = (0..TENANTS).map(|n| format!("tenant-{n}")).collect();
    let mut group = c.benchmark_group("keyed");
    reference(&mut group);
    group.bench_function("admit_one_of_10000", |b| {
        let (keys, table) = (Keys::new(), Keyed::new(2 * TENANTS));
        let mut turns = names.iter().cycle();
        b.iter(|| {
            table.try_take(
                keys.of(turns.next().unwrap()),
                &quota,
                black_box(Cost::ONE),
                black_box(Duration::from_secs(1)),
            )
        });
    });
    group.bench_function("admit_new_key_into_full_table", |b| {
        let (keys, table) = (Keys::new(), Keyed::new(TENANTS));
        let mut now = Duration::from_secs(1);
        let mut turns = names.iter().cycle();
        let mut last = keys.of("");
        b.iter(|| {
            last = last.and(keys.of(turns.next().unwrap()));
            now += Duration::from_nanos(100);
            table.try_take(last, &quota, black_box(Cost::ONE), now)
        });
    });
    group.finish();
}

/// One hot caller, and ten thousand tenants by turns.
fn levels(c: &mut Criterion<CpuTime>) {
    let quota = Some(Quota::new(1e9, 1e9).unwrap());
    let all = Quotas { tenant: quota, tenant_server: quota, server_tool: quota };
    let names: Vec<String> = (0..TENANTS).map(|n| format!("tenant-{n}")).collect();
    let call = |tenant| Call { tenant, server: "filesystem", tool: "read_text_file" };
    let mut group = c.benchmark_group("levels");
    reference(&mut group);
    for (name, quotas) in
        [("none", Quotas::default()), ("one", Quotas { tenant: quota, ..Quotas::default() }), ("three", all)]
    {
        group.bench_function(name, |b| {
            let gate = Admission::new(2 * TENANTS);
            b.iter(|| {
                gate.admit(black_box(call("local")), &quotas, black_box(Cost::ONE), black_box(Duration::from_secs(1)))
            });
        });
    }
    group.bench_function("three_with_clock", |b| {
        let gate = Admission::new(2 * TENANTS);
        let origin = Instant::now();
        b.iter(|| gate.admit(black_box(call("local")), &all, black_box(Cost::ONE), origin.elapsed()));
    });
    group.bench_function("three_of_10000_tenants", |b| {
        let gate = Admission::new(2 * TENANTS);
        let mut turns = names.iter().cycle();
        b.iter(|| {
            gate.admit(call(turns.next().unwrap()), &all, black_box(Cost::ONE), black_box(Duration::from_secs(1)))
        });
    });
    group.bench_function("three_refused", |b| {
        let gate = Admission::new(2 * TENANTS);
        let quotas = Quotas { server_tool: Some(Quota::new(0.001, 1.0).unwrap()), ..all };
        gate.admit(call("local"), &quotas, Cost::ONE, Duration::ZERO).unwrap();
        b.iter(|| {
            gate.admit(black_box(call("local")), &quotas, black_box(Cost::ONE), black_box(Duration::from_secs(1)))
        });
    });
    group.finish();
}

fn contended(c: &mut Criterion<CpuTime>) {
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

criterion_group! {
    name = benches;
    config = cpu::criterion();
    targets = decisions, keyed, levels, contended
}
criterion_main!(benches);

//! What a decision over three levels promises: all or nothing, and the truth about the wait.

use std::time::Duration;

use omnimind_limits::rate::{Admission, Call, Quotas, RateRefusal, Scope};
use omnimind_limits::{Cost, Quota, Rate, Refusal, Share, TokenBucket};
use proptest::prelude::*;

const CALL: Call<'_> = Call { tenant: "acme", server: "git", tool: "log" };

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn quota(per_s: f64, burst: f64) -> Quota {
    Quota::new(per_s, burst).unwrap()
}

fn quotas(tenant: Quota, tenant_server: Quota, server_tool: Quota) -> Quotas {
    Quotas { tenant: Some(tenant), tenant_server: Some(tenant_server), server_tool: Some(server_tool) }
}

fn admitted(gate: &Admission, call: Call<'_>, quotas: &Quotas, now: Duration) -> usize {
    (0..10_000).take_while(|_| gate.admit(call, quotas, Cost::ONE, now).is_ok()).count()
}

fn too_soon(scope: Scope, retry_after: Duration) -> RateRefusal {
    RateRefusal { scope, refusal: Refusal::TooSoon { retry_after } }
}

#[test]
fn a_call_without_any_quota_is_admitted() {
    assert_eq!(admitted(&Admission::new(8), CALL, &Quotas::default(), ms(0)), 10_000);
}

#[test]
fn each_level_refuses_for_itself() {
    let wide = quota(1.0, 100.0);
    let table = [
        (quotas(quota(0.5, 2.0), wide, wide), Scope::Tenant),
        (quotas(wide, quota(0.5, 2.0), wide), Scope::TenantServer),
        (quotas(wide, wide, quota(0.5, 2.0)), Scope::ServerTool),
    ];
    for (quotas, scope) in table {
        let gate = Admission::new(64);
        assert_eq!(admitted(&gate, CALL, &quotas, ms(0)), 2);
        assert_eq!(gate.admit(CALL, &quotas, Cost::ONE, ms(500)), Err(too_soon(scope, ms(1500))));
    }
}

#[test]
fn levels_are_shared_by_those_they_name() {
    let only = quota(0.001, 2.0);
    let calls = [
        Call { tenant: "acme", server: "git", tool: "log" },
        Call { tenant: "acme", server: "git", tool: "diff" },
        Call { tenant: "acme", server: "sql", tool: "log" },
        Call { tenant: "zeta", server: "git", tool: "log" },
    ];
    let table = [
        (Quotas { tenant: Some(only), ..Quotas::default() }, [2, 0, 0, 2]),
        (Quotas { tenant_server: Some(only), ..Quotas::default() }, [2, 0, 2, 2]),
        (Quotas { server_tool: Some(only), ..Quotas::default() }, [2, 2, 2, 0]),
    ];
    for (quotas, expected) in table {
        let gate = Admission::new(64);
        assert_eq!(calls.map(|call| admitted(&gate, call, &quotas, ms(0))), expected, "{quotas:?}");
    }
}

#[test]
fn the_level_that_takes_longest_tells_the_wait() {
    let gate = Admission::new(64);
    let quotas = quotas(quota(1.0, 1.0), quota(0.1, 1.0), quota(10.0, 1.0));
    assert!(gate.admit(CALL, &quotas, Cost::ONE, ms(0)).is_ok());
    assert_eq!(gate.admit(CALL, &quotas, Cost::ONE, ms(0)), Err(too_soon(Scope::TenantServer, ms(10_000))));
}

#[test]
fn a_call_no_wait_can_help_is_told_so_even_if_another_level_could_wait() {
    let gate = Admission::new(64);
    let quotas = quotas(quota(1.0, 5.0), quota(1.0, 2.0), quota(1.0, 5.0));
    assert!(gate.admit(Call { server: "sql", ..CALL }, &quotas, Cost::new(2.0).unwrap(), ms(0)).is_ok());
    let heavy = gate.admit(CALL, &quotas, Cost::new(4.0).unwrap(), ms(0));
    let refusal = Refusal::TooLarge { burst: 2.0 };
    assert_eq!(heavy, Err(RateRefusal { scope: Scope::TenantServer, refusal }));
}

#[test]
fn a_heavier_call_takes_more_of_every_level() {
    let gate = Admission::new(64);
    let quotas = quotas(quota(1.0, 10.0), quota(1.0, 10.0), quota(1.0, 10.0));
    assert!(gate.admit(CALL, &quotas, Cost::new(7.0).unwrap(), ms(0)).is_ok());
    assert_eq!(admitted(&gate, CALL, &quotas, ms(0)), 3);
    assert_eq!(admitted(&gate, Call { tool: "diff", ..CALL }, &quotas, ms(0)), 0, "the tenant's bucket is empty");
}

#[test]
fn a_refused_call_took_nothing_at_any_level() {
    let gate = Admission::new(64);
    let quotas = quotas(quota(0.001, 10.0), quota(0.001, 10.0), quota(0.001, 1.0));
    assert_eq!(admitted(&gate, CALL, &quotas, ms(0)), 1);
    for _ in 0..1000 {
        assert!(gate.admit(CALL, &quotas, Cost::ONE, ms(0)).is_err());
    }
    let others = Quotas { server_tool: None, ..quotas };
    assert_eq!(admitted(&gate, CALL, &others, ms(0)), 9);
}

#[test]
fn a_change_of_pace_moves_every_bucket_and_keeps_its_debt() {
    let gate = Admission::new(64);
    let quotas = Quotas { tenant: Some(quota(100.0, 10.0)), ..Quotas::default() };
    let (normal, half) = (Rate::new(500.0).unwrap(), Rate::new(250.0).unwrap());
    let all = Share::percent(100).unwrap();
    let tenants = ["a", "b", "c"].map(|tenant| Call { tenant, ..CALL });
    for call in tenants {
        assert_eq!(admitted(&gate, call, &quotas, ms(0)), 10);
    }
    gate.set_pace(half, normal, all, ms(50));
    for call in tenants {
        assert_eq!(admitted(&gate, call, &quotas, ms(50)), 5, "what came back before the change");
        assert_eq!(gate.admit(call, &quotas, Cost::ONE, ms(50)), Err(too_soon(Scope::Tenant, ms(20))));
        assert_eq!(admitted(&gate, call, &quotas, ms(150)), 5, "at half the rate");
    }
    gate.set_pace(normal, normal, Share::percent(5).unwrap(), ms(150));
    for call in tenants {
        assert_eq!(admitted(&gate, call, &quotas, ms(1151)), 5, "at a twentieth of the rate");
    }
}

#[test]
fn what_racing_callers_give_back_is_there_for_others() {
    let gate = Admission::new(64);
    let quotas = quotas(quota(0.001, 100.0), quota(0.001, 60.0), quota(0.001, 1000.0));
    let calls = ["git", "sql"].map(|server| Call { server, ..CALL });
    let total: usize = std::thread::scope(|scope| {
        let (gate, quotas) = (&gate, &quotas);
        let takers: Vec<_> = (0..8).map(|n| scope.spawn(move || admitted(gate, calls[n % 2], quotas, ms(0)))).collect();
        takers.into_iter().map(|taker| taker.join().unwrap()).sum()
    });
    assert_eq!(total, 100, "all the tenant has, though each server stops at 60");
}

#[derive(Clone, Debug)]
struct Ask {
    tenant: usize,
    server: usize,
    tool: usize,
    tokens: f64,
    after_ns: u64,
}

fn ask() -> impl Strategy<Value = Ask> {
    let names = (0..3_usize, 0..2_usize, 0..2_usize);
    (names, prop_oneof![Just(1.0), 0.0..6.0_f64], prop_oneof![Just(0), 0..30_000_000_u64])
        .prop_map(|((tenant, server, tool), tokens, after_ns)| Ask { tenant, server, tool, tokens, after_ns })
}

fn some_quota() -> impl Strategy<Value = Quota> {
    (1.0..1000.0_f64, 1.0..20.0_f64).prop_map(|(per_s, burst)| quota(per_s, burst))
}

proptest! {
    #![proptest_config(crate::histories())]

    /// The slow model: a bucket for each name, all asked by what they have available, taken only if all three can.
    #[test]
    fn three_levels_decide_as_three_buckets_would_that_give_back_what_they_took(
        levels in prop::array::uniform3(some_quota()),
        asks in prop::collection::vec(ask(), 1..150),
    ) {
        let gate = Admission::new(256);
        let [tenant, tenant_server, server_tool] = levels;
        let quotas = quotas(tenant, tenant_server, server_tool);
        let mut taken: Vec<(Ask, Duration)> = Vec::new();
        let mut now_ns = 0;
        for ask in asks {
            now_ns += ask.after_ns;
            let now = Duration::from_nanos(now_ns);
            let cost = Cost::new(ask.tokens).unwrap();
            let concerned: [fn(&Ask, &Ask) -> bool; 3] = [
                |one, other| one.tenant == other.tenant,
                |one, other| (one.tenant, one.server) == (other.tenant, other.server),
                |one, other| (one.server, one.tool) == (other.server, other.tool),
            ];
            let verdicts: Vec<_> = levels.iter().zip(concerned).map(|(level, concerned)| {
                let bucket = TokenBucket::new(*level);
                for (earlier, at) in taken.iter().filter(|(earlier, _)| concerned(earlier, &ask)) {
                    bucket.try_take(Cost::new(earlier.tokens).unwrap(), *at).unwrap();
                }
                bucket.try_take(cost, now)
            }).collect();
            let names = [["t0", "t1", "t2"][ask.tenant], ["s0", "s1"][ask.server], ["x0", "x1"][ask.tool]];
            let call = Call { tenant: names[0], server: names[1], tool: names[2] };
            let longest = verdicts.iter().filter_map(|verdict| verdict.err())
                .map(|refusal| refusal.retry_after().unwrap_or(Duration::MAX)).max();
            match gate.admit(call, &quotas, cost, now) {
                Ok(()) => {
                    prop_assert_eq!(longest, None);
                    taken.push((ask, now));
                }
                Err(refused) => {
                    let wait = refused.refusal.retry_after().unwrap_or(Duration::MAX);
                    prop_assert_eq!(Some(wait), longest);
                    prop_assert_eq!(verdicts[refused.scope as usize], Err(refused.refusal));
                }
            }
        }
    }

    #[test]
    fn a_call_refused_under_any_pace_is_admitted_after_the_wait(
        level in some_quota(),
        paces in prop::collection::vec((0.01..100.0_f64, 0..50_000_000_u64, 0..8_u8), 1..20),
    ) {
        let gate = Admission::new(8);
        let quotas = Quotas { tenant: Some(level), ..Quotas::default() };
        let (normal, all) = (Rate::new(1000.0).unwrap(), Share::percent(100).unwrap());
        let mut now = ms(0);
        for (pace, after_ns, takes) in paces {
            now += Duration::from_nanos(after_ns);
            gate.set_pace(Rate::new(1000.0 * pace).unwrap(), normal, all, now);
            for _ in 0..takes {
                let Err(refused) = gate.admit(CALL, &quotas, Cost::ONE, now) else { continue };
                let wait = refused.refusal.retry_after().unwrap();
                prop_assert!(wait > ms(0));
                let early = now + wait.mul_f64(0.999).min(wait.saturating_sub(Duration::from_nanos(2)));
                prop_assert!(early == now || gate.admit(CALL, &quotas, Cost::ONE, early).is_err());
                now += wait;
                prop_assert!(gate.admit(CALL, &quotas, Cost::ONE, now).is_ok());
            }
        }
    }
}

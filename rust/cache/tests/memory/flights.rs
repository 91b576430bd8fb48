//! One fetch for many: tasks, threads, and those that go away.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use omnimind_cache::flight::{Flights, Joined, Landed, Leader, Waiter};

const HANG: Duration = Duration::from_secs(60);

type Number = Result<u64, &'static str>;

fn lead(flights: &Flights<u32, Number>) -> Leader<u32, Number> {
    match flights.join(1) {
        Joined::Lead(leader) => leader,
        Joined::Wait(_) => panic!("somebody leads already"),
    }
}

fn wait(flights: &Flights<u32, Number>) -> Waiter<u32, Number> {
    match flights.join(1) {
        Joined::Wait(waiter) => waiter,
        Joined::Lead(_) => panic!("nobody leads"),
    }
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll(waiter: &mut Waiter<u32, Number>, woken: &Arc<Woken>) -> Option<Landed<u32, Number>> {
    match pin!(waiter).poll(&mut Context::from_waker(&Waker::from(Arc::clone(woken)))) {
        Poll::Ready(landed) => Some(landed),
        Poll::Pending => None,
    }
}

#[test]
fn a_thousand_that_ask_at_once_are_one_fetch() {
    let flights = Flights::new();
    let leader = lead(&flights);
    let woken = Arc::new(Woken::default());
    let mut waiters: Vec<_> = (0..1_000).map(|_| wait(&flights)).collect();
    assert!(waiters.iter_mut().all(|waiter| poll(waiter, &woken).is_none()));
    assert_eq!((leader.waiters(), flights.len()), (1_000, 1));
    leader.finish(Ok(7));
    assert_eq!((woken.0.load(Ordering::Relaxed), flights.len()), (1_000, 0));
    for mut waiter in waiters {
        assert!(matches!(poll(&mut waiter, &woken), Some(Landed::Shared(Ok(7)))));
    }
}

#[test]
fn an_error_is_shared_with_those_who_waited_and_with_nobody_after() {
    let flights = Flights::new();
    let leader = lead(&flights);
    let waiter = wait(&flights);
    leader.finish(Err("broken"));
    assert!(matches!(waiter.wait(HANG), Some(Landed::Shared(Err("broken")))));
    lead(&flights).finish(Ok(1));
}

#[test]
fn when_the_leader_goes_away_the_first_waiter_leads_and_the_others_go_on_waiting() {
    let flights = Flights::new();
    let leader = lead(&flights);
    let woken = Arc::new(Woken::default());
    let (mut first, mut second) = (wait(&flights), wait(&flights));
    assert!(poll(&mut second, &woken).is_none() && poll(&mut first, &woken).is_none());
    drop(leader);
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    assert!(poll(&mut second, &woken).is_none());
    let Some(Landed::Lead(next)) = poll(&mut first, &woken) else { panic!("it does not lead") };
    let third = wait(&flights);
    next.finish(Ok(3));
    assert!(matches!(poll(&mut second, &woken), Some(Landed::Shared(Ok(3)))));
    assert!(matches!(third.wait(HANG), Some(Landed::Shared(Ok(3)))));
}

#[test]
fn an_heir_that_goes_away_passes_the_lead_on_and_the_last_one_ends_the_flight() {
    let flights = Flights::new();
    let leader = lead(&flights);
    let (first, forgotten, last) = (wait(&flights), wait(&flights), wait(&flights));
    drop(forgotten);
    drop(leader);
    drop(first);
    let Some(Landed::Lead(next)) = last.wait(HANG) else { panic!("it does not lead") };
    assert_eq!((next.waiters(), flights.len()), (0, 1));
    drop(next);
    assert!(flights.is_empty());
    lead(&flights).finish(Ok(1));
}

#[test]
fn an_abandoned_flight_sends_everybody_on_alone() {
    let flights = Flights::new();
    let leader = lead(&flights);
    let (first, second) = (wait(&flights), wait(&flights));
    leader.abandon();
    assert!(matches!(first.wait(HANG), Some(Landed::Alone)));
    assert!(flights.is_empty());
    assert!(matches!(second.wait(HANG), Some(Landed::Alone)));
}

#[test]
fn a_thread_waits_no_longer_than_it_was_told_to() {
    let flights = Flights::new();
    let leader = lead(&flights);
    assert!(wait(&flights).wait(Duration::from_millis(5)).is_none());
    assert_eq!(leader.waiters(), 0);
    leader.finish(Ok(1));
}

#[test]
fn of_many_threads_one_fetches_also_when_leaders_give_up() {
    const THREADS: usize = 64;
    let flights = Flights::<u32, Number>::new();
    let (fetches, gave_up, left) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(THREADS));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let mut joined = flights.join(1);
                left.fetch_sub(1, Ordering::Relaxed);
                while left.load(Ordering::Relaxed) > 0 {
                    thread::yield_now();
                }
                loop {
                    let leader = match joined {
                        Joined::Lead(leader) => leader,
                        Joined::Wait(waiter) => match waiter.wait(HANG) {
                            Some(Landed::Lead(leader)) => leader,
                            Some(Landed::Shared(Ok(9))) => return,
                            _ => panic!("not shared"),
                        },
                    };
                    if gave_up.fetch_add(1, Ordering::Relaxed) >= 3 {
                        fetches.fetch_add(1, Ordering::Relaxed);
                        return leader.finish(Ok(9));
                    }
                    // Back in the queue first: who comes when the flight is over begins another.
                    joined = flights.join(1);
                    drop(leader);
                }
            });
        }
    });
    assert_eq!((fetches.into_inner(), flights.len()), (1, 0));
}

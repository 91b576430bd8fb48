//! Reading what the kernel tells of itself, and not believing what it cannot have told.

use std::time::Duration;

use omnimind_limits::{CpuTimes, Health, Pressure, Share};
use proptest::prelude::*;

const STAT: &str = "\
cpu  3679989 1095339 829389 3914113 179705 0 49576 17154 0 0
cpu0 1712195 538055 395889 2150248 53714 0 22957 8412 0 0
cpu1 1967793 557284 433499 1763865 125991 0 26619 8741 0 0
intr 912 0 9
ctxt 88
";
const STAT_LATER: &str = "cpu  3680089 1095339 829439 3914263 179715 0 49576 17184 0 0\n";
const PSI: &str = "\
some avg10=78.57 avg60=87.61 avg300=51.83 total=15742742874
full avg10=0.00 avg60=0.00 avg300=0.00 total=0
";

fn busy(earlier: &str, later: &str) -> Option<f64> {
    CpuTimes::parse(later)?.busy_since(&CpuTimes::parse(earlier)?).map(Share::get)
}

fn waiting(earlier: &str, later: &str, between_ms: u64) -> Option<f64> {
    let between = Duration::from_millis(between_ms);
    Pressure::parse(later)?.waiting_since(&Pressure::parse(earlier)?, between).map(Share::get)
}

#[test]
fn busy_is_what_was_neither_idle_nor_waiting_for_a_disk() {
    // 100 user, 50 system, 30 stolen; 150 idle, 10 waiting for a disk
    assert_eq!(busy(STAT, STAT_LATER), Some(180.0 / 340.0));
}

#[test]
fn time_spent_for_guests_is_counted_once() {
    assert_eq!(busy("cpu  0 0 0 0 0 0 0 0 0 0", "cpu  60 0 0 40 0 0 0 0 60 0"), Some(0.6));
}

#[test]
fn a_kernel_that_tells_only_four_counts_is_understood() {
    assert_eq!(busy("cpu 10 0 10 80", "cpu 20 0 10 110"), Some(0.25));
}

#[test]
fn a_counter_that_stood_still_or_went_back_makes_no_share() {
    assert_eq!(busy(STAT, STAT), None);
    assert_eq!(busy(STAT_LATER, STAT), None);
}

#[test]
fn time_of_disk_waits_that_steps_back_does_not_hide_the_load() {
    assert_eq!(busy("cpu 0 0 0 0 50", "cpu 10 0 0 0 40"), Some(1.0));
}

#[test]
fn text_that_is_no_account_of_processors_is_refused() {
    let hostile = [
        "",
        "cpu",
        "cpu \n",
        "cpu0 1 2 3 4\n",
        "cpu 1 2 3",
        "cpu 1 2 3 -4",
        "cpu 1 2 3 4.0",
        "cpu 1 2 x 4",
        "cpu 1 2 3 18446744073709551616",
        "cpu 18446744073709551615 1 0 0",
        "cpu 0 0 0 18446744073709551615 1",
        "CPU 1 2 3 4",
    ];
    for text in hostile {
        assert_eq!(CpuTimes::parse(text), None, "{text:?}");
    }
}

#[test]
fn pressure_is_the_growth_of_the_total_over_the_time_between() {
    let later = "some avg10=0.00 avg60=0.00 avg300=0.00 total=15743642874\nfull total=0\n";
    assert_eq!(waiting(PSI, later, 2000), Some(0.45));
}

#[test]
fn pressure_is_never_more_than_all_of_the_time() {
    assert_eq!(waiting("some total=0", "some total=2100000", 2000), Some(1.0));
}

#[test]
fn pressure_over_no_time_or_going_back_is_unknown() {
    assert_eq!(waiting(PSI, PSI, 0), None);
    assert_eq!(waiting("some total=5", "some total=4", 1000), None);
}

#[test]
fn text_that_is_no_account_of_pressure_is_refused() {
    for text in ["", "some", "full total=1", "some avg10=1.0", "some total=", "some total=-1", "some total=1e6"] {
        assert_eq!(Pressure::parse(text), None, "{text:?}");
    }
}

#[test]
fn a_share_lies_between_nothing_and_all() {
    assert_eq!(Share::percent(80).map(Share::get), Some(0.8));
    assert_eq!(Share::percent(101), None);
    for part in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert_eq!(Share::new(part), None, "{part}");
    }
}

#[test]
fn only_what_is_known_on_both_sides_can_be_exceeded() {
    let limits = Health { cpu: Share::percent(90), p99: Some(Duration::from_millis(500)), ..Health::default() };
    assert!(!Health::default().exceeds(&limits));
    assert!(!Health { error_rate: Share::percent(100), psi: Share::percent(100), ..limits }.exceeds(&limits));
    assert!(Health { cpu: Share::percent(91), ..Health::default() }.exceeds(&limits));
    assert!(Health { p99: Some(Duration::from_millis(501)), ..Health::default() }.exceeds(&limits));
}

proptest! {
    #![proptest_config(crate::histories())]

    #[test]
    fn no_text_makes_a_parser_fail_or_a_share_leave_its_bounds(
        texts in prop::array::uniform2(prop_oneof![
            "\\PC{0,60}",
            "(cpu|some)  ?[0-9a-z=. ]{0,80}",
            prop::collection::vec(any::<u64>(), 0..12)
                .prop_map(|ticks| ticks.iter().fold("cpu ".to_owned(), |line, tick| format!("{line} {tick}"))),
            any::<u64>().prop_map(|total| format!("some avg10=0.00 total={total}")),
        ]),
        between_ns in any::<u64>(),
    ) {
        let [earlier, later] = &texts;
        if let (Some(earlier), Some(later)) = (CpuTimes::parse(earlier), CpuTimes::parse(later)) {
            prop_assert!(later.busy_since(&earlier).is_none_or(|share| (0.0..=1.0).contains(&share.get())));
        }
        if let (Some(earlier), Some(later)) = (Pressure::parse(earlier), Pressure::parse(later)) {
            let share = later.waiting_since(&earlier, Duration::from_nanos(between_ns));
            prop_assert!(share.is_none_or(|share| (0.0..=1.0).contains(&share.get())));
        }
    }
}

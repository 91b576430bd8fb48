//! Errors and refusals: the table of codes, and what is sent.
use omnimind_wire::error::http_status_of_modern_error;
use omnimind_wire::{Era, LEGACY_VERSIONS, MODERN_VERSION, Reason, Refusal, era_of_header};
use serde_json::{Value, json};

#[test]
fn codes_lie_outside_what_the_protocol_keeps_and_are_used_once() {
    let mut codes: Vec<i64> = Reason::ALL.iter().map(|reason| reason.code()).collect();
    assert!(codes.iter().all(|code| !(-32_768..=-32_000).contains(code)));
    assert!(codes.is_sorted());
    codes.dedup();
    assert_eq!(codes.len(), Reason::ALL.len());
    let mut words: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), Reason::ALL.len());
}

#[test]
fn the_codes_the_plan_fixes_have_the_status_the_plan_fixes() {
    let table = [
        (Reason::Unauthenticated, 40_100, 401),
        (Reason::Origin, 40_300, 403),
        (Reason::UnknownServer, 40_400, 404),
        (Reason::BodyTooLarge, 41_300, 413),
        (Reason::Host, 42_100, 421),
        (Reason::HeadTooLarge, 43_100, 431),
        (Reason::RateLimited, 42_900, 429),
        (Reason::Overloaded, 42_901, 503),
        (Reason::ServerUnavailable, 50_300, 503),
        (Reason::Deadline, 42_902, 504),
        (Reason::UpstreamTimeout, 50_400, 504),
    ];
    for (reason, code, status) in table {
        assert_eq!((reason.code(), reason.http_status()), (code, status), "{reason:?}");
        assert_eq!(http_status_of_modern_error(code), status, "{reason:?}");
    }
}

#[test]
fn a_refusal_says_reason_scope_server_and_when_to_come_again() {
    let refusal =
        Refusal::new(Reason::RateLimited, "tool", "too many calls of \"echo\"").about("memory").retry_after(1_001);
    let error = refusal.rpc_error();
    let data: Value = serde_json::from_slice(&error.data.unwrap()).unwrap();
    assert_eq!(data, json!({"reason": "rate_limited", "scope": "tool", "server": "memory", "retryAfterMs": 1001}));
    assert_eq!((error.code, error.message.as_str()), (42_900, "too many calls of \"echo\""));
    assert_eq!((refusal.http_status(), refusal.retry_after_seconds()), (429, Some(2)));
    let plain = Refusal::new(Reason::Host, "connection", "Host names somebody else").rpc_error();
    let data: Value = serde_json::from_slice(&plain.data.unwrap()).unwrap();
    assert_eq!(data, json!({"reason": "host", "scope": "connection"}));
}

#[test]
fn protocol_errors_have_the_status_the_specification_gives_them() {
    for (code, status) in [
        (-32_700, 400),
        (-32_600, 400),
        (-32_602, 400),
        (-32_020, 400),
        (-32_021, 400),
        (-32_022, 400),
        (-32_601, 404),
        (-32_603, 200),
        (-32_000, 200),
        (1, 200),
    ] {
        assert_eq!(http_status_of_modern_error(code), status, "{code}");
    }
}

#[test]
fn the_header_decides_the_era_and_the_unknown_is_refused() {
    assert_eq!(era_of_header(None), Ok(Era::Legacy));
    assert_eq!(era_of_header(Some(MODERN_VERSION)), Ok(Era::Modern));
    for version in LEGACY_VERSIONS {
        assert_eq!(era_of_header(Some(version)), Ok(Era::Legacy));
    }
    for version in ["", "2026-07-29", "9999-99-99", "2025-11-26", "DRAFT-2026-v1", "2026-07-28 ", "zzz"] {
        assert_eq!(era_of_header(Some(version)).unwrap_err().requested, version);
    }
    assert_eq!(era_of_header(Some(&"x".repeat(10_000))).unwrap_err().requested.len(), 64);
}

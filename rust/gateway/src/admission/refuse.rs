//! What a caller is told that is not served: the same for a program, and for a model that reads results.

use std::time::Duration;

use bytes::Bytes;
use omnimind_limits::{
    queue::{LONGEST_WAIT_NS, Reason as Why, Refused},
    rate::{RateRefusal, Scope},
};
use omnimind_wire::{Edit, Era, Reason, Refusal, json::push_quoted};

/// How long a call waited, in the `_meta` of its answer.
const META_QUEUE: &str = "omnimind/queueMs";
/// The most that is added to a time to come again, of that time: those who were refused together shall not come together.
const JITTER: f64 = 0.5;

/// A call that was not let in by the gate of a server, to which it had come `patience` before its deadline and `waited`
/// ago. `chance` is from 0 to 1.
pub(super) fn overloaded(refused: Refused, server: &str, patience: Duration, waited: Duration, chance: f64) -> Refusal {
    let hurried = patience < Duration::from_nanos(LONGEST_WAIT_NS);
    let (reason, detail) = match refused.reason {
        Why::Deadline => (Reason::Deadline, format!("{server} cannot answer before the call's deadline")),
        Why::Expired if hurried => (Reason::Deadline, format!("no turn at {server} came before the call's deadline")),
        Why::Expired => (Reason::Overloaded, format!("{server} is overloaded: no turn came in time")),
        Why::QueueFull => (Reason::Overloaded, format!("{server} is overloaded: too many calls wait for it")),
        Why::Evicted => {
            (Reason::Overloaded, format!("{server} is overloaded: the call lost its place to one that comes before it"))
        }
        Why::Shed => (Reason::Overloaded, format!("{server} takes no calls while the machine is overloaded")),
    };
    let wait = refused.retry_after.mul_f64(1.0 + JITTER * chance.clamp(0.0, 1.0));
    let refusal = Refusal::new(reason, "server", detail).about(server).retry_after(whole_ms(wait));
    match refused.reason {
        Why::Expired | Why::Evicted => refusal.waited(whole_ms(waited)),
        Why::Deadline | Why::QueueFull | Why::Shed => refusal,
    }
}

/// A call over a rate.
pub(super) fn rate_limited(refused: &RateRefusal, server: &str, tool: &str) -> Refusal {
    let whose = match refused.scope {
        Scope::Tenant => "of this tenant".to_owned(),
        Scope::TenantServer => format!("of this tenant at {server}"),
        Scope::ServerTool => format!("of the tool {tool} of {server}"),
    };
    let refusal = |detail| {
        let refusal = Refusal::new(Reason::RateLimited, refused.scope.as_str(), detail);
        if server.is_empty() { refusal } else { refusal.about(server) }
    };
    match refused.refusal.retry_after() {
        Some(wait) => refusal(format!("the rate {whose} is used up")).retry_after(whole_ms(wait)),
        None => refusal(format!("the call costs more than the rate {whose} ever gives at once")),
    }
}

/// A refusal as the result of a tool, which a model reads; none for what was not refused here.
pub(crate) fn in_words(refusal: &Refusal, era: Era) -> Option<Bytes> {
    if !matches!(refusal.reason, Reason::RateLimited | Reason::Overloaded | Reason::Deadline) {
        return None;
    }
    let again = match refusal.retry_after_ms {
        Some(ms) => format!("Try again in {}.", in_seconds(ms)),
        None => "Trying the same again will not help.".to_owned(),
    };
    let text = format!("The call was not made: {}. {again}", refusal.detail);
    let mut result = br#"{"content":[{"type":"text","text":"#.to_vec();
    push_quoted(&mut result, &text);
    result.extend_from_slice(br#"}],"isError":true"#);
    if era == Era::Modern {
        result.extend_from_slice(br#","resultType":"complete""#);
    }
    result.push(b'}');
    Some(result.into())
}

/// A result that says how long its call waited, if it did.
pub(crate) fn with_wait(result: Bytes, waited: Duration) -> Bytes {
    if waited.is_zero() {
        return result;
    }
    let ms = whole_ms(waited).to_string().into_bytes();
    Edit::new(&result).set(&["_meta", META_QUEUE], ms).finish().unwrap_or(result)
}

/// Whole milliseconds, never fewer.
fn whole_ms(span: Duration) -> u64 {
    u64::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

fn in_seconds(ms: u64) -> String {
    match ms.div_ceil(1_000) {
        0 | 1 => "a second".to_owned(),
        seconds => format!("{seconds} seconds"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use omnimind_limits::Refusal as Cell;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn refused(reason: Why) -> Refused {
        Refused { reason, retry_after: Duration::from_secs(1) }
    }

    #[test]
    fn a_time_to_come_again_is_spread_and_never_too_early() {
        let at = |chance| overloaded(refused(Why::QueueFull), "s", LONG, Duration::ZERO, chance).retry_after_ms;
        assert_eq!([at(0.0), at(0.5), at(1.0)], [Some(1_000), Some(1_250), Some(1_500)]);
    }

    #[test]
    fn the_reason_names_a_status() {
        let status = |why, patience| overloaded(refused(why), "s", patience, Duration::ZERO, 0.0).http_status();
        assert_eq!(status(Why::Deadline, LONG), 504);
        assert_eq!(status(Why::Expired, Duration::from_millis(200)), 504);
        for why in [Why::QueueFull, Why::Expired, Why::Evicted, Why::Shed] {
            assert_eq!(status(why, LONG), 503);
        }
    }

    #[test]
    fn who_waited_in_vain_is_told_how_long_and_who_did_not_is_told_nothing_of_it() {
        let waited = |why| overloaded(refused(why), "s", LONG, Duration::from_micros(80_200), 0.0).queue_ms;
        assert_eq!([Why::Expired, Why::Evicted].map(waited), [Some(81); 2]);
        assert_eq!([Why::Deadline, Why::QueueFull, Why::Shed].map(waited), [None; 3]);
    }

    #[test]
    fn a_rate_says_whose_it_is() {
        let said = |scope, retry_after| {
            let refusal = match retry_after {
                Some(retry_after) => Cell::TooSoon { retry_after },
                None => Cell::TooLarge { burst: 1.0 },
            };
            rate_limited(&RateRefusal { scope, refusal }, "s", "slow")
        };
        let soon = said(Scope::ServerTool, Some(Duration::from_micros(1_500)));
        assert_eq!((soon.scope.as_str(), soon.retry_after_ms, soon.http_status()), ("server_tool", Some(2), 429));
        assert_eq!(soon.detail, "the rate of the tool slow of s is used up");
        assert_eq!(said(Scope::Tenant, None).retry_after_ms, None);
    }

    #[test]
    fn a_model_reads_what_happened_and_when_to_come_again() {
        let refusal = overloaded(refused(Why::QueueFull), "git", LONG, Duration::ZERO, 1.0);
        let read = |era| serde_json::from_slice::<serde_json::Value>(&in_words(&refusal, era).unwrap()).unwrap();
        let (modern, legacy) = (read(Era::Modern), read(Era::Legacy));
        assert_eq!(
            modern["content"][0]["text"],
            "The call was not made: git is overloaded: too many calls wait for it. Try again in 2 seconds."
        );
        assert_eq!((&modern["isError"], &modern["resultType"]), (&true.into(), &"complete".into()));
        assert_eq!((&legacy["isError"], legacy.get("resultType")), (&true.into(), None));
        assert_eq!(in_words(&Refusal::new(Reason::ServerUnavailable, "server", "parked"), Era::Modern), None);
    }

    #[test]
    fn a_result_says_how_long_its_call_waited() {
        let result = Bytes::from_static(br#"{"content":[]}"#);
        assert_eq!(with_wait(result.clone(), Duration::ZERO), result);
        let told = with_wait(result, Duration::from_micros(1_200));
        assert_eq!(told, r#"{"content":[],"_meta":{"omnimind/queueMs":2}}"#);
    }
}

//! The end of a flight: what the upstream's last word means, whether the call is sent anew, and what its client hears.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use bytes::Bytes;
use http::StatusCode;
use memchr::memmem::Finder;
use omnimind_wire::{
    Era, Refusal, RpcError,
    error::http_status_of_modern_error,
    json::{as_bool, find_checked},
    message,
};

use super::{Flight, Progress};
use crate::{
    admission::{Going, Permit, in_words, with_wait},
    cache::{Raw, Seen, report::How, without_own},
    compress::{self, Wanted},
    metrics::Ending,
    relay::{
        Client, dress, launch,
        rounds::Round,
        schemas, state,
        tries::{self, Verdict},
        turn::{Turn, settle},
    },
    reply::Outgoing,
    session::Ticket,
    upstream::{Failure, LOST},
};

/// What a result that is an error has somewhere in its text.
static IS_ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"isError\""));

impl Flight {
    /// The upstream's last word.
    pub(super) async fn land(&mut self, outcome: Result<Bytes, Failure>) {
        let era = self.lease.negotiated().era;
        if !matches!(outcome, Err(Failure::Refused(_))) {
            self.settle(&outcome);
        }
        match outcome {
            Ok(result) if era == Era::Modern && Round::is_due(&self.method, &result) => {
                self.errand.converses();
                let result = without_own(&result);
                match self.client.era {
                    Era::Modern => {
                        let backend = &self.source.spec.name;
                        let sealed = state::wrap(&self.client, backend, &self.method, &self.asked, result);
                        self.end(sealed);
                    }
                    Era::Legacy => Round::begin(self, &result),
                }
            }
            Ok(result) => {
                schemas::learn(&self.client, &self.source.spec, &self.method, &result);
                let raw = self.errand.landed(&self.lease, &result);
                self.client.caller.plane.memory.saw(|| Seen {
                    client: self.client.clone(),
                    spec: Arc::clone(&self.source.spec),
                    method: Arc::clone(&self.method),
                    params: self.params.clone(),
                    result: raw.result.clone(),
                    took: self.errand.took(),
                    cached: false,
                });
                self.end_with(self.errand.how, raw).await;
            }
            Err(Failure::Refused(refusal)) if self.again(&refusal).await => {}
            Err(failure) => {
                let outcome = Err(failure);
                self.settle(&outcome);
                let Err(failure) = outcome else { return };
                let stand_in = self.errand.failed(era, &failure);
                let (client, source, method) = (&self.client, &self.source, &self.method);
                match (stand_in, dress::failure(client, source, method, &self.params, era, failure)) {
                    (Some(hit), _) => {
                        client.caller.operation.end(Ending::Stale);
                        self.end_with(hit.how(), dress::remaining(hit)).await;
                    }
                    (None, Failure::Rpc(error)) => self.end(Err(error)),
                    (None, Failure::Refused(refusal)) => self.end_refused(&refusal),
                }
            }
        }
    }

    /// Gives the permit back.
    pub(super) fn settle(&mut self, outcome: &Result<Bytes, Failure>) {
        settle(self.exchange.permit(), &self.source.spec, outcome);
    }

    /// Ends with a result.
    async fn end_with(&mut self, how: How, raw: Raw) {
        let result = dress::result(&self.client, &self.source, &self.method, raw);
        let result = match (result, self.wanted()) {
            (Ok(result), Some(wanted)) => Ok(compress::shortened(&self.client, wanted, result).await),
            (result, _) => result,
        };
        self.end(result.map(|result| with_wait(how.told_to(self.wish, result), self.waited)));
    }

    /// What the client wants of a tool's result.
    pub(super) fn wanted(&self) -> Option<Wanted> {
        let meta = find_checked(&self.asked, "_meta");
        compress::wanted(&self.client, &self.source.spec, &self.method, &self.params, meta)
    }

    /// Sends a call anew that failed, if it may be; see [`tries`].
    async fn again(&mut self, refusal: &Refusal) -> bool {
        let verdict = self.tries.judge(&self.source.spec, refusal);
        let pause = match verdict {
            Verdict::Again(pause) => pause,
            Verdict::IfRepeatable if !self.questioned => Duration::ZERO,
            Verdict::IfRepeatable | Verdict::No => return false,
        };
        let (client, source) = (&self.client, &self.source);
        let (method, params) = (&*self.method, &self.params);
        let going = Going { client, spec: &source.spec, method, params, request: None };
        let mut turn = Turn { going, permit: self.exchange.permit(), until: Some(self.deadline) };
        turn.permit.iter_mut().for_each(Permit::spoil);
        let next = async {
            tokio::time::sleep(pause).await;
            let lease = turn.lease(method).await.ok()?;
            let same_era = lease.negotiated().era == self.lease.negotiated().era;
            let may =
                verdict != Verdict::IfRepeatable || tries::is_repeatable(client, source, &lease, method, params).await;
            (same_era && may).then_some(lease)
        };
        let next = tokio::select! {
            () = Ticket::cancelled(self.ticket.as_ref()) => None,
            next = tokio::time::timeout_at(self.deadline, next) => next.ok().flatten(),
        };
        let permit = turn.permit;
        let Some(lease) = next else {
            self.exchange.carry(permit);
            return false;
        };
        if verdict == Verdict::IfRepeatable {
            // Progress counts up; that of a second run would begin anew.
            self.progress = Progress::Token(None);
        }
        self.lease = lease;
        self.send(permit, Duration::ZERO);
        true
    }

    /// The answer; nothing follows it.
    pub(crate) fn end(&mut self, outcome: Result<Bytes, RpcError>) {
        self.know_tool();
        let operation = &self.client.caller.operation;
        match &outcome {
            Ok(result) if self.method.as_ref() == "tools/call" && says_error(result) => {
                operation.end(Ending::ToolError);
            }
            Ok(_) => operation.end(Ending::Ok),
            Err(error) => operation.failed(error.code),
        }
        self.close();
        self.ready.push_back(end(self.client.era, &self.id, outcome));
    }

    /// What was not known of the call's tool when it began may be known now.
    fn know_tool(&self) {
        if self.client.caller.operation.is_unproven() {
            let (client, spec) = (&self.client, &self.source.spec);
            launch::name(Going { client, spec, method: &self.method, params: &self.params, request: None });
        }
    }

    pub(crate) fn end_refused(&mut self, refusal: &Refusal) {
        self.lease.tally().failed();
        self.know_tool();
        self.client.caller.operation.refused(refusal.reason);
        self.close();
        let said = said(&self.client, &self.method, &self.id, refusal);
        self.ready.push_back(said.unwrap_or_else(|| refused(&self.id, refusal)));
    }
}

/// A tool's result that is an error. Most say nothing of it, or say so at their end.
pub(crate) fn says_error(result: &[u8]) -> bool {
    IS_ERROR.find(result).is_some() && find_checked(result, "isError").and_then(as_bool) == Some(true)
}

/// The last message of a flow, with the status it has if it is the only one.
pub(crate) fn end(era: Era, id: &[u8], outcome: Result<Bytes, RpcError>) -> Outgoing {
    match outcome {
        Ok(result) => Outgoing::end(StatusCode::OK, message::result(id, &result)),
        Err(error) => Outgoing::end(status(era, &error), message::error(id, &error)),
    }
}

/// A refusal as a result that a model reads, if that is wanted and is what the method answers with.
pub(crate) fn said(client: &Client, method: &str, id: &[u8], refusal: &Refusal) -> Option<Outgoing> {
    let wanted = method == "tools/call" && client.caller.plane.snapshot.load().limits.refusals_as_text;
    let result = if wanted { in_words(refusal, client.era) } else { None };
    result.map(|result| end(client.era, id, Ok(result)))
}

/// A refusal as the last message of a flow.
pub(crate) fn refused(id: &[u8], refusal: &Refusal) -> Outgoing {
    let status = StatusCode::from_u16(refusal.http_status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let mut error = refusal.rpc_error();
    if refusal.scope == LOST {
        error.message.push_str("; nobody can say whether the call ran");
    }
    Outgoing::End { status, retry_after: refusal.retry_after_seconds(), body: message::error(id, &error) }
}

/// The HTTP status of an error: the modern era ties it to the code, the legacy era says 200.
fn status(era: Era, error: &RpcError) -> StatusCode {
    match era {
        Era::Modern => StatusCode::from_u16(http_status_of_modern_error(error.code)).unwrap_or(StatusCode::OK),
        Era::Legacy => StatusCode::OK,
    }
}

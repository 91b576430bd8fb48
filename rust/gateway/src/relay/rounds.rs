//! Rounds of questions between a modern upstream and a legacy client.
//!
//! The upstream's `input_required` becomes requests on the call's own stream; the client's answers go back
//! as `inputResponses` of the same call, with the upstream's state, until the upstream is content or
//! [`MOST_ROUNDS`] are over. If the client refuses one question, its refusal ends the call.

use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;
use omnimind_wire::{
    Edit, Malformed, Object, RpcError,
    error::{INTERNAL_ERROR, INVALID_REQUEST},
    json::{as_str, find, push_quoted, quote},
};
use tokio::sync::oneshot;

use super::{flight::Flight, state};
use crate::{reply::Outgoing, upstream::Question};

/// An upstream that is still not content after this many rounds will not be.
pub(crate) const MOST_ROUNDS: u8 = 16;
/// Questions in one round.
const MOST_QUESTIONS: usize = 32;

/// The only methods whose result may ask for input.
const METHODS: [&str; 3] = ["tools/call", "prompts/get", "resources/read"];

/// What such a result has somewhere in its text.
static INPUT_REQUIRED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("input_required"));

/// One round: the questions, still open.
pub(crate) struct Round {
    questions: Vec<(String, oneshot::Receiver<Result<Bytes, RpcError>>)>,
    state: Option<Bytes>,
}

/// One round, answered.
pub(crate) struct Answers {
    answers: Vec<(String, Bytes)>,
    state: Option<Bytes>,
}

impl Round {
    /// True for a result that asks for input.
    pub(crate) fn is_due(method: &str, result: &[u8]) -> bool {
        METHODS.contains(&method)
            && INPUT_REQUIRED.find(result).is_some()
            && find(result, &["resultType"]).ok().flatten().and_then(as_str).as_deref() == Some("input_required")
    }

    /// Puts the upstream's questions to the client of a flight.
    pub(crate) fn begin(flight: &mut Flight, result: &Bytes) {
        flight.rounds += 1;
        if flight.rounds > MOST_ROUNDS {
            return flight.end(Err(RpcError::new(
                INTERNAL_ERROR,
                format!("the server asked for input {MOST_ROUNDS} times in one call; the call was given up"),
            )));
        }
        match Self::put(flight, result) {
            Ok(round) => flight.round = Some(round),
            Err(error) => flight.end(Err(error)),
        }
    }

    fn put(flight: &mut Flight, result: &Bytes) -> Result<Self, RpcError> {
        let broken = |what: &str| RpcError::new(INTERNAL_ERROR, format!("the server's input_required result {what}"));
        let object = Object::parse(result).map_err(|malformed| broken(&malformed.to_string()))?;
        let mut round =
            Self { questions: Vec::new(), state: object.get("requestState").map(|raw| result.slice_ref(raw)) };
        let requests = match object.get("inputRequests") {
            Some(raw) => Object::parse(raw).map_err(|malformed| broken(&malformed.to_string()))?,
            None if round.state.is_some() => return Ok(round),
            None => return Err(broken("asks for nothing")),
        };
        if requests.len() > MOST_QUESTIONS {
            return Err(broken(&format!("asks more than {MOST_QUESTIONS} questions")));
        }
        for member in &requests {
            let request = Object::parse(member.value).map_err(|malformed| broken(&malformed.to_string()))?;
            let method = request.get_str("method").ok_or_else(|| broken("has a question without a method"))?;
            let params = request.get("params").map_or_else(Bytes::new, |raw| result.slice_ref(raw));
            if !flight.client.can_answer(&method, &params) {
                let message = format!("the server asks for {method}, which this client does not support");
                return Err(RpcError::new(INVALID_REQUEST, message));
            }
            let (answer, answered) = oneshot::channel();
            let params = named(&method, params).map_err(|malformed| broken(&malformed.to_string()))?;
            let question = Question { method: method.as_ref().into(), params, answer };
            let session = flight.client.session.as_ref().ok_or_else(|| broken("came without a session"))?;
            let (asked, message) = session
                .ask(question, &flight.lease)
                .map_err(|_| RpcError::new(INTERNAL_ERROR, "too many questions to this client are open"))?;
            flight.asked_of_client.push(asked);
            flight.ready.push_back(Outgoing::Message(message));
            round.questions.push((member.key.clone().into_owned(), answered));
        }
        Ok(round)
    }

    /// All answers, or the first refusal.
    pub(crate) async fn answers(self) -> Result<Answers, RpcError> {
        let mut answers = Vec::with_capacity(self.questions.len());
        for (key, answer) in self.questions {
            let closed = |_| RpcError::new(INTERNAL_ERROR, "the question to the client was closed without an answer");
            answers.push((key, answer.await.map_err(closed)??));
        }
        Ok(Answers { answers, state: self.state })
    }
}

/// A question as legacy clients know it: one that opens a URL has an id there, which the modern era dropped.
fn named(method: &str, params: Bytes) -> Result<Bytes, Malformed> {
    if method != "elicitation/create" || params.is_empty() {
        return Ok(params);
    }
    let url = find(&params, &["mode"])?.and_then(as_str).is_some_and(|mode| mode == "url");
    if !url || find(&params, &["elicitationId"])?.is_some() {
        return Ok(params);
    }
    let id: [u8; 16] = state::random();
    let id: String = id
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect();
    Edit::new(&params).set(&["elicitationId"], quote(&id)).finish()
}

impl Answers {
    /// The params of the call with these answers and the upstream's state in place of earlier ones.
    pub(crate) fn into_params(self, params: &[u8]) -> Result<Bytes, RpcError> {
        let mut responses = vec![b'{'];
        for (n, (key, answer)) in self.answers.iter().enumerate() {
            if n > 0 {
                responses.push(b',');
            }
            push_quoted(&mut responses, key);
            responses.push(b':');
            responses.extend_from_slice(answer);
        }
        responses.push(b'}');
        let edit = Edit::new(params);
        let edit = if self.answers.is_empty() {
            edit.remove(&["inputResponses"])
        } else {
            edit.set(&["inputResponses"], responses)
        };
        let edit = match &self.state {
            Some(state) => edit.set(&["requestState"], &state[..]),
            None => edit.remove(&["requestState"]),
        };
        edit.finish().map_err(|malformed| malformed.rpc_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_question_that_opens_a_url_gets_an_id() {
        let form = Bytes::from_static(br#"{"message":"who?","requestedSchema":{}}"#);
        assert_eq!(named("elicitation/create", form.clone()).unwrap(), form);
        assert_eq!(named("roots/list", Bytes::new()).unwrap(), Bytes::new());
        let url = Bytes::from_static(br#"{"mode":"url","url":"https://example.com","message":"go"}"#);
        let named = named("elicitation/create", url).unwrap();
        let id = find(&named, &["elicitationId"]).unwrap().and_then(as_str).unwrap();
        assert_eq!(id.len(), 32);
        assert_eq!(find(&named, &["url"]).unwrap(), Some(&br#""https://example.com""#[..]));
    }
}

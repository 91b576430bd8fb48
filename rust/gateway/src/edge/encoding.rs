//! Answers in fewer bytes: which coding a client is sent, and what is packed at all.
//!
//! zstd before brotli before gzip, where the client likes them alike; only text, and only what is large enough to be
//! worth it. What is kept as a zstd frame goes out as that frame: it is in memory already, and the envelope around it
//! is put into it as plain blocks, so that such an answer costs neither packing nor unpacking. Everything else is
//! packed by an [`Encoder`], a slice at a time, as the client reads.

use async_stream::try_stream;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::Body as _;
use omnimind_cache::compressed::enclose;

use super::{encoder::Encoder, respond::Body};
use crate::{
    config::Edge,
    reply::{Pieces, Whole},
};

/// What is packed at once. A slice takes a millisecond or two, and a larger body lets others run after each.
const SLICE: usize = 32 << 10;

/// A content coding of ours, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Zstd,
    Brotli,
    Gzip,
}

impl Coding {
    pub(super) const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// Its name in `Content-Encoding`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// The coding a client likes best, by `Accept-Encoding`; none if it likes the plain text better, or says nothing.
    pub(super) fn liked(headers: &HeaderMap) -> Option<Self> {
        let mut best: Option<(Self, u16)> = None;
        for coding in Self::ALL {
            let weight = weight(headers, coding.name()).unwrap_or(0);
            if weight > best.map_or(0, |(_, most)| most) {
                best = Some((coding, weight));
            }
        }
        let plain = weight(headers, "identity").unwrap_or(0);
        best.filter(|(_, weight)| *weight >= plain).map(|(coding, _)| coding)
    }
}

/// How much a client likes a coding that it names, in thousandths; a weight that is none counts as 1. A star is no
/// promise that the client knows any.
fn weight(headers: &HeaderMap, coding: &str) -> Option<u16> {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).find_map(|named| {
        let mut parts = named.split(';').map(str::trim);
        parts.next().filter(|name| name.eq_ignore_ascii_case(coding))?;
        let said = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let q = said.and_then(|q| q.parse::<f32>().ok()).filter(|q| q.is_finite()).unwrap_or(1.0);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000 after the clamp")]
        Some((q.clamp(0.0, 1.0) * 1_000.0) as u16)
    })
}

/// True if `Accept-Encoding` names zstd and does not forbid it.
pub(super) fn accepts_zstd(headers: &HeaderMap) -> bool {
    weight(headers, Coding::Zstd.name()).is_some_and(|weight| weight > 0)
}

/// The body as one zstd frame, if a part of it is kept as one.
pub(super) fn packed(whole: &Whole) -> Option<Bytes> {
    let kept = whole.kept.as_ref()?;
    enclose(whole.body.get(..kept.part.start)?, &kept.frame, whole.body.get(kept.part.end..)?)
}

/// Says how the body is packed, and that another client may get another body.
pub(super) fn declare(headers: &mut HeaderMap, coding: Coding) {
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    depends_on_client(headers);
}

/// Says that another client may get another body.
pub(super) fn depends_on_client(headers: &mut HeaderMap) {
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
}

/// Whether a text of so many bytes is packed for those who like that.
pub(super) fn is_worth_it(edge: &Edge, bytes: u64) -> bool {
    edge.compression && bytes >= edge.compress_from_bytes as u64
}

/// Packs an answer, if that is wanted and worth it.
pub(super) fn apply(coding: Option<Coding>, edge: &Edge, mut response: Response<Body>) -> Response<Body> {
    if !is_packable(edge, &response) {
        return response;
    }
    depends_on_client(response.headers_mut());
    let Some(coding) = coding else { return response };
    let (mut head, body) = response.into_parts();
    let packed = match body {
        Body::Whole(Some(whole)) if whole.len() <= SLICE => match Encoder::pack(coding, &whole) {
            Ok(packed) => Body::whole(packed),
            // No memory for tables: the text as it is does as well.
            Err(_) => return Response::from_parts(head, Body::whole(whole)),
        },
        Body::Whole(Some(whole)) => Body::Pieces(encoded(coding, Box::pin(stream::iter([Ok(whole)])), false)),
        Body::Pieces(pieces) => Body::Pieces(encoded(coding, pieces, false)),
        Body::Events(events) => Body::Events(encoded(coding, events, true)),
        Body::Around(Some(around)) => {
            Body::Pieces(encoded(coding, Box::pin(stream::iter(around.into_parts().map(Ok))), false))
        }
        Body::Whole(None) | Body::Around(None) | Body::Endless(_) => return Response::from_parts(head, body),
    };
    declare(&mut head.headers, coding);
    Response::from_parts(head, packed)
}

/// True for text that is not packed yet and large enough. A stream without an end of its own is never packed: what it
/// says is short and rare, and a window for each of thousands would be held for nothing.
fn is_packable(edge: &Edge, response: &Response<Body>) -> bool {
    let large = match response.body() {
        Body::Whole(_) | Body::Around(_) => is_worth_it(edge, response.body().size_hint().lower()),
        Body::Pieces(_) | Body::Events(_) => edge.compression,
        Body::Endless(_) => false,
    };
    if !large {
        return false;
    }
    let headers = response.headers();
    let text = headers.get(header::CONTENT_TYPE).is_some_and(|kind| {
        let kind = kind.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        kind == b"application/json" || kind.starts_with(b"text/")
    });
    text && response.status() != StatusCode::NO_CONTENT && !headers.contains_key(header::CONTENT_ENCODING)
}

/// A large text, slice by slice.
fn slices(mut rest: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        let slice = rest.split_to(rest.len().min(SLICE));
        (!slice.is_empty()).then_some(slice)
    })
}

/// Pieces packed as one stream. Where `flushed`, all that was said is with the client after each piece.
fn encoded(coding: Coding, pieces: Pieces, flushed: bool) -> Pieces {
    Box::pin(try_stream! {
        let mut pieces = pieces;
        let mut encoder = Encoder::new(coding)?;
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            let long = piece.len() > SLICE;
            for slice in slices(piece) {
                let packed = encoder.push(&slice)?;
                if !packed.is_empty() {
                    yield packed;
                }
                if long {
                    tokio::task::yield_now().await;
                }
            }
            if flushed {
                yield encoder.flush()?;
            }
        }
        yield encoder.finish()?;
    })
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "a test may")]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::ACCEPT_ENCODING, value.parse().expect("a header"));
        }
        headers
    }

    #[test]
    fn zstd_is_sent_only_to_who_names_it() {
        for yes in [&["zstd"][..], &["gzip, br;q=0.5, ZSTD ; q=0.1"], &["gzip", "zstd"], &["zstd;q=x"]] {
            assert!(accepts_zstd(&headers(yes)), "{yes:?}");
        }
        for no in [&[][..], &["*"], &["gzip, deflate"], &["zstd;q=0"], &["zstd; q=0.000"], &["zstdx"], &["\u{e9}zstd"]]
        {
            assert!(!accepts_zstd(&headers(no)), "{no:?}");
        }
    }

    #[test]
    fn the_coding_is_the_one_the_client_likes_best_and_ours_among_equals() {
        let liked = |values: &[&str]| Coding::liked(&headers(values));
        for (values, coding) in [
            (&["gzip, deflate, br, zstd"][..], Some(Coding::Zstd)),
            (&["gzip, deflate, br"], Some(Coding::Brotli)),
            (&["gzip", "deflate"], Some(Coding::Gzip)),
            (&["gzip;q=1.0, zstd;q=0.5"], Some(Coding::Gzip)),
            (&["gzip;q=0.3, br;q=0.9, zstd;q=0.8"], Some(Coding::Brotli)),
            (&["gzip, identity;q=0.5"], Some(Coding::Gzip)),
            (&["gzip, identity"], Some(Coding::Gzip)),
            (&["gzip;q=0.5, identity"], None),
            (&["gzip;q=0, br;q=0.0"], None),
            (&["identity"], None),
            (&["deflate, compress"], None),
            (&["*"], None),
            (&[], None),
        ] {
            assert_eq!(liked(values), coding, "{values:?}");
        }
    }
}

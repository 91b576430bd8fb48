//! Answers in fewer bytes: what is kept as a zstd frame goes out as that frame, if the client can read it.
//!
//! Nothing is compressed here. The frame is in memory already, and the envelope around it is put into it as plain
//! blocks, so that an answer costs neither packing nor unpacking.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use omnimind_cache::compressed::enclose;

use crate::reply::Whole;

/// True if `Accept-Encoding` names zstd and does not forbid it. A star is no promise that the client knows it.
pub(super) fn accepts_zstd(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            parts.next().is_some_and(|name| name.eq_ignore_ascii_case("zstd")) && parts.all(|weight| !is_zero(weight))
        })
    })
}

/// `q=0`, with or without decimals.
fn is_zero(weight: &str) -> bool {
    let q = weight.strip_prefix("q=").or_else(|| weight.strip_prefix("Q="));
    q.is_some_and(|q| q.parse::<f32>().is_ok_and(|q| q <= 0.0))
}

/// The body as one zstd frame, if a part of it is kept as one.
pub(super) fn packed(whole: &Whole) -> Option<Bytes> {
    let kept = whole.kept.as_ref()?;
    enclose(whole.body.get(..kept.part.start)?, &kept.frame, whole.body.get(kept.part.end..)?)
}

/// Says that the body is one zstd frame, and that another client may get another body.
pub(super) fn declare(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("zstd"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zstd_is_sent_only_to_who_names_it() {
        let accepts = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::ACCEPT_ENCODING, value.parse().expect("a header"));
            }
            accepts_zstd(&headers)
        };
        for yes in [&["zstd"][..], &["gzip, br;q=0.5, ZSTD ; q=0.1"], &["gzip", "zstd"], &["zstd;q=x"]] {
            assert!(accepts(yes), "{yes:?}");
        }
        for no in [&[][..], &["*"], &["gzip, deflate"], &["zstd;q=0"], &["zstd; q=0.000"], &["zstdx"], &["\u{e9}zstd"]]
        {
            assert!(!accepts(no), "{no:?}");
        }
    }
}

//! The encoder against a small description made here, and against the installed package where it is.

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::*;

/// The encoder of the package that `make .tools/encoder` lays down, or that the variable names.
pub(in crate::semantic) fn installed() -> Option<&'static StaticEncoder> {
    static ENCODER: LazyLock<Option<StaticEncoder>> = LazyLock::new(|| {
        let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.tools/encoder/wordllama"));
        let folder = std::env::var_os("OMNIMIND_ENCODER").map_or(beside, PathBuf::from);
        let tokenizer = folder.join("tokenizers/l2_supercat_tokenizer_config.json");
        let weights = folder.join("weights/l2_supercat_256.safetensors");
        tokenizer.exists().then(|| StaticEncoder::open(&weights, &tokenizer).expect("the installed encoder"))
    });
    ENCODER.as_ref()
}

/// A text, its tokens, and its vector, as the Python package made them (`tests/data/encode.py`).
fn expected() -> Vec<(String, Vec<u32>, Vec<f32>)> {
    let vectors = include_bytes!("../../../tests/data/encoded.bin").as_chunks::<256>().0;
    let lines = include_str!("../../../tests/data/encoded.tsv").lines();
    let read = |(line, vector): (&str, &[u8; 256])| {
        let (text, tokens) = line.split_once('\t').unwrap();
        let tokens = tokens.split_whitespace().map(|token| token.parse().unwrap()).collect();
        let vector = vector.iter().map(|byte| f32::from(byte.cast_signed())).collect();
        (serde_json::from_str(text).unwrap(), tokens, vector)
    };
    lines.zip(vectors).map(read).collect()
}

#[test]
fn tokens_and_vectors_are_those_of_the_package() {
    let Some(encoder) = installed() else {
        println!("skipped: the package is not there (make .tools/encoder)");
        return;
    };
    let mut least = 1.0_f32;
    let expected = expected();
    for (text, tokens, vector) in &expected {
        assert_eq!(encoder.pairs.tokenize(text).as_ref(), Some(tokens), "{text:?}");
        match (encoder.encode(text), Vector::new(vector)) {
            (Some(ours), Some(theirs)) => least = least.min(ours.cosine(&theirs).unwrap()),
            (ours, theirs) => assert_eq!(ours, theirs, "{text:?}"),
        }
    }
    println!("{} texts, least cosine {least}", expected.len());
    assert!(least >= 0.999 && expected.len() >= 250);
}

const PIECES: [&str; 12] = ["\u{2581}", "a", "b", "c", "ab", "bc", "abc", "\u{2581}a", "\u{2581}ab", "cc", "d", "ccc"];

/// A description of a tokenizer of 256 bytes and [`PIECES`].
fn description() -> Value {
    let bytes = (0..256_u32).map(|byte| (format!("<0x{byte:02X}>"), json!(byte)));
    let pieces = PIECES.iter().zip(256_u32..).map(|(piece, id)| ((*piece).to_owned(), json!(id)));
    json!({
        "version": "1.0",
        "added_tokens": [{"id": 0, "content": "<s>"}],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "\u{2581}"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "\u{2581}"},
        ]},
        "pre_tokenizer": null,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
            "vocab": bytes.chain(pieces).collect::<serde_json::Map<_, _>>(),
            "merges": ["b c", "a b", "a bc", "\u{2581} a", "\u{2581} ab", "c c", "cc c", "c cc"],
        },
    })
}

/// A table of as many rows, of four dimensions.
fn table(rows: u16) -> Vec<u8> {
    let data: Vec<u8> = (0..rows * 4).flat_map(|at| (0x3c00 + at % 7 * 16).to_le_bytes()).collect();
    let head = json!({"embedding.weight": {"dtype": "F16", "shape": [rows, 4], "data_offsets": [0, data.len()]}});
    with_head(&head, &data)
}

fn with_head(head: &Value, data: &[u8]) -> Vec<u8> {
    let head = head.to_string();
    [&(head.len() as u64).to_le_bytes(), head.as_bytes(), data].concat()
}

#[test]
fn pairs_are_merged_by_rank_and_unknown_characters_are_bytes() {
    let pairs = Pairs::read(description().to_string().as_bytes()).unwrap();
    let id = |piece: &str| 256 + u32::try_from(PIECES.iter().position(|other| *other == piece).unwrap()).unwrap();
    let cases = [
        ("", vec![]),
        ("abc", vec![id("\u{2581}"), id("abc")]),
        ("ab", vec![id("\u{2581}ab")]),
        ("a a", vec![id("\u{2581}a"), id("\u{2581}a")]),
        ("ccccc", vec![id("\u{2581}"), id("cc"), id("ccc")]),
        ("é", vec![id("\u{2581}"), 0xc3, 0xa9]),
        ("d\n", vec![id("\u{2581}"), id("d"), 0x0a]),
    ];
    for (text, tokens) in cases {
        assert_eq!(pairs.tokenize(text), Some(tokens), "{text:?}");
    }
    assert_eq!(pairs.tokenize("an <s> inside"), None, "its own signs mean something else");
}

#[test]
fn a_table_or_a_description_of_another_form_is_refused_with_the_reason() {
    let table_of = |head: Value, data: &[u8]| Table::read(&with_head(&head, data)).err().unwrap();
    let good = |name: &str, dtype: &str, shape: &[usize], offsets: [usize; 2]| json!({name: {"dtype": dtype, "shape": shape, "data_offsets": offsets}});
    let bad = [
        table_of(good("other", "F16", &[2, 4], [0, 16]), &[0; 16]),
        table_of(good("embedding.weight", "F32", &[2, 4], [0, 32]), &[0; 32]),
        table_of(good("embedding.weight", "F16", &[2, 4], [0, 16]), &[0; 15]),
        table_of(good("embedding.weight", "F16", &[2, 4], [2, 18]), &[0; 16]),
        table_of(good("embedding.weight", "F16", &[usize::MAX, 4], [0, 16]), &[0; 16]),
        table_of(good("embedding.weight", "F16", &[1, 4], [0, 8]), &[0, 0, 0, 0, 0, 0, 0, 0x7c]),
        Table::read(&u64::MAX.to_le_bytes()).err().unwrap(),
        Table::read(&[1, 2]).err().unwrap(),
    ];
    let reasons = ["embedding.weight", "F32", "15 bytes", "16 bytes", "16 bytes", "row 0", "a head of", "shorter"];
    for (error, reason) in bad.iter().zip(reasons) {
        assert!(error.contains(reason), "{error:?} does not say {reason:?}");
    }
    for (path, value) in [
        ("/pre_tokenizer", json!({"type": "Whitespace"})),
        ("/normalizer", json!({"type": "Prepend", "prepend": "x"})),
        ("/model/type", json!("WordPiece")),
        ("/model/byte_fallback", json!(false)),
        ("/model/vocab", json!({"a": 1})),
        ("/model/merges", json!(["a"])),
        ("/model/merges", json!(["a zz"])),
    ] {
        let mut description = description();
        *description.pointer_mut(path).unwrap() = value;
        assert!(Pairs::read(description.to_string().as_bytes()).is_err(), "{path}");
    }
}

#[test]
fn no_prefix_of_a_table_is_a_table() {
    let whole = table(3);
    assert!(Table::read(&whole).is_ok());
    for length in 0..whole.len() {
        assert!(Table::read(&whole[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn files_are_read_from_where_they_are_and_must_belong_together() {
    let folder = std::env::temp_dir().join(format!("omnimind-encoder-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (weights, tokenizer) = (folder.join("weights"), folder.join("tokenizer"));
    fs::write(&tokenizer, description().to_string()).unwrap();
    let missing = StaticEncoder::open(&weights, &tokenizer).err().unwrap().to_string();
    assert!(missing.contains("weights") && missing.contains("cannot be read"), "{missing}");
    fs::write(&weights, table(100)).unwrap();
    assert!(matches!(
        StaticEncoder::open(&weights, &tokenizer),
        Err(EncoderRefused::Mismatch { rows: 100, tokens: 268 })
    ));
    fs::write(&weights, table(268)).unwrap();
    let encoder = StaticEncoder::open(&weights, &tokenizer).unwrap();
    assert_eq!(encoder.encode("abc").unwrap().values().len(), encoder.dimensions());
    assert_eq!(encoder.encode(&"a".repeat(LONGEST_TEXT + 1)), None);
    assert_eq!(encoder.encode(""), None);
    fs::remove_dir_all(&folder).unwrap();
}

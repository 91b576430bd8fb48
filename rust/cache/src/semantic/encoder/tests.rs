//! The encoder against a small description made here, and against the installed package where it is.

use std::path::PathBuf;
use std::sync::LazyLock;

use super::*;

/// The encoder of the package that `make .tools/encoder` laid down, or that the variable names.
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

//! The semantic level's row: a question in other words, from its text to the key of the answer.

use std::path::PathBuf;
use std::time::Instant;

use omnimind_cache::semantic::{
    Claim, Encoder, PER_SCOPE, Proposal, Scope, Semantic, SemanticLimits, StaticEncoder, ToolId,
};

use crate::rows::{FOREVER, Measured, NOW, Row, Setup, key};
use crate::spread::Spread;

const TOOL: ToolId = ToolId(1);
const SCOPE: Scope = Scope([1; 32]);
/// Pairs the level is shown before it is measured; it needs 459 in one band of similarity.
const TAUGHT: usize = 4_000;
/// A number of which 50 divides no power: nothing is checked instead of served.
const DICE: u64 = 1;

/// Encoding, the search among all texts of one scope, the guard. What is kept under the key comes out of another level.
pub(crate) fn row(setup: &Setup) -> Measured {
    let row = Row { level: "semantic", once_named: "10 ms", ..Row::default() };
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.tools/encoder/wordllama"));
    let folder = std::env::var_os("OMNIMIND_ENCODER").map_or(beside, PathBuf::from);
    let weights = folder.join("weights/l2_supercat_256.safetensors");
    if !weights.exists() {
        return Ok(Row { off: Some("there is no encoder (make .tools/encoder/wordllama)"), ..row });
    }
    let encoder = StaticEncoder::open(&weights, &folder.join("tokenizers/l2_supercat_tokenizer_config.json"))?;
    let semantic = Semantic::new(SemanticLimits { max_bytes: 64 << 20 });
    let entries = setup.entries.min(PER_SCOPE);
    for number in 0..entries {
        let text = format!("show the {}", thing(number));
        let vector = encoder.encode(&text).ok_or("a text without a vector")?;
        semantic.insert(SCOPE, TOOL, &text, &vector, key(number), answer(number), FOREVER);
    }
    let ask = |number: usize| -> Option<Proposal> {
        let text = format!("list the {}", thing(number));
        Some(semantic.propose(SCOPE, TOOL, &text, &encoder.encode(&text)?, DICE, NOW))
    };
    for number in 0..TAUGHT {
        if let Some(Proposal::Shadow(claim)) = ask(number % entries)
            && right(&claim, number % entries)
        {
            semantic.verdict(TOOL, &claim, answer(number % entries));
        }
    }
    let mut times = Vec::new();
    for number in 0..entries {
        let begin = Instant::now();
        let proposal = ask(number);
        let took = begin.elapsed();
        if let Some(Proposal::Serve(claim)) = proposal {
            if !right(&claim, number) {
                return Err(format!("{number} was answered with another's answer").into());
            }
            times.push(took);
        }
    }
    Ok(Row { warm: Spread::of(times), ..row })
}

fn right(claim: &Claim, number: usize) -> bool {
    claim.key == key(number)
}

fn answer(number: usize) -> u128 {
    number as u128
}

/// Something to ask for, of which there are many.
fn thing(number: usize) -> String {
    const LOOK: [&str; 10] =
        ["wooden", "plain", "painted", "spare", "rented", "folding", "striped", "padded", "framed", "woven"];
    const WHAT: [&str; 10] =
        ["tents", "lamps", "rugs", "pens", "canoes", "drums", "ladders", "crates", "stools", "kites"];
    format!("{} {} of house {}", LOOK[number % 10], WHAT[number / 10 % 10], number / 100)
}

//! What is told in fewer tokens: results, where the file says so, and lists of tools.

use std::collections::BTreeMap;

use serde::Deserialize;

/// How much shorter a result becomes.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default)]
pub struct Press {
    /// The part of its tokens that stays, 0 to 1.
    pub share: f64,
    /// At most so many tokens stay.
    pub budget_tokens: Option<usize>,
    /// A shorter result is left as it is, in tokens.
    pub from_tokens: usize,
}

impl Default for Press {
    fn default() -> Self {
        Self { share: 0.25, budget_tokens: None, from_tokens: 1_000 }
    }
}

impl Press {
    /// The tokens that a result of so many may keep; none if it is left as it is.
    pub fn budget(&self, tokens: usize) -> Option<usize> {
        if tokens < self.from_tokens {
            return None;
        }
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a count of tokens, rounded down"
        )]
        let share = (tokens as f64 * self.share) as usize;
        Some(share.min(self.budget_tokens.unwrap_or(usize::MAX)).max(1))
    }
}

/// What becomes of the results of one server's tools.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ServerCompress {
    /// Of those that are not named; `None`: they stay as they are.
    pub press: Option<Press>,
    /// Of single tools; `None`: they stay as they are, whoever asks.
    pub tools: BTreeMap<String, Option<Press>>,
    /// How its own endpoints tell its list of tools.
    pub tool_list: ToolList,
}

/// How `tools/list` is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToolList {
    /// As the servers say it.
    #[default]
    Whole,
    /// In the protocol's form, without what no call needs.
    Pruned,
    /// As one tool that calls the others, which its description tells in a line each.
    Signatures,
    /// As one tool that finds others and one that calls them.
    Search,
}

impl ToolList {
    /// All, with their names.
    pub const ALL: [(&'static str, Self); 4] =
        [("whole", Self::Whole), ("pruned", Self::Pruned), ("signatures", Self::Signatures), ("search", Self::Search)];

    /// The list does not have the tools themselves.
    pub fn hides_tools(self) -> bool {
        matches!(self, Self::Signatures | Self::Search)
    }
}

/// How lists of tools are told where no server's own endpoint is asked, or to whom it does not matter which is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ToolLists {
    /// At the endpoint of all servers.
    pub all: ToolList,
    /// To single principals, by their names, at every endpoint.
    pub clients: BTreeMap<String, ToolList>,
}

impl Default for ToolLists {
    fn default() -> Self {
        Self { all: ToolList::Pruned, clients: BTreeMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_and_a_budget_are_both_upper_bounds() {
        let press = Press { share: 0.25, budget_tokens: Some(3_000), from_tokens: 1_000 };
        assert_eq!(press.budget(999), None);
        assert_eq!(press.budget(1_000), Some(250));
        assert_eq!(press.budget(100_000), Some(3_000));
        assert_eq!(Press { share: 0.01, ..Press::default() }.budget(1_000), Some(10));
    }
}

//! What a caller wants of a text: how long it may be, what is asked of it, and what is known of where it came from.

use crate::meaning::Encoder;

/// What to press for. The default has no budget: nothing is left out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Policy<'a> {
    /// The tokens that what comes out may cost; none: only what loses nothing is done.
    pub budget: Option<usize>,
    /// What the reader wants to know, in words; empty if that is not known.
    pub query: &'a str,
    /// What is known of where the text came from.
    pub hints: Hints<'a>,
    /// Who cannot know this key cannot make up a mark that [`mark::verify`](crate::mark::verify) takes for ours.
    pub key: [u8; 32],
    /// Nobody knows which sentences will be asked for: let prose keep half of its tokens, whatever the budget says. The
    /// promise is then that larger budget.
    pub gentle: bool,
    /// The tool by which a reader gets what was left out; empty if there is none.
    pub reader: &'a str,
    /// What knows sentences that say the same in other words; none: words alone are compared.
    pub encoder: Option<&'a dyn Encoder>,
}

/// What is known of where a text came from. It settles only what the text itself leaves open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hints<'a> {
    /// Its MIME type.
    pub mime: &'a str,
    /// The name of the tool that made it, or of the file that holds it.
    pub name: &'a str,
}

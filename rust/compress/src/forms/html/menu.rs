//! Links that follow each other with nothing between them.

use std::ops::Range;

/// So many links one after the other are a menu.
const MENU: usize = 3;
/// How long a menu's unit is, in bytes.
const UNIT: usize = 240;

/// What may become a menu: each link as it is printed by itself, and where it stands.
#[derive(Default)]
pub(super) struct Menu(Vec<(String, Range<usize>)>);

impl Menu {
    pub(super) fn push(&mut self, shown: String, source: Range<usize>) {
        self.0.push((shown, source));
    }

    /// Says what was collected: links for themselves, or lines of them; their words only, if that is told.
    pub(super) fn end(&mut self, words: bool, mut say: impl FnMut(String, Range<usize>)) {
        let links = std::mem::take(&mut self.0);
        if links.len() < MENU {
            for (shown, source) in links {
                say(shown, source);
            }
            return;
        }
        let mut line = String::new();
        let mut place: Option<Range<usize>> = None;
        for (shown, source) in links {
            let bare = shown.trim_start_matches([' ', '-', '>']);
            let bare = if words { words_only(bare) } else { bare };
            if line.len() + bare.len() > UNIT
                && let Some(place) = place.take()
            {
                say(std::mem::take(&mut line), place);
            }
            line.push_str(if line.is_empty() { "" } else { " | " });
            line.push_str(bare);
            place = Some(place.map_or(source.clone(), |place| place.start..source.end));
        }
        if let Some(place) = place {
            say(line, place);
        }
    }
}

/// The words of a link without where it leads.
fn words_only(text: &str) -> &str {
    text.split(" (").next().unwrap_or_default()
}

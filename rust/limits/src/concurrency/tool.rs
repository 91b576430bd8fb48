//! What is known of each kind of tool.

/// Tools of one server whose calls take about as long. The same number, the same baseline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ToolClass(pub u8);

/// A value for each kind of tool; memory for those up to the highest that was set.
#[derive(Clone, Debug, Default)]
pub(crate) struct ByTool<V>(Vec<V>);

impl<V: Copy + Default> ByTool<V> {
    pub(crate) fn get(&self, tool: ToolClass) -> V {
        self.0.get(usize::from(tool.0)).copied().unwrap_or_default()
    }

    pub(crate) fn set(&mut self, tool: ToolClass, value: V) {
        let place = usize::from(tool.0);
        if place >= self.0.len() {
            self.0.resize(place.saturating_add(1), V::default());
        }
        if let Some(old) = self.0.get_mut(place) {
            *old = value;
        }
    }
}

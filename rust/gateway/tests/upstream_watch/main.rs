//! How the gateway learns that something an upstream said has changed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a test may"
)]

mod reports;
mod streams;
mod subscriptions;
#[path = "../upstream_doubles/mod.rs"]
mod upstream_doubles;

use std::{sync::Arc, time::Duration};

use omnimind_gateway::upstream::{Change, Fleet, Watch};
use parking_lot::Mutex;
use serde_json::{Value, json};
use upstream_doubles::{KEY, change, lines::Double, watched};

const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// One change as it was told: to whom, and what.
type Told = (Option<String>, Change);

/// Writes down what is told. It takes its time, so that a client told at the same time would be first.
#[derive(Default)]
struct Log {
    told: Mutex<Vec<Told>>,
    pause: Duration,
}

impl Watch for Log {
    fn changed(&self, _: &str, principal: Option<&str>, change: Change) {
        std::thread::sleep(self.pause);
        self.told.lock().push((principal.map(str::to_owned), change));
    }
}

impl Log {
    fn slow() -> Arc<Self> {
        Arc::new(Self { pause: Duration::from_millis(15), ..Self::default() })
    }

    /// All that was told since it was asked last.
    fn take(&self) -> Vec<Told> {
        std::mem::take(&mut self.told.lock())
    }

    /// How often this was told.
    fn count(&self, change: &Change) -> usize {
        self.told.lock().iter().filter(|(_, told)| told == change).count()
    }
}

fn for_ann(change: Change) -> Told {
    (Some("ann".to_owned()), change)
}

fn updated(uri: &str) -> Change {
    Change::Updated(uri.into())
}

fn note(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "method": format!("notifications/{method}"), "params": params})
}

/// A fleet with one third-party server on this double's socket.
fn stranger(double: &Double, log: &Arc<Log>) -> Arc<Fleet> {
    watched(&json!([{"name": "s", "kind": "unix", "tier": "high", "path": double.path}]), log.clone()).0
}

/// A fleet with one worker behind this double.
fn worker(double: &Double, log: &Arc<Log>) -> Arc<Fleet> {
    let servers = json!([{"name": "s", "kind": "worker", "tier": "high", "sessions": "shared", "first_party": true}]);
    let fleet = watched(&servers, log.clone()).0;
    fleet.server_changed(change("s", "ready", &json!({"path": double.path, "key": KEY})));
    fleet
}

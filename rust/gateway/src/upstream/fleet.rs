//! All configured servers: what state they are in, and a connection to each for whoever may have one.

use std::{fmt, os::fd::OwnedFd, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use omnimind_wire::{Reason, Refusal};
use serde::Serialize;
use tokio::{sync::broadcast, time::Instant};

use super::{
    Lease, Wish,
    children::Children,
    server::{Server, is_up},
    spool::Spool,
    watch::{Reporter, Watch},
};
use crate::{
    config::{ServerSpec, Snapshot},
    control::{ChildAnswer, Outbox, ServerChange, ServerCount, State},
    pool::{Report, Trust},
};

/// A caller waits no longer than this for a server to come up.
const PATIENCE: Duration = Duration::from_secs(10);
/// Unused connections are looked for this often.
const SWEEP: Duration = Duration::from_secs(10);

/// All configured servers.
pub struct Fleet {
    pub(super) epoch: u32,
    pub(super) own_version: Arc<str>,
    pub(super) spool: Arc<Spool>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) trust: Arc<Trust>,
    pub(super) children: Children,
    servers: ArcSwap<Vec<Arc<Server>>>,
    changes: broadcast::Sender<()>,
    watch: Arc<dyn Watch>,
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet").field("servers", &self.servers).finish_non_exhaustive()
    }
}

/// A server as of now.
#[derive(Debug, Clone)]
pub struct ServerView {
    /// Its configuration.
    pub spec: Arc<ServerSpec>,
    /// Its state.
    pub state: State,
    /// Why, for people.
    pub reason: Option<String>,
    /// When to ask again.
    pub retry_after_ms: Option<u64>,
}

impl ServerView {
    /// True if it takes calls.
    pub fn is_ready(&self) -> bool {
        is_up(self.state)
    }
}

impl Fleet {
    /// The servers of a snapshot, and who is told when something of theirs changes (`()` is nobody). Called inside
    /// a tokio runtime, which also carries the connections.
    pub fn new(epoch: u32, snapshot: &Snapshot, outbox: Arc<Outbox>, watch: Arc<dyn Watch>) -> Arc<Self> {
        let servers = snapshot.servers.iter().map(|spec| begin(spec, &watch)).collect();
        let fleet = Arc::new(Self {
            epoch,
            own_version: Arc::from(&*snapshot.version),
            spool: Spool::new(&snapshot.state_dir),
            outbox,
            trust: Arc::default(),
            children: Children::default(),
            servers: ArcSwap::from_pointee(servers),
            changes: broadcast::channel(1).0,
            watch,
        });
        let swept = Arc::downgrade(&fleet);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(SWEEP).await;
                let Some(fleet) = swept.upgrade() else { return };
                fleet.servers.load().iter().for_each(|server| server.sweep());
            }
        });
        fleet
    }

    /// Takes a new snapshot: servers that are configured as before keep their connections, the others get new
    /// ones, and what is in flight goes on.
    pub fn apply(&self, snapshot: &Snapshot) {
        let old = self.servers.load_full();
        let servers =
            snapshot.servers.iter().map(|spec| match old.iter().find(|server| server.spec.name == spec.name) {
                None => begin(spec, &self.watch),
                Some(known) if known.spec.is_but_for_limits(spec) => Arc::clone(known),
                Some(known) => known.successor(spec.clone()),
            });
        let servers: Vec<Arc<Server>> = servers.collect();
        let stays = |server: &&Arc<Server>| servers.iter().any(|other| Arc::ptr_eq(server, other));
        let replaced: Vec<_> = old.iter().filter(|server| !stays(server)).cloned().collect();
        self.servers.store(Arc::new(servers));
        for server in replaced {
            server.leave();
        }
        self.announce();
    }

    /// Takes the orchestrator's word on a server.
    pub fn server_changed(&self, change: ServerChange) {
        if let Some(server) = self.find(&change.name)
            && server.change(change)
        {
            self.announce();
        }
    }

    /// Takes a child, or the news that there is none.
    pub fn child_answer(&self, answer: ChildAnswer, descriptors: Vec<OwnedFd>) {
        self.children.answer(answer, descriptors, &self.outbox);
    }

    /// Takes the news that a child has ended.
    pub fn child_gone(&self, child: u64, reason: &str) {
        self.children.gone(child, reason);
    }

    /// Takes the news that a child is replaced.
    pub fn child_retire(&self, child: u64, patience: Duration) {
        self.children.retire(child, patience, &self.outbox);
    }

    /// Notes a call that did not get as far as a connection.
    pub fn unmet(&self, server: &str) {
        if let Some(server) = self.find(server) {
            server.tally().called();
            server.tally().failed();
        }
    }

    /// Calls by server.
    pub fn counts(&self) -> Vec<ServerCount> {
        self.servers.load().iter().map(|server| server.tally().count(&server.spec.name)).collect()
    }

    /// How often each server began anew.
    pub fn restarts(&self) -> Vec<(String, u64)> {
        self.servers.load().iter().map(|server| (server.spec.name.clone(), server.tally().restarts())).collect()
    }

    /// Connections to servers over HTTP, by server; none for a server that nobody has asked yet.
    pub fn pools(&self) -> Vec<(String, Report)> {
        let servers = self.servers.load();
        servers.iter().filter_map(|server| Some((server.spec.name.clone(), server.connections()?))).collect()
    }

    /// The same, as an operator is told.
    pub fn connections(&self) -> serde_json::Value {
        #[derive(Serialize)]
        struct Named {
            name: String,
            #[serde(flatten)]
            report: Report,
        }
        let servers: Vec<Named> = self.pools().into_iter().map(|(name, report)| Named { name, report }).collect();
        serde_json::json!({"servers": servers})
    }

    /// All servers in configured order.
    pub fn servers(&self) -> Vec<ServerView> {
        self.servers.load().iter().map(|server| view(server)).collect()
    }

    /// One server.
    pub fn server(&self, name: &str) -> Option<ServerView> {
        self.find(name).map(|server| view(&server))
    }

    /// Hears whenever a server becomes or ceases to be ready, or the configuration changes.
    pub fn changes(&self) -> broadcast::Receiver<()> {
        self.changes.subscribe()
    }

    /// Gives a connection as wished. Waits for a server that is starting, wakes one that is parked, and opens
    /// what is not open; never longer than `until`, nor ten seconds.
    ///
    /// # Errors
    /// There is no such server, or no connection to it in that time.
    pub async fn lease(self: &Arc<Self>, server: &str, wish: Wish, until: Instant) -> Result<Lease, Refusal> {
        let until = until.min(Instant::now() + PATIENCE);
        loop {
            let found = self.find(server).ok_or_else(|| {
                Refusal::new(Reason::UnknownServer, "server", format!("there is no server {server:?}")).about(server)
            })?;
            match found.lease(self, &wish, until).await {
                Err(_) if found.has_left() && Instant::now() < until => {}
                leased => return leased,
            }
        }
    }

    fn find(&self, name: &str) -> Option<Arc<Server>> {
        self.servers.load().iter().find(|server| server.spec.name == name).cloned()
    }

    fn announce(&self) {
        // Nobody may be listening.
        let _ = self.changes.send(());
    }
}

fn begin(spec: &Arc<ServerSpec>, watch: &Arc<dyn Watch>) -> Arc<Server> {
    Server::new(spec.clone(), Reporter::new(Arc::clone(watch), &spec.name))
}

fn view(server: &Server) -> ServerView {
    let status = server.status();
    ServerView {
        spec: Arc::clone(&server.spec),
        state: status.state,
        reason: status.reason,
        retry_after_ms: status.retry_after_ms,
    }
}

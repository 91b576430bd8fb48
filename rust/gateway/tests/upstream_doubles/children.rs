//! Children without processes: pipes whose other ends a closure serves.

use std::{
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use omnimind_gateway::{control::Outbox, upstream::Fleet};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::unix::pipe;

use super::{
    change,
    lines::{Heard, Line, Speaks, converse},
};

/// An orchestrator that answers every wish for a child with the pipes of a double.
pub(crate) struct Nursery {
    wishes: Arc<Mutex<Vec<Value>>>,
    pub(crate) heard: Heard,
    pub(crate) serial: Arc<AtomicU64>,
    task: tokio::task::AbortHandle,
}

impl Drop for Nursery {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Nursery {
    /// What was said of a kind.
    pub(crate) fn wishes(&self, kind: &str) -> Vec<Value> {
        self.wishes.lock().iter().filter(|wish| wish["t"] == kind).cloned().collect()
    }
}

/// Pipes of a child: ours (stdin's write end, stdout's read end) and the child's.
pub(crate) fn pipes() -> ([OwnedFd; 2], OwnedFd, OwnedFd) {
    let (stdin_read, stdin_write) = rustix::pipe::pipe().unwrap();
    let (stdout_read, stdout_write) = rustix::pipe::pipe().unwrap();
    ([stdin_write, stdout_read], stdin_read, stdout_write)
}

/// Makes a descriptor fit for asynchronous use.
pub(crate) fn unblocked(descriptor: &OwnedFd) {
    let flags = rustix::fs::fcntl_getfl(descriptor).unwrap();
    rustix::fs::fcntl_setfl(descriptor, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
}

/// Starts one.
pub(crate) fn nursery(
    fleet: &Arc<Fleet>,
    outbox: &Arc<Outbox>,
    era: &'static str,
    handle: impl Fn(Value, Line) + Send + Sync + 'static,
) -> Nursery {
    promising(fleet, outbox, era, &json!({}), handle)
}

/// As [`nursery`], for children with these capabilities.
pub(crate) fn promising(
    fleet: &Arc<Fleet>,
    outbox: &Arc<Outbox>,
    era: &'static str,
    capabilities: &Value,
    handle: impl Fn(Value, Line) + Send + Sync + 'static,
) -> Nursery {
    let capabilities = capabilities.clone();
    let (wishes, heard, serial) = (Arc::<Mutex<Vec<Value>>>::default(), Heard::default(), Arc::<AtomicU64>::default());
    let handle: Arc<dyn Fn(Value, Line) + Send + Sync> = Arc::new(handle);
    let task = {
        let (fleet, outbox) = (Arc::clone(fleet), Arc::clone(outbox));
        let (wishes, heard, serial) = (Arc::clone(&wishes), Arc::clone(&heard), Arc::clone(&serial));
        tokio::spawn(async move {
            loop {
                for said in outbox.take() {
                    let said: Value = serde_json::from_str(&said).unwrap();
                    wishes.lock().push(said.clone());
                    if said["t"] != "want_child" {
                        continue;
                    }
                    let child = serial.fetch_add(1, Ordering::Relaxed) + 1;
                    let (ours, stdin, stdout) = pipes();
                    unblocked(&stdin);
                    unblocked(&stdout);
                    let reader = pipe::Receiver::from_owned_fd(stdin).unwrap();
                    let writer = pipe::Sender::from_owned_fd(stdout).unwrap();
                    let connection = usize::try_from(child).unwrap();
                    tokio::spawn(converse(
                        reader,
                        writer,
                        None,
                        Speaks::Both,
                        connection,
                        Arc::clone(&heard),
                        Arc::clone(&handle),
                    ));
                    let version = if era == "modern" { "2026-07-28" } else { "2025-11-25" };
                    let answer = json!({"request": said["request"], "ok": true, "child": child,
                        "negotiated": {"era": era, "version": version, "result": {"capabilities": capabilities}}});
                    fleet.child_answer(serde_json::from_value(answer).unwrap(), ours.into());
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
    };
    Nursery { wishes, heard, serial, task: task.abort_handle() }
}

/// A server of children.
pub(crate) fn stdio(sessions: &str) -> Value {
    json!([{"name": "c", "kind": "stdio", "tier": "medium", "sessions": sessions}])
}

/// Answers with what was sent, and by which child.
pub(crate) fn echo(message: Value, line: Line) {
    if message["id"].is_number() {
        line.answer(&message, &json!({"child": line.connection, "n": message["params"]["arguments"]["n"]}));
    }
}

/// Says that a server is ready.
pub(crate) fn ready(fleet: &Fleet, name: &str) {
    fleet.server_changed(change(name, "ready", &json!({})));
}

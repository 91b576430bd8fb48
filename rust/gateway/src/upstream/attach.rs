//! Who is on a connection, and what follows from it.
//!
//! Two decisions hang on this. **A question** of the upstream names nobody; it goes to the one legacy session
//! or leased call that is attached, and only if no one else has a call in flight that could have caused it:
//! it is refused rather than guessed. **A notification that names no request** goes out only where everyone
//! who ever used the connection is one principal; a trusted worker may name the principal itself, and a bare
//! "the list changed" says nothing about anybody.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{
    sync::{broadcast, mpsc, watch},
    time::Instant,
};

use super::{
    Note, Question, rewrite,
    watch::{Change, Onward, Reporter, Unasked},
};

/// Notifications a slow reader may fall behind before it loses the oldest.
const BACKLOG: usize = 32;
/// Questions that may wait for a session's attention.
const WAITING_QUESTIONS: usize = 16;

/// A notification that names no request, with its reach.
#[derive(Debug, Clone)]
pub(super) struct Unaddressed {
    /// The notification.
    pub note: Note,
    /// The only principal that may see it; `None` means all.
    pub only: Option<Arc<str>>,
}

/// What came over a connection and was of no use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waste {
    /// Lines that are no message.
    pub garbage: u64,
    /// Answers and notifications for calls that are gone, or of an earlier gateway.
    pub late: u64,
    /// Notifications that name no request and may go nowhere.
    pub unaddressed: u64,
}

/// [`Waste`] while it grows.
#[derive(Debug, Default)]
pub(super) struct Bin {
    pub garbage: AtomicU64,
    pub late: AtomicU64,
    pub unaddressed: AtomicU64,
}

impl Bin {
    /// The numbers as of now.
    pub(super) fn count(&self) -> Waste {
        let [garbage, late, unaddressed] =
            [&self.garbage, &self.late, &self.unaddressed].map(|n| n.load(Ordering::Relaxed));
        Waste { garbage, late, unaddressed }
    }
}

/// Everyone on one connection.
#[derive(Debug)]
pub(super) struct Circle {
    /// What was thrown away.
    pub bin: Bin,
    trusted: bool,
    reporter: Reporter,
    inner: Mutex<Inner>,
    notes: broadcast::Sender<Unaddressed>,
    ended: watch::Sender<Option<Arc<str>>>,
    retired: watch::Sender<bool>,
    unasked: watch::Sender<Unasked>,
    /// Somebody may rely on what is heard here, and has not been told that nothing is any more.
    relied: AtomicBool,
}

#[derive(Debug)]
struct Inner {
    next: u64,
    leases: usize,
    since: Instant,
    principals: BTreeSet<Arc<str>>,
    owners: Vec<OwnerSeat>,
}

#[derive(Debug, Clone)]
struct OwnerSeat {
    lease: u64,
    questions: Option<mpsc::Sender<Question>>,
}

/// How someone is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seat {
    /// Cannot be asked.
    Guest,
    /// A legacy session.
    Session,
    /// One call, alone for its time.
    Call,
}

/// One that is attached; detaches when dropped.
#[derive(Debug)]
pub(super) struct Attachment {
    circle: Arc<Circle>,
    /// Number of the lease; calls carry it.
    pub lease: u64,
    /// How.
    pub seat: Seat,
    /// A session's questions, until taken.
    pub questions: Mutex<Option<mpsc::Receiver<Question>>>,
}

/// To whom a question goes.
#[derive(Debug)]
pub(super) enum Addressee {
    /// The owner: first a call of this lease in flight, else the channel.
    Owner(u64, Option<mpsc::Sender<Question>>),
    /// Nobody, and why.
    Nobody(&'static str),
}

/// Where a notification that names no request may go.
#[derive(Debug)]
pub(super) enum Reach {
    /// Everyone on the connection is one principal.
    All(Note),
    /// One of several.
    Only(Arc<str>, Note),
    /// Nowhere.
    Nowhere,
}

impl Circle {
    /// An empty circle. `trusted` is for first-party workers, which may name a principal.
    pub(super) fn new(trusted: bool, reporter: Reporter) -> Arc<Self> {
        let inner =
            Inner { next: 0, leases: 0, since: Instant::now(), principals: BTreeSet::new(), owners: Vec::new() };
        Arc::new(Self {
            bin: Bin::default(),
            trusted,
            reporter,
            inner: Mutex::new(inner),
            notes: broadcast::channel(BACKLOG).0,
            ended: watch::Sender::new(None),
            retired: watch::Sender::new(false),
            unasked: watch::Sender::new(Unasked::Heard),
            relied: AtomicBool::new(false),
        })
    }

    /// An empty circle for another attempt to connect.
    pub(super) fn another(&self) -> Arc<Self> {
        Self::new(self.trusted, self.reporter.clone())
    }

    /// Takes note of a notification, before anyone is told of it; false if nobody is to be.
    pub(super) fn hear(&self, method: &str, params: &Bytes) -> bool {
        let onward = self.reporter.hear(self.trusted, method, params);
        if onward == Onward::Waste {
            self.bin.unaddressed.fetch_add(1, Ordering::Relaxed);
        }
        onward == Onward::Passes
    }

    /// For whom what is reported counts; `None` means all.
    pub(super) fn scope(&self) -> Option<&Arc<str>> {
        self.reporter.principal()
    }

    /// Reports something the server did not say itself.
    pub(super) fn report(&self, change: Change) {
        self.reporter.tell(change);
    }

    /// The connection is open.
    pub(super) fn begin(&self) {
        self.relied.store(true, Ordering::Relaxed);
    }

    /// Reports that nothing more will be heard on an open connection, once.
    pub(super) fn lose(&self, change: Change) {
        if self.relied.swap(false, Ordering::Relaxed) {
            self.reporter.tell(change);
        }
    }

    /// Whether what the server says unasked is heard.
    pub(super) fn unasked(&self) -> &watch::Sender<Unasked> {
        &self.unasked
    }

    /// True for a first-party worker.
    pub(super) fn is_trusted(&self) -> bool {
        self.trusted
    }

    /// Attaches someone.
    pub(super) fn attach(self: &Arc<Self>, principal: &Arc<str>, seat: Seat) -> Attachment {
        let mut inner = self.inner.lock();
        inner.next += 1;
        inner.leases += 1;
        inner.principals.insert(Arc::clone(principal));
        let lease = inner.next;
        let (sender, receiver) = match seat {
            Seat::Session => {
                let (sender, receiver) = mpsc::channel(WAITING_QUESTIONS);
                (Some(sender), Some(receiver))
            }
            Seat::Guest | Seat::Call => (None, None),
        };
        if seat != Seat::Guest {
            inner.owners.push(OwnerSeat { lease, questions: sender });
        }
        drop(inner);
        Attachment { circle: Arc::clone(self), lease, seat, questions: Mutex::new(receiver) }
    }

    /// Notes that principals nobody knows here have used the connection before.
    pub(super) fn crowd(&self) {
        self.inner.lock().principals.extend([Arc::from(""), Arc::from("*")]);
    }

    /// True if no session and no leased call is attached.
    pub(super) fn unowned(&self) -> bool {
        self.inner.lock().owners.is_empty()
    }

    /// True if this lease is the only owner.
    pub(super) fn owned_by(&self, lease: u64) -> bool {
        matches!(self.inner.lock().owners.as_slice(), [one] if one.lease == lease)
    }

    /// Since when nobody is attached.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let inner = self.inner.lock();
        (inner.leases == 0).then_some(inner.since)
    }

    /// The one to ask. `askers` are the leases of calls in flight that could have caused a question.
    pub(super) fn addressee(&self, askers: impl IntoIterator<Item = u64>) -> Addressee {
        let inner = self.inner.lock();
        match inner.owners.as_slice() {
            [] => Addressee::Nobody("nobody on this connection can answer questions"),
            [one] if askers.into_iter().all(|lease| lease == one.lease) => {
                Addressee::Owner(one.lease, one.questions.clone())
            }
            _ => Addressee::Nobody("several clients share this connection and the question names none of them"),
        }
    }

    /// Decides how far a notification that names no request may go.
    pub(super) fn reach(&self, method: &str, params: &Bytes) -> Reach {
        let (params, named) = if self.trusted { rewrite::take_principal(params) } else { (params.clone(), None) };
        let note = |params| Note { method: Arc::from(method), params };
        if let Some(name) = named {
            return Reach::Only(Arc::from(name), note(params));
        }
        if self.inner.lock().principals.len() <= 1 {
            return Reach::All(note(params));
        }
        if method.ends_with("/list_changed") { Reach::All(note(Bytes::new())) } else { Reach::Nowhere }
    }

    /// Sends a notification to those who listen.
    pub(super) fn tell(&self, note: Note, only: Option<Arc<str>>) {
        // No listener is no fault.
        let _ = self.notes.send(Unaddressed { note, only });
    }

    /// Listens.
    pub(super) fn listen(&self) -> broadcast::Receiver<Unaddressed> {
        self.notes.subscribe()
    }

    /// Marks the connection as ended; the first reason stays.
    pub(super) fn end(&self, reason: &str) {
        self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            if first {
                *ended = Some(Arc::from(reason));
            }
            first
        });
    }

    /// Why the connection has ended, if it has.
    pub(super) fn ended(&self) -> Option<Arc<str>> {
        self.ended.borrow().clone()
    }

    /// Nothing new is to begin here; what is in flight goes on.
    pub(super) fn retire(&self) {
        self.retired.send_replace(true);
        self.lose(Change::Restarted);
    }

    /// True if nothing new is to begin here.
    pub(super) fn is_retired(&self) -> bool {
        *self.retired.borrow()
    }

    /// True once nothing new is to begin here, or it has ended.
    pub(super) fn is_over(&self) -> bool {
        self.is_retired() || self.ended.borrow().is_some()
    }

    /// Waits until nothing new is to begin here.
    pub(super) async fn retired(&self) {
        let _ = self.retired.subscribe().wait_for(|retired| *retired).await;
    }

    /// Follows the end.
    pub(super) fn watch(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.ended.subscribe()
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let mut inner = self.circle.inner.lock();
        inner.leases = inner.leases.saturating_sub(1);
        inner.since = Instant::now();
        inner.owners.retain(|owner| owner.lease != self.lease);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]
mod tests {
    use super::*;

    fn circle(trusted: bool) -> Arc<Circle> {
        Circle::new(trusted, Reporter::new(Arc::new(()), "s"))
    }

    fn names(name: &str) -> Arc<str> {
        Arc::from(name)
    }

    #[test]
    fn a_question_reaches_the_only_session() {
        let circle = circle(false);
        let guest = circle.attach(&names("ann"), Seat::Guest);
        assert!(matches!(circle.addressee([]), Addressee::Nobody(_)));
        let session = circle.attach(&names("ann"), Seat::Session);
        assert!(
            matches!(circle.addressee([session.lease]), Addressee::Owner(lease, Some(_)) if lease == session.lease)
        );
        assert!(matches!(circle.addressee([guest.lease, session.lease]), Addressee::Nobody(_)));
        let second = circle.attach(&names("ann"), Seat::Call);
        assert!(matches!(circle.addressee([session.lease]), Addressee::Nobody(_)));
        drop(session);
        assert!(matches!(circle.addressee([]), Addressee::Owner(lease, None) if lease == second.lease));
    }

    #[test]
    fn a_note_of_nobody_stays_within_one_principal() {
        let circle = circle(false);
        let _ann = circle.attach(&names("ann"), Seat::Guest);
        let params = Bytes::from_static(br#"{"uri":"a"}"#);
        assert!(matches!(circle.reach("notifications/resources/updated", &params), Reach::All(_)));
        drop(circle.attach(&names("bob"), Seat::Guest));
        assert!(matches!(circle.reach("notifications/resources/updated", &params), Reach::Nowhere));
        let Reach::All(bare) = circle.reach("notifications/tools/list_changed", &params) else {
            panic!("list changes are for all")
        };
        assert!(bare.params.is_empty());
    }

    #[test]
    fn a_worker_names_the_principal_and_a_stranger_cannot() {
        let params = Bytes::from_static(br#"{"uri":"a","_meta":{"omnimind/principal":"bob"}}"#);
        let trusted = circle(true);
        let Reach::Only(name, note) = trusted.reach("notifications/resources/updated", &params) else {
            panic!("it is named")
        };
        assert_eq!((&*name, &note.params[..]), ("bob", &br#"{"uri":"a"}"#[..]));
        assert!(matches!(circle(false).reach("notifications/resources/updated", &params), Reach::All(_)));
    }

    #[test]
    fn an_idle_circle_knows_since_when() {
        let circle = circle(false);
        let guest = circle.attach(&names("ann"), Seat::Guest);
        assert_eq!(circle.idle_since(), None);
        drop(guest);
        assert!(circle.idle_since().is_some());
    }
}

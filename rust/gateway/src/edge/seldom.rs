//! A future beside a busy one: it is looked at when it was woken itself, not whenever its task is.
//!
//! A connection is woken with every request; what watches over it is woken every few seconds.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{
            AtomicBool,
            Ordering::{AcqRel, Acquire, Release},
        },
    },
    task::{Context, Poll, Wake, Waker},
};

use parking_lot::Mutex;

/// The future. It begins as one that was woken.
pub(super) struct Seldom<'w, F> {
    work: Pin<&'w mut F>,
    bell: Arc<Bell>,
    waker: Waker,
    task: Waker,
}

/// What the work is woken by.
struct Bell {
    rings: AtomicBool,
    /// It stays here when it is rung: two rings in short order must not leave the third without one to wake.
    task: Mutex<Waker>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rings.store(true, Release);
        self.task.lock().wake_by_ref();
    }
}

impl<'w, F: Future> Seldom<'w, F> {
    pub(super) fn new(work: Pin<&'w mut F>) -> Self {
        let task = Waker::noop().clone();
        let bell = Arc::new(Bell { rings: AtomicBool::new(true), task: Mutex::new(task.clone()) });
        Self { work, waker: Arc::clone(&bell).into(), bell, task }
    }
}

impl<F: Future> Future for Seldom<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        if !this.task.will_wake(context.waker()) {
            this.task.clone_from(context.waker());
            // Before the bell is looked at: who rings from here on wakes this task.
            this.bell.task.lock().clone_from(context.waker());
        }
        if !this.bell.rings.load(Acquire) || !this.bell.rings.swap(false, AcqRel) {
            return Poll::Pending;
        }
        this.work.as_mut().poll(&mut Context::from_waker(&this.waker))
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::poll_fn, pin::pin, sync::atomic::AtomicU64, time::Duration};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_looked_at_when_it_was_woken_and_not_when_another_was() {
        let looks = Cell::new(0);
        let (say, mut hear) = tokio::sync::mpsc::channel::<()>(1);
        let work = pin!(poll_fn(|context| {
            looks.set(looks.get() + 1);
            hear.poll_recv(context)
        }));
        let mut seldom = Seldom::new(work);
        for _ in 0..10 {
            assert!(tokio::time::timeout(Duration::from_secs(1), &mut seldom).await.is_err());
        }
        assert_eq!(looks.get(), 1);
        say.send(()).await.unwrap();
        assert_eq!(seldom.await, Some(()));
        assert_eq!(looks.get(), 2);
    }

    #[tokio::test]
    async fn no_ring_is_lost_however_close_two_are() {
        const RINGS: u64 = 20_000;
        /// Rings again when the last ring was heard.
        fn ring(bell: &Waker, [rung, heard]: &[AtomicU64; 2]) {
            for ring in 1..=RINGS {
                rung.store(ring, Release);
                bell.wake_by_ref();
                while heard.load(Acquire) < ring {
                    std::thread::yield_now();
                }
            }
        }
        let ringers: Arc<[[AtomicU64; 2]; 2]> = Arc::default();
        let mut begun = false;
        let work = pin!(poll_fn(|context| {
            if !begun {
                begun = true;
                for ringer in 0..ringers.len() {
                    let (bell, ringers) = (context.waker().clone(), Arc::clone(&ringers));
                    std::thread::spawn(move || ring(&bell, &ringers[ringer]));
                }
            }
            let mut all = true;
            for [rung, heard] in ringers.iter() {
                let rung = rung.load(Acquire);
                heard.store(rung, Release);
                all &= rung == RINGS;
            }
            if all { Poll::Ready(()) } else { Poll::Pending }
        }));
        assert!(tokio::time::timeout(Duration::from_secs(20), Seldom::new(work)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn it_wakes_whichever_task_looked_last() {
        let (say, hear) = tokio::sync::oneshot::channel::<()>();
        let work = Box::leak(Box::new(hear));
        let mut seldom = Seldom::new(Pin::new(work));
        assert!(tokio::time::timeout(Duration::from_secs(1), &mut seldom).await.is_err());
        let elsewhere = tokio::spawn(seldom);
        tokio::time::sleep(Duration::from_secs(1)).await;
        say.send(()).unwrap();
        assert_eq!(elsewhere.await.unwrap(), Ok(()));
    }
}

//! Where very many tensors are searched and put in order: in a thread of its own, so that keys are answered meanwhile.
//!
//! ```text
//!  watch ── asks ──► waiting ──► finder ── answers ──► watch
//!              │                   │
//!              └─ what is still ───┴─► anything else is called off: a newer question takes the place of the older one
//!                 waited for
//! ```

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::events::{Alarm, Message};
use crate::model::beside::{Answer, Finding, Job};
use crate::model::task::Task;

/// Who searches and orders, seen from who asks.
pub(crate) struct Finder {
    desk: Arc<Desk>,
    answers: Receiver<Answer>,
}

/// What both threads know.
#[derive(Default)]
struct Desk {
    jobs: Mutex<Jobs>,
    wake: Condvar,
}

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    /// What is being done, or was done last: the number of the work, what it is, and how far.
    at_work: Option<(u64, Finding, Arc<Task>)>,
    /// Nobody wants to know any more.
    stop: bool,
}

impl Desk {
    /// The jobs; what a thread that broke down left of them is whole.
    fn open(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job, with what stands for it while it is done; none at the end.
    fn next(&self) -> Option<(Job, Arc<Task>)> {
        let nothing = |jobs: &mut Jobs| jobs.waiting.is_empty() && !jobs.stop;
        let mut jobs = self.wake.wait_while(self.open(), nothing).unwrap_or_else(PoisonError::into_inner);
        let job = jobs.waiting.pop_front().filter(|_| !jobs.stop)?;
        let task = Arc::new(Task::default());
        jobs.at_work = Some((job.ticket(), job.finding(), Arc::clone(&task)));
        Some((job, task))
    }
}

impl Finder {
    /// Starts the thread; none where it cannot be started.
    pub(crate) fn start(tell: &Sender<Message>) -> Option<Self> {
        let desk = Arc::new(Desk::default());
        let (answer, answers) = channel();
        let (own, tell) = (Arc::clone(&desk), tell.clone());
        let work = move || {
            // Somebody would wait for ever.
            let _alarm = Alarm { tell: &tell, says: || Message::ReaderLost };
            while let Some((job, task)) = own.next() {
                let found = job.run(&task);
                drop(job);
                let listens = found.is_none_or(|found| answer.send(found).is_ok());
                if !listens || tell.send(Message::Changed).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("finder".to_owned()).spawn(work).ok()?;
        Some(Self { desk, answers })
    }

    /// Asks for more, and calls off whatever is not awaited.
    pub(crate) fn ask(&self, more: Vec<Job>, awaited: &[u64]) {
        let mut jobs = self.desk.open();
        jobs.waiting.extend(more);
        jobs.waiting.retain(|job| awaited.contains(&job.ticket()));
        if let Some((ticket, _, task)) = &jobs.at_work
            && !awaited.contains(ticket)
        {
            task.call_off();
        }
        drop(jobs);
        self.desk.wake.notify_all();
    }

    /// What has been found since.
    pub(crate) fn hear(&self) -> Vec<Answer> {
        self.answers.try_iter().collect()
    }

    /// What is being done, or was done last and may not have been heard yet; before anything was, what is next.
    pub(crate) fn finding(&self) -> Option<Finding> {
        let jobs = self.desk.open();
        let now = jobs.at_work.as_ref().map(|(_, finding, task)| finding.so_far(task));
        now.or_else(|| jobs.waiting.front().map(Job::finding))
    }
}

impl Drop for Finder {
    fn drop(&mut self) {
        let mut jobs = self.desk.open();
        jobs.stop = true;
        if let Some((.., task)) = &jobs.at_work {
            task.call_off();
        }
        drop(jobs);
        self.desk.wake.notify_all();
    }
}

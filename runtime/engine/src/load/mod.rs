//! Weights to the device, and the load program.
//!
//! ```text
//!   files ──► readers: a batch at a time, in the order of the uploads ──► mapped memory
//!             │                                                     └──► a ring of staging buffers ─ copies ─► device memory
//!             └─ what has arrived ──► the session's thread: dispatches of the load program, as soon as they can be submitted
//! ```
//!
//! Nothing here grows with a model or its largest tensor: what is read lies where it belongs, or in a ring of fixed size.

mod batch;
mod order;
mod shared;
mod slot;
mod state;
mod worker;

pub use self::order::upload_order;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bayplan_compile::session::{Cancel, Io};
use bayplan_compile::{Arena, Dispatch, Program, Upload};
use bayplan_record::Arrivals;
use bayplan_vulkan::{Buffer, Commands, Device, Ticket};
use bayplan_weights::reading::{Slot, cut, slot_bytes};
use bayplan_weights::{Store, WeightsError};

use self::shared::Shared;
use self::slot::Staging;
use self::state::State;
use self::worker::{Means, Worker};
use crate::arena::Arenas;
use crate::commands::{Objects, record};
use crate::error::EngineError;
use crate::instruments::{Instruments, Places};
use crate::transfer::wait;

/// How many threads read, and how much each at once. Slots take at most 12 MiB: half of the 24 MiB that loading may take are
/// left to what else comes with it, kernels of the load program and stacks of threads.
struct Pace {
    readers: usize,
    /// Slots of each.
    slots: usize,
    /// The most bytes of a batch.
    bytes: u64,
}

impl Pace {
    /// Where files are read in place: while one thread waits for the disk, the other moves bytes. Batches are small enough to lie
    /// near the processor still when they are checked.
    const IN_PLACE: Self = Self { readers: 2, slots: 0, bytes: 512 << 10 };
    /// Where bytes are copied from slots: the disk has something to do while some of the threads copy.
    const COPIED: Self = Self { readers: 4, slots: 1, bytes: 2 << 20 };
    /// Where the device copies from slots: one is filled while it copies from another.
    const STAGED: Self = Self { readers: 3, slots: 2, bytes: 2 << 20 };
}

/// Where weights come from, and how.
#[derive(Clone)]
pub(crate) struct Origin<'s> {
    pub(crate) store: &'s Store,
    pub(crate) io: Io,
    pub(crate) arrivals: Arc<Arrivals>,
    pub(crate) cancel: Cancel,
}

/// Weights on their way to the device. Dropping it abandons what has not arrived.
pub(crate) struct Loader {
    shared: Arc<Shared>,
    /// For each upload, how many batches must have arrived before it has.
    needed: Vec<usize>,
    /// For each dispatch of the load program, how many uploads must have arrived before it is submitted.
    due: Vec<usize>,
    ring: Vec<Arc<Staging>>,
    readers: Vec<JoinHandle<()>>,
}

impl Loader {
    /// Begins to load what a program uploads to its arenas.
    ///
    /// # Errors
    /// There is no memory for the staging buffers, or no thread.
    pub(crate) fn start(
        device: &Device,
        program: &Program,
        arenas: &Arenas,
        origin: Origin<'_>,
    ) -> Result<Self, EngineError> {
        let (loader, means) = Self::prepare(device, program, arenas, origin)?;
        means.into_iter().enumerate().try_fold(loader, |mut loader, (number, means)| {
            let worker = Worker { shared: Arc::clone(&loader.shared), means };
            let thread = std::thread::Builder::new().name(format!("weights {number}"));
            let failed = |e: std::io::Error| loader.shared.failed(0, format!("no thread to read it: {e}"));
            loader.readers.push(thread.spawn(move || worker.work()).map_err(failed)?);
            Ok(loader)
        })
    }

    fn prepare(
        device: &Device,
        program: &Program,
        arenas: &Arenas,
        Origin { store, io, arrivals, cancel }: Origin<'_>,
    ) -> Result<(Self, Vec<Means>), EngineError> {
        let (uploads, gates) = order::ordered(program);
        let due = order::due(&uploads, program.load.dispatches.len());
        let imported = |upload: &Upload| {
            let place = arenas.place(upload.window.arena, upload.window.offset);
            place.is_ok_and(|(buffer, _)| buffer.is_imported())
        };
        let wanted = batch::wanted(&uploads, &gates, imported);
        let manner = store.manner(wanted.clone(), io.direct());
        let targets = || [Arena::Weights, Arena::Load].into_iter().flat_map(|arena| arenas.of(arena));
        let staged = targets().any(|buffer| buffer.mapped().is_none());
        // What is checked is read, which some mappings are not made for.
        let unread = store.has_digests() && targets().any(|buffer| !buffer.memory().cached);
        let in_place = !manner.direct && !unread;
        let pace = match (staged, in_place) {
            (true, _) => Pace::STAGED,
            (false, false) => Pace::COPIED,
            (false, true) => Pace::IN_PLACE,
        };
        let batches = cut(wanted, pace.bytes);
        let mut needed = vec![0; uploads.len()];
        for (index, batch) in batches.iter().enumerate() {
            batch.parts.iter().for_each(|part| needed[part.of] = index + 1);
        }
        // Uploads without bytes have arrived with those before.
        needed.iter_mut().fold(0, |most, own| {
            *own = most.max(*own);
            *own
        });
        let bytes = slot_bytes(&batches);
        let readers = pace.readers.min(batches.len());
        let moved = batches.iter().filter(|batch| !batch.stays).count();
        let count = if staged { moved.min(readers * pace.slots) } else { 0 };
        let ring = (0..count).map(|_| Ok(Arc::new(Staging::new(device, bytes)?)));
        let ring = ring.collect::<Result<Vec<_>, EngineError>>()?;
        arrivals.staging(ring.iter().map(|slot| slot.buffer().size()).sum());
        let means = (0..readers).map(|reader| match (staged, in_place) {
            (true, _) => Means::Staged(ring.iter().skip(reader).step_by(readers).cloned().collect()),
            (false, false) => Means::Copied(Slot::new(bytes)),
            (false, true) => Means::InPlace,
        });
        let means = means.collect();
        let state = State::new(batches.len());
        let checked_after = batch::checked_after(store, &uploads, &batches);
        let shared = Arc::new(Shared {
            device: device.clone(),
            store: store.clone(),
            uploads,
            batches,
            state,
            arrivals,
            cancel,
            checks: store.has_digests().then(|| store.checks()),
            checked_after,
            manner,
            slot: pace.bytes,
            arenas: Mutex::new(arenas.clone()),
        });
        Ok((Self { shared, needed, due, ring, readers: Vec::new() }, means))
    }

    /// Waits until the first `count` uploads have arrived; answers how many have.
    ///
    /// # Errors
    /// One of them could not be read.
    pub(crate) fn wait(&self, count: usize) -> Result<usize, EngineError> {
        let batches = count.checked_sub(1).map_or(0, |last| self.needed[last]);
        let Shared { state, arrivals, .. } = &*self.shared;
        // The recording may end before whoever holds this does.
        let arrived = state.wait(batches).inspect_err(|_| arrivals.abandon())?;
        Ok(self.needed.partition_point(|&needed| needed <= arrived))
    }

    /// Runs the load program, each dispatch as soon as what it reads has arrived, and waits until it is done. Nothing is
    /// loaded to the load program's own arena any more then.
    pub(crate) fn dispatch(&self, stage: &mut Stage, objects: Objects<'_>) -> Result<(), EngineError> {
        stage.advance(self, objects, objects.program.load.dispatches.len())?;
        for (_, ticket) in stage.submitted.iter().flatten() {
            wait(&self.shared.device, ticket)?;
        }
        stage.submitted = [None, None];
        self.shared.forget(Arena::Load);
        self.ring.iter().try_for_each(|slot| slot.clear())
    }

    /// Waits until everything has arrived.
    ///
    /// # Errors
    /// What could not be read, and why.
    pub(crate) fn finish(&mut self) -> Result<(), EngineError> {
        self.wait(self.needed.len())?;
        self.readers.drain(..).for_each(|reader| drop(reader.join()));
        for slot in &self.ring {
            slot.clear()?;
        }
        if let Some(checks) = &self.shared.checks {
            checks.finish().map_err(|e| match &e {
                WeightsError::Digest(damage) => {
                    EngineError::Weights { name: damage.tensor.clone(), reason: e.to_string() }
                }
                _ => self.shared.failed(0, e.to_string()),
            })?;
        }
        let unchanged = self.shared.store.check_unchanged();
        unchanged.map_err(|e| EngineError::Weights { name: "of the model".into(), reason: e.to_string() })?;
        self.shared.arrivals.finish();
        Ok(())
    }

    /// How many uploads must have arrived before the first `count` dispatches of the load program are submitted.
    pub(crate) fn due(&self, count: usize) -> usize {
        count.checked_sub(1).and_then(|last| self.due.get(last).copied()).unwrap_or(0)
    }

    /// Gives up what has not arrived, without waiting for anybody, and says so.
    pub(crate) fn abandon(&self) {
        self.shared.state.end(None);
        self.shared.arrivals.abandon();
    }

    /// What is loaded, in order.
    pub(crate) fn uploads(&self) -> &[Upload] {
        &self.shared.uploads
    }

    /// How many dispatches of the load program must have been submitted before the first `count` uploads can arrive.
    pub(crate) fn gate(&self, count: usize) -> usize {
        let batches = count.checked_sub(1).map_or(0, |last| self.needed[last]);
        let gates = self.shared.batches[..batches].iter().map(|batch| batch.gate);
        gates.max().unwrap_or(0) as usize
    }

    /// The staging buffers.
    pub(crate) fn buffers(&self) -> impl Iterator<Item = &Buffer> {
        self.ring.iter().map(|slot| slot.buffer())
    }
}

/// How far the load program is.
#[derive(Default)]
pub(crate) struct Stage {
    /// Dispatches that were submitted.
    done: usize,
    /// The last commands, which may run still.
    submitted: [Option<(Commands, Ticket)>; 2],
}

impl Stage {
    /// Submits the first `count` dispatches at least, each when what it reads has arrived.
    pub(crate) fn advance(
        &mut self,
        loader: &Loader,
        objects: Objects<'_>,
        count: usize,
    ) -> Result<(), EngineError> {
        let Shared { device, state, .. } = &*loader.shared;
        let dispatches = &objects.program.load.dispatches;
        let untraced = (&Instruments::default(), &Places::default());
        while self.done < count.min(dispatches.len()) {
            let arrived = loader.wait(loader.due[self.done])?;
            // All that can be submitted together.
            let until = loader.due.partition_point(|&due| due <= arrived);
            self.submitted.rotate_left(1);
            let again = match self.submitted[1].take() {
                Some((commands, ticket)) => {
                    wait(device, &ticket)?;
                    Some(commands)
                }
                None => None,
            };
            let part: &[Dispatch] = &dispatches[self.done..until];
            let commands = record(device, "load program", objects, part, untraced, again)?;
            let ticket = device.submit(&commands)?;
            self.submitted[1] = Some((commands, ticket));
            state.dispatched(until as u32);
            self.done = until;
        }
        Ok(())
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.shared.state.end(None);
        // A reader that panicked has said so.
        self.readers.drain(..).for_each(|reader| drop(reader.join()));
    }
}

/// Uploads every constant, runs the load program between, and waits until all is done.
#[cfg(feature = "inspect")]
pub(crate) fn load(device: &Device, objects: Objects<'_>, origin: Origin<'_>) -> Result<(), EngineError> {
    let mut loader = Loader::start(device, objects.program, objects.arenas, origin)?;
    loader.dispatch(&mut Stage::default(), objects)?;
    loader.finish()
}

/// Bytes copied at a time.
#[cfg(feature = "inspect")]
const PIECE: u64 = 1 << 20;

/// Copies bytes of a constant as they lie, a piece at a time.
#[cfg(feature = "inspect")]
pub(crate) fn copy(
    arenas: &Arenas,
    transfer: &crate::transfer::Transfer,
    weights: &Store,
    upload: &bayplan_compile::Upload,
) -> Result<(), EngineError> {
    let fail = |e: WeightsError| EngineError::Weights { name: upload.name.clone(), reason: e.to_string() };
    let (buffer, start) = arenas.place(upload.window.arena, upload.window.offset)?;
    let mut bytes = Vec::new();
    let mut done = 0;
    while done < upload.bytes {
        bytes.resize(PIECE.min(upload.bytes - done) as usize, 0);
        weights.read_part(&upload.data, upload.skip + done, &mut bytes).map_err(fail)?;
        transfer.write(buffer, start + done, &bytes)?;
        done += bytes.len() as u64;
    }
    Ok(())
}

//! Weights read by threads of their own, a few pieces ahead of the thread that puts them into arenas and computes.

use std::thread::Scope;

use bayplan_compile::session::{Cancel, Io};
use bayplan_compile::{Program, Upload};
use bayplan_graph::ConstData;
use bayplan_record::Arrivals;
use bayplan_trace::{ReadMode, WeightsPath};
use bayplan_weights::reading::{Ahead, Batch, Filled, Manner, Part, Unread, Wanted, cut};
use bayplan_weights::{Checks, Store, WeightsError};

use crate::error::HostError;
use crate::machine::first;
use crate::memory::{Memory, put_bytes};

/// The most bytes of a slot: of two for each of three threads, half of the 24 MiB that loading may take.
const SLOT: u64 = 2 << 20;

/// Bytes that are checked and placed in one go, so that they are still near the processor when they are placed.
const STEP: usize = 256 << 10;

/// What a program wants of its weights' files, and how it is read.
pub(crate) struct Loading<'a> {
    uploads: &'a [Upload],
    store: &'a Store,
    batches: Vec<Batch>,
    manner: Manner,
    checks: Checks,
    arrivals: &'a Arrivals,
    /// Looked at before each part is placed.
    cancel: &'a Cancel,
}

/// Uploads on their way. Dropping it abandons what was not placed.
pub(crate) struct Uploads<'a> {
    loading: &'a Loading<'a>,
    ahead: Ahead,
}

impl<'a> Loading<'a> {
    pub(crate) fn new(
        program: &'a Program,
        store: &'a Store,
        io: Io,
        arrivals: &'a Arrivals,
        cancel: &'a Cancel,
    ) -> Self {
        let uploads = &program.uploads[..];
        // Each waits for all dispatches before the one that reads it: so what is scratch of those does not meet it.
        let wanted = uploads.iter().map(|upload| {
            let Upload { before, data, skip, bytes, .. } = upload;
            Wanted { data, skip: *skip, bytes: *bytes, before: *before, gate: *before, stays: false }
        });
        let manner = store.manner(wanted.clone(), io.direct());
        Self { uploads, store, batches: cut(wanted, SLOT), manner, checks: store.checks(), arrivals, cancel }
    }

    /// Begins to read.
    pub(crate) fn begin<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
    ) -> Result<Uploads<'env>, HostError> {
        let wanted =
            |of: usize| -> (&'env ConstData, u64) { (&self.uploads[of].data, self.uploads[of].skip) };
        let ahead = self.store.read_ahead(scope, &self.batches, wanted, self.manner);
        let ahead = ahead.map_err(|e| self.failed(0, format!("no thread to read it: {e}")))?;
        Ok(Uploads { loading: self, ahead })
    }

    /// Checks what was not read to its end, and that nobody wrote to the files meanwhile.
    pub(crate) fn finish(&self) -> Result<(), HostError> {
        self.checks.finish().and_then(|()| self.store.check_unchanged()).map_err(|e| match &e {
            WeightsError::Digest(damage) => {
                HostError::Weights { name: damage.tensor.clone(), reason: e.to_string() }
            }
            _ => HostError::Weights { name: "of the model".into(), reason: e.to_string() },
        })
    }

    fn failed(&self, upload: usize, reason: String) -> HostError {
        let name = self.uploads.get(upload).map(|upload| upload.name.clone()).unwrap_or_default();
        HostError::Weights { name, reason }
    }

    /// Checks a part and puts it where it belongs.
    fn place(&self, part: &Part, bytes: &[u8], memory: &mut Memory) -> Result<(), HostError> {
        let upload = &self.uploads[part.of];
        let fail = |reason: &str| self.failed(part.of, reason.into());
        let count = usize::try_from(upload.bytes.div_ceil(4)).ok();
        let all = count.and_then(|count| first(&upload.window, count));
        let all = all.ok_or_else(|| fail("it does not fit its window"))?;
        let (from, to) = (part.skip / 4, (part.skip + part.len).div_ceil(4));
        let words = all.start + from as usize..all.start + to as usize;
        let target = memory.write(upload.window.arena, words);
        let target = target.ok_or_else(|| fail("its window leaves its arena"))?;
        for (step, bytes) in bytes.chunks(STEP).enumerate() {
            let done = (step * STEP) as u64;
            let checked = self.checks.update(&upload.data, upload.skip + part.skip + done, bytes);
            checked.map_err(|e| fail(&e.to_string()))?;
            put_bytes(target, (part.skip % 4) as usize + step * STEP, bytes);
        }
        Ok(())
    }

    /// Puts the parts of a batch where they belong.
    fn put(&self, filled: &Filled<'_>, memory: &mut Memory) -> Result<(), HostError> {
        let mode = if filled.direct { ReadMode::Direct } else { ReadMode::Buffered };
        self.batches[filled.index].parts.iter().try_for_each(|part| {
            self.cancel.check(|| self.arrivals.loading())?;
            self.place(part, &filled.bytes[part.range()], memory)?;
            self.arrivals.piece(part.len, WeightsPath::Host, mode);
            Ok(())
        })
    }
}

impl Uploads<'_> {
    /// Uploads what is due before a dispatch of the load program, or all that is left.
    pub(crate) fn until(&mut self, memory: &mut Memory, dispatch: Option<usize>) -> Result<(), HostError> {
        let Self { loading, ahead } = self;
        let due = |index: usize| {
            let parts = &loading.batches[index].parts;
            let before = parts.first().map_or(0, |part| loading.uploads[part.of].before);
            dispatch.is_none_or(|dispatch| before as usize <= dispatch)
        };
        while ahead.next().is_some_and(due) {
            let placed = ahead.take(|filled| loading.put(&filled, memory));
            placed.map_err(|Unread(of, e)| loading.failed(of, e.to_string()))?.transpose()?;
        }
        Ok(())
    }
}

//! Weights that arrive while the first run goes on: its dispatches are submitted in segments, each when what it reads is there.
//!
//! ```text
//!   readers          w0 w1 w2 w3 w4 w5 w6 …                 in the order of the uploads
//!   load program        l0    l1       l2 …                 each when its weights have arrived
//!   run                    │ r0 r1 │ r2 r3 │ r4 …           each segment when its weights have arrived, and its load dispatches
//! ```

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bayplan_compile::{Arena, Family, Program};
use bayplan_shaders::Access;
use bayplan_vulkan::Pipeline;

use crate::arena::Arenas;
use crate::commands::Objects;
use crate::error::EngineError;
use crate::load::{Loader, Stage};
use crate::params::Params;
use crate::parts::Part;

/// The most segments of a run: each costs a submission and a wait.
const SEGMENTS: u64 = 16;

/// How far loading must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Need {
    /// Uploads that must have arrived.
    uploads: usize,
    /// Dispatches of the load program that must have been submitted.
    dispatches: usize,
}

impl Need {
    fn and(self, other: Self) -> Self {
        Self { uploads: self.uploads.max(other.uploads), dispatches: self.dispatches.max(other.dispatches) }
    }
}

/// What each weight needs, by where its buffer begins.
pub(crate) struct Needs {
    of: HashMap<u64, Need>,
    all: Need,
    /// Bytes of the uploads before each, and of all.
    bytes: Vec<u64>,
}

impl Needs {
    /// Of a program's weights, which are uploaded in that order.
    pub(crate) fn new(program: &Program, loader: &Loader) -> Self {
        let (uploads, dispatches) = (loader.uploads(), &program.load.dispatches);
        let mut of: HashMap<u64, Need> = HashMap::new();
        let mut note = |window: &bayplan_compile::Window, need: Need| {
            if let Some(buffer) = start(program, window) {
                let own = of.entry(buffer).or_default();
                *own = own.and(need);
            }
        };
        for (index, upload) in uploads.iter().enumerate() {
            note(&upload.window, Need { uploads: index + 1, dispatches: 0 });
        }
        for (index, dispatch) in dispatches.iter().enumerate() {
            let written = dispatch.windows.iter().filter(|window| window.access != Access::Read);
            written.for_each(|window| note(window, Need { uploads: 0, dispatches: index + 1 }));
        }
        // A dispatch of the load program waits for what it reads.
        for need in of.values_mut() {
            need.uploads = need.uploads.max(loader.due(need.dispatches));
        }
        let mut sum = 0;
        let ends = uploads.iter().map(|upload| {
            sum += upload.bytes;
            sum
        });
        let bytes = std::iter::once(0).chain(ends).collect();
        Self { of, all: Need { uploads: uploads.len(), dispatches: dispatches.len() }, bytes }
    }

    /// What some dispatches of a run need.
    fn of(&self, program: &Program, ops: Range<usize>) -> Need {
        let dispatches = program.run.dispatches.get(ops).unwrap_or_default();
        let windows = dispatches.iter().flat_map(|dispatch| &dispatch.windows);
        let weights = windows.filter(|window| window.arena == Arena::Weights);
        // A weight that nobody knows of waits for everything.
        let need =
            |window| start(program, window).and_then(|at| self.of.get(&at).copied()).unwrap_or(self.all);
        weights.map(need).fold(Need::default(), Need::and)
    }

    /// Cuts parts of a run where what comes next needs a good deal more of the weights.
    pub(crate) fn cut(&self, program: &Program, parts: &[Part]) -> Vec<Part> {
        let total = self.bytes.last().copied().unwrap_or(0);
        let step = total.div_ceil(SEGMENTS).max(1);
        let bytes = |need: Need| self.bytes.get(need.uploads).copied().unwrap_or(total);
        let (mut cut, mut reached) = (Vec::new(), 0);
        for part in parts {
            let Part::Device(range) = part else {
                let Part::Host(op) = part else { continue };
                reached = reached.max(bytes(self.of(program, *op..*op + 1)));
                cut.push(part.clone());
                continue;
            };
            let mut from = range.start;
            // What the segment that is open waits for.
            let mut open = None;
            for op in range.clone() {
                let wanted = reached.max(bytes(self.of(program, op..op + 1)));
                let first: &mut u64 = open.get_or_insert(wanted);
                if wanted >= first.saturating_add(step) {
                    cut.push(Part::Device(from..op));
                    (from, *first) = (op, wanted);
                }
                reached = wanted;
            }
            cut.push(Part::Device(from..range.end));
        }
        cut
    }
}

/// Where a weight's buffer begins.
fn start(program: &Program, window: &bayplan_compile::Window) -> Option<u64> {
    let buffer = program.buffers.get(window.buffer.0 as usize)?;
    (window.arena == Arena::Weights).then_some(buffer.offset)
}

/// Loading that goes on while the first run does.
pub(crate) struct Early {
    pub(crate) loader: Loader,
    pub(crate) stage: Stage,
    pub(crate) family: Arc<Family>,
    pub(crate) pipelines: Vec<Option<Pipeline>>,
    pub(crate) slot: bayplan_compile::pool::Slot,
    pub(crate) needs: Needs,
}

impl Early {
    /// Waits until what a part of a run reads is there, or computed by submissions before it.
    ///
    /// # Errors
    /// A weight cannot be read, or is damaged.
    pub(crate) fn reach(
        &mut self,
        program: &Program,
        part: &Part,
        (arenas, params): (&Arenas, &Params),
    ) -> Result<(), EngineError> {
        let ops = part.ops();
        let need = self.needs.of(program, ops.start as usize..ops.end as usize);
        let Self { loader, stage, family, pipelines, slot, .. } = self;
        // Weights that come before may wait for dispatches of the load program to be done with their memory.
        let dispatches = need.dispatches.max(loader.gate(need.uploads));
        stage.advance(loader, objects(family, pipelines, arenas, (params, slot.offset)), dispatches)?;
        loader.wait(need.uploads).map(|_| ())
    }

    /// Waits until all weights have arrived and the load program is done.
    ///
    /// # Errors
    /// As [`Early::reach`].
    pub(crate) fn finish(&mut self, (arenas, params): (&Arenas, &Params)) -> Result<(), EngineError> {
        let Self { loader, stage, family, pipelines, slot, .. } = self;
        loader.dispatch(stage, objects(family, pipelines, arenas, (params, slot.offset)))?;
        loader.finish()
    }
}

fn objects<'o>(
    family: &'o Family,
    pipelines: &'o [Option<Pipeline>],
    arenas: &'o Arenas,
    (params, offset): (&'o Params, u64),
) -> Objects<'o> {
    Objects { program: family.first(), pipelines, arenas, params: (params.buffer(), offset), external: None }
}

//! Shapes at hand: their programs, parameters and commands.

use std::sync::Arc;

use bayplan_compile::Program;
use bayplan_compile::pool::Slot;
use bayplan_compile::session::{Lru, ShapeKey};
use bayplan_vulkan::{Commands, Pipeline};

use crate::error::EngineError;
use crate::external::{Placement, PlacementKey};
use crate::instruments::Places;
use crate::params::Params;
use crate::parts::{Part, parts};
use crate::transfer::Transfer;

/// Recordings of one shape that are kept, for different placements of its outputs: callers that keep the last output while
/// the next is made alternate between two.
const PLACEMENTS: usize = 4;

/// A program for a shape, ready to be recorded.
pub(crate) struct Shape {
    pub(crate) program: Program,
    /// One for each of the program's kernels.
    pub(crate) pipelines: Vec<Option<Pipeline>>,
    /// What is submitted together, and what the host computes between.
    pub(crate) parts: Arc<[Part]>,
    pub(crate) params: Slot,
    pub(crate) places: Places,
    /// Whether it is one of function 0, which the recording of a session begins with.
    pub(crate) model: bool,
    /// The number of its plan in that recording, once it was told.
    pub(crate) plan: Option<u32>,
    recorded: Vec<Recorded>,
    clock: u64,
}

/// Commands for one placement of what is given at each run, one for each part that the device computes.
struct Recorded {
    key: PlacementKey,
    commands: Vec<Commands>,
    used: u64,
}

impl Shape {
    pub(crate) fn new(
        program: Program,
        pipelines: Vec<Option<Pipeline>>,
        params: Slot,
        places: &dyn Fn(&[Part]) -> Places,
        model: bool,
    ) -> Self {
        let parts: Arc<[Part]> = parts(&program).into();
        let places = places(&parts);
        Self { program, pipelines, parts, params, places, model, plan: None, recorded: Vec::new(), clock: 0 }
    }

    /// Has other parts submitted together: commands that were recorded for those before are given up.
    fn recut(&mut self, parts: Vec<Part>, spare: &mut Vec<Commands>) -> Result<(), EngineError> {
        if *self.parts == *parts {
            return Ok(());
        }
        self.parts = parts.into();
        for mut commands in self.recorded.drain(..).flat_map(|recorded| recorded.commands) {
            commands.clear()?;
            spare.push(commands);
        }
        Ok(())
    }

    /// The commands for a placement, which count as used now, with their program.
    pub(crate) fn find(&mut self, placement: &Placement) -> Option<(&Program, &[Commands])> {
        self.clock += 1;
        let found = self.recorded.iter_mut().find(|recorded| recorded.key.is(placement))?;
        found.used = self.clock;
        Some((&self.program, &found.commands))
    }

    /// Keeps commands for a placement.
    pub(crate) fn keep(&mut self, placement: &Placement, commands: Vec<Commands>) {
        self.clock += 1;
        self.recorded.push(Recorded { key: placement.key(), commands, used: self.clock });
    }

    /// Commands to be recorded anew for another placement: those not used for longest, once there are enough.
    pub(crate) fn reusable(&mut self) -> Vec<Commands> {
        if self.recorded.len() < PLACEMENTS {
            return Vec::new();
        }
        let oldest = (0..self.recorded.len()).min_by_key(|&index| self.recorded[index].used);
        oldest.map(|index| self.recorded.swap_remove(index).commands).unwrap_or_default()
    }

    /// Gives up commands that are bound to memory which nobody else has any more.
    fn forget_dropped(&mut self, spare: &mut Vec<Commands>) -> Result<(), EngineError> {
        let dead = |recorded: &Recorded| !recorded.key.is_alive();
        while let Some(index) = self.recorded.iter().position(dead) {
            for mut commands in self.recorded.swap_remove(index).commands {
                commands.clear()?;
                spare.push(commands);
            }
        }
        Ok(())
    }
}

/// All shapes at hand.
pub(crate) struct Shapes {
    lru: Lru<ShapeKey>,
    list: Vec<Option<Shape>>,
    /// Commands of shapes that are gone, to be recorded anew.
    spare: Vec<Commands>,
}

impl Shapes {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { lru: Lru::new(capacity), list: Vec::new(), spare: Vec::new() }
    }

    /// Where a shape is, if it is at hand.
    pub(crate) fn find(&mut self, key: &ShapeKey) -> Option<usize> {
        self.lru.find(key)
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Shape> {
        self.list.get(index)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut Shape> {
        self.list.get_mut(index)?.as_mut()
    }

    /// The plans that were told of shapes at hand.
    pub(crate) fn plans(&self) -> impl Iterator<Item = u32> {
        self.list.iter().flatten().filter_map(|shape| shape.plan)
    }

    /// Keeps commands that were not needed.
    pub(crate) fn give(&mut self, commands: impl IntoIterator<Item = Commands>) {
        self.spare.extend(commands);
    }

    /// Commands to record anew.
    pub(crate) fn spare(&mut self) -> Option<Commands> {
        self.spare.pop()
    }

    /// Makes room for a new shape and for its parameters, which are written. Other shapes give way, those not used for longest first;
    /// the plans of those that had one are answered.
    ///
    /// # Errors
    /// The parameters fit no slot, or the driver fails. Nothing is at hand under the key then.
    pub(crate) fn claim(
        &mut self,
        key: ShapeKey,
        program: &Program,
        params: &mut Params,
        transfer: &Transfer,
    ) -> Result<(usize, Slot, Vec<u32>), EngineError> {
        let index = self.lru.claim(key);
        if self.list.len() <= index {
            self.list.resize_with(index + 1, || None);
        }
        let mut retired = Vec::new();
        let result = self.take_params(index, program, params, transfer, &mut retired);
        if result.is_err() {
            self.lru.forget(index);
        }
        Ok((index, result?, retired))
    }

    fn take_params(
        &mut self,
        index: usize,
        program: &Program,
        params: &mut Params,
        transfer: &Transfer,
        retired: &mut Vec<u32>,
    ) -> Result<Slot, EngineError> {
        self.drop_shape(index, params, retired)?;
        if let Some(slot) = params.take(program, transfer)? {
            return Ok(slot);
        }
        // Unusually many parameters: all other shapes give way at once.
        for other in (0..self.list.len()).filter(|&other| other != index) {
            self.drop_shape(other, params, retired)?;
            self.lru.forget(other);
        }
        let needed = program.params.len() as u64;
        let given = params.buffer().size();
        params.take(program, transfer)?.ok_or(EngineError::Parameters { needed, given })
    }

    fn drop_shape(
        &mut self,
        index: usize,
        params: &mut Params,
        retired: &mut Vec<u32>,
    ) -> Result<(), EngineError> {
        let Some(shape) = self.list.get_mut(index).and_then(Option::take) else { return Ok(()) };
        params.free(shape.params);
        retired.extend(shape.plan);
        for mut commands in shape.recorded.into_iter().flat_map(|recorded| recorded.commands) {
            commands.clear()?;
            self.spare.push(commands);
        }
        Ok(())
    }

    pub(crate) fn put(&mut self, index: usize, shape: Shape) {
        if let Some(place) = self.list.get_mut(index) {
            *place = Some(shape);
        }
    }

    /// Has the parts of all shapes submitted whole, where they were cut for as long as weights arrived.
    pub(crate) fn join(&mut self) -> Result<(), EngineError> {
        let spare = &mut self.spare;
        self.list.iter_mut().flatten().try_for_each(|shape| shape.recut(parts(&shape.program), spare))
    }

    /// Gives up commands that are bound to memory which nobody else has any more.
    pub(crate) fn forget_dropped(&mut self) -> Result<(), EngineError> {
        let spare = &mut self.spare;
        self.list.iter_mut().flatten().try_for_each(|shape| shape.forget_dropped(spare))
    }
}

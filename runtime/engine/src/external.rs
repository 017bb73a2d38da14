//! Buffers that are given at each run: outputs that callers keep, and inputs that they have on the device already.

use std::sync::{Arc, Weak};

use bayplan_compile::{BufferId, Program, Window};
use bayplan_vulkan::Buffer;

use crate::error::EngineError;

/// Where the buffers of a program's external arena lie in one run, by their ids, ascending.
#[derive(Default)]
pub(crate) struct Placement(Vec<Place>);

/// Where one of them lies.
pub(crate) struct Place {
    pub(crate) id: BufferId,
    pub(crate) buffer: Arc<Buffer>,
    /// Its first byte there, a multiple of the storage alignment.
    pub(crate) offset: u64,
}

/// What makes two placements the same for recorded commands: buffers of the device and offsets, and whether the device's
/// buffers still exist.
pub(crate) struct PlacementKey(Vec<(BufferId, bayplan_vulkan::BufferId, u64, Weak<Buffer>)>);

impl Placement {
    pub(crate) fn new(mut places: Vec<Place>) -> Self {
        places.sort_by_key(|place| place.id);
        Self(places)
    }

    /// The buffer that a window begins in, and where in it.
    pub(crate) fn place(&self, program: &Program, window: &Window) -> Result<(&Buffer, u64), EngineError> {
        let own = self.find(window.buffer);
        let planned = program.buffers.get(window.buffer.0 as usize);
        match (own, planned) {
            (Some(place), Some(planned)) if window.offset >= planned.offset => {
                Ok((&place.buffer, place.offset + (window.offset - planned.offset)))
            }
            _ => {
                let name = planned.map_or_else(String::new, |planned| planned.name.to_string());
                let why = "no memory was given for it";
                Err(bayplan_vulkan::Error::InvalidRange { name, why }.into())
            }
        }
    }

    pub(crate) fn find(&self, id: BufferId) -> Option<&Place> {
        self.0.binary_search_by_key(&id, |place| place.id).ok().and_then(|at| self.0.get(at))
    }

    /// The offset in the external arena of the program for bytes of a device's buffer, if they are one of these places'.
    pub(crate) fn planned(
        &self,
        program: &Program,
        buffer: bayplan_vulkan::BufferId,
        offset: u64,
    ) -> Option<u64> {
        self.0.iter().find_map(|place| {
            let planned = program.buffers.get(place.id.0 as usize)?;
            let inside = offset.checked_sub(place.offset).filter(|&at| at < planned.size)?;
            (place.buffer.id() == buffer).then_some(planned.offset + inside)
        })
    }

    pub(crate) fn key(&self) -> PlacementKey {
        let key = |place: &Place| (place.id, place.buffer.id(), place.offset, Arc::downgrade(&place.buffer));
        PlacementKey(self.0.iter().map(key).collect())
    }
}

impl PlacementKey {
    /// Whether a placement is this one.
    pub(crate) fn is(&self, placement: &Placement) -> bool {
        self.0.len() == placement.0.len()
            && self
                .0
                .iter()
                .zip(&placement.0)
                .all(|(own, place)| (own.0, own.1, own.2) == (place.id, place.buffer.id(), place.offset))
    }

    /// Whether all its buffers still have an owner beside recorded commands.
    pub(crate) fn is_alive(&self) -> bool {
        self.0.iter().all(|(.., buffer)| buffer.strong_count() > 0)
    }
}

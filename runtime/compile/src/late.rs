//! Late parts: bytes of a storage that nobody touches until long after its first ones are written, and who lies there
//! until then.
//!
//! ```text
//!  skip and upsampled, concatenated        ┌────────────────────┬───────┐
//!  in one storage of the outer level       │ guests             │ up    │  late part: written first by the upsampling
//!                                          ├────────────────────┴───────┤
//!                                          │ skip                       │
//!                                          └────────────────────────────┘──► op
//! ```
//!
//! A storage is planned as a rectangle. Where the largest sum of live bytes gets smaller when the parts of storages count
//! by their own lives, storages that live and die before a part is written are placed inside it (they are *guests*), and
//! the others are planned without them. Whatever is decided holds for all shapes: guests surely fit, surely apart from each
//! other. It is done only where the whole arena gets smaller.

use std::cmp::Reverse;
use std::ops::Range;

use bayplan_plan::Plan;

use crate::assemble::Placement;
use crate::direct;
use crate::error::CompileError;
use crate::liveness::{Liveness, Place, Stages, Storage};
use crate::lowered::{Lowered, Operation, Origin, TensorId};
use crate::program::{Arena, BufferKind};
use crate::size::Size;
use crate::view::View;

/// Bytes of a storage, at the same place for all shapes, that nobody touches before an operation.
#[derive(Clone, Debug)]
pub(crate) struct Late {
    /// From the storage's first byte on.
    pub(crate) bytes: Range<Size>,
    /// The first operation that touches them, in the run stage.
    pub(crate) first: u32,
}

/// What storages are rounded to.
#[derive(Clone, Copy)]
pub(crate) struct Unit {
    /// Bytes that storages and windows have a multiple of.
    pub(crate) granule: u64,
    /// Bytes that storages begin at a multiple of.
    pub(crate) align: u64,
    /// Bytes kept free after each.
    pub(crate) guard: u64,
}

/// Finds guests for late parts. `place` plans the storages that are no guests; what it planned of `live` is `placed`. The
/// smaller of the plans, and the storages it is for where it is not what is given.
pub(crate) fn house(
    lowered: &Lowered,
    live: &Liveness,
    placed: Placement,
    stages: &Stages,
    unit: Unit,
    place: impl Fn(&Liveness) -> Result<Placement, CompileError>,
) -> Result<(Option<Liveness>, Placement), CompileError> {
    if is_least(lowered, live, &placed.run.plan, stages) {
        return Ok((None, placed));
    }
    let late = parts(lowered, live, stages, unit.granule);
    if late.iter().all(Vec::is_empty) {
        return Ok((None, placed));
    }
    let house = House::new(lowered, live, late, unit);
    let mut best = (None, placed);
    // As few guests as bring the sum of live bytes down first: others only bind the planner.
    for few in [true, false] {
        if best.1.run.plan.peak <= house.bound {
            break;
        }
        let Some(live) = house.with_guests(few, best.1.run.plan.peak) else { continue };
        let placed = place(&live)?;
        if placed.run.plan.peak < best.1.run.plan.peak {
            best = (Some(live), placed);
        }
    }
    Ok(best)
}

/// Whether no part counting by its own life makes the arena smaller: the plan is at its lower bound, and of what lives
/// together there nothing is first written later.
fn is_least(lowered: &Lowered, live: &Liveness, plan: &Plan, stages: &Stages) -> bool {
    let fullest = plan.lower_bound.witness;
    let later = stages.run.iter().skip(fullest as usize + 1).map(|&index| &lowered.operations[index]);
    let mut parts = later.filter(|operation| operation.partial).filter_map(|o| live.of[o.output.index()]);
    let lives = |place: Place| live.storages[place.storage].lifespan.contains(&fullest);
    plan.peak <= plan.lower_bound.bytes && !parts.any(lives)
}

/// The late parts of each storage: no two of a storage share bytes.
fn parts(lowered: &Lowered, live: &Liveness, stages: &Stages, granule: u64) -> Vec<Vec<Late>> {
    let mut late = vec![Vec::new(); live.storages.len()];
    let place = |tensor: TensorId| live.of[tensor.index()];
    let mut wanted = vec![false; live.storages.len()];
    let computed = |&tensor: &TensorId| matches!(lowered.tensor(tensor).origin, Origin::Computed);
    for (position, &index) in stages.run.iter().enumerate() {
        let operation = &lowered.operations[index];
        let Some(Place { storage, .. }) = place(operation.output).filter(|_| operation.partial) else {
            continue;
        };
        let own = &live.storages[storage];
        wanted[storage] |= own.lifespan.start < position as u32
            && own.arena() == Arena::Activations
            && own.tensors.iter().all(computed);
    }
    if !wanted.contains(&true) {
        return late;
    }
    let mut uses: Vec<Vec<Use>> = live.storages.iter().map(|_| Vec::new()).collect();
    for (position, &index) in stages.run.iter().enumerate() {
        let operation = &lowered.operations[index];
        let mut note = |tensor: TensorId, bytes: Range<Size>, writes: bool| {
            let Some(Place { storage, offset }) = place(tensor).filter(|place| wanted[place.storage]) else {
                return;
            };
            let bytes = offset + bytes.start..offset + bytes.end;
            uses[storage].push(Use { at: position as u32, bytes, writes });
        };
        for (slot, view) in operation.operands.iter().enumerate() {
            note(view.tensor, operand(lowered, operation, slot, granule), false);
        }
        note(operation.output, written(lowered, operation, granule), true);
    }
    for ((late, uses), storage) in late.iter_mut().zip(&uses).zip(&live.storages) {
        *late = late_of(uses, storage);
    }
    late
}

/// A use of a storage's bytes.
struct Use {
    at: u32,
    bytes: Range<Size>,
    writes: bool,
}

/// The late parts among what is written.
fn late_of(uses: &[Use], storage: &Storage) -> Vec<Late> {
    let mut late: Vec<Late> = Vec::new();
    for write in uses.iter().filter(|own| own.writes && own.at > storage.lifespan.start) {
        // Uses are in order: the first that may touch a byte of it.
        let touches = uses.iter().find(|other| !apart(&other.bytes, &write.bytes));
        let first = touches.map_or(write.at, |other| other.at);
        let free = late.iter().all(|other| apart(&other.bytes, &write.bytes));
        let any = write.bytes.start.here() < write.bytes.end.here();
        if first > storage.lifespan.start && free && any {
            late.push(Late { bytes: write.bytes.clone(), first });
        }
    }
    late.sort_by_key(|part| part.bytes.start.here());
    late
}

fn apart(a: &Range<Size>, b: &Range<Size>) -> bool {
    a.end.surely_le(b.start) || b.end.surely_le(a.start)
}

/// The bytes of its tensor that an operand's window has at most, whatever the shape.
fn operand(lowered: &Lowered, operation: &Operation, slot: usize, granule: u64) -> Range<Size> {
    let View { tensor, base, shape, strides, .. } = &operation.operands[slot];
    let beyond = direct::base(&operation.spec, slot);
    let width = lowered.tensor(*tensor).repr.bytes();
    let steps = shape.iter().zip(strides).map(|(&size, &stride)| (size - 1).max(0) * stride.max(-stride));
    let count = steps.sum::<Size>() + 1 + beyond;
    let start = (*base - beyond).max(0) * width;
    start..start + (count * width).next_multiple_of(granule)
}

/// The bytes of its output that an operation's window has at most.
fn written(lowered: &Lowered, operation: &Operation, granule: u64) -> Range<Size> {
    let width = lowered.tensor(operation.output).repr.bytes();
    let (start, end) = (operation.written.start * width, operation.written.end * width);
    start..start + (end - start).next_multiple_of(granule)
}

/// Storages with late parts, and what could lie in them.
struct House<'a> {
    live: &'a Liveness,
    /// Of each storage, its late parts.
    late: Vec<Vec<Late>>,
    /// Of each storage in the arena, the bytes it takes with what is kept free after it.
    sizes: Vec<Size>,
    /// For each operation, the bytes of the storages that live then.
    loads: Vec<u64>,
    /// No plan is smaller, even if parts could lie apart from their storages.
    bound: u64,
    unit: Unit,
}

/// A guest with its place.
struct Guest {
    storage: usize,
    at: Place,
    end: Size,
}

impl<'a> House<'a> {
    fn new(lowered: &Lowered, live: &'a Liveness, late: Vec<Vec<Late>>, unit: Unit) -> Self {
        let size = |storage: &Storage| match storage.tensors.first() {
            Some(&first) if storage.arena() == Arena::Activations => {
                lowered.tensor(first).bytes().next_multiple_of(unit.granule) + unit.guard
            }
            _ => Size::ZERO,
        };
        let sizes: Vec<Size> = live.storages.iter().map(size).collect();
        let end = live.storages.iter().map(|storage| storage.lifespan.end).max().unwrap_or(0);
        let mut loads = vec![0u64; end as usize];
        for (storage, size) in live.storages.iter().zip(&sizes) {
            let span = storage.lifespan.start as usize..storage.lifespan.end as usize;
            loads[span].iter_mut().for_each(|load| *load = load.saturating_add(size.here()));
        }
        let mut by_parts = loads.clone();
        for (storage, parts) in live.storages.iter().zip(&late) {
            for Late { bytes, first } in parts {
                let unused = bytes.end.here().saturating_sub(bytes.start.here());
                let span = storage.lifespan.start as usize..*first as usize;
                by_parts[span].iter_mut().for_each(|load| *load = load.saturating_sub(unused));
            }
        }
        let bound = by_parts.into_iter().max().unwrap_or(0);
        Self { live, late, sizes, loads, bound, unit }
    }

    /// The storages with guests, the largest first: all that fit, or only those that live while more bytes do than `bound`.
    /// None where there are none, or the others alone need `enough` bytes.
    fn with_guests(&self, few: bool, enough: u64) -> Option<Liveness> {
        let mut order: Vec<usize> = (0..self.sizes.len()).filter(|&storage| self.may_move(storage)).collect();
        order.sort_by_key(|&storage| Reverse(self.sizes[storage].here()));
        let mut loads = self.loads.clone();
        let mut guests: Vec<Guest> = Vec::new();
        for storage in order {
            let life = &self.live.storages[storage].lifespan;
            let span = life.start as usize..life.end as usize;
            if few && loads[span.clone()].iter().all(|&load| load <= self.bound) {
                continue;
            }
            let Some(guest) = self.find(storage, &guests) else { continue };
            let size = self.sizes[storage].here();
            loads[span].iter_mut().for_each(|load| *load = load.saturating_sub(size));
            guests.push(guest);
        }
        if guests.is_empty() || loads.iter().any(|&load| load >= enough) {
            return None;
        }
        let mut live = self.live.clone();
        for Guest { storage, at, .. } in guests {
            live.storages[storage].within = Some(at);
            live.storages[at.storage].late.clone_from(&self.late[at.storage]);
        }
        Some(live)
    }

    /// Whether a storage may be a guest.
    fn may_move(&self, storage: usize) -> bool {
        let own = &self.live.storages[storage];
        own.kind == BufferKind::Activation
            && own.arena() == Arena::Activations
            && self.sizes[storage].here() > 0
    }

    /// A place for a storage in late parts of another one. What it lives in lives longer than itself, so that no two
    /// storages are each other's guests.
    fn find(&self, storage: usize, guests: &[Guest]) -> Option<Guest> {
        let life = &self.live.storages[storage].lifespan;
        let hosts = (0..self.late.len()).filter(|&host| {
            let other = &self.live.storages[host].lifespan;
            host != storage && other.start <= life.start && life.end < other.end
        });
        hosts.into_iter().find_map(|host| {
            let parts = &self.late[host];
            (0..parts.len()).find_map(|from| {
                let room = room(&parts[from..], life.end)?;
                self.find_in(storage, host, &room, guests)
            })
        })
    }

    /// A place for a storage in free bytes of another one: at their beginning or after a guest that is there already.
    fn find_in(&self, storage: usize, host: usize, room: &Range<Size>, guests: &[Guest]) -> Option<Guest> {
        let life = &self.live.storages[storage].lifespan;
        let others = || guests.iter().filter(|guest| guest.at.storage == host);
        let met: Vec<&Guest> = others()
            .filter(|guest| {
                let other = &self.live.storages[guest.storage].lifespan;
                other.start < life.end && life.start < other.end
            })
            .collect();
        let starts = std::iter::once(room.start).chain(met.iter().map(|guest| guest.end));
        starts.into_iter().find_map(|start| {
            let start = start.next_multiple_of(self.unit.align);
            let end = start + self.sizes[storage];
            let fits = room.start.surely_le(start) && end.surely_le(room.end);
            let free = met.iter().all(|guest| apart(&(start..end), &(guest.at.offset..guest.end)));
            (fits && free).then_some(Guest { storage, at: Place { storage: host, offset: start }, end })
        })
    }
}

/// The bytes of the first part and of those that follow it without a gap, as far as nobody touches them before `end`.
fn room(parts: &[Late], end: u32) -> Option<Range<Size>> {
    let mut room: Option<Range<Size>> = None;
    for part in parts.iter().take_while(|part| end <= part.first) {
        match &mut room {
            None => room = Some(part.bytes.clone()),
            Some(room) if room.end.surely_eq(part.bytes.start) => room.end = part.bytes.end,
            Some(_) => break,
        }
    }
    room
}

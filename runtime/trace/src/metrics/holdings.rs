//! What the device memory of a session is held for.

use alloc::vec::Vec;

use crate::schema::plan_record::{ArenaKind, ArenaRecord};
use crate::timeline::{Block, Timeline};

/// What device memory is held for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// Weights, constants, and what was computed from them.
    Weights,
    /// Intermediate values, with the inputs and outputs that lie among them.
    Activations,
    /// Inputs in memory of their own.
    Inputs,
    /// Outputs in memory of their own.
    Outputs,
    /// Keys and values of attention.
    Kv,
    /// What the host writes and reads.
    Staging,
    /// Other arenas of the plan.
    Other,
    /// What the runtime needs beside tensors: parameters of kernels, the playhead.
    Runtime,
    /// Room of arenas beyond what the plan of the present shape needs: for larger shapes, and rounding.
    Spare,
    /// Blocks that neither the plan nor the runtime explains.
    Unaccounted,
}

impl Purpose {
    /// Every purpose, in the order in which they are told.
    pub const ALL: [Self; 10] = [
        Self::Weights,
        Self::Activations,
        Self::Inputs,
        Self::Outputs,
        Self::Kv,
        Self::Staging,
        Self::Other,
        Self::Runtime,
        Self::Spare,
        Self::Unaccounted,
    ];

    /// Its name in reports and on the screen.
    pub fn name(self) -> &'static str {
        match self {
            Self::Weights => "weights",
            Self::Activations => "activations",
            Self::Inputs => "inputs",
            Self::Outputs => "outputs",
            Self::Kv => "kv",
            Self::Staging => "staging",
            Self::Other => "other",
            Self::Runtime => "runtime",
            Self::Spare => "spare",
            Self::Unaccounted => "unaccounted",
        }
    }

    fn of(kind: ArenaKind) -> Self {
        match kind {
            ArenaKind::Weights | ArenaKind::Constants => Self::Weights,
            ArenaKind::Activations => Self::Activations,
            ArenaKind::Inputs => Self::Inputs,
            ArenaKind::Outputs => Self::Outputs,
            ArenaKind::Staging => Self::Staging,
            ArenaKind::Kv => Self::Kv,
            ArenaKind::Other => Self::Other,
        }
    }
}

/// Words that begin the purpose of blocks which are no arena of a plan.
const KNOWN: [(&str, Purpose); 7] = [
    ("weights", Purpose::Weights),
    ("activations", Purpose::Activations),
    ("inputs", Purpose::Inputs),
    ("outputs", Purpose::Outputs),
    ("staging", Purpose::Staging),
    ("kernel parameters", Purpose::Runtime),
    ("playhead", Purpose::Runtime),
];

/// What the device memory of a session is held for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Bytes by purpose, of those that have any; they sum to `total` exactly.
    pub parts: Vec<(Purpose, u64)>,
    /// Bytes of the live blocks of device memory; what the plan needs where no block was seen.
    pub total: u64,
    /// Whether blocks were seen: else this is what the plan needs, and nothing was measured.
    pub seen: bool,
}

impl Holdings {
    /// Bytes for a purpose.
    pub fn bytes(&self, purpose: Purpose) -> u64 {
        self.parts.iter().find(|(of, _)| *of == purpose).map_or(0, |(_, bytes)| *bytes)
    }

    fn new(sums: &[u64; Purpose::ALL.len()], seen: bool) -> Self {
        let parts = Purpose::ALL.into_iter().zip(sums.iter().copied()).filter(|(_, bytes)| *bytes > 0);
        Self {
            parts: parts.collect(),
            total: sums.iter().fold(0, |sum, bytes| sum.saturating_add(*bytes)),
            seen,
        }
    }
}

/// Splits the live blocks of device memory by purpose. Of an arena's blocks, what the current plan needs of it counts for what
/// the arena holds, and the rest is spare.
pub fn holdings(timeline: &Timeline) -> Holdings {
    let arenas = timeline.current_plan().map_or(&[][..], |(_, plan)| &plan.record.arenas);
    let mut sums = [0u64; Purpose::ALL.len()];
    let mut add = |purpose: Purpose, bytes: u64| {
        let sum = &mut sums[purpose as usize];
        *sum = sum.saturating_add(bytes);
    };
    if timeline.blocks.is_empty() {
        arenas.iter().for_each(|arena| add(Purpose::of(arena.kind), arena.size));
        return Holdings::new(&sums, false);
    }
    let mut held = alloc::vec![0u64; arenas.len()];
    for block in timeline.blocks.values() {
        match arena_of(arenas, block) {
            Some(arena) => held[arena] = held[arena].saturating_add(block.bytes),
            None => add(known(block), block.bytes),
        }
    }
    for (arena, held) in arenas.iter().zip(held) {
        let needed = held.min(arena.size);
        add(Purpose::of(arena.kind), needed);
        add(Purpose::Spare, held - needed);
    }
    Holdings::new(&sums, true)
}

/// The arena that a block is, or is one of several blocks of: those are numbered.
fn arena_of(arenas: &[ArenaRecord], block: &Block) -> Option<usize> {
    arenas.iter().position(|arena| block.planned && !arena.name.is_empty() && begins(block, &arena.name))
}

fn known(block: &Block) -> Purpose {
    let found = KNOWN.iter().find(|(word, _)| block.planned && begins(block, word));
    found.map_or(Purpose::Unaccounted, |(_, purpose)| *purpose)
}

fn begins(block: &Block, name: &str) -> bool {
    block.purpose.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;
    use crate::{Event, PlanRecord, Record};

    fn timeline(arenas: &[(&str, ArenaKind, u64)], blocks: &[(&str, u64, bool)]) -> Timeline {
        let mut timeline = Timeline::new();
        let arenas = arenas.iter().map(|&(name, kind, size)| {
            let name = name.to_string();
            ArenaRecord { name, kind, size, ..ArenaRecord::default() }
        });
        let record = PlanRecord { arenas: arenas.collect(), ..PlanRecord::default() };
        timeline.apply(Record::Plan { plan: 0, record });
        for (id, &(purpose, bytes, planned)) in (0..).zip(blocks) {
            let purpose = purpose.to_string();
            let event = Event::DeviceAllocated { t: 1, id, bytes, memory_type: 0, purpose, planned };
            timeline.apply(Record::Event(event));
        }
        timeline
    }

    const ARENAS: [(&str, ArenaKind, u64); 3] = [
        ("activations", ArenaKind::Activations, 100),
        ("weights", ArenaKind::Weights, 1000),
        ("cache", ArenaKind::Kv, 50),
    ];

    #[test]
    fn blocks_are_what_their_arena_holds() {
        let blocks = [
            ("weights", 1000, true),
            ("activations 1 of 2", 64, true),
            ("activations 2 of 2", 64, true),
            ("kernel parameters", 7, true),
            ("staging upload", 9, true),
            ("activationsX", 3, true),
            ("unknown", 5, false),
        ];
        let found = holdings(&timeline(&ARENAS, &blocks));
        let expect = vec![
            (Purpose::Weights, 1000),
            (Purpose::Activations, 100),
            (Purpose::Staging, 9),
            (Purpose::Runtime, 7),
            (Purpose::Spare, 28),
            (Purpose::Unaccounted, 8),
        ];
        assert_eq!(found, Holdings { parts: expect, total: 1152, seen: true });
        assert_eq!((found.bytes(Purpose::Spare), found.bytes(Purpose::Kv)), (28, 0));
    }

    #[test]
    fn without_blocks_it_is_what_the_plan_needs() {
        let found = holdings(&timeline(&ARENAS, &[]));
        assert_eq!((found.total, found.seen, found.bytes(Purpose::Kv)), (1150, false, 50));
        assert_eq!(holdings(&Timeline::new()), Holdings::default());
    }

    proptest! {
        #[test]
        fn it_sums_to_what_the_blocks_hold(
            blocks in prop::collection::vec((0usize..9, 0u64..1 << 40, any::<bool>()), 0..20),
        ) {
            let names = ["weights", "weights 2", "activations", "cache", "outputs", "playhead", "", "x", "staging"];
            let blocks: Vec<_> = blocks.into_iter().map(|(name, bytes, planned)| (names[name], bytes, planned)).collect();
            let timeline = timeline(&ARENAS, &blocks);
            let found = holdings(&timeline);
            prop_assert_eq!(found.parts.iter().map(|(_, bytes)| bytes).sum::<u64>(), found.total);
            if found.seen {
                prop_assert_eq!(found.total, timeline.device_bytes());
            }
        }
    }
}

//! What is wrong: windows that are not where the plan says, lives that overlap, memory nobody planned.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use bayplan_text::escape;

use crate::schema::event::{UNPLANNED, Window};
use crate::schema::ops_words::ops_words;
use crate::schema::plan_record::{BufferKind, PlanRecord};
use crate::timeline::overlaps::overlaps;
use crate::timeline::plan_state::{Actual, Stray};

/// One thing that is not as planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// A window lies outside the bytes that the plan gives its buffer.
    Moved {
        /// The op.
        op: u32,
        /// The binding.
        binding: u32,
        /// The buffer it is bound for ([`UNPLANNED`] for none of the plan's).
        buffer: u32,
        /// The arenas: planned, and bound ([`UNPLANNED`] for none of the plan's).
        arenas: (u32, u32),
        /// Where the plan has the buffer.
        planned: (u64, u64),
        /// Where the window was bound: first byte and one past the last.
        actual: (u64, u64),
    },
    /// An op touches a buffer outside its planned life.
    Late {
        /// The op.
        op: u32,
        /// The buffer.
        buffer: u32,
        /// The planned life, half-open.
        planned: (u32, u32),
    },
    /// Two buffers share bytes while both are alive.
    Overlap {
        /// One buffer.
        a: u32,
        /// The other.
        b: u32,
        /// The arena.
        arena: u32,
        /// The shared bytes: first, and one past the last.
        bytes: (u64, u64),
        /// The ops at which both live, half-open.
        ops: (u32, u32),
    },
    /// Device memory was allocated that no plan knows of.
    Unplanned {
        /// Number of the block.
        block: u64,
        /// Its size.
        bytes: u64,
    },
}

impl Alarm {
    /// The sort of alarm, as reports and checks name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Moved { .. } | Self::Late { .. } => "deviation",
            Self::Overlap { .. } => "overlap",
            Self::Unplanned { .. } => "unplanned",
        }
    }

    /// What is wrong, for people: buffers and ops by their names (escaped) where the plan is given.
    pub fn text(&self, plan: Option<&PlanRecord>) -> String {
        let names = Names(plan);
        match self {
            Self::Moved { op, binding, buffer, arenas, planned, actual } => {
                let (op, range) = (names.op(*op), format!("{}..{}", actual.0, actual.1));
                let place = names.place(arenas.1);
                if *buffer == UNPLANNED {
                    return format!(
                        "{op} binding {binding} reaches bytes {range} of {place} for no buffer of the plan"
                    );
                }
                let mut text =
                    format!("{op} binding {binding}: {} is bound at bytes {range}", names.buffer(*buffer));
                if arenas.0 != arenas.1 {
                    text += &format!(" of {place}");
                }
                text += &format!(", planned at {}..{}", planned.0, planned.1);
                if arenas.0 != arenas.1 {
                    text += &format!(" of {}", names.place(arenas.0));
                }
                text
            }
            Self::Late { op, buffer, planned } => format!(
                "{} touches {}, planned to live during {}",
                names.op(*op),
                names.buffer(*buffer),
                ops_words(planned.0, planned.1)
            ),
            Self::Overlap { a, b, arena, bytes, ops } => format!(
                "{} and {} share bytes {}..{} of {} while both live during {}",
                names.buffer(*a),
                names.buffer(*b),
                bytes.0,
                bytes.1,
                names.place(*arena),
                ops_words(ops.0, ops.1)
            ),
            Self::Unplanned { block, bytes } => {
                format!("block {block} of {bytes} bytes was allocated outside the plan")
            }
        }
    }
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(None))
    }
}

/// What ops, buffers and arenas are called: by number, and by name where it is known.
struct Names<'a>(Option<&'a PlanRecord>);

impl Names<'_> {
    fn op(&self, op: u32) -> String {
        let name = self.0.and_then(|plan| plan.ops.get(op as usize)).map(|op| op.name.as_str());
        name.filter(|name| !name.is_empty())
            .map_or_else(|| format!("op {op}"), |name| format!("op {op} ({})", escape(name)))
    }

    fn buffer(&self, buffer: u32) -> String {
        let name =
            self.0.and_then(|plan| plan.buffers.get(buffer as usize)).map(|record| record.name.as_str());
        name.filter(|name| !name.is_empty())
            .map_or_else(|| format!("buffer {buffer}"), |name| format!("buffer {buffer} ({})", escape(name)))
    }

    fn place(&self, arena: u32) -> String {
        if arena == UNPLANNED {
            return "memory outside the plan".to_string();
        }
        let name = self.0.and_then(|plan| plan.arenas.get(arena as usize)).map(|record| record.name.as_str());
        name.filter(|name| !name.is_empty())
            .map_or_else(|| format!("arena {arena}"), |name| format!("arena {}", escape(name)))
    }
}

/// Alarms of each kind listed per plan: one broken buffer can break every window.
pub(crate) const MAX_ALARMS: usize = 1000;

/// What is wrong with the windows of a plan.
#[derive(Clone, Debug, Default)]
pub(crate) struct Alarms {
    /// The first deviations, then overlaps.
    pub(crate) list: Vec<Alarm>,
    /// All deviations.
    pub(crate) deviations: u64,
    /// Overlaps found before the search ended.
    pub(crate) overlaps: u64,
}

impl Alarms {
    /// Compares the windows of a plan with the plan.
    pub(crate) fn find(
        plan: &PlanRecord,
        windows: &[Window],
        actual: &[Option<Actual>],
        strays: &[Stray],
    ) -> Self {
        let (mut list, mut deviations) = (Vec::new(), 0);
        for alarm in windows.iter().flat_map(|window| deviations_of(plan, window)) {
            deviations += 1;
            if list.len() < MAX_ALARMS {
                list.push(alarm);
            }
        }
        let overlaps = overlaps(plan, actual, strays, MAX_ALARMS);
        let count = overlaps.len() as u64;
        list.extend(overlaps);
        Self { list, deviations, overlaps: count }
    }
}

fn deviations_of(plan: &PlanRecord, window: &Window) -> impl Iterator<Item = Alarm> + use<> {
    let Window { op, binding, buffer: number, arena, offset, len, .. } = *window;
    let actual = (offset, offset.saturating_add(len));
    let moved = |arenas, planned| Alarm::Moved { op, binding, buffer: number, arenas, planned, actual };
    let Some(buffer) = plan.buffers.get(number as usize) else {
        // Memory of the plan for no buffer of it.
        let stray = (arena != UNPLANNED && len > 0).then(|| moved((UNPLANNED, arena), (0, 0)));
        return [stray, None].into_iter().flatten();
    };
    let planned = (buffer.offset, buffer.end());
    let inside = arena == buffer.arena && offset >= planned.0 && actual.1 <= planned.1;
    let resident = matches!(buffer.kind, BufferKind::Weight | BufferKind::Constant);
    let late = !resident && !buffer.lives_at(op);
    let life = (buffer.first, buffer.last);
    let alarms = [
        (!inside).then(|| moved((buffer.arena, arena), planned)),
        late.then_some(Alarm::Late { op, buffer: number, planned: life }),
    ];
    alarms.into_iter().flatten()
}

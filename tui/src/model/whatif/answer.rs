//! What a plan would be after edits.

use std::sync::Arc;

use bayplan_plan::{Effort, Plan, Problem, aligned_lower_bound, lower_bound, solve};
use bayplan_trace::{ArenaRecord, OpRecord, PlanRecord, PlanState, Storage};

use super::subject::Wanted;
use super::{Edit, MOST_PLACED, Subject};
use crate::model::ghost::Ghost;

/// What is known of an answer's arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// No plan is smaller.
    Least,
    /// A smaller plan may exist; by so many bytes at most.
    Open(u64),
    /// Only the bound is known: there is too much to place.
    Unplaced,
}

/// The plan after edits.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// Bytes of the arena in use, before and after; the bound after where nothing was placed.
    pub(crate) arena: (u64, u64),
    /// The most bytes that live at once, before and after.
    pub(crate) bound: (u64, u64),
    /// What is known of the arena after.
    pub(crate) proof: Proof,
    /// What people should know of it.
    pub(crate) notes: Vec<String>,
    /// No plan under any order is smaller, where that was looked into.
    pub(crate) least_of_orders: Option<u64>,
    /// Where everything lies then: what is left, by number of the buffer.
    pub(crate) placed: Vec<Storage>,
}

/// What edits make of a subject, placed.
pub(super) struct Planned {
    pub(super) wanted: Wanted,
    /// What is placed, buffer by buffer, with the position of each among the subject's.
    pub(super) loose: Problem,
    pub(super) positions: Vec<usize>,
    /// The best plan that was found; none where there is too much to place.
    pub(super) best: Option<Plan>,
    /// No plan is smaller than this.
    pub(super) least: u64,
}

impl Planned {
    /// Places what edits leave. Work is bounded: fractions of a second, but for very many buffers.
    ///
    /// # Errors
    /// Why it cannot be placed; in words.
    pub(super) fn of(subject: &Subject, edits: &[Edit]) -> Result<Self, String> {
        if subject.placed.is_empty() {
            return Err("nothing lives in this arena".to_owned());
        }
        let mut wanted = subject.wanted(edits)?;
        let (loose, positions) = subject.loose(&wanted)?;
        if loose.len() > MOST_PLACED {
            wanted.notes.push(format!(
                "{} tensors are too many to place anew here (at most {}): the arena is at least this large",
                bayplan_text::Count(loose.len() as u64),
                bayplan_text::Count(MOST_PLACED as u64)
            ));
            let least = aligned_lower_bound(&loose).bytes;
            return Ok(Self { wanted, loose, positions, best: None, least });
        }
        let (tied, members) = subject.tied(&wanted)?;
        let found = solve(&tied, Effort::Normal);
        let offsets = subject.unbundled(&wanted, &members, &found.offsets);
        let mut best = judged(&loose, &positions, &offsets)?;
        if wanted.order.is_none() && subject.recorded_holds(&wanted) {
            // What only shrinks may stay where it is.
            let recorded: Vec<u64> = subject.placed.iter().map(|row| row.offset).collect();
            let kept = judged(&loose, &positions, &recorded).ok();
            best = kept.filter(|kept| kept.peak <= best.peak).unwrap_or(best);
        }
        // What was proved of the bundles is proved of the buffers only where none lies with another.
        let alone = tied.len() == loose.len();
        let least = best.aligned_bound.bytes.max(if alone { found.proved_bound } else { 0 });
        wanted.least_of_orders = wanted.least_of_orders.filter(|_| alone);
        Ok(Self { wanted, loose, positions, best: Some(best), least })
    }
}

impl Answer {
    /// Plans anew after edits.
    ///
    /// # Errors
    /// Why there is no answer; in words.
    pub(crate) fn of(subject: &Subject, edits: &[Edit]) -> Result<Self, String> {
        let Planned { mut wanted, loose, positions, best, least } = Planned::of(subject, edits)?;
        let before = (subject.peak(), lower_bound(&subject.as_it_is()?).bytes);
        let bound = (before.1, lower_bound(&loose).bytes);
        let least_of_orders = wanted.least_of_orders;
        let Some(best) = best else {
            let (arena, notes) = ((before.0, least), wanted.notes);
            return Ok(Self {
                arena,
                bound,
                proof: Proof::Unplaced,
                notes,
                least_of_orders,
                placed: Vec::new(),
            });
        };
        let proof = match best.peak.saturating_sub(least) {
            0 => Proof::Least,
            gap => Proof::Open(gap),
        };
        if let Some(least) = least_of_orders {
            let words = format!("no order of the operators needs less than {}", bayplan_text::Bytes(least));
            wanted.notes.push(words);
        }
        let placed = placed(&wanted, &positions, &best);
        Ok(Self { arena: (before.0, best.peak), bound, proof, notes: wanted.notes, least_of_orders, placed })
    }

    /// The answer laid over the map of its subject; none where nothing was placed.
    pub(crate) fn ghost(&self, subject: &Subject, over: (u32, u32), title: String) -> Option<Ghost> {
        if self.proof == Proof::Unplaced {
            return None;
        }
        let buffers = self.placed.iter().filter_map(|row| {
            let mut buffer = subject.record.buffers.get(row.buffer as usize)?.clone();
            (buffer.arena, buffer.in_place_of, buffer.alias_of) = (0, None, None);
            (buffer.size, buffer.offset, buffer.first, buffer.last) =
                (row.size, row.offset, row.first, row.last);
            Some(buffer)
        });
        let record = PlanRecord {
            arenas: vec![ArenaRecord { size: self.arena.1, ..ArenaRecord::default() }],
            buffers: buffers.collect(),
            ops: vec![OpRecord::default(); subject.record.ops.len()],
            ..PlanRecord::default()
        };
        let state = PlanState::new(record);
        Some(Ghost::new(title, (over, &subject.record), (state, 0), |number| {
            self.placed.get(number as usize).map(|row| row.buffer)
        }))
    }
}

/// A plan of the buffers one by one, accepted by the planner's judge.
fn judged(loose: &Problem, positions: &[usize], offsets: &[u64]) -> Result<Plan, String> {
    let own = positions.iter().map(|&at| offsets[at]).collect();
    Plan::from_offsets(loose, own, "what if")
        .map_err(|violation| format!("no valid plan was found: {violation}"))
}

fn placed(wanted: &Wanted, positions: &[usize], plan: &Plan) -> Vec<Storage> {
    let rows = positions.iter().zip(&plan.offsets);
    rows.filter_map(|(&at, &offset)| Some(Storage { offset, ..wanted.rows[at]? })).collect()
}

impl Subject {
    /// The plan that is asked about.
    pub(crate) fn record(&self) -> &Arc<PlanRecord> {
        &self.record
    }
}

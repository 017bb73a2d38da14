//! Which operator reads and writes what, and the lives that follow from an order of them.

use std::collections::BTreeMap;

use bayplan_plan::Effort;
use bayplan_plan::order::{Access, Dag, DagError, Node, Value, search};
use bayplan_trace::{BufferKind, PlanRecord, Storage, roots};

use super::bundle::in_place;
use super::{Edit, MOST_ORDERED};

/// The operators of a plan and the buffers of one arena that they touch, by position.
pub(super) struct Network {
    reads: Vec<Vec<usize>>,
    writes: Vec<Vec<usize>>,
    given: Vec<bool>,
    kept: Vec<bool>,
    operands: Vec<Option<usize>>,
}

/// A buffer as the order sees it: number of its bundle, first byte in it, bytes; and the alignment of the bundle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seat {
    pub(super) bundle: usize,
    pub(super) above: u64,
    pub(super) size: u64,
    pub(super) align: u64,
}

/// Operators in an order, by their number, and what is known of orders.
pub(super) struct Ordered {
    pub(super) order: Vec<u32>,
    /// No plan under any order is smaller, where that was looked into.
    pub(super) bound: Option<u64>,
}

impl Network {
    /// # Errors
    /// The recording does not say what operators read and write, or there are too many; in words.
    pub(super) fn new(record: &PlanRecord, placed: &[Storage]) -> Result<Self, String> {
        let count = record.ops.len();
        if count > MOST_ORDERED {
            return Err(format!(
                "{} operators are too many to look for another order here (at most {})",
                bayplan_text::Count(count as u64),
                bayplan_text::Count(MOST_ORDERED as u64)
            ));
        }
        let roots = roots(record);
        let positions: BTreeMap<u32, usize> =
            placed.iter().zip(0..).map(|(row, at)| (row.buffer, at)).collect();
        let seat = |buffer: &u32| positions.get(roots.get(*buffer as usize)?).copied();
        let touched = |list: &[u32]| -> Vec<usize> { list.iter().filter_map(seat).collect() };
        let mut network = Self {
            reads: record.ops.iter().map(|op| touched(&op.reads)).collect(),
            writes: record.ops.iter().map(|op| touched(&op.writes)).collect(),
            given: vec![false; placed.len()],
            kept: vec![false; placed.len()],
            operands: placed.iter().map(|row| in_place(record, row, placed, &positions)).collect(),
        };
        if network.writes.iter().all(Vec::is_empty) {
            return Err("this recording does not say which operator reads and writes which tensor".to_owned());
        }
        network.anchor(record, placed);
        Ok(network)
    }

    /// Lets the recorded order give the recorded lives: what lives from the start or to the end does so in any order, and
    /// what lives longer than it is touched is held by the operators at its ends.
    fn anchor(&mut self, record: &PlanRecord, placed: &[Storage]) {
        let ops = record.ops.len() as u32;
        let spans = self.touches(&(0..ops).collect::<Vec<u32>>(), placed.len());
        for (at, (row, span)) in placed.iter().zip(spans).enumerate() {
            let kind = record.buffers.get(row.buffer as usize).map(|buffer| buffer.kind);
            let (first, last) = span.unwrap_or((u32::MAX, 0));
            let overwrites = self.operands[at].is_some();
            if row.first == 0 && (first > 0 || kind == Some(BufferKind::Input)) && !overwrites {
                self.given[at] = true;
            } else if row.first < first && !overwrites {
                self.reads[row.first as usize].push(at);
            }
            if row.last == ops && (last < ops || kind == Some(BufferKind::Output)) {
                self.kept[at] = true;
            } else if row.last > last {
                self.reads[row.last as usize - 1].push(at);
            }
        }
    }

    /// For each buffer the first position at which it is touched, and one past the last.
    fn touches(&self, order: &[u32], count: usize) -> Vec<Option<(u32, u32)>> {
        let mut spans: Vec<Option<(u32, u32)>> = vec![None; count];
        for (position, &op) in (0..).zip(order) {
            for &at in self.reads[op as usize].iter().chain(&self.writes[op as usize]) {
                spans[at].get_or_insert((position, position)).1 = position + 1;
            }
        }
        spans
    }

    /// The lives under an order, in its positions. `None` for what never lives.
    pub(super) fn lives(&self, order: &[u32]) -> Vec<Option<(u32, u32)>> {
        let end = order.len() as u32;
        let mut lives = self.touches(order, self.given.len());
        for (at, life) in lives.iter_mut().enumerate() {
            if self.given[at] || self.kept[at] {
                let (first, last) = life.unwrap_or((0, 1));
                *life =
                    Some((if self.given[at] { 0 } else { first }, if self.kept[at] { end } else { last }));
            }
        }
        // Bytes shared in place count once: for the result from the end of the operand on.
        let before = lives.clone();
        for (life, operand) in lives.iter_mut().zip(&self.operands) {
            let operand = operand.and_then(|operand| before[operand]);
            if let (Some((first, last)), Some((_, end))) = (life.as_mut(), operand) {
                *first = end.clamp(*first, *last);
            }
        }
        lives.into_iter().map(|life| life.filter(|(first, last)| first < last)).collect()
    }

    /// The order that the edits ask for.
    ///
    /// # Errors
    /// In words.
    pub(super) fn ordered(
        &self,
        edits: &[Edit],
        placed: &[Storage],
        own: &[Seat],
        now: &[Seat],
    ) -> Result<Ordered, String> {
        // What a tensor hands on keeps its order, even where the tensor were gone.
        let full = self.dag(own)?;
        let pairs: Vec<(u32, u32)> = (0..self.reads.len() as u32)
            .flat_map(|op| full.after(op).iter().map(move |&next| (op, next)))
            .collect();
        let dag = self.dag(now)?.keeping(pairs);
        let mut ordered = Ordered { order: (0..self.reads.len() as u32).collect(), bound: None };
        if edits.contains(&Edit::Order) {
            let mut searched = search(&dag, Effort::Normal);
            ordered.bound = Some(searched.bound);
            ordered.order = searched.candidates.swap_remove(searched.best).order;
        }
        for edit in edits {
            if let Edit::Late(buffer) = edit {
                self.move_late(&mut ordered.order, &dag, placed, *buffer)?;
            }
        }
        Ok(ordered)
    }

    /// Lets the operators that write a buffer run right before the first that must come after them.
    fn move_late(&self, order: &mut [u32], dag: &Dag, placed: &[Storage], buffer: u32) -> Result<(), String> {
        let at = placed.iter().position(|row| row.buffer == buffer).ok_or("that tensor has no bytes here")?;
        let writers: Vec<u32> =
            (0..self.writes.len() as u32).filter(|op| self.writes[*op as usize].contains(&at)).collect();
        if writers.is_empty() {
            return Err("no operator makes that tensor: it is given".to_owned());
        }
        // The latest first: what follows it has moved by then.
        for &op in writers.iter().rev() {
            let Some(from) = order.iter().position(|known| *known == op) else { continue };
            let after = dag.after(op);
            let next = (from + 1..order.len()).find(|&at| after.contains(&order[at]));
            let to = next.unwrap_or(order.len()) - 1;
            order[from..=to].rotate_left(1);
        }
        Ok(())
    }

    fn dag(&self, seats: &[Seat]) -> Result<Dag, String> {
        let bundles = seats.iter().map(|seat| seat.bundle + 1).max().unwrap_or(0);
        let mut values = vec![Value { align: 1, ..Value::default() }; bundles];
        for (at, seat) in seats.iter().enumerate() {
            let value = &mut values[seat.bundle];
            value.size = value.size.max(seat.above.saturating_add(seat.size));
            value.align = value.align.max(seat.align);
            value.given |= self.given[at];
            value.kept |= self.kept[at];
        }
        let access = |&at: &usize| {
            let Seat { bundle, above, size, .. } = seats[at];
            Access::new(bundle as u32, above, above.saturating_add(size))
        };
        let nodes = self.reads.iter().zip(&self.writes).map(|(reads, writes)| Node {
            reads: reads.iter().map(access).collect(),
            writes: writes.iter().map(access).collect(),
            ..Node::default()
        });
        Dag::new(nodes.collect(), values).map_err(|error| match error {
            DagError::TooManyPairs { .. } => {
                "too many operators touch each other's bytes to look for another order".to_owned()
            }
            error => format!("no other order can be looked for: {error}"),
        })
    }
}

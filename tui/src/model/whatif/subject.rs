//! What is asked about, and the problem that edits make of it.

use std::sync::Arc;

use bayplan_plan::{Buffer, Problem};
use bayplan_trace::{PlanRecord, Storage, storages};

use super::Edit;
use super::bundle::{Bundle, Place, bundles};
use super::dims::Sizes;
use super::network::{Network, Seat};

/// One arena of a recorded plan.
pub(crate) struct Subject {
    pub(super) record: Arc<PlanRecord>,
    pub(super) placed: Vec<Storage>,
    bundles: Vec<Bundle>,
}

/// What is to be placed after edits: by position among the subject's buffers.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// Size and life; none for what is gone or never lives.
    pub(super) rows: Vec<Option<Storage>>,
    /// Bytes above the lowest of the bundle.
    above: Vec<u64>,
    /// Where a buffer must lie, by position.
    fixed: Vec<(usize, u64)>,
    /// The operators in another order, by number.
    pub(super) order: Option<Vec<u32>>,
    /// No plan under any order is smaller, where that was looked into.
    pub(super) least_of_orders: Option<u64>,
    /// What people should know of the answer.
    pub(super) notes: Vec<String>,
}

impl Subject {
    /// The arena of that number. Time grows with n log n of its buffers.
    pub(crate) fn new(record: Arc<PlanRecord>, arena: u32) -> Self {
        let placed: Vec<Storage> = storages(&record, arena).collect();
        let bundles = bundles(&record, &placed);
        Self { record, placed, bundles }
    }

    /// Bytes up to which the arena is in use.
    pub(super) fn peak(&self) -> u64 {
        self.placed.iter().map(|row| row.offset.saturating_add(row.size)).max().unwrap_or(0)
    }

    /// What is placed as a problem, as it is.
    ///
    /// # Errors
    /// The sizes are beyond what can be planned; in words.
    pub(super) fn as_it_is(&self) -> Result<Problem, String> {
        problem(&self.placed)
    }

    /// # Errors
    /// Why an edit means nothing here; in words.
    pub(super) fn wanted(&self, edits: &[Edit]) -> Result<Wanted, String> {
        let mut wanted =
            Wanted { rows: self.placed.iter().copied().map(Some).collect(), ..Wanted::default() };
        self.resize(&mut wanted, edits)?;
        for edit in edits {
            match edit {
                Edit::Drop(buffer) => wanted.rows[self.position(*buffer)?] = None,
                Edit::Halve(buffer) => {
                    if let Some(row) = &mut wanted.rows[self.position(*buffer)?] {
                        row.size = row.size.div_ceil(2);
                    }
                }
                Edit::At(buffer, offset) => wanted.fixed.push((self.position(*buffer)?, *offset)),
                Edit::Late(_) | Edit::Order | Edit::Dim(..) => {}
            }
        }
        wanted.above = self.above(&wanted.rows);
        self.reorder(&mut wanted, edits)?;
        Ok(wanted)
    }

    fn position(&self, buffer: u32) -> Result<usize, String> {
        let found = self.placed.iter().position(|row| row.buffer == buffer);
        found.ok_or_else(|| "that tensor has no bytes of its own in this arena".to_owned())
    }

    /// Sizes at other values of the symbols.
    fn resize(&self, wanted: &mut Wanted, edits: &[Edit]) -> Result<(), String> {
        let values: Vec<(&str, i64)> = edits
            .iter()
            .filter_map(
                |edit| if let Edit::Dim(name, value) = edit { Some((name.as_str(), *value)) } else { None },
            )
            .collect();
        if values.is_empty() {
            return Ok(());
        }
        let mut sizes = Sizes::new(&self.record, &values)?;
        for row in wanted.rows.iter_mut().flatten() {
            let Some(buffer) = self.record.buffers.get(row.buffer as usize) else { continue };
            row.size = sizes.of(buffer)?;
        }
        if sizes.fixed > 0 {
            let (count, total) = (sizes.fixed, self.placed.len() as u64);
            let Some(_) = total.checked_sub(count).filter(|rest| *rest > 0) else {
                return Err("this recording does not say how sizes follow from the dims".to_owned());
            };
            wanted.notes.push(format!(
                "{} {}: the recording does not say how it follows from the dims",
                bayplan_text::plural(count, "tensor"),
                if count == 1 { "keeps its size" } else { "keep their size" }
            ));
        }
        wanted.notes.push("at other dims the model may run other operators; here they stay".to_owned());
        Ok(())
    }

    /// For each buffer its bytes above the lowest of its bundle.
    fn above(&self, rows: &[Option<Storage>]) -> Vec<u64> {
        let mut above = vec![0u64; rows.len()];
        for bundle in &self.bundles {
            // A piece comes after the one that it lies on.
            for &(at, place) in &bundle.members {
                above[at] = match place {
                    Place::Above(bytes) => bytes,
                    Place::OnTop(below) => {
                        above[below].saturating_add(rows[below].map_or(0, |below| below.size))
                    }
                };
            }
        }
        above
    }

    /// Lives under another order.
    fn reorder(&self, wanted: &mut Wanted, edits: &[Edit]) -> Result<(), String> {
        if !edits.iter().any(|edit| matches!(edit, Edit::Order | Edit::Late(_))) {
            return Ok(());
        }
        let network = Network::new(&self.record, &self.placed)?;
        let as_it_is: Vec<Option<Storage>> = self.placed.iter().copied().map(Some).collect();
        let own = self.seats(&as_it_is, &self.above(&as_it_is));
        let now = self.seats(&wanted.rows, &wanted.above);
        let ordered = network.ordered(edits, &self.placed, &own, &now)?;
        for (row, life) in wanted.rows.iter_mut().zip(network.lives(&ordered.order)) {
            *row = row.zip(life).map(|(row, (first, last))| Storage { first, last, ..row });
        }
        wanted.least_of_orders = ordered.bound;
        let given = ordered.order.iter().copied().eq(0..ordered.order.len() as u32);
        if given {
            let words = match edits.contains(&Edit::Order) {
                true => "the operators stay in their order: no better one was found",
                false => "it is made as late as can be already",
            };
            wanted.notes.push(words.to_owned());
        } else {
            wanted.order = Some(ordered.order);
        }
        Ok(())
    }

    fn seats(&self, rows: &[Option<Storage>], above: &[u64]) -> Vec<Seat> {
        let mut seats = vec![Seat { bundle: 0, above: 0, size: 0, align: 1 }; rows.len()];
        for (number, bundle) in self.bundles.iter().enumerate() {
            let align = self.alignment(bundle, above);
            for &(at, _) in &bundle.members {
                let size = rows[at].map_or(0, |row| row.size);
                seats[at] = Seat { bundle: number, above: above[at], size, align };
            }
        }
        seats
    }

    /// The largest alignment that the members keep where they lie in their bundle.
    fn alignment(&self, bundle: &Bundle, above: &[u64]) -> u64 {
        let kept = bundle.members.iter().map(|&(at, _)| self.kept_alignment(at, above));
        kept.max().unwrap_or(1)
    }

    fn kept_alignment(&self, at: usize, above: &[u64]) -> u64 {
        let own = self.placed[at].alignment;
        if above[at].is_multiple_of(own) { own } else { 1 }
    }

    /// The buffers one by one: what no plan can be smaller than follows from it. With the position of each.
    ///
    /// # Errors
    /// In words.
    pub(super) fn loose(&self, wanted: &Wanted) -> Result<(Problem, Vec<usize>), String> {
        let known = (0..).zip(&wanted.rows).filter_map(|(at, row)| Some((at, (*row)?)));
        let buffer = |(at, row): (usize, Storage)| {
            let alignment = self.kept_alignment(at, &wanted.above);
            let mut buffer = buffer(&Storage { alignment, ..row });
            buffer.fixed = wanted.fixed.iter().find(|(fixed, _)| *fixed == at).map(|(_, offset)| *offset);
            (at, buffer)
        };
        let (positions, buffers): (Vec<usize>, Vec<Buffer>) = known.map(buffer).unzip();
        Ok((problem_of(buffers)?, positions))
    }

    /// The bundles, each placed as one; the members of each, by position.
    ///
    /// # Errors
    /// In words.
    pub(super) fn tied(&self, wanted: &Wanted) -> Result<(Problem, Vec<Vec<usize>>), String> {
        let (mut buffers, mut members) = (Vec::new(), Vec::new());
        for bundle in &self.bundles {
            let own: Vec<(usize, Storage)> =
                bundle.members.iter().filter_map(|&(at, _)| Some((at, wanted.rows[at]?))).collect();
            let Some(first) = own.iter().map(|(_, row)| row.first).min() else { continue };
            let last = own.iter().map(|(_, row)| row.last).max().unwrap_or(first);
            let size =
                own.iter().map(|(at, row)| wanted.above[*at].saturating_add(row.size)).max().unwrap_or(0);
            let mut buffer = Buffer::new(size, first, last).aligned(self.alignment(bundle, &wanted.above));
            for (at, offset) in &wanted.fixed {
                if own.iter().any(|(own, _)| own == at) {
                    buffer.fixed = Some(self.base(*at, *offset, wanted)?);
                }
            }
            buffers.push(buffer);
            members.push(own.into_iter().map(|(at, _)| at).collect());
        }
        Ok((problem_of(buffers)?, members))
    }

    fn base(&self, at: usize, offset: u64, wanted: &Wanted) -> Result<u64, String> {
        let below = wanted.above[at];
        offset.checked_sub(below).ok_or_else(|| "what it lies on would begin below 0".to_owned())
    }

    /// The offsets of the buffers one by one, given those of the bundles.
    pub(super) fn unbundled(&self, wanted: &Wanted, members: &[Vec<usize>], bases: &[u64]) -> Vec<u64> {
        let mut offsets = vec![0; self.placed.len()];
        for (members, base) in members.iter().zip(bases) {
            for &at in members {
                offsets[at] = base.saturating_add(wanted.above[at]);
            }
        }
        offsets
    }

    /// Whether the recorded offsets keep together what lies together.
    pub(super) fn recorded_holds(&self, wanted: &Wanted) -> bool {
        wanted.fixed.is_empty()
            && self.bundles.iter().all(|bundle| {
                let lowest = bundle.members.iter().map(|&(at, _)| self.placed[at].offset).min().unwrap_or(0);
                let kept = |at: usize| self.placed[at].offset - lowest == wanted.above[at];
                bundle.members.iter().all(|&(at, _)| wanted.rows[at].is_none() || kept(at))
            })
    }
}

impl Wanted {
    /// The number of the op that runs at a point of the problem.
    pub(super) fn op_at(&self, point: u32) -> u32 {
        self.order.as_ref().and_then(|order| order.get(point as usize)).copied().unwrap_or(point)
    }
}

fn buffer(row: &Storage) -> Buffer {
    Buffer::new(row.size, row.first, row.last).aligned(row.alignment)
}

fn problem(rows: &[Storage]) -> Result<Problem, String> {
    problem_of(rows.iter().map(buffer).collect())
}

fn problem_of(buffers: Vec<Buffer>) -> Result<Problem, String> {
    Problem::new(buffers).map_err(|error| format!("that cannot be placed: {error}"))
}

//! A recording as one table: a row for each thing that is there or happened, the same columns for all. `csv` and `parquet`
//! write it; a folder of such files is one table as well, which DuckDB or DataFusion query at once:
//!
//! ```sql
//! SELECT model, max(bytes) FROM 'runs/*.parquet' WHERE kind = 'arena' AND arena = 'activations' GROUP BY model;
//! SELECT name, quantile_cont(duration, 0.95) FROM 'run.parquet' WHERE kind = 'op_time' GROUP BY name;
//! ```
//!
//! | `kind` | one row for each | columns that it has beside the session's |
//! |---|---|---|
//! | `arena` | arena of a plan | `plan`, `arena`, `class`, `bytes`, `alignment`, `lower_bound` |
//! | `tensor` | buffer of a plan | `plan`, `id`, `name`, `class`, `shape`, `arena`, `offset`, `bytes`, `alignment`, `op`, `last` |
//! | `op` | op of a plan | `plan`, `op`, `name`, `class` (operator), `node`, `kernel`, `bytes` (moved), `flops` |
//! | `run` | run that ended | `run`, `plan`, `t`, `duration`, `ok` |
//! | `op_time` | op of each run that was timed | `run`, `plan`, `op`, `name`, `t`, `duration` |
//! | `device_alloc`, `device_free` | block of device memory | `id`, `t`, `bytes`, `name` (purpose), `ok` (whether planned) |
//! | `pool`, `pool_alloc`, `pool_free` | dynamic pool, range of one | `arena` (its name), `id`, `t`, `offset`, `bytes` |
//! | `load` | load of weights that ended | `t`, `duration`, `ok`, `bytes` (that arrived), `value` (bytes to load) |
//! | `load_progress` | path by which weights arrived, again and again | `t`, `class` (path), `bytes` (by this path, so far), `value` (read past the page cache, by all) |
//! | `heap` | sample of a heap | `id`, `t`, `bytes` (in use), `budget` |
//! | `lost` | loss of events | `class` (their kind), `t`, `value` (how many) |
//! | `cost` | what tracing cost so far | `t`, `duration`, `value` (time in runs) |
//! | `message` | message | `t`, `class` (level), `name` (text) |
//! | `figure` | [quantity](bayplan_trace::quantities) of the session, a plan, an arena, a heap or a pool, if it is known | `name`, `class` (the statistic, of what varies), `value`, `unit`; `plan`, `arena`, `id` of what it is of |
//!
//! Sizes are bytes, times nanoseconds since the session began. What is not known, or means nothing for a kind, is empty.

use std::borrow::Cow;
use std::io::{self, Write};

use bayplan_text::escape;
use bayplan_trace::quantities::{Subject, figures};
use bayplan_trace::{Event, PlanRecord, Record, SessionInfo, Timeline};
use serde::Serialize;

use super::Exporter;
use crate::json::severity;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Number,
    Real,
    Flag,
}

/// The value of a column in a row. Texts are escaped already.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Cell<'a> {
    #[default]
    None,
    Text(Cow<'a, str>),
    Number(u64),
    Real(f64),
    Flag(bool),
}

macro_rules! columns {
    ($($name:ident: $kind:ident,)*) => {
        /// The columns, by their name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(non_camel_case_types, reason = "these are the names of the columns")]
        enum Column { $($name,)* }

        /// Name and type of each column.
        pub(super) const COLUMNS: &[(&str, Type)] = &[$((stringify!($name), Type::$kind),)*];
    };
}

columns! {
    session: Text,
    model: Text,
    device: Text,
    driver: Text,
    version: Text,
    start_unix_ns: Number,
    kind: Text,
    t: Number,
    duration: Number,
    run: Number,
    plan: Number,
    op: Number,
    last: Number,
    arena: Text,
    id: Number,
    name: Text,
    class: Text,
    shape: Text,
    node: Text,
    kernel: Text,
    offset: Number,
    bytes: Number,
    alignment: Number,
    lower_bound: Number,
    flops: Number,
    budget: Number,
    value: Real,
    unit: Text,
    ok: Flag,
}

/// A row.
pub(super) type Row<'a> = [Cell<'a>; COLUMNS.len()];

/// Writes rows to a file of some format.
pub(super) trait RowWriter: Default {
    /// Writes a row, now or later.
    fn row(&mut self, row: &Row<'_>, out: &mut dyn Write) -> io::Result<()>;
    /// Writes what is left.
    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()>;
}

/// Writes a recording as rows.
#[derive(Default)]
pub(super) struct Table<W> {
    writer: W,
    session: SessionInfo,
}

impl<W: RowWriter> Exporter for Table<W> {
    fn record(&mut self, record: &Record, before: &Timeline, out: &mut dyn Write) -> io::Result<()> {
        match record {
            Record::Session(session) => {
                self.session = session.clone();
                Ok(())
            }
            Record::Plan { plan, record } => {
                // What is restated after a gap was told before.
                let known = before.plans.get(*plan as usize);
                if known.is_some_and(|known| !known.record.arenas.is_empty()) {
                    return Ok(());
                }
                self.plan(*plan, record, out)
            }
            Record::Keyframe(_) => Ok(()),
            Record::Event(event) => self.event(event, before, out),
        }
    }

    fn finish(&mut self, timeline: &Timeline, out: &mut dyn Write) -> io::Result<()> {
        for figure in figures(timeline) {
            let Some(value) = figure.value.least() else { continue };
            let class = figure.statistic.map_or(Cell::None, |statistic| Cell::Text(statistic.name().into()));
            let own = [
                (Column::name, Cell::Text(figure.quantity.name.into())),
                (Column::class, class),
                (Column::value, Cell::Real(value.as_f64())),
                (Column::unit, Cell::Text(figure.quantity.unit.name().into())),
            ];
            self.put("figure", own.into_iter().chain(subject_cells(&figure.subject)).collect(), out)?;
        }
        self.writer.finish(out)
    }
}

impl<W: RowWriter> Table<W> {
    fn put(
        &mut self,
        kind: &'static str,
        cells: Vec<(Column, Cell<'_>)>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let mut row: Row<'_> = [const { Cell::None }; COLUMNS.len()];
        let session = &self.session;
        row[Column::session as usize] = text(&session.id);
        row[Column::model as usize] = text(&session.model);
        row[Column::device as usize] = text(&session.device);
        row[Column::driver as usize] = text(&session.driver);
        row[Column::version as usize] = text(&session.version);
        row[Column::start_unix_ns as usize] = Cell::Number(session.start_unix_ns);
        row[Column::kind as usize] = Cell::Text(kind.into());
        for (column, cell) in cells {
            row[column as usize] = cell;
        }
        self.writer.row(&row, out)
    }

    fn plan(&mut self, number: u32, record: &PlanRecord, out: &mut dyn Write) -> io::Result<()> {
        let plan = (Column::plan, Cell::Number(number.into()));
        for arena in &record.arenas {
            let cells = vec![
                plan.clone(),
                (Column::arena, text(&arena.name)),
                (Column::class, word(arena.kind)),
                (Column::bytes, Cell::Number(arena.size)),
                (Column::alignment, Cell::Number(arena.alignment)),
                (Column::lower_bound, Cell::Number(arena.lower_bound)),
            ];
            self.put("arena", cells, out)?;
        }
        for (id, buffer) in (0..).zip(&record.buffers) {
            let arena = record.arenas.get(buffer.arena as usize).map_or("", |arena| &arena.name);
            let cells = vec![
                plan.clone(),
                (Column::id, Cell::Number(id)),
                (Column::name, text(&buffer.name)),
                (Column::class, word(buffer.kind)),
                (Column::shape, text(&buffer.shape)),
                (Column::arena, text(arena)),
                (Column::offset, Cell::Number(buffer.offset)),
                (Column::bytes, Cell::Number(buffer.size)),
                (Column::alignment, Cell::Number(buffer.alignment)),
                (Column::op, Cell::Number(buffer.first.into())),
                (Column::last, Cell::Number(buffer.last.into())),
            ];
            self.put("tensor", cells, out)?;
        }
        for (at, op) in (0..).zip(&record.ops) {
            let cells = vec![
                plan.clone(),
                (Column::op, Cell::Number(at)),
                (Column::name, text(&op.name)),
                (Column::class, text(&op.source_op)),
                (Column::node, text(&op.source_node)),
                (Column::kernel, text(&op.kernel)),
                (Column::bytes, Cell::Number(op.bytes)),
                (Column::flops, Cell::Number(op.flops)),
            ];
            self.put("op", cells, out)?;
        }
        Ok(())
    }

    fn event(&mut self, event: &Event, before: &Timeline, out: &mut dyn Write) -> io::Result<()> {
        let time = (Column::t, Cell::Number(event.time()));
        let id = |id: u64| (Column::id, Cell::Number(id));
        match event {
            Event::RunEnd { run, t, ok } => {
                let Some(current) = before.current.filter(|current| current.run == *run) else {
                    return Ok(());
                };
                let cells = vec![
                    (Column::run, Cell::Number(*run)),
                    (Column::plan, Cell::Number(current.plan.into())),
                    (Column::t, Cell::Number(current.start)),
                    (Column::duration, Cell::Number(t.saturating_sub(current.start))),
                    (Column::ok, Cell::Flag(*ok)),
                ];
                self.put("run", cells, out)
            }
            Event::OpTimes { run, plan, first_op, times } => {
                self.op_times(*run, *plan, *first_op, times, before, out)
            }
            Event::DeviceAllocated { id: block, bytes, purpose, planned, .. } => {
                let cells = block_cells(*bytes, purpose, *planned);
                self.put("device_alloc", cells.into_iter().chain([time, id(*block)]).collect(), out)
            }
            Event::DeviceFreed { id: block, .. } => {
                let known = before.blocks.get(block);
                let known = known.map(|block| block_cells(block.bytes, &block.purpose, block.planned));
                let cells = known.into_iter().flatten();
                self.put("device_free", cells.chain([time, id(*block)]).collect(), out)
            }
            Event::HeapSample { heap, usage, budget, .. } => {
                let budget = budget.map_or(Cell::None, Cell::Number);
                let cells = vec![
                    time,
                    id((*heap).into()),
                    (Column::bytes, Cell::Number(*usage)),
                    (Column::budget, budget),
                ];
                self.put("heap", cells, out)
            }
            Event::Dropped { count, kind, .. } => {
                let class = (Column::class, Cell::Text(kind.name().into()));
                self.put("lost", vec![time, class, (Column::value, Cell::Real(*count as f64))], out)
            }
            Event::TraceCost { ns, run_ns, .. } => {
                let spent = (Column::duration, Cell::Number(*ns));
                self.put("cost", vec![time, spent, (Column::value, Cell::Real(*run_ns as f64))], out)
            }
            Event::Message { level, text: what, .. } => {
                let class = (Column::class, Cell::Text(severity(*level).into()));
                self.put("message", vec![time, class, (Column::name, text(what))], out)
            }
            Event::LoadProgress { path, arrived, direct, .. } => {
                let cells = vec![
                    time,
                    (Column::class, Cell::Text(path.name().into())),
                    (Column::bytes, Cell::Number(*arrived)),
                    (Column::value, Cell::Real(*direct as f64)),
                ];
                self.put("load_progress", cells, out)
            }
            Event::LoadEnd { t, ok } => {
                let Some(load) = before.totals.loads.latest else { return Ok(()) };
                let cells = vec![
                    (Column::t, Cell::Number(load.start)),
                    (Column::duration, Cell::Number(t.saturating_sub(load.start))),
                    (Column::ok, Cell::Flag(*ok)),
                    (Column::bytes, Cell::Number(load.loading.arrived())),
                    (Column::value, Cell::Real(load.loading.total as f64)),
                ];
                self.put("load", cells, out)
            }
            other => self.pool_event(other, before, out),
        }
    }

    fn op_times(
        &mut self,
        run: u64,
        plan: u32,
        first: u32,
        times: &[(u64, u64)],
        before: &Timeline,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let ops = before.plans.get(plan as usize).map_or(&[][..], |plan| &plan.record.ops);
        for (op, (start, end)) in (first..).zip(times) {
            let name = ops.get(op as usize).map_or(Cell::None, |op| text(&op.name));
            let cells = vec![
                (Column::run, Cell::Number(run)),
                (Column::plan, Cell::Number(plan.into())),
                (Column::op, Cell::Number(op.into())),
                (Column::name, name),
                (Column::t, Cell::Number(*start)),
                (Column::duration, Cell::Number(end.saturating_sub(*start))),
            ];
            self.put("op_time", cells, out)?;
        }
        Ok(())
    }

    fn pool_event(&mut self, event: &Event, before: &Timeline, out: &mut dyn Write) -> io::Result<()> {
        let time = (Column::t, Cell::Number(event.time()));
        let number = |number: u64| (Column::id, Cell::Number(number));
        let known = |pool: &u32| before.pools.get(pool);
        let name = |pool: &u32| (Column::arena, known(pool).map_or(Cell::None, |pool| text(&pool.name)));
        match event {
            Event::PoolReady { pool, bytes, name, .. } => {
                let cells = vec![
                    time,
                    number((*pool).into()),
                    (Column::arena, text(name)),
                    (Column::bytes, Cell::Number(*bytes)),
                ];
                self.put("pool", cells, out)
            }
            Event::PoolAllocated { pool, id, offset, bytes, .. } => {
                let range = [(Column::offset, Cell::Number(*offset)), (Column::bytes, Cell::Number(*bytes))];
                let cells = [time, number(*id), name(pool)].into_iter().chain(range).collect();
                self.put("pool_alloc", cells, out)
            }
            Event::PoolFreed { pool, id, .. } => {
                let range = known(pool).and_then(|pool| pool.live.get(id)).map(|range| {
                    [(Column::offset, Cell::Number(range.offset)), (Column::bytes, Cell::Number(range.bytes))]
                });
                let range = range.into_iter().flatten();
                let cells = [time, number(*id), name(pool)].into_iter().chain(range).collect();
                self.put("pool_free", cells, out)
            }
            _ => Ok(()),
        }
    }
}

fn block_cells(bytes: u64, purpose: &str, planned: bool) -> [(Column, Cell<'_>); 3] {
    [(Column::bytes, Cell::Number(bytes)), (Column::name, text(purpose)), (Column::ok, Cell::Flag(planned))]
}

/// What a figure is of.
fn subject_cells<'a>(subject: &Subject<'a>) -> Vec<(Column, Cell<'a>)> {
    let number = |number: u32| Cell::Number(number.into());
    match *subject {
        Subject::Plan { plan } => vec![(Column::plan, number(plan))],
        Subject::Arena { plan, name, .. } => vec![(Column::plan, number(plan)), (Column::arena, text(name))],
        Subject::Heap { heap } => vec![(Column::id, number(heap))],
        Subject::Pool { pool, name } => vec![(Column::id, number(pool)), (Column::arena, text(name))],
        Subject::Op { plan, op, .. } => vec![(Column::plan, number(plan)), (Column::op, number(op))],
        _ => Vec::new(),
    }
}

/// A text, without what a terminal would obey; nothing for an empty one.
fn text(text: &str) -> Cell<'_> {
    if text.is_empty() {
        return Cell::None;
    }
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'\\') {
        return Cell::Text(text.into());
    }
    Cell::Text(escape(text).to_string().into())
}

/// The word that a kind has in the file format.
fn word(kind: impl Serialize) -> Cell<'static> {
    match serde_json::to_value(kind) {
        Ok(serde_json::Value::String(word)) => Cell::Text(word.into()),
        _ => Cell::None,
    }
}

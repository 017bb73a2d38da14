//! Bodies that run again and again: one after the other in the graph, and planned with all of it.
//!
//! ```text
//!  v ──► body 0 ──► v₁ ──► body 1 ──► v₂ ──► …       what is carried from turn to turn
//!          └─► s₀           └─► s₁                   what each turn adds to a result: s = [s₀, s₁, …]
//! ```
//!
//! How often they run must follow from shapes, constants or inputs that the model is specialised on. A loop may end before
//! that, by a condition that follows from data: turns after its end leave what is carried as it is, and of what turns add
//! only those before it count. A loop that does nothing but add a step to a number runs any number of turns, as a running sum.

use bayplan_graph::op::{BinaryOp, Keep, ReduceOp};
use bayplan_graph::{DType, Op, ValueId, ValueSource};

use super::Row;
use super::recurrent::written_out;
use crate::body::Body;
use crate::builder::{Built, Call};
use crate::limits::{MAX_ALL_TURNS, MAX_WRITTEN};

pub(super) const ROWS: &[Row] = &[
    Row::new("Loop", 7, repeat).says(&[0, 1]),
    Row::new("Scan", 8, |c| if c.opset() < 9 { batched(c) } else { scan(c) }),
];

/// Most turns: each is a copy of the body's nodes.
const MAX_TURNS: usize = 1024;

/// One turn of a body: its results, as many as `least` or more.
fn turn(
    c: &mut Call<'_, '_>,
    body: &Body<'_>,
    given: &[ValueId],
    least: usize,
) -> Result<Vec<ValueId>, String> {
    c.builder.turns += 1;
    let (turns, nodes) = (c.builder.turns, c.builder.graph.nodes.len());
    if turns > MAX_ALL_TURNS || nodes > MAX_WRITTEN {
        return Err(format!(
            "the turns of the model's loops are more than {MAX_ALL_TURNS}, or with them it has more than {MAX_WRITTEN} nodes; \
             split the model there"
        ));
    }
    let built = body.build(c.builder, given);
    let made = c.built(built)?;
    if made.len() < least {
        return Err(format!("its body gives {} values, but must give at least {least}", made.len()));
    }
    Ok(made)
}

fn turns(n: i64, what: &str) -> Result<usize, String> {
    let turns = usize::try_from(n.max(0)).unwrap_or(usize::MAX);
    if turns > MAX_TURNS {
        return Err(format!(
            "{what} has {n} turns; at most {MAX_TURNS} are written out, split the model there"
        ));
    }
    Ok(turns)
}

/// What each turn adds, along a new axis.
fn stacked(c: &mut Call<'_, '_>, parts: &[ValueId], axis: i64) -> Result<ValueId, String> {
    if parts.is_empty() {
        return Err("it has no turns, so that nothing says what its results hold".to_owned());
    }
    let parts = parts.iter().map(|&part| c.unsqueeze(part, &[axis])).collect::<Result<Vec<_>, _>>()?;
    c.concat(axis, &parts)
}

/// The turns of a loop so far.
struct Turns {
    carried: Vec<ValueId>,
    /// For each result, what turns added to it.
    added: Vec<Vec<ValueId>>,
    /// Whether the next turn runs, where that follows from data.
    active: Option<ValueId>,
    /// For each turn, whether it ran, from the first on of which that follows from data.
    ran: Vec<ValueId>,
    /// Turns before that.
    surely: usize,
}

/// Operands: the most turns, whether the first one runs, what is carried. The body takes the turn's number, whether it runs and
/// what is carried; it gives whether the next one runs, what is carried, and what it adds to results.
fn repeat(c: &mut Call<'_, '_>) -> Built {
    let graph = c.attributes().graph("body")?;
    let body = Body::new(c.builder, graph);
    let body = &c.built(body)?;
    let carried: Vec<ValueId> = (2..c.inputs()).map(|i| c.input(i)).collect::<Result<_, _>>()?;
    let (most, first) = (c.optional(0)?, c.optional(1)?);
    let known = match most.map(|most| c.known(most)) {
        Some(Some(list)) => Some(turns(list.first().copied().unwrap_or(0), "a loop")?),
        Some(None) => return counted(c, body, most, first, &carried),
        None => None,
    };
    let decided = first.map_or(Some(true), |first| c.builder.decided(first));
    let active = first.filter(|_| decided.is_none()).map(|first| c.reshape_to(first, &[])).transpose()?;
    let results = body.outputs().saturating_sub(carried.len() + 1);
    let mut so_far = Turns { carried, added: vec![Vec::new(); results], active, ran: Vec::new(), surely: 0 };
    let mut goes_on = decided != Some(false);
    let mut number = 0;
    while goes_on && known.is_none_or(|most| number < most) {
        if number == MAX_TURNS {
            return Err(format!(
                "a loop without a number of turns goes on after {MAX_TURNS}; give it one (its first operand)"
            ));
        }
        goes_on = one_turn(c, body, number, &mut so_far)?;
        number += 1;
    }
    ended(c, so_far)
}

/// Runs a turn; whether another may follow.
fn one_turn(
    c: &mut Call<'_, '_>,
    body: &Body<'_>,
    number: usize,
    so_far: &mut Turns,
) -> Result<bool, String> {
    let iteration = c.integer(number as i64)?;
    // The body is told that it runs: what it makes otherwise is not taken.
    let runs = c.scalar(DType::Bool, 1.0)?;
    let given = [&[iteration, runs], &so_far.carried[..]].concat();
    let made = turn(c, body, &given, 1 + so_far.carried.len())?;
    let (state, rest) = made[1..].split_at(so_far.carried.len());
    for (all, &part) in so_far.added.iter_mut().zip(rest) {
        all.push(part);
    }
    for (own, &new) in so_far.carried.iter_mut().zip(state) {
        *own = match so_far.active {
            Some(active) => c.select(active, new, *own)?,
            None => new,
        };
    }
    match so_far.active {
        Some(active) => so_far.ran.push(active),
        None => so_far.surely += 1,
    }
    match c.builder.decided(made[0]) {
        Some(goes_on) => return Ok(goes_on),
        None => {
            let next = c.reshape_to(made[0], &[])?;
            so_far.active = Some(match so_far.active {
                Some(active) => c.binary(BinaryOp::And, active, next)?,
                None => next,
            });
        }
    }
    Ok(true)
}

/// The results of a loop. Where data ended it, what turns added counts up to there.
fn ended(c: &mut Call<'_, '_>, so_far: Turns) -> Built {
    let Turns { carried, added, ran, surely, .. } = so_far;
    let mut count = None;
    if !ran.is_empty() {
        let flags = ran.iter().map(|&flag| c.reshape_to(flag, &[1])).collect::<Result<Vec<_>, _>>()?;
        let flags = c.concat(0, &flags)?;
        let flags = c.cast(flags, DType::I64)?;
        let more = c.reduce(ReduceOp::Sum, flags, &[0], Keep::None)?;
        count = Some(c.with(BinaryOp::Add, more, surely as f64)?);
    }
    let mut made = carried;
    for parts in &added {
        let all = stacked(c, parts, 0)?;
        if let Some(count) = count {
            c.extent(all, 0, count);
        }
        made.push(all);
    }
    Ok(made)
}

/// A loop whose number of turns is a symbol. It is a running sum if all that its body does is to add a step to what is
/// carried, and to show it.
fn counted(
    c: &mut Call<'_, '_>,
    body: &Body<'_>,
    most: Option<ValueId>,
    first: Option<ValueId>,
    carried: &[ValueId],
) -> Built {
    let unknown =
        "its number of turns follows from data, but must follow from shapes, constants or inputs of integers";
    let (Some(most), &[start]) = (most, carried) else { return Err(unknown.to_owned()) };
    let (iteration, runs) = (c.integer(0)?, c.scalar(DType::Bool, 1.0)?);
    let own = c.builder.graph.values.len() as u32;
    let axes = c.ints(&[])?;
    let number = c.emit(Op::View(bayplan_graph::op::ViewOp::Squeeze), &[start, axes])?;
    let made = turn(c, body, &[iteration, runs, number], 2)?;
    let step = match c.builder.graph.value(made[1]).source {
        ValueSource::Node { node, .. } if made[0] == runs => {
            let node = c.builder.graph.node(node);
            match (&node.op, &node.inputs[..]) {
                (Op::Binary(BinaryOp::Add), &[a, b]) if a == number && b.0 < own => Some(b),
                (Op::Binary(BinaryOp::Add), &[a, b]) if b == number && a.0 < own => Some(a),
                _ => None,
            }
        }
        _ => None,
    };
    let shows = made[2..].iter().all(|&part| part == number || part == made[1]);
    let Some(step) = step.filter(|_| shows) else { return Err(unknown.to_owned()) };
    // No turn at all where the first one does not run.
    let most = match first {
        Some(first) => {
            let runs = c.cast(first, DType::I64)?;
            c.binary(BinaryOp::Mul, most, runs)?
        }
        None => most,
    };
    let n = c.reshape_to(most, &[1])?;
    let n = c.sized(n)?;
    // start, start + step, … after each other: n of them before a step, and n after.
    let dims = c.dims(start)?;
    let dims = c.join(&[n, dims])?;
    let steps = c.expand(step, dims)?;
    let first = c.unsqueeze(start, &[0])?;
    let terms = c.concat(0, &[first, steps])?;
    let running = Op::Cumulate { op: BinaryOp::Add, axis: 0, exclusive: false, reverse: false };
    let all = c.emit(running, &[terms])?;
    let last = c.cut(all, 0, -1, i64::MAX)?;
    let mut results = vec![c.squeeze(last, &[0])?];
    for &part in &made[2..] {
        let (from, to) = if part == number { (0, -1) } else { (1, i64::MAX) };
        results.push(c.cut(all, 0, from, to)?);
    }
    Ok(results)
}

/// What a scan goes through, or adds to.
struct Along {
    axis: i64,
    backwards: bool,
}

/// For each of `count` operands or results the axis and direction that two attributes say.
fn along(c: &Call<'_, '_>, axes: &str, directions: &str, count: usize) -> Result<Vec<Along>, String> {
    let list = |name: &str| -> Result<Vec<i64>, String> {
        let list = c.attributes().ints(name)?.map_or_else(|| vec![0; count], <[i64]>::to_vec);
        let len = list.len();
        if len == count {
            Ok(list)
        } else {
            Err(format!("attribute `{name}` has {len} entries, but {count} are due"))
        }
    };
    let both = list(axes)?.into_iter().zip(list(directions)?);
    Ok(both.map(|(axis, direction)| Along { axis, backwards: direction != 0 }).collect())
}

/// What is scanned, with how many of the operands before are carried.
fn scanned(c: &Call<'_, '_>, first: usize) -> Result<(Vec<ValueId>, Vec<ValueId>), String> {
    let count = c.attributes().int("num_scan_inputs")?.ok_or("attribute `num_scan_inputs` is missing")?;
    let operands = (first..c.inputs()).map(|i| c.input(i)).collect::<Result<Vec<_>, _>>()?;
    let carried = usize::try_from(count).ok().and_then(|count| operands.len().checked_sub(count));
    let carried = carried.filter(|&carried| carried < operands.len());
    let carried = carried.ok_or_else(|| format!("it scans {count} of {} operands", operands.len()))?;
    Ok((operands[..carried].to_vec(), operands[carried..].to_vec()))
}

/// Element `at` of `x` along an axis, from the end if `backwards`.
fn element(
    c: &mut Call<'_, '_>,
    x: ValueId,
    along: &Along,
    at: usize,
    len: usize,
) -> Result<ValueId, String> {
    let at = if along.backwards { len - 1 - at } else { at } as i64;
    let part = c.cut(x, along.axis, at, at + 1)?;
    c.squeeze(part, &[along.axis])
}

/// A scan over operands of one length.
fn scan(c: &mut Call<'_, '_>) -> Built {
    let (mut carried, operands) = scanned(c, 0)?;
    let graph = c.attributes().graph("body")?;
    let body = Body::new(c.builder, graph);
    let body = &c.built(body)?;
    let over = along(c, "scan_input_axes", "scan_input_directions", operands.len())?;
    let results = body.outputs().checked_sub(carried.len());
    let results =
        results.ok_or_else(|| format!("its body gives less than the {} that it carries", carried.len()))?;
    let to = along(c, "scan_output_axes", "scan_output_directions", results)?;
    let added = steps(c, body, &mut carried, &operands, &over)?;
    for (mut parts, along) in added.into_iter().zip(&to) {
        if along.backwards {
            parts.reverse();
        }
        carried.push(stacked(c, &parts, along.axis)?);
    }
    Ok(carried)
}

/// All turns of a scan; what each adds to each result.
fn steps(
    c: &mut Call<'_, '_>,
    body: &Body<'_>,
    carried: &mut [ValueId],
    operands: &[ValueId],
    over: &[Along],
) -> Result<Vec<Vec<ValueId>>, String> {
    let axis = bayplan_graph::axis(over[0].axis, c.rank(operands[0])?).map_err(|e| e.to_string())?;
    let len = written_out(c, operands[0], axis, "the length of what it scans", "turns")?;
    let len = turns(len as i64, "a scan")?;
    if body.inputs().len() != carried.len() + operands.len() {
        let (have, want) = (body.inputs().len(), carried.len() + operands.len());
        return Err(format!("its body has {have} inputs, but {want} are given"));
    }
    let mut added = vec![Vec::new(); body.outputs().saturating_sub(carried.len())];
    for at in 0..len {
        let mut given = carried.to_vec();
        for (&x, along) in operands.iter().zip(over) {
            given.push(element(c, x, along, at, len)?);
        }
        let made = turn(c, body, &given, carried.len())?;
        for (all, &part) in added.iter_mut().zip(&made[carried.len()..]) {
            all.push(part);
        }
        let count = carried.len();
        carried.clone_from_slice(&made[..count]);
    }
    Ok(added)
}

/// The scan of opset 8: over sequences of a batch, each for itself. The lengths of the sequences come first.
fn batched(c: &mut Call<'_, '_>) -> Built {
    if c.optional(0)?.is_some() {
        return Err(
            "sequences of different lengths are not supported; export the model with opset 9 or later"
                .to_owned(),
        );
    }
    let (states, operands) = scanned(c, 1)?;
    let graph = c.attributes().graph("body")?;
    let body = Body::new(c.builder, graph);
    let body = &c.built(body)?;
    let directions =
        c.attributes().ints("directions")?.map_or_else(|| vec![0; operands.len()], <[i64]>::to_vec);
    if directions.len() != operands.len() {
        return Err(format!(
            "attribute `directions` has {} entries for {} operands",
            directions.len(),
            operands.len()
        ));
    }
    let over: Vec<Along> =
        directions.iter().map(|&direction| Along { axis: 0, backwards: direction != 0 }).collect();
    let batch = c.size(operands[0], 0)?.ok_or("the size of its batch must be known")?;
    let first = Along { axis: 0, backwards: false };
    let mut made = vec![Vec::new(); body.outputs()];
    for b in 0..turns(batch as i64, "a batch")? {
        let of = |c: &mut Call<'_, '_>, list: &[ValueId]| -> Result<Vec<ValueId>, String> {
            list.iter().map(|&x| element(c, x, &first, b, batch)).collect()
        };
        let (mut carried, own) = (of(c, &states)?, of(c, &operands)?);
        let added = steps(c, body, &mut carried, &own, &over)?;
        for parts in added {
            carried.push(stacked(c, &parts, 0)?);
        }
        for (all, part) in made.iter_mut().zip(carried) {
            all.push(part);
        }
    }
    made.iter().map(|parts| stacked(c, parts, 0)).collect()
}

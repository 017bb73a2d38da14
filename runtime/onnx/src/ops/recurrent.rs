//! Recurrent networks, unrolled over a known number of steps.
//!
//! ```text
//!  x [t, b, i] · Wᵀ for all steps in one product, then for each step
//!      gates = (x · Wᵀ)[t] + h · Rᵀ + biases          cell: gates, h, c → h, c
//!  backwards: steps in the opposite order; a sequence that has ended keeps its state and gives zeros
//! ```

use bayplan_graph::op::BinaryOp;
use bayplan_graph::{DType, Op, ValueId};

use super::Row;
use super::activation_by_name::Activation;
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] = &[
    Row::new("GRU", 7, |c| network(c, Kind::Gru)),
    Row::new("LSTM", 7, |c| network(c, Kind::Lstm)),
    Row::new("RNN", 7, |c| network(c, Kind::Plain)),
];

type Step = Result<ValueId, String>;

/// Most steps that are unrolled: each is some ten nodes.
pub(super) const MAX_STEPS: usize = 1024;

/// Which cell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Gru,
    Lstm,
}

impl Kind {
    /// Matrices stacked in a weight.
    const fn gates(self) -> i64 {
        match self {
            Self::Plain => 1,
            Self::Gru => 3,
            Self::Lstm => 4,
        }
    }

    /// Names of the activations of a direction unless the node gives others.
    const fn activations(self) -> &'static [&'static str] {
        match self {
            Self::Plain => &["Tanh"],
            Self::Gru => &["Sigmoid", "Tanh"],
            Self::Lstm => &["Sigmoid", "Tanh", "Tanh"],
        }
    }
}

/// What all directions share.
struct Network {
    kind: Kind,
    /// Size of the state.
    hidden: i64,
    /// Bound on what activations are given.
    clip: Option<f64>,
    /// LSTM: the forget gate is what the input gate leaves.
    coupled: bool,
    /// GRU: the reset gate applies after the product with the state.
    reset_after: bool,
    steps: usize,
    /// [b], where sequences have lengths of their own.
    lengths: Option<ValueId>,
}

/// The operands of one direction, without the axis of directions.
struct Direction {
    backwards: bool,
    activations: Vec<Activation>,
    /// [t, b, i]
    x: ValueId,
    /// [gates · hidden, i] and [gates · hidden, hidden]
    weight: ValueId,
    recurrence: ValueId,
    /// [gates · hidden] each: of the input, of the state.
    biases: Option<(ValueId, ValueId)>,
    /// LSTM: [hidden] each for the input, output and forget gates.
    peepholes: Option<[ValueId; 3]>,
    /// [b, hidden]
    state: ValueId,
    cell: Option<ValueId>,
}

/// What one direction gives: its states [t, b, hidden], the last one, the last cell.
struct Course {
    states: ValueId,
    last: ValueId,
    cell: Option<ValueId>,
}

fn network(c: &mut Call<'_, '_>, kind: Kind) -> Built {
    let batch_first = c.attributes().flag("layout", false)?;
    let x = c.input(0)?;
    if c.rank(x)? != 3 {
        let rank = c.rank(x)?;
        return Err(format!("its input has rank {rank}; [steps, batch, size] is needed"));
    }
    let x = if batch_first { c.permute(x, &[1, 0, 2])? } else { x };
    let recurrence = c.input(2)?;
    let hidden = c.size(recurrence, 2)?.ok_or("the size of the state must be known")? as i64;
    let steps = known_steps(c, x, 0)?;
    let (coupled, reset_after) =
        (c.attributes().flag("input_forget", false)?, c.attributes().flag("linear_before_reset", false)?);
    let clip = c.attributes().float("clip")?.map(f64::from);
    let net = Network { kind, hidden, clip, coupled, reset_after, steps, lengths: c.optional(4)? };
    let ways: &[bool] = match c.attributes().text("direction")? {
        None | Some("forward") => &[false],
        Some("reverse") => &[true],
        Some("bidirectional") => &[false, true],
        Some(other) => return Err(format!("direction `{other}` is not known")),
    };
    let activations = activations(c, kind, ways.len())?;
    let mut courses = Vec::with_capacity(ways.len());
    for (i, (&backwards, activations)) in ways.iter().zip(activations).enumerate() {
        let direction = direction(c, &net, (i as i64, batch_first), x, backwards, activations)?;
        courses.push(net.course(c, &direction)?);
    }
    outputs(c, &courses, batch_first)
}

/// A size that decides how often a part of the graph is written out: a model has as many nodes, whatever its symbols become.
pub(super) fn written_out(
    c: &Call<'_, '_>,
    x: ValueId,
    axis: usize,
    what: &str,
    each: &str,
) -> Result<usize, String> {
    c.size(x, axis)?.ok_or_else(|| {
        let name = c.shape(x).map_or_else(|_| String::new(), |shape| shape[axis].to_string());
        format!(
            "{what} is a symbol, {name}, but its {each} are written out; export the model with a number there"
        )
    })
}

/// The number of steps along an axis, which must be known to be unrolled.
pub(super) fn known_steps(c: &Call<'_, '_>, x: ValueId, axis: usize) -> Result<usize, String> {
    let steps = written_out(c, x, axis, "the length of the sequence", "steps")?;
    if (1..=MAX_STEPS).contains(&steps) {
        return Ok(steps);
    }
    Err(format!("{steps} steps cannot be unrolled; from 1 to {MAX_STEPS} are supported"))
}

fn activations(c: &Call<'_, '_>, kind: Kind, ways: usize) -> Result<Vec<Vec<Activation>>, String> {
    let a = c.attributes();
    let each = kind.activations().len();
    let names = match a.texts("activations")? {
        Some(names) if names.len() == each * ways => names,
        Some(names) => {
            let (given, needed) = (names.len(), each * ways);
            return Err(format!("attribute `activations` has {given} entries, but {needed} are needed"));
        }
        None => kind.activations().repeat(ways),
    };
    let mut alphas = a.floats("activation_alpha")?.unwrap_or_default().iter().copied();
    let mut betas = a.floats("activation_beta")?.unwrap_or_default().iter().copied();
    let all: Vec<Activation> = names
        .into_iter()
        .map(|name| Activation::new(name, &mut alphas, &mut betas))
        .collect::<Result<_, _>>()?;
    Ok(all.chunks(each).map(<[Activation]>::to_vec).collect())
}

/// The operands of direction `at`.
fn direction(
    c: &mut Call<'_, '_>,
    net: &Network,
    (at, batch_first): (i64, bool),
    x: ValueId,
    backwards: bool,
    activations: Vec<Activation>,
) -> Result<Direction, String> {
    let of = |c: &mut Call<'_, '_>, operand: ValueId, axis: i64| {
        let one = c.cut(operand, axis, at, at + 1)?;
        c.squeeze(one, &[axis])
    };
    let (weight, recurrence) = (c.input(1)?, c.input(2)?);
    let (weight, recurrence) = (of(c, weight, 0)?, of(c, recurrence, 0)?);
    let size = net.kind.gates() * net.hidden;
    let biases = match c.optional(3)? {
        None => None,
        Some(both) => {
            let both = of(c, both, 0)?;
            Some((c.cut(both, 0, 0, size)?, c.cut(both, 0, size, 2 * size)?))
        }
    };
    let initial = |c: &mut Call<'_, '_>, input: usize| match c.optional(input)? {
        Some(state) => of(c, state, i64::from(batch_first)),
        None => {
            let (batch, hidden, dtype) = (c.dim(x, 1)?, c.ints(&[net.hidden])?, c.dtype(x)?);
            let shape = c.join(&[batch, hidden])?;
            c.filled(shape, dtype, 0.0)
        }
    };
    let state = initial(c, 5)?;
    let cell = if net.kind == Kind::Lstm { Some(initial(c, 6)?) } else { None };
    let peepholes = match if net.kind == Kind::Lstm { c.optional(7)? } else { None } {
        None => None,
        Some(all) => {
            let all = of(c, all, 0)?;
            let h = net.hidden;
            Some([c.cut(all, 0, 0, h)?, c.cut(all, 0, h, 2 * h)?, c.cut(all, 0, 2 * h, 3 * h)?])
        }
    };
    Ok(Direction { backwards, activations, x, weight, recurrence, biases, peepholes, state, cell })
}

impl Network {
    /// All steps of a direction.
    fn course(&self, c: &mut Call<'_, '_>, d: &Direction) -> Result<Course, String> {
        let weight = c.permute(d.weight, &[1, 0])?;
        let recurrence = c.permute(d.recurrence, &[1, 0])?;
        let mut from_input = c.emit(Op::MatMul, &[d.x, weight])?;
        if let Some((bias, _)) = d.biases {
            from_input = c.binary(BinaryOp::Add, from_input, bias)?;
        }
        let (mut state, mut cell) = (d.state, d.cell);
        let mut states = vec![state; self.steps];
        for step in 0..self.steps {
            let at = if d.backwards { self.steps - 1 - step } else { step };
            let input = c.cut(from_input, 0, at as i64, at as i64 + 1)?;
            let input = c.squeeze(input, &[0])?;
            let (mut next, mut next_cell) = self.step(c, d, recurrence, input, (state, cell))?;
            states[at] = next;
            if let Some(lengths) = self.lengths {
                let (place, lengths) = (c.integer(at as i64)?, c.cast(lengths, DType::I64)?);
                let runs = c.binary(BinaryOp::Less, place, lengths)?;
                let runs = c.unsqueeze(runs, &[1])?;
                let zero = c.scalar_like(next, 0.0)?;
                states[at] = c.select(runs, next, zero)?;
                next = c.select(runs, next, state)?;
                next_cell = match (next_cell, cell) {
                    (Some(new), Some(old)) => Some(c.select(runs, new, old)?),
                    _ => None,
                };
            }
            (state, cell) = (next, next_cell);
        }
        for state in &mut states {
            *state = c.unsqueeze(*state, &[0])?;
        }
        Ok(Course { states: c.concat(0, &states)?, last: state, cell })
    }

    /// One step: what the input says [b, gates · hidden] (with its bias), and the state before.
    fn step(
        &self,
        c: &mut Call<'_, '_>,
        d: &Direction,
        recurrence: ValueId,
        input: ValueId,
        (state, cell): (ValueId, Option<ValueId>),
    ) -> Result<(ValueId, Option<ValueId>), String> {
        match (self.kind, cell) {
            (Kind::Lstm, Some(cell)) => {
                let gates = self.sum(c, d, recurrence, input, state)?;
                let (state, cell) = self.lstm(c, d, gates, cell)?;
                Ok((state, Some(cell)))
            }
            (Kind::Gru, _) => Ok((self.gru(c, d, recurrence, input, state)?, None)),
            _ => {
                let gates = self.sum(c, d, recurrence, input, state)?;
                Ok((self.bent(c, &d.activations[0], gates)?, None))
            }
        }
    }

    /// input + state · Rᵀ + the bias of the state
    fn sum(
        &self,
        c: &mut Call<'_, '_>,
        d: &Direction,
        recurrence: ValueId,
        input: ValueId,
        state: ValueId,
    ) -> Step {
        let product = c.emit(Op::MatMul, &[state, recurrence])?;
        let sum = c.binary(BinaryOp::Add, product, input)?;
        match d.biases {
            Some((_, bias)) => c.binary(BinaryOp::Add, sum, bias),
            None => Ok(sum),
        }
    }

    fn bent(&self, c: &mut Call<'_, '_>, activation: &Activation, x: ValueId) -> Step {
        let x = match self.clip {
            Some(clip) => {
                let low = c.with(BinaryOp::Max, x, -clip)?;
                c.with(BinaryOp::Min, low, clip)?
            }
            None => x,
        };
        activation.of(c, x)
    }

    /// Part `index` of the last axis, `hidden` wide; `count` of them.
    fn part(&self, c: &mut Call<'_, '_>, x: ValueId, index: i64, count: i64) -> Step {
        let axis = c.rank(x)? as i64 - 1;
        c.cut(x, axis, index * self.hidden, (index + count) * self.hidden)
    }

    /// Gates of input, output, forgetting and the cell, in this order; peepholes let gates see the cell.
    fn lstm(
        &self,
        c: &mut Call<'_, '_>,
        d: &Direction,
        gates: ValueId,
        cell: ValueId,
    ) -> Result<(ValueId, ValueId), String> {
        let [f, g, h] = [&d.activations[0], &d.activations[1], &d.activations[2]];
        let seen = |c: &mut Call<'_, '_>, gate: ValueId, peephole: usize, cell: ValueId| match d.peepholes {
            Some(peepholes) => {
                let seen = c.binary(BinaryOp::Mul, cell, peepholes[peephole])?;
                c.binary(BinaryOp::Add, gate, seen)
            }
            None => Ok(gate),
        };
        let parts = [0, 1, 2, 3].map(|index| self.part(c, gates, index, 1));
        let [input, output, forget, new] = parts;
        let input = seen(c, input?, 0, cell)?;
        let input = self.bent(c, f, input)?;
        let forget = if self.coupled {
            one_less(c, input)?
        } else {
            let forget = seen(c, forget?, 2, cell)?;
            self.bent(c, f, forget)?
        };
        let new = self.bent(c, g, new?)?;
        let (kept, added) = (c.binary(BinaryOp::Mul, forget, cell)?, c.binary(BinaryOp::Mul, input, new)?);
        let cell = c.binary(BinaryOp::Add, kept, added)?;
        let output = seen(c, output?, 1, cell)?;
        let output = self.bent(c, f, output)?;
        let shown = h.of(c, cell)?;
        Ok((c.binary(BinaryOp::Mul, output, shown)?, cell))
    }

    /// Gates of update and reset, then the candidate.
    fn gru(
        &self,
        c: &mut Call<'_, '_>,
        d: &Direction,
        recurrence: ValueId,
        input: ValueId,
        state: ValueId,
    ) -> Step {
        let [f, g] = [&d.activations[0], &d.activations[1]];
        let (two, one) = (self.part(c, recurrence, 0, 2)?, self.part(c, recurrence, 2, 1)?);
        let biases = match d.biases {
            Some((_, bias)) => Some((self.part(c, bias, 0, 2)?, self.part(c, bias, 2, 1)?)),
            None => None,
        };
        let (input_gates, input_new) = (self.part(c, input, 0, 2)?, self.part(c, input, 2, 1)?);
        let product = c.emit(Op::MatMul, &[state, two])?;
        let gates = c.binary(BinaryOp::Add, product, input_gates)?;
        let gates = biased(c, gates, biases.map(|(gates, _)| gates))?;
        let gates = self.bent(c, f, gates)?;
        let (update, reset) = (self.part(c, gates, 0, 1)?, self.part(c, gates, 1, 1)?);
        let bias = biases.map(|(_, new)| new);
        let from_state = if self.reset_after {
            let product = c.emit(Op::MatMul, &[state, one])?;
            let product = biased(c, product, bias)?;
            c.binary(BinaryOp::Mul, reset, product)?
        } else {
            let left = c.binary(BinaryOp::Mul, reset, state)?;
            let product = c.emit(Op::MatMul, &[left, one])?;
            biased(c, product, bias)?
        };
        let new = c.binary(BinaryOp::Add, from_state, input_new)?;
        let new = self.bent(c, g, new)?;
        let rest = one_less(c, update)?;
        let (new, old) = (c.binary(BinaryOp::Mul, rest, new)?, c.binary(BinaryOp::Mul, update, state)?);
        c.binary(BinaryOp::Add, new, old)
    }
}

fn biased(c: &mut Call<'_, '_>, x: ValueId, bias: Option<ValueId>) -> Step {
    match bias {
        Some(bias) => c.binary(BinaryOp::Add, x, bias),
        None => Ok(x),
    }
}

/// 1 − x
fn one_less(c: &mut Call<'_, '_>, x: ValueId) -> Step {
    let one = c.scalar_like(x, 1.0)?;
    c.binary(BinaryOp::Sub, one, x)
}

/// Y [t, directions, b, hidden] and the last states [directions, b, hidden]; with the batch first [b, t, directions,
/// hidden] and [b, directions, hidden].
fn outputs(c: &mut Call<'_, '_>, courses: &[Course], batch_first: bool) -> Built {
    let stacked = |c: &mut Call<'_, '_>, list: &[ValueId], axis: i64| {
        let apart = list.iter().map(|&x| c.unsqueeze(x, &[axis])).collect::<Result<Vec<_>, _>>()?;
        c.concat(axis, &apart)
    };
    let states: Vec<ValueId> = courses.iter().map(|course| course.states).collect();
    let last: Vec<ValueId> = courses.iter().map(|course| course.last).collect();
    let cells: Vec<ValueId> = courses.iter().filter_map(|course| course.cell).collect();
    let at = i64::from(batch_first);
    let y = stacked(c, &states, 1)?;
    let y = if batch_first { c.permute(y, &[2, 0, 1, 3])? } else { y };
    let mut made = vec![y, stacked(c, &last, at)?];
    if !cells.is_empty() {
        made.push(stacked(c, &cells, at)?);
    }
    Ok(made)
}

//! What the symbols of a decoder model stand for, and what its inputs hold.

use std::sync::Arc;

use bayplan_expr::{Bindings, Expr};
use bayplan_text::escape;

use super::states::LENGTH;
use super::{Refusal, State, named};
use crate::{Graph, Tensor, ValueId};

/// Symbols of a model with one sequence.
#[derive(Clone, Debug)]
pub(super) struct Sizes {
    /// Tokens of this run.
    pub(super) seq: Arc<str>,
    /// Tokens before.
    pub(super) past: Arc<str>,
    /// Both, where the graph does not say so itself.
    pub(super) total: Option<Arc<str>>,
}

/// So many tokens before, and so many new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) past: usize,
    pub(super) seq: usize,
}

/// What the inputs other than keys and values hold.
#[derive(Clone, Debug)]
pub(super) struct Inputs {
    pub(super) tokens: ValueId,
    pub(super) positions: Vec<ValueId>,
    pub(super) masks: Vec<ValueId>,
}

impl Sizes {
    pub(super) fn of(graph: &Graph, states: &[State]) -> Result<Self, Refusal> {
        let state = &states[0];
        let length = |value: ValueId| graph.value(value).ty.as_ref().map(|ty| &ty.shape[LENGTH]);
        let symbol = |value: ValueId| length(value).and_then(Expr::as_symbol).map(Arc::from);
        let (Some(past), Some(seq)) = (symbol(state.past), symbol(state.new)) else {
            return Err(Refusal::new(format!(
                "the new keys or values {} have {} rows; the number of tokens in a run is expected to be a symbol",
                named(graph, state.new),
                length(state.new).map_or("?".to_owned(), ToString::to_string)
            )));
        };
        let mut others: Vec<String> =
            graph.free_symbols().into_iter().filter(|own| **own != *seq && **own != *past).collect();
        let total = others.pop().map(Arc::from);
        match others.first() {
            _ if past == seq => {
                Err(Refusal::new("past and new tokens have one symbol; they are two lengths"))
            }
            Some(symbol) => Err(Refusal::new(format!(
                "its inputs have a dimension `{}` beside batch, new tokens, past and their sum",
                escape(symbol)
            ))),
            None => Ok(Self { seq, past, total }),
        }
    }

    /// Values of the symbols that a graph has.
    pub(super) fn bindings(&self, graph: &Graph, at: Point) -> Bindings {
        let free = graph.free_symbols();
        let of_run = self.of_run(at);
        of_run.iter().filter(|(name, _)| free.contains(*name)).map(|(name, n)| (name.to_owned(), n)).collect()
    }

    /// Values of all symbols.
    pub(super) fn of_run(&self, at: Point) -> Bindings {
        let total = self.total.as_ref().map(|total| (total, at.past + at.seq));
        let all = [(&self.seq, at.seq), (&self.past, at.past)].into_iter().chain(total);
        all.map(|(name, n)| (name.to_string(), n as i64)).collect()
    }

    /// Symbols that stand for more than the tokens of this run.
    pub(super) fn lengths(&self) -> Vec<&str> {
        [Some(&self.past), self.total.as_ref()].into_iter().flatten().map(|name| &**name).collect()
    }

    /// Tells the inputs apart: masks by their second dimension, positions by their name.
    pub(super) fn inputs(&self, graph: &Graph, states: &[State]) -> Result<Inputs, Refusal> {
        let (mut tokens, mut positions, mut masks) = (Vec::new(), Vec::new(), Vec::new());
        for &input in &graph.inputs {
            if states.iter().any(|state| state.past == input) {
                continue;
            }
            match self.kind(graph, input)? {
                Kind::Tokens => tokens.push(input),
                Kind::Positions => positions.push(input),
                Kind::Mask => masks.push(input),
            }
        }
        match tokens[..] {
            [tokens] => Ok(Inputs { tokens, positions, masks }),
            [] => Err(Refusal::new("it has no input of tokens, integers of [batch, seq]")),
            [a, b, ..] => Err(Refusal::new(format!(
                "inputs {} and {} may both be the tokens; that of the positions is expected to be called `position_ids`",
                named(graph, a),
                named(graph, b)
            ))),
        }
    }

    fn kind(&self, graph: &Graph, input: ValueId) -> Result<Kind, Refusal> {
        let value = graph.value(input);
        let ty = value.ty.as_ref();
        let shape = ty.map_or(&[][..], |ty| &ty.shape);
        let integer = ty.is_some_and(|ty| !ty.dtype.is_float());
        let all = Expr::symbol(&self.seq) + Expr::symbol(&self.past);
        let is_all =
            |dim: &Expr| *dim == all || dim.as_symbol().is_some_and(|own| Some(own) == self.total.as_deref());
        let is_seq = |dim: &Expr| dim.as_symbol() == Some(&*self.seq);
        match shape {
            [one, dim] if one.as_const() == Some(1) && is_all(dim) => return Ok(Kind::Mask),
            [one, dim] if one.as_const() == Some(1) && is_seq(dim) && integer => {
                return Ok(if value.name.contains("pos") { Kind::Positions } else { Kind::Tokens });
            }
            _ => {}
        }
        // What decoders of two parts carry over is the commonest of those; what is of these tokens is a mask.
        let other = shape.len() == 4 && !shape.iter().any(|dim| dim.symbols().contains(&*self.seq));
        let more =
            if other { "; a cache of another sequence (cross-attention) is not supported" } else { "" };
        Err(Refusal::new(format!(
            "input {} is {}; expected are tokens and positions (integers [batch, seq]), a mask [batch, past + seq], and keys \
             and values that new ones are joined to{more}",
            named(graph, input),
            ty.map_or("?".to_owned(), ToString::to_string)
        )))
    }
}

enum Kind {
    Tokens,
    Positions,
    Mask,
}

impl Inputs {
    /// What a mask or positions hold at a point; `None` of any other value.
    pub(super) fn elements(&self, graph: &Graph, input: ValueId, at: Point) -> Option<Tensor> {
        let dtype = graph.value(input).ty.as_ref()?.dtype;
        if self.masks.contains(&input) {
            let all = at.past + at.seq;
            return Tensor::from_ints(dtype, vec![1, all], &vec![1; all]).ok();
        }
        let places: Vec<i128> = (at.past..at.past + at.seq).map(|place| place as i128).collect();
        self.positions.contains(&input).then(|| Tensor::from_ints(dtype, vec![1, at.seq], &places).ok())?
    }
}

//! Masks: that each query sees the keys up to its own position and no other.

use std::collections::BTreeSet;

use bayplan_expr::Bindings;

use super::part::Part;
use super::sizes::{Inputs, Point, Sizes};
use super::walk::Layer;
use super::{Refusal, named};
use crate::{ConstData, Constants, Graph, Tensor, Value, ValueId, ValueSource};

/// Lengths at which whole layers are evaluated.
pub(super) const NEAR: [Point; 6] = [
    Point { past: 0, seq: 1 },
    Point { past: 0, seq: 3 },
    Point { past: 1, seq: 1 },
    Point { past: 3, seq: 2 },
    Point { past: 6, seq: 4 },
    Point { past: 17, seq: 1 },
];

/// Most tokens in the past at which masks are looked at: windows and tables of positions are shorter.
const FAR: i64 = 1 << 17;

/// Most numbers of a mask that lengths are taken from.
const MOST_NUMBERS: usize = 16;

/// What is added to a hidden score: at most this.
const HIDDEN: f64 = -1e4;

/// What elements may say of a key and a query. Of several that fit, later lengths decide.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Forms {
    /// Added: 0 where the key is seen, at most [`HIDDEN`] elsewhere.
    bias: bool,
    /// 1 where the key is seen, else 0.
    keep: bool,
    /// The other way round.
    hide: bool,
    /// One number everywhere.
    uniform: Option<f64>,
}

/// Proves what a layer's scores meet, at short lengths and around every number that masks are computed with: a window shows
/// only where sequences are longer.
pub(super) fn prove(
    graph: &Graph,
    sizes: &Sizes,
    inputs: &Inputs,
    layer: &Layer,
    constants: &dyn Constants,
    proved: &mut BTreeSet<ValueId>,
) -> Result<(), Refusal> {
    for &leaf in &layer.leaves {
        // Layers share their masks.
        if !proved.insert(leaf) {
            continue;
        }
        let part = Part::cut(graph, &[], &[leaf]);
        if let Some(&other) =
            part.inputs().iter().find(|input| inputs.elements(graph, **input, NEAR[0]).is_none())
        {
            return Err(Refusal::new(format!(
                "mask {} is made of {}; only lengths, positions and the input of the mask may decide what is seen",
                named(graph, leaf),
                named(graph, other)
            )));
        }
        let mut forms = None;
        for at in NEAR {
            let elements = elements(&part, graph, sizes, inputs, at, constants);
            let elements = elements.map_err(|e| unlike(graph, leaf, &format!("cannot be evaluated: {e}")))?;
            narrow(&mut forms, &elements, at).map_err(|e| unlike(graph, leaf, &e))?;
        }
        for at in far(&part) {
            // Where a table of the model ends, so do its sequences.
            let Ok(elements) = elements(&part, graph, sizes, inputs, at, constants) else { continue };
            narrow(&mut forms, &elements, at).map_err(|e| unlike(graph, leaf, &e))?;
        }
    }
    Ok(())
}

fn unlike(graph: &Graph, leaf: ValueId, what: &str) -> Refusal {
    Refusal::new(format!(
        "mask {} {what}; each query is expected to see the keys up to its own position and no other",
        named(graph, leaf)
    ))
}

fn elements(
    part: &Part,
    graph: &Graph,
    sizes: &Sizes,
    inputs: &Inputs,
    at: Point,
    constants: &dyn Constants,
) -> Result<Tensor, String> {
    let mut made = part.at(sizes, at, constants, &|input| inputs.elements(graph, input, at))?;
    made.pop().ok_or_else(|| "it has no elements".to_owned())
}

/// Lengths around the numbers that a part holds.
fn far(part: &Part) -> Vec<Point> {
    let numbers: BTreeSet<i64> = part.values().iter().flat_map(numbers).map(i64::abs).collect();
    let numbers = numbers.into_iter().filter(|number| (8..=FAR).contains(number)).take(MOST_NUMBERS);
    let around = numbers.flat_map(|number| [number - 1, number, number + 1]);
    let points = around.map(|past| Point { past: past as usize, seq: 2 });
    [Point { past: 300, seq: 2 }].into_iter().chain(points).collect()
}

/// Whole numbers in a constant or list, and the sizes of a table.
fn numbers(value: &Value) -> Vec<i64> {
    let Some(ty) = &value.ty else { return Vec::new() };
    match &value.source {
        ValueSource::Symbolic(list) => {
            let none: Bindings =
                list.iter().flat_map(|e| e.symbols()).map(|name| (name.to_owned(), 0)).collect();
            list.iter().filter_map(|e| e.eval(&none).ok()).collect()
        }
        ValueSource::Constant(data) => {
            let dims = ty.dims().unwrap_or_default();
            let small = |bytes: &[u8]| {
                let shape = dims.iter().map(|&dim| dim as usize).collect();
                let tensor =
                    (bytes.len() <= 8 * MOST_NUMBERS).then(|| Tensor::new(ty.dtype, shape, bytes.to_vec()));
                tensor.and_then(Result::ok).map_or(Vec::new(), |tensor| tensor.to_f64())
            };
            let held = match data {
                ConstData::Inline(bytes) => small(bytes),
                ConstData::Range(_) => Vec::new(),
            };
            let whole =
                held.into_iter().filter(|v| v.fract() == 0.0 && v.abs() <= FAR as f64).map(|v| v as i64);
            whole.chain(dims.iter().filter_map(|&dim| i64::try_from(dim).ok())).collect()
        }
        _ => Vec::new(),
    }
}

/// Leaves the forms that fit these elements, too; without one left, says what is wrong.
fn narrow(forms: &mut Option<Forms>, tensor: &Tensor, at: Point) -> Result<(), String> {
    let shape = tensor.shape();
    let dim = |from_end: usize| shape.len().checked_sub(from_end).map_or(1, |axis| shape[axis]);
    let (rows, columns, all) = (dim(2), dim(1), at.past + at.seq);
    if ![1, at.seq].contains(&rows) || ![1, all].contains(&columns) {
        return Err(format!("has {rows} × {columns} elements with {} tokens behind {}", at.seq, at.past));
    }
    let elements = tensor.to_f64();
    let own = forms.get_or_insert(Forms::of(elements.first().copied()));
    let (queries, keys) = (if rows == 1 { at.seq } else { 1 }, if columns == 1 { all } else { 1 });
    // Each element with every key and query that it is for.
    let pairs = || {
        elements.iter().enumerate().flat_map(|(index, &element)| {
            let (row, column) = (index / columns % rows, index % columns);
            let keys_of =
                move |query: usize| (column..column + keys).map(move |key| (element, key, at.past + query));
            (row..row + queries).flat_map(keys_of)
        })
    };
    for (element, key, place) in pairs() {
        own.see(key <= place, element);
    }
    if own.none() {
        let float = tensor.dtype().is_float();
        let wrong = |pair: &(f64, usize, usize)| pair.0 != if float { 0.0 } else { 1.0 } && pair.1 <= pair.2;
        let shown = |pair: &(f64, usize, usize)| {
            pair.1 > pair.2 && if float { pair.0 > HIDDEN } else { pair.0 != 0.0 }
        };
        let first = pairs().find(wrong).or_else(|| pairs().find(shown));
        return Err(first.map_or_else(
            || format!("says another thing with {} tokens behind {} than with fewer", at.seq, at.past),
            |(element, key, place)| told(element, key, place, float),
        ));
    }
    Ok(())
}

impl Forms {
    /// All of them, where the first element is that.
    fn of(first: Option<f64>) -> Self {
        Self { bias: true, keep: true, hide: true, uniform: first }
    }

    fn none(&self) -> bool {
        !self.bias && !self.keep && !self.hide && self.uniform.is_none()
    }

    fn see(&mut self, seen: bool, element: f64) {
        self.uniform = self.uniform.filter(|v| v.to_bits() == element.to_bits());
        self.bias &= if seen { element == 0.0 } else { element <= HIDDEN };
        self.keep &= element == f64::from(u8::from(seen));
        self.hide &= element == f64::from(u8::from(!seen));
    }
}

fn told(element: f64, key: usize, place: usize, float: bool) -> String {
    let seen = key <= place;
    match (float, seen) {
        (true, true) => format!(
            "adds {element} to the score of key {key} for the query at position {place} (a window or a bias of positions)"
        ),
        (true, false) => format!(
            "adds only {element} to the score of key {key}, which comes after the query at position {place}"
        ),
        (false, true) => format!("hides key {key} from the query at position {place} (a window or padding)"),
        (false, false) => format!("shows key {key} to the query at position {place}, before it"),
    }
}

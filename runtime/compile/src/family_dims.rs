//! The dims of a run, found from the shapes of its inputs.
//!
//! ```text
//!   declared  ids [batch, seq]     mask [batch, past + seq]     given  [4, 32]   [4, 160]
//!             1. a symbol alone is the size given                      batch = 4, seq = 32
//!             2. one symbol left in an expression is solved for        past = 160 - 32 = 128
//!             3. what has a value by then is compared: 4 = 4
//! ```

use std::collections::BTreeSet;

use bayplan_expr::{Bindings, Expr, Scope};
use bayplan_graph::{BindError, Constraint, Graph, Prologue, Tie};

use crate::inputs::{
    Given, GivenShape, InputError, Shaped, check_specialised, given_of, known_once, shapes, type_text,
};

/// What is known of a graph's symbols before any input is.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    /// The graph with what is known put in.
    pub(crate) open: &'a Graph,
    pub(crate) pinned: &'a Bindings,
    /// Bounds of the symbols.
    pub(crate) scope: &'a Scope,
    pub(crate) ties: &'a [Tie],
}

/// The dims for which these inputs are: one value for each symbol of the graph.
///
/// # Errors
/// An input is missing, unknown, given twice, of another type or rank; its sizes do not fit its declared shape or those
/// of the others; a dim is outside its bounds.
pub(crate) fn dims(graph: &Graph, known: Known<'_>, inputs: &[Given<'_>]) -> Result<Bindings, InputError> {
    let mut found = given(graph, known.pinned, known.scope, &shapes(inputs))?;
    computed(&graph.prologue, &mut found, known.scope, inputs)?;
    for tie in known.ties {
        let is = tie.is.eval(&found);
        match (found.get(&tie.symbol), is) {
            (Some(value), Ok(is)) if value == is => {}
            (None, Ok(is)) => _ = found.set(tie.symbol.as_str(), is),
            (value, is) => return Err(untied(tie, value, is.ok(), graph, &found)),
        }
    }
    let mut open = graph.free_symbols();
    open.retain(|symbol| found.get(symbol).is_none());
    if !open.is_empty() {
        return Err(InputError::Undetermined { dims: open.into_iter().collect() });
    }
    fits(graph, known.open, &found).map_err(|reason| InputError::Constraint { reason })?;
    Ok(found)
}

/// The dims of one run of a graph, by nothing but its inputs: one value for each symbol.
///
/// # Errors
/// As [`Family::dims`](crate::Family::dims), but for sizes that do not fit together in the model, which whoever compiles for
/// these dims is told.
pub fn dims_of<T: Shaped>(graph: &Graph, inputs: &[(&str, &T)]) -> Result<Bindings, InputError> {
    check_specialised(&graph.specialised, inputs)?;
    let inputs = &given_of(inputs);
    let mut found = given(graph, &Bindings::new(), &graph.symbols, &shapes(inputs))?;
    computed(&graph.prologue, &mut found, &graph.symbols, inputs)?;
    for tie in graph.ties(&found) {
        if let (None, Ok(is)) = (found.get(&tie.symbol), tie.is.eval(&found)) {
            found.set(tie.symbol.as_str(), is);
        }
    }
    let mut open = graph.free_symbols();
    open.retain(|symbol| found.get(symbol).is_none());
    if open.is_empty() {
        Ok(found)
    } else {
        Err(InputError::Undetermined { dims: open.into_iter().collect() })
    }
}

/// Adds the symbols that follow from elements of inputs; where they have values already, those must be the same.
pub(crate) fn computed(
    prologues: &[Prologue],
    found: &mut Bindings,
    scope: &Scope,
    inputs: &[Given<'_>],
) -> Result<(), InputError> {
    for prologue in prologues {
        let input = |name: &str| inputs.iter().find(|(own, ..)| *own == name).and_then(|own| own.3);
        let values = prologue.values(found, &input);
        let values = values.map_err(|e| InputError::Constraint { reason: e.to_string() })?;
        let from = || {
            let own = prologue.graph.inputs.iter().map(|&id| &*prologue.graph.value(id).name);
            own.collect::<Vec<_>>().join(", ")
        };
        for (symbol, value) in values {
            check(&symbol, value, scope, &from())?;
            if let Some(expected) = found.set(&*symbol, value).filter(|had| *had != value) {
                let (dim, input) = (symbol.to_string(), from());
                return Err(InputError::Sized { dim, value, expected, input });
            }
        }
    }
    Ok(())
}

/// The dims that the shapes of these inputs say, each within its bounds in `scope`.
///
/// # Errors
/// As [`dims`], but for dims that must be equal.
pub(crate) fn given(
    graph: &Graph,
    pinned: &Bindings,
    scope: &Scope,
    inputs: &[GivenShape<'_>],
) -> Result<Bindings, InputError> {
    let sizes = sizes(graph, inputs)?;
    let mut found = pinned.clone();
    for pass in [Pass::Symbols, Pass::Expressions, Pass::Compare] {
        while sizes.iter().try_fold(false, |any, size| Ok(size.take(pass, &mut found, scope)? || any))? {}
    }
    Ok(found)
}

/// Whether dims are those of some run: what must be equal is. Dimensions that broadcast against each other, neither of
/// which was known to be 1 beforehand, are taken as equal.
///
/// # Errors
/// Says which are not, and where.
pub(crate) fn fits(graph: &Graph, open: &Graph, dims: &Bindings) -> Result<(), String> {
    graph.check_constraints(dims).map_err(|e| e.to_string())?;
    open.check_equal(dims).map_err(|e| match &e {
        BindError::Constraint { constraint, .. } if broadcasts(open, constraint) => {
            format!("{e}; to broadcast, a dim must be known to be 1 beforehand (--dim NAME=1)")
        }
        _ => e.to_string(),
    })
}

fn broadcasts(graph: &Graph, found: &Constraint) -> bool {
    graph.constraints.iter().any(|own| own.broadcast && (&own.a, &own.b) == (&found.a, &found.b))
}

/// Says which input makes a symbol what it is, where it must be something else.
fn untied(tie: &Tie, value: Option<i64>, is: Option<i64>, graph: &Graph, found: &Bindings) -> InputError {
    let symbols = tie.is.symbols();
    let dims = found.iter().filter(|(name, _)| symbols.contains(name)).collect();
    let mut inputs = graph.inputs.iter().map(|&id| graph.value(id));
    let place = inputs.find_map(|value| {
        let shape = &value.ty.as_ref()?.shape;
        let axis = shape.iter().position(|dim| dim.as_symbol() == Some(&tie.symbol))?;
        Some((value.name.to_string(), axis))
    });
    let (Some((name, axis)), Some(actual)) = (place, value) else {
        return InputError::Undetermined { dims: vec![tie.symbol.clone()] };
    };
    let (declared, tie) = (tie.is.to_string(), Some(Box::new(tie.clone())));
    InputError::Mismatch { name, axis, declared, expected: is, actual, dims, tie }
}

/// The symbols that no input's shape determines.
pub(crate) fn undetermined(graph: &Graph, pinned: &Bindings, ties: &[Tie]) -> Vec<String> {
    let mut open = graph.free_symbols();
    open.retain(|symbol| pinned.get(symbol).is_none());
    graph.prologue.iter().flat_map(|own| &own.symbols).for_each(|symbol| _ = open.remove(&**symbol));
    let inputs = graph.inputs.iter().filter_map(|&id| graph.value(id).ty.as_ref());
    let value = |name: &str| pinned.get(name).map(Expr::from);
    let shapes: Vec<Expr> = inputs.flat_map(|ty| &ty.shape).map(|e| e.replace(&value)).collect();
    loop {
        let known = shapes.iter().find_map(|e| {
            let mut symbols = e.symbols().into_iter().filter(|symbol| open.contains(*symbol));
            let (symbol, others) = (symbols.next()?, symbols.next());
            (others.is_none() && is_linear(e, symbol)).then(|| symbol.to_string())
        });
        let follows = |tie: &&Tie| {
            open.contains(&tie.symbol) && tie.is.symbols().iter().all(|symbol| !open.contains(*symbol))
        };
        let Some(known) = known.or_else(|| ties.iter().find(follows).map(|tie| tie.symbol.clone())) else {
            return open.into_iter().collect();
        };
        open.remove(&known);
    }
}

/// Whether an expression is a multiple of the symbol, by a number, and something without it.
fn is_linear(e: &Expr, symbol: &str) -> bool {
    let at = |value: i64| e.replace(&|name| (name == symbol).then(|| Expr::from(value)));
    let slope = at(1) - at(0);
    let line = at(0) + slope.clone() * Expr::symbol(symbol);
    slope.as_const().is_some_and(|slope| slope != 0) && line == *e
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    Symbols,
    Expressions,
    Compare,
}

/// One dimension of an input, as declared and as given.
struct Size<'a> {
    input: &'a str,
    axis: usize,
    declared: &'a Expr,
    given: i64,
}

impl Size<'_> {
    /// Learns a symbol's value in the first two passes, compares in the last; says whether something was learnt.
    fn take(&self, pass: Pass, found: &mut Bindings, scope: &Scope) -> Result<bool, InputError> {
        let open: BTreeSet<&str> =
            self.declared.symbols().into_iter().filter(|symbol| found.get(symbol).is_none()).collect();
        let learnt = match (pass, open.first()) {
            (Pass::Symbols, Some(&symbol)) if self.declared.as_symbol().is_some() => {
                Some((symbol, self.given))
            }
            (Pass::Expressions, Some(&symbol)) if open.len() == 1 => {
                Some((symbol, self.solve(symbol, found)?))
            }
            (Pass::Compare, None) => {
                self.compare(found)?;
                None
            }
            _ => None,
        };
        let Some((symbol, value)) = learnt else { return Ok(false) };
        check(symbol, value, scope, self.input)?;
        found.set(symbol, value);
        Ok(true)
    }

    /// The value of the one symbol without one, in which the expression must be linear.
    fn solve(&self, symbol: &str, found: &Bindings) -> Result<i64, InputError> {
        let at = |value: i64| self.declared.eval(&found.clone().with(symbol, value)).ok();
        let line = at(0).zip(at(1)).and_then(|(zero, one)| Some((zero, one.checked_sub(zero)?)));
        let value = line
            .filter(|(_, slope)| *slope != 0)
            .and_then(|(zero, slope)| self.given.checked_sub(zero)?.checked_div(slope));
        value.filter(|&value| at(value) == Some(self.given)).ok_or_else(|| self.mismatch(found))
    }

    fn compare(&self, found: &Bindings) -> Result<(), InputError> {
        let same = self.declared.eval(found) == Ok(self.given);
        if same { Ok(()) } else { Err(self.mismatch(found)) }
    }

    fn mismatch(&self, found: &Bindings) -> InputError {
        let symbols = self.declared.symbols();
        InputError::Mismatch {
            name: self.input.into(),
            axis: self.axis,
            declared: self.declared.to_string(),
            expected: self.declared.eval(found).ok(),
            actual: self.given,
            dims: found.iter().filter(|(name, _)| symbols.contains(name)).collect(),
            tie: None,
        }
    }
}

/// Refuses a value outside the bounds of its symbol, that `input` says.
fn check(symbol: &str, value: i64, scope: &Scope, input: &str) -> Result<(), InputError> {
    let bounds = scope.get(symbol);
    let (dim, input) = (symbol.to_string(), input.to_string());
    match bounds.upper.filter(|&upper| value > upper) {
        Some(bound) => Err(InputError::BoundExceeded { dim, value, bound, input }),
        None if value < bounds.lower => {
            Err(InputError::BelowBound { dim, value, bound: bounds.lower, input })
        }
        None => Ok(()),
    }
}

/// Every dimension of every input; each is given once, with its type and rank.
fn sizes<'a>(graph: &'a Graph, inputs: &[GivenShape<'_>]) -> Result<Vec<Size<'a>>, InputError> {
    let values = || graph.inputs.iter().map(|&id| graph.value(id));
    known_once(inputs, || values().map(|value| &*value.name))?;
    let mut sizes = Vec::new();
    for value in values() {
        let Some(ty) = &value.ty else { continue };
        let name = value.name.to_string();
        let Some(&(_, dtype, shape)) = inputs.iter().find(|(given, ..)| **given == *value.name) else {
            return Err(InputError::Missing { name, expected: ty.to_string() });
        };
        if dtype != ty.dtype || shape.len() != ty.shape.len() {
            let shape: Vec<u64> = shape.iter().map(|&dim| dim as u64).collect();
            let actual = type_text(dtype, &shape);
            return Err(InputError::Wrong { name, expected: ty.to_string(), actual });
        }
        for (axis, (declared, &given)) in ty.shape.iter().zip(shape).enumerate() {
            // Tensors are smaller than the address space.
            let given = i64::try_from(given).unwrap_or(i64::MAX);
            sizes.push(Size { input: &value.name, axis, declared, given });
        }
    }
    Ok(sizes)
}

//! Partial binding: some symbols get values, the others stay.
//!
//! ```text
//!   ids [batch, seq]   mask [batch, total]   past [batch, past]      batch = 4 is given
//!   the graph needs total = past + seq
//!   ids [4, seq]       mask [4, past + seq]  past [4, past]          left: past, seq
//! ```

use std::borrow::Cow;
use std::sync::Arc;

use bayplan_expr::{Bindings, Bounds, Expr, Scope, bounds};

use super::{BindError, Constraint};
use crate::{Graph, TensorType, ValueSource};

/// A symbol that follows from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tie {
    /// The symbol.
    pub symbol: String,
    /// What it is. It has no symbol that is itself tied.
    pub is: Expr,
    /// Name of the node that needs it to be that.
    pub node: Arc<str>,
    /// Whether it may also be 1, to broadcast: then the graph is another one ([`Graph::constraints_at`]).
    pub broadcast: bool,
}

impl Graph {
    /// The graph with some symbols replaced by their values, inferred again. Symbols that then follow from others
    /// ([`Graph::ties`]) are replaced too, so that what stays is independent; `bounds` are theirs, intersected with the
    /// graph's own. Values keep their numbers.
    ///
    /// # Errors
    /// Values for symbols that the graph does not have or outside their bounds, bounds that leave a symbol no value,
    /// dimensions that are negative or must be equal and are not, nodes that do not accept the shapes that come of it, and
    /// those whose results have as many dimensions as symbols say.
    pub fn pin(&self, pinned: &Bindings, bounds: &Scope) -> Result<Self, BindError> {
        self.check_known(pinned)?;
        self.check_bounds(pinned)?;
        let constraints = self.constraints_at(pinned);
        let ties = ties(&constraints, pinned);
        let symbols = self.independent(pinned, &ties, bounds)?;
        let replaced = |e: &Expr| {
            let value = |name: &str| {
                let tie = || ties.iter().find(|tie| tie.symbol == name).map(|tie| tie.is.clone());
                pinned.get(name).map(Expr::from).or_else(tie)
            };
            e.replace(&value).simplify(&symbols)
        };
        let mut graph = self.given(&replaced);
        for value in &graph.values {
            let dims = value.ty.iter().flat_map(|ty| &ty.shape);
            dims.into_iter().try_for_each(|dim| refuse_negative(dim, &symbols, &value.name))?;
        }
        for constraint in constraints.iter() {
            possible(constraint, &replaced(&constraint.a), &replaced(&constraint.b))?;
        }
        graph.symbols = symbols;
        graph.infer().map_err(BindError::Infer)?;
        match graph.not_one.first() {
            Some(found) => Err(BindError::Rank(found.clone())),
            None => Ok(graph),
        }
    }

    /// Symbols that follow from others: where the graph needs a dimension that is a symbol alone equal to another
    /// dimension, the symbol is that. Two dimensions that may also broadcast are taken as equal here, unless one of them is
    /// 1 by `pinned`, the symbols that have values of their own.
    pub fn ties(&self, pinned: &Bindings) -> Vec<Tie> {
        ties(&self.constraints_at(pinned), pinned)
    }

    /// What must hold of the dimensions where these symbols have values. Of two that may broadcast the constraints take
    /// the one for the other; where a value makes one of them 1, whatever follows is found anew.
    pub fn constraints_at(&self, pinned: &Bindings) -> Cow<'_, [Constraint]> {
        let with_values = |e: &Expr| e.replace(&|name| pinned.get(name).map(Expr::from));
        let is_one = |e: &Expr| with_values(e).as_const() == Some(1);
        let spreads = |own: &Constraint| own.broadcast && is_one(&own.a) != is_one(&own.b);
        let Some(first) = self.constraints.iter().position(spreads) else {
            return Cow::Borrowed(&self.constraints);
        };
        let mut graph = self.given(&with_values);
        match graph.infer() {
            Ok(()) => Cow::Owned(graph.constraints),
            // Whoever pins these values hears why they do not fit.
            Err(_) => Cow::Borrowed(&self.constraints[..first]),
        }
    }

    /// The graph with the dimensions of inputs and constants replaced, and nothing inferred.
    fn given(&self, replaced: &dyn Fn(&Expr) -> Expr) -> Self {
        let mut graph = self.clone();
        for value in &mut graph.values {
            value.contents = None;
            if let ValueSource::Node { .. } = value.source {
                value.ty = None;
            } else if let Some(TensorType { shape, .. }) = &mut value.ty {
                shape.iter_mut().for_each(|dim| *dim = replaced(dim));
            }
            if let ValueSource::Symbolic(elements) = &mut value.source {
                *elements = elements.iter().map(replaced).collect();
            }
        }
        graph
    }

    /// The bounds of the symbols that neither have values nor follow from others.
    fn independent(&self, pinned: &Bindings, ties: &[Tie], bounds: &Scope) -> Result<Scope, BindError> {
        let mut symbols = Scope::new();
        let tied = |symbol: &str| ties.iter().any(|tie| tie.symbol == symbol);
        for symbol in self.free_symbols().iter().filter(|s| pinned.get(s).is_none() && !tied(s)) {
            declare(&mut symbols, symbol, self.symbols.get(symbol).intersect(bounds.get(symbol)))?;
        }
        for tie in ties {
            let allowed = self.symbols.get(&tie.symbol).intersect(bounds.get(&tie.symbol));
            for symbol in tie.is.symbols() {
                let most = allowed.upper.and_then(|upper| most(&tie.is, symbol, upper, &symbols));
                let narrowed = symbols.get(symbol).intersect(Bounds { lower: i64::MIN, upper: most });
                declare(&mut symbols, symbol, narrowed)?;
            }
        }
        Ok(symbols)
    }
}

/// Symbols that follow from others by these constraints.
fn ties(constraints: &[Constraint], pinned: &Bindings) -> Vec<Tie> {
    let mut ties: Vec<Tie> = Vec::new();
    for Constraint { a, b, node, broadcast } in constraints {
        let known = |name: &str| {
            let tie = || ties.iter().find(|tie| tie.symbol == name).map(|tie| tie.is.clone());
            pinned.get(name).map(Expr::from).or_else(tie)
        };
        let (a, b) = (a.replace(&known), b.replace(&known));
        if *broadcast && [&a, &b].into_iter().any(|side| side.as_const() == Some(1)) {
            continue;
        }
        let follows = |a: &Expr, b: &Expr| {
            let symbol = a.as_symbol()?;
            (!b.symbols().contains(symbol)).then(|| (symbol.to_owned(), b.clone()))
        };
        let Some((symbol, is)) = follows(&a, &b).or_else(|| follows(&b, &a)) else { continue };
        for tie in &mut ties {
            tie.is = tie.is.replace(&|name| (name == symbol).then(|| is.clone()));
        }
        ties.push(Tie { symbol, is, node: node.clone(), broadcast: *broadcast });
    }
    ties
}

/// The greatest value that a symbol may have where an expression, linear in it, is to be at most `upper`; `None` if that
/// is not known.
fn most(e: &Expr, symbol: &str, upper: i64, scope: &Scope) -> Option<i64> {
    let at = |value: i64| e.replace(&|name| (name == symbol).then(|| Expr::from(value)));
    let (rest, slope) = (at(0), (at(1) - at(0)).as_const().filter(|&slope| slope > 0)?);
    if &rest + Expr::symbol(symbol) * slope != *e {
        return None;
    }
    let least = bounds(&rest, scope).lower?;
    Some(upper.checked_sub(least)?.div_euclid(slope))
}

fn declare(scope: &mut Scope, symbol: &str, bounds: Bounds) -> Result<(), BindError> {
    scope.declare(symbol, bounds).map_err(|_| BindError::Empty { symbol: symbol.to_owned(), bounds })
}

fn refuse_negative(dim: &Expr, scope: &Scope, name: &Arc<str>) -> Result<(), BindError> {
    if bounds(dim, scope).upper.is_none_or(|upper| upper >= 0) {
        return Ok(());
    }
    let reason = "is negative".to_string();
    Err(BindError::Dimension { value: name.clone(), dim: dim.clone(), reason })
}

/// Whether two dimensions that must be equal still can be.
fn possible(constraint: &Constraint, a: &Expr, b: &Expr) -> Result<(), BindError> {
    let (Some(a), Some(b)) = (a.as_const(), b.as_const()) else { return Ok(()) };
    if a == b || constraint.broadcast && (a == 1 || b == 1) {
        return Ok(());
    }
    Err(BindError::Constraint { constraint: constraint.clone(), a: Ok(a), b: Ok(b) })
}

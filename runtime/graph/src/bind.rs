//! Binding: a graph for given values of its symbols.

mod pin;

use core::fmt;
use std::collections::BTreeSet;
use std::sync::Arc;

use bayplan_expr::{Bindings, Bounds, EvalError, Expr};

pub use pin::Tie;

use crate::{Constraint, Graph, InferError, NotOne, TensorType, ValueSource, dims};

/// Why a graph cannot be bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindError {
    /// Symbols without a value.
    Unbound {
        /// All of them.
        symbols: Vec<String>,
    },
    /// Values for symbols that the graph does not have.
    Unknown {
        /// All of them.
        symbols: Vec<String>,
        /// Those it has.
        known: Vec<String>,
    },
    /// A value outside the bounds of its symbol.
    Bounds {
        /// The symbol.
        symbol: String,
        /// Its value.
        value: i64,
        /// What is allowed.
        allowed: String,
    },
    /// Bounds that leave a symbol no value.
    Empty {
        /// The symbol.
        symbol: String,
        /// Its bounds.
        bounds: Bounds,
    },
    /// A dimension of an input or constant that is negative or has no value.
    Dimension {
        /// The value.
        value: Arc<str>,
        /// The dimension's expression.
        dim: Expr,
        /// What came of it.
        reason: String,
    },
    /// Two dimensions that must be equal (or, where they broadcast, one of them 1) and are not.
    Constraint {
        /// The dimensions and the node that needs them equal.
        constraint: Constraint,
        /// Value of [`Constraint::a`], or why it has none.
        a: Result<i64, EvalError>,
        /// Value of [`Constraint::b`], or why it has none.
        b: Result<i64, EvalError>,
    },
    /// A node whose result has one dimension less where a dimension is 1, which it may be and need not.
    Rank(NotOne),
    /// With these values a node does not accept its operands.
    Infer(InferError),
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quote = |list: &[String]| {
            list.iter().map(|s| format!("`{}`", bayplan_text::escape(s))).collect::<Vec<_>>().join(", ")
        };
        match self {
            Self::Unbound { symbols } => {
                write!(f, "the dimensions {} have no value; give each a value", quote(symbols))
            }
            Self::Unknown { symbols, known } if known.is_empty() => {
                write!(
                    f,
                    "the model has no symbolic dimensions, but values for {} were given",
                    quote(symbols)
                )
            }
            Self::Unknown { symbols, known } => {
                write!(f, "the model has no dimensions {}; it has {}", quote(symbols), quote(known))
            }
            Self::Bounds { symbol, value, allowed } => {
                write!(f, "dimension `{}` is {value}, but must be {allowed}", bayplan_text::escape(symbol))
            }
            Self::Empty { symbol, bounds } => {
                write!(f, "dimension `{}` can have no value: {bounds}", bayplan_text::escape(symbol))
            }
            Self::Dimension { value, dim, reason } => {
                write!(f, "dimension {dim} of `{}` {reason}", bayplan_text::escape(value))
            }
            Self::Constraint { constraint, a, b } => violated(f, constraint, a, b),
            Self::Rank(NotOne { dim, node }) => {
                let symbols: Vec<String> = dim.symbols().into_iter().map(str::to_owned).collect();
                write!(
                    f,
                    "node `{}` drops dimensions of size 1 without saying which, and its dimension {dim} may be 1 or more; \
                     give {} a value (--dim NAME=VALUE) or bounds that leave out 1 (--dim-min NAME=2), or name the axes \
                     in the model",
                    bayplan_text::escape(node),
                    quote(&symbols)
                )
            }
            Self::Infer(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for BindError {}

/// Names first what the caller can change: a symbol before what is computed from symbols, a number last.
fn violated(
    f: &mut fmt::Formatter<'_>,
    constraint: &Constraint,
    a: &Result<i64, EvalError>,
    b: &Result<i64, EvalError>,
) -> fmt::Result {
    if let (Constraint { a: dim, b: least, .. }, Ok(size)) = (constraint, a)
        && *least == dim.max(0)
    {
        let node = bayplan_text::escape(&constraint.node);
        return write!(f, "node `{node}` would make a dimension of {dim}, which is {size}");
    }
    let rank = |e: &Expr| match (e.as_symbol(), e.as_const()) {
        (Some(_), _) => 0,
        (None, None) => 1,
        (None, Some(_)) => 2,
    };
    let (mut set, mut other) = ((&constraint.a, a), (&constraint.b, b));
    if rank(set.0) > rank(other.0) {
        core::mem::swap(&mut set, &mut other);
    }
    match set.1 {
        Ok(value) => write!(f, "{} is {value}", set.0)?,
        Err(e) => write!(f, "{} has no value ({e})", set.0)?,
    }
    write!(f, ", but node `{}` needs it to be {}", bayplan_text::escape(&constraint.node), other.0)?;
    match other.1 {
        Ok(_) if other.0.as_const().is_some() => {}
        Ok(value) => write!(f, ", which is {value}")?,
        Err(e) => write!(f, ", which has no value ({e})")?,
    }
    match (constraint.broadcast, other.0.as_const()) {
        (false, _) => Ok(()),
        (true, Some(_)) => f.write_str(" or 1"),
        (true, None) => f.write_str(" (or one of the two 1)"),
    }
}

impl Graph {
    /// Names of the symbols in the dimensions of inputs and constants, sorted.
    pub fn free_symbols(&self) -> BTreeSet<String> {
        let given = self.values.iter().filter(|v| !matches!(v.source, ValueSource::Node { .. }));
        let dims = given.filter_map(|v| v.ty.as_ref()).flat_map(|ty| &ty.shape);
        let elements = self.values.iter().flat_map(|v| match &v.source {
            ValueSource::Symbolic(elements) => elements.iter(),
            _ => [].iter(),
        });
        dims.chain(elements).flat_map(Expr::symbols).map(str::to_owned).collect()
    }

    /// The graph with every symbol replaced by its value, inferred again: all its types are numbers.
    ///
    /// # Errors
    /// Symbols without a value (all of them in one error), values for unknown symbols or outside their bounds,
    /// negative dimensions, violated constraints, and nodes that do not accept the shapes that come of it.
    pub fn bind(&self, bindings: &Bindings) -> Result<Self, BindError> {
        self.check_symbols(bindings)?;
        let mut bound = self.clone();
        for value in &mut bound.values {
            value.contents = None;
            value.ty = match (&value.source, value.ty.take()) {
                (ValueSource::Node { .. }, _) | (_, None) => None,
                (_, Some(ty)) => Some(substitute(&ty, bindings, &value.name)?),
            };
            if let ValueSource::Symbolic(elements) = &mut value.source {
                let known: Result<_, _> =
                    elements.iter().map(|e| element(e, bindings, &value.name)).collect();
                *elements = known?;
            }
        }
        self.check_constraints(bindings)?;
        bound.infer().map_err(BindError::Infer)?;
        Ok(bound)
    }

    /// Checks the dimensions that must be equal, or broadcast, with a value for every symbol. The constraints say what is
    /// wrong in the caller's words; what they let pass, inference on numbers decides ([`Graph::bind`]).
    ///
    /// # Errors
    /// [`BindError::Constraint`] of the first that is violated.
    pub fn check_constraints(&self, bindings: &Bindings) -> Result<(), BindError> {
        for constraint in &self.constraints {
            let (a, b) = (constraint.a.eval(bindings), constraint.b.eval(bindings));
            if a.is_ok() && a == b {
                continue;
            }
            if constraint.broadcast && (a == Ok(1) || b == Ok(1)) {
                // Later constraints were found with the two taken as equal.
                return Ok(());
            }
            return Err(BindError::Constraint { constraint: constraint.clone(), a, b });
        }
        Ok(())
    }

    /// Checks that all dimensions that must be equal are, also those that broadcast: what was inferred with symbols took
    /// them as equal, and holds only there.
    ///
    /// # Errors
    /// [`BindError::Constraint`] of the first that are not.
    pub fn check_equal(&self, bindings: &Bindings) -> Result<(), BindError> {
        for constraint in &self.constraints {
            let (a, b) = (constraint.a.eval(bindings), constraint.b.eval(bindings));
            if a.is_err() || a != b {
                let constraint = Constraint { broadcast: false, ..constraint.clone() };
                return Err(BindError::Constraint { constraint, a, b });
            }
        }
        Ok(())
    }

    fn check_symbols(&self, bindings: &Bindings) -> Result<(), BindError> {
        let free = self.free_symbols();
        let unbound: Vec<String> = free.iter().filter(|s| bindings.get(s).is_none()).cloned().collect();
        if !unbound.is_empty() {
            return Err(BindError::Unbound { symbols: unbound });
        }
        self.check_known(bindings)?;
        self.check_bounds(bindings)
    }

    fn check_known(&self, bindings: &Bindings) -> Result<(), BindError> {
        let free = self.free_symbols();
        let unknown: Vec<String> =
            bindings.iter().map(|(s, _)| s).filter(|s| !free.contains(*s)).map(str::to_owned).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        Err(BindError::Unknown { symbols: unknown, known: free.into_iter().collect() })
    }

    fn check_bounds(&self, bindings: &Bindings) -> Result<(), BindError> {
        for (symbol, value) in bindings.iter() {
            let bounds = self.symbols.get(symbol);
            if !bounds.contains(value) {
                return Err(BindError::Bounds {
                    symbol: symbol.to_owned(),
                    value,
                    allowed: bounds.to_string(),
                });
            }
        }
        Ok(())
    }
}

fn element(e: &Expr, bindings: &Bindings, name: &Arc<str>) -> Result<Expr, BindError> {
    e.eval(bindings).map(dims::int).map_err(|why| BindError::Dimension {
        value: name.clone(),
        dim: e.clone(),
        reason: format!("has no value: {why}"),
    })
}

fn substitute(ty: &TensorType, bindings: &Bindings, name: &Arc<str>) -> Result<TensorType, BindError> {
    let dims = ty.shape.iter().map(|dim| {
        let error = |reason| BindError::Dimension { value: name.clone(), dim: dim.clone(), reason };
        match dim.eval(bindings) {
            Ok(v) if v >= 0 => Ok(dims::int(v)),
            Ok(v) => Err(error(format!("is {v}, which is negative"))),
            Err(e) => Err(error(format!("has no value: {e}"))),
        }
    });
    Ok(TensorType { dtype: ty.dtype, shape: dims.collect::<Result<_, _>>()? })
}

//! Binding: a graph for given values of its symbols.

use core::fmt;
use std::collections::BTreeSet;
use std::sync::Arc;

use bayplan_expr::{Bindings, Expr};

use crate::{Graph, InferError, TensorType, ValueSource, dims};

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
    /// A dimension of an input or constant that is negative or has no value.
    Dimension {
        /// The value.
        value: Arc<str>,
        /// The dimension's expression.
        dim: Expr,
        /// What came of it.
        reason: String,
    },
    /// Two dimensions that must be equal and are not.
    Constraint {
        /// Name of the node that needs them equal.
        node: Arc<str>,
        /// One.
        a: Expr,
        /// Its value.
        a_value: String,
        /// The other.
        b: Expr,
        /// Its value.
        b_value: String,
    },
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
            Self::Dimension { value, dim, reason } => {
                write!(f, "dimension {dim} of `{}` {reason}", bayplan_text::escape(value))
            }
            Self::Constraint { node, a, a_value, b, b_value } => write!(
                f,
                "node `{}` needs {a} = {b}, but with these values they are {a_value} and {b_value}",
                bayplan_text::escape(node)
            ),
            Self::Infer(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for BindError {}

impl Graph {
    /// Names of the symbols in the dimensions of inputs and constants, sorted.
    pub fn free_symbols(&self) -> BTreeSet<String> {
        let given = self.values.iter().filter(|v| !matches!(v.source, ValueSource::Node { .. }));
        given
            .filter_map(|v| v.ty.as_ref())
            .flat_map(|ty| ty.shape.iter().flat_map(Expr::symbols))
            .map(str::to_owned)
            .collect()
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
        }
        for constraint in &self.constraints {
            let (a, b) = (constraint.a.eval(bindings), constraint.b.eval(bindings));
            if a.is_err() || a != b {
                let show = |v: Result<i64, bayplan_expr::EvalError>| {
                    v.map_or_else(|e| e.to_string(), |v| v.to_string())
                };
                return Err(BindError::Constraint {
                    node: constraint.node.clone(),
                    a: constraint.a.clone(),
                    a_value: show(a),
                    b: constraint.b.clone(),
                    b_value: show(b),
                });
            }
        }
        bound.infer().map_err(BindError::Infer)?;
        Ok(bound)
    }

    fn check_symbols(&self, bindings: &Bindings) -> Result<(), BindError> {
        let free = self.free_symbols();
        let unbound: Vec<String> = free.iter().filter(|s| bindings.get(s).is_none()).cloned().collect();
        if !unbound.is_empty() {
            return Err(BindError::Unbound { symbols: unbound });
        }
        let unknown: Vec<String> =
            bindings.iter().map(|(s, _)| s).filter(|s| !free.contains(*s)).map(str::to_owned).collect();
        if !unknown.is_empty() {
            return Err(BindError::Unknown { symbols: unknown, known: free.into_iter().collect() });
        }
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

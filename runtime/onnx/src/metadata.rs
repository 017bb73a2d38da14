//! What a model's metadata says to bayplan: bounds of its symbolic dimensions.

use bayplan_expr::Bounds;
use bayplan_graph::Graph;

use crate::error::ImportError;
use crate::generated::onnx::StringStringEntryProto;
use crate::limits::MAX_ELEMENTS;

const MAX: &str = "bayplan.dim_max.";
const MIN: &str = "bayplan.dim_min.";

/// What a dimension may be, as for those that a model gives as numbers.
const DIMS: core::ops::RangeInclusive<i64> = 0..=MAX_ELEMENTS as i64;

/// Narrows the bounds of the symbols of the graph's inputs by `bayplan.dim_max.NAME` and `bayplan.dim_min.NAME`, whose
/// values are whole numbers. Other keys are not bayplan's or not known to it.
///
/// # Errors
/// [`ImportError::Metadata`]: a value that is no number or too large, a dimension that the model does not have, or bounds that leave
/// it no value.
pub(crate) fn bounds(graph: &mut Graph, entries: &[StringStringEntryProto]) -> Result<(), ImportError> {
    for entry in entries {
        let key = entry.key.as_deref().unwrap_or_default();
        let fail = |reason: String| ImportError::Metadata { key: key.to_owned(), reason };
        let (symbol, upper) = match (key.strip_prefix(MAX), key.strip_prefix(MIN)) {
            (Some(symbol), _) => (symbol, true),
            (None, Some(symbol)) => (symbol, false),
            (None, None) => continue,
        };
        let text = entry.value.as_deref().unwrap_or_default().trim();
        let value: i64 = text.parse().ok().filter(|value| DIMS.contains(value)).ok_or_else(|| {
            fail(format!(
                "its value `{}` must be a whole number from 0 to {MAX_ELEMENTS}",
                bayplan_text::ellipsis(text, 60)
            ))
        })?;
        if !graph.symbols.iter().any(|(name, _)| name == symbol) {
            let known: Vec<&str> = graph.symbols.iter().map(|(name, _)| name).collect();
            let known = if known.is_empty() { "no symbolic dimension".to_owned() } else { known.join(", ") };
            return Err(fail(format!(
                "the model's inputs have no dimension of that name; they have {known}"
            )));
        }
        let old = graph.symbols.get(symbol);
        let narrowed = match upper {
            true => Bounds { upper: Some(old.upper.map_or(value, |upper| upper.min(value))), ..old },
            false => Bounds { lower: old.lower.max(value), ..old },
        };
        graph.symbols.declare(symbol, narrowed).map_err(|e| fail(e.to_string()))?;
    }
    Ok(())
}

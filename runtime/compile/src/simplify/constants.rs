//! Constants of equal content become one.

use std::collections::HashMap;

use bayplan_expr::Expr;
use bayplan_graph::{ConstData, DType, FileId, ValueId, ValueSource};

use super::Rewriter;

/// Makes whatever is known a constant, and lets the first of several equal constants stand for all. Small ones are
/// compared by their elements, large ones by the bytes of the file they are.
pub(super) fn merge(r: &mut Rewriter<'_>) {
    let mut small: HashMap<(DType, Vec<Expr>, Vec<u8>), ValueId> = HashMap::new();
    let mut large: HashMap<(DType, Vec<Expr>, Range), ValueId> = HashMap::new();
    for id in (0..r.graph.values.len() as u32).map(ValueId) {
        let (Some(dtype), Some(shape)) = (r.dtype(id), r.shape(id)) else { continue };
        let first = match (&r.known[id.0 as usize], &r.graph.value(id).source) {
            // The caller gives an input's storage a meaning of its own.
            (_, ValueSource::Input) => continue,
            (Some(tensor), _) => {
                let bytes = tensor.bytes().to_vec();
                r.graph.values[id.0 as usize].source =
                    ValueSource::Constant(ConstData::Inline(bytes[..].into()));
                *small.entry((dtype, shape, bytes)).or_insert(id)
            }
            (None, ValueSource::Constant(ConstData::Range(range))) => {
                *large.entry((dtype, shape, (range.file, range.offset, range.len))).or_insert(id)
            }
            _ => continue,
        };
        r.replaced[id.0 as usize] = first;
    }
}

/// Bytes of a file: the file, where they begin, how many they are.
type Range = (FileId, u64, u64);

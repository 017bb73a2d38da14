//! Operators of the domain `com.microsoft`, which real exports carry: what onnxruntime's optimizer makes of a model.

use super::Row;

mod attention;
mod gelu;
mod normalize;
mod product;

/// The domain.
pub(crate) const DOMAIN: &str = "com.microsoft";

const TABLES: &[&[Row]] = &[attention::ROWS, gelu::ROWS, normalize::ROWS, product::ROWS];

fn rows() -> impl Iterator<Item = &'static Row> {
    TABLES.iter().flat_map(|rows| rows.iter())
}

/// The row of an operator of this domain; its versions never changed what one means.
pub(crate) fn find(op: &str) -> Option<&'static Row> {
    rows().find(|row| row.op == op)
}

/// The supported operators of the domain `com.microsoft`, sorted.
pub fn supported_contrib() -> Vec<&'static str> {
    let mut list: Vec<_> = rows().map(|row| row.op).collect();
    list.sort_unstable();
    list
}

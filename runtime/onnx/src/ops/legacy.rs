//! What operators meant before opset 7, where that differs from what they mean since.
//!
//! Old models say by attributes how two operands broadcast, and whether the model is in training. Attributes that only
//! told old runtimes how to run (`consumed_inputs`) mean nothing here.

use bayplan_graph::ValueId;
use bayplan_graph::op::{BinaryOp, ViewOp};
use bayplan_graph::{DType, Op};

use super::{Row, activation, dropout, normalize, shape, tensor};
use crate::builder::{Built, Call};

/// A row that holds up to an opset.
struct Old {
    row: Row,
    /// The last opset with this meaning.
    last: i64,
}

impl Old {
    const fn new(op: &'static str, last: i64, build: fn(&mut Call<'_, '_>) -> Built) -> Self {
        Self { row: Row::new(op, 1, build), last }
    }
}

const ROWS: &[Old] = &[
    Old::new("Add", 6, |c| broadcast(c, BinaryOp::Add)),
    Old::new("And", 6, |c| broadcast(c, BinaryOp::And)),
    Old::new("BatchNormalization", 6, batch_normalization),
    Old::new("Cast", 5, cast),
    Old::new("Concat", 3, concat),
    Old::new("Div", 6, |c| broadcast(c, BinaryOp::Div)),
    Old::new("Dropout", 6, old_dropout),
    Old::new("Equal", 6, |c| broadcast(c, BinaryOp::Equal)),
    Old::new("Greater", 6, |c| broadcast(c, BinaryOp::Greater)),
    Old::new("Less", 6, |c| broadcast(c, BinaryOp::Less)),
    Old::new("Mul", 6, |c| broadcast(c, BinaryOp::Mul)),
    Old::new("Or", 6, |c| broadcast(c, BinaryOp::Or)),
    Old::new("PRelu", 6, prelu),
    Old::new("Pad", 1, |c| tensor::pad_by_attribute(c, "paddings")),
    Old::new("Pow", 6, |c| broadcast(c, BinaryOp::Pow)),
    Old::new("Reshape", 4, reshape),
    Old::new("Selu", 5, |c| activation::selu_or(c, 1.6732, 1.0507)),
    Old::new("Sub", 6, |c| broadcast(c, BinaryOp::Sub)),
    Old::new("Tile", 5, tile),
    Old::new("Xor", 6, |c| broadcast(c, BinaryOp::Xor)),
];

/// The row of an operator that meant something else in this opset.
pub(super) fn find(op: &str, opset: i64) -> Option<&'static Row> {
    ROWS.iter().find(|old| old.row.op == op && opset <= old.last).map(|old| &old.row)
}

/// The dimensions of the second operand are those of the first from `axis` on, or its last ones; without `broadcast`
/// both have one shape.
fn broadcast(c: &mut Call<'_, '_>, op: BinaryOp) -> Built {
    let (a, b) = (c.input(0)?, c.input(1)?);
    let (rank, own) = (c.rank(a)?, c.rank(b)?);
    if !c.attributes().flag("broadcast", false)? {
        if rank != own {
            return Err(format!("its operands have ranks {rank} and {own}, but `broadcast` is not set"));
        }
        return Ok(vec![c.binary(op, a, b)?]);
    }
    let b = match c.attributes().int("axis")? {
        Some(axis) => {
            let axis = bayplan_graph::axis(axis, rank).map_err(|e| e.to_string())?;
            if axis + own > rank {
                return Err(format!("an operand of rank {own} does not fit rank {rank} from axis {axis} on"));
            }
            spread(c, b, own, rank - axis)?
        }
        None => b,
    };
    Ok(vec![c.binary(op, a, b)?])
}

/// `x` of rank `own` with dimensions of size 1 after it up to a rank.
fn spread(c: &mut Call<'_, '_>, x: ValueId, own: usize, rank: usize) -> Result<ValueId, String> {
    let more: Vec<i64> = (own as i64..rank as i64).collect();
    if more.is_empty() { Ok(x) } else { c.unsqueeze(x, &more) }
}

/// One slope per channel.
fn prelu(c: &mut Call<'_, '_>) -> Built {
    let (x, slope) = (c.input(0)?, c.input(1)?);
    let (rank, shared) = (c.rank(x)?, c.size(slope, 0)? == Some(1));
    let slope =
        if c.rank(slope)? == 1 && !shared && rank > 1 { spread(c, slope, 1, rank - 1)? } else { slope };
    Ok(vec![activation::sloped(c, x, slope)?])
}

/// In training it also gives statistics; who wants only the result has a model for inference.
fn batch_normalization(c: &mut Call<'_, '_>) -> Built {
    if !c.attributes().flag("is_test", false)? && (1..5).any(|output| c.wants(output)) {
        return Err(
            "training before opset 7 is not supported; export the model in evaluation mode".to_owned()
        );
    }
    normalize::batch(c)
}

fn old_dropout(c: &mut Call<'_, '_>) -> Built {
    if !c.attributes().flag("is_test", false)? {
        return Err(
            "dropout in training before opset 7 is not supported; export the model in evaluation mode"
                .to_owned(),
        );
    }
    dropout::dropout(c)
}

fn reshape(c: &mut Call<'_, '_>) -> Built {
    let x = c.input(0)?;
    let shape = c.attributes().ints("shape")?.ok_or("attribute `shape` is missing")?;
    Ok(vec![c.reshape_to(x, shape)?])
}

fn concat(c: &mut Call<'_, '_>) -> Built {
    let list: Vec<ValueId> = (0..c.inputs()).map(|i| c.input(i)).collect::<Result<_, _>>()?;
    let axis = c.attributes().int_or("axis", 1)?;
    Ok(vec![c.concat(axis, &list)?])
}

/// The type was a word.
fn cast(c: &mut Call<'_, '_>) -> Built {
    let x = c.input(0)?;
    let to = c.attributes().text("to")?.ok_or("attribute `to` is missing")?;
    let to = match to.to_ascii_uppercase().as_str() {
        "FLOAT" => DType::F32,
        "UINT8" => DType::U8,
        "INT8" => DType::I8,
        "UINT16" => DType::U16,
        "INT16" => DType::I16,
        "INT32" => DType::I32,
        "INT64" => DType::I64,
        "BOOL" => DType::Bool,
        "FLOAT16" => DType::F16,
        "DOUBLE" => DType::F64,
        "UINT32" => DType::U32,
        "UINT64" => DType::U64,
        other => return Err(format!("attribute `to` is `{other}`, which is no type that is supported")),
    };
    Ok(vec![c.cast(x, to)?])
}

/// So many copies along one axis, both known numbers.
fn tile(c: &mut Call<'_, '_>) -> Built {
    let (x, tiles, axis) = (c.input(0)?, c.input(1)?, c.input(2)?);
    let one = |list: Option<Vec<i64>>| list.filter(|list| list.len() == 1).map(|list| list[0]);
    let axis = one(c.known(axis)).ok_or("its axis depends on data, but must be constant")?;
    let rank = c.rank(x)?;
    let axis = bayplan_graph::axis(axis, rank).map_err(|e| e.to_string())?;
    let single = c.ints(&[1])?;
    let mut repeats = vec![single; rank];
    repeats[axis] = c.emit(Op::View(ViewOp::Reshape { allow_zero: false }), &[tiles, single])?;
    let repeats = c.join(&repeats)?;
    shape::repeated(c, x, repeats)
}

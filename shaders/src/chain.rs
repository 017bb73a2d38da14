//! Scalar programs as text, one element or four at a time.

use core::fmt::Write as _;

use bayplan_graph::DType;

use crate::source::Source;
use crate::tape::specs::Chain;
use crate::{Arg, Refusal, Repr, StepOp, Target};

mod angle;
mod bits;
pub(crate) mod double;
pub(crate) mod ops;
pub(crate) mod round;
pub(crate) mod wide;

/// How many elements a value in the text holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Width {
    /// A scalar.
    One,
    /// A `vec4`.
    Four,
}

impl Width {
    /// The text of a type of this width.
    pub(crate) fn of(self, scalar: &str) -> String {
        match self {
            Self::One => scalar.to_owned(),
            Self::Four => format!("vec4<{scalar}>"),
        }
    }
}

/// Turns an element as stored into one as computed with.
pub(crate) fn from_storage(dtype: DType, width: Width, text: &str) -> String {
    if dtype == DType::Bool { format!("({text} != {}(0u))", width.of("u32")) } else { text.to_owned() }
}

/// The other way round.
pub(crate) fn to_storage(dtype: DType, width: Width, text: &str) -> String {
    let u = width.of("u32");
    if dtype == DType::Bool { format!("select({u}(0u), {u}(1u), {text})") } else { text.to_owned() }
}

/// The types of all values of the chain.
fn types(chain: &Chain) -> impl Iterator<Item = DType> {
    let consts = chain.steps.iter().flat_map(|s| &s.args).filter_map(|a| match a {
        Arg::Const(dtype, _) => Some(*dtype),
        Arg::Operand(_) | Arg::Step(_) => None,
    });
    let dtypes =
        chain.operands.iter().map(|o| o.dtype).chain(chain.steps.iter().map(|s| s.dtype)).chain(consts);
    dtypes.chain([chain.result])
}

/// Whether any value of the chain takes two words.
pub(crate) fn has_64bit(chain: &Chain) -> bool {
    types(chain).any(|dtype| Repr::of(dtype).is_some_and(|repr| repr.words() == 2))
}

/// Whether the chain must go one element at a time: pairs of words have no vectors, and the functions of 64-bit floats take none.
pub(crate) fn one_by_one(chain: &Chain, target: &Target) -> bool {
    has_64bit(chain) && (!target.features.int64 || types(chain).any(|dtype| dtype == DType::F64))
}

/// Operations per element, for reports: every step counts one.
pub(crate) fn flops(chain: &Chain) -> u64 {
    chain.steps.len() as u64
}

/// The chain in a kernel's name: `.add+relu`, nothing for a chain without steps; `.strided` where results have a layout.
pub(crate) fn label(chain: &Chain) -> String {
    let strided = if chain.layout.is_some() { ".strided" } else { "" };
    steps_label(chain) + strided
}

fn steps_label(chain: &Chain) -> String {
    const SHOWN: usize = 4;
    let names = chain.steps.iter().take(SHOWN).map(|s| match s.op {
        StepOp::Unary(op) => format!("{op:?}").to_lowercase(),
        StepOp::Binary(op) => format!("{op:?}").to_lowercase(),
        StepOp::Select => "select".into(),
        StepOp::Cast => s.dtype.to_string(),
        StepOp::BitCast => format!("bits_{}", s.dtype),
    });
    let names: Vec<_> = names.collect();
    match (names.len(), chain.steps.len().saturating_sub(SHOWN)) {
        (0, _) => String::new(),
        (_, 0) => format!(".{}", names.join("+")),
        (_, more) => format!(".{}+{more}", names.join("+")),
    }
}

/// Writes the chain's steps to `out`; `operands` are the operands' values as text (as computed with). Returns the
/// text of the result.
pub(crate) fn emit(
    chain: &Chain,
    src: &mut Source<'_>,
    width: Width,
    operands: &[String],
    out: &mut String,
) -> Result<String, Refusal> {
    let mut steps: Vec<DType> = Vec::with_capacity(chain.steps.len());
    for step in &chain.steps {
        let mut args = Vec::with_capacity(step.args.len());
        for arg in &step.args {
            args.push(value(chain, src, width, operands, &steps, *arg)?);
        }
        let repr = src.repr(step.dtype)?;
        let text = ops::step(src, width, step.op, &args, step.dtype)?;
        let kind = width.of(src.register(step.dtype, repr));
        let _ = writeln!(out, "let t{}: {kind} = {text};", steps.len());
        steps.push(step.dtype);
    }
    let (text, dtype) = match steps.last() {
        Some(&dtype) => (format!("t{}", steps.len() - 1), dtype),
        None => match (operands.first(), chain.operands.first()) {
            (Some(text), Some(operand)) => (text.clone(), operand.dtype),
            _ => return Err(src.refuse("a chain without steps needs an operand")),
        },
    };
    if dtype != chain.result {
        return Err(src.refuse(format!("the chain's last value is {dtype}, its result {}", chain.result)));
    }
    Ok(text)
}

/// A value with its type.
pub(crate) struct Value {
    pub(crate) text: String,
    pub(crate) dtype: DType,
}

fn value(
    chain: &Chain,
    src: &mut Source<'_>,
    width: Width,
    operands: &[String],
    steps: &[DType],
    arg: Arg,
) -> Result<Value, Refusal> {
    match arg {
        Arg::Operand(i) => match (operands.get(i as usize), chain.operands.get(i as usize)) {
            (Some(text), Some(operand)) => Ok(Value { text: text.clone(), dtype: operand.dtype }),
            _ => Err(src.refuse(format!("a step reads operand {i}, which the chain does not have"))),
        },
        Arg::Step(i) => match steps.get(i as usize) {
            Some(&dtype) => Ok(Value { text: format!("t{i}"), dtype }),
            None => Err(src.refuse(format!("a step reads step {i}, which is not before it"))),
        },
        Arg::Const(dtype, bits) => Ok(Value { text: constant(src, width, dtype, bits)?, dtype }),
    }
}

fn constant(src: &mut Source<'_>, width: Width, dtype: DType, bits: u64) -> Result<String, Refusal> {
    let repr = src.repr(dtype)?;
    let name = src.fresh("c");
    // The low word; the cast only drops what the other word holds.
    let low = src.param(&name, bits as u32);
    let scalar = match repr {
        Repr::F32 => format!("bitcast<f32>({low})"),
        Repr::I32 => format!("bitcast<i32>({low})"),
        Repr::U32 if dtype == DType::Bool => format!("({low} != 0u)"),
        Repr::U32 => low,
        Repr::I64 | Repr::U64 | Repr::F64 => {
            let name = src.fresh("c");
            let high = src.param(&name, (bits >> 32) as u32);
            let text = format!("(u64({low}) | (u64({high}) << 32u))");
            match repr {
                _ if wide::emulated(src.target(), repr) => format!("{}({low}, {high})", wide::KIND),
                Repr::I64 => format!("bitcast<i64>({text})"),
                Repr::F64 => format!("bitcast<f64>({text})"),
                _ => text,
            }
        }
    };
    Ok(match width {
        Width::One => scalar,
        Width::Four => format!("vec4<{}>({scalar})", src.register(dtype, repr)),
    })
}

/// Checks that every step has as many arguments as its operation takes.
pub(crate) fn arity(op: StepOp) -> usize {
    match op {
        StepOp::Unary(_) | StepOp::Cast | StepOp::BitCast => 1,
        StepOp::Binary(_) => 2,
        StepOp::Select => 3,
    }
}

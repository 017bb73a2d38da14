//! Sums, means, extrema and products.

use core::fmt::Write as _;

use bayplan_graph::DType;
use bayplan_graph::op::{BinaryOp, ReduceOp};

use crate::chain::{self, Width, double, ops, wide};
use crate::epilogue::{Axis, Epilogue};
use crate::kernels::rows::{Layout, Team, Walk};
use crate::lanes::Across;
use crate::loops;
use crate::source::Source;
use crate::source::Written;
use crate::strides::elements;
use crate::tape::specs::ReduceSpec;
use crate::{Access, Refusal, Repr, Slot, Target};

/// What a reduction is made of.
struct Operation {
    /// The result of reducing nothing.
    initial: String,
    /// How two values become one.
    combine: Combine,
    /// The operation across lanes.
    across: Across,
}

/// How two values become one.
enum Combine {
    /// A sign between them.
    Infix(&'static str),
    /// A function of them.
    Call(&'static str),
}

impl Combine {
    fn of(&self, x: &str, y: &str) -> String {
        match self {
            Self::Infix(sign) => format!("{x} {sign} {y}"),
            Self::Call(name) => format!("{name}({x}, {y})"),
        }
    }
}

fn operation(op: ReduceOp, repr: Repr, src: &mut Source<'_>) -> Result<Operation, Refusal> {
    let (step, across) = match op {
        ReduceOp::Sum | ReduceOp::Mean => (BinaryOp::Add, Across::Add),
        ReduceOp::Prod => (BinaryOp::Mul, Across::Mul),
        ReduceOp::Max => (BinaryOp::Max, Across::Max),
        ReduceOp::Min => (BinaryOp::Min, Across::Min),
        _ => return Err(src.refuse(format!("{op:?} has no kernel"))),
    };
    double::check(src, repr)?;
    let pairs = wide::emulated(src.target(), repr);
    let kind = src.element(repr);
    let initial = match step {
        BinaryOp::Add => format!("{kind}()"),
        BinaryOp::Mul if pairs => wide::literal(1),
        BinaryOp::Mul if repr == Repr::F64 => "1.0lf".into(),
        BinaryOp::Mul => format!("{kind}(1)"),
        _ => extreme(repr, step == BinaryOp::Max, src),
    };
    let combine = match step {
        _ if pairs => Combine::Call(wide::function(src, step, repr == Repr::I64)?),
        BinaryOp::Add => Combine::Infix("+"),
        BinaryOp::Mul => Combine::Infix("*"),
        _ if repr == Repr::F32 => {
            let name = if step == BinaryOp::Max { "op_max" } else { "op_min" };
            ops::require(src, Width::One, name);
            Combine::Call(name)
        }
        _ if repr == Repr::F64 => {
            let name = if step == BinaryOp::Max { "double_max" } else { "double_min" };
            double::require(src, name);
            Combine::Call(name)
        }
        BinaryOp::Max => Combine::Call("max"),
        _ => Combine::Call("min"),
    };
    Ok(Operation { initial, combine, across })
}

/// The text of the value from which an extremum starts: the type's least, or its greatest. Adds its word, the high one of
/// 64-bit types, to the parameters.
fn extreme(repr: Repr, max: bool, src: &mut Source<'_>) -> String {
    let high = match (repr, max) {
        (Repr::F32, true) => f32::NEG_INFINITY.to_bits(),
        (Repr::F32, false) => f32::INFINITY.to_bits(),
        (Repr::F64, true) => 0xfff0_0000,
        (Repr::F64, false) => 0x7ff0_0000,
        (Repr::I32 | Repr::I64, true) => 0x8000_0000,
        (Repr::I32 | Repr::I64, false) => 0x7fff_ffff,
        (Repr::U32 | Repr::U64, true) => 0,
        (Repr::U32 | Repr::U64, false) => u32::MAX,
    };
    let low = if max || repr == Repr::F64 { "0u" } else { "0xffffffffu" };
    let word = src.param("least", high);
    match repr {
        Repr::F32 => format!("bitcast<f32>({word})"),
        Repr::I32 => format!("bitcast<i32>({word})"),
        Repr::U32 => word,
        _ if wide::emulated(src.target(), repr) => format!("{}({low}, {word})", wide::KIND),
        Repr::I64 | Repr::U64 | Repr::F64 => {
            let text = format!("((u64({word}) << 32u) | u64({low}))");
            if repr == Repr::U64 { text } else { format!("bitcast<{}>{text}", src.element(repr)) }
        }
    }
}

/// Writes the kernel.
pub(crate) fn build(spec: &ReduceSpec, target: &Target) -> Result<Written, Refusal> {
    let mut src = Source::new("reduce", target);
    let repr = src.repr(spec.dtype)?;
    if spec.dtype == DType::Bool {
        return Err(src.refuse("booleans"));
    }
    let kind = src.element(repr);
    let pairs = wide::emulated(target, repr);
    let rows = elements(&[spec.outer, spec.inner]);
    let count = elements(&[rows, spec.len]) * repr.words();
    let team = Team::of(target, spec.inner, repr.words());
    // Extrema and products keep to single elements: their functions are written for one width.
    let sums = matches!(spec.op, ReduceOp::Sum | ReduceOp::Mean);
    let walk = Walk {
        loops: 1,
        others: 0,
        wide: sums && repr.words() == 1,
        chain: Some(&spec.epilogue),
        each: false,
    };
    let walk =
        Walk { others: if pairs && spec.op == ReduceOp::Mean { loops::BIT_PASSES } else { 0 }, ..walk };
    let layout = Layout::new(&mut src, team, [spec.len, spec.inner], &walk)?;
    let wide = layout.per == 4;
    let x = src.bind(Slot::Operand(0), Access::Read, &layout.kind(kind), count)?;
    let op = operation(spec.op, repr, &mut src)?;
    let (outer, inner) = ([spec.outer], [spec.inner]);
    Epilogue {
        chain: &spec.epilogue,
        axes: vec![Axis { name: "o", dims: &outer }, Axis { name: "i", dims: &inner }],
        operands: 1,
        aligned: false,
        in_place: None,
    }
    .write(&mut src, kind, true, false)?;
    team.combine(&mut src, "team", kind, op.across, &op.combine.of("x", "y"));
    let mut body = team.begin(&mut src, rows)?;
    body.push_str(&layout.base);
    let start = if wide { format!("vec4<{kind}>()") } else { op.initial.clone() };
    let _ = writeln!(body, "var all = {start};");
    let inside = format!("let v = {x}.d[i];\nall = {};\n", op.combine.of("all", "v"));
    layout.each(&mut body, &inside);
    let _ = writeln!(body, "var r = team({}, member);", layout.sum("all"));
    keep_nan(spec, repr, team, &mut src, &mut body);
    mean(spec, repr, &mut src, &mut body)?;
    let place = if spec.inner == 1 { "row, 0u" } else { "row / p.inner, row % p.inner" };
    let _ = writeln!(body, "if (member == 0u) {{ put(r, {place}, row); }}");
    let apart = if spec.inner == 1 { "" } else { ".apart" };
    let named = if pairs { "pair" } else { kind };
    let op = format!("{:?}", spec.op).to_lowercase();
    let name = format!("reduce.{op}.{named}.{}.{}{apart}", team.name(), layout.name())
        + &chain::label(&spec.epilogue);
    let flops = elements(&[rows, spec.len + chain::flops(&spec.epilogue)]);
    src.finish(name, &body, team.workgroup(), team.groups(rows), flops)
}

/// Subgroup extrema may drop NaNs, so that these are counted apart.
fn keep_nan(spec: &ReduceSpec, repr: Repr, team: Team, src: &mut Source<'_>, body: &mut String) {
    let extremum = matches!(spec.op, ReduceOp::Max | ReduceOp::Min);
    if let (true, Repr::F32, Team::Subgroup(lanes)) = (extremum, repr, team) {
        let nan = src.param("nan", f32::NAN.to_bits());
        let nans = lanes.across(Across::Max, "select(0u, 1u, op_isnan(all))");
        let _ = writeln!(body, "let nans = {nans};\nr = select(r, bitcast<f32>({nan}), nans > 0u);");
    }
}

fn mean(spec: &ReduceSpec, repr: Repr, src: &mut Source<'_>, body: &mut String) -> Result<(), Refusal> {
    if spec.op != ReduceOp::Mean {
        return Ok(());
    }
    if repr == Repr::F32 {
        let n = src.param("count", spec.len.float_bits());
        let _ = writeln!(body, "r = r / bitcast<f32>({n});");
    } else if repr == Repr::F64 {
        let n = src.size("count", spec.len)?;
        let _ = writeln!(body, "r = r / f64({n});");
    } else if wide::emulated(src.target(), repr) {
        let n = src.size("count", spec.len)?;
        let name = wide::function(src, BinaryOp::Div, repr == Repr::I64)?;
        let _ = writeln!(body, "r = {name}(r, {}({n}, 0u));", wide::KIND);
    } else {
        let n = src.size("count", spec.len)?;
        let name = ops::integer(src, Width::One, BinaryOp::Div, repr);
        let _ = writeln!(body, "r = {name}(r, {}({n}));", src.element(repr));
    }
    Ok(())
}

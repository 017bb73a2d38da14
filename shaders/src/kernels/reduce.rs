//! Sums, means, extrema and products.

use core::fmt::Write as _;

use bayplan_graph::DType;
use bayplan_graph::op::{BinaryOp, ReduceOp};

use crate::chain::{self, Width, ops};
use crate::epilogue::{Axis, Epilogue};
use crate::kernels::rows::{Layout, Team, Walk};
use crate::source::{Source, element};
use crate::strides::elements;
use crate::{Access, Launch, ReduceSpec, Refusal, Repr, Slot, Target};

/// What a reduction is made of: the empty one's result, how two values become one, and the subgroup operation.
struct Operation {
    initial: String,
    /// Over `x` and `y`.
    combine: String,
    builtin: &'static str,
}

fn operation(op: ReduceOp, repr: Repr, src: &mut Source<'_>, width: Width) -> Result<Operation, Refusal> {
    let kind = element(repr);
    let least = match repr {
        Repr::F32 => "bitcast<f32>(p.least)".into(),
        Repr::I32 => "bitcast<i32>(p.least)".into(),
        Repr::U32 => "0u".to_owned(),
        Repr::I64 => "bitcast<i64>(u64(p.least) << 32u)".into(),
        Repr::U64 => "u64(0)".into(),
    };
    let float = repr == Repr::F32;
    Ok(match op {
        ReduceOp::Sum | ReduceOp::Mean => {
            Operation { initial: format!("{kind}()"), combine: "x + y".into(), builtin: "subgroupAdd" }
        }
        ReduceOp::Prod => {
            Operation { initial: format!("{kind}(1)"), combine: "x * y".into(), builtin: "subgroupMul" }
        }
        ReduceOp::Max | ReduceOp::Min => {
            let max = op == ReduceOp::Max;
            src.param("least", extreme(repr, max));
            let least = match (repr, max) {
                (Repr::U32, false) => "p.least".into(),
                (Repr::I64, false) => "bitcast<i64>((u64(p.least) << 32u) | 0xfffffffflu)".into(),
                (Repr::U64, false) => "~u64(0)".into(),
                _ => least,
            };
            let name = if max { "max" } else { "min" };
            if float {
                ops::require(src, width, "op_isnan");
                ops::require(src, width, &format!("op_{name}"));
            }
            let combine = if float { format!("op_{name}(x, y)") } else { format!("{name}(x, y)") };
            Operation { initial: least, combine, builtin: if max { "subgroupMax" } else { "subgroupMin" } }
        }
        _ => return Err(src.refuse(format!("{op:?} has no kernel"))),
    })
}

/// The word from which the extremum starts: the high word of 64-bit types.
fn extreme(repr: Repr, max: bool) -> u32 {
    match (repr, max) {
        (Repr::F32, true) => f32::NEG_INFINITY.to_bits(),
        (Repr::F32, false) => f32::INFINITY.to_bits(),
        (Repr::I32 | Repr::I64, true) => 0x8000_0000,
        (Repr::I32 | Repr::I64, false) => 0x7fff_ffff,
        (Repr::U32 | Repr::U64, true) => 0,
        (Repr::U32 | Repr::U64, false) => u32::MAX,
    }
}

/// Writes the kernel.
pub(crate) fn build(spec: &ReduceSpec, target: &Target) -> Result<Launch, Refusal> {
    let mut src = Source::new("reduce", target);
    let repr = src.arithmetic(spec.dtype)?;
    if spec.dtype == DType::Bool {
        return Err(src.refuse("booleans"));
    }
    let kind = element(repr);
    let rows = elements(&[spec.outer, spec.inner]);
    let count = elements(&[rows, spec.len, repr.words()]);
    let team = Team::of(target, spec.inner, repr.words());
    // Extrema and products keep to single elements: their functions are written for one width.
    let sums = matches!(spec.op, ReduceOp::Sum | ReduceOp::Mean);
    let walk = Walk { loops: 1, wide: sums && repr.words() == 1, chain: Some(&spec.epilogue), each: false };
    let layout = Layout::new(&mut src, team, [spec.len, spec.inner], &walk)?;
    let wide = layout.per == 4;
    let x = src.bind(Slot::Operand(0), Access::Read, &layout.kind(kind), count)?;
    let op = operation(spec.op, repr, &mut src, Width::One)?;
    let (outer, inner) = ([spec.outer], [spec.inner]);
    Epilogue {
        chain: &spec.epilogue,
        axes: vec![Axis { name: "o", dims: &outer }, Axis { name: "i", dims: &inner }],
        operands: 1,
        aligned: false,
        in_place: None,
    }
    .write(&mut src, kind, true, false)?;
    team.combine(&mut src, "team", kind, op.builtin, &op.combine);
    let mut body = team.begin(&mut src, rows)?;
    body.push_str(&layout.base);
    let start = if wide { format!("vec4<{kind}>()") } else { op.initial.clone() };
    let _ = writeln!(body, "var all = {start};");
    let inside =
        format!("let v = {x}.d[i];\nall = {};\n", if sums { "all + v".into() } else { named(&op.combine) });
    layout.each(&mut body, &inside);
    let across = if wide { "(all.x + all.y) + (all.z + all.w)" } else { "all" };
    let _ = writeln!(body, "var r = team({across}, member);");
    keep_nan(spec, repr, team, &mut src, &mut body);
    mean(spec, repr, &mut src, &mut body)?;
    let place = if spec.inner == 1 { "row, 0u" } else { "row / p.inner, row % p.inner" };
    let _ = writeln!(body, "if (member == 0u) {{ put(r, {place}, row); }}");
    let apart = if spec.inner == 1 { "" } else { ".apart" };
    let op = format!("{:?}", spec.op).to_lowercase();
    let name = format!("reduce.{op}.{kind}.{}.{}{apart}", team.name(), layout.name())
        + &chain::label(&spec.epilogue);
    let flops = elements(&[rows, spec.len + chain::flops(&spec.epilogue)]);
    src.finish(name, &body, team.workgroup(), team.groups(rows), flops)
}

/// A combination of `all` and `v`.
fn named(combine: &str) -> String {
    combine.replace("(x, y)", "(all, v)").replace("x * y", "all * v")
}

/// Subgroup extrema may drop NaNs, so that these are counted apart.
fn keep_nan(spec: &ReduceSpec, repr: Repr, team: Team, src: &mut Source<'_>, body: &mut String) {
    let extremum = matches!(spec.op, ReduceOp::Max | ReduceOp::Min);
    if extremum && repr == Repr::F32 && matches!(team, Team::Subgroup(_)) {
        src.param("nan", f32::NAN.to_bits());
        body.push_str(
            "let nans = subgroupMax(select(0u, 1u, op_isnan(all)));\nr = select(r, bitcast<f32>(p.nan), nans > 0u);\n",
        );
    }
}

fn mean(spec: &ReduceSpec, repr: Repr, src: &mut Source<'_>, body: &mut String) -> Result<(), Refusal> {
    if spec.op != ReduceOp::Mean {
        return Ok(());
    }
    if repr == Repr::F32 {
        let n = src.param("count", (spec.len as f32).to_bits());
        let _ = writeln!(body, "r = r / bitcast<f32>({n});");
    } else {
        let n = src.size("count", spec.len)?;
        let name = ops::integer(src, Width::One, BinaryOp::Div, repr);
        let _ = writeln!(body, "r = {name}(r, {}({n}));", element(repr));
    }
    Ok(())
}

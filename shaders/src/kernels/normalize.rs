//! Layer and RMS normalisation, in two passes over the row before it is written.

use core::fmt::Write as _;

use crate::epilogue::{Axis, Epilogue};
use crate::kernels::rows::{Layout, Team, Walk};
use crate::lanes::Across;
use crate::source::Source;
use crate::source::Written;
use crate::strides::elements;
use crate::tape::specs::NormalizeSpec;
use crate::{Access, Refusal, Repr, Slot, Target, chain};

/// Writes the kernel.
pub(crate) fn build(spec: &NormalizeSpec, target: &Target) -> Result<Written, Refusal> {
    let mut src = Source::new("normalize", target);
    if spec.in_place && src.repr(spec.epilogue.result)? != Repr::F32 {
        return Err(src.refuse(format!("in place with a result of {}", spec.epilogue.result)));
    }
    let count = elements(&[spec.rows, spec.len]);
    let team = Team::of(target, 1, 1);
    let loops = if spec.center { 3 } else { 2 };
    let wide = !chain::one_by_one(&spec.epilogue, target);
    let walk = Walk { loops, others: 0, wide, chain: Some(&spec.epilogue), each: true };
    let layout = Layout::new(&mut src, team, [spec.len, 1.into()], &walk)?;
    let kind = layout.kind("f32");
    let wide = layout.per == 4;
    let access =
        if spec.in_place { (Slot::Output, Access::ReadWrite) } else { (Slot::Operand(0), Access::Read) };
    let x = src.bind(access.0, access.1, &kind, count)?;
    let (rows, cols) = ([spec.rows], [spec.len]);
    Epilogue {
        chain: &spec.epilogue,
        axes: vec![Axis { name: "row", dims: &rows }, Axis { name: "col", dims: &cols }],
        operands: 1,
        aligned: wide,
        in_place: spec.in_place.then(|| x.clone()),
    }
    .write(&mut src, "f32", !wide, wide)?;
    team.combine(&mut src, "team_add", "f32", Across::Add, "x + y");
    src.param("epsilon", spec.epsilon.to_bits());
    src.param("count", spec.len.float_bits());
    let mut body = team.begin(&mut src, spec.rows)?;
    body.push_str(&layout.base);
    let total = |name: &str| format!("team_add({}, member) / bitcast<f32>(p.count)", layout.sum(name));
    if spec.center {
        let _ = writeln!(body, "var sums = {kind}();");
        layout.each(&mut body, &format!("sums += {x}.d[i];\n"));
        let _ = writeln!(body, "let mean = {};", total("sums"));
    } else {
        body.push_str("let mean = 0.0;\n");
    }
    let _ = writeln!(body, "var squares = {kind}();");
    layout.each(&mut body, &format!("let d = {x}.d[i] - mean;\nsquares += d * d;\n"));
    let _ = writeln!(body, "let scale = 1.0 / sqrt({} + bitcast<f32>(p.epsilon));", total("squares"));
    let put = if wide {
        "put4((X - mean) * scale, row, j * 4u, i * 4u, 4u);\n"
    } else {
        "put((X - mean) * scale, row, j, i);\n"
    };
    layout.each(&mut body, &put.replace('X', &format!("{x}.d[i]")));
    let what = if spec.center { "layer" } else { "rms" };
    let place = if spec.in_place { ".in_place" } else { "" };
    let name =
        format!("normalize.{what}.{}.{}{place}", team.name(), layout.name()) + &chain::label(&spec.epilogue);
    let flops = count.saturating_mul(6 + chain::flops(&spec.epilogue));
    src.finish(name, &body, team.workgroup(), team.groups(spec.rows), flops)
}

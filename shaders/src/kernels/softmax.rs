//! Softmax and its logarithm, with the maximum subtracted.

use core::fmt::Write as _;

use crate::chain::{Width, ops};
use crate::kernels::rows::{Layout, Team, Walk};
use crate::lanes::Across;
use crate::source::Source;
use crate::source::Written;
use crate::strides::elements;
use crate::tape::specs::SoftmaxSpec;
use crate::{Access, Refusal, Slot, Target};

/// Writes the kernel.
pub(crate) fn build(spec: &SoftmaxSpec, target: &Target) -> Result<Written, Refusal> {
    let mut src = Source::new("softmax", target);
    let rows = elements(&[spec.outer, spec.inner]);
    let count = elements(&[rows, spec.len]);
    let team = Team::of(target, spec.inner, 1);
    let walk = Walk { loops: 3, others: 0, wide: true, chain: None, each: true };
    let layout = Layout::new(&mut src, team, [spec.len, spec.inner], &walk)?;
    let kind = layout.kind("f32");
    let (x, out) = if spec.in_place {
        let both = src.bind(Slot::Output, Access::ReadWrite, &kind, count)?;
        (both.clone(), both)
    } else {
        let x = src.bind(Slot::Operand(0), Access::Read, &kind, count)?;
        (x, src.bind(Slot::Output, Access::Write, &kind, count)?)
    };
    team.combine(&mut src, "team_max", "f32", Across::Max, "max(x, y)");
    team.combine(&mut src, "team_add", "f32", Across::Add, "x + y");
    let mut body = team.begin(&mut src, rows)?;
    body.push_str(&layout.base);
    let wide = layout.per == 4;
    // A NaN in the sum makes the row one.
    let width = if wide { Width::Four } else { Width::One };
    ops::require(&mut src, width, "op_exp");
    let _ = writeln!(body, "var most = {kind}(bitcast<f32>(0xff7fffffu));");
    layout.each(&mut body, &format!("most = max(most, {x}.d[i]);\n"));
    let across = if wide { "max(max(most.x, most.y), max(most.z, most.w))" } else { "most" };
    let _ = writeln!(body, "let top = team_max({across}, member);\nvar parts = {kind}();");
    layout.each(&mut body, &format!("parts += op_exp({x}.d[i] - top);\n"));
    let _ = writeln!(body, "let sum = team_add({}, member);", layout.sum("parts"));
    let value = if spec.log {
        body.push_str("let shift = top + log(sum);\n");
        format!("{x}.d[i] - shift")
    } else {
        body.push_str("let scale = 1.0 / sum;\n");
        format!("exp({x}.d[i] - top) * scale")
    };
    // The maximum starts from the least finite number: a row of nothing but negative infinities then sums to 0, and its
    // quotient is told apart here, because shader compilers may assume that there are no NaNs.
    body.push_str("let empty = sum == 0.0;\n");
    let nan = format!("bitcast<{kind}>({})", if wide { "vec4<u32>(p.nan)" } else { "p.nan" });
    src.param("nan", 0x7fc0_0000);
    let value = ops::narrow(&mut src, width, spec.dtype, format!("select({value}, {nan}, empty)"));
    layout.each(&mut body, &format!("{out}.d[i] = {value};\n"));
    let what = if spec.log { "log_softmax" } else { "softmax" };
    let place = if spec.in_place { ".in_place" } else { "" };
    let apart = if spec.inner == 1 { "" } else { ".apart" };
    let name = format!("{what}.{}.{}{apart}{place}", team.name(), layout.name());
    src.finish(name, &body, team.workgroup(), team.groups(rows), count.saturating_mul(5))
}

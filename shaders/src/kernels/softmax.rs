//! Softmax and its logarithm, with the maximum subtracted.

use core::fmt::Write as _;

use crate::chain::{Width, double, ops};
use crate::kernels::rows::{Layout, Team, Walk};
use crate::lanes::Across;
use crate::source::Source;
use crate::source::Written;
use crate::strides::elements;
use crate::tape::specs::SoftmaxSpec;
use crate::{Access, Refusal, Repr, Slot, Target};

/// What the text says of numbers of a type.
struct Words {
    one: &'static str,
    zero: &'static str,
    /// The bits of the least finite number.
    least: &'static str,
    nan: &'static str,
    exp: &'static str,
    /// An exponential that keeps NaNs.
    exp_or_nan: &'static str,
    log: &'static str,
}

impl Words {
    fn of(repr: Repr) -> Self {
        match repr {
            Repr::F64 => Self {
                one: "1.0lf",
                zero: "0.0lf",
                least: "0xffeffffffffffffflu",
                nan: "u64(p.nan) << 32u",
                exp: "double_exp",
                exp_or_nan: "double_exp",
                log: "double_log",
            },
            _ => Self {
                one: "1.0",
                zero: "0.0",
                least: "0xff7fffffu",
                nan: "p.nan",
                exp: "exp",
                exp_or_nan: "op_exp",
                log: "log",
            },
        }
    }
}

/// Writes the kernel.
pub(crate) fn build(spec: &SoftmaxSpec, target: &Target) -> Result<Written, Refusal> {
    let mut src = Source::new("softmax", target);
    let repr = src.repr(spec.dtype)?;
    double::check(&src, repr)?;
    let rows = elements(&[spec.outer, spec.inner]);
    let count = elements(&[rows, spec.len]) * repr.words();
    let team = Team::of(target, spec.inner, repr.words());
    let walk = Walk { loops: 3, others: 0, wide: repr.words() == 1, chain: None, each: true };
    let layout = Layout::new(&mut src, team, [spec.len, spec.inner], &walk)?;
    let words = Words::of(repr);
    let scalar = src.element(repr);
    let kind = layout.kind(scalar);
    let (x, out) = if spec.in_place {
        let both = src.bind(Slot::Output, Access::ReadWrite, &kind, count)?;
        (both.clone(), both)
    } else {
        let x = src.bind(Slot::Operand(0), Access::Read, &kind, count)?;
        (x, src.bind(Slot::Output, Access::Write, &kind, count)?)
    };
    team.combine(&mut src, "team_max", scalar, Across::Max, "max(x, y)");
    team.combine(&mut src, "team_add", scalar, Across::Add, "x + y");
    let mut body = team.begin(&mut src, rows)?;
    body.push_str(&layout.base);
    let wide = layout.per == 4;
    // A NaN in the sum makes the row one.
    let width = if wide { Width::Four } else { Width::One };
    let Words { one, zero, least, nan, exp, exp_or_nan, log } = words;
    ops::require(&mut src, width, exp_or_nan);
    double::require(&mut src, exp_or_nan);
    let _ = writeln!(body, "var most = {kind}(bitcast<{scalar}>({least}));");
    layout.each(&mut body, &format!("most = max(most, {x}.d[i]);\n"));
    let across = if wide { "max(max(most.x, most.y), max(most.z, most.w))" } else { "most" };
    let _ = writeln!(body, "let top = team_max({across}, member);\nvar parts = {kind}();");
    layout.each(&mut body, &format!("parts += {exp_or_nan}({x}.d[i] - top);\n"));
    let _ = writeln!(body, "let sum = team_add({}, member);", layout.sum("parts"));
    let value = if spec.log {
        double::require(&mut src, log);
        let _ = writeln!(body, "let shift = top + {log}(sum);");
        format!("{x}.d[i] - shift")
    } else {
        let _ = writeln!(body, "let scale = {one} / sum;");
        format!("{exp}({x}.d[i] - top) * scale")
    };
    // The maximum starts from the least finite number: a row of nothing but negative infinities then sums to 0, and its
    // quotient is told apart here, because shader compilers may assume that there are no NaNs.
    let _ = writeln!(body, "let empty = sum == {zero};");
    let nan = format!("bitcast<{kind}>({})", if wide { "vec4<u32>(p.nan)" } else { nan });
    src.param("nan", 0x7fc0_0000);
    let value = ops::narrow(&mut src, width, spec.dtype, format!("select({value}, {nan}, empty)"));
    layout.each(&mut body, &format!("{out}.d[i] = {value};\n"));
    let what = if spec.log { "log_softmax" } else { "softmax" };
    let place = if spec.in_place { ".in_place" } else { "" };
    let apart = if spec.inner == 1 { "" } else { ".apart" };
    let double = if repr == Repr::F64 { ".f64" } else { "" };
    let name = format!("{what}{double}.{}.{}{apart}{place}", team.name(), layout.name());
    src.finish(name, &body, team.workgroup(), team.groups(rows), count.saturating_mul(5))
}

//! The text of each operation of a chain, with ONNX's semantics.
//!
//! Functions are written once with the placeholders `F`, `I`, `U`, `B` for the float, signed, unsigned and boolean
//! types of the chain's width (`@F` and so on in the text).

use bayplan_graph::DType;
use bayplan_graph::op::{BinaryOp, UnaryOp};

use super::{Value, Width, angle, arity, bits, double, round, wide};
use crate::source::Source;
use crate::{Refusal, Repr, StepOp};

/// The text of a step over its arguments.
pub(crate) fn step(
    src: &mut Source<'_>,
    width: Width,
    op: StepOp,
    args: &[Value],
    dtype: DType,
) -> Result<String, Refusal> {
    if args.len() != arity(op) {
        return Err(src.refuse(format!("{op:?} takes {} arguments, the step has {}", arity(op), args.len())));
    }
    let text = match (op, args) {
        (StepOp::Unary(op), [x]) => unary(src, width, op, x)?,
        (StepOp::Binary(op), [a, b]) => binary(src, width, op, a, b)?,
        (StepOp::Select, [c, a, b]) if c.dtype == DType::Bool && a.dtype == b.dtype => {
            format!("select({}, {}, {})", b.text, a.text, c.text)
        }
        (StepOp::Select, _) => return Err(src.refuse("a select wants a boolean and two values of one type")),
        (StepOp::Cast, [x]) => return cast(src, width, x, dtype),
        (StepOp::BitCast, [x]) => bits::cast(src, width, x, dtype)?,
        _ => return Err(src.refuse("a step has a wrong number of arguments")),
    };
    Ok(if keeps_type(op) && dtype.is_float() { text } else { narrow(src, width, dtype, text) })
}

/// Whether results are values of the type that the arguments have, so that there is nothing to round.
fn keeps_type(op: StepOp) -> bool {
    use UnaryOp::{Abs, Ceil, Floor, Neg, Relu, Round, Sign};
    match op {
        StepOp::Unary(op) => matches!(op, Neg | Abs | Relu | Floor | Ceil | Round | Sign),
        StepOp::Binary(op) => matches!(op, BinaryOp::Min | BinaryOp::Max),
        StepOp::Select => true,
        StepOp::Cast | StepOp::BitCast => false,
    }
}

/// Wraps a value to the bits of a narrow integer type kept in 32 bits, or rounds it to a narrow floating-point type.
pub(crate) fn narrow(src: &mut Source<'_>, width: Width, dtype: DType, text: String) -> String {
    if let Some(format) = dtype.narrow_float() {
        return round::call(src, width, dtype, format, &text);
    }
    let u = width.of("u32");
    match dtype {
        DType::I2 | DType::I4 | DType::I8 | DType::I16 => {
            let shift = 32 - dtype.bits();
            format!("((({text}) << {u}({shift}u)) >> {u}({shift}u))")
        }
        DType::U2 | DType::U4 | DType::U8 | DType::U16 => {
            let mask = (1_u32 << dtype.bits()) - 1;
            format!("(({text}) & {u}({mask:#x}u))")
        }
        _ => text,
    }
}

fn unary(src: &mut Source<'_>, width: Width, op: UnaryOp, x: &Value) -> Result<String, Refusal> {
    let repr = src.repr(x.dtype)?;
    let t = &x.text;
    double::check(src, repr)?;
    if repr == Repr::F64 {
        return double::unary(src, op, t).ok_or_else(|| unsupported(src, op, x.dtype));
    }
    if wide::emulated(src.target(), repr) {
        let signed = repr == Repr::I64;
        return wide::unary(src, op, signed, t).ok_or_else(|| unsupported(src, op, x.dtype));
    }
    let zero = zero(src, width, x.dtype, repr);
    let float = repr == Repr::F32;
    let unsigned = matches!(repr, Repr::U32 | Repr::U64);
    let call = |src: &mut Source<'_>, name: &str| -> String {
        require(src, width, name);
        format!("{name}({t})")
    };
    Ok(match op {
        UnaryOp::Not if x.dtype == DType::Bool => format!("!({t})"),
        UnaryOp::Not if !float => format!("(~{t})"),
        _ if x.dtype == DType::Bool => return Err(unsupported(src, op, x.dtype)),
        UnaryOp::Neg if unsigned => format!("({zero} - {t})"),
        UnaryOp::Neg => format!("(-{t})"),
        UnaryOp::Abs if unsigned => t.clone(),
        UnaryOp::Abs => format!("abs({t})"),
        UnaryOp::Sign if unsigned => {
            let one = width.of(src.register(x.dtype, repr));
            format!("min({t}, {one}(1u))")
        }
        UnaryOp::Sign if float => call(src, "op_sign"),
        UnaryOp::Sign => format!("sign({t})"),
        // Not `select(x, 0, x < 0)`: some drivers lose that comparison where x was widened to 64 bits just before.
        UnaryOp::Relu if !float => format!("max({t}, {zero})"),
        // `x < 0` is false for NaN, which therefore passes.
        UnaryOp::Relu => format!("select({t}, {zero}, {t} < {zero})"),
        _ if !float => return Err(unsupported(src, op, x.dtype)),
        UnaryOp::Exp => call(src, "op_exp"),
        UnaryOp::Log => call(src, "op_log"),
        UnaryOp::Sqrt => format!("sqrt({t})"),
        UnaryOp::Reciprocal => format!("(1.0 / {t})"),
        UnaryOp::Sigmoid => call(src, "op_sigmoid"),
        UnaryOp::Tanh => call(src, "op_tanh"),
        UnaryOp::Erf => call(src, "op_erf"),
        UnaryOp::Floor => format!("floor({t})"),
        UnaryOp::Ceil => format!("ceil({t})"),
        // WGSL's round is half to even, as ONNX's.
        UnaryOp::Round => format!("round({t})"),
        UnaryOp::Sin => angle::call(src, width, "op_sin", t),
        UnaryOp::Cos => angle::call(src, width, "op_cos", t),
        UnaryOp::Cosh => call(src, "op_cosh"),
        UnaryOp::Atan => call(src, "op_atan"),
        UnaryOp::Softplus => call(src, "op_softplus"),
        UnaryOp::IsNaN => call(src, "op_isnan"),
        UnaryOp::IsInf => call(src, "op_isinf"),
        _ => return Err(unsupported(src, op, x.dtype)),
    })
}

fn binary(src: &mut Source<'_>, width: Width, op: BinaryOp, a: &Value, b: &Value) -> Result<String, Refusal> {
    if a.dtype != b.dtype {
        return Err(src.refuse(format!("{op:?} of {} and {}: the types differ", a.dtype, b.dtype)));
    }
    let dtype = a.dtype;
    let repr = src.repr(dtype)?;
    let float = repr == Repr::F32;
    let (x, y) = (&a.text, &b.text);
    let bool_ok = matches!(op, BinaryOp::And | BinaryOp::Or | BinaryOp::Xor | BinaryOp::Equal);
    if dtype == DType::Bool && !bool_ok {
        return Err(unsupported(src, op, dtype));
    }
    double::check(src, repr)?;
    if repr == Repr::F64 {
        return double::binary(src, op, x, y).ok_or_else(|| unsupported(src, op, dtype));
    }
    if wide::emulated(src.target(), repr) {
        return wide::binary(src, op, repr == Repr::I64, x, y);
    }
    let infix = |sign: &str| format!("({x} {sign} {y})");
    Ok(match op {
        BinaryOp::Add => infix("+"),
        BinaryOp::Sub => infix("-"),
        BinaryOp::Mul => infix("*"),
        BinaryOp::Div if float => infix("/"),
        BinaryOp::Mod if float => by_elements(src, width, "op_mod", "f32", REMAINDER, [x, y]),
        BinaryOp::Pow if float => {
            require(src, width, "op_pow");
            format!("op_pow({x}, {y})")
        }
        BinaryOp::Min | BinaryOp::Max if float => {
            let name = if op == BinaryOp::Min { "min" } else { "max" };
            require(src, width, &format!("op_{name}"));
            format!("op_{name}({x}, {y})")
        }
        BinaryOp::Min => format!("min({x}, {y})"),
        BinaryOp::Max => format!("max({x}, {y})"),
        BinaryOp::Div | BinaryOp::Mod | BinaryOp::Pow => {
            let name = integer(src, width, op, repr);
            format!("{name}({x}, {y})")
        }
        BinaryOp::Equal => infix("=="),
        BinaryOp::Less => infix("<"),
        BinaryOp::LessOrEqual => infix("<="),
        BinaryOp::Greater => infix(">"),
        BinaryOp::GreaterOrEqual => infix(">="),
        BinaryOp::And if !float => infix("&"),
        BinaryOp::Or if !float => infix("|"),
        BinaryOp::Xor if dtype == DType::Bool => infix("!="),
        BinaryOp::Xor if !float => infix("^"),
        BinaryOp::Shl | BinaryOp::Shr if !float => bits::shift(src, width, op, dtype, [x, y])?,
        _ => return Err(unsupported(src, op, dtype)),
    })
}

fn cast(src: &mut Source<'_>, width: Width, x: &Value, to: DType) -> Result<String, Refusal> {
    if x.dtype == to {
        return Ok(x.text.clone());
    }
    let text = converted(src, width, x, to)?;
    Ok(narrow(src, width, to, text))
}

/// The text of a value in the representation of another type, not yet narrowed to it.
fn converted(src: &mut Source<'_>, width: Width, x: &Value, to: DType) -> Result<String, Refusal> {
    let from = src.repr(x.dtype)?;
    let repr = src.repr(to)?;
    let t = &x.text;
    let kind = width.of(src.register(to, repr));
    double::check(src, from)?;
    double::check(src, repr)?;
    let pairs = wide::emulated(src.target(), from);
    if to == DType::Bool && from == Repr::F64 {
        return Ok(double::is_true(t));
    }
    if to == DType::Bool && from == Repr::F32 {
        // By the bits, so that NaNs are true.
        let u = width.of("u32");
        return Ok(format!("((bitcast<{u}>({t}) & {u}(0x7fffffffu)) != {u}())"));
    }
    if to == DType::Bool {
        let text = format!("({t} != {})", zero(src, width, x.dtype, from));
        return Ok(if pairs { wide::is_true(t) } else { text });
    }
    if x.dtype == DType::Bool {
        let one = match repr {
            Repr::F32 => format!("{kind}(1.0)"),
            Repr::F64 => "1.0lf".into(),
            _ if wide::emulated(src.target(), repr) => wide::literal(1),
            _ => format!("{kind}(1)"),
        };
        return Ok(format!("select({}, {one}, {t})", zero(src, width, to, repr)));
    }
    if pairs {
        return Ok(wide::shorten(src, from, repr, t));
    }
    if wide::emulated(src.target(), repr) {
        return Ok(wide::widen(src, from, repr, t));
    }
    // Words are widened as what they are and change their sign afterwards: both in one step would extend them wrongly.
    let text = match (from, repr) {
        (Repr::U32, Repr::I64) => Some(format!("{kind}({}({t}))", width.of("u64"))),
        (Repr::I32, Repr::U64) => Some(format!("{kind}({}({t}))", width.of("i64"))),
        _ => None,
    };
    if let Some(text) = text {
        return Ok(text);
    }
    Ok(match (from, to) {
        // Floats go to narrow unsigned types by way of i32, so that negative ones wrap as they do in numpy.
        (Repr::F32 | Repr::F64, DType::U2 | DType::U4 | DType::U8 | DType::U16) => {
            format!("{kind}({})", truncated(src, width, [from, Repr::I32], t))
        }
        (Repr::F32 | Repr::F64, _) if !to.is_float() => truncated(src, width, [from, repr], t),
        (Repr::F64, _) if to.narrow_float().is_some() => double::to_odd(src, t),
        (Repr::U32, _) if repr == Repr::F32 && x.dtype == DType::U32 => {
            require(src, width, "op_of_u32");
            format!("op_of_u32({t})")
        }
        _ => format!("{kind}({t})"),
    })
}

/// The text of a float's whole part as an integer: the nearest end where it does not fit, 0 for NaN. WGSL has the greatest float
/// that fits in place of the end, and leaves NaN to the driver.
fn truncated(src: &mut Source<'_>, width: Width, [from, to]: [Repr; 2], x: &str) -> String {
    let scalar = src.element(to);
    let (greatest, beyond) = match to {
        Repr::I64 => ("9223372036854775807li", "9223372036854775808.0"),
        Repr::U64 => ("18446744073709551615lu", "18446744073709551616.0"),
        Repr::U32 => ("4294967295u", "4294967296.0"),
        _ => ("2147483647i", "2147483648.0"),
    };
    let (prefix, float, suffix, isnan) = match from {
        Repr::F64 => ("double", "f64", "lf", "double_isnan"),
        _ => ("op", "f32", "", "op_isnan"),
    };
    require(src, width, isnan);
    double::require(src, isnan);
    let (name, float, kind) = (format!("{prefix}_to_{scalar}"), width.of(float), width.of(scalar));
    let text = format!(
        "fn {name}(x: {float}) -> {kind} {{
    let r = select({kind}(x), {kind}({greatest}), x >= {float}({beyond}{suffix}));
    return select(r, {kind}(), {isnan}(x));
}}"
    );
    src.function(&name, text);
    format!("{name}({x})")
}

/// The zero of a type, as computed with.
pub(super) fn zero(src: &Source<'_>, width: Width, dtype: DType, repr: Repr) -> String {
    format!("{}()", width.of(src.register(dtype, repr)))
}

fn unsupported(src: &Source<'_>, op: impl core::fmt::Debug, dtype: DType) -> Refusal {
    src.refuse(format!("{op:?} is not defined for {dtype}"))
}

/// Adds a float function of the library, with those that it calls.
pub(crate) fn require(src: &mut Source<'_>, width: Width, name: &str) {
    if let Some((_, text)) = LIBRARY.iter().find(|(n, _)| *n == name) {
        for (needed, _) in LIBRARY.iter().filter(|(n, _)| *n != name && text.contains(n)) {
            require(src, width, needed);
        }
        let text = text
            .replace("@F", &width.of("f32"))
            .replace("@I", &width.of("i32"))
            .replace("@U", &width.of("u32"))
            .replace("@B", &width.of("bool"));
        src.function(name, text);
    }
}

/// NaN is told by its bits, because shader compilers may assume that floats are none.
const LIBRARY: &[(&str, &str)] = &[
    ("op_isnan", "fn op_isnan(x: @F) -> @B { return (bitcast<@U>(x) & @U(0x7fffffffu)) > @U(0x7f800000u); }"),
    (
        "op_isinf",
        "fn op_isinf(x: @F) -> @B { return (bitcast<@U>(x) & @U(0x7fffffffu)) == @U(0x7f800000u); }",
    ),
    (
        "op_min",
        "fn op_min(x: @F, y: @F) -> @F { return select(select(min(x, y), y, op_isnan(y)), x, op_isnan(x)); }",
    ),
    (
        "op_max",
        "fn op_max(x: @F, y: @F) -> @F { return select(select(max(x, y), y, op_isnan(y)), x, op_isnan(x)); }",
    ),
    (
        // exp of a negative number cannot overflow.
        "op_sigmoid",
        "fn op_sigmoid(x: @F) -> @F {
    let e = op_exp(-abs(x));
    return select(@F(1.0), e, x < @F()) / (1.0 + e);
}",
    ),
    (
        // Near 0 the difference cancels; there the Taylor series is exact to the last bit or two.
        "op_tanh",
        "fn op_tanh(x: @F) -> @F {
    let a = abs(x);
    let e = op_exp(-2.0 * a);
    let far = (1.0 - e) / (1.0 + e);
    let s = x * x;
    let near = a * (1.0 + s * (-0.33333334 + s * (0.13333334 + s * -0.053968254)));
    let y = select(far, near, a < @F(0.2));
    return select(y, -y, x < @F());
}",
    ),
    (
        // Abramowitz and Stegun 7.1.26, within 1.5e-7.
        "op_erf",
        "fn op_erf(x: @F) -> @F {
    let a = abs(x);
    let t = 1.0 / (1.0 + 0.3275911 * a);
    let q = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
    let y = 1.0 - q * op_exp(-a * a);
    return select(y, -y, x < @F());
}",
    ),
    (
        // From within π/8 of 0, π/4 or π/2, by the polynomial of Cephes' atanf (S. Moshier, 1992).
        "op_atan",
        "fn op_atan(x: @F) -> @F {
    let a = abs(x);
    let far = a > @F(2.4142135);
    let near = a < @F(0.41421357);
    let r = select(select((a - 1.0) / (a + 1.0), -1.0 / a, far), a, near);
    let s = r * r;
    let p = r + r * s * (-0.33332950 + s * (0.19977711 + s * (-0.13877685 + s * 0.080537450)));
    let y = select(select(@F(0.78539819), @F(1.5707964), far), @F(), near) + p;
    return select(y, -y, x < @F());
}",
    ),
    // By the root of the exponential, which overflows after the result does.
    (
        "op_cosh",
        "fn op_cosh(x: @F) -> @F { let h = op_exp(0.5 * abs(x)); return 0.5 * h * h + 0.5 / h / h; }",
    ),
    ("op_softplus", "fn op_softplus(x: @F) -> @F { return op_max(x, @F()) + log(1.0 + op_exp(-abs(x))); }"),
    (
        // Some drivers round what lies beyond the signed numbers twice. Half of it, with the lost bit kept in the last, rounds as
        // the whole.
        "op_of_u32",
        "fn op_of_u32(x: @U) -> @F {
    let half = @F(bitcast<@I>((x >> @U(1u)) | (x & @U(1u))));
    return select(@F(bitcast<@I>(x)), half + half, x >= @U(0x80000000u));
}",
    ),
    ("op_sign", "fn op_sign(x: @F) -> @F { return select(sign(x), x, op_isnan(x)); }"),
    // Some drivers clamp the arguments of these two, which makes numbers of NaNs and of 0.
    ("op_exp", "fn op_exp(x: @F) -> @F { return select(exp(x), x, op_isnan(x)); }"),
    (
        // What drivers read as 0, below 2^-126, is a whole number of 2^-149; ln(2^149) = 103.2789…
        "op_log",
        "fn op_log(x: @F) -> @F {
    let bits = bitcast<@U>(x);
    let small = log(@F(bits)) - @F(103.278929);
    var y = select(log(x), small, bits < @U(0x00800000u));
    y = select(y, bitcast<@F>(@U(0xff800000u)), (bits & @U(0x7fffffffu)) == @U());
    return select(y, bitcast<@F>(bits | @U(0x7fc00000u)), op_isnan(x) | (bits > @U(0x80000000u)));
}",
    ),
    (
        // The sign and the exact cases are ours: WGSL's pow is undefined for negative bases and inexact for squares.
        "op_pow",
        "fn op_pow(x: @F, y: @F) -> @F {
    let a = abs(x);
    let whole = floor(y) == y;
    let odd = whole & (floor(y * 0.5) * 2.0 != y);
    var r = exp2(y * log2(a));
    r = select(r, @F(), (a == @F()) & (y > @F()));
    r = select(r, 1.0 / a, (y == @F(-1.0)) | ((a == @F()) & (y < @F())));
    r = select(r, sqrt(a), y == @F(0.5));
    r = select(r, a, y == @F(1.0));
    r = select(r, a * a, y == @F(2.0));
    r = select(r, a * a * a, y == @F(3.0));
    r = select(r, @F(1.0), a == @F(1.0));
    r = select(r, -r, odd & (x < @F()));
    r = select(r, bitcast<@F>(bitcast<@U>(x) | @U(0x7fc00000u)), (x < @F()) & !whole & !op_isinf(x));
    r = select(r, bitcast<@F>(bitcast<@U>(x + y) | @U(0x7fc00000u)), op_isnan(x) | op_isnan(y));
    return select(r, @F(1.0), (y == @F()) | (x == @F(1.0)));
}",
    ),
];

/// Adds an integer function and answers its name. Division by zero gives 0.
pub(crate) fn integer(src: &mut Source<'_>, width: Width, op: BinaryOp, repr: Repr) -> String {
    let scalar = src.element(repr);
    let kind = width.of(scalar);
    let signed = matches!(repr, Repr::I32 | Repr::I64);
    let (name, text) = match op {
        BinaryOp::Div => ("div", divide(&kind, signed)),
        BinaryOp::Mod => ("mod", modulo(&kind, signed)),
        _ => ("pow", power(scalar)),
    };
    let name = format!("op_{name}_{scalar}");
    if op == BinaryOp::Pow {
        by_elements(src, width, &name, scalar, &text, ["x", "y"]);
    } else {
        src.function(&name, text.replace("NAME", &name));
    }
    name
}

/// Adds a function of two `scalar`s, `text` with NAME for its name, and one of the width that goes through the elements; answers
/// the text of a call.
fn by_elements(
    src: &mut Source<'_>,
    width: Width,
    name: &str,
    scalar: &str,
    text: &str,
    [x, y]: [&str; 2],
) -> String {
    let one = format!("{name}1");
    src.function(&one, text.replace("NAME", &one));
    let kind = width.of(scalar);
    let call = match width {
        Width::One => format!("{one}(x, y)"),
        Width::Four => {
            let parts = ["x", "y", "z", "w"].map(|c| format!("{one}(x.{c}, y.{c})"));
            format!("{kind}({})", parts.join(", "))
        }
    };
    src.function(name, format!("fn {name}(x: {kind}, y: {kind}) -> {kind} {{ return {call}; }}"));
    format!("{name}({x}, {y})")
}

/// The remainder of floats with the sign of the dividend, exact: long division of the mantissas, eight bits at a time. What
/// WGSL has computes a rounded quotient, which is off by any amount where that is large.
const REMAINDER: &str = "fn NAME(x: f32, y: f32) -> f32 {
    let a = bitcast<u32>(x) & 0x7fffffffu;
    let b = bitcast<u32>(y) & 0x7fffffffu;
    if (a >= 0x7f800000u || b > 0x7f800000u || b == 0u) { return bitcast<f32>(a | 0x7fc00000u); }
    if (a < b) { return x; }
    let ex = max(a >> 23u, 1u);
    let ey = max(b >> 23u, 1u);
    let my = (b & 0x7fffffu) | select(0u, 0x800000u, b >= 0x800000u);
    var r = ((a & 0x7fffffu) | select(0u, 0x800000u, a >= 0x800000u)) % my;
    for (var left = ex - ey; left > 0u;) {
        let s = min(left, 8u);
        r = (r << s) % my;
        left -= s;
    }
    // The remainder's unit is 2^(ey - 150), in two steps where that is no normal number.
    let unit = f32(r) * bitcast<f32>((max(ey, 24u) - 23u) << 23u);
    let size = unit * bitcast<f32>((103u + min(ey, 24u)) << 23u);
    return select(size, -size, x < 0.0);
}";

/// Truncating division. A divisor of -1 is a negation, so that the least number over -1 wraps instead of trapping.
fn divide(kind: &str, signed: bool) -> String {
    if signed {
        format!(
            "fn NAME(x: {kind}, y: {kind}) -> {kind} {{
    let zero = y == {kind}();
    let minus = y == {kind}(-1);
    let q = x / select(y, {kind}(1), zero | minus);
    return select(select(q, -x, minus), {kind}(), zero);
}}"
        )
    } else {
        format!(
            "fn NAME(x: {kind}, y: {kind}) -> {kind} {{
    let zero = y == {kind}();
    return select(x / select(y, {kind}(1), zero), {kind}(), zero);
}}"
        )
    }
}

/// The remainder with the sign of the divisor.
fn modulo(kind: &str, signed: bool) -> String {
    if signed {
        format!(
            "fn NAME(x: {kind}, y: {kind}) -> {kind} {{
    let unit = (y == {kind}()) | (y == {kind}(-1));
    let d = select(y, {kind}(1), unit);
    let r = x - (x / d) * d;
    let off = (r != {kind}()) & ((r < {kind}()) != (d < {kind}()));
    return select(r, r + d, off);
}}"
        )
    } else {
        format!(
            "fn NAME(x: {kind}, y: {kind}) -> {kind} {{
    let d = select(y, {kind}(1), y == {kind}());
    return x - (x / d) * d;
}}"
        )
    }
}

/// Power by squaring, wrapping; a negative exponent gives 0 but for the bases 1 and -1.
fn power(scalar: &str) -> String {
    let signed = scalar.starts_with('i');
    let negative = if signed {
        format!(
            "if (y < {scalar}(0)) {{
        let even = (y / {scalar}(2)) * {scalar}(2) == y;
        if (x == {scalar}(1)) {{ return x; }}
        if (x == {scalar}(-1)) {{ return select(x, {scalar}(1), even); }}
        return {scalar}(0);
    }}"
        )
    } else {
        String::new()
    };
    format!(
        "fn NAME(x: {scalar}, y: {scalar}) -> {scalar} {{
    {negative}
    var r = {scalar}(1);
    var b = x;
    var e = y;
    for (var i = 0u; i < 64u && e != {scalar}(0); i++) {{
        let half = e / {scalar}(2);
        if (half * {scalar}(2) != e) {{ r = r * b; }}
        b = b * b;
        e = half;
    }}
    return r;
}}"
    )
}

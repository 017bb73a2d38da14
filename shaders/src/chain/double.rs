//! 64-bit floats, on devices that have them.
//!
//! GLSL's instructions for exponentials, logarithms, powers and angles take no 64 bits: exponentials and logarithms are made
//! here of sums and products, and of them what follows from them. Values go one by one.

use bayplan_graph::op::{BinaryOp, UnaryOp};

use super::wide;
use crate::source::Source;
use crate::{Refusal, Repr, Target};

/// Whether values of this representation are 64-bit floats that the device has not: they can be moved, as pairs of words.
pub(crate) fn lacking(target: &Target, repr: Repr) -> bool {
    repr == Repr::F64 && wide::emulated(target, repr)
}

/// Refuses what the device has no numbers for.
pub(crate) fn check(src: &Source<'_>, repr: Repr) -> Result<(), Refusal> {
    if lacking(src.target(), repr) {
        return Err(src.refuse("the device has no 64-bit floats in shaders (shaderFloat64 and shaderInt64)"));
    }
    Ok(())
}

/// The text of an operation on one number, if it has one.
pub(super) fn unary(src: &mut Source<'_>, op: UnaryOp, x: &str) -> Option<String> {
    let name = match op {
        UnaryOp::Neg => return Some(format!("(-{x})")),
        UnaryOp::Abs => return Some(format!("abs({x})")),
        // `x < 0` is false for NaN, which therefore passes.
        UnaryOp::Relu => return Some(format!("select({x}, 0.0lf, {x} < 0.0lf)")),
        UnaryOp::Sqrt => return Some(format!("sqrt({x})")),
        UnaryOp::Reciprocal => return Some(format!("(1.0lf / {x})")),
        UnaryOp::Floor => return Some(format!("floor({x})")),
        UnaryOp::Ceil => return Some(format!("ceil({x})")),
        UnaryOp::Round => "double_round",
        UnaryOp::Sign => "double_sign",
        UnaryOp::Exp => "double_exp",
        UnaryOp::Log => "double_log",
        UnaryOp::Sigmoid => "double_sigmoid",
        UnaryOp::Tanh => "double_tanh",
        UnaryOp::Softplus => "double_softplus",
        UnaryOp::IsNaN => "double_isnan",
        UnaryOp::IsInf => "double_isinf",
        _ => return None,
    };
    require(src, name);
    Some(format!("{name}({x})"))
}

/// The text of an operation on two numbers, if it has one.
pub(super) fn binary(src: &mut Source<'_>, op: BinaryOp, x: &str, y: &str) -> Option<String> {
    let infix = |sign: &str| Some(format!("({x} {sign} {y})"));
    let name = match op {
        BinaryOp::Add => return infix("+"),
        BinaryOp::Sub => return infix("-"),
        BinaryOp::Mul => return infix("*"),
        BinaryOp::Div => return infix("/"),
        BinaryOp::Equal => return infix("=="),
        BinaryOp::Less => return infix("<"),
        BinaryOp::LessOrEqual => return infix("<="),
        BinaryOp::Greater => return infix(">"),
        BinaryOp::GreaterOrEqual => return infix(">="),
        BinaryOp::Min => "double_min",
        BinaryOp::Max => "double_max",
        BinaryOp::Mod => "double_mod",
        BinaryOp::Pow => "double_pow",
        _ => return None,
    };
    require(src, name);
    Some(format!("{name}({x}, {y})"))
}

/// The text of a number as an `f32` that rounds to any narrower float as the number itself does: cut off, its last bit set
/// where that lost something.
pub(super) fn to_odd(src: &mut Source<'_>, x: &str) -> String {
    require(src, "double_to_odd");
    format!("double_to_odd({x})")
}

/// The text that tells whether a number is not 0, by its bits, so that NaNs are true.
pub(super) fn is_true(x: &str) -> String {
    format!("((bitcast<u64>({x}) << 1u) != 0lu)")
}

/// Adds a function and those it calls.
pub(crate) fn require(src: &mut Source<'_>, name: &str) {
    if let Some((_, text)) = LIBRARY.iter().find(|(own, _)| *own == name) {
        let calls = |other: &str| other != name && text.contains(&format!("{other}("));
        for (needed, _) in LIBRARY.iter().filter(|(other, _)| calls(other)) {
            require(src, needed);
        }
        src.function(name, (*text).to_owned());
    }
}

/// NaN is told by its bits, because shader compilers may assume that floats are none.
const LIBRARY: &[(&str, &str)] = &[
    ("double_isnan", "fn double_isnan(x: f64) -> bool { return (bitcast<u64>(x) << 1u) > 0xffe0000000000000lu; }"),
    ("double_isinf", "fn double_isinf(x: f64) -> bool { return (bitcast<u64>(x) << 1u) == 0xffe0000000000000lu; }"),
    (
        "double_min",
        "fn double_min(x: f64, y: f64) -> f64 {
    return select(select(select(y, x, x < y), y, double_isnan(y)), x, double_isnan(x));
}",
    ),
    (
        "double_max",
        "fn double_max(x: f64, y: f64) -> f64 {
    return select(select(select(y, x, x > y), y, double_isnan(y)), x, double_isnan(x));
}",
    ),
    (
        "double_sign",
        "fn double_sign(x: f64) -> f64 { return select(select(x, -1.0lf, x < 0.0lf), 1.0lf, x > 0.0lf); }",
    ),
    (
        // Half to even: the fraction is exact, and so is the distance to the whole numbers beside it.
        "double_round",
        "fn double_round(x: f64) -> f64 {
    let low = floor(x);
    let rest = x - low;
    let odd = floor(low * 0.5lf) * 2.0lf != low;
    let up = select(rest > 0.5lf, odd, rest == 0.5lf);
    let y = select(low, low + 1.0lf, up);
    let sign = bitcast<u64>(x) & 0x8000000000000000lu;
    // What rounds to 0 keeps its sign; from 2^52 on, and for what is no number, there is nothing to round.
    let whole = !(abs(x) < 4503599627370496.0lf);
    return select(bitcast<f64>(bitcast<u64>(abs(y)) | sign), x, whole);
}",
    ),
    (
        // A power of two within the normal numbers.
        "double_power",
        "fn double_power(n: i32) -> f64 { return bitcast<f64>(u64(u32(n + 1023)) << 52u); }",
    ),
    (
        // x = n·ln 2 + r with |r| at most half of ln 2, in two parts so that n·ln 2 is exact in the first; the series of r is
        // then right to 2^-57. The power of two is taken in two steps, for results below the normal numbers.
        "double_exp",
        "fn double_exp(x: f64) -> f64 {
    let c = clamp(x, -800.0lf, 800.0lf);
    let turns = floor(c * 1.4426950408889634lf + 0.5lf);
    let r = (c - turns * 0.693147180369123816490lf) - turns * 1.90821492927058770002e-10lf;
    var y = 1.0lf + r / 14.0lf;
    y = 1.0lf + r / 13.0lf * y;
    y = 1.0lf + r / 12.0lf * y;
    y = 1.0lf + r / 11.0lf * y;
    y = 1.0lf + r / 10.0lf * y;
    y = 1.0lf + r / 9.0lf * y;
    y = 1.0lf + r / 8.0lf * y;
    y = 1.0lf + r / 7.0lf * y;
    y = 1.0lf + r / 6.0lf * y;
    y = 1.0lf + r / 5.0lf * y;
    y = 1.0lf + r / 4.0lf * y;
    y = 1.0lf + r / 3.0lf * y;
    y = 1.0lf + r / 2.0lf * y;
    y = 1.0lf + r * y;
    let n = i32(turns);
    let half = n / 2;
    y = select(y * double_power(half) * double_power(n - half), bitcast<f64>(0x7ff0000000000000lu), x > 709.79lf);
    y = select(y, 0.0lf, x < -745.14lf);
    return select(y, x, double_isnan(x));
}",
    ),
    (
        // (artanh s / s − 1) / z, with z = s², for s of at most 0.172.
        "double_artanh",
        "fn double_artanh(z: f64) -> f64 {
    var y = 1.0lf / 25.0lf;
    y = 1.0lf / 23.0lf + z * y;
    y = 1.0lf / 21.0lf + z * y;
    y = 1.0lf / 19.0lf + z * y;
    y = 1.0lf / 17.0lf + z * y;
    y = 1.0lf / 15.0lf + z * y;
    y = 1.0lf / 13.0lf + z * y;
    y = 1.0lf / 11.0lf + z * y;
    y = 1.0lf / 9.0lf + z * y;
    y = 1.0lf / 7.0lf + z * y;
    y = 1.0lf / 5.0lf + z * y;
    return 1.0lf / 3.0lf + z * y;
}",
    ),
    (
        // x = m·2^n with m within √½ to √2; ln m = 2·artanh((m − 1) / (m + 1)), by its series.
        "double_log",
        "fn double_log(x: f64) -> f64 {
    // Subnormal numbers are made normal ones.
    let small = x < 2.2250738585072014e-308lf;
    let v = select(x, x * 18014398509481984.0lf, small);
    let bits = bitcast<u64>(v);
    var n = i32(u32(bits >> 52u) & 0x7ffu) - 1023 - select(0, 54, small);
    var m = bitcast<f64>((bits & 0xffffffffffffflu) | 0x3ff0000000000000lu);
    let upper = m > 1.4142135623730951lf;
    m = select(m, m * 0.5lf, upper);
    n = select(n, n + 1, upper);
    let s = (m - 1.0lf) / (m + 1.0lf);
    let z = s * s;
    let series = double_artanh(z);
    let e = f64(n);
    var y = e * 0.693147180369123816490lf + (2.0lf * s + (2.0lf * s * z * series + e * 1.90821492927058770002e-10lf));
    let all = bitcast<u64>(x);
    y = select(y, x, all == 0x7ff0000000000000lu);
    y = select(y, bitcast<f64>(0xfff0000000000000lu), (all << 1u) == 0lu);
    return select(y, bitcast<f64>(all | 0x7ff8000000000000lu), double_isnan(x) || all > 0x8000000000000000lu);
}",
    ),
    (
        // exp of a negative number cannot overflow.
        "double_sigmoid",
        "fn double_sigmoid(x: f64) -> f64 {
    let e = double_exp(-abs(x));
    return select(1.0lf, e, x < 0.0lf) / (1.0lf + e);
}",
    ),
    (
        // Near 0 the difference cancels: there, by the series of e^t − 1 with t = 2·|x|, (e^t − 1) / (e^t + 1).
        "double_tanh",
        "fn double_tanh(x: f64) -> f64 {
    let a = abs(x);
    let e = double_exp(-2.0lf * a);
    let t = 2.0lf * min(a, 0.2lf);
    var m = 1.0lf + t / 15.0lf;
    m = 1.0lf + t / 14.0lf * m;
    m = 1.0lf + t / 13.0lf * m;
    m = 1.0lf + t / 12.0lf * m;
    m = 1.0lf + t / 11.0lf * m;
    m = 1.0lf + t / 10.0lf * m;
    m = 1.0lf + t / 9.0lf * m;
    m = 1.0lf + t / 8.0lf * m;
    m = 1.0lf + t / 7.0lf * m;
    m = 1.0lf + t / 6.0lf * m;
    m = 1.0lf + t / 5.0lf * m;
    m = 1.0lf + t / 4.0lf * m;
    m = 1.0lf + t / 3.0lf * m;
    m = t * (1.0lf + t / 2.0lf * m);
    let y = select((1.0lf - e) / (1.0lf + e), m / (m + 2.0lf), a < 0.2lf);
    return select(select(y, -y, x < 0.0lf), x, double_isnan(x) || a == 0.0lf);
}",
    ),
    (
        // The logarithm of a sum that is nearly 1 goes by what is added.
        "double_softplus",
        "fn double_softplus(x: f64) -> f64 {
    let e = double_exp(-abs(x));
    let s = min(e, 0.4lf) / (2.0lf + min(e, 0.4lf));
    let z = s * s;
    let near = 2.0lf * s + 2.0lf * s * z * double_artanh(z);
    return double_max(x, 0.0lf) + select(double_log(1.0lf + e), near, e < 0.4lf);
}",
    ),
    (
        // As the function of 32 bits: the sign and the exact cases are ours.
        "double_pow",
        "fn double_pow(x: f64, y: f64) -> f64 {
    let a = abs(x);
    let whole = floor(y) == y;
    let odd = whole && (floor(y * 0.5lf) * 2.0lf != y);
    var r = double_exp(y * double_log(a));
    r = select(r, 0.0lf, a == 0.0lf && y > 0.0lf);
    r = select(r, 1.0lf / a, y == -1.0lf || (a == 0.0lf && y < 0.0lf));
    r = select(r, sqrt(a), y == 0.5lf);
    r = select(r, a, y == 1.0lf);
    r = select(r, a * a, y == 2.0lf);
    r = select(r, a * a * a, y == 3.0lf);
    r = select(r, 1.0lf, a == 1.0lf);
    r = select(r, -r, odd && x < 0.0lf);
    r = select(r, bitcast<f64>(0x7ff8000000000000lu), x < 0.0lf && !whole && !double_isinf(x));
    r = select(r, bitcast<f64>(0x7ff8000000000000lu), double_isnan(x) || double_isnan(y));
    return select(r, 1.0lf, y == 0.0lf || x == 1.0lf);
}",
    ),
    (
        // Exact, by long division of the mantissas, as the function of 32 bits.
        "double_mod",
        "fn double_mod(x: f64, y: f64) -> f64 {
    let a = bitcast<u64>(x) & 0x7ffffffffffffffflu;
    let b = bitcast<u64>(y) & 0x7ffffffffffffffflu;
    let top = 0x10000000000000lu;
    if (a >= 0x7ff0000000000000lu || b > 0x7ff0000000000000lu || b == 0lu) {
        return bitcast<f64>(a | 0x7ff8000000000000lu);
    }
    if (a < b) { return x; }
    let ex = max(u32(a >> 52u), 1u);
    let ey = max(u32(b >> 52u), 1u);
    let my = (b & (top - 1lu)) | select(0lu, top, b >= top);
    var r = ((a & (top - 1lu)) | select(0lu, top, a >= top)) % my;
    for (var left = ex - ey; left > 0u;) {
        let s = min(left, 11u);
        r = (r << s) % my;
        left -= s;
    }
    // The remainder's unit is 2^(ey − 1075), in two steps where that is no normal number.
    let unit = f64(r) * bitcast<f64>(u64(max(ey, 53u) - 52u) << 52u);
    let size = unit * bitcast<f64>(u64(970u + min(ey, 53u)) << 52u);
    return select(size, -size, (bitcast<u64>(x) >> 63u) != 0lu);
}",
    ),
    (
        "double_to_odd",
        "fn double_to_odd(x: f64) -> f32 {
    let near = f32(x);
    let bits = bitcast<u32>(near);
    let back = f64(near);
    let cut = select(bits, bits - 1u, abs(back) > abs(x));
    return select(bitcast<f32>(cut | 1u), near, back == x || double_isnan(x));
}",
    ),
];

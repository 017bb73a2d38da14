//! 64-bit integers on devices that have none: two 32-bit words, `vec2<u32>`, low first, as they lie in memory.
//!
//! Everything is exact and wraps as 64-bit integers do. Negative numbers are two's complement, so that sums, differences,
//! products and equality are the same for both signs. Values of this kind go one by one: there is no vector of them.

use bayplan_graph::DType;
use bayplan_graph::op::{BinaryOp, UnaryOp};

use crate::source::Source;
use crate::{Refusal, Repr, Target};

/// The type of a value in the text.
pub(crate) const KIND: &str = "vec2<u32>";

/// Whether values of this representation are pairs of words on a device. 64-bit floats are told apart by their bits, which takes
/// 64-bit integers.
pub(crate) fn emulated(target: &Target, repr: Repr) -> bool {
    let float = repr != Repr::F64 || target.features.float64;
    repr.words() == 2 && !(target.features.int64 && float)
}

/// The type of a value in names of kernels.
pub(crate) fn named(src: &Source<'_>, repr: Repr) -> &'static str {
    if emulated(src.target(), repr) { "pair" } else { src.element(repr) }
}

/// The text of a value.
pub(crate) fn literal(value: u64) -> String {
    format!("{KIND}({}u, {}u)", value as u32, value >> 32)
}

/// The text of an operation on one number, if it has one.
pub(super) fn unary(src: &mut Source<'_>, op: UnaryOp, signed: bool, x: &str) -> Option<String> {
    let name = match (op, signed) {
        (UnaryOp::Not, _) => return Some(format!("(~{x})")),
        (UnaryOp::Neg, _) => "neg64",
        (UnaryOp::Abs, true) => "abs64",
        (UnaryOp::Sign, true) => "sign64",
        (UnaryOp::Sign, false) => "sign64u",
        (UnaryOp::Relu, true) => "relu64",
        (UnaryOp::Abs | UnaryOp::Relu, false) => return Some(x.to_owned()),
        _ => return None,
    };
    require(src, name);
    Some(format!("{name}({x})"))
}

/// The text of an operation on two numbers.
pub(super) fn binary(
    src: &mut Source<'_>,
    op: BinaryOp,
    signed: bool,
    x: &str,
    y: &str,
) -> Result<String, Refusal> {
    let (less, x, y, not) = match op {
        BinaryOp::Less => (BinaryOp::Less, x, y, ""),
        BinaryOp::Greater => (BinaryOp::Less, y, x, ""),
        BinaryOp::GreaterOrEqual => (BinaryOp::Less, x, y, "!"),
        BinaryOp::LessOrEqual => (BinaryOp::Less, y, x, "!"),
        BinaryOp::And => return Ok(format!("({x} & {y})")),
        BinaryOp::Or => return Ok(format!("({x} | {y})")),
        BinaryOp::Xor => return Ok(format!("({x} ^ {y})")),
        _ => (op, x, y, ""),
    };
    Ok(format!("{not}{}({x}, {y})", function(src, less, signed)?))
}

/// Adds the function of two numbers that computes an operation, and answers its name. All comparisons but for equality are
/// made of the one that tells less.
pub(crate) fn function(src: &mut Source<'_>, op: BinaryOp, signed: bool) -> Result<&'static str, Refusal> {
    let name = match (op, signed) {
        (BinaryOp::Add, _) => "add64",
        (BinaryOp::Sub, _) => "sub64",
        (BinaryOp::Mul, _) => "mul64",
        (BinaryOp::Div, true) => "div64",
        (BinaryOp::Div, false) => "div64u",
        (BinaryOp::Mod, true) => "mod64",
        (BinaryOp::Mod, false) => "mod64u",
        (BinaryOp::Pow, true) => "pow64",
        (BinaryOp::Pow, false) => "pow64u",
        (BinaryOp::Min, true) => "min64",
        (BinaryOp::Min, false) => "min64u",
        (BinaryOp::Max, true) => "max64",
        (BinaryOp::Max, false) => "max64u",
        (BinaryOp::Equal, _) => "equal64",
        (BinaryOp::Shl, _) => "shl64",
        (BinaryOp::Shr, true) => "shr64",
        (BinaryOp::Shr, false) => "shr64u",
        (BinaryOp::Less, true) => "less64",
        (BinaryOp::Less, false) => "less64u",
        _ => return Err(src.refuse(format!("{op:?} is not defined for 64-bit integers"))),
    };
    require(src, name);
    Ok(name)
}

/// The text that turns an integer or float of one word into a pair.
pub(super) fn widen(src: &mut Source<'_>, from: Repr, to: Repr, x: &str) -> String {
    match from {
        // Shifting a signed word keeps its sign.
        Repr::I32 => format!("bitcast<{KIND}>(vec2<i32>({x}, {x} >> 31u))"),
        Repr::F32 => {
            let name = if to == Repr::I64 { "float_to_64" } else { "float_to_64u" };
            require(src, name);
            format!("{name}({x})")
        }
        Repr::U32 => format!("{KIND}({x}, 0u)"),
        Repr::I64 | Repr::U64 | Repr::F64 => x.to_owned(),
    }
}

/// The text that turns a pair into a number of one word, which has the low word's bits unless it is a float.
pub(super) fn shorten(src: &mut Source<'_>, from: Repr, to: Repr, x: &str) -> String {
    match to {
        Repr::I32 => format!("bitcast<i32>({x}.x)"),
        Repr::U32 => format!("{x}.x"),
        Repr::F32 => {
            let name = if from == Repr::I64 { "float_of_64" } else { "float_of_64u" };
            require(src, name);
            format!("{name}({x})")
        }
        Repr::I64 | Repr::U64 | Repr::F64 => x.to_owned(),
    }
}

/// The text that tells whether a pair is not 0.
pub(super) fn is_true(x: &str) -> String {
    format!("any({x} != {KIND}())")
}

/// Whether an operation loops on a type where it is emulated, which CPU drivers allow only so often.
pub(crate) fn loops(op: BinaryOp, dtype: DType) -> bool {
    matches!(op, BinaryOp::Div | BinaryOp::Mod) && matches!(dtype, DType::I64 | DType::U64)
}

/// Adds a function and those it calls.
fn require(src: &mut Source<'_>, name: &str) {
    if let Some(f) = LIBRARY.iter().find(|f| f.name == name) {
        for needed in f.needs {
            require(src, needed);
        }
        src.function(f.name, f.text.replace("PAIR", KIND));
    }
}

struct Function {
    name: &'static str,
    needs: &'static [&'static str],
    /// With PAIR for the type.
    text: &'static str,
}

const LIBRARY: &[Function] = &[
    Function {
        name: "add64",
        needs: &[],
        text: "fn add64(x: PAIR, y: PAIR) -> PAIR {
    let low = x.x + y.x;
    return PAIR(low, x.y + y.y + select(0u, 1u, low < x.x));
}",
    },
    Function {
        name: "sub64",
        needs: &[],
        text: "fn sub64(x: PAIR, y: PAIR) -> PAIR {
    return PAIR(x.x - y.x, x.y - y.y - select(0u, 1u, x.x < y.x));
}",
    },
    Function {
        name: "neg64",
        needs: &["sub64"],
        text: "fn neg64(x: PAIR) -> PAIR { return sub64(PAIR(), x); }",
    },
    Function {
        name: "negative64",
        needs: &[],
        text: "fn negative64(x: PAIR) -> bool { return (x.y >> 31u) != 0u; }",
    },
    Function {
        name: "abs64",
        needs: &["neg64", "negative64"],
        text: "fn abs64(x: PAIR) -> PAIR { return select(x, neg64(x), negative64(x)); }",
    },
    Function {
        name: "relu64",
        needs: &["negative64"],
        text: "fn relu64(x: PAIR) -> PAIR { return select(x, PAIR(), negative64(x)); }",
    },
    Function {
        name: "sign64u",
        needs: &[],
        text: "fn sign64u(x: PAIR) -> PAIR { return PAIR(select(0u, 1u, (x.x | x.y) != 0u), 0u); }",
    },
    Function {
        name: "sign64",
        needs: &["sign64u", "negative64"],
        text: "fn sign64(x: PAIR) -> PAIR { return select(sign64u(x), PAIR(0xffffffffu), negative64(x)); }",
    },
    Function {
        name: "equal64",
        needs: &[],
        text: "fn equal64(x: PAIR, y: PAIR) -> bool { return x.x == y.x && x.y == y.y; }",
    },
    Function {
        name: "less64u",
        needs: &[],
        text: "fn less64u(x: PAIR, y: PAIR) -> bool { return x.y < y.y || (x.y == y.y && x.x < y.x); }",
    },
    Function {
        // With the signs turned over, signed numbers are in the order of unsigned ones.
        name: "less64",
        needs: &["less64u"],
        text: "fn less64(x: PAIR, y: PAIR) -> bool {
    let turn = PAIR(0u, 0x80000000u);
    return less64u(x ^ turn, y ^ turn);
}",
    },
    Function {
        name: "min64u",
        needs: &["less64u"],
        text: "fn min64u(x: PAIR, y: PAIR) -> PAIR { return select(y, x, less64u(x, y)); }",
    },
    Function {
        name: "max64u",
        needs: &["less64u"],
        text: "fn max64u(x: PAIR, y: PAIR) -> PAIR { return select(x, y, less64u(x, y)); }",
    },
    Function {
        name: "min64",
        needs: &["less64"],
        text: "fn min64(x: PAIR, y: PAIR) -> PAIR { return select(y, x, less64(x, y)); }",
    },
    Function {
        name: "max64",
        needs: &["less64"],
        text: "fn max64(x: PAIR, y: PAIR) -> PAIR { return select(x, y, less64(x, y)); }",
    },
    Function {
        name: "shl64",
        needs: &[],
        text: "fn shl64(x: PAIR, y: PAIR) -> PAIR {
    let s = y.x & 31u;
    let low = x.x << s;
    let near = PAIR(low, (x.y << s) | ((x.x >> 1u) >> (31u - s)));
    return select(select(near, PAIR(0u, low), y.x > 31u), PAIR(), y.y != 0u || y.x > 63u);
}",
    },
    Function {
        name: "shr64u",
        needs: &[],
        text: "fn shr64u(x: PAIR, y: PAIR) -> PAIR {
    let s = y.x & 31u;
    let high = x.y >> s;
    let near = PAIR((x.x >> s) | ((x.y << 1u) << (31u - s)), high);
    return select(select(near, PAIR(high, 0u), y.x > 31u), PAIR(), y.y != 0u || y.x > 63u);
}",
    },
    Function {
        // Copies of the sign move in: zeros, with all bits of a negative number turned over before and after.
        name: "shr64",
        needs: &["shr64u", "negative64"],
        text: "fn shr64(x: PAIR, y: PAIR) -> PAIR {
    let turn = PAIR(select(0u, 0xffffffffu, negative64(x)));
    return shr64u(x ^ turn, y) ^ turn;
}",
    },
    Function {
        // The low words' product by halves: none of the sums leaves 32 bits.
        name: "mul64",
        needs: &[],
        text: "fn mul64(x: PAIR, y: PAIR) -> PAIR {
    let a = PAIR(x.x & 0xffffu, x.x >> 16u);
    let b = PAIR(y.x & 0xffffu, y.x >> 16u);
    let middle = a.y * b.x + ((a.x * b.x) >> 16u);
    let other = a.x * b.y + (middle & 0xffffu);
    let high = a.y * b.y + (middle >> 16u) + (other >> 16u);
    return PAIR(x.x * y.x, high + x.x * y.y + x.y * y.x);
}",
    },
    Function {
        // Quotient and remainder, bit by bit unless both fit one word. The divisor is not 0.
        name: "divide64",
        needs: &["less64u", "sub64"],
        text: "fn divide64(x: PAIR, y: PAIR) -> vec4<u32> {
    if (x.y == 0u && y.y == 0u) {
        let short = x.x / y.x;
        return vec4<u32>(short, 0u, x.x - short * y.x, 0u);
    }
    var q = x;
    var r = PAIR();
    for (var i = 0u; i < 64u; i += 1u) {
        let over = (r.y >> 31u) != 0u;
        r = PAIR((r.x << 1u) | (q.y >> 31u), (r.y << 1u) | (r.x >> 31u));
        q = PAIR(q.x << 1u, (q.y << 1u) | (q.x >> 31u));
        if (over || !less64u(r, y)) {
            r = sub64(r, y);
            q.x |= 1u;
        }
    }
    return vec4<u32>(q, r);
}",
    },
    Function {
        name: "div64u",
        needs: &["divide64"],
        text: "fn div64u(x: PAIR, y: PAIR) -> PAIR {
    if ((y.x | y.y) == 0u) { return PAIR(); }
    return divide64(x, y).xy;
}",
    },
    Function {
        name: "mod64u",
        needs: &["divide64"],
        text: "fn mod64u(x: PAIR, y: PAIR) -> PAIR {
    if ((y.x | y.y) == 0u) { return PAIR(); }
    return divide64(x, y).zw;
}",
    },
    Function {
        // Toward 0. The least number's absolute value is right as an unsigned one.
        name: "div64",
        needs: &["divide64", "abs64", "neg64", "negative64"],
        text: "fn div64(x: PAIR, y: PAIR) -> PAIR {
    if ((y.x | y.y) == 0u) { return PAIR(); }
    let q = divide64(abs64(x), abs64(y)).xy;
    return select(q, neg64(q), negative64(x) != negative64(y));
}",
    },
    Function {
        // With the sign of the divisor.
        name: "mod64",
        needs: &["divide64", "abs64", "neg64", "negative64", "add64"],
        text: "fn mod64(x: PAIR, y: PAIR) -> PAIR {
    if ((y.x | y.y) == 0u) { return PAIR(); }
    let size = divide64(abs64(x), abs64(y)).zw;
    let r = select(size, neg64(size), negative64(x));
    let off = (r.x | r.y) != 0u && negative64(r) != negative64(y);
    return select(r, add64(r, y), off);
}",
    },
    Function {
        // By squaring.
        name: "pow64u",
        needs: &["mul64"],
        text: "fn pow64u(x: PAIR, y: PAIR) -> PAIR {
    var r = PAIR(1u, 0u);
    var b = x;
    var e = y;
    for (var i = 0u; i < 64u && (e.x | e.y) != 0u; i += 1u) {
        if ((e.x & 1u) != 0u) { r = mul64(r, b); }
        b = mul64(b, b);
        e = PAIR((e.x >> 1u) | (e.y << 31u), e.y >> 1u);
    }
    return r;
}",
    },
    Function {
        // A negative exponent gives 0 but for the bases 1 and -1.
        name: "pow64",
        needs: &["pow64u", "negative64", "equal64"],
        text: "fn pow64(x: PAIR, y: PAIR) -> PAIR {
    if (!negative64(y)) { return pow64u(x, y); }
    let one = PAIR(1u, 0u);
    let even = (y.x & 1u) == 0u;
    if (equal64(x, PAIR(0xffffffffu))) { return select(x, one, even); }
    return select(PAIR(), one, equal64(x, one));
}",
    },
    Function {
        // To the nearest, ties to even, by its own means: drivers round large words twice. The number is shifted until its
        // highest bit is the word's, of which 24 bits stay; what the rest comes to decides the last.
        name: "float_of_64u",
        needs: &[],
        text: "fn float_of_64u(x: PAIR) -> f32 {
    if ((x.x | x.y) == 0u) { return 0.0; }
    let short = x.y == 0u;
    let top = select(x.y, x.x, short);
    let next = select(x.x, 0u, short);
    let s = countLeadingZeros(top);
    let word = (top << s) | ((next >> 1u) >> (31u - s));
    let sticky = select(0u, 1u, (next << s) != 0u);
    let rest = ((word & 0xffu) << 1u) | sticky;
    var m = word >> 8u;
    m += select(0u, 1u, rest > 0x100u || (rest == 0x100u && (m & 1u) != 0u));
    // m is 2^23 to 2^24, exact as a float; the scale is 2^(40 - s), or 2^(8 - s) for one word.
    let exponent = select(167u, 135u, short) - s;
    return f32(m) * bitcast<f32>(exponent << 23u);
}",
    },
    Function {
        name: "float_of_64",
        needs: &["float_of_64u", "abs64", "negative64"],
        text: "fn float_of_64(x: PAIR) -> f32 {
    let size = float_of_64u(abs64(x));
    return select(size, -size, negative64(x));
}",
    },
    Function {
        // The whole part of a float's size, from its bits; the greatest number where that is too large, 0 for NaN.
        name: "float_size64",
        needs: &[],
        text: "fn float_size64(f: f32) -> PAIR {
    let bits = bitcast<u32>(f) & 0x7fffffffu;
    let exponent = bits >> 23u;
    let m = (bits & 0x7fffffu) | 0x800000u;
    if (bits > 0x7f800000u || exponent < 127u) { return PAIR(); }
    if (exponent >= 191u) { return PAIR(0xffffffffu); }
    if (exponent <= 150u) { return PAIR(m >> (150u - exponent), 0u); }
    let s = exponent - 150u;
    if (s >= 32u) { return PAIR(0u, m << (s - 32u)); }
    return PAIR(m << s, (m >> 1u) >> (31u - s));
}",
    },
    Function {
        // Toward 0; beyond the range its nearest end, as narrower conversions have it.
        name: "float_to_64",
        needs: &["float_size64", "neg64", "negative64"],
        text: "fn float_to_64(f: f32) -> PAIR {
    let size = float_size64(f);
    let below = (bitcast<u32>(f) >> 31u) != 0u;
    if (negative64(size)) { return select(PAIR(0xffffffffu, 0x7fffffffu), PAIR(0u, 0x80000000u), below); }
    return select(size, neg64(size), below);
}",
    },
    Function {
        name: "float_to_64u",
        needs: &["float_size64"],
        text: "fn float_to_64u(f: f32) -> PAIR {
    return select(float_size64(f), PAIR(), (bitcast<u32>(f) >> 31u) != 0u);
}",
    },
];

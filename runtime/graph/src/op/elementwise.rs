//! The elementwise operators: one row each, with everything about them that needs no device.
//!
//! A row says the types of the operands (and `-> Bool` where the result is a truth value), the function on floats and the one
//! on integers. What is derived from it: the enum, the shape rule, the reference evaluation, the host's evaluation and what
//! tests draw. A device's text is in `shaders/src/chain/ops.rs`, how far a float's may be off in `shaders/src/bounds/step.rs`.

use crate::DType;
use crate::rule::{Kind, Output, Set, Signature};

/// Of floats, in 64 bits: whoever stores the result rounds it.
pub type FloatUnary = fn(f64) -> f64;
/// Of an integer, or of a boolean as 0 or 1, and its type: of the result, the low bits count.
pub type IntUnary = fn(i128, DType) -> i128;
/// Of two floats, in 64 bits.
pub type FloatBinary = fn(f64, f64) -> f64;
/// Of two integers of that type; `None` where there is no result, which devices give as 0.
pub type IntBinary = fn(i128, i128, DType) -> Option<i128>;

/// What an operator says about itself.
pub(super) struct Row<F, I> {
    pub(super) name: &'static str,
    pub(super) set: Set,
    pub(super) signature: Signature,
    float: Option<F>,
    int: Option<I>,
}

macro_rules! optional {
    ($type:ty) => {
        None
    };
    ($type:ty, $function:expr) => {
        Some::<$type>($function)
    };
}

macro_rules! result {
    () => {
        Output::Same
    };
    (Bool) => {
        Output::Only(DType::Bool)
    };
}

macro_rules! operators {
    (
        $(#[$about:meta])*
        $name:ident, $rows:ident, $count:literal, $float_type:ty, $int_type:ty;
        $($op:ident($set:ident $(-> $result:ident)?) {
            $(float: $float:expr,)?
            $(int: $int:expr,)?
        })*
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[allow(missing_docs, reason = "ONNX's names")]
        pub enum $name {
            $($op),*
        }

        const $rows: &[Row<$float_type, $int_type>] = &[$(Row {
            name: stringify!($op),
            set: Set::$set,
            signature: Signature::new(&[Kind::Same(Set::$set); $count], result!($($result)?)),
            float: optional!($float_type $(, $float)?),
            int: optional!($int_type $(, $int)?),
        }),*];

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$op),*];

            pub(super) const fn row(self) -> &'static Row<$float_type, $int_type> {
                &$rows[self as usize]
            }

            /// Whether its operands may be of that type.
            pub const fn takes(self, dtype: DType) -> bool {
                self.row().set.contains(dtype)
            }

            /// Whether its results are truth values, whatever its operands are.
            pub const fn tests(self) -> bool {
                matches!(self.row().signature.result, Output::Only(_))
            }

            /// What it makes of floats, if it takes them.
            pub const fn float(self) -> Option<$float_type> {
                self.row().float
            }

            /// What it makes of integers or booleans, if it takes them.
            pub const fn int(self) -> Option<$int_type> {
                self.row().int
            }
        }
    };
}

operators! {
    /// Elementwise operators of one operand.
    UnaryOp, UNARY, 1, FloatUnary, IntUnary;

    Neg(Number) {
        float: |v| -v,
        int: |v, _| -v,
    }
    Abs(Number) {
        float: f64::abs,
        int: |v, _| v.abs(),
    }
    Exp(Float) {
        float: f64::exp,
    }
    Log(Float) {
        float: f64::ln,
    }
    Sqrt(Float) {
        float: f64::sqrt,
    }
    Reciprocal(Float) {
        float: f64::recip,
    }
    Relu(Number) {
        // `max` would turn NaN into 0; ONNX runtimes keep it.
        float: |v| if v < 0.0 { 0.0 } else { v },
        int: |v, _| v.max(0),
    }
    Sigmoid(Float) {
        float: |v| 1.0 / (1.0 + (-v).exp()),
    }
    Tanh(Float) {
        float: f64::tanh,
    }
    Erf(Float) {
        float: erf,
    }
    Floor(Float) {
        float: f64::floor,
    }
    Ceil(Float) {
        float: f64::ceil,
    }
    Round(Float) {
        float: f64::round_ties_even,
    }
    Sign(Number) {
        // NaN and zeros stay as they are.
        float: |v| if v == 0.0 || v.is_nan() { v } else { v.signum() },
        int: |v, _| v.signum(),
    }
    Sin(Float) {
        float: f64::sin,
    }
    Cos(Float) {
        float: f64::cos,
    }
    Cosh(Float) {
        float: f64::cosh,
    }
    Atan(Float) {
        float: f64::atan,
    }
    Not(Bits) {
        int: |v, dtype| if dtype == DType::Bool { i128::from(v == 0) } else { !v },
    }
    IsNaN(Float -> Bool) {
        float: |v| truth(v.is_nan()),
    }
    IsInf(Float -> Bool) {
        float: |v| truth(v.is_infinite()),
    }
    Softplus(Float) {
        // Without overflow; NaN passes through the exponential.
        float: |v| v.max(0.0) + (-v.abs()).exp().ln_1p(),
    }
}

operators! {
    /// Elementwise operators of two operands.
    BinaryOp, BINARY, 2, FloatBinary, IntBinary;

    Add(Number) {
        float: |a, b| a + b,
        int: |a, b, _| Some(a.wrapping_add(b)),
    }
    Sub(Number) {
        float: |a, b| a - b,
        int: |a, b, _| Some(a.wrapping_sub(b)),
    }
    Mul(Number) {
        float: |a, b| a * b,
        int: |a, b, _| Some(a.wrapping_mul(b)),
    }
    Div(Number) {
        float: |a, b| a / b,
        // Toward zero, as C and ONNX runtimes do.
        int: |a, b, _| a.checked_div(b),
    }
    Pow(Number) {
        float: f64::powf,
        int: |a, b, _| Some(power(a, b)),
    }
    Min(Number) {
        // A NaN on either side wins, as in ONNX runtimes.
        float: |a, b| if a.is_nan() || a < b { a } else { b },
        int: |a, b, _| Some(a.min(b)),
    }
    Max(Number) {
        float: |a, b| if a.is_nan() || a > b { a } else { b },
        int: |a, b, _| Some(a.max(b)),
    }
    Mod(Number) {
        // The sign of the dividend (ONNX Mod with fmod=1).
        float: |a, b| a % b,
        // The sign of the divisor (ONNX Mod with fmod=0, numpy's `mod`).
        int: |a, b, _| a.checked_rem(b).map(|rest| (rest + b) % b),
    }
    Equal(Any -> Bool) {
        float: |a, b| truth(a == b),
        int: |a, b, _| Some(i128::from(a == b)),
    }
    Less(Number -> Bool) {
        float: |a, b| truth(a < b),
        int: |a, b, _| Some(i128::from(a < b)),
    }
    LessOrEqual(Number -> Bool) {
        float: |a, b| truth(a <= b),
        int: |a, b, _| Some(i128::from(a <= b)),
    }
    Greater(Number -> Bool) {
        float: |a, b| truth(a > b),
        int: |a, b, _| Some(i128::from(a > b)),
    }
    GreaterOrEqual(Number -> Bool) {
        float: |a, b| truth(a >= b),
        int: |a, b, _| Some(i128::from(a >= b)),
    }
    And(Bits) {
        int: |a, b, _| Some(a & b),
    }
    Or(Bits) {
        int: |a, b, _| Some(a | b),
    }
    Xor(Bits) {
        int: |a, b, _| Some(a ^ b),
    }
    // By a negative number of bits, or by all there are, only copies of the bit that moves in are left.
    Shl(Int) {
        int: |a, b, dtype| Some(if within(b, dtype) { a << b } else { 0 }),
    }
    Shr(Int) {
        int: |a, b, dtype| Some(if within(b, dtype) { a >> b } else { -i128::from(a < 0) }),
    }
}

fn truth(v: bool) -> f64 {
    f64::from(u8::from(v))
}

/// Whether a number of bits is less than the type has.
fn within(bits: i128, dtype: DType) -> bool {
    usize::try_from(bits).is_ok_and(|bits| bits < dtype.bits())
}

/// `base` to the `exponent` by squaring, wrapping; a negative exponent gives what truncation of the real power gives.
fn power(base: i128, exponent: i128) -> i128 {
    let odd = exponent % 2 != 0;
    match (base, exponent < 0) {
        (1, true) => return 1,
        (-1, true) => return if odd { -1 } else { 1 },
        (_, true) => return 0,
        _ => {}
    }
    let (mut base, mut rest, mut result) = (base, exponent, 1_i128);
    while rest > 0 {
        if rest % 2 == 1 {
            result = result.wrapping_mul(base);
        }
        base = base.wrapping_mul(base);
        rest /= 2;
    }
    result
}

/// The error function: Maclaurin series near 0, continued fraction of `erfc` beyond (Abramowitz & Stegun 7.1.6 and
/// 7.1.14), accurate to about 1e-15.
fn erf(x: f64) -> f64 {
    let a = x.abs();
    if a.is_nan() {
        return x;
    }
    let value = if a < 3.0 {
        // 2/√π · e^(−a²) · Σ 2ⁿ a^(2n+1) / (1·3·…·(2n+1)): all terms positive, so nothing cancels.
        let (mut term, mut sum, mut n) = (a, a, 0.0);
        while term > sum * 1e-17 {
            n += 1.0;
            term *= 2.0 * a * a / (2.0 * n + 1.0);
            sum += term;
        }
        core::f64::consts::FRAC_2_SQRT_PI * (-a * a).exp() * sum
    } else if a < 6.0 {
        // √π e^(a²) erfc(a) = 1/(a + (1/2)/(a + 1/(a + (3/2)/(a + …)))), from the inside out.
        let tail = (1..=60).rev().fold(a, |inner, k| a + f64::from(k) * 0.5 / inner);
        1.0 - (-a * a).exp() / (tail * core::f64::consts::PI.sqrt())
    } else {
        1.0
    };
    value.copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_fit_the_types() {
        let kinds =
            |set: Set| (set.contains(DType::F32), set.contains(DType::I32) || set.contains(DType::Bool));
        for &op in UnaryOp::ALL {
            assert_eq!(kinds(op.row().set), (op.float().is_some(), op.int().is_some()), "{op:?}");
        }
        for &op in BinaryOp::ALL {
            assert_eq!(kinds(op.row().set), (op.float().is_some(), op.int().is_some()), "{op:?}");
        }
    }
}

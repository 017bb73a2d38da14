//! Rounding to floating-point types narrower than `f32`.
//!
//! By the bits, in integers: drivers may flush subnormal numbers, choose how a conversion rounds, and take floating-point terms
//! together that only make sense one after the other.

use bayplan_graph::{DType, NarrowFloat};

use super::Width;
use crate::source::Source;

/// Bits of the fraction of an `f32`.
const FRACTION: u32 = 23;
/// What is added to the exponent of an `f32` in its bits.
const BIAS: i32 = 127;

/// The text of the nearest value of a type, ties to even; NaN stays.
pub(super) fn call(src: &mut Source<'_>, width: Width, dtype: DType, format: NarrowFloat, x: &str) -> String {
    let name = format!("op_{dtype}");
    let text = function(&name, format).replace("@F", &width.of("f32")).replace("@U", &width.of("u32"));
    src.function(&name, text);
    format!("{name}({x})")
}

fn function(name: &str, format: NarrowFloat) -> String {
    let drop = FRACTION - format.fraction;
    let (half, keep) = ((1_u32 << (drop - 1)) - 1, !((1_u32 << drop) - 1));
    let (greatest, beyond) = (format.greatest.to_bits(), format.beyond.to_bits());
    // A carry out of the fraction runs into the exponent, which is right.
    let normal = format!(
        "let n = (a + @U({half:#x}u) + ((a >> @U({drop}u)) & @U(1u))) & @U({keep:#x}u);
    var r = select(n, @U({beyond:#x}u), n > @U({greatest:#x}u));"
    );
    let small = if format.least > 1 - BIAS { subnormal(format) } else { String::new() };
    format!(
        "fn {name}(x: @F) -> @F {{
    let b = bitcast<@U>(x);
    let a = b & @U(0x7fffffffu);
    {normal}
{small}    r = select(r, a, a > @U(0x7f800000u));
    return bitcast<@F>(r | (b & @U(0x80000000u)));
}}"
    )
}

/// Below the least normal number, the nearest multiple of the least number: the fraction with its leading 1, shifted so
/// that its unit is that number, which is a power of two and a normal `f32`.
fn subnormal(format: NarrowFloat) -> String {
    let unit = format.least - format.fraction as i32;
    let (exponent, scale) = (BIAS + FRACTION as i32 + unit, ((BIAS + unit) as u32) << FRACTION);
    let least = ((BIAS + format.least) as u32) << FRACTION;
    format!(
        "    let m = (a & @U(0x7fffffu)) | @U(0x800000u);
    let s = clamp(@U({exponent}u) - (a >> @U(23u)), @U(1u), @U(25u));
    let k = (m + (@U(1u) << (s - @U(1u))) - @U(1u) + ((m >> s) & @U(1u))) >> s;
    let small = bitcast<@U>(@F(k) * bitcast<@F>(@U({scale:#x}u)));
    r = select(r, small, a < @U({least:#x}u));
"
    )
}

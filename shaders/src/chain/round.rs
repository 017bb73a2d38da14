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
    add(src, width, &name, &function(&name, format));
    format!("{name}({x})")
}

/// The text of the bits of a value of a type of 16 bits, as a `u32`.
pub(super) fn to_bits(
    src: &mut Source<'_>,
    width: Width,
    dtype: DType,
    format: NarrowFloat,
    x: &str,
) -> String {
    let Layout { drop, mask, ones, rebias } = Layout::of(format);
    let small = if rebias == 0 {
        String::new()
    } else {
        let (least, scale) = (power(format.least), power(format.fraction as i32 - format.least));
        format!("    r = select(r, @U(abs(x) * bitcast<f32>({scale:#x}u)), a < @U({least:#x}u));\n")
    };
    let quiet = 1_u32 << (format.fraction - 1);
    let name = format!("bits_{dtype}");
    let text = format!(
        "fn {name}(x: @F) -> @U {{
    let b = bitcast<@U>(x);
    let a = b & @U(0x7fffffffu);
    let top = (a >> @U({drop}u)) & @U({mask:#x}u);
    var r = (a >> @U({drop}u)) - @U({rebias:#x}u);
{small}    r = select(r, @U({ones:#x}u) | top | select(@U(), @U({quiet:#x}u), a > @U(0x7f800000u)), a >= @U(0x7f800000u));
    return r | ((b >> @U(16u)) & @U(0x8000u));
}}"
    );
    add(src, width, &name, &text);
    format!("{name}({x})")
}

/// The text of the value of a type of 16 bits that has the bits of a `u32`.
pub(crate) fn of_bits(
    src: &mut Source<'_>,
    width: Width,
    dtype: DType,
    format: NarrowFloat,
    x: &str,
) -> String {
    let Layout { drop, mask, ones, rebias } = Layout::of(format);
    let small = if rebias == 0 {
        String::new()
    } else {
        let unit = power(format.least - format.fraction as i32);
        format!("    r = select(r, bitcast<@U>(@F(s) * bitcast<f32>({unit:#x}u)), s <= @U({mask:#x}u));\n")
    };
    let name = format!("of_bits_{dtype}");
    let text = format!(
        "fn {name}(h: @U) -> @F {{
    let s = h & @U(0x7fffu);
    var r = (s + @U({rebias:#x}u)) << @U({drop}u);
{small}    r = select(r, @U(0x7f800000u) | ((s & @U({mask:#x}u)) << @U({drop}u)), s >= @U({ones:#x}u));
    return bitcast<@F>(r | ((h & @U(0x8000u)) << @U(16u)));
}}"
    );
    add(src, width, &name, &text);
    format!("{name}({x})")
}

fn add(src: &mut Source<'_>, width: Width, name: &str, text: &str) {
    let text = text.replace("@F", &width.of("f32")).replace("@U", &width.of("u32"));
    src.function(name, text);
}

/// A power of two as bits of an `f32`.
fn power(exponent: i32) -> u32 {
    ((BIAS + exponent) as u32) << FRACTION
}

/// How a type of 16 bits lies in them.
struct Layout {
    /// Bits that an `f32` has more in its fraction.
    drop: u32,
    /// The bits of the fraction.
    mask: u32,
    /// The bits of the exponent, all of which infinities and NaNs have.
    ones: u32,
    /// What an `f32`'s exponent is more, where it lies in the type.
    rebias: u32,
}

impl Layout {
    fn of(format: NarrowFloat) -> Self {
        let mask = (1 << format.fraction) - 1;
        let rebias = ((BIAS - 1 + format.least) as u32) << format.fraction;
        Self { drop: FRACTION - format.fraction, mask, ones: 0x7fff & !mask, rebias }
    }
}

fn function(name: &str, format: NarrowFloat) -> String {
    if format.scale {
        return next_power(name);
    }
    let drop = FRACTION - format.fraction;
    let (half, keep) = ((1_u32 << (drop - 1)) - 1, !((1_u32 << drop) - 1));
    let (greatest, beyond) = (format.greatest.to_bits(), format.beyond.to_bits());
    // A carry out of the fraction runs into the exponent, which is right.
    let normal = format!(
        "let n = (a + @U({half:#x}u) + ((a >> @U({drop}u)) & @U(1u))) & @U({keep:#x}u);
    var r = select(n, @U({beyond:#x}u), n > @U({greatest:#x}u));"
    );
    let small = if format.least > 1 - BIAS { subnormal(format) } else { String::new() };
    let nan = if format.nan.is_nan() { "a".to_owned() } else { format!("@U({:#x}u)", format.nan.to_bits()) };
    let sign = "b & @U(0x80000000u)";
    let sign = if format.signed_zero { sign.to_owned() } else { format!("select({sign}, @U(), r == @U())") };
    format!(
        "fn {name}(x: @F) -> @F {{
    let b = bitcast<@U>(x);
    let a = b & @U(0x7fffffffu);
    {normal}
{small}    r = select(r, {nan}, a > @U(0x7f800000u));
    return bitcast<@F>(r | ({sign}));
}}"
    )
}

/// The next power of two that is not less, from 2^-127, which has no exponent of its own, to 2^127; the sign is dropped.
fn next_power(name: &str) -> String {
    format!(
        "fn {name}(x: @F) -> @F {{
    let a = bitcast<@U>(x) & @U(0x7fffffffu);
    let up = (a + @U(0x7fffffu)) & @U(0xff800000u);
    var r = select(up, @U(0x400000u), a <= @U(0x400000u));
    r = select(r, @U(0x7fc00000u), r >= @U(0x7f800000u));
    return bitcast<@F>(r);
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

//! Sine and cosine.
//!
//! Vulkan promises little of its own: an absolute error of 2^-11 within [−π, π] and nothing beyond, and drivers make use of
//! that. Angles are therefore reduced here, for floats of every size: the argument is a whole number times a power of two, and
//! of its product with 2/π only the bits that count modulo 4 are computed, in fixed point (M. Payne, R. Hanek, *Radian
//! reduction for trigonometric functions*, 1983). Taylor's series serve what is left, at most π/4.

use super::Width;
use crate::source::Source;

/// Adds `op_sin` or `op_cos`; answers the text of its call.
pub(super) fn call(src: &mut Source<'_>, width: Width, name: &str, x: &str) -> String {
    src.function("quarter_turns", QUARTER_TURNS.to_owned());
    src.function("turned", TURNED.to_owned());
    // The sine of an angle is the cosine a quarter turn back.
    let ahead = if name == "op_sin" { 0 } else { 1 };
    let one = format!("{name}1");
    src.function(&one, format!("fn {one}(x: f32) -> f32 {{ return turned(x, {ahead}u); }}"));
    match width {
        Width::One => format!("{one}({x})"),
        Width::Four => {
            let parts = ["x", "y", "z", "w"].map(|c| format!("{one}(x.{c})"));
            let text =
                format!("fn {name}(x: vec4<f32>) -> vec4<f32> {{ return vec4<f32>({}); }}", parts.join(", "));
            src.function(name, text);
            format!("{name}({x})")
        }
    }
}

/// `size · 2/π` modulo 4 in units of 2^-30, for sizes of at least 1/2 up to the greatest float.
///
/// The words are zeros and the first bits of 2/π. Bits whose weight times the mantissa's lowest bit is 4 or more are left out;
/// of the rest, the upper 32 bits of a product of 24 by 64 bits are what is asked for, cut off at their end.
const QUARTER_TURNS: &str = "fn quarter_turns(size: u32) -> u32 {
    var bits = array<u32, 7>(
        0u, 0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u
    );
    let m = (size & 0x7fffffu) | 0x800000u;
    let at = (size >> 23u) - 120u;
    let word = at / 32u;
    let s = at % 32u;
    let high = (bits[word] << s) | ((bits[word + 1u] >> 1u) >> (31u - s));
    let low = (bits[word + 1u] << s) | ((bits[word + 2u] >> 1u) >> (31u - s));
    let a = m >> 12u;
    let b = m & 0xfffu;
    let carried = (a * (low >> 16u) + ((b * (low >> 16u)) >> 12u) + ((a * (low & 0xffffu)) >> 16u)) >> 4u;
    return m * high + carried;
}";

/// The sine (`ahead` 0) or cosine (1) of x.
const TURNED: &str = "fn turned(x: f32, ahead: u32) -> f32 {
    let size = bitcast<u32>(x) & 0x7fffffffu;
    if (size >= 0x7f800000u) { return bitcast<f32>(0x7fc00000u | size); }
    var r = bitcast<f32>(size);
    var quadrant = ahead;
    // Half a quarter turn is 0.785; below it nothing is to be reduced.
    if (size > 0x3f490fdau) {
        let turns = quarter_turns(size);
        let nearest = (turns + 0x20000000u) >> 30u;
        quadrant += nearest;
        r = f32(bitcast<i32>(turns - (nearest << 30u))) * (1.5707964 / 1073741824.0);
    }
    let s = r * r;
    let sine = r + r * s * (-0.16666667 + s * (0.008333334 + s * (-0.0001984127 + s * 2.7557319e-6)));
    let cosine = 1.0 + s * (-0.5 + s * (0.041666668 + s * (-0.0013888889 + s * 2.4801588e-5)));
    var y = select(sine, cosine, (quadrant & 1u) != 0u);
    y = select(y, -y, (quadrant & 2u) != 0u);
    // The cosine is even; of the sine the sign comes back.
    return select(y, -y, ahead == 0u && (bitcast<u32>(x) >> 31u) != 0u);
}";

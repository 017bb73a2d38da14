//! Floating-point types narrower than `f32`: every value of theirs is an `f32`, so that they are computed with as such and
//! rounded to the type afterwards.

use crate::DType;

/// Which values a narrow floating-point type has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NarrowFloat {
    /// Bits of the fraction.
    pub fraction: u32,
    /// Exponent of the least normal number; below it values are multiples of 2^(least − fraction).
    pub least: i32,
    /// The greatest finite value.
    pub greatest: f32,
    /// What rounds beyond that.
    pub beyond: f32,
}

impl NarrowFloat {
    /// The nearest value of the type, ties to the even fraction; NaN stays.
    pub fn round(self, v: f64) -> f64 {
        if v == 0.0 || !v.is_finite() {
            return v;
        }
        let exponent = ((v.to_bits() >> 52) & 0x7ff) as i32 - 1023;
        // Powers of two: both are exact.
        let unit = f64::from(exponent.max(self.least) - self.fraction as i32).exp2();
        let rounded = (v / unit).round_ties_even() * unit;
        if rounded.abs() > f64::from(self.greatest) { f64::from(self.beyond).copysign(v) } else { rounded }
    }

    /// The bits of a value of a type of 16 bits.
    pub fn to_bits(self, v: f32) -> u16 {
        let (bits, drop) = (v.to_bits(), 23 - self.fraction);
        let (sign, size) = ((bits >> 16) & 0x8000, bits & 0x7fff_ffff);
        let ones = 0x7fff & !self.mask();
        let magnitude = if size > 0x7f80_0000 {
            // A quiet NaN, with what there is room for of the rest.
            ones | 1 << (self.fraction - 1) | (size >> drop) & self.mask()
        } else if size == 0x7f80_0000 {
            ones
        } else if v.abs() < f32::from_bits(self.least_bits()) {
            // As a multiple of the least number; where that is no normal f32, the bits are those of one.
            if self.rebias() == 0 { size >> drop } else { (v.abs() / self.unit()) as u32 }
        } else {
            (size >> drop) - self.rebias()
        };
        (sign | magnitude) as u16
    }

    /// The value that has these bits in a type of 16 bits.
    pub fn of_bits(self, bits: u16) -> f32 {
        let (bits, drop) = (u32::from(bits), 23 - self.fraction);
        let (sign, size) = ((bits & 0x8000) << 16, bits & 0x7fff);
        let ones = 0x7fff & !self.mask();
        let magnitude = if size >= ones {
            0x7f80_0000 | (size & self.mask()) << drop
        } else if self.rebias() > 0 && size <= self.mask() {
            (size as f32 * self.unit()).to_bits()
        } else {
            (size + self.rebias()) << drop
        };
        f32::from_bits(sign | magnitude)
    }

    /// The bits of the fraction.
    const fn mask(self) -> u32 {
        (1 << self.fraction) - 1
    }

    /// The least normal number, as bits of an `f32`.
    const fn least_bits(self) -> u32 {
        ((127 + self.least) as u32) << 23
    }

    /// The least number.
    fn unit(self) -> f32 {
        (self.least as f32 - self.fraction as f32).exp2()
    }

    /// What the exponent of an `f32` has more in its bits, where they lie in the type.
    const fn rebias(self) -> u32 {
        ((126 + self.least) as u32) << self.fraction
    }
}

impl DType {
    /// What the type can hold, if it is a float narrower than `f32`.
    pub fn narrow_float(self) -> Option<NarrowFloat> {
        let of = |fraction, least, greatest| {
            Some(NarrowFloat { fraction, least, greatest, beyond: f32::INFINITY })
        };
        match self {
            Self::F16 => of(10, -14, 65_504.0),
            // The exponents of f32, a fraction of 7 bits.
            Self::BF16 => of(7, -126, f32::from_bits(0x7f7f_0000)),
            _ => None,
        }
    }

    /// The type that sums and products of this one are made in: wide enough for what narrow floats add up to.
    pub fn accumulator(self) -> Self {
        if self.narrow_float().is_some() { Self::F32 } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::{bf16, f16};

    /// The value itself, its neighbours in f32, and the ties to the next value with theirs.
    fn around(v: f32, next: f32) -> impl Iterator<Item = f32> {
        let tie = ((f64::from(v) + f64::from(next)) / 2.0) as f32;
        [v, tie].into_iter().flat_map(|v| [v, v.next_up(), v.next_down(), -v, -v.next_up()])
    }

    #[test]
    fn values_round_as_the_half_crate_has_it() {
        let check = |dtype: DType, of: fn(u16) -> f32, back: fn(f32) -> f32| {
            let format = dtype.narrow_float().unwrap();
            for bits in 0..=u16::MAX {
                for x in around(of(bits), of(bits.wrapping_add(1))) {
                    let (got, want) = (format.round(x.into()) as f32, back(x));
                    let good = got == want || got.is_nan() && want.is_nan();
                    assert!(good, "{dtype} of {x:e}: {got:e}, not {want:e}");
                }
            }
        };
        check(DType::F16, |bits| f16::from_bits(bits).to_f32(), |v| f16::from_f32(v).to_f32());
        check(DType::BF16, |bits| bf16::from_bits(bits).to_f32(), |v| bf16::from_f32(v).to_f32());
    }

    #[test]
    fn bits_are_those_of_the_half_crate() {
        for bits in 0..=u16::MAX {
            for (dtype, value) in
                [(DType::F16, f16::from_bits(bits).to_f32()), (DType::BF16, bf16::from_bits(bits).to_f32())]
            {
                let format = dtype.narrow_float().unwrap();
                let made = format.of_bits(bits);
                assert!(made == value || made.is_nan() && value.is_nan(), "{dtype} {bits:#x}: {made}");
                // Of a NaN its being one stays.
                let back = format.to_bits(value);
                assert!(
                    back == bits || value.is_nan() && format.of_bits(back).is_nan(),
                    "{dtype} {bits:#x}: {back:#x}"
                );
            }
        }
    }

    #[test]
    fn what_lies_just_beside_a_tie_in_64_bits_is_none() {
        let format = DType::F16.narrow_float().unwrap();
        let (tie, least) = ((-25_f64).exp2(), (-24_f64).exp2());
        assert_eq!([tie, tie.next_up(), tie.next_down()].map(|v| format.round(v)), [0.0, least, 0.0]);
    }
}

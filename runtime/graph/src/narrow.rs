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
    /// What rounds beyond that: infinity, NaN, or the greatest value.
    pub beyond: f32,
    /// What becomes of NaN: itself, or 0 in a type without.
    pub nan: f32,
    /// Whether 0 has a sign.
    pub signed_zero: bool,
    /// Whether there are only powers of two: signs are dropped, and numbers between are rounded up.
    pub scale: bool,
}

impl NarrowFloat {
    /// Of IEEE 754: with infinities, NaNs and a signed 0.
    fn ieee(fraction: u32, least: i32, greatest: f32) -> Self {
        let (beyond, nan) = (f32::INFINITY, f32::NAN);
        Self { fraction, least, greatest, beyond, nan, signed_zero: true, scale: false }
    }

    /// The nearest value of the type, ties to the even fraction; NaN stays where the type has it.
    pub fn round(self, v: f64) -> f64 {
        if self.scale {
            return self.power(v.abs());
        }
        if v.is_nan() {
            return if self.nan.is_nan() { v } else { f64::from(self.nan).copysign(v) };
        }
        if v.is_infinite() {
            return f64::from(self.beyond).copysign(v);
        }
        let exponent = ((v.to_bits() >> 52) & 0x7ff) as i32 - 1023;
        // Powers of two: both are exact.
        let unit = self.unit(exponent);
        let rounded = (v / unit).round_ties_even() * unit;
        if rounded == 0.0 && !self.signed_zero {
            return 0.0;
        }
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
            if self.rebias() == 0 { size >> drop } else { (v.abs() / self.least_step()) as u32 }
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
            (size as f32 * self.least_step()).to_bits()
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
    fn least_step(self) -> f32 {
        (self.least as f32 - self.fraction as f32).exp2()
    }

    /// What the exponent of an `f32` has more in its bits, where they lie in the type.
    const fn rebias(self) -> u32 {
        ((126 + self.least) as u32) << self.fraction
    }

    /// The distance between values whose exponent is that, or less than the least.
    fn unit(self, exponent: i32) -> f64 {
        f64::from(exponent.max(self.least) - self.fraction as i32).exp2()
    }

    /// The next power of two that is not less.
    fn power(self, size: f64) -> f64 {
        if !size.is_finite() {
            return f64::NAN;
        }
        let exponent = ((size.to_bits() >> 52) & 0x7ff) as i32 - 1023;
        let below = self.unit(exponent);
        let power = if size > below { 2.0 * below } else { below };
        if power > f64::from(self.greatest) { f64::NAN } else { power }
    }

    /// The value whose bits those are, in a type of at most 8 bits.
    pub fn decode(self, bits: u8) -> f32 {
        if self.scale {
            return if bits == u8::MAX { f32::NAN } else { (f32::from(bits) - 127.0).exp2() };
        }
        let width = self.fraction + self.exponent_bits();
        let (negative, code) = (bits >> width & 1 == 1, u32::from(bits) & ((1 << width) - 1));
        let size = if code > self.code(self.greatest) {
            if self.beyond == f32::INFINITY && code == self.code(self.greatest) + 1 {
                f32::INFINITY
            } else {
                f32::NAN
            }
        } else {
            let (exponent, fraction) = (code >> self.fraction, code & ((1 << self.fraction) - 1));
            let implied = if exponent == 0 { 0 } else { 1 << self.fraction };
            let unit = self.unit(self.least + exponent.max(1) as i32 - 1);
            (f64::from(implied + fraction) * unit) as f32
        };
        match (negative, size == 0.0 && !self.signed_zero) {
            // The code of a negative zero is that of NaN.
            (true, true) => f32::NAN,
            (true, false) => -size,
            (false, _) => size,
        }
    }

    /// The bits of a value of the type, one of at most 8 bits.
    pub fn encode(self, v: f32) -> u8 {
        let width = self.fraction + self.exponent_bits();
        let sign = if v.is_sign_negative() { 1 << width } else { 0 };
        let code = match v {
            _ if self.scale && v.is_nan() => u8::MAX.into(),
            _ if self.scale => self.code(v) - 1,
            // Types without an infinity of their own have one zero with a NaN in place of its negative, or NaN last.
            _ if v.is_nan() && !self.signed_zero => 1 << width,
            _ if v.is_nan() => ((1 << width) - 1) | sign,
            _ if v == 0.0 && !self.signed_zero => 0,
            _ if v.is_infinite() => (self.code(self.greatest) + 1) | sign,
            _ => self.code(v.abs()) | sign,
        };
        code as u8
    }

    /// Bits of the exponent.
    fn exponent_bits(self) -> u32 {
        match (self.fraction, self.greatest) {
            (0, _) => 8,
            (1, _) => 2,
            (3, _) => 4,
            _ => 5,
        }
    }

    /// The bits of a finite value without a sign.
    fn code(self, size: f32) -> u32 {
        let size = f64::from(size);
        let exponent = (((size.to_bits() >> 52) & 0x7ff) as i32 - 1023).max(self.least);
        let fraction = (size / self.unit(exponent)) as u32;
        // A number below the least normal one has no implied 1, which is what takes the exponent from 0 to 1.
        (((exponent - self.least) as u32) << self.fraction) + fraction
    }
}

impl DType {
    /// What the type can hold, if it is a float narrower than `f32`.
    pub fn narrow_float(self) -> Option<NarrowFloat> {
        let ieee = NarrowFloat::ieee;
        let finite = |format: NarrowFloat| NarrowFloat { beyond: f32::NAN, ..format };
        let one_zero = |format: NarrowFloat| NarrowFloat { signed_zero: false, ..finite(format) };
        Some(match self {
            Self::F16 => ieee(10, -14, 65_504.0),
            // The exponents of f32, a fraction of 7 bits.
            Self::BF16 => ieee(7, -126, f32::from_bits(0x7f7f_0000)),
            Self::F8E4M3FN => finite(ieee(3, -6, 448.0)),
            Self::F8E4M3FNUZ => one_zero(ieee(3, -7, 240.0)),
            Self::F8E5M2 => ieee(2, -14, 57_344.0),
            Self::F8E5M2FNUZ => one_zero(ieee(2, -15, 57_344.0)),
            Self::F4E2M1 => NarrowFloat { beyond: 6.0, nan: 0.0, ..ieee(1, 0, 6.0) },
            Self::F8E8M0 => NarrowFloat { scale: true, ..finite(ieee(0, -127, 127_f32.exp2())) },
            _ => return None,
        })
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

    #[test]
    fn small_floats_have_the_values_of_their_codes() {
        let check = |dtype: DType, cases: &[(u8, f32)]| {
            let format = dtype.narrow_float().unwrap();
            for &(code, value) in cases {
                assert_eq!((format.decode(code), format.encode(value)), (value, code), "{dtype} {code:#x}");
            }
            for code in 0..=u8::MAX >> (8 - dtype.bits()) {
                let value = format.decode(code);
                let back = format.encode(value);
                assert!(back == code || format.decode(back).is_nan() && value.is_nan(), "{dtype} {code:#x}");
                assert!(format.round(value.into()) as f32 == value || value.is_nan(), "{dtype} {code:#x}");
            }
        };
        check(DType::F8E4M3FN, &[(0x7e, 448.0), (0x01, 0.001_953_125), (0x80, -0.0), (0xb8, -1.0)]);
        check(DType::F8E4M3FNUZ, &[(0x7f, 240.0), (0x01, 0.000_976_562_5), (0x40, 1.0), (0xc0, -1.0)]);
        check(
            DType::F8E5M2,
            &[(0x7b, 57_344.0), (0x7c, f32::INFINITY), (0xfc, f32::NEG_INFINITY), (0x3c, 1.0)],
        );
        check(DType::F8E5M2FNUZ, &[(0x7f, 57_344.0), (0x01, 7.629_394_5e-6), (0x40, 1.0)]);
        check(DType::F4E2M1, &[(0x7, 6.0), (0x1, 0.5), (0xf, -6.0), (0x2, 1.0), (0x3, 1.5)]);
        check(
            DType::F8E8M0,
            &[(127, 1.0), (128, 2.0), (0, f32::from_bits(0x0040_0000)), (254, 127_f32.exp2())],
        );
        for (dtype, code) in
            [(DType::F8E4M3FN, 0x7f), (DType::F8E4M3FNUZ, 0x80), (DType::F8E5M2, 0x7f), (DType::F8E8M0, 0xff)]
        {
            let format = dtype.narrow_float().unwrap();
            assert!(format.decode(code).is_nan() && format.encode(f32::NAN) == code, "{dtype}");
        }
    }

    #[test]
    fn what_small_floats_do_not_have_is_rounded_as_they_say() {
        let check = |dtype: DType, cases: &[(f64, f64)]| {
            let format = dtype.narrow_float().unwrap();
            for &(v, want) in cases {
                let got = format.round(v);
                let same = got == want && got.is_sign_negative() == want.is_sign_negative();
                assert!(same || got.is_nan() && want.is_nan(), "{dtype} of {v}: {got}");
            }
        };
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        check(
            DType::F8E4M3FN,
            &[(464.0, 448.0), (465.0, nan), (inf, nan), (-1e-9, -0.0), (0.0019, 0.001_953_125)],
        );
        check(DType::F8E4M3FNUZ, &[(247.0, 240.0), (248.0, nan), (-inf, nan), (-1e-9, 0.0)]);
        check(DType::F8E5M2, &[(61_439.0, 57_344.0), (61_440.0, inf), (-inf, -inf), (nan, nan)]);
        check(DType::F4E2M1, &[(5.0, 4.0), (0.25, 0.0), (0.75, 1.0), (-8.0, -6.0), (inf, 6.0), (nan, 0.0)]);
        check(
            DType::F8E8M0,
            &[(1.1, 2.0), (-3.0, 4.0), (0.0, (-127_f64).exp2()), (inf, nan), (1e38, 127_f64.exp2())],
        );
    }
}

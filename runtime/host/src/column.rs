//! Elements of one type, side by side: what chains compute with, and how it lies in words.

use bayplan_graph::DType;
use bayplan_shaders::Repr;

/// Elements in the type that represents theirs. Booleans are `U32` of 0 and 1.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Column {
    F32(Vec<f32>),
    I32(Vec<i32>),
    U32(Vec<u32>),
    I64(Vec<i64>),
    U64(Vec<u64>),
    F64(Vec<f64>),
}

/// An element as it lies in words, 64-bit ones low word first.
pub(crate) trait Element: Copy + Send + Sync {
    const WORDS: usize;
    fn get(words: &[u32], at: usize) -> Self;
    fn put(self, words: &mut [u32], at: usize);
}

macro_rules! narrow {
    ($($ty:ty, $from:expr, $to:expr);*) => {
        $(impl Element for $ty {
            const WORDS: usize = 1;
            fn get(words: &[u32], at: usize) -> Self {
                $from(words[at])
            }
            fn put(self, words: &mut [u32], at: usize) {
                words[at] = $to(self);
            }
        })*
    };
}

narrow!(
    f32, f32::from_bits, f32::to_bits;
    i32, |word: u32| word as i32, |value: i32| value as u32;
    u32, |word: u32| word, |value: u32| value
);

impl Element for u64 {
    const WORDS: usize = 2;
    fn get(words: &[u32], at: usize) -> Self {
        Self::from(words[2 * at]) | Self::from(words[2 * at + 1]) << 32
    }
    fn put(self, words: &mut [u32], at: usize) {
        words[2 * at] = self as u32;
        words[2 * at + 1] = (self >> 32) as u32;
    }
}

impl Element for i64 {
    const WORDS: usize = 2;
    fn get(words: &[u32], at: usize) -> Self {
        u64::get(words, at) as Self
    }
    fn put(self, words: &mut [u32], at: usize) {
        (self as u64).put(words, at);
    }
}

impl Element for f64 {
    const WORDS: usize = 2;
    fn get(words: &[u32], at: usize) -> Self {
        Self::from_bits(u64::get(words, at))
    }
    fn put(self, words: &mut [u32], at: usize) {
        self.to_bits().put(words, at);
    }
}

/// Does the same to the elements of any column.
macro_rules! each {
    ($column:expr, $values:ident => $body:expr) => {
        match $column {
            $crate::column::Column::F32($values) => $body,
            $crate::column::Column::I32($values) => $body,
            $crate::column::Column::U32($values) => $body,
            $crate::column::Column::I64($values) => $body,
            $crate::column::Column::U64($values) => $body,
            $crate::column::Column::F64($values) => $body,
        }
    };
}
pub(crate) use each;

/// A float rounded to its type, if that is narrower than `f32`.
pub(crate) fn rounded(dtype: DType, v: f32) -> f32 {
    dtype.narrow_float().map_or(v, |format| format.round(v.into()) as f32)
}

impl Column {
    /// `len` times the element with those bits (an `f32`'s in the low word).
    pub(crate) fn splat(repr: Repr, bits: u64, len: usize) -> Self {
        match repr {
            Repr::F32 => Self::F32(vec![f32::from_bits(bits as u32); len]),
            Repr::I32 => Self::I32(vec![bits as u32 as i32; len]),
            Repr::U32 => Self::U32(vec![bits as u32; len]),
            Repr::I64 => Self::I64(vec![bits as i64; len]),
            Repr::U64 => Self::U64(vec![bits; len]),
            Repr::F64 => Self::F64(vec![f64::from_bits(bits); len]),
        }
    }

    /// Elements in runs: the place of each run's first element, and how many follow at `step`.
    pub(crate) fn load(
        dtype: DType,
        repr: Repr,
        words: &[u32],
        runs: impl FnOnce(&mut dyn FnMut(isize, usize)),
        step: isize,
    ) -> Self {
        fn typed<T: Element>(
            words: &[u32],
            runs: impl FnOnce(&mut dyn FnMut(isize, usize)),
            step: isize,
        ) -> Vec<T> {
            let mut out = Vec::new();
            runs(&mut |first, count| match step {
                0 => out.extend(std::iter::repeat_n(T::get(words, first as usize), count)),
                1 => {
                    let from = first as usize * T::WORDS;
                    let run = &words[from..from + count * T::WORDS];
                    out.extend(run.chunks_exact(T::WORDS).map(|element| T::get(element, 0)));
                }
                step => out.extend(
                    (0..count as isize).map(|i| T::get(words, first.wrapping_add(i * step) as usize)),
                ),
            });
            out
        }
        match repr {
            Repr::F32 => Self::F32(typed(words, runs, step)),
            Repr::I32 => Self::I32(typed(words, runs, step)),
            Repr::U32 if dtype == DType::Bool => {
                Self::U32(typed::<u32>(words, runs, step).into_iter().map(|v| u32::from(v != 0)).collect())
            }
            Repr::U32 => Self::U32(typed(words, runs, step)),
            Repr::I64 => Self::I64(typed(words, runs, step)),
            Repr::U64 => Self::U64(typed(words, runs, step)),
            Repr::F64 => Self::F64(typed(words, runs, step)),
        }
    }

    /// Writes the elements one after the other.
    pub(crate) fn store(&self, out: &mut [u32]) {
        fn typed<T: Element>(values: &[T], out: &mut [u32]) {
            for (value, words) in values.iter().zip(out.chunks_exact_mut(T::WORDS)) {
                value.put(words, 0);
            }
        }
        each!(self, values => typed(values, out));
    }

    /// Wraps integers to the bits of a type narrower than their words, rounds floats to one narrower than theirs.
    pub(crate) fn narrowed(self, dtype: DType) -> Self {
        let small = if dtype.is_int() && dtype.bits() < 32 { Some(32 - dtype.bits() as u32) } else { None };
        match (self, small) {
            (Self::F32(v), _) if dtype.narrow_float().is_some() => {
                Self::F32(v.into_iter().map(|v| rounded(dtype, v)).collect())
            }
            (Self::I32(v), Some(shift)) => Self::I32(v.into_iter().map(|v| v << shift >> shift).collect()),
            (Self::U32(v), Some(shift)) => Self::U32(v.into_iter().map(|v| v << shift >> shift).collect()),
            (column, _) => column,
        }
    }
}

//! The most and the least of any part of a curve, without looking at all of it.

/// Values of which the most and the least are known beforehand.
const STRETCH: usize = 256;

/// The most and the least of each stretch of a curve; the curve itself is given with each question.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stretches {
    most: Vec<u64>,
    least: Vec<u64>,
}

impl Stretches {
    /// Of a curve.
    pub(crate) fn of(curve: &[u64]) -> Self {
        let parts = || curve.chunks(STRETCH);
        Self {
            most: parts().map(|part| part.iter().copied().max().unwrap_or(0)).collect(),
            least: parts().map(|part| part.iter().copied().min().unwrap_or(0)).collect(),
        }
    }

    /// The largest value from `first` to before `last`; 0 where there is none.
    pub(crate) fn most(&self, curve: &[u64], first: usize, last: usize) -> u64 {
        fold(curve, &self.most, (first, last), u64::max).unwrap_or(0)
    }

    /// The smallest value from `first` to before `last`; 0 where there is none.
    pub(crate) fn least(&self, curve: &[u64], first: usize, last: usize) -> u64 {
        fold(curve, &self.least, (first, last), u64::min).unwrap_or(0)
    }
}

/// Takes whole stretches from what is known of them, and what is left at both ends from the curve.
fn fold(
    curve: &[u64],
    known: &[u64],
    (first, last): (usize, usize),
    take: fn(u64, u64) -> u64,
) -> Option<u64> {
    let last = last.min(curve.len());
    let (from, to) = (first.div_ceil(STRETCH), last / STRETCH);
    let part = |values: Option<&[u64]>| values.unwrap_or_default().iter().copied().reduce(take);
    if from >= to {
        return part(curve.get(first..last));
    }
    let parts = [
        part(curve.get(first..from * STRETCH)),
        part(known.get(from..to)),
        part(curve.get(to * STRETCH..last)),
    ];
    parts.into_iter().flatten().reduce(take)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_part_has_its_most_and_least(
            curve in prop::collection::vec(0u64..1000, 0..3000),
            (first, last) in (0usize..3100, 0usize..3100),
        ) {
            let stretches = Stretches::of(&curve);
            let part = curve.get(first..last.min(curve.len())).unwrap_or_default();
            prop_assert_eq!(stretches.most(&curve, first, last), part.iter().copied().max().unwrap_or(0));
            prop_assert_eq!(stretches.least(&curve, first, last), part.iter().copied().min().unwrap_or(0));
        }
    }
}

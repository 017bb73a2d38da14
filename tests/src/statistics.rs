//! Figures of measurements that other things on the machine disturb.

/// The middle of some numbers: of two, their mean. 0 of none.
pub fn median(numbers: &[f64]) -> f64 {
    let sorted = sorted(numbers);
    match (sorted.get(sorted.len().saturating_sub(1) / 2), sorted.get(sorted.len() / 2)) {
        (Some(low), Some(high)) => f64::midpoint(*low, *high),
        _ => 0.0,
    }
}

/// The median and its 95 % interval, by the order of the numbers alone: nothing is taken for granted of how they are
/// distributed. The interval is from the smallest to the largest where there are too few.
pub fn median_interval(numbers: &[f64]) -> (f64, f64, f64) {
    let sorted = sorted(numbers);
    let count = sorted.len();
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else { return (0.0, 0.0, 0.0) };
    // How many lie below the median is binomial: 1.96 standard deviations, which are half the root of the count, on each side.
    let half = 0.98 * (count as f64).sqrt();
    let low = (count as f64 / 2.0 - half).floor();
    let at = |rank: f64| sorted.get(rank as usize).copied();
    let (low, high) = if low < 1.0 {
        (*first, *last)
    } else {
        (at(low - 1.0).unwrap_or(*first), at(count as f64 - low).unwrap_or(*last))
    };
    (low, median(&sorted), high)
}

fn sorted(numbers: &[f64]) -> Vec<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_the_tables() {
        assert_eq!(median(&[]), 0.0);
        assert_eq!(median(&[3.0, 1.0]), 2.0);
        let numbers: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        // Of 100 numbers, the 40th and the 61st.
        assert_eq!(median_interval(&numbers), (40.0, 50.5, 61.0));
        assert_eq!(median_interval(&[2.0, 1.0, 4.0]), (1.0, 2.0, 4.0));
    }
}

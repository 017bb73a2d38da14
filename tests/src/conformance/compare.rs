//! When a tensor is the one expected.

use bayplan::{DType, Tensor};
use bayplan_graph::Elements;

/// Compares a tensor with the one expected: element type and shape are the same, integers and booleans too; of
/// floating-point numbers |actual − expected| ≤ `atol` + `rtol` · |expected|, an infinity is the same, and NaN is NaN.
/// A type of few bits is allowed two units in its last place at least, as the onnx package allows bfloat16.
///
/// # Errors
/// What differs, and where first.
pub fn compare(expected: &Tensor, actual: &Tensor, rtol: f64, atol: f64) -> Result<(), String> {
    if actual.dtype() != expected.dtype() {
        return Err(format!("{} instead of {}", actual.dtype(), expected.dtype()));
    }
    if actual.shape() != expected.shape() {
        return Err(format!("shape {:?} instead of {:?}", actual.shape(), expected.shape()));
    }
    let rtol = rtol.max(least(expected.dtype()));
    let (found, wrong): (String, Vec<usize>) = match (expected.elements(), actual.elements()) {
        (Elements::Float(wanted), Elements::Float(got)) => {
            let wrong: Vec<usize> =
                (0..wanted.len()).filter(|&i| !close(wanted[i], got[i], rtol, atol)).collect();
            (first(&wanted, &got, &wrong), wrong)
        }
        (Elements::Int(wanted), Elements::Int(got)) => {
            let wrong: Vec<usize> = (0..wanted.len()).filter(|&i| wanted[i] != got[i]).collect();
            (first(&wanted, &got, &wrong), wrong)
        }
        _ => return Err("elements of another kind".to_owned()),
    };
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!("{} of {} elements differ, first {found}", wrong.len(), expected.count()))
}

/// Two units in the last place of a type, as a share.
fn least(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => 1.0 / 512.0,
        DType::BF16 => 1.0 / 64.0,
        _ => 0.0,
    }
}

fn close(wanted: f64, got: f64, rtol: f64, atol: f64) -> bool {
    if wanted.is_nan() || got.is_nan() {
        return wanted.is_nan() && got.is_nan();
    }
    wanted == got || (wanted.is_finite() && (got - wanted).abs() <= atol + rtol * wanted.abs())
}

fn first<T: std::fmt::Debug>(wanted: &[T], got: &[T], wrong: &[usize]) -> String {
    wrong.first().map_or_else(String::new, |&i| format!("[{i}] {:?} instead of {:?}", got[i], wanted[i]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(elements: &[f64]) -> Tensor {
        Tensor::from_f64(DType::F32, vec![elements.len()], elements).expect("a tensor")
    }

    #[test]
    fn what_differs_is_told() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        let same = |a: &[f64], b: &[f64]| compare(&floats(a), &floats(b), 1e-3, 1e-7);
        assert_eq!(same(&[1.0, inf, nan, 0.0], &[1.0005, inf, nan, 1e-8]), Ok(()));
        for (a, b) in [(1.0, 1.002), (0.0, 1e-6), (inf, 3e38), (inf, -inf), (nan, 0.0), (0.0, nan)] {
            assert!(same(&[a], &[b]).is_err(), "{a} {b}");
        }
        let error = same(&[1.0, 2.0], &[1.0, 3.0]).expect_err("they differ");
        assert_eq!(error, "1 of 2 elements differ, first [1] 3.0 instead of 2.0");
    }

    #[test]
    fn types_shapes_and_integers_are_the_same() {
        let ints = |dtype, shape: &[usize], elements: &[i128]| {
            Tensor::from_ints(dtype, shape.to_vec(), elements).expect("a tensor")
        };
        let of = ints(DType::I64, &[2], &[1 << 60, 5]);
        assert_eq!(compare(&of, &of, 0.1, 0.1), Ok(()));
        for other in [
            ints(DType::I64, &[2], &[(1 << 60) + 1, 5]),
            ints(DType::U64, &[2], &[1 << 60, 5]),
            ints(DType::I64, &[1, 2], &[1 << 60, 5]),
        ] {
            assert!(compare(&of, &other, 0.1, 0.1).is_err(), "{other:?}");
        }
    }
}

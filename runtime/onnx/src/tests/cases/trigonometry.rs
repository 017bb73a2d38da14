//! Circular and hyperbolic functions. Expected values are the mathematical ones.

use super::{Cases, v};

type Function = fn(f64) -> f64;

pub(super) fn cases(c: &mut Cases) {
    let table: [(&'static str, Function, &[f32]); 7] = [
        ("Acos", f64::acos, &[-1.0, -0.5, 0.0, 0.999, 1.0]),
        ("Acosh", f64::acosh, &[1.0, 1.000_1, 1.5, 40.0, 1e5, 3e38]),
        ("Asin", f64::asin, &[-1.0, -0.5, 0.0, 1e-4, 1.0]),
        ("Asinh", f64::asinh, &[-3e38, -1e5, -0.3, 0.0, 1e-4, 0.2, 20.0, 3e19]),
        ("Atanh", f64::atanh, &[-0.999, -0.1, 0.0, 1e-4, 0.5]),
        ("Sinh", f64::sinh, &[-2.0, -0.1, 0.0, 1e-4, 0.69, 0.72, 10.0]),
        ("Tan", f64::tan, &[-1.0, 0.0, 0.5, 4.0]),
    ];
    for (op, f, x) in table {
        let y: Vec<f32> = x.iter().map(|&x| f(x.into()) as f32).collect();
        c.add(op, 22, &[], &[Some(v(x))], 9, &[v(&y)]);
    }
}

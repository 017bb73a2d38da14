//! Transposed convolution against its definition: each input element adds its multiple of the kernel to the output.

use bayplan_graph::{NoFiles, Tensor, eval, verify};

use super::{A, bytes, f32s, graph, info, model, node};
use crate::{ImportOptions, import};

/// One axis of a case.
#[derive(Clone, Copy, Debug)]
struct Axis {
    size: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    head: i64,
    tail: i64,
    more: i64,
}

impl Axis {
    fn output(self) -> i64 {
        ((self.size - 1) * self.stride + (self.kernel - 1) * self.dilation) as i64 + 1 + self.more
            - self.head
            - self.tail
    }
}

/// Numbers that tell their places apart, exact in sums.
fn numbers(shape: &[usize], seed: usize) -> Tensor {
    let count: usize = shape.iter().product();
    let all: Vec<f32> = (0..count).map(|i| ((i * 29 + seed * 7) % 23) as f32 - 11.0).collect();
    f32s(shape, &all)
}

/// y[n, m, o] = Σ over c of m's group, i and k with i · stride + k · dilation − head = o of x[n, c, i] · w[c, m', k] + b[m].
fn defined(x: &Tensor, w: &Tensor, b: &Tensor, axes: [Axis; 2], groups: usize) -> Tensor {
    let [a0, a1] = axes;
    let (n, c, per_group) = (x.shape()[0], x.shape()[1], w.shape()[1]);
    let (o0, o1) = (a0.output() as usize, a1.output() as usize);
    let (m, from) = (per_group * groups, c / groups);
    let (xs, ws, bs) = (x.to_f64(), w.to_f64(), b.to_f64());
    let mut y = vec![0.0; n * m * o0 * o1];
    for (at, y) in y.iter_mut().enumerate() {
        *y = bs[at / (o0 * o1) % m];
    }
    for (at, x) in xs.iter().enumerate() {
        let (i1, i0) = (at % a1.size, at / a1.size % a0.size);
        let (ci, ni) = (at / (a1.size * a0.size) % c, at / (a1.size * a0.size * c));
        for mi in 0..per_group {
            for (k0, k1) in (0..a0.kernel).flat_map(|k0| (0..a1.kernel).map(move |k1| (k0, k1))) {
                let p0 = (i0 * a0.stride + k0 * a0.dilation) as i64 - a0.head;
                let p1 = (i1 * a1.stride + k1 * a1.dilation) as i64 - a1.head;
                if (0..o0 as i64).contains(&p0) && (0..o1 as i64).contains(&p1) {
                    let channel = ci / from * per_group + mi;
                    let to = ((ni * m + channel) * o0 + p0 as usize) * o1 + p1 as usize;
                    y[to] += x * ws[((ci * per_group + mi) * a0.kernel + k0) * a1.kernel + k1];
                }
            }
        }
    }
    let all: Vec<f32> = y.iter().map(|&v| v as f32).collect();
    f32s(&[n, m, o0, o1], &all)
}

fn imported(attributes: &[(&str, A)], given: [&Tensor; 3]) -> Result<Tensor, String> {
    let infos = ["x", "w", "b"].into_iter().zip(given).map(|(name, t)| {
        let dims: Vec<String> = t.shape().iter().map(ToString::to_string).collect();
        info(name, t.dtype(), &dims.iter().map(String::as_str).collect::<Vec<_>>())
    });
    let made = node("ConvTranspose", &["x", "w", "b"], &["y"], attributes);
    let file = bytes(&model(20, graph(vec![made], infos.collect(), &["y"])));
    let mut graph = import(&file, &ImportOptions::default()).map_err(|e| e.to_string())?;
    graph.infer().map_err(|e| e.to_string())?;
    verify(&graph).map_err(|e| e.to_string())?;
    let given = given.map(Clone::clone);
    eval(&graph, &given, &NoFiles).map(|mut all| all.remove(0)).map_err(|e| e.to_string())
}

fn check(axes: [Axis; 2], groups: usize, attributes: &[(&str, A)]) {
    let (from, per_group) = (2 * groups, 3);
    let x = numbers(&[2, from, axes[0].size, axes[1].size], 1);
    let w = numbers(&[from, per_group, axes[0].kernel, axes[1].kernel], 2);
    let b = numbers(&[per_group * groups], 3);
    let expected = defined(&x, &w, &b, axes, groups);
    let made = imported(attributes, [&x, &w, &b]).unwrap_or_else(|e| panic!("{axes:?}, {groups}: {e}"));
    assert_eq!(made, expected, "{axes:?}, {groups} groups");
}

fn pair(list: [Axis; 2], of: fn(&Axis) -> i64) -> A {
    A::Is(list.iter().map(of).collect())
}

#[test]
fn every_attribute_means_what_the_definition_says() {
    let mut checked = 0;
    for at in 0..3u32.pow(7) {
        // A seventh of all, spread over them; the second axis is another one.
        if at % 7 != 0 {
            continue;
        }
        let digit = |place: u32| (at / 3u32.pow(place) % 3) as usize;
        let axis = |turn: u32| {
            let d = |place: u32| digit((place + turn) % 6);
            let (kernel, stride, dilation) = (1 + d(0), 1 + d(1), 1 + d(2) % 2);
            let (head, tail) = (d(3) as i64 % 2, d(4) as i64 - 1);
            Axis { size: 3, kernel, stride, dilation, head, tail, more: (d(5) % stride) as i64 }
        };
        let axes = [axis(0), axis(1)];
        if axes.iter().any(|axis| axis.output() < 1) {
            continue;
        }
        let pads = axes.iter().map(|a| a.head).chain(axes.iter().map(|a| a.tail)).collect();
        let attributes = [
            ("strides", pair(axes, |a| a.stride as i64)),
            ("dilations", pair(axes, |a| a.dilation as i64)),
            ("output_padding", pair(axes, |a| a.more)),
            ("pads", A::Is(pads)),
            ("group", A::I(1 + digit(6) as i64 % 2)),
        ];
        check(axes, 1 + digit(6) % 2, &attributes);
        checked += 1;
    }
    assert!(checked > 200, "{checked}");
}

#[test]
fn pads_that_follow_from_the_size_wanted() {
    let axis =
        |kernel, stride, head, tail| Axis { size: 3, kernel, stride, dilation: 1, head, tail, more: 0 };
    let strides = |axes| ("strides", pair(axes, |a| a.stride as i64));
    // 3 · stride elements: of 2 · stride + 3 one is cut off, and of an odd number the larger half goes last, or first.
    let upper = [axis(3, 2, 0, 1), axis(4, 1, 1, 2)];
    check(upper, 1, &[strides(upper), ("auto_pad", A::S("SAME_UPPER"))]);
    let lower = [axis(3, 2, 1, 0), axis(4, 1, 2, 1)];
    check(lower, 1, &[strides(lower), ("auto_pad", A::S("SAME_LOWER"))]);
    // Fewer than there are taps for: zeros come behind.
    let short = [axis(1, 2, 0, -1), axis(2, 3, 0, -1)];
    check(short, 2, &[strides(short), ("auto_pad", A::S("SAME_UPPER")), ("group", A::I(2))]);
    let sized = [axis(3, 2, 1, 0), axis(3, 2, 0, 0)];
    check(sized, 1, &[strides(sized), ("output_shape", A::Is(vec![6, 7]))]);
    let both = [strides(sized), ("output_shape", A::Is(vec![2, 3, 6, 7]))];
    check(sized, 1, &both);
    let valid = [axis(2, 2, 0, 0), axis(3, 2, 0, 0)];
    check(valid, 1, &[strides(valid), ("auto_pad", A::S("VALID")), ("pads", A::Is(vec![1; 4]))]);
}

#[test]
fn attributes_that_do_not_fit_are_refused() {
    let (x, w, b) = (numbers(&[1, 2, 3, 3], 1), numbers(&[2, 3, 2, 2], 2), numbers(&[3], 3));
    let refused = |attributes: &[(&str, A)], says: &str| {
        let e = imported(attributes, [&x, &w, &b]).expect_err(says);
        assert!(e.contains(says), "{e}");
    };
    refused(&[("strides", A::Is(vec![2]))], "`strides` has 1 entries");
    refused(&[("pads", A::Is(vec![1, 1]))], "`pads` has 2 entries");
    refused(&[("output_shape", A::Is(vec![6]))], "`output_shape` has 1 entries");
    refused(&[("auto_pad", A::S("FULL"))], "auto_pad `FULL`");
    refused(&[("group", A::I(0))], "`group` must be at least 1");
    refused(&[("group", A::I(3))], "3 groups");
    refused(&[("kernel_shape", A::Is(vec![2]))], "rank 4");
}

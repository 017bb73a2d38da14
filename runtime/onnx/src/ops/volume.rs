//! Convolutions over more than two spatial axes, made of those over two.

use bayplan_graph::op::{BinaryOp, PadMode, Pads, Window};
use bayplan_graph::{Op, ValueId};

use crate::builder::Call;

/// Most taps along the axes before the last two: each is a convolution of its own.
const MOST_TAPS: usize = 1024;

type Step = Result<ValueId, String>;

/// A spatial axis before the last two.
struct Axis {
    kernel: usize,
    stride: i64,
    dilation: i64,
    pads: [i64; 2],
}

impl Axis {
    /// How far the last tap lies behind the first.
    fn reach(&self) -> i64 {
        (self.kernel as i64 - 1).saturating_mul(self.dilation)
    }
}

impl Call<'_, '_> {
    /// A convolution without bias. Over more than two axes it is the sum over the taps along the first ones of
    /// convolutions along the last two, in which the places along the first ones are in the batch.
    pub(super) fn convolved(&mut self, window: &Window, groups: usize, x: ValueId, w: ValueId) -> Step {
        let rank = window.rank();
        if rank <= 2 {
            return self.emit(Op::Conv(window.clone(), groups), &[x, w]);
        }
        self.check_spatial(x, rank)?;
        self.check_spatial(w, rank)?;
        let axes =
            (0..rank - 2).map(|axis| first_axis(self, window, x, axis)).collect::<Result<Vec<_>, _>>()?;
        let x = first_axes_in_front(self, x, &axes)?;
        let plane = last_two(window);
        let (mut sum, mut places) = (None, None);
        for taps in combinations(&axes)? {
            let at = shifted(self, x, &axes, &taps)?;
            let images = in_batch(self, at, axes.len())?;
            let weight = one_tap(self, w, &taps)?;
            let y = self.emit(Op::Conv(plane.clone(), groups), &[images, weight])?;
            places = Some(at);
            sum = Some(match sum {
                Some(sum) => self.binary(BinaryOp::Add, sum, y)?,
                None => y,
            });
        }
        let (Some(sum), Some(at)) = (sum, places) else { return Err("its kernel has no taps".to_owned()) };
        // [n · first.., m, last two] to [n, m, first.., last two].
        let mut shape = (0..=axes.len()).map(|axis| self.dim(at, axis)).collect::<Result<Vec<_>, _>>()?;
        for axis in 1..4 {
            shape.push(self.dim(sum, axis)?);
        }
        let y = self.reshape(sum, &shape)?;
        let front = 1..=axes.len();
        let order: Vec<usize> = [0, rank - 1].into_iter().chain(front).chain(rank..rank + 2).collect();
        self.permute(y, &order)
    }
}

fn first_axis(c: &Call<'_, '_>, window: &Window, x: ValueId, axis: usize) -> Result<Axis, String> {
    let mut found = Axis {
        kernel: window.kernel[axis],
        stride: window.strides[axis] as i64,
        dilation: window.dilations[axis] as i64,
        pads: [0; 2],
    };
    let size = c.size(x, 2 + axis)?.map(|size| size as i64);
    found.pads = match (&window.pads, size) {
        (Pads::Explicit(pads), _) => [pads[axis], pads[axis + window.rank()]],
        (Pads::Same { .. }, None) => {
            return Err(format!(
                "auto_pad over {} axes needs the extent of spatial axis {axis}, which is symbolic; give pads",
                window.rank()
            ));
        }
        (Pads::Same { upper }, Some(size)) => {
            let places = (size + found.stride - 1) / found.stride;
            let total = ((places - 1).max(0) * found.stride + found.reach() + 1 - size).max(0);
            let (small, large) = (total / 2, total - total / 2);
            if *upper { [small, large] } else { [large, small] }
        }
    };
    match size.map(|size| size + found.pads[0] + found.pads[1]) {
        Some(padded) if padded <= found.reach() => Err(format!(
            "the window spans {} elements along spatial axis {axis}, but the padded input has only {padded}",
            found.reach() + 1
        )),
        _ => Ok(found),
    }
}

/// The window along the last two axes.
fn last_two(window: &Window) -> Window {
    let first = window.rank() - 2;
    let pads = match &window.pads {
        Pads::Same { upper } => Pads::Same { upper: *upper },
        Pads::Explicit(pads) => {
            let (begins, ends) = pads.split_at(window.rank());
            Pads::Explicit([&begins[first..], &ends[first..]].concat())
        }
    };
    Window {
        kernel: window.kernel[first..].to_vec(),
        strides: window.strides[first..].to_vec(),
        dilations: window.dilations[first..].to_vec(),
        pads,
        ceil: false,
    }
}

/// [n, c, first.., last two], padded along the first, as [n, first.., c, last two].
fn first_axes_in_front(c: &mut Call<'_, '_>, x: ValueId, axes: &[Axis]) -> Step {
    let (first, rank) = (axes.len(), axes.len() + 4);
    let side = |end: usize| {
        let middle = axes.iter().map(move |axis| axis.pads[end]);
        [0, 0].into_iter().chain(middle).chain([0, 0])
    };
    let pads: Vec<i64> = side(0).chain(side(1)).collect();
    let padded = if pads.iter().all(|&pad| pad == 0) {
        x
    } else {
        let (pads, zero) = (c.ints(&pads)?, c.scalar_like(x, 0.0)?);
        c.emit(Op::Pad(PadMode::Constant), &[x, pads, zero])?
    };
    let order: Vec<usize> = [0].into_iter().chain(2..2 + first).chain([1, rank - 2, rank - 1]).collect();
    c.permute(padded, &order)
}

/// Every choice of a tap along each axis, the last one fastest.
fn combinations(axes: &[Axis]) -> Result<Vec<Vec<usize>>, String> {
    let count = axes.iter().try_fold(1_usize, |count, axis| count.checked_mul(axis.kernel));
    let count = count.filter(|&count| count <= MOST_TAPS).ok_or_else(|| {
        format!("its kernel has more than {MOST_TAPS} taps along the axes before the last two")
    })?;
    let mut all = Vec::with_capacity(count);
    for mut rest in 0..count {
        let mut taps = vec![0; axes.len()];
        for (tap, axis) in taps.iter_mut().zip(axes).rev() {
            (*tap, rest) = (rest % axis.kernel, rest / axis.kernel);
        }
        all.push(taps);
    }
    Ok(all)
}

/// The places along the first axes that these taps meet, one for each result.
fn shifted(c: &mut Call<'_, '_>, x: ValueId, axes: &[Axis], taps: &[usize]) -> Step {
    let (mut starts, mut ends) = (Vec::new(), Vec::new());
    for (axis, &tap) in axes.iter().zip(taps) {
        let start = tap as i64 * axis.dilation;
        let left = axis.reach() - start;
        starts.push(start);
        // What the taps behind this one need stays away from the end.
        ends.push(if left == 0 { i64::MAX } else { -left });
    }
    let along: Vec<i64> = (1..=axes.len() as i64).collect();
    let steps: Vec<i64> = axes.iter().map(|axis| axis.stride).collect();
    let operands = [x, c.ints(&starts)?, c.ints(&ends)?, c.ints(&along)?, c.ints(&steps)?];
    c.emit(Op::Slice, &operands)
}

/// [n, first.., c, last two] as [n · first, c, last two].
fn in_batch(c: &mut Call<'_, '_>, x: ValueId, first: usize) -> Step {
    let mut shape = vec![c.ints(&[1])?];
    for axis in 0..=first {
        let dim = c.dim(x, axis)?;
        shape[0] = c.binary(BinaryOp::Mul, shape[0], dim)?;
    }
    for axis in first + 1..first + 4 {
        shape.push(c.dim(x, axis)?);
    }
    c.reshape(x, &shape)
}

/// The weights of one tap along each of the first axes.
fn one_tap(c: &mut Call<'_, '_>, w: ValueId, taps: &[usize]) -> Step {
    let starts: Vec<i64> = taps.iter().map(|&tap| tap as i64).collect();
    let ends: Vec<i64> = starts.iter().map(|start| start + 1).collect();
    let along: Vec<i64> = (2..2 + taps.len() as i64).collect();
    let operands = [w, c.ints(&starts)?, c.ints(&ends)?, c.ints(&along)?, c.ints(&vec![1; taps.len()])?];
    let one = c.emit(Op::Slice, &operands)?;
    c.squeeze(one, &along)
}

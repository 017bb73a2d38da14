//! Convolutions: products over the taps, or sums of rows where every channel has filters of its own.

use std::borrow::Cow;

use bayplan_graph::DType;
use bayplan_shaders::{ConvSpec, Target};

use super::epilogue;
use super::matmul::finish;
use super::product::{MR, NR, Sizes, product, serial};
use crate::chain::repr;
use crate::parallel;
use crate::view::{Merged, View, elements, signed};

/// What of its weights a convolution reads.
pub(super) fn weights(spec: &ConvSpec, target: &Target) -> Vec<View> {
    let packing = spec.packed.then(|| spec.packing(target)).flatten();
    let Some(packing) = packing else {
        let [ky, kx] = spec.kernel;
        return vec![View::row(
            DType::F32,
            elements(&[spec.filters, spec.channels / spec.groups.max(1), ky, kx]),
        )];
    };
    let piece = |copy: &bayplan_shaders::CopySpec| View {
        dtype: DType::F32,
        base: copy.out_base,
        shape: copy.shape.clone(),
        strides: signed(&copy.out_strides),
    };
    packing.copies.iter().map(piece).collect()
}

/// The weights as the model has them: a rearrangement that a kernel asked for is undone.
pub(crate) fn unpacked<'a>(
    spec: &ConvSpec,
    words: &'a [u32],
    target: &Target,
) -> Result<Cow<'a, [u32]>, String> {
    if !spec.packed {
        return Ok(Cow::Borrowed(words));
    }
    let packing = spec.packing(target).ok_or("its weights are rearranged in an unknown way")?;
    let [ky, kx] = spec.kernel;
    let count = elements(&[spec.filters, spec.channels / spec.groups, ky, kx]) as usize;
    let mut plain = vec![0; count];
    for copy in &packing.copies {
        let merged = Merged::new(&copy.shape, &[copy.x_strides.clone(), signed(&copy.out_strides)]);
        let step = [0, 1].map(|side: usize| merged.strides[side].last().copied().unwrap_or(1));
        merged.segments(0, merged.count(), |at, count| {
            for i in 0..count as isize {
                let to = copy.x_base as isize + at[0] + i * step[0];
                let from = copy.out_base as isize + at[1] + i * step[1];
                plain[to as usize] = words[from as usize];
            }
        });
    }
    Ok(Cow::Owned(plain))
}

pub(super) fn compute(
    spec: &ConvSpec,
    operands: &[&[u32]],
    target: &Target,
    out: &mut [u32],
) -> Result<(), String> {
    let (x, w) = (operands[0], unpacked(spec, operands[1], target)?);
    let shape = [spec.batch, spec.filters, spec.output[0], spec.output[1]];
    let mut sums = vec![0.0_f32; elements(&shape) as usize];
    if spec.groups > 1 && spec.groups == spec.channels {
        depthwise(spec, x, &w, &mut sums)?;
    } else {
        grouped(spec, x, &w, &mut sums)?;
    }
    let applied = epilogue(&spec.epilogue, &shape, operands, 2)?;
    finish(&applied, repr(spec.epilogue.result)?.words() as usize, &sums, out)
}

/// Every filter over its one channel, a row of results at a time.
fn depthwise(spec: &ConvSpec, x: &[u32], w: &[u32], sums: &mut [f32]) -> Result<(), String> {
    let g = Geometry::of(spec);
    let per = (spec.filters / spec.groups) as usize;
    let (area, taps) = (g.input[0] * g.input[1], g.kernel[0] * g.kernel[1]);
    let work = 2 * (sums.len() as u64).saturating_mul(taps as u64);
    parallel::rows(sums, g.output[0] * g.output[1], work, |first, sums| {
        let mut line = vec![0.0_f64; g.output[1]];
        for (number, sums) in sums.chunks_exact_mut(g.output[0] * g.output[1]).enumerate() {
            let plane = first + number;
            let (image, filter) = (plane / spec.filters as usize, plane % spec.filters as usize);
            let x = &x[(image * spec.channels as usize + filter / per) * area..][..area];
            let w = &w[filter * taps..][..taps];
            for (oy, sums) in sums.chunks_exact_mut(g.output[1]).enumerate() {
                line.fill(0.0);
                for (ky, w) in w.chunks_exact(g.kernel[1]).enumerate() {
                    let Some(y) = g.at(0, oy, ky) else { continue };
                    let row = &x[y * g.input[1]..][..g.input[1]];
                    for (kx, w) in w.iter().enumerate() {
                        g.add_row(&mut line, row, kx, f64::from(f32::from_bits(*w)));
                    }
                }
                sums.iter_mut().zip(&line).for_each(|(out, sum)| *out = *sum as f32);
            }
        }
        Ok(())
    })
}

/// A product over channels and taps for each image and group.
fn grouped(spec: &ConvSpec, x: &[u32], w: &[u32], sums: &mut [f32]) -> Result<(), String> {
    let g = Geometry::of(spec);
    let groups = spec.groups as usize;
    let (channels, filters) = (spec.channels as usize / groups, spec.filters as usize / groups);
    let (area, taps, pixels) =
        (g.input[0] * g.input[1], g.kernel[0] * g.kernel[1], g.output[0] * g.output[1]);
    let sizes = Sizes { m: filters, n: pixels, k: channels * taps };
    let one = |number: usize, sums: &mut [f32], share: bool| {
        let group = number % groups;
        let x = &x[number * channels * area..][..channels * area];
        let w = &w[group * filters * sizes.k..][..filters * sizes.k];
        let pack_a = |first: usize, lanes: usize, panel: &mut [f32]| {
            for lane in 0..lanes {
                let row = &w[(first + lane) * sizes.k..][..sizes.k];
                let out = panel[lane..].iter_mut().step_by(MR);
                out.zip(row).for_each(|(out, word)| *out = f32::from_bits(*word));
            }
        };
        let pack_b = |first: usize, lanes: usize, panel: &mut [f32]| g.pack(x, first, lanes, panel);
        if share {
            product(sizes, &pack_a, &pack_b, sums)
        } else {
            serial(sizes, &pack_a, &pack_b, sums);
            Ok(())
        }
    };
    let count = spec.batch as usize * groups;
    if count < 2 {
        return one(0, sums, true);
    }
    let work = sizes.work().saturating_mul(count as u64);
    parallel::rows(sums, filters * pixels, work, |first, sums| {
        let parts = sums.chunks_exact_mut(filters * pixels).enumerate();
        parts.into_iter().try_for_each(|(number, sums)| one(first + number, sums, false))
    })
}

/// Where taps lie.
struct Geometry {
    input: [usize; 2],
    output: [usize; 2],
    kernel: [usize; 2],
    strides: [usize; 2],
    dilations: [usize; 2],
    pads: [usize; 2],
}

impl Geometry {
    fn of(spec: &ConvSpec) -> Self {
        let both = |list: [u64; 2]| list.map(|size| size as usize);
        Self {
            input: both(spec.input),
            output: both(spec.output),
            kernel: both(spec.kernel),
            strides: both(spec.strides),
            dilations: both(spec.dilations),
            pads: both(spec.pads),
        }
    }

    /// Where in the input a tap of an output lies along an axis, if it lies there.
    fn at(&self, axis: usize, output: usize, tap: usize) -> Option<usize> {
        let at = (output * self.strides[axis] + tap * self.dilations[axis]).checked_sub(self.pads[axis])?;
        (at < self.input[axis]).then_some(at)
    }

    /// The outputs of a row whose tap lies in the input.
    fn inside(&self, tap: usize) -> std::ops::Range<usize> {
        let (stride, shift) = (self.strides[1], tap * self.dilations[1]);
        let first = self.pads[1].saturating_sub(shift).div_ceil(stride);
        // The first output whose tap lies behind the input.
        let behind = (self.input[1] + self.pads[1]).saturating_sub(shift).div_ceil(stride);
        first.min(self.output[1])..behind.clamp(first.min(self.output[1]), self.output[1])
    }

    /// Adds a tap's share to a row of results.
    fn add_row(&self, line: &mut [f64], row: &[u32], tap: usize, weight: f64) {
        let inside = self.inside(tap);
        if inside.is_empty() {
            return;
        }
        let from = inside.start * self.strides[1] + tap * self.dilations[1] - self.pads[1];
        let values = row[from..].iter().step_by(self.strides[1]);
        line[inside].iter_mut().zip(values).for_each(|(sum, word)| {
            *sum += weight * f64::from(f32::from_bits(*word));
        });
    }

    /// Some pixels' taps in all channels, as a panel of B.
    fn pack(&self, x: &[u32], first: usize, lanes: usize, panel: &mut [f32]) {
        let (area, width) = (self.input[0] * self.input[1], self.output[1]);
        if self.kernel == [1, 1] && self.strides == [1, 1] && self.pads == [0, 0] && self.input == self.output
        {
            for (x, out) in x.chunks_exact(area).zip(panel.chunks_exact_mut(NR)) {
                out.iter_mut().zip(&x[first..first + lanes]).for_each(|(out, v)| *out = f32::from_bits(*v));
            }
            return;
        }
        let places: Vec<(usize, usize)> =
            (first..first + lanes).map(|pixel| (pixel / width, pixel % width)).collect();
        let mut steps = panel.chunks_exact_mut(NR);
        // The place of each lane's tap is the same in every channel.
        let mut taps = Vec::with_capacity(self.kernel[0] * self.kernel[1]);
        for ky in 0..self.kernel[0] {
            for kx in 0..self.kernel[1] {
                let mut own = [usize::MAX; NR];
                for (own, &(oy, ox)) in own.iter_mut().zip(&places) {
                    if let (Some(y), Some(x)) = (self.at(0, oy, ky), self.at(1, ox, kx)) {
                        *own = y * self.input[1] + x;
                    }
                }
                taps.push(own);
            }
        }
        for x in x.chunks_exact(area) {
            for (taps, out) in taps.iter().zip(&mut steps) {
                for (out, &at) in out.iter_mut().zip(taps) {
                    *out = x.get(at).map_or(0.0, |word| f32::from_bits(*word));
                }
            }
        }
    }
}

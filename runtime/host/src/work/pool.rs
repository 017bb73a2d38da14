//! Pooling: maximum and mean of windows.

use bayplan_graph::op::PoolKind;
use bayplan_shaders::PoolSpec;

use crate::column::rounded;
use crate::parallel;

/// One axis of a window.
#[derive(Clone, Copy)]
pub(crate) struct Axis {
    pub(crate) input: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
    pub(crate) before: usize,
    pub(crate) after: usize,
}

impl Axis {
    pub(crate) fn of(spec: &PoolSpec, axis: usize) -> Self {
        Self {
            input: spec.input[axis] as usize,
            kernel: spec.kernel[axis] as usize,
            stride: spec.strides[axis] as usize,
            dilation: spec.dilations[axis] as usize,
            before: spec.pads[axis] as usize,
            after: spec.pads_end[axis] as usize,
        }
    }

    /// Where in the input each tap of an output lies.
    pub(crate) fn taps(self, output: usize) -> impl Iterator<Item = usize> {
        self.numbered(output).map(|(_, at)| at)
    }

    /// The same with the numbers of the taps.
    pub(crate) fn numbered(self, output: usize) -> impl Iterator<Item = (usize, usize)> {
        let at = move |tap: usize| {
            let at = (output * self.stride + tap * self.dilation).checked_sub(self.before)?;
            (at < self.input).then_some((tap, at))
        };
        (0..self.kernel).filter_map(at)
    }

    /// Taps of an output that lie in the input or its padding.
    pub(crate) fn counted(self, output: usize) -> usize {
        let end = self.before + self.input + self.after;
        (0..self.kernel).filter(|tap| output * self.stride + tap * self.dilation < end).count()
    }
}

pub(super) fn compute(spec: &PoolSpec, operands: &[&[u32]], out: &mut [u32]) -> Result<(), String> {
    let x = operands[0];
    let [rows, columns] = [0, 1].map(|axis| Axis::of(spec, axis));
    let (height, width) = (spec.output[0] as usize, spec.output[1] as usize);
    let area = rows.input * columns.input;
    // Which columns of the input each output's window holds is the same in every row.
    let across: Vec<Vec<usize>> = (0..width).map(|ox| columns.taps(ox).collect()).collect();
    let work = (out.len() as u64).saturating_mul(spec.kernel[0]).saturating_mul(spec.kernel[1]);
    parallel::rows(out, width, work.saturating_mul(2), |first, out| {
        for (index, line) in out.chunks_mut(width).enumerate() {
            let (plane, oy) = ((first + index) / height, (first + index) % height);
            let down: Vec<&[u32]> =
                rows.taps(oy).map(|y| &x[plane * area + y * columns.input..][..columns.input]).collect();
            for ((ox, out), across) in line.iter_mut().enumerate().zip(&across) {
                let taps = down.iter().flat_map(|row| across.iter().map(|&x| f32::from_bits(row[x])));
                let made = match spec.kind {
                    PoolKind::Sum => taps.map(f64::from).sum::<f64>() as f32,
                    PoolKind::Max => taps.fold(f32::NEG_INFINITY, larger),
                    PoolKind::Average { count_pad } => {
                        let counted = if count_pad {
                            rows.counted(oy) * columns.counted(ox)
                        } else {
                            down.len() * across.len()
                        };
                        (taps.map(f64::from).sum::<f64>() / counted as f64) as f32
                    }
                    PoolKind::Index => {
                        let place = |y: usize| across.iter().map(move |x| y * columns.input + x);
                        let places: Vec<usize> = rows.taps(oy).flat_map(place).collect();
                        *out = first_maximum(taps.map(f64::from)).map_or(u32::MAX, |i| places[i] as u32);
                        continue;
                    }
                };
                *out = rounded(spec.dtype, made).to_bits();
            }
        }
        Ok(())
    })
}

/// The number of the first maximum, or of the first element where none is above negative infinity. NaNs are no maximum.
pub(crate) fn first_maximum(values: impl Iterator<Item = f64>) -> Option<usize> {
    let mut best = None;
    let mut most = f64::NEG_INFINITY;
    for (i, v) in values.enumerate() {
        if v > most || best.is_none() {
            (best, most) = (Some(i), most.max(v));
        }
    }
    best
}

/// The larger of two; NaN is larger than all.
fn larger(most: f32, v: f32) -> f32 {
    if v > most || v.is_nan() { v } else { most }
}

//! Matrix products and convolution.

use bayplan_expr::Expr;
use bayplan_graph::op::{BinaryOp, Pads, Window};
use bayplan_graph::{Op, ValueId};

use super::Row;
use super::transposed::conv_transpose;
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] = &[
    Row::new("Conv", 7, conv),
    Row::new("ConvTranspose", 7, conv_transpose),
    Row::new("Gemm", 7, gemm),
    Row::new("MatMul", 7, matmul),
];

fn matmul(c: &mut Call<'_, '_>) -> Built {
    let (a, b) = (c.input(0)?, c.input(1)?);
    Ok(vec![c.emit(Op::MatMul, &[a, b])?])
}

/// alpha · A' · B' + beta · C
fn gemm(c: &mut Call<'_, '_>) -> Built {
    let mut sides = [c.input(0)?, c.input(1)?];
    for (side, name) in sides.iter_mut().zip(["transA", "transB"]) {
        if c.attributes().int_or(name, 0)? != 0 {
            *side = c.emit(Op::Transpose(vec![1, 0]), &[*side])?;
        }
    }
    let product = c.emit(Op::MatMul, &sides)?;
    let product = scaled(c, product, "alpha")?;
    // As in BLAS, beta = 0 means that C is not read: its NaNs and infinities do not count.
    let unread = c.attributes().float_or("beta", 1.0)? == 0.0;
    match c.optional(2)?.filter(|_| !unread) {
        None => Ok(vec![product]),
        Some(bias) => {
            let bias = scaled(c, bias, "beta")?;
            Ok(vec![c.binary(BinaryOp::Add, product, bias)?])
        }
    }
}

fn scaled(c: &mut Call<'_, '_>, x: ValueId, name: &str) -> Result<ValueId, String> {
    let factor = c.attributes().float_or(name, 1.0)?;
    if factor == 1.0 { Ok(x) } else { c.with(BinaryOp::Mul, x, factor.into()) }
}

fn conv(c: &mut Call<'_, '_>) -> Built {
    let (x, w) = (c.input(0)?, c.input(1)?);
    let weight = c.shape(w)?;
    let kernel = c.kernel(&weight)?;
    let window = c.window(kernel)?;
    let groups = c.groups()?;
    let spatial = window.rank();
    let y = c.convolved(&window, groups, x, w)?;
    match c.optional(2)? {
        None => Ok(vec![y]),
        Some(bias) => {
            let bias = c.per_channel(bias, spatial)?;
            Ok(vec![c.binary(BinaryOp::Add, y, bias)?])
        }
    }
}

impl Call<'_, '_> {
    /// The taps of a convolution along each spatial axis: as the node says, or as many as the weight has.
    pub(super) fn kernel(&self, weight: &[Expr]) -> Result<Vec<usize>, String> {
        if let Some(kernel) = self.attributes().sizes("kernel_shape", 1)? {
            return Ok(kernel);
        }
        let size = |dim: &Expr| dim.as_const().and_then(|v| usize::try_from(v).ok());
        let sizes = weight.iter().skip(2).map(size).collect::<Option<_>>();
        sizes.ok_or_else(|| "the kernel's size must be known".to_owned())
    }

    /// The groups of a convolution.
    pub(super) fn groups(&self) -> Result<usize, String> {
        let groups = self.attributes().int_or("group", 1)?;
        let groups = usize::try_from(groups).ok().filter(|&groups| groups > 0);
        groups.ok_or_else(|| "attribute `group` must be at least 1".to_owned())
    }

    /// A vector [c] as [c, 1, …] so that it broadcasts over the spatial axes of [n, c, spatial…].
    pub(super) fn per_channel(&mut self, x: ValueId, spatial: usize) -> Result<ValueId, String> {
        if spatial == 0 {
            return Ok(x);
        }
        let axes: Vec<i64> = (1..=spatial as i64).collect();
        self.unsqueeze(x, &axes)
    }

    /// The window of a convolution or pooling from the node's attributes.
    pub(super) fn window(&self, kernel: Vec<usize>) -> Result<Window, String> {
        let (a, rank) = (self.attributes(), kernel.len());
        if rank == 0 || rank > bayplan_graph::MAX_RANK {
            return Err(format!("a window of {rank} axes is not supported"));
        }
        let list = |name: &str| -> Result<Vec<usize>, String> {
            let list = a.sizes(name, 1)?.unwrap_or_else(|| vec![1; rank]);
            if list.len() == rank {
                Ok(list)
            } else {
                Err(format!("attribute `{name}` has {} entries, but the window has {rank} axes", list.len()))
            }
        };
        let pads = match a.text("auto_pad")? {
            None | Some("" | "NOTSET") => {
                let pads = a.ints("pads")?.map_or_else(|| vec![0; 2 * rank], <[i64]>::to_vec);
                if pads.len() != 2 * rank {
                    let n = pads.len();
                    return Err(format!(
                        "attribute `pads` has {n} entries, but the window needs {}",
                        2 * rank
                    ));
                }
                if let Some(pad) = pads.iter().find(|p| p.abs() > i64::from(i32::MAX)) {
                    return Err(format!("a pad of {pad} is above the limit of 2^31-1"));
                }
                Pads::Explicit(pads)
            }
            Some("VALID") => Pads::Explicit(vec![0; 2 * rank]),
            Some("SAME_UPPER") => Pads::Same { upper: true },
            Some("SAME_LOWER") => Pads::Same { upper: false },
            Some(other) => return Err(format!("auto_pad `{other}` is not known")),
        };
        Ok(Window { strides: list("strides")?, dilations: list("dilations")?, kernel, pads, ceil: false })
    }
}

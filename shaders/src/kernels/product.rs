//! What matrix products and convolutions share: a batch of products, whose right operand may be an image.

use core::fmt::Write as _;

use crate::epilogue::Epilogue;
use crate::source::Source;
use crate::strides;
use crate::tape::Taped;
use crate::tape::specs::{Chain, ConvSpec, MatMulSpec};
use crate::{Access, Refusal, Slot, chain};

/// Largest extent of images, padding and windows: coordinates are `i32`.
pub(crate) const MAX_EXTENT: u64 = 1 << 30;

/// `out[batch, m, n] = epilogue(Σ_k a[batch, m, k] · b[batch, k, n])`.
pub(crate) struct Problem<'a> {
    /// What it is, in names and refusals.
    pub(crate) what: &'static str,
    /// Batch dimensions.
    pub(crate) batch: Vec<Taped>,
    pub(crate) m: Taped,
    pub(crate) n: Taped,
    pub(crate) k: Taped,
    /// Strides of a: one per batch dimension, then m, then k.
    pub(crate) a_strides: Vec<Taped>,
    /// Strides of b: one per batch dimension, then k, then n (the last two unused for an image).
    pub(crate) b_strides: Vec<Taped>,
    /// The spec's operands that a and b are.
    pub(crate) operands: [u32; 2],
    /// Dimensions of the result that n counts through.
    pub(crate) columns: Vec<Taped>,
    pub(crate) epilogue: Chain,
    /// b's element (k, n) is a tap of an image.
    pub(crate) image: Option<&'a ConvSpec>,
}

impl Problem<'static> {
    /// A matrix product.
    pub(crate) fn matmul(spec: &MatMulSpec, src: &Source<'_>) -> Result<Self, Refusal> {
        let want = spec.batch.len() + 2;
        for (name, strides) in [("a", &spec.a_strides), ("b", &spec.b_strides)] {
            if strides.len() != want {
                return Err(src
                    .refuse(format!("{name} has {} strides, the product {want} dimensions", strides.len())));
            }
        }
        Ok(Self {
            what: "matmul",
            batch: spec.batch.clone(),
            m: spec.m,
            n: spec.n,
            k: spec.k,
            a_strides: spec.a_strides.clone(),
            b_strides: spec.b_strides.clone(),
            operands: [0, 1],
            columns: vec![spec.n],
            epilogue: spec.epilogue.clone(),
            image: None,
        })
    }
}

impl<'a> Problem<'a> {
    /// A convolution: weights times image, a product for each image and group.
    pub(crate) fn conv(spec: &'a ConvSpec, src: &Source<'_>) -> Result<Self, Refusal> {
        let groups = spec.groups.max(1);
        if !spec.filters.is_multiple_of(groups) || !spec.channels.is_multiple_of(groups) {
            let (filters, channels) = (spec.filters, spec.channels);
            return Err(src.refuse(format!(
                "{groups:?} groups do not divide {channels:?} channels and {filters:?} filters"
            )));
        }
        let (filters, channels) = (spec.filters / groups, spec.channels / groups);
        let plane = strides::elements(&spec.input);
        let pixels = strides::elements(&spec.output);
        let k = strides::elements(&[channels, spec.kernel[0], spec.kernel[1]]);
        let mut epilogue = spec.epilogue.clone();
        for operand in &mut epilogue.operands {
            // The filters become groups and filters of a group.
            if let [_, f, _, _] = operand.strides[..] {
                operand.strides.insert(1, f.saturating_mul(filters));
            }
        }
        let pointwise = is_pointwise(spec);
        Ok(Self {
            what: "conv",
            batch: vec![spec.batch, groups],
            m: filters,
            n: pixels,
            k,
            a_strides: vec![0.into(), filters * k, k, 1.into()],
            b_strides: vec![
                spec.channels.saturating_mul(plane),
                channels.saturating_mul(plane),
                if pointwise { plane } else { 0.into() },
                u64::from(pointwise).into(),
            ],
            operands: [1, 0],
            columns: spec.output.to_vec(),
            epilogue,
            image: (!pointwise).then_some(spec),
        })
    }

    /// Words of a.
    pub(crate) fn a_words(&self) -> Taped {
        strides::extent(&[&self.batch[..], &[self.m, self.k]].concat(), &self.a_strides)
    }

    /// Words of b.
    pub(crate) fn b_words(&self) -> Taped {
        match self.image {
            Some(spec) => strides::elements(&[spec.batch, spec.channels, spec.input[0], spec.input[1]]),
            None => strides::extent(&[&self.batch[..], &[self.k, self.n]].concat(), &self.b_strides),
        }
    }

    /// The strides of a along (m, k) and of b along (k, n).
    pub(crate) fn inner(&self) -> [Taped; 4] {
        let rank = self.batch.len();
        [self.a_strides[rank], self.a_strides[rank + 1], self.b_strides[rank], self.b_strides[rank + 1]]
    }

    /// Binds `b0` (a) and `b1` (b), adds the sizes and strides as parameters, and the epilogue.
    pub(crate) fn begin(&self, src: &mut Source<'_>, a_kind: &str, b_kind: &str) -> Result<(), Refusal> {
        self.bind(src, [a_kind, b_kind], 1)?;
        let dims = [&self.batch[..], core::slice::from_ref(&self.m), &self.columns[..]];
        Epilogue::of_product(&self.epilogue, dims, self.n.is_multiple_of(4)).write(src, "f32", false, true)
    }

    /// The same for elements of any type, of so many words, and an epilogue over single results.
    pub(crate) fn begin_one_by_one(
        &self,
        src: &mut Source<'_>,
        kind: &str,
        words: u64,
    ) -> Result<(), Refusal> {
        self.bind(src, [kind, kind], words)?;
        let dims = [&self.batch[..], core::slice::from_ref(&self.m), &self.columns[..]];
        Epilogue::of_product(&self.epilogue, dims, false).write(src, kind, true, false)
    }

    /// Binds the operands and adds the sizes and strides as parameters.
    fn bind(&self, src: &mut Source<'_>, kinds: [&str; 2], words: u64) -> Result<(), Refusal> {
        src.bind(Slot::Operand(self.operands[0]), Access::Read, kinds[0], self.a_words() * words)?;
        src.bind(Slot::Operand(self.operands[1]), Access::Read, kinds[1], self.b_words() * words)?;
        let [am, ak, bk, bn] = self.inner();
        let sizes = [("m", self.m), ("n", self.n), ("k", self.k)];
        for (name, value) in sizes.into_iter().chain([("am", am), ("ak", ak), ("bk", bk), ("bn", bn)]) {
            src.size(name, value)?;
        }
        if let Some(spec) = self.image {
            image_params(spec, src)?;
        }
        Ok(())
    }

    /// The grid over blocks of `rows` by `cols`: statements for `row0`, `col0`, `z`, `a_at` and `b_at` (the first elements
    /// of batch `z`), and the number of workgroups. Blocks of one stripe of columns follow each other, so that `b` stays
    /// in a cache.
    pub(crate) fn grid(
        &self,
        src: &mut Source<'_>,
        rows: u32,
        cols: u32,
    ) -> Result<(String, Taped), Refusal> {
        let down = self.m.div_ceil(Taped::from(rows));
        let across = self.n.div_ceil(Taped::from(cols));
        let groups = strides::elements(&self.batch).saturating_mul(down).saturating_mul(across);
        for (name, value) in [("down", down), ("across", across), ("groups", groups)] {
            src.size(name, value)?;
        }
        let mut body = format!(
            "if (group >= p.groups) {{ return; }}\n\
             let row0 = (group % p.down) * {rows}u;\nlet stripe = group / p.down;\n\
             let col0 = (stripe % p.across) * {cols}u;\nlet z = stripe / p.across;\n"
        );
        let rank = self.batch.len();
        let (a, b) = (self.a_strides[..rank].to_vec(), self.b_strides[..rank].to_vec());
        let merged = strides::merge(&self.batch, &[a, b]);
        strides::take_apart(src, &mut body, "z", &merged.shape, "z")?;
        let a = strides::dot(src, "z", &merged.strides[0])?;
        let b = strides::dot(src, "z", &merged.strides[1])?;
        let _ = writeln!(body, "let a_at = {a};\nlet b_at = {b};");
        Ok((body, groups))
    }

    /// Arithmetic, with the epilogue.
    pub(crate) fn flops(&self) -> Taped {
        let results = strides::elements(&self.batch).saturating_mul(self.m).saturating_mul(self.n);
        results.saturating_mul(self.k.saturating_mul(2).saturating_add(chain::flops(&self.epilogue)))
    }
}

/// Whether a convolution is a product of weights and pixels as they lie.
pub(crate) fn is_pointwise(spec: &ConvSpec) -> bool {
    spec.kernel == [1, 1] && spec.strides == [1, 1] && spec.pads == [0, 0] && spec.input == spec.output
}

/// Whether some tap lies outside the image.
pub(crate) fn is_padded(spec: &ConvSpec) -> bool {
    (0..2).any(|d| {
        let last = spec.output[d].saturating_sub(1).saturating_mul(spec.strides[d]);
        let reach = last.saturating_add(spec.kernel[d].saturating_sub(1).saturating_mul(spec.dilations[d]));
        spec.pads[d] > 0 || reach >= spec.input[d]
    })
}

/// Parameters of the image and the window.
pub(crate) fn image_params(spec: &ConvSpec, src: &mut Source<'_>) -> Result<(), Refusal> {
    for (d, axis) in ["y", "x"].iter().enumerate() {
        let values = [
            ("in", spec.input[d]),
            ("out", spec.output[d]),
            ("taps", spec.kernel[d]),
            ("step", spec.strides[d]),
            ("gap", spec.dilations[d]),
            ("pad", spec.pads[d]),
        ];
        for (name, value) in values {
            if value > MAX_EXTENT {
                return Err(src.refuse(format!("{name}_{axis} = {value:?} is beyond {MAX_EXTENT}")));
            }
            src.size(&format!("{name}_{axis}"), value)?;
        }
    }
    Ok(())
}

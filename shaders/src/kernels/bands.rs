//! Windows over planes of an image on CPU drivers.
//!
//! An invocation computes a band of rows by four neighbouring pixels. Such drivers load a `vec4` in about the time of a
//! scalar, so every row that the band's windows cover is loaded as the `vec4`s that hold it; where rows of the image start
//! at any multiple of a word, two steps of selection move the values into place.

use core::fmt::Write as _;

use bayplan_graph::op::PoolKind;

use crate::tape::Taped;
use crate::tape::specs::{ConvSpec, PoolSpec};
use crate::{Class, Target};

/// Most values of a row, and rows, that one band reads: they are written out in the text.
const MOST: u64 = 16;

/// What a text is written for: all else are parameters.
pub(crate) struct Bands {
    /// Rows of the result per invocation.
    pub(crate) band: u64,
    /// Taps, vertically and horizontally.
    pub(crate) taps: [u64; 2],
    /// Steps.
    pub(crate) step: [u64; 2],
    /// Distance of a row's first value from a whole `vec4`, if it is the same everywhere.
    phase: Option<u64>,
}

impl Bands {
    /// The windows of a convolution, if such a text serves them.
    pub(crate) fn of_conv(spec: &ConvSpec, target: &Target) -> Option<Self> {
        let image = [spec.output[0], spec.input[1], spec.pads[1]];
        Self::new(image, [spec.kernel, spec.strides, spec.dilations], target)
    }

    /// The windows of a pooling, if such a text serves them.
    pub(crate) fn of_pool(spec: &PoolSpec, target: &Target) -> Option<Self> {
        if spec.kind == PoolKind::Index {
            return None;
        }
        let image = [spec.output[0], spec.input[1], spec.pads[1]];
        Self::new(image, [spec.kernel, spec.strides, spec.dilations], target)
    }

    fn new(
        [rows, width, pad]: [Taped; 3],
        [taps, step, gap]: [[Taped; 2]; 3],
        target: &Target,
    ) -> Option<Self> {
        if target.class != Class::Cpu {
            return None;
        }
        let phase = width.is_multiple_of(4).then(|| (4 - (pad % 4).pin()) % 4);
        let (taps, step) = (taps.map(Taped::pin), step.map(Taped::pin));
        let bands = Self { band: if rows == 1 { 1 } else { 4 }, taps, step, phase };
        (gap == [1, 1] && bands.span() <= MOST && bands.rows() <= MOST).then_some(bands)
    }

    /// Values of a row that four pixels read.
    pub(crate) fn span(&self) -> u64 {
        self.step[1].saturating_mul(3).saturating_add(self.taps[1])
    }

    /// Rows that a band reads.
    pub(crate) fn rows(&self) -> u64 {
        self.step[0].saturating_mul(self.band - 1).saturating_add(self.taps[0])
    }

    /// Part of a kernel's name: taps, steps, where rows start.
    pub(crate) fn label(&self) -> String {
        let ([down, across], [step_y, step_x]) = (self.taps, self.step);
        let phase = self.phase.map_or(".any".into(), |phase| format!(".from{phase}"));
        format!("{down}x{across}by{step_y}x{step_x}{phase}")
    }

    /// Before the rows: of the band at (`plane`, `oy`, `ox`), whose plane of the image is `channel`, the first tap's
    /// coordinates `top` and `x0` and its index `first` (which may lie outside: they wrap), and whether column `j` of its
    /// taps is inside, `inJ`. A coordinate before the image has wrapped to a great number.
    pub(crate) fn places(&self, body: &mut String) {
        body.push_str(
            "let x0 = ox * p.step_x - p.pad_x;\nlet top = oy * p.step_y - p.pad_y;\n\
             let first = channel * p.in_y * p.in_x + x0;\n",
        );
        for j in 0..self.span() {
            let _ = writeln!(body, "let in{j} = x0 + {j}u < p.in_x;");
        }
    }

    /// Loads row `r` of the band's taps from `b0`: for every tap of a row the values of the four pixels, `tR_KX`, and
    /// `outside` where they are not in the image.
    pub(crate) fn row(&self, body: &mut String, r: u64, outside: &str) {
        let name = format!("r{r}_");
        let _ = writeln!(body, "let y{r} = top + {r}u;\nlet at_{name} = first + y{r} * p.in_x;");
        values(body, [&name, "b0", "p.last_x"], self.span(), self.phase);
        let _ = writeln!(body, "let iny{r} = y{r} < p.in_y;");
        for j in 0..self.span() {
            let _ = writeln!(body, "let v{r}_{j} = select({outside}, {name}{j}, in{j} & iny{r});");
        }
        for kx in 0..self.taps[1] {
            let parts = [0, 1, 2, 3].map(|j| format!("v{r}_{}", kx + j * self.step[1])).join(", ");
            let _ = writeln!(body, "let t{r}_{kx} = vec4<f32>({parts});");
        }
    }

    /// The rows of the result that row `r` of the taps is part of, with the number of the tap in their window.
    pub(crate) fn results(&self, r: u64) -> impl Iterator<Item = (u64, u64)> {
        let (step, taps) = (self.step[0], self.taps[0]);
        (0..self.band).filter_map(move |o| Some((o, r.checked_sub(o * step).filter(|&ky| ky < taps)?)))
    }
}

/// `count` consecutive words `NAME0, NAME1, …` of an array of `vec4`s from word `at_NAME` on, which is so far from a
/// whole `vec4`, or anywhere. `vec4`s outside the array are read as some inside it.
pub(crate) fn values(body: &mut String, [name, array, last]: [&str; 3], count: u64, phase: Option<u64>) {
    let _ = writeln!(body, "let q_{name} = bitcast<i32>(at_{name}) >> 2u;");
    let loads = (phase.unwrap_or(3) + count).div_ceil(4);
    for j in 0..loads {
        let _ = writeln!(body, "let m_{name}{j} = {array}.d[min(bitcast<u32>(q_{name} + {j}), {last})];");
    }
    let word = |j: u64| format!("m_{name}{}.{}", j / 4, ["x", "y", "z", "w"][(j % 4) as usize]);
    if let Some(phase) = phase {
        for j in 0..count {
            let _ = writeln!(body, "let {name}{j} = {};", word(j + phase));
        }
        return;
    }
    let _ =
        writeln!(body, "let one_{name} = (at_{name} & 1u) != 0u;\nlet two_{name} = (at_{name} & 2u) != 0u;");
    for j in 0..count + 2 {
        let _ = writeln!(body, "let s_{name}{j} = select({}, {}, one_{name});", word(j), word(j + 1));
    }
    for j in 0..count {
        let _ = writeln!(body, "let {name}{j} = select(s_{name}{j}, s_{name}{}, two_{name});", j + 2);
    }
}

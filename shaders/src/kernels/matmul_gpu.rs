//! Matrix products, and convolutions as such, on everything but CPU drivers: tiles in shared memory, four by four results per invocation, any strides.

use core::fmt::Write as _;

use crate::chain;
use crate::kernels::product::Problem;
use crate::source::Written;
use crate::source::{Source, Workgroup};
use crate::tape::specs::MatMulSpec;
use crate::{Refusal, Target};

/// Steps of k per tile.
pub(crate) const DEPTH: u32 = 16;

/// Edge of the square tile of results, a multiple of 4: one invocation per 4×4 of it.
pub(crate) fn edge(target: &Target) -> Option<u32> {
    [64_u32, 32, 16].into_iter().find(|edge| {
        let invocations = (edge / 4).pow(2);
        let shared = 2 * edge * DEPTH * 4;
        invocations <= target.max_workgroup_invocations
            && invocations <= target.max_workgroup_size[0]
            && shared <= target.max_shared_memory
    })
}

/// Writes the kernel of a matrix product.
pub(crate) fn build(spec: &MatMulSpec, target: &Target) -> Result<Written, Refusal> {
    let src = Source::new("matmul", target);
    let problem = Problem::matmul(spec, &src)?;
    build_problem(&problem, src)
}

/// Writes the kernel.
pub(crate) fn build_problem(problem: &Problem<'_>, mut src: Source<'_>) -> Result<Written, Refusal> {
    let target = src.target();
    let Some(edge) = edge(target) else {
        let (invocations, shared) = (target.max_workgroup_invocations, target.max_shared_memory);
        return Err(src.refuse(format!(
            "workgroups of {invocations} with {shared} bytes of shared memory are too small"
        )));
    };
    problem.begin(&mut src, "f32", "f32")?;
    let (mut body, groups) = problem.grid(&mut src, edge, edge)?;
    let [_, ak, _, bn] = problem.inner();
    let image = problem.image.is_some();
    let b_load =
        if image { "image_at(kk, col0 + r, b_at)" } else { "b1.d[b_at + (col0 + r) * p.bn + kk * p.bk]" };
    if image {
        src.function("image_at", IMAGE_AT.to_owned());
    }
    let a = Side {
        array: "sa",
        load: "b0.d[a_at + (row0 + r) * p.am + kk * p.ak]",
        first: "row0",
        size: "p.m",
        along_k: ak == 1,
    };
    let b = Side { array: "sb", load: b_load, first: "col0", size: "p.n", along_k: bn != 1 && !image };
    tile(&mut src, &mut body, edge, &[a, b]);
    let _ = write!(
        body,
        "let row = row0 + ty * 4u;\nlet col = col0 + tx * 4u;\nif (col >= p.n) {{ return; }}\n\
         let keep = min(p.n - col, 4u);\nlet out = (z * p.m + row) * p.n + col;\n"
    );
    for r in 0..4 {
        let _ = writeln!(
            body,
            "if (row + {r}u < p.m) {{ put4(acc{r}, z, row + {r}u, col, out + {r}u * p.n, keep); }}"
        );
    }
    let b = if image {
        "image"
    } else if bn == 1 {
        "n"
    } else {
        "k"
    };
    let name = format!("{}.gpu.{edge}x{edge}.a{}b{b}", problem.what, if ak == 1 { "k" } else { "m" });
    let name = name + &chain::label(&problem.epilogue);
    let shape = Workgroup::of((edge / 4).pow(2));
    src.finish(name, &body, shape, groups, problem.flops())
}

/// Tap `kk` of pixel `px`, 0 outside the image. A coordinate before the image has wrapped to a great number.
const IMAGE_AT: &str = "fn image_at(kk: u32, px: u32, at: u32) -> f32 {
let kx = kk % p.taps_x;
let rest = kk / p.taps_x;
let y = (px / p.out_x) * p.step_y - p.pad_y + (rest % p.taps_y) * p.gap_y;
let x = (px % p.out_x) * p.step_x - p.pad_x + kx * p.gap_x;
if (y >= p.in_y || x >= p.in_x) { return 0.0; }
return b1.d[at + ((rest / p.taps_y) * p.in_y + y) * p.in_x + x];
}";

/// One operand of a tile.
pub(crate) struct Side<'a> {
    /// The array in shared memory.
    pub(crate) array: &'a str,
    /// Text of the element at (`r`, `kk`), inside the operand.
    pub(crate) load: &'a str,
    /// Text of the tile's first row (or column).
    pub(crate) first: &'a str,
    /// Text of the number of rows (or columns).
    pub(crate) size: &'a str,
    /// Whether neighbouring invocations load along k.
    pub(crate) along_k: bool,
}

/// The sum over k of one tile, `acc0..3` of the invocation at (`ty`, `tx`). Both sides are in shared memory with k
/// outermost; what lies outside reads as 0.
pub(crate) fn tile(src: &mut Source<'_>, body: &mut String, edge: u32, sides: &[Side<'_>; 2]) {
    let invocations = (edge / 4).pow(2);
    let quads = edge / 4;
    for side in sides {
        let text = format!("var<workgroup> {}: array<vec4<f32>, {}>;", side.array, DEPTH * quads);
        src.function(side.array, text);
    }
    let _ = writeln!(body, "let tx = lane % {quads}u;\nlet ty = lane / {quads}u;");
    for r in 0..4 {
        let _ = writeln!(body, "var acc{r} = vec4<f32>();");
    }
    let _ = writeln!(body, "for (var k = 0u; k < p.k; k += {DEPTH}u) {{");
    for Side { array, load, first, size, along_k } in sides {
        let (r, kk) = if *along_k {
            (format!("e / {DEPTH}u"), format!("e % {DEPTH}u"))
        } else {
            (format!("e % {edge}u"), format!("e / {edge}u"))
        };
        let _ = write!(
            body,
            "for (var e = lane; e < {}u; e += {invocations}u) {{\n\
             let r = {r};\nlet kt = {kk};\nlet kk = k + kt;\nvar v = 0.0;\n\
             if ({first} + r < {size} && kk < p.k) {{ v = {load}; }}\n\
             {array}[kt * {quads}u + r / 4u][r % 4u] = v;\n}}\n",
            edge * DEPTH
        );
    }
    let (a, b) = (sides[0].array, sides[1].array);
    let _ = write!(
        body,
        "workgroupBarrier();\nfor (var t = 0u; t < {DEPTH}u; t += 1u) {{\n\
         let a = {a}[t * {quads}u + ty];\nlet b = {b}[t * {quads}u + tx];\n\
         acc0 += a.x * b;\nacc1 += a.y * b;\nacc2 += a.z * b;\nacc3 += a.w * b;\n}}\n\
         workgroupBarrier();\n}}\n"
    );
}

//! Matrix products on everything else: tiles in shared memory, four by four results per invocation, any strides.

use core::fmt::Write as _;

use crate::epilogue::{Axis, Epilogue};
use crate::kernels::matmul::{batch_bases, check, flops, words};
use crate::source::{Source, Workgroup};
use crate::strides;
use crate::{Access, Launch, MatMulSpec, Refusal, Slot, Target};

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

/// Writes the kernel.
pub(crate) fn build(spec: &MatMulSpec, target: &Target) -> Result<Launch, Refusal> {
    let mut src = Source::new("matmul", target);
    check(spec, &src)?;
    let Some(edge) = edge(target) else {
        let (invocations, shared) = (target.max_workgroup_invocations, target.max_shared_memory);
        return Err(src.refuse(format!(
            "workgroups of {invocations} with {shared} bytes of shared memory are too small"
        )));
    };
    src.bind(Slot::Operand(0), Access::Read, "f32", words(spec, &spec.a_strides, spec.m, spec.k))?;
    src.bind(Slot::Operand(1), Access::Read, "f32", words(spec, &spec.b_strides, spec.k, spec.n))?;
    let rank = spec.batch.len();
    let sizes = [("m", spec.m), ("n", spec.n), ("k", spec.k)];
    let steps = [
        ("am", spec.a_strides[rank]),
        ("ak", spec.a_strides[rank + 1]),
        ("bk", spec.b_strides[rank]),
        ("bn", spec.b_strides[rank + 1]),
    ];
    for (name, value) in sizes.into_iter().chain(steps) {
        src.size(name, value)?;
    }
    let (rows, cols) = ([spec.m], [spec.n]);
    Epilogue {
        chain: &spec.epilogue,
        axes: vec![
            Axis { name: "z", dims: &spec.batch },
            Axis { name: "row", dims: &rows },
            Axis { name: "col", dims: &cols },
        ],
        operands: 2,
        aligned: spec.n.is_multiple_of(4),
        in_place: None,
    }
    .write(&mut src, "f32", false, true)?;
    let down = spec.m.div_ceil(u64::from(edge));
    let across = spec.n.div_ceil(u64::from(edge));
    let groups = strides::elements(&spec.batch).saturating_mul(down).saturating_mul(across);
    for (name, value) in [("down", down), ("across", across), ("groups", groups)] {
        src.size(name, value)?;
    }
    let invocations = (edge / 4).pow(2);
    let mut body = String::new();
    let _ = write!(
        body,
        "if (group >= p.groups) {{ return; }}\n\
         let row0 = (group % p.down) * {edge}u;\nlet stripe = group / p.down;\n\
         let col0 = (stripe % p.across) * {edge}u;\nlet z = stripe / p.across;\n"
    );
    batch_bases(spec, &mut src, &mut body)?;
    let (ak, bn) = (spec.a_strides[rank + 1], spec.b_strides[rank + 1]);
    let a = Side {
        array: "sa",
        load: "b0.d[a_at + (row0 + r) * p.am + kk * p.ak]",
        first: "row0",
        size: "p.m",
        along_k: ak == 1,
    };
    let b = Side {
        array: "sb",
        load: "b1.d[b_at + (col0 + r) * p.bn + kk * p.bk]",
        first: "col0",
        size: "p.n",
        along_k: bn != 1,
    };
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
    let name = format!(
        "matmul.gpu.{edge}x{edge}.{}{}",
        if ak == 1 { "k" } else { "m" },
        if bn == 1 { "n" } else { "k" }
    );
    src.finish(name, &body, Workgroup { invocations, subgroup: None }, groups, flops(spec))
}

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

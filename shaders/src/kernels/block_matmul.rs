//! Matrix products whose right operand stays in quantised blocks: each is unpacked in registers, for several rows at once.

use core::fmt::Write as _;

use bayplan_graph::DType;

use crate::blocks::{Bytes, words};
use crate::chain;
use crate::epilogue::Epilogue;
use crate::kernels::product::Problem;
use crate::loops;
use crate::source::{Source, Workgroup, Written};
use crate::strides;
use crate::tape::Taped;
use crate::tape::specs::BlockMatMulSpec;
use crate::{Access, Refusal, Slot, Target};

/// Most rows of an invocation: what is unpacked once serves them all.
const ROWS: u32 = 4;
/// Most steps to a pass: each is a text of its own.
const MOST_STEPS: u32 = 8;

/// The strides of a, where a kernel for the product can be written at all.
pub(crate) fn checked(spec: &BlockMatMulSpec, src: &Source<'_>) -> Result<[Taped; 2], Refusal> {
    let &[am, ak] = &spec.a_strides[..] else {
        return Err(src.refuse(format!("a has {} strides, not 2", spec.a_strides.len())));
    };
    if spec.epilogue.operands.first().map(|own| own.dtype) != Some(DType::F32) {
        return Err(src.refuse("an accumulator that is no f32"));
    }
    if !spec.k.is_multiple_of(spec.format.elements() as u64) {
        return Err(src.refuse(format!("rows of {:?} are no whole blocks of {}", spec.k, spec.format)));
    }
    Ok([am, ak])
}

/// Binds `b0` (a, of `vec4`s if `four`) and `b1` (the blocks, of `kind`), adds the sizes as parameters, and the epilogue.
pub(crate) fn begin(
    spec: &BlockMatMulSpec,
    src: &mut Source<'_>,
    [am, ak]: [Taped; 2],
    four: bool,
    kind: &str,
) -> Result<Problem<'static>, Refusal> {
    let a_words = strides::extent(&[spec.m, spec.k], &[am, ak]);
    src.bind(Slot::Operand(0), Access::Read, if four { "vec4<f32>" } else { "f32" }, a_words)?;
    src.bind(Slot::Operand(1), Access::Read, kind, words(spec.format, spec.n * spec.k))?;
    src.fits("n · k", spec.n * spec.k)?;
    for (name, value) in [("m", spec.m), ("n", spec.n), ("k", spec.k), ("am", am), ("ak", ak)] {
        src.size(name, value)?;
    }
    let dims = [&[][..], core::slice::from_ref(&spec.m), core::slice::from_ref(&spec.n)];
    Epilogue::of_product(&spec.epilogue, dims, false).write(src, "f32", true, false)?;
    Ok(Problem {
        what: "block_matmul",
        batch: Vec::new(),
        m: spec.m,
        n: spec.n,
        k: spec.k,
        a_strides: spec.a_strides.clone(),
        b_strides: vec![1.into(), spec.k],
        operands: [0, 1],
        columns: vec![spec.n],
        epilogue: spec.epilogue.clone(),
        image: None,
    })
}

/// Writes the kernel: an invocation makes a column of up to [`ROWS`] rows.
pub(crate) fn build(spec: &BlockMatMulSpec, target: &Target) -> Result<Written, Refusal> {
    let mut src = Source::new("block_matmul", target);
    let [am, ak] = checked(spec, &src)?;
    let rows = (1..ROWS).find(|&rows| spec.m <= u64::from(rows)).unwrap_or(ROWS);
    let four = ak == 1 && am.is_multiple_of(4);
    let problem = begin(spec, &mut src, [am, ak], four, "u32")?;
    if !(Bytes { binding: "b1", apart: false }).blocks(&mut src, spec.format) {
        return Err(src.refuse(format!("there is no text for {}", spec.format)));
    }
    let shape = Workgroup::flat(target, 64);
    let (mut body, groups) = problem.grid(&mut src, rows, shape.invocations)?;
    body.push_str("let col = col0 + lane;\nif (col >= p.n) { return; }\nlet b_row = col * p.k;\n");
    let mut inside = String::from("let w = four_at(b_row + i);\n");
    for r in 0..rows {
        // Rows that are not there compute what the last one does, and put nothing.
        let _ = writeln!(body, "let a{r} = min(row0 + {r}u, p.m - 1u) * p.am;\nvar s{r} = vec4<f32>();");
        let x = if four {
            format!("b0.d[(a{r} + i) >> 2u]")
        } else {
            let at = |j: u32| format!("b0.d[a{r} + (i + {j}u) * p.ak]");
            format!("vec4<f32>({}, {}, {}, {})", at(0), at(1), at(2), at(3))
        };
        let _ = writeln!(inside, "s{r} += {x} * w;");
    }
    let others = loops::of_chain(&spec.epilogue, u64::from(rows));
    let per = loops::steps_per_pass(&src, MOST_STEPS, [1.into(), spec.k / 4, others])?;
    loops::write(&mut body, per, ["i", "0u", "p.k", "4u"], &inside);
    for r in 0..rows {
        let _ = writeln!(
            body,
            "if (row0 + {r}u < p.m) {{ put((s{r}.x + s{r}.y) + (s{r}.z + s{r}.w), z, row0 + {r}u, col, \
             (row0 + {r}u) * p.n + col); }}"
        );
    }
    let wide = if four { ".x4" } else { "" };
    let (format, label) = (spec.format.to_string().to_lowercase(), loops::label(per));
    let name = format!("block_matmul.{format}.{rows}{wide}{label}{}", chain::label(&spec.epilogue));
    src.finish(name, &body, shape, groups, problem.flops())
}

/// A product and a gather, for the tests of the table.
#[cfg(test)]
pub(crate) fn specs() -> [crate::Spec; 2] {
    use crate::{BlockGatherSpec, BlockMatMulSpec, Chain, Operand, Spec};
    use bayplan_graph::BlockFormat;
    let format = BlockFormat::Q4K;
    let operands = vec![Operand { dtype: DType::F32, base: 0, strides: vec![5, 1] }];
    let epilogue = Chain { operands, steps: Vec::new(), result: DType::F32, layout: None };
    let a_strides = vec![256, 1];
    [
        Spec::BlockMatMul(BlockMatMulSpec { format, m: 3, n: 5, k: 256, a_strides, epilogue }),
        Spec::BlockGather(BlockGatherSpec { format, index: DType::I64, axis: 7, count: 3, inner: 256 }),
    ]
}

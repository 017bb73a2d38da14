//! Matrix products of integers and of 64-bit floats: an invocation per result, any strides.

use bayplan_graph::op::BinaryOp;

use crate::chain::{self, Value, Width, double, ops};
use crate::kernels::product::Problem;
use crate::loops;
use crate::source::{Source, Workgroup, Written};
use crate::tape::specs::{MatMulSpec, Spec};
use crate::{Refusal, Repr, StepOp, Target};

/// Whether this row serves the work: what is computed with is no 32-bit float.
pub(crate) fn fits(spec: &Spec, _: &Target) -> bool {
    let Spec::MatMul(spec) = spec else { return false };
    let own = spec.epilogue.operands.first();
    own.is_some_and(|own| Repr::of(own.dtype).is_some_and(|repr| repr != Repr::F32))
}

/// Writes the kernel.
pub(crate) fn build(spec: &MatMulSpec, target: &Target) -> Result<Written, Refusal> {
    let mut src = Source::new("matmul", target);
    let problem = Problem::matmul(spec, &src)?;
    let Some(dtype) = spec.epilogue.operands.first().map(|own| own.dtype) else {
        return Err(src.refuse("an epilogue without an accumulator"));
    };
    let repr = src.repr(dtype)?;
    double::check(&src, repr)?;
    let kind = src.element(repr);
    problem.begin_one_by_one(&mut src, kind, repr.words())?;
    let shape = Workgroup::flat(target, 64);
    let (mut body, groups) = problem.grid(&mut src, 1, shape.invocations)?;
    body.push_str("let row = row0;\nlet col = col0 + lane;\nif (col >= p.n) { return; }\n");
    body.push_str(&format!("var all = {kind}();\n"));
    let others = loops::of_chain(&spec.epilogue, 1_u64);
    let per = loops::steps_per_pass(&src, loops::MOST_STEPS, [1.into(), spec.k, others])?;
    let value = |text: &str| Value { text: text.to_owned(), dtype };
    let factors = [value("x"), value("y")];
    let product = ops::step(&mut src, Width::One, StepOp::Binary(BinaryOp::Mul), &factors, dtype)?;
    let terms = [value("all"), value("xy")];
    let sum = ops::step(&mut src, Width::One, StepOp::Binary(BinaryOp::Add), &terms, dtype)?;
    let inside = format!(
        "let x = b0.d[a_at + row * p.am + i * p.ak];\nlet y = b1.d[b_at + col * p.bn + i * p.bk];\n\
         let xy = {product};\nall = {sum};\n"
    );
    loops::write(&mut body, per, ["i", "0u", "p.k", "1u"], &inside);
    body.push_str("put(all, z, row, col, (z * p.m + row) * p.n + col);\n");
    let named = chain::wide::named(&src, repr);
    let name = format!("matmul.any.{named}{}{}", loops::label(per), chain::label(&spec.epilogue));
    src.finish(name, &body, shape, groups, problem.flops())
}

//! Loops that a CPU driver would cut short.
//!
//! The compiler that lavapipe is made of gives every invocation 65,535 passes through loops, nested and consecutive ones
//! counted together, and leaves any loop without a word once they are spent ([`Target::max_loop_passes`]). Kernels for
//! such drivers therefore take several steps to a pass where a loop is longer, and are refused where
//! that does not suffice. The pass in which a loop finds its end is one of them.

use core::fmt::Write as _;

use bayplan_graph::op::BinaryOp;

use crate::chain::wide;
use crate::source::Source;
use crate::{Chain, Refusal, Step, StepOp, Target};

/// Steps to a pass, of which the first that suffices is taken: every one is written out in the text.
const STEPS: [u32; 3] = [1, 8, MOST_STEPS];
/// Most steps to a pass.
pub(crate) const MOST_STEPS: u32 = 64;
/// Passes of an integer power and of a quotient of 64 bits where it is emulated, one per bit; a remainder of floats has fewer.
pub(crate) const BIT_PASSES: u64 = 65;

/// Passes of `loops` loops of `steps` steps each, with `per` steps to a pass.
fn passes(loops: u64, steps: u64, per: u32) -> u64 {
    steps.div_ceil(u64::from(per)).saturating_add(1).saturating_mul(loops)
}

/// Steps to a pass for an invocation that goes through `loops` loops of `steps` steps each, and makes `others` passes
/// besides, whatever the answer. `most` bounds it where a step is a long text.
pub(crate) fn steps_per_pass(
    src: &Source<'_>,
    most: u32,
    [loops, steps, others]: [u64; 3],
) -> Result<u32, Refusal> {
    let Some(limit) = src.target().max_loop_passes else { return Ok(STEPS[0]) };
    let total = |per: &u32| passes(loops, steps, *per).saturating_add(others);
    let choices = STEPS.into_iter().filter(|&per| per <= most);
    choices.clone().find(|per| total(per) <= limit).ok_or_else(|| {
        let fewest = choices.map(|per| total(&per)).min().unwrap_or(0);
        src.refuse(format!(
            "an invocation loops {fewest} times, and this driver leaves loops after {limit}; use a GPU, or the host"
        ))
    })
}

/// Whether loops of those steps within each other, and `others` passes besides, come to their end on the device.
pub(crate) fn nest_ends(target: &Target, steps: &[u64], others: u64) -> bool {
    // Every step of a loop is a pass, with the passes of the loop inside it.
    let inner = |inside: u64, &n: &u64| n.saturating_mul(inside.saturating_add(1)).saturating_add(1);
    let passes = steps.iter().rev().fold(0, inner).saturating_add(others);
    target.max_loop_passes.is_none_or(|limit| passes <= limit)
}

/// Passes of the loops in a chain, for that many results.
pub(crate) fn of_chain(chain: &Chain, results: u64) -> u64 {
    let loops = |s: &&Step| match s.op {
        StepOp::Binary(op) => matches!(op, BinaryOp::Pow | BinaryOp::Mod) || wide::loops(op, s.dtype),
        _ => false,
    };
    let loops = chain.steps.iter().filter(loops).count() as u64;
    results.saturating_mul(loops).saturating_mul(BIT_PASSES)
}

/// Part of a kernel's name for its steps to a pass.
pub(crate) fn label(per: u32) -> String {
    if per == 1 { String::new() } else { format!(".by{per}") }
}

/// `for (var i = from; i < to; i += by)` around `inside`, with `per` steps to a pass.
pub(crate) fn write(body: &mut String, per: u32, head: [&str; 4], inside: &str) {
    let [i, from, to, by] = head;
    let _ = writeln!(body, "for (var {i} = {from}; {i} < {to}; {i} += {by}) {{");
    if per == 1 {
        body.push_str(inside);
    } else {
        let _ = write!(body, "{{\n{inside}}}\n");
        for _ in 1..per {
            let _ = write!(body, "{i} += {by};\nif ({i} >= {to}) {{ break; }}\n{{\n{inside}}}\n");
        }
    }
    body.push_str("}\n");
}

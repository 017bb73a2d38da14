//! What the host computes: no text, but windows as a kernel has them, so that plan and proof need not tell them apart.

use crate::source::{Source, Written};
use crate::tape::Taped;
use crate::tape::specs::HostSpec;
use crate::{Access, Kernel, Refusal, Slot, Target};

/// A kernel without text, one binding per operand and one for the result.
pub(crate) fn build(spec: &HostSpec, target: &Target) -> Result<Written, Refusal> {
    let name = format!("host.{}", spec.op.name());
    let mut src = Source::new(name.clone(), target);
    let outputs = spec.made().map(|made| (Slot::Output, Access::Write, made));
    let operands = (0..).zip(&spec.operands).map(|(index, own)| (Slot::Operand(index), Access::Read, own));
    for (slot, access, (dtype, shape)) in operands.chain(outputs) {
        let repr = src.repr(*dtype)?;
        let elements = shape.iter().fold(Taped::constant(1), |product, &dim| product.saturating_mul(dim));
        // What has no elements has no window.
        if elements == 0 {
            continue;
        }
        src.bind(slot, access, "u32", elements.saturating_mul(repr.words()))?;
    }
    let kernel = Kernel {
        name,
        wgsl: String::new(),
        workgroup: [1; 3],
        bindings: src.bindings(),
        has_params: false,
        subgroup: None,
    };
    Ok(Written { kernel, params: Vec::new(), grid: [Taped::constant(1); 3], flops: Taped::constant(0) })
}

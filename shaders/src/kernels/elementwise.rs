//! Elementwise chains.
//!
//! Every invocation computes four neighbouring results if all values are 32 bits wide, otherwise one. Merging makes the
//! common cases linear: no index is taken apart then.

use core::fmt::Write as _;

use crate::chain::{self, Width, from_storage, to_storage};
use crate::layout;
use crate::loops;
use crate::source::Written;
use crate::source::{Source, Workgroup};
use crate::strides::{self, Merged};
use crate::tape::Taped;
use crate::tape::specs::{ElementwiseSpec, Operand};
use crate::{Access, Refusal, Slot, Target};

/// Writes the kernel.
pub(crate) fn build(spec: &ElementwiseSpec, target: &Target) -> Result<Written, Refusal> {
    let mut src = Source::new("elementwise", target);
    check(spec, &src)?;
    let count = strides::elements(&spec.shape);
    let operands_and_result =
        spec.chain.operands.iter().map(|o| &o.strides).chain(spec.chain.layout.iter().map(|l| &l.strides));
    let tensors: Vec<_> = operands_and_result.map(|strides| strides.to_vec()).collect();
    let merged = strides::merge(&spec.shape, &tensors);
    let way = Way::of(spec, &merged);
    let width = way.width();
    let per = if width == Width::Four { 4 } else { 1 };
    let shape = Workgroup::flat(target, 256);
    let invocations = count.div_ceil(per);
    let total = src.size("n", invocations)?;
    let mut body =
        format!("let i = group * {}u + lane;\nif (i >= {total}) {{ return; }}\n", shape.invocations);
    let values = operands(spec, &merged, way, &mut src, &mut body)?;
    let out = output(spec, &values, &merged, width, &mut src)?;
    let texts: Vec<_> = values.into_iter().map(|v| v.value).collect();
    // Long chains of integer powers only.
    loops::steps_per_pass(&src, 1, [0.into(), 0.into(), loops::of_chain(&spec.chain, 4)])?;
    let result = chain::emit(&spec.chain, &mut src, width, &texts, &mut body)?;
    let stored = to_storage(spec.chain.result, width, &result);
    out.store(&stored, &mut body);
    let name = format!("elementwise.{}{}", way.name(), suffix(spec, &merged));
    let name = name + &chain::label(&spec.chain);
    let flops = count.saturating_mul(chain::flops(&spec.chain));
    src.finish(name, &body, shape, invocations.div_ceil(Taped::from(shape.invocations)), flops)
}

fn check(spec: &ElementwiseSpec, src: &Source<'_>) -> Result<(), Refusal> {
    for (i, operand) in spec.chain.operands.iter().enumerate() {
        if operand.strides.len() != spec.shape.len() {
            let (have, want) = (operand.strides.len(), spec.shape.len());
            return Err(src.refuse(format!("operand {i} has {have} strides, the shape {want} dimensions")));
        }
    }
    if let Some(own) = &spec.chain.layout {
        layout::check(own, src)?;
        if own.shape != spec.shape || spec.in_place.is_some() {
            return Err(src.refuse("a layout in place, or over other dimensions than the result's"));
        }
    }
    let Some(i) = spec.in_place else { return Ok(()) };
    let Some(operand) = spec.chain.operands.get(i as usize) else {
        return Err(src.refuse(format!("in place on operand {i}, which the chain does not have")));
    };
    let same_width = src.repr(operand.dtype)?.words() == src.repr(spec.chain.result)?.words();
    let linear = spec.shape.iter().zip(strides::contiguous(&spec.shape)).zip(&operand.strides);
    if !same_width || operand.base > 0 || linear.into_iter().any(|((&d, c), &s)| d > 1 && c != s) {
        return Err(src.refuse(format!("in place on operand {i}, which is not laid out as the result")));
    }
    Ok(())
}

fn suffix(spec: &ElementwiseSpec, merged: &Merged) -> String {
    let place = if spec.in_place.is_some() { ".in_place" } else { "" };
    if merged.shape.len() > 1 { format!(".{}d{place}", merged.shape.len()) } else { place.to_owned() }
}

/// How many results an invocation computes, and how it finds its operands' elements.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// One.
    Single,
    /// Four that share all coordinates but the innermost, which starts at a multiple of 4.
    Quad,
    /// Four, each with coordinates of its own.
    Scattered,
}

impl Way {
    fn of(spec: &ElementwiseSpec, merged: &Merged) -> Self {
        let linear = merged.shape.len() <= 1
            && merged.strides.iter().all(|s| s.len() < 2 && s.iter().all(|&s| s == 0 || s == 1));
        let rows = merged.shape.last().is_some_and(|d| d.is_multiple_of(4));
        // Past the last element lies what is not the result's.
        let ragged = spec.chain.layout.is_some() && !rows;
        match chain::has_64bit(&spec.chain) || ragged {
            true => Self::Single,
            false if linear || rows => Self::Quad,
            false => Self::Scattered,
        }
    }

    fn width(self) -> Width {
        if self == Self::Single { Width::One } else { Width::Four }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Single => "x1",
            Self::Quad => "x4",
            Self::Scattered => "x4.scattered",
        }
    }
}

/// An operand in the text.
struct Loaded {
    /// The value, as computed with.
    value: String,
    /// Its binding.
    binding: Option<String>,
}

/// Binds and loads the operands.
fn operands(
    spec: &ElementwiseSpec,
    merged: &Merged,
    way: Way,
    src: &mut Source<'_>,
    body: &mut String,
) -> Result<Vec<Loaded>, Refusal> {
    let width = way.width();
    let mut dims = merged.shape.clone();
    if let (Way::Quad, Some(last)) = (way, dims.last_mut()) {
        *last /= 4;
    }
    if way == Way::Scattered {
        let count = src.size("count", strides::elements(&spec.shape))?;
        let _ = writeln!(body, "let e = min(vec4<u32>(0u, 1u, 2u, 3u) + 4u * i, vec4<u32>({count} - 1u));");
        strides::take_apart(src, body, "e", &dims, "i")?;
    } else if dims.len() > 1 {
        strides::take_apart(src, body, "i", &dims, "i")?;
    } else {
        body.push_str("let i0 = i;\n");
    }
    let mut values = Vec::new();
    for (number, operand) in spec.chain.operands.iter().enumerate() {
        let steps = &merged.strides[number];
        let extent = operand.base.saturating_add(strides::extent(&spec.shape, &operand.strides));
        if way == Way::Scattered && spec.in_place != Some(number as u32) {
            let linear = *steps == strides::contiguous(&merged.shape) && operand.base == 0;
            let text = scattered(number as u32, operand, steps, linear, extent, src)?;
            let _ = writeln!(body, "{text}");
            values.push(Loaded {
                value: from_storage(operand.dtype, width, &format!("x{number}")),
                binding: None,
            });
            continue;
        }
        let (load, binding) = load(spec, number as u32, operand, steps, width, extent, src)?;
        let _ = writeln!(body, "let x{number} = {load};");
        values.push(Loaded { value: from_storage(operand.dtype, width, &format!("x{number}")), binding });
    }
    Ok(values)
}

/// Statements that load four elements of an operand one by one, unless it is laid out as the result or has one element.
fn scattered(
    number: u32,
    operand: &Operand,
    steps: &[Taped],
    linear: bool,
    extent: Taped,
    src: &mut Source<'_>,
) -> Result<String, Refusal> {
    let repr = src.repr(operand.dtype)?;
    let kind = Width::Four.of(src.element(repr));
    let name = src.bind(
        Slot::Operand(number),
        Access::Read,
        if linear { &kind } else { src.element(repr) },
        extent,
    )?;
    Ok(if linear {
        format!("let x{number} = {name}.d[i];")
    } else if steps.iter().all(|s| *s == 0) {
        let at = from(src, operand.base, "0".into())?;
        format!("let x{number} = {kind}({name}.d[{at}]);")
    } else {
        let at = strides::dot(src, "i", steps)?;
        let at = from(src, operand.base, at)?;
        let parts = ["x", "y", "z", "w"].map(|c| format!("{name}.d[at{number}.{c}]"));
        format!("let at{number} = {at};\nlet x{number} = {kind}({});", parts.join(", "))
    })
}

/// The text that loads one operand, and its binding.
fn load(
    spec: &ElementwiseSpec,
    number: u32,
    operand: &Operand,
    steps: &[Taped],
    width: Width,
    extent: Taped,
    src: &mut Source<'_>,
) -> Result<(String, Option<String>), Refusal> {
    let repr = src.repr(operand.dtype)?;
    let words = extent.saturating_mul(repr.words());
    let slot = Slot::Operand(number);
    let scalar = src.element(repr);
    if spec.in_place == Some(number) {
        // Laid out as the result, hence at index i; read with the result's element type.
        let result = src.element(src.repr(spec.chain.result)?);
        let name = src.bind(Slot::Output, Access::ReadWrite, &width.of(result), words)?;
        let value = format!("{name}.d[i]");
        let value = if result == scalar { value } else { format!("bitcast<{}>({value})", width.of(scalar)) };
        return Ok((value, Some(name)));
    }
    let (outer, inner) = match steps.split_last() {
        Some((&inner, outer)) => (outer, inner),
        None => (&[][..], Taped::constant(0)),
    };
    match width {
        Width::One => {
            let name = src.bind(slot, Access::Read, scalar, words)?;
            let at = strides::dot(src, "i", steps)?;
            let at = from(src, operand.base, at)?;
            Ok((format!("{name}.d[{at}]"), None))
        }
        Width::Four if inner == 1 && outer.iter().all(|&s| s % 4 == 0) && operand.base.is_multiple_of(4) => {
            let name = src.bind(slot, Access::Read, &width.of(scalar), words)?;
            let mut quads: Vec<_> = outer.iter().map(|&s| s / 4).collect();
            quads.push(1.into());
            let at = strides::dot(src, "i", &quads)?;
            let at = from(src, operand.base / 4, at)?;
            Ok((format!("{name}.d[{at}]"), None))
        }
        Width::Four => {
            let name = src.bind(slot, Access::Read, scalar, words)?;
            let mut quads = outer.to_vec();
            quads.push(inner * 4);
            let at = strides::dot(src, "i", &quads)?;
            let at = from(src, operand.base, at)?;
            if inner == 0 {
                return Ok((format!("{}({name}.d[{at}])", width.of(scalar)), None));
            }
            let step = src.fresh("s");
            let step = src.size(&step, inner.unsigned_abs())?;
            let parts = [0, 1, 2, 3].map(|j| format!("{name}.d[{at} + {j}u * {step}]"));
            Ok((format!("{}({})", width.of(scalar), parts.join(", ")), None))
        }
    }
}

/// The result in the text.
struct Out {
    /// Its binding.
    name: String,
    /// The index of the first element of an invocation, or of its `vec4`.
    at: String,
    /// Distance to the next element, where the four of an invocation go one by one.
    step: Option<String>,
}

impl Out {
    fn store(&self, value: &str, body: &mut String) {
        let Self { name, at, step } = self;
        let Some(step) = step else {
            let _ = writeln!(body, "{name}.d[{at}] = {value};");
            return;
        };
        let _ = writeln!(body, "let r = {value};\nlet to = {at};");
        for (j, c) in ["x", "y", "z", "w"].iter().enumerate() {
            let _ = writeln!(body, "{name}.d[to + {j}u * {step}] = r.{c};");
        }
    }
}

/// Binds the result, unless it overwrites an operand.
fn output(
    spec: &ElementwiseSpec,
    values: &[Loaded],
    merged: &Merged,
    width: Width,
    src: &mut Source<'_>,
) -> Result<Out, Refusal> {
    let repr = src.repr(spec.chain.result)?;
    if let Some(name) = values.iter().find_map(|v| v.binding.clone()) {
        return Ok(Out { name, at: "i".into(), step: None });
    }
    let scalar = src.element(repr);
    let Some(own) = &spec.chain.layout else {
        let words = strides::elements(&spec.shape).saturating_mul(repr.words());
        let name = src.bind(Slot::Output, Access::Write, &width.of(scalar), words)?;
        return Ok(Out { name, at: "i".into(), step: None });
    };
    let words = layout::extent(own).saturating_mul(repr.words());
    // The layout's strides come after those of all operands.
    let steps = merged.strides.last().map_or(&[][..], Vec::as_slice);
    let (inner, outer) =
        steps.split_last().map_or((Taped::constant(1), &[][..]), |(&inner, outer)| (inner, outer));
    let wide =
        width == Width::Four && inner == 1 && own.base.is_multiple_of(4) && outer.iter().all(|&s| s % 4 == 0);
    let name =
        src.bind(Slot::Output, Access::Write, &if wide { width } else { Width::One }.of(scalar), words)?;
    let (unit, scale): (u64, u64) = match width {
        Width::One => (1, 1),
        Width::Four if wide => (4, 1),
        Width::Four => (1, 4),
    };
    let mut steps: Vec<Taped> = outer.iter().map(|&s| s / unit).collect();
    steps.push(inner * scale);
    let at = strides::dot(src, "i", &steps)?;
    // A parameter whatever it is: it may be 0 for one shape and not for the next.
    let base = src.fresh("s");
    let base = src.size(&base, own.base / unit)?;
    let at = format!("{base} + {at}");
    let step = if width == Width::Four && !wide {
        let name = src.fresh("s");
        Some(src.size(&name, inner.unsigned_abs())?)
    } else {
        None
    };
    Ok(Out { name, at, step })
}

/// An index counted from the element `base` on.
fn from(src: &mut Source<'_>, base: Taped, at: String) -> Result<String, Refusal> {
    if base == 0 {
        return Ok(at);
    }
    let name = src.fresh("s");
    let base = src.size(&name, base)?;
    Ok(format!("{base} + {at}"))
}

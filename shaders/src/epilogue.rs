//! What a kernel applies to its results before it stores them: chains over the kernel's own coordinates.

use core::fmt::Write as _;

use crate::chain::{self, Width, from_storage, ops, to_storage};
use crate::layout::{self, Steps};
use crate::source::Source;
use crate::strides;
use crate::tape::Taped;
use crate::tape::specs::{Chain, ConvSpec, Operand};
use crate::{Access, Refusal, Repr, Slot, Target};

/// One coordinate of a kernel: a run of dimensions of the result's shape that it counts through together.
pub(crate) struct Axis<'a> {
    /// Its name in the text, a `u32`.
    pub(crate) name: &'a str,
    /// Its dimensions.
    pub(crate) dims: &'a [Taped],
}

/// The epilogue of a kernel.
pub(crate) struct Epilogue<'a> {
    /// The program; operand 0 is the accumulator.
    pub(crate) chain: &'a Chain,
    /// The coordinates, outermost first; together their dimensions are the result's shape.
    pub(crate) axes: Vec<Axis<'a>>,
    /// Number of the kernel's own operands.
    pub(crate) operands: u32,
    /// Whether four results at a time always start at a multiple of 4 of the last coordinate, whose size is one too: then
    /// `vec4`s are loaded and stored. Excludes single results.
    pub(crate) aligned: bool,
    /// Whether the result overwrites this kernel's operand 0 (a binding already made, of `vec4`s if `aligned`).
    pub(crate) in_place: Option<String>,
}

impl<'a> Epilogue<'a> {
    /// The epilogue of a product or a convolution: the coordinates `z`, `row` and `col` count through the dimensions of batch,
    /// rows (filters) and columns (pixels), and two operands come before those of the chain.
    pub(crate) fn of_product(chain: &'a Chain, dims: [&'a [Taped]; 3], aligned: bool) -> Self {
        let axes =
            ["z", "row", "col"].into_iter().zip(dims).map(|(name, dims)| Axis { name, dims }).collect();
        Self { chain, axes, operands: 2, aligned, in_place: None }
    }

    /// As [`Epilogue::of_product`], of a convolution.
    pub(crate) fn of_conv(spec: &'a ConvSpec, aligned: bool) -> Self {
        use core::slice::from_ref;
        Self::of_product(
            &spec.epilogue,
            [from_ref(&spec.batch), from_ref(&spec.filters), &spec.output],
            aligned,
        )
    }

    /// Adds `fn put4(v, AXES.., at, keep)`: applies the chain to four values at consecutive places of the last axis,
    /// clamped there to what exists, and stores the first `keep` of them from index `at` of the result on. Also
    /// `fn put(v, AXES.., at)` for one.
    ///
    /// Only the widths asked for are added.
    pub(crate) fn write(
        &self,
        src: &mut Source<'_>,
        accumulator: &str,
        one: bool,
        four: bool,
    ) -> Result<(), Refusal> {
        let shape: Vec<Taped> = self.axes.iter().flat_map(|a| a.dims.iter().copied()).collect();
        let target = src.target();
        let single = chain::one_by_one(self.chain, target);
        let names = self.bind(src, &shape)?;
        let repr = src.repr(self.chain.result)?;
        let place = self.place(src)?;
        let wide = self.wide(target, repr) && place.as_ref().is_none_or(Place::wide);
        let out = match &self.in_place {
            Some(name) => name.clone(),
            None => {
                let extent = self.chain.layout.as_ref().map_or(strides::elements(&shape), layout::extent);
                let kind = if wide { Width::Four } else { Width::One }.of(src.element(repr));
                src.bind(Slot::Output, Access::Write, &kind, extent.saturating_mul(repr.words()))?
            }
        };
        let params: Vec<_> = self.axes.iter().map(|a| format!("{}: u32", a.name)).collect();
        let params = params.join(", ");
        if one || (four && single) {
            let mut text = format!("fn put(v: {accumulator}, {params}, at: u32) {{\n");
            let result = self.body(src, Width::One, &names, &mut text)?;
            let stored = to_storage(self.chain.result, Width::One, &result);
            let to = match &place {
                None => "at".to_owned(),
                Some(place) => self.index(src, place, &mut text, 0, Width::One)?.base,
            };
            let _ = writeln!(text, "{out}.d[{to}] = {stored};\n}}");
            src.function("put", text);
        }
        if four && single {
            src.function("put4", self.put_four_times(accumulator, &params));
        } else if four {
            let mut text = format!("fn put4(v: vec4<{accumulator}>, {params}, at: u32, keep: u32) {{\n");
            let result = self.body(src, Width::Four, &names, &mut text)?;
            let stored = to_storage(self.chain.result, Width::Four, &result);
            let to = match &place {
                None => Index { base: "at".into(), step: Some("1u".into()), uneven: None },
                Some(place) => self.index(src, place, &mut text, 0, Width::Four)?,
            };
            self.store4(&out, &to, wide, &stored, &mut text);
            src.function("put4", text);
        }
        Ok(())
    }

    /// Stores four results: as one `vec4`, or the first `keep` of them one by one.
    fn store4(&self, out: &str, to: &Index, wide: bool, stored: &str, text: &mut String) {
        let Index { base, step, uneven } = to;
        let last = self.axes.last().map_or("0u", |a| a.name);
        if wide {
            let at = match uneven {
                _ if base == "at" => base.clone(),
                Some(place) => format!("({base} + {place}({last}))"),
                None => format!("({base})"),
            };
            let _ = writeln!(text, "{out}.d[{at} / 4u] = {stored};\n}}");
            return;
        }
        let at = |j: usize| match (uneven, step) {
            (Some(place), _) => format!("{base} + {place}({last} + {j}u)"),
            (None, _) if j == 0 => base.clone(),
            (None, Some(step)) if step == "1u" => format!("{base} + {j}u"),
            (None, Some(step)) => format!("{base} + {j}u * {step}"),
            // A last coordinate of size 1: there is but one result.
            (None, None) => base.clone(),
        };
        let _ = writeln!(text, "let r = {stored};\n{out}.d[{}] = r.x;", at(0));
        for (j, c) in ["y", "z", "w"].iter().enumerate() {
            let _ = writeln!(text, "if (keep > {}u) {{ {out}.d[{}] = r.{c}; }}", j + 1, at(j + 1));
        }
        text.push_str("}\n");
    }

    /// Where results go, if not one after the other.
    fn place(&self, src: &Source<'_>) -> Result<Option<Place>, Refusal> {
        let Some(layout) = &self.chain.layout else { return Ok(None) };
        if self.in_place.is_some() {
            return Err(src.refuse("in place with a layout of the result"));
        }
        let sizes: Vec<Taped> = self.axes.iter().map(|a| strides::elements(a.dims)).collect();
        Ok(Some(Place { base: layout.base, steps: layout::along(layout, &sizes, src)? }))
    }

    /// Where an operand's elements lie.
    fn operand(&self, operand: &Operand) -> Place {
        let mut rest = &operand.strides[..];
        let mut steps = Vec::with_capacity(self.axes.len());
        for axis in &self.axes {
            let (own, more) = rest.split_at(axis.dims.len());
            steps.push(Steps { dims: axis.dims.to_vec(), strides: own.to_vec() });
            rest = more;
        }
        Place { base: operand.base, steps }
    }

    /// `put4` by way of `put`, for chains that go one element at a time.
    fn put_four_times(&self, accumulator: &str, params: &str) -> String {
        let mut text = format!("fn put4(v: vec4<{accumulator}>, {params}, at: u32, keep: u32) {{\n");
        for (j, c) in ["x", "y", "z", "w"].iter().enumerate() {
            let mut places: Vec<_> = self.axes.iter().map(|a| a.name.to_owned()).collect();
            if let Some(last) = places.last_mut() {
                last.push_str(&format!(" + {j}u"));
            }
            let _ = writeln!(text, "if (keep > {j}u) {{ put(v.{c}, {}, at + {j}u); }}", places.join(", "));
        }
        text + "}"
    }

    /// Whether elements of this representation go four at a time.
    fn wide(&self, target: &Target, repr: Repr) -> bool {
        self.aligned && repr.words() == 1 && !chain::one_by_one(self.chain, target)
    }

    /// Whether an operand is read as `vec4`s along the last coordinate.
    fn reads_wide(&self, target: &Target, operand: &Operand, repr: Repr) -> bool {
        if !operand.base.is_multiple_of(4) {
            return false;
        }
        let last = self.axes.last().map_or(0, |a| a.dims.len());
        let (outer, inner) = operand.strides.split_at(operand.strides.len() - last);
        let dims = self.axes.last().map_or(&[][..], |a| a.dims);
        let merged = strides::merge(dims, &[inner.to_vec()]);
        self.wide(target, repr) && merged.strides[0] == [1] && outer.iter().all(|s| s.is_multiple_of(4))
    }

    /// Binds the operands from 1 on; answers their names (the accumulator's is empty).
    fn bind(&self, src: &mut Source<'_>, shape: &[Taped]) -> Result<Vec<Bound>, Refusal> {
        let mut names = vec![Bound { name: String::new(), wide: false }];
        for (i, operand) in self.chain.operands.iter().enumerate().skip(1) {
            if operand.strides.len() != shape.len() {
                let (have, want) = (operand.strides.len(), shape.len());
                return Err(src.refuse(format!(
                    "epilogue operand {i} has {have} strides, the result {want} dimensions"
                )));
            }
            let repr = src.repr(operand.dtype)?;
            let extent = operand.base.saturating_add(strides::extent(shape, &operand.strides));
            let words = extent.saturating_mul(repr.words());
            let slot = Slot::Operand(self.operands + i as u32 - 1);
            let wide = self.reads_wide(src.target(), operand, repr);
            let kind =
                if wide { format!("vec4<{}>", src.element(repr)) } else { src.element(repr).to_owned() };
            names.push(Bound { name: src.bind(slot, Access::Read, &kind, words)?, wide });
        }
        Ok(names)
    }

    /// Writes the loads and the chain; answers the result's text.
    fn body(
        &self,
        src: &mut Source<'_>,
        width: Width,
        names: &[Bound],
        text: &mut String,
    ) -> Result<String, Refusal> {
        // A kernel's own result is wider than a narrow type, whatever that is.
        let own = self.chain.operands.first().map_or(self.chain.result, |own| own.dtype);
        let mut values = vec![ops::narrow(src, width, own, "v".to_owned())];
        for (i, operand) in self.chain.operands.iter().enumerate().skip(1) {
            let repr = src.repr(operand.dtype)?;
            let index = self.index(src, &self.operand(operand), text, i, width)?;
            let Bound { name, wide } = &names[i];
            let load = match (width, index) {
                (Width::Four, Index { base, uneven: Some(place), .. }) => {
                    let last = self.axes.last().map_or("0u", |a| a.name);
                    let parts = [0, 1, 2, 3]
                        .map(|j| format!("{name}.d[{base} + {place}({last} + min({j}u, keep - 1u))]"));
                    format!("{}({})", width.of(src.element(repr)), parts.join(", "))
                }
                (Width::Four, Index { base, .. }) if *wide => format!("{name}.d[({base}) / 4u]"),
                (Width::One, Index { base, .. }) => format!("{name}.d[{base}]"),
                (Width::Four, Index { base, step: None, .. }) => {
                    format!("{}({name}.d[{base}])", width.of(src.element(repr)))
                }
                (Width::Four, Index { base, step: Some(step), .. }) => {
                    let parts =
                        [0, 1, 2, 3].map(|j| format!("{name}.d[{base} + min({j}u, keep - 1u) * {step}]"));
                    format!("{}({})", width.of(src.element(repr)), parts.join(", "))
                }
            };
            let _ = writeln!(text, "let o{i} = {load};");
            values.push(from_storage(operand.dtype, width, &format!("o{i}")));
        }
        chain::emit(self.chain, src, width, &values, text)
    }

    /// The index of an operand, or of the result (number 0), at the kernel's coordinates.
    fn index(
        &self,
        src: &mut Source<'_>,
        place: &Place,
        text: &mut String,
        number: usize,
        width: Width,
    ) -> Result<Index, Refusal> {
        let mut terms = Vec::new();
        let mut step = None;
        let mut uneven = None;
        // A result's base is a parameter whatever it is: it may be 0 for one shape and not for the next.
        if place.base > 0 || number == 0 {
            let name = src.fresh("s");
            terms.push(src.size(&name, place.base)?);
        }
        for (a, (axis, steps)) in self.axes.iter().zip(&place.steps).enumerate() {
            let merged = steps.merged();
            let last = a + 1 == self.axes.len();
            match (&merged.shape[..], &merged.strides[0][..]) {
                ([], _) => {}
                ([_], [step]) if *step == 0 => {}
                ([_], steps) => {
                    let text = scaled(src, axis.name, steps[0])?;
                    if last && width == Width::Four {
                        let one = scaled(src, "1u", steps[0])?;
                        step = Some(one);
                    }
                    terms.push(text);
                }
                (dims, steps) if last && width == Width::Four => {
                    uneven = Some(self.uneven(src, number, dims, steps)?);
                }
                (dims, steps) => {
                    let prefix = format!("o{number}a{a}i");
                    strides::take_apart(src, text, axis.name, dims, &prefix)?;
                    terms.push(strides::dot(src, &prefix, steps)?);
                }
            }
        }
        let base = if terms.is_empty() { "0u".to_owned() } else { terms.join(" + ") };
        Ok(Index { base, step, uneven })
    }

    /// Adds a function for the index part along the innermost coordinate, where that steps unevenly; answers its name.
    fn uneven(
        &self,
        src: &mut Source<'_>,
        number: usize,
        dims: &[Taped],
        steps: &[Taped],
    ) -> Result<String, Refusal> {
        let name = format!("place{number}");
        let mut text = format!("fn {name}(at: u32) -> u32 {{\n");
        strides::take_apart(src, &mut text, "at", dims, "i")?;
        let index = strides::dot(src, "i", steps)?;
        let _ = writeln!(text, "return {index};\n}}");
        src.function(&name, text);
        Ok(name)
    }
}

/// Where a tensor's elements lie over the kernel's coordinates.
struct Place {
    base: Taped,
    /// For each coordinate.
    steps: Vec<Steps>,
}

impl Place {
    /// Whether four elements along the last coordinate, the first at a multiple of 4, are one aligned `vec4`.
    fn wide(&self) -> bool {
        let merged: Vec<_> = self.steps.iter().map(Steps::merged).collect();
        let inner = merged.last().and_then(|m| Some((m.shape.last()?, m.strides[0].last()?)));
        let even = inner.is_some_and(|(size, stride)| size.is_multiple_of(4) && *stride == 1);
        let others = merged.iter().flat_map(|m| &m.strides[0]).filter(|&&s| s % 4 != 0).count();
        even && others == 1 && self.base.is_multiple_of(4)
    }
}

/// An operand's binding.
struct Bound {
    name: String,
    /// Whether it is an array of `vec4`s.
    wide: bool,
}

/// An index of one element, and how far on the next along the last axis is (`None`: it is the same).
struct Index {
    base: String,
    step: Option<String>,
    /// A function for the last axis' part of the index, where no step says it.
    uneven: Option<String>,
}

fn scaled(src: &mut Source<'_>, name: &str, stride: Taped) -> Result<String, Refusal> {
    if stride == 1 {
        return Ok(name.to_owned());
    }
    let param = src.fresh("s");
    let value = src.size(&param, stride.unsigned_abs())?;
    Ok(if name == "1u" { value } else { format!("{name} * {value}") })
}

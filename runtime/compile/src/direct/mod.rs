//! Copy elimination: who makes a tensor writes it where a copy would put it, and who reads it reads it there.
//!
//! ```text
//!  rope ─► k ── copy ──┐                                      past ── copy ─► present[.., 0..p, ..]
//!                      ├─► present ─► attention       ──►     rope ─ strides ─► present[.., p.., ..]
//!  past ────── copy ───┘
//! ```
//!
//! A copy goes if it takes all of a tensor, each element once, and everybody who writes or reads that tensor can do so
//! through the strides that the copy would have moved it by: chains, products, convolutions, reductions, normalisations and
//! other copies write anywhere; chains, products and copies read anywhere. Copies are looked at from the last to the first,
//! so that what is turned and then concatenated goes to its place at once.

mod columns;
mod early;
mod halves;
mod moved;
mod reader;
mod rebase;
mod why;
mod writer;

use std::ops::Range;

use bayplan_shaders::{Spec, Target};

use self::moved::{Dim, Moved, apart};
pub(crate) use self::rebase::{base, rebase};
use self::why::Why;
use crate::lowered::{COPY, Lowered, Operation, Origin, Tensor, TensorId};
use crate::size::Size;

/// Removes the copies that nobody needs. `fixed` says which tensors follow from constants alone.
pub(crate) fn place(lowered: &mut Lowered, fixed: &mut Vec<bool>, target: &Target) {
    halves::part(lowered);
    columns::split(lowered, fixed, target);
    let mut uses = Uses::of(lowered);
    let mut gone = vec![false; lowered.operations.len()];
    for index in (0..lowered.operations.len()).rev() {
        if !matches!(lowered.operations[index].spec, Spec::Copy(_)) {
            continue;
        }
        let Ok(changes) = changes(lowered, &uses, fixed, target, index) else { continue };
        let (from, to) = (lowered.operations[index].operands[0].tensor, lowered.operations[index].output);
        gone[index] = true;
        // What is written at once is no copy of itself.
        if lowered.tensor(to).name.strip_suffix(COPY) == Some(&*lowered.tensor(from).name) {
            lowered.tensors[to.index()].name = lowered.tensor(from).name.clone();
        }
        uses.gone(index, from, to);
        let copy = &lowered.operations[index];
        let spared = copy.spares.clone().unwrap_or_else(|| copy.source_op.as_str().into());
        for (other, mut operation) in changes {
            if lowered.operations[other].output == from {
                operation.spares.get_or_insert_with(|| spared.clone());
            }
            lowered.operations[other] = operation;
        }
    }
    let mut gone = gone.into_iter();
    lowered.operations.retain(|_| !gone.next().unwrap_or(false));
    early::hoist(lowered);
}

/// Tells of each copy that is left why it is.
pub(crate) fn explain(lowered: &mut Lowered, target: &Target) {
    let uses = Uses::of(lowered);
    for index in 0..lowered.operations.len() {
        if matches!(lowered.operations[index].spec, Spec::Copy(_)) {
            let why = changes(lowered, &uses, &[], target, index).err().unwrap_or(Why::Kept);
            lowered.operations[index].why = Some(why.to_string().into());
        }
    }
}

/// Who reads and who writes each tensor.
struct Uses {
    readers: Vec<Vec<usize>>,
    writers: Vec<Vec<usize>>,
}

impl Uses {
    fn of(lowered: &Lowered) -> Self {
        Self { readers: lowered.readers(), writers: lowered.writers() }
    }

    /// A copy is no more: what used its source uses its result.
    fn gone(&mut self, copy: usize, from: TensorId, to: TensorId) {
        for list in [&mut self.readers, &mut self.writers] {
            let mut moved = std::mem::take(&mut list[from.index()]);
            list[to.index()].append(&mut moved);
            list[to.index()].retain(|&user| user != copy);
            list[to.index()].sort_unstable();
            list[to.index()].dedup();
        }
    }
}

/// The operations that change if a copy goes, as they are then.
fn changes(
    lowered: &Lowered,
    uses: &Uses,
    fixed: &[bool],
    target: &Target,
    index: usize,
) -> Result<Vec<(usize, Operation)>, Why> {
    let copy = &lowered.operations[index];
    let (Spec::Copy(spec), [source]) = (&copy.spec, &copy.operands[..]) else { return Err(Why::Part) };
    let (from, to) = (source.tensor, Place { lowered, target, tensor: copy.output });
    let tensor = lowered.tensor(from);
    match tensor.origin {
        Origin::Input => return Err(Why::Input),
        Origin::Constant(_) | Origin::Bytes(..) | Origin::Contents(_) => return Err(Why::Constant),
        Origin::Computed if lowered.outputs.contains(&from) => return Err(Why::Output),
        Origin::Computed => {}
    }
    let is = |tensor: TensorId| fixed.get(tensor.index()).copied().unwrap_or(false);
    if from == copy.output || is(from) || is(copy.output) {
        return Err(Why::Meets);
    }
    let (first, put) = (source.base + spec.x_base, copy.written.start + spec.out_base);
    let by = Moved::by(spec, first, put, tensor.elements()).ok_or(Why::Part)?;
    free(lowered, uses, index)?;
    let mut all = Vec::new();
    for &writer in &uses.writers[from.index()] {
        all.push((writer, writer::moved(&lowered.operations[writer], &by, &to)?));
    }
    for &reader in uses.readers[from.index()].iter().filter(|&&reader| reader != index) {
        let at = all.iter().position(|(writer, _)| *writer == reader);
        let now = at.map_or(&lowered.operations[reader], |at| &all[at].1);
        let moved = reader::moved(now, from, &by, &to)?;
        match at {
            Some(at) => all[at].1 = moved,
            None => all.push((reader, moved)),
        }
    }
    if all.iter().any(|(_, operation)| to.meets(operation)) {
        return Err(Why::Meets);
    }
    Ok(all)
}

/// Whether nobody else writes the elements that a copy puts.
fn free(lowered: &Lowered, uses: &Uses, index: usize) -> Result<(), Why> {
    let copy = &lowered.operations[index];
    let (first, dims) = writer::written(copy);
    let shape = &lowered.tensor(copy.output).shape;
    let others = uses.writers[copy.output.index()].iter().filter(|&&other| other != index);
    let mut sets = others.map(|&other| writer::written(&lowered.operations[other]));
    let alone = sets.all(|(other, theirs)| apart(shape, (first, &dims), (other, &theirs)));
    if alone { Ok(()) } else { Err(Why::Covered) }
}

/// The tensor that results go to, and where windows on it begin and end.
struct Place<'a> {
    lowered: &'a Lowered,
    target: &'a Target,
    tensor: TensorId,
}

impl Place<'_> {
    fn own(&self) -> &Tensor {
        self.lowered.tensor(self.tensor)
    }

    fn name(&self, of: TensorId) -> String {
        self.lowered.tensor(of).name.to_string()
    }

    /// Bytes that windows begin at multiples of.
    fn align(&self) -> u64 {
        self.target.window_alignment()
    }

    /// Whether a window can begin at an element.
    fn begins(&self, element: Size) -> bool {
        (element * self.own().repr.bytes()).surely_multiple_of(self.align())
    }

    /// Why it cannot.
    fn begin(&self, element: Size) -> Why {
        Why::Begins((element * self.own().repr.bytes()).here(), self.align())
    }

    /// Whether kernels may write whole `vec4`s up to an element: none of them holds another part's elements.
    fn ends(&self, element: Size) -> bool {
        (element * self.own().repr.bytes()).surely_multiple_of(self.target.storage_granule)
            || element.surely_eq(self.own().elements())
    }

    /// The last element up to one at which a window can begin.
    fn window_before(&self, first: Size) -> Size {
        first - first % (self.align() / self.own().repr.bytes()).max(1)
    }

    /// The elements from the last place before `first` where a window begins to the furthest written.
    fn window(&self, first: Size, dims: &[Dim]) -> Result<Range<Size>, Why> {
        let far = dims.iter().map(|&(size, stride)| (size - 1) * stride).sum::<Size>();
        let range = self.window_before(first)..first + far + 1;
        let bytes = (range.end - range.start) * self.own().repr.bytes();
        if bytes > self.target.max_storage_range { Err(Why::Large(bytes.here())) } else { Ok(range) }
    }

    /// Whether an operation would read this tensor where it writes it.
    fn meets(&self, operation: &Operation) -> bool {
        let width = self.own().repr.bytes();
        let bytes = |first: Size, end: Size| {
            let start = first * width;
            start - start % self.align()..(end * width).next_multiple_of(self.target.storage_granule)
        };
        let written = bytes(operation.written.start, operation.written.end);
        operation.output == self.tensor
            && operation.operands.iter().filter(|view| view.tensor == self.tensor).any(|view| {
                let read = bytes(view.base, view.base + view.extent());
                !read.end.surely_le(written.start) && !written.end.surely_le(read.start)
            })
    }
}

//! Puts a kernel together: bindings, parameters, functions, body.

use core::fmt::Write as _;

use bayplan_graph::DType;

use crate::chain::wide;
use crate::lanes::{self, Lanes};
use crate::tape::Taped;
use crate::{Access, Binding, Kernel, Launch, Refusal, Repr, Slot, Target};

/// Most words of a tensor: kernels count them in `u32`, with room for what the grid has too many.
const MAX_WORDS: u64 = 1 << 31;

/// A kernel that is written, with what one dispatch of it needs.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) kernel: Kernel,
    /// Contents of the uniform binding: the lowest 32 bits of each.
    pub(crate) params: Vec<Taped>,
    pub(crate) grid: [Taped; 3],
    pub(crate) flops: Taped,
}

impl Written {
    /// What it is at the numbers that it was written for.
    pub(crate) fn launch(self) -> Launch {
        let params = self.params.iter().map(|param| param.now() as u32).collect();
        let grid = self.grid.map(|groups| groups.now() as u32);
        Launch { kernel: self.kernel, params, grid, flops: self.flops.now().unsigned_abs() }
    }
}

/// A kernel being written. Methods that can refuse name the work in the refusal.
pub(crate) struct Source<'a> {
    what: String,
    target: &'a Target,
    bindings: Vec<Binding>,
    declarations: String,
    fields: String,
    params: Vec<Taped>,
    /// Functions, in the order of first use, by name.
    functions: Vec<(String, String)>,
}

impl<'a> Source<'a> {
    /// Starts a kernel; `what` names the work in refusals.
    pub(crate) fn new(what: impl Into<String>, target: &'a Target) -> Self {
        Self {
            what: what.into(),
            target,
            bindings: Vec::new(),
            declarations: String::new(),
            fields: String::new(),
            params: Vec::new(),
            functions: Vec::new(),
        }
    }

    /// The device the kernel is for.
    pub(crate) fn target(&self) -> &'a Target {
        self.target
    }

    /// A refusal of this work.
    pub(crate) fn refuse(&self, reason: impl Into<String>) -> Refusal {
        Refusal { what: self.what.clone(), reason: reason.into() }
    }

    /// The representation of an element type on this device.
    pub(crate) fn repr(&self, dtype: DType) -> Result<Repr, Refusal> {
        Repr::of(dtype).ok_or_else(|| self.refuse(format!("{dtype} has no representation on devices")))
    }

    /// The type of an element in a storage array, and of a number in registers.
    pub(crate) fn element(&self, repr: Repr) -> &'static str {
        match repr {
            Repr::F32 => "f32",
            Repr::I32 => "i32",
            Repr::U32 => "u32",
            _ if wide::emulated(self.target, repr) => wide::KIND,
            Repr::I64 => "i64",
            Repr::U64 => "u64",
            Repr::F64 => "f64",
        }
    }

    /// The type of a value in registers: as [`Source::element`], but for booleans.
    pub(crate) fn register(&self, dtype: DType, repr: Repr) -> &'static str {
        if dtype == DType::Bool { "bool" } else { self.element(repr) }
    }

    /// Binds a tensor of `words` 32-bit words as an array of `kind`; its elements are then `NAME.d[i]`.
    pub(crate) fn bind(
        &mut self,
        slot: Slot,
        access: Access,
        kind: &str,
        words: impl Into<Taped>,
    ) -> Result<String, Refusal> {
        let tensor = match slot {
            Slot::Operand(i) => format!("operand {i}"),
            Slot::Output => "the result".into(),
        };
        let words = words.into();
        let bytes = words * 4;
        if bytes > self.target.max_storage_range {
            let limit = self.target.max_storage_range;
            return Err(self.refuse(format!(
                "{tensor} takes {bytes:?} bytes, the device binds at most {limit} at once"
            )));
        }
        if words > MAX_WORDS {
            return Err(self.refuse(format!("{tensor} has {words:?} words, kernels count at most 2^31")));
        }
        let i = self.bindings.len();
        self.bindings.push(Binding { slot, access });
        // naga has no write-only storage; a struct around the array keeps accesses in one chain, which the
        // synchronisation layer needs to tell writes from reads.
        let mode = if access == Access::Read { "read" } else { "read_write" };
        let _ = writeln!(self.declarations, "struct B{i} {{ d: array<{kind}> }}");
        let _ = writeln!(self.declarations, "@group(0) @binding({i}) var<storage, {mode}> b{i}: B{i};");
        Ok(format!("b{i}"))
    }

    /// The bindings so far.
    pub(crate) fn bindings(self) -> Vec<Binding> {
        self.bindings
    }

    /// Adds a parameter, the lowest 32 bits of a number; the text reads it by the name returned.
    pub(crate) fn param(&mut self, name: &str, value: impl Into<Taped>) -> String {
        let _ = write!(self.fields, "{name}: u32, ");
        self.params.push(value.into());
        format!("p.{name}")
    }

    /// Adds a parameter that must fit 32 bits.
    pub(crate) fn size(&mut self, name: &str, value: impl Into<Taped>) -> Result<String, Refusal> {
        let value = value.into();
        self.fits(name, value)?;
        Ok(self.param(name, value))
    }

    /// Checks that a size fits 32 bits.
    pub(crate) fn fits(&self, name: &str, value: Taped) -> Result<(), Refusal> {
        let reason = || self.refuse(format!("{name} = {value:?} does not fit 32 bits"));
        if value.is_word() { Ok(()) } else { Err(reason()) }
    }

    /// A parameter name that is not in use yet.
    pub(crate) fn fresh(&self, prefix: &str) -> String {
        format!("{prefix}{}", self.params.len())
    }

    /// Adds a function unless one of that name is there.
    pub(crate) fn function(&mut self, name: &str, text: String) {
        if !self.functions.iter().any(|(n, _)| n == name) {
            self.functions.push((name.to_owned(), text));
        }
    }

    /// Ends the kernel: `body` is the inside of `main`, which has `lane` (the invocation within its workgroup), `group`
    /// (the workgroup, counted through all dimensions of the grid) and, if that is one subgroup, [`lanes::LANE`].
    pub(crate) fn finish(
        mut self,
        name: impl Into<String>,
        body: &str,
        shape: Workgroup,
        groups: Taped,
        flops: impl Into<Taped>,
    ) -> Result<Written, Refusal> {
        let grid = self.grid(groups)?;
        let mut wgsl = core::mem::take(&mut self.declarations);
        let has_params = !self.params.is_empty();
        if has_params {
            let i = self.bindings.len();
            let fields = self.fields.trim_end_matches(", ");
            let _ = writeln!(wgsl, "struct P {{ {fields} }}\n@group(0) @binding({i}) var<uniform> p: P;");
            // A uniform struct's window is whole vec4s; naga wants no padding declared for scalars.
            while !self.params.len().is_multiple_of(4) {
                self.params.push(Taped::constant(0));
            }
        }
        let own = |text: &str| lanes::expand(text.trim_end(), shape.lanes).map_err(|e| self.refuse(e));
        for (_, text) in &self.functions {
            wgsl.push_str(&own(text)?);
            wgsl.push('\n');
        }
        let body = own(body)?;
        let size = shape.invocations;
        let builtin = shape.lanes.map(|_| format!(", @builtin(subgroup_invocation_id) {}: u32", lanes::LANE));
        let _ = write!(
            wgsl,
            "@compute @workgroup_size({size})\nfn main(@builtin(local_invocation_index) lane: u32, \
             @builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) nwg: vec3<u32>{}) {{\n\
             let group = (wid.z * nwg.y + wid.y) * nwg.x + wid.x;\n{}\n}}\n",
            builtin.unwrap_or_default(),
            body
        );
        let kernel = Kernel {
            name: name.into(),
            wgsl,
            workgroup: [size, 1, 1],
            bindings: self.bindings,
            has_params,
            subgroup: shape.lanes.map(Lanes::count),
        };
        Ok(Written { kernel, params: self.params, grid, flops: flops.into() })
    }

    /// Spreads workgroups over the grid's dimensions; what is more than asked for in the last row does nothing, so
    /// kernels must guard against a `group` past the end.
    fn grid(&self, groups: Taped) -> Result<[Taped; 3], Refusal> {
        let max = self.target.max_workgroup_count.map(Taped::from);
        let x = groups.min(max[0]);
        let y = groups.div_ceil(x.max(1)).min(max[1]);
        let z = groups.div_ceil((x * y).max(1));
        if z > max[2] || x * y * z.max(1) > u32::MAX {
            return Err(self.refuse(format!("{groups:?} workgroups are more than the device's grid holds")));
        }
        // All fit 32 bits: each is at most a 32-bit limit.
        Ok([x, y, z])
    }
}

/// The workgroup of a kernel: one-dimensional.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workgroup {
    /// Invocations.
    pub(crate) invocations: u32,
    /// The lanes, if it is one subgroup.
    lanes: Option<Lanes>,
}

impl Workgroup {
    /// Independent invocations: as many as the device likes, at most `most`.
    pub(crate) fn flat(target: &Target, most: u32) -> Self {
        let limit = target.max_workgroup_invocations.min(target.max_workgroup_size[0]).min(most);
        // A power of two, so that subgroups are full.
        let invocations = if limit == 0 { 1 } else { 1 << limit.ilog2() };
        Self::of(invocations)
    }

    /// So many invocations, each for itself or meeting in shared memory.
    pub(crate) fn of(invocations: u32) -> Self {
        Self { invocations, lanes: None }
    }

    /// One subgroup.
    pub(crate) fn lanes(lanes: Lanes) -> Self {
        Self { invocations: lanes.count(), lanes: Some(lanes) }
    }
}

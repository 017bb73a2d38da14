//! Teams of invocations that go through one row together: what reductions, softmax and normalisation share.

use core::fmt::Write as _;

use crate::source::{Source, Workgroup};
use crate::{Class, Refusal, Target};

/// Who works on a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Team {
    /// One subgroup of that size, the whole workgroup.
    Subgroup(u32),
    /// One workgroup of that size, meeting in shared memory.
    Group(u32),
    /// One invocation of a workgroup of that size.
    Alone(u32),
}

impl Team {
    /// The team for rows of `len` neighbouring elements (`inner == 1`) or of elements `inner` apart.
    pub(crate) fn of(target: &Target, inner: u64, words: u64) -> Self {
        let flat = Workgroup::flat(target, 64).invocations;
        // 64-bit values in subgroup operations are an ability of their own, which targets do not list.
        if inner != 1 || words != 1 {
            return Self::Alone(flat);
        }
        match (target.class, target.subgroup) {
            (Class::Cpu, Some(s)) if s.arithmetic => Self::Subgroup(s.size),
            (Class::Cpu, _) => Self::Alone(flat),
            (Class::Gpu, _) => Self::Group(Workgroup::flat(target, 128).invocations),
        }
    }

    /// The workgroup.
    pub(crate) fn workgroup(self) -> Workgroup {
        match self {
            Self::Subgroup(size) => Workgroup::subgroup(size),
            Self::Group(invocations) | Self::Alone(invocations) => Workgroup { invocations, subgroup: None },
        }
    }

    /// Members per row.
    pub(crate) fn members(self) -> u32 {
        match self {
            Self::Subgroup(n) | Self::Group(n) => n,
            Self::Alone(_) => 1,
        }
    }

    /// Workgroups for that many rows.
    pub(crate) fn groups(self, rows: u64) -> u64 {
        match self {
            Self::Subgroup(_) | Self::Group(_) => rows,
            Self::Alone(n) => rows.div_ceil(u64::from(n)),
        }
    }

    /// Name of the variant.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Subgroup(n) => format!("subgroup{n}"),
            Self::Group(n) => format!("group{n}"),
            Self::Alone(_) => "alone".into(),
        }
    }

    /// `row` and `member`; ends what lies beyond the rows.
    pub(crate) fn begin(self, src: &mut Source<'_>, rows: u64) -> Result<String, Refusal> {
        let rows = src.size("rows", rows)?;
        Ok(match self {
            Self::Subgroup(_) => {
                format!("let row = group;\nlet member = sublane;\nif (row >= {rows}) {{ return; }}\n")
            }
            Self::Group(_) => {
                format!("let row = group;\nlet member = lane;\nif (row >= {rows}) {{ return; }}\n")
            }
            Self::Alone(n) => {
                format!(
                    "let row = group * {n}u + lane;\nlet member = 0u;\nif (row >= {rows}) {{ return; }}\n"
                )
            }
        })
    }

    /// Adds `fn NAME(v: KIND, member: u32) -> KIND`, which combines the members' values for all of them.
    ///
    /// `builtin` is the subgroup operation, `combine` a text over `x` and `y`.
    pub(crate) fn combine(self, src: &mut Source<'_>, name: &str, kind: &str, builtin: &str, combine: &str) {
        let body = match self {
            Self::Alone(_) => "return v;".to_owned(),
            Self::Subgroup(_) => format!("return {builtin}(v);"),
            Self::Group(n) => {
                let array = format!("team_{kind}");
                src.function(&array, format!("var<workgroup> {array}: array<{kind}, {n}>;"));
                format!(
                    "{array}[member] = v;\nworkgroupBarrier();\n\
                     for (var s = {half}u; s > 0u; s = s / 2u) {{\n\
                     if (member < s) {{\nlet x = {array}[member];\nlet y = {array}[member + s];\n{array}[member] = {combine};\n}}\n\
                     workgroupBarrier();\n}}\n\
                     let r = {array}[0];\nworkgroupBarrier();\nreturn r;",
                    half = n / 2
                )
            }
        };
        src.function(name, format!("fn {name}(v: {kind}, member: u32) -> {kind} {{\n{body}\n}}"));
    }
}

/// How a row lies: where it starts and how its elements follow each other, in units of `kind`.
pub(crate) struct Layout {
    /// Elements to an access, 4 or 1.
    pub(crate) per: u64,
    /// Statement for `base` and the text of the step between accesses.
    pub(crate) base: String,
    pub(crate) step: String,
}

impl Layout {
    /// For rows of x[outer, len, inner]; adds the parameters `len` (accesses per row) and `inner`. `wide` asks for `vec4`s.
    pub(crate) fn new(src: &mut Source<'_>, len: u64, inner: u64, wide: bool) -> Result<Self, Refusal> {
        let per = if wide && inner == 1 && len.is_multiple_of(4) { 4 } else { 1 };
        let accesses = src.size("len", len / per)?;
        if inner == 1 {
            return Ok(Self { per, base: format!("let base = row * {accesses};\n"), step: "1u".into() });
        }
        let inner = src.size("inner", inner)?;
        let base = format!("let base = (row / {inner}) * {accesses} * {inner} + row % {inner};\n");
        Ok(Self { per, base, step: inner })
    }

    /// The type of an access.
    pub(crate) fn kind(&self, scalar: &str) -> String {
        if self.per == 4 { format!("vec4<{scalar}>") } else { scalar.to_owned() }
    }

    /// A loop over the accesses of this member, `i` being the index.
    pub(crate) fn each(&self, body: &mut String, members: u32, inside: &str) {
        let _ = write!(
            body,
            "for (var j = member; j < p.len; j += {members}u) {{\nlet i = base + j * {};\n{inside}}}\n",
            self.step
        );
    }
}

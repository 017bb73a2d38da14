//! Teams of invocations that go through one row together: what reductions, softmax and normalisation share.

use crate::lanes::{Ability, Across, LANE, Lanes};
use crate::loops;
use crate::source::{Source, Workgroup};
use crate::tape::Taped;
use crate::tape::specs::Chain;
use crate::{Class, Refusal, Target};

/// Who works on a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Team {
    /// One subgroup, the whole workgroup.
    Subgroup(Lanes),
    /// One workgroup of that size, meeting in shared memory.
    Group(u32),
    /// One invocation of a workgroup of that size.
    Alone(u32),
}

impl Team {
    /// The team for rows of `len` neighbouring elements (`inner == 1`) or of elements `inner` apart.
    pub(crate) fn of(target: &Target, inner: impl Into<Taped>, words: u64) -> Self {
        let flat = Workgroup::flat(target, 64).invocations;
        // 64-bit values in subgroup operations are an ability of their own, which targets do not list.
        if words != 1 || inner.into() != 1 {
            return Self::Alone(flat);
        }
        match target.class {
            Class::Cpu => Lanes::of(target, Ability::Arithmetic).map_or(Self::Alone(flat), Self::Subgroup),
            Class::Gpu => Self::Group(Workgroup::flat(target, 128).invocations),
        }
    }

    /// The workgroup.
    pub(crate) fn workgroup(self) -> Workgroup {
        match self {
            Self::Subgroup(lanes) => lanes.workgroup(),
            Self::Group(invocations) | Self::Alone(invocations) => Workgroup::of(invocations),
        }
    }

    /// Members per row.
    pub(crate) fn members(self) -> u32 {
        match self {
            Self::Subgroup(lanes) => lanes.count(),
            Self::Group(n) => n,
            Self::Alone(_) => 1,
        }
    }

    /// Additions that a member's value goes through when the members' values are added up, in whatever order a subgroup
    /// operation takes.
    pub(crate) fn additions(self) -> u64 {
        match self {
            Self::Subgroup(lanes) => u64::from(lanes.count() - 1),
            Self::Group(n) => u64::from(n.max(1).ilog2()),
            Self::Alone(_) => 0,
        }
    }

    /// Workgroups for that many rows.
    pub(crate) fn groups(self, rows: Taped) -> Taped {
        match self {
            Self::Subgroup(_) | Self::Group(_) => rows,
            Self::Alone(n) => rows.div_ceil(Taped::from(n)),
        }
    }

    /// Name of the variant.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Subgroup(lanes) => format!("subgroup{}", lanes.count()),
            Self::Group(n) => format!("group{n}"),
            Self::Alone(_) => "alone".into(),
        }
    }

    /// `row` and `member`; ends what lies beyond the rows.
    pub(crate) fn begin(self, src: &mut Source<'_>, rows: Taped) -> Result<String, Refusal> {
        let rows = src.size("rows", rows)?;
        Ok(match self {
            Self::Subgroup(_) => {
                format!("let row = group;\nlet member = {LANE};\nif (row >= {rows}) {{ return; }}\n")
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
    /// `op` is the operation across lanes, `combine` the same as a text over `x` and `y`.
    pub(crate) fn combine(self, src: &mut Source<'_>, name: &str, kind: &str, op: Across, combine: &str) {
        let body = match self {
            Self::Alone(_) => "return v;".to_owned(),
            Self::Subgroup(lanes) => format!("return {};", lanes.across(op, "v")),
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

/// What a kernel does with its rows.
pub(crate) struct Walk<'a> {
    /// How often it goes through them.
    pub(crate) loops: u64,
    /// Passes of other loops, besides those of the epilogue.
    pub(crate) others: u64,
    /// Whether `vec4`s are asked for.
    pub(crate) wide: bool,
    /// The epilogue, and whether it is of each element or of the row.
    pub(crate) chain: Option<&'a Chain>,
    pub(crate) each: bool,
}

/// How a row lies: where it starts and how its elements follow each other, in units of `kind`.
pub(crate) struct Layout {
    /// Elements to an access, 4 or 1.
    pub(crate) per: u64,
    /// Statement for `base` and the text of the step between accesses.
    pub(crate) base: String,
    pub(crate) step: String,
    /// Steps to a pass of the loops.
    pub(crate) passes: u32,
    members: u32,
}

impl Layout {
    /// For rows of x[outer, len, inner] that `team` goes through; adds the parameters `len` (accesses per row) and `inner`.
    pub(crate) fn new(
        src: &mut Source<'_>,
        team: Team,
        [len, inner]: [Taped; 2],
        walk: &Walk<'_>,
    ) -> Result<Self, Refusal> {
        let per = if walk.wide && inner == 1 && len.is_multiple_of(4) { 4 } else { 1 };
        let members = team.members();
        let steps = (len / per).div_ceil(Taped::from(members));
        let results = if walk.each { steps * per } else { 1.into() };
        let others = walk.chain.map_or(Taped::constant(0), |c| loops::of_chain(c, results)) + walk.others;
        let passes = loops::steps_per_pass(src, loops::MOST_STEPS, [walk.loops.into(), steps, others])?;
        let accesses = src.size("len", len / per)?;
        if inner == 1 {
            let base = format!("let base = row * {accesses};\n");
            return Ok(Self { per, base, step: "1u".into(), passes, members });
        }
        let inner = src.size("inner", inner)?;
        let base = format!("let base = (row / {inner}) * {accesses} * {inner} + row % {inner};\n");
        Ok(Self { per, base, step: inner, passes, members })
    }

    /// The type of an access.
    pub(crate) fn kind(&self, scalar: &str) -> String {
        if self.per == 4 { format!("vec4<{scalar}>") } else { scalar.to_owned() }
    }

    /// The text of the sum over a member's own accumulator, which is as wide as an access.
    pub(crate) fn sum(&self, name: &str) -> String {
        if self.per == 4 { format!("({name}.x + {name}.y) + ({name}.z + {name}.w)") } else { name.to_owned() }
    }

    /// A loop over the accesses of this member, `i` being the index.
    pub(crate) fn each(&self, body: &mut String, inside: &str) {
        let head = ["j", "member", "p.len", &format!("{}u", self.members)];
        loops::write(body, self.passes, head, &format!("let i = base + j * {};\n{inside}", self.step));
    }

    /// Part of the kernel's name.
    pub(crate) fn name(&self) -> String {
        format!("x{}{}", self.per, loops::label(self.passes))
    }
}

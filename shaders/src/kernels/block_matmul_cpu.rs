//! Products whose right operand stays in quantised blocks, on CPU drivers.
//!
//! One subgroup makes `rows × (cols · lanes)` results; a lane has columns of its own. Each turn unpacks a piece of every
//! column once, in registers, for all rows. Such drivers load for a lane at a time, so that loads cost most: pieces are
//! loaded as `vec4`s, which have a quarter or an eighth of the bytes that floats have; elements of `a` are loaded once
//! per subgroup, each lane holding some, and spread with a shuffle from constant lanes.

use core::fmt::Write as _;

use crate::blocks::pieces::{self, Piece};
use crate::chain;
use crate::kernels::block_matmul;
use crate::kernels::matmul;
use crate::lanes::{Ability, LANE, Lanes};
use crate::loops;
use crate::source::{Source, Workgroup, Written};
use crate::tape::Taped;
use crate::tape::specs::{BlockMatMulSpec, Spec};
use crate::{Class, Refusal, Target};

/// Most turns to a pass of the loop over k: each is a text of its own.
const MOST_TURNS: u32 = 8;
/// Most rows of a subgroup.
const MOST_ROWS: u32 = 16;
/// Columns of a lane, which share the elements of `a`.
const COLS: u32 = 2;
/// Most products of a turn: drivers take long to compile more.
const MOST_PRODUCTS: u32 = 2048;
/// Sums that are kept in registers while a piece is gone through.
const SUMS: u32 = 8;

/// Whether this row serves the device.
pub(crate) fn fits(_: &Spec, target: &Target) -> bool {
    target.class == Class::Cpu
}

/// The shape of the block and how it is fed.
struct Plan {
    /// Rows per subgroup.
    rows: u32,
    /// Columns per lane.
    cols: u32,
    /// What a turn takes of a column.
    piece: Piece,
    /// The subgroup, if its size is known.
    team: Option<Lanes>,
    /// Whether elements of `a` along k are aligned `vec4`s.
    four: bool,
}

impl Plan {
    fn new(spec: &BlockMatMulSpec, [am, ak]: [Taped; 2], target: &Target) -> Self {
        let team = Lanes::of(target, Ability::Shuffle).filter(|l| matmul::usable(l.count()));
        let (cols, most) = if team.is_some() { (COLS, MOST_PRODUCTS) } else { (1, MOST_PRODUCTS / 8) };
        // Where every element is used once or twice, larger pieces make fewer loads.
        let blocks = if spec.m <= 2 { 2 } else { 1 };
        let piece = Piece::new(spec.format, spec.k, blocks);
        let fit = |rows: &u32| rows * cols * piece.depth() <= most;
        let choices = [1, 2, 4, 8, MOST_ROWS];
        let rows = choices.into_iter().filter(fit).find(|&rows| spec.m <= u64::from(rows));
        let rows = rows.or_else(|| choices.into_iter().rfind(fit)).unwrap_or(1);
        Self { rows, cols, piece, team, four: ak == 1 && am.is_multiple_of(4) }
    }

    fn lanes(&self) -> u32 {
        self.team.map_or(1, Lanes::count)
    }

    /// `vec4`s of a turn's elements of one row of `a`.
    fn quads(&self) -> u32 {
        self.piece.depth() / 4
    }
}

/// Writes the kernel.
pub(crate) fn build(spec: &BlockMatMulSpec, target: &Target) -> Result<Written, Refusal> {
    let mut src = Source::new("block_matmul", target);
    let strides = block_matmul::checked(spec, &src)?;
    let plan = Plan::new(spec, strides, target);
    let problem = block_matmul::begin(spec, &mut src, strides, plan.four, "vec4<u32>")?;
    if !pieces::functions(&mut src, spec.format) {
        return Err(src.refuse(format!("there is no text for {}", spec.format)));
    }
    let halves = spec.k / spec.format.elements() as u64 * (spec.format.bytes() as u64 / 2);
    plan.piece.params(&mut src, halves, spec.n)?;
    let width = plan.team.map_or_else(|| Workgroup::flat(target, 32).invocations, Lanes::count);
    let (mut body, groups) = problem.grid(&mut src, plan.rows, width * plan.cols)?;
    begin(&plan, width, &mut body);
    let others = loops::of_chain(&spec.epilogue, u64::from(plan.rows * plan.cols));
    let turns = spec.k / u64::from(plan.piece.depth());
    let per = loops::steps_per_pass(&src, MOST_TURNS, [1.into(), turns, others])?;
    let depth = format!("{}u", plan.piece.depth());
    loops::write(&mut body, per, ["k", "0u", "p.k", &depth], &turn(&plan));
    for (r, c) in plan.results() {
        let _ = writeln!(
            body,
            "if (row0 + {r}u < p.m && mine{c} < p.n) {{ put(s{r}_{c}, z, row0 + {r}u, mine{c}, \
             (row0 + {r}u) * p.n + mine{c}); }}"
        );
    }
    let shape = plan.team.map_or_else(|| Workgroup::of(width), Lanes::workgroup);
    let (label, epilogue) = (loops::label(per), chain::label(&spec.epilogue));
    src.finish(plan.name(width) + &label + &epilogue, &body, shape, groups, problem.flops())
}

impl Plan {
    fn name(&self, width: u32) -> String {
        let share = if self.team.is_some() { "" } else { ".alone" };
        let wide = if self.four { ".x4" } else { "" };
        let (rows, cols) = (self.rows, width * self.cols);
        format!("block_matmul.cpu.{}.{rows}x{cols}{wide}{share}", self.piece.name())
    }

    /// Rows and columns of this lane's results.
    fn results(&self) -> impl Iterator<Item = (u32, u32)> {
        let cols = self.cols;
        (0..self.rows).flat_map(move |r| (0..cols).map(move |c| (r, c)))
    }

    /// Loads of `a` per lane and turn.
    fn a_loads(&self) -> u32 {
        (self.rows * self.quads()).div_ceil(self.lanes())
    }
}

/// The lane's columns, where they begin, and the sums; where this lane's elements of `a` begin.
fn begin(plan: &Plan, width: u32, body: &mut String) {
    let lane = if plan.team.is_some() { LANE } else { "lane" };
    for c in 0..plan.cols {
        // Columns that are not there compute what the last one does, and put nothing.
        let _ = writeln!(body, "let mine{c} = col0 + {lane} + {}u;", c * width);
        let _ = writeln!(body, "let begin{c} = min(mine{c}, p.n - 1u) * p.row;");
    }
    for (r, c) in plan.results() {
        let _ = writeln!(body, "var s{r}_{c} = 0.0;");
    }
    let quads = plan.quads();
    for i in 0..plan.a_loads() {
        let first = i * plan.lanes();
        let place = if plan.team.is_some() { format!("({first}u + {LANE})") } else { format!("{first}u") };
        let _ = writeln!(
            body,
            "let x{i} = min(row0 + {place} / {quads}u, p.m - 1u) * p.am + ({place} % {quads}u) * 4u * p.ak;"
        );
    }
}

/// One turn: loads, unpacks and adds.
fn turn(plan: &Plan) -> String {
    let mut text = String::new();
    for i in 0..plan.a_loads() {
        let value = if plan.four {
            format!("b0.d[(x{i} + k) >> 2u]")
        } else {
            let at = |j: u32| format!("b0.d[x{i} + (k + {j}u) * p.ak]");
            format!("vec4<f32>({}, {}, {}, {})", at(0), at(1), at(2), at(3))
        };
        let _ = writeln!(text, "let a{i} = {value};");
    }
    for c in 0..plan.cols {
        plan.piece.unpack(c, &mut text);
    }
    let tile = (SUMS / plan.cols).max(1);
    for row in (0..plan.rows).step_by(tile as usize) {
        for quad in 0..plan.quads() {
            for r in row..(row + tile).min(plan.rows) {
                let place = r * plan.quads() + quad;
                let (load, lane) = (place / plan.lanes(), place % plan.lanes());
                let value = format!("a{load}");
                let value = plan.team.map_or(value.clone(), |lanes| lanes.shuffle(&value, lane));
                let _ = writeln!(text, "let x{r}_{quad} = {value};");
                for c in 0..plan.cols {
                    let _ = writeln!(text, "s{r}_{c} += dot(x{r}_{quad}, w{c}_{quad});");
                }
            }
        }
    }
    text
}

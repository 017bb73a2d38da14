//! Matrix products, and convolutions as such, on CPU drivers.
//!
//! One subgroup computes `rows × (4 · lanes)` results: every lane keeps `rows` `vec4` accumulators for its own four
//! columns. Elements of `a` are loaded once per subgroup, each lane holding some, and spread with a shuffle from
//! constant lanes, which such drivers turn into one vector instruction. Without known subgroups every invocation loads
//! all rows itself.

use core::fmt::Write as _;

use crate::chain;
use crate::kernels::product::{Problem, is_padded};
use crate::lanes::{Ability, LANE, Lanes};
use crate::loops;
use crate::source::Written;
use crate::source::{Source, Workgroup};
use crate::tape::Taped;
use crate::tape::specs::{MatMulSpec, Spec};
use crate::{Class, Refusal, Target};

/// Most turns to a pass of the loop over k: drivers take long to compile more of them.
const MOST_TURNS: u32 = 8;

/// Whether this row serves the device.
pub(crate) fn block_fits(_: &Spec, target: &Target) -> bool {
    target.class == Class::Cpu
}

/// How the elements of an operand are loaded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Loads {
    /// `vec4`s along k.
    AlongK,
    /// `vec4`s along n (of b).
    AlongN,
    /// Along k from any element on: two `vec4`s, and what lies between.
    FromK,
    /// Along n from any element on (of b).
    FromN,
    /// One by one, at any strides.
    Single,
    /// Taps of an image (b).
    Image {
        /// Whether some lie outside it.
        padded: bool,
    },
}

impl Loads {
    /// Whether the operand is an array of `vec4`s.
    fn wide(self) -> bool {
        !matches!(self, Self::Single | Self::Image { .. })
    }
}

/// The shape of the block and how it is fed.
struct Plan {
    /// Rows per subgroup.
    rows: u32,
    /// Lanes side by side.
    lanes: u32,
    /// The subgroup, if its size is known.
    team: Option<Lanes>,
    /// Lanes that share the loads of `a`: all, or 1 without subgroups.
    share: u32,
    /// Steps of k per turn of the loop.
    depth: u32,
    /// Whether the last turn may go past the end of k.
    ragged: bool,
    a: Loads,
    b: Loads,
}

impl Plan {
    fn new(problem: &Problem<'_>, target: &Target, team: Option<Lanes>) -> Self {
        let lanes = team.map(Lanes::count);
        let [am, ak, bk, bn] = problem.inner();
        let rank = problem.batch.len();
        let along = |size: Taped, inner: Taped, other: Taped, outer: &[Taped]| {
            let steps = [&[size, other], outer].concat();
            inner == 1 && steps.iter().all(|s| s.is_multiple_of(4))
        };
        let (a_outer, b_outer) = (&problem.a_strides[..rank], &problem.b_strides[..rank]);
        let a = match () {
            () if along(problem.k, ak, am, a_outer) => Loads::AlongK,
            () if ak == 1 => Loads::FromK,
            () => Loads::Single,
        };
        let b = match problem.image {
            Some(spec) => Loads::Image { padded: is_padded(spec) },
            None if along(problem.n, bn, bk, b_outer) => Loads::AlongN,
            None if along(problem.k, bk, bn, b_outer) => Loads::AlongK,
            None if bn == 1 => Loads::FromN,
            None if bk == 1 => Loads::FromK,
            None => Loads::Single,
        };
        // Elements that are loaded one by one are dear, and more rows share them.
        let dear = !matches!(b, Loads::AlongN | Loads::AlongK);
        let rows = match [1, 2, 4, 8].into_iter().find(|&rows| problem.m <= rows) {
            Some(rows) => rows,
            None if dear && problem.m > 32 && lanes.is_some() => 32,
            None => 16,
        };
        let share = lanes.unwrap_or(1);
        let depth = 4 * (share / rows).max(1);
        let lanes = lanes.unwrap_or_else(|| Workgroup::flat(target, 32).invocations);
        Self { rows, lanes, team, share, depth, ragged: !problem.k.is_multiple_of(Taped::from(depth)), a, b }
    }

    /// Loads of `a` per lane and turn.
    fn a_loads(&self) -> u32 {
        self.rows.div_ceil(self.share)
    }

    fn name(&self, what: &str) -> String {
        let load = |l| match l {
            Loads::AlongK => "k4",
            Loads::AlongN => "n4",
            Loads::FromK => "k",
            Loads::FromN => "n",
            Loads::Single => "1",
            Loads::Image { padded: true } => "padded",
            Loads::Image { padded: false } => "image",
        };
        let share = if self.share > 1 { "" } else { ".alone" };
        let ragged = if self.ragged { ".ragged" } else { "" };
        let (rows, cols) = (self.rows, self.lanes * 4);
        format!("{what}.cpu.{rows}x{cols}.a{}b{}{share}{ragged}", load(self.a), load(self.b))
    }
}

/// Writes the kernel of a matrix product.
pub(crate) fn build(spec: &MatMulSpec, target: &Target) -> Result<Written, Refusal> {
    let src = Source::new("matmul", target);
    let problem = Problem::matmul(spec, &src)?;
    build_problem(&problem, src)
}

/// Writes the kernel.
pub(crate) fn build_problem(problem: &Problem<'_>, mut src: Source<'_>) -> Result<Written, Refusal> {
    let target = src.target();
    let lanes = Lanes::of(target, Ability::Shuffle).filter(|l| usable(l.count()));
    let plan = Plan::new(problem, target, lanes);
    let kind = |l: Loads| if l.wide() { "vec4<f32>" } else { "f32" };
    problem.begin(&mut src, kind(plan.a), kind(plan.b))?;
    for (array, loads, words) in [("b0", plan.a, problem.a_words()), ("b1", plan.b, problem.b_words())] {
        if matches!(loads, Loads::FromK | Loads::FromN) {
            src.size(&format!("last_{array}"), words.div_ceil(4).saturating_sub(1))?;
            src.function(&format!("from_{array}"), from_any(array));
        }
    }
    let (mut body, groups) = problem.grid(&mut src, plan.rows, plan.lanes * 4)?;
    let lane = if plan.team.is_some() { LANE } else { "lane" };
    let _ = writeln!(body, "let col = col0 + {lane} * 4u;");
    let others = loops::of_chain(&problem.epilogue, plan.rows * 4);
    let per = loops::steps_per_pass(&src, MOST_TURNS, [1.into(), problem.k.div_ceil(plan.depth), others])?;
    block(&plan, per, &mut body);
    end(&plan, &mut body);
    let shape = lanes.map_or_else(|| Workgroup::of(plan.lanes), Lanes::workgroup);
    src.finish(
        plan.name(problem.what) + &loops::label(per) + &chain::label(&problem.epilogue),
        &body,
        shape,
        groups,
        problem.flops(),
    )
}

/// Subgroup sizes that the block is written for.
pub(crate) fn usable(size: u32) -> bool {
    matches!(size, 4 | 8 | 16 | 32)
}

/// A function that loads the four elements from any on. What lies past the array's end reads as something inside it.
fn from_any(array: &str) -> String {
    format!(
        "fn from_{array}(at: u32) -> vec4<f32> {{\nlet q = at / 4u;\n\
         let first = {array}.d[min(q, p.last_{array})];\nlet next = {array}.d[min(q + 1u, p.last_{array})];\n\
         let one = (at & 1u) != 0u;\nlet two = (at & 2u) != 0u;\n\
         let low = select(first, vec4<f32>(first.yzw, next.x), one);\nlet high = select(next.xy, next.yz, one);\n\
         return select(low, vec4<f32>(low.zw, high), two);\n}}\n"
    )
}

/// The sum over k, with `per` turns to a pass of the loop.
fn block(plan: &Plan, per: u32, body: &mut String) {
    for r in 0..plan.rows {
        let _ = writeln!(body, "var acc{r} = vec4<f32>();");
    }
    a_places(plan, body);
    b_places(plan, body);
    let depth = plan.depth;
    let mut inside = String::new();
    load_a(plan, &mut inside);
    for quad in 0..depth / 4 {
        if matches!(plan.b, Loads::AlongK | Loads::FromK) {
            load_b_along_k(plan, &mut inside, quad);
        }
        for step in 0..4 {
            load_b(plan, &mut inside, quad, step);
            for r in 0..plan.rows {
                let a = a_element(plan, r, quad, step);
                let _ = writeln!(inside, "acc{r} += {a} * b{quad}_{step};");
            }
        }
    }
    loops::write(body, per, ["k", "0u", "p.k", &format!("{depth}u")], &inside);
}

/// The indices `aN` of the first element (or `vec4`) of the rows that this lane loads.
fn a_places(plan: &Plan, body: &mut String) {
    let unit = if plan.a == Loads::AlongK { " / 4u" } else { "" };
    for i in 0..plan.a_loads() {
        let row = if plan.share == 1 {
            format!("{i}u")
        } else if plan.rows >= plan.share {
            format!("sublane + {}u", i * plan.share)
        } else {
            format!("sublane % {}u", plan.rows)
        };
        let _ = writeln!(body, "let ap{i} = (a_at + min(row0 + {row}, p.m - 1u) * p.am){unit};");
    }
    // Lanes beyond the rows hold later steps of k.
    let later = if plan.share > plan.rows { format!("sublane / {}u * 4u", plan.rows) } else { "0u".into() };
    let _ = writeln!(body, "let later = {later};");
}

fn b_places(plan: &Plan, body: &mut String) {
    match plan.b {
        Loads::AlongN => body.push_str("let bp = (b_at + min(col, p.n - 4u)) / 4u;\nlet bk = p.bk / 4u;\n"),
        Loads::FromN => body.push_str("let bp = b_at + min(col, p.n - 1u);\n"),
        Loads::Image { .. } => image_places(body),
        Loads::AlongK | Loads::FromK | Loads::Single => {
            let unit = if plan.b == Loads::AlongK { " / 4u" } else { "" };
            for j in 0..4 {
                let _ = writeln!(body, "let bp{j} = (b_at + min(col + {j}u, p.n - 1u) * p.bn){unit};");
            }
        }
    }
}

/// Of the four pixels of this lane: the first tap's coordinates, and its index (which may lie outside: it wraps).
fn image_places(body: &mut String) {
    body.push_str(
        "let px = min(vec4<u32>(col, col + 1u, col + 2u, col + 3u), vec4<u32>(p.n - 1u));\n\
         let y0 = (px / p.out_x) * p.step_y - p.pad_y;\nlet x0 = (px % p.out_x) * p.step_x - p.pad_x;\n\
         let bp = b_at + y0 * p.in_x + x0;\nlet plane = p.in_y * p.in_x;\n\
         var c = 0u;\nvar ky = 0u;\nvar kx = 0u;\n",
    );
}

/// Loads the tap at (`c`, `ky`, `kx`) of each pixel, 0 outside the image, and moves on to the next tap. A coordinate
/// before the image has wrapped to a great number.
fn load_tap(plan: &Plan, body: &mut String, padded: bool, step: &str, k: &str) {
    let _ = writeln!(body, "let i{step} = bp + (c * plane + ky * p.gap_y * p.in_x + kx * p.gap_x);");
    let mut inside = Vec::new();
    if padded {
        let _ = writeln!(body, "let y{step} = y0 + ky * p.gap_y;\nlet x{step} = x0 + kx * p.gap_x;");
        inside.push(format!("(y{step} < vec4<u32>(p.in_y)) & (x{step} < vec4<u32>(p.in_x))"));
    }
    if plan.ragged {
        inside.push(format!("vec4<bool>({k} < p.k)"));
    }
    let load =
        |i: &str| format!("vec4<f32>({})", ["x", "y", "z", "w"].map(|c| format!("b1.d[{i}.{c}]")).join(", "));
    if inside.is_empty() {
        let _ = writeln!(body, "let b{step} = {};", load(&format!("i{step}")));
    } else {
        let _ = writeln!(
            body,
            "let in{step} = {};\nlet j{step} = select(vec4<u32>(), i{step}, in{step});\n\
             let b{step} = select(vec4<f32>(), {}, in{step});",
            inside.join(" & "),
            load(&format!("j{step}"))
        );
    }
    body.push_str(
        "kx += 1u;\nif (kx == p.taps_x) { kx = 0u; ky += 1u; }\nif (ky == p.taps_y) { ky = 0u; c += 1u; }\n",
    );
}

fn load_a(plan: &Plan, body: &mut String) {
    body.push_str("let ka = k + later;\n");
    for i in 0..plan.a_loads() {
        let text = match (plan.a, plan.ragged) {
            (Loads::Single, false) => {
                let parts = [0, 1, 2, 3].map(|j| format!("b0.d[ap{i} + (ka + {j}u) * p.ak]"));
                format!("vec4<f32>({})", parts.join(", "))
            }
            (Loads::Single, true) => {
                let parts = [0, 1, 2, 3].map(|j| {
                    format!("select(0.0, b0.d[ap{i} + min(ka + {j}u, p.k - 1u) * p.ak], ka + {j}u < p.k)")
                });
                format!("vec4<f32>({})", parts.join(", "))
            }
            (Loads::FromK, false) => format!("from_b0(ap{i} + ka)"),
            (Loads::FromK, true) => until_k(&format!("from_b0(ap{i} + ka)"), "ka"),
            (_, false) => format!("b0.d[ap{i} + ka / 4u]"),
            (_, true) => format!("select(vec4<f32>(), b0.d[ap{i} + min(ka, p.k - 4u) / 4u], ka < p.k)"),
        };
        let _ = writeln!(body, "let a{i} = {text};");
    }
}

/// The part of four values from step `k` on that is before the end of k, and 0.
fn until_k(values: &str, k: &str) -> String {
    format!("select(vec4<f32>(), {values}, vec4<u32>({k}) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(p.k))")
}

/// Element (row, step of k) of `a`, from the lane that holds it.
fn a_element(plan: &Plan, row: u32, quad: u32, step: u32) -> String {
    let c = ["x", "y", "z", "w"][step as usize];
    let Some(lanes) = plan.team else { return format!("a{row}.{c}") };
    let (load, lane) = if plan.rows >= plan.share {
        (row / plan.share, row % plan.share)
    } else {
        (0, quad * plan.rows + row)
    };
    lanes.shuffle(&format!("a{load}.{c}"), lane)
}

/// Loads four steps of k of each of this lane's columns.
fn load_b_along_k(plan: &Plan, body: &mut String, quad: u32) {
    for j in 0..4 {
        let k = format!("k + {}u", quad * 4);
        let load = match (plan.b, plan.ragged) {
            (Loads::FromK, false) => format!("from_b1(bp{j} + {k})"),
            (Loads::FromK, true) => until_k(&format!("from_b1(bp{j} + {k})"), &k),
            (_, true) => format!("select(vec4<f32>(), b1.d[bp{j} + min({k}, p.k - 4u) / 4u], {k} < p.k)"),
            (_, false) => format!("b1.d[bp{j} + ({k}) / 4u]"),
        };
        let _ = writeln!(body, "let q{quad}_{j} = {load};");
    }
}

/// Four columns of `b` at one step of k. Beyond the end of k they are 0, as infinities times 0 would not be.
fn load_b(plan: &Plan, body: &mut String, quad: u32, step: u32) {
    let c = ["x", "y", "z", "w"][step as usize];
    let k = format!("k + {}u", quad * 4 + step);
    if let Loads::Image { padded } = plan.b {
        return load_tap(plan, body, padded, &format!("{quad}_{step}"), &k);
    }
    let at = if plan.ragged { format!("min({k}, p.k - 1u)") } else { format!("({k})") };
    let load = match plan.b {
        Loads::AlongK | Loads::FromK => {
            let parts = [0, 1, 2, 3].map(|j| format!("q{quad}_{j}.{c}"));
            format!("vec4<f32>({})", parts.join(", "))
        }
        Loads::AlongN => format!("b1.d[bp + {at} * bk]"),
        Loads::FromN => format!("from_b1(bp + {at} * p.bk)"),
        Loads::Single | Loads::Image { .. } => {
            let parts = [0, 1, 2, 3].map(|j| format!("b1.d[bp{j} + {at} * p.bk]"));
            format!("vec4<f32>({})", parts.join(", "))
        }
    };
    let load = if plan.ragged && !matches!(plan.b, Loads::AlongK | Loads::FromK) {
        format!("select(vec4<f32>(), {load}, {k} < p.k)")
    } else {
        load
    };
    let _ = writeln!(body, "let b{quad}_{step} = {load};");
}

/// Applies the epilogue and stores.
fn end(plan: &Plan, body: &mut String) {
    body.push_str("if (col >= p.n) { return; }\nlet keep = min(p.n - col, 4u);\nlet out = (z * p.m + row0) * p.n + col;\n");
    for r in 0..plan.rows {
        let _ = writeln!(
            body,
            "if (row0 + {r}u < p.m) {{ put4(acc{r}, z, row0 + {r}u, col, out + {r}u * p.n, keep); }}"
        );
    }
}

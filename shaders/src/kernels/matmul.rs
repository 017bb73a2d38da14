//! Matrix products on CPU drivers.
//!
//! One subgroup computes `rows × (4 · lanes)` results: every lane keeps `rows` `vec4` accumulators for its own four
//! columns. Elements of `a` are loaded once per subgroup, each lane holding some, and spread with `subgroupShuffle` at
//! constant lanes, which such drivers turn into one vector instruction. Without known subgroups every invocation loads
//! all rows itself.

use core::fmt::Write as _;

use crate::epilogue::{Axis, Epilogue};
use crate::source::{Source, Workgroup};
use crate::strides;
use crate::{Access, Class, Launch, MatMulSpec, Refusal, Slot, Spec, Target, chain};

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
    /// One by one, at any strides.
    Single,
}

/// The shape of the block and how it is fed.
struct Plan {
    /// Rows per subgroup.
    rows: u32,
    /// Lanes side by side.
    lanes: u32,
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
    fn new(spec: &MatMulSpec, target: &Target, lanes: Option<u32>) -> Self {
        let rows: u32 = match spec.m {
            0..=1 => 1,
            2 => 2,
            3..=4 => 4,
            5..=8 => 8,
            _ => 16,
        };
        let share = lanes.unwrap_or(1);
        let depth = 4 * (share / rows).max(1);
        let lanes = lanes.unwrap_or_else(|| Workgroup::flat(target, 32).invocations);
        let (am, ak) = split(&spec.a_strides);
        let (bk, bn) = split(&spec.b_strides);
        let whole = |n: u64, other: &[u64]| n.is_multiple_of(4) && other.iter().all(|s| s.is_multiple_of(4));
        let outer = |strides: &[u64]| strides[..strides.len().saturating_sub(2)].to_vec();
        let (a_outer, b_outer) = (outer(&spec.a_strides), outer(&spec.b_strides));
        let along = |n, inner, other, outer: &[u64]| inner == 1 && whole(n, &[other]) && whole(0, outer);
        let a = if along(spec.k, ak, am, &a_outer) { Loads::AlongK } else { Loads::Single };
        let b = if along(spec.n, bn, bk, &b_outer) {
            Loads::AlongN
        } else if along(spec.k, bk, bn, &b_outer) {
            Loads::AlongK
        } else {
            Loads::Single
        };
        Self { rows, lanes, share, depth, ragged: !spec.k.is_multiple_of(u64::from(depth)), a, b }
    }

    /// Loads of `a` per lane and turn.
    fn a_loads(&self) -> u32 {
        self.rows.div_ceil(self.share)
    }

    fn name(&self) -> String {
        let load = |l| match l {
            Loads::AlongK => "k4",
            Loads::AlongN => "n4",
            Loads::Single => "1",
        };
        let share = if self.share > 1 { "" } else { ".alone" };
        let ragged = if self.ragged { ".ragged" } else { "" };
        let (rows, cols) = (self.rows, self.lanes * 4);
        format!("matmul.cpu.{rows}x{cols}.a{}b{}{share}{ragged}", load(self.a), load(self.b))
    }
}

/// The last two strides.
fn split(strides: &[u64]) -> (u64, u64) {
    match strides {
        [.., x, y] => (*x, *y),
        _ => (0, 0),
    }
}

/// Checks the lengths of the strides.
pub(crate) fn check(spec: &MatMulSpec, src: &Source<'_>) -> Result<(), Refusal> {
    let want = spec.batch.len() + 2;
    for (name, strides) in [("a", &spec.a_strides), ("b", &spec.b_strides)] {
        if strides.len() != want {
            return Err(
                src.refuse(format!("{name} has {} strides, the product {want} dimensions", strides.len()))
            );
        }
    }
    Ok(())
}

/// Words of an operand: batch dimensions, then two more.
pub(crate) fn words(spec: &MatMulSpec, strides: &[u64], rows: u64, cols: u64) -> u64 {
    let mut shape = spec.batch.clone();
    shape.extend([rows, cols]);
    strides::extent(&shape, strides)
}

/// Statements for `a_at` and `b_at`, the first elements of batch `z`.
pub(crate) fn batch_bases(spec: &MatMulSpec, src: &mut Source<'_>, body: &mut String) -> Result<(), Refusal> {
    let rank = spec.batch.len();
    let (a, b) = (strides::signed(&spec.a_strides[..rank]), strides::signed(&spec.b_strides[..rank]));
    let merged = strides::merge(&spec.batch, &[a, b]);
    strides::take_apart(src, body, "z", &merged.shape, "z")?;
    let a = strides::dot(src, "z", &merged.strides[0])?;
    let b = strides::dot(src, "z", &merged.strides[1])?;
    let _ = writeln!(body, "let a_at = {a};\nlet b_at = {b};");
    Ok(())
}

/// Arithmetic of the product with its epilogue.
pub(crate) fn flops(spec: &MatMulSpec) -> u64 {
    let results = strides::elements(&spec.batch).saturating_mul(spec.m).saturating_mul(spec.n);
    results.saturating_mul(spec.k.saturating_mul(2).saturating_add(chain::flops(&spec.epilogue)))
}

/// Writes the kernel.
pub(crate) fn build(spec: &MatMulSpec, target: &Target) -> Result<Launch, Refusal> {
    let mut src = Source::new("matmul", target);
    check(spec, &src)?;
    let lanes = target.subgroup.filter(|s| s.shuffle && usable(s.size)).map(|s| s.size);
    let plan = Plan::new(spec, target, lanes);
    let kind = |l| if l == Loads::Single { "f32" } else { "vec4<f32>" };
    src.bind(Slot::Operand(0), Access::Read, kind(plan.a), words(spec, &spec.a_strides, spec.m, spec.k))?;
    src.bind(Slot::Operand(1), Access::Read, kind(plan.b), words(spec, &spec.b_strides, spec.k, spec.n))?;
    for (name, value) in [("m", spec.m), ("n", spec.n), ("k", spec.k)] {
        src.size(name, value)?;
    }
    let (am, ak) = split(&spec.a_strides);
    let (bk, bn) = split(&spec.b_strides);
    for (name, value) in [("am", am), ("ak", ak), ("bk", bk), ("bn", bn)] {
        src.size(name, value)?;
    }
    let (rows, cols) = ([spec.m], [spec.n]);
    let epilogue = Epilogue {
        chain: &spec.epilogue,
        axes: vec![
            Axis { name: "z", dims: &spec.batch },
            Axis { name: "row", dims: &rows },
            Axis { name: "col", dims: &cols },
        ],
        operands: 2,
        aligned: spec.n.is_multiple_of(4),
        in_place: None,
    };
    epilogue.write(&mut src, "f32", false, true)?;
    let down = spec.m.div_ceil(u64::from(plan.rows));
    let across = spec.n.div_ceil(u64::from(plan.lanes * 4));
    let groups = strides::elements(&spec.batch).saturating_mul(down).saturating_mul(across);
    let mut body = begin(&plan, &mut src, down, across, groups)?;
    batch_bases(spec, &mut src, &mut body)?;
    block(&plan, &mut body);
    end(&plan, &mut body);
    let shape = Workgroup { invocations: plan.lanes, subgroup: lanes };
    src.finish(plan.name(), &body, shape, groups, flops(spec))
}

/// Subgroup sizes that the block is written for.
pub(crate) fn usable(size: u32) -> bool {
    matches!(size, 4 | 8 | 16 | 32)
}

/// Which block this is. Blocks of one stripe of columns follow each other, so that `b` stays in a cache.
fn begin(plan: &Plan, src: &mut Source<'_>, down: u64, across: u64, groups: u64) -> Result<String, Refusal> {
    let down = src.size("down", down)?;
    let across = src.size("across", across)?;
    let groups = src.size("groups", groups)?;
    let (rows, cols) = (plan.rows, plan.lanes * 4);
    let lane = if plan.share > 1 { "sublane" } else { "lane" };
    Ok(format!(
        "if (group >= {groups}) {{ return; }}\n\
         let row0 = (group % {down}) * {rows}u;\n\
         let stripe = group / {down};\n\
         let col = (stripe % {across}) * {cols}u + {lane} * 4u;\n\
         let z = stripe / {across};\n"
    ))
}

/// The sum over k.
fn block(plan: &Plan, body: &mut String) {
    for r in 0..plan.rows {
        let _ = writeln!(body, "var acc{r} = vec4<f32>();");
    }
    a_places(plan, body);
    b_places(plan, body);
    let depth = plan.depth;
    let _ = writeln!(body, "for (var k = 0u; k < p.k; k += {depth}u) {{");
    load_a(plan, body);
    for quad in 0..depth / 4 {
        if plan.b == Loads::AlongK {
            load_b_along_k(plan, body, quad);
        }
        for step in 0..4 {
            load_b(plan, body, quad, step);
            for r in 0..plan.rows {
                let a = a_element(plan, r, quad, step);
                let _ = writeln!(body, "acc{r} += {a} * b{quad}_{step};");
            }
        }
    }
    body.push_str("}\n");
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
        Loads::AlongK | Loads::Single => {
            let unit = if plan.b == Loads::AlongK { " / 4u" } else { "" };
            for j in 0..4 {
                let _ = writeln!(body, "let bp{j} = (b_at + min(col + {j}u, p.n - 1u) * p.bn){unit};");
            }
        }
    }
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
            (_, false) => format!("b0.d[ap{i} + ka / 4u]"),
            (_, true) => format!("select(vec4<f32>(), b0.d[ap{i} + min(ka, p.k - 4u) / 4u], ka < p.k)"),
        };
        let _ = writeln!(body, "let a{i} = {text};");
    }
}

/// Element (row, step of k) of `a`, from the lane that holds it.
fn a_element(plan: &Plan, row: u32, quad: u32, step: u32) -> String {
    let c = ["x", "y", "z", "w"][step as usize];
    if plan.share == 1 {
        return format!("a{row}.{c}");
    }
    let (load, lane) = if plan.rows >= plan.share {
        (row / plan.share, row % plan.share)
    } else {
        (0, quad * plan.rows + row)
    };
    format!("subgroupShuffle(a{load}.{c}, {lane}u)")
}

/// Loads four steps of k of each of this lane's columns.
fn load_b_along_k(plan: &Plan, body: &mut String, quad: u32) {
    for j in 0..4 {
        let k = format!("k + {}u", quad * 4);
        let load = if plan.ragged {
            format!("select(vec4<f32>(), b1.d[bp{j} + min({k}, p.k - 4u) / 4u], {k} < p.k)")
        } else {
            format!("b1.d[bp{j} + ({k}) / 4u]")
        };
        let _ = writeln!(body, "let q{quad}_{j} = {load};");
    }
}

/// Four columns of `b` at one step of k. Beyond the end of k they are 0, as infinities times 0 would not be.
fn load_b(plan: &Plan, body: &mut String, quad: u32, step: u32) {
    let c = ["x", "y", "z", "w"][step as usize];
    let k = format!("k + {}u", quad * 4 + step);
    let at = if plan.ragged { format!("min({k}, p.k - 1u)") } else { format!("({k})") };
    let load = match plan.b {
        Loads::AlongK => {
            let parts = [0, 1, 2, 3].map(|j| format!("q{quad}_{j}.{c}"));
            format!("vec4<f32>({})", parts.join(", "))
        }
        Loads::AlongN => format!("b1.d[bp + {at} * bk]"),
        Loads::Single => {
            let parts = [0, 1, 2, 3].map(|j| format!("b1.d[bp{j} + {at} * p.bk]"));
            format!("vec4<f32>({})", parts.join(", "))
        }
    };
    let load = if plan.ragged && plan.b != Loads::AlongK {
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

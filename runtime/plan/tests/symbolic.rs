//! Plans for every shape: replays, closed forms, reservations.

mod family;
#[allow(dead_code, reason = "shared by several test binaries")]
mod instances;

use bayplan_expr::{Bindings, Bounds, Expr, Scope};
use bayplan_plan::symbolic::{PeakForm, Proof, SymbolicBuffer, SymbolicError, SymbolicPlan, SymbolicProblem};
use bayplan_plan::{Effort, ProblemError, validate};
use instances::SplitMix;

/// Draws problems and points.
struct Draw(SplitMix);

impl Draw {
    fn below(&mut self, count: u64) -> u64 {
        self.0.range(0, count - 1)
    }

    fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as u64) as i64
    }

    fn point(&mut self, scope: &Scope) -> Bindings {
        let value = |bounds: Bounds, draw: &mut Self| draw.between(bounds.lower, bounds.upper.unwrap());
        scope.iter().map(|(name, bounds)| (name.to_owned(), value(bounds, self))).collect()
    }
}

fn boxed(sides: &[(&str, i64, i64)]) -> Scope {
    let mut scope = Scope::new();
    for &(name, low, high) in sides {
        scope.declare(name, Bounds::between(low, high)).unwrap();
    }
    scope
}

fn problem(rows: &[(&str, u32, u32)], scope: Scope) -> Result<SymbolicProblem, SymbolicError> {
    let buffer = |&(size, first, last): &(&str, u32, u32)| {
        SymbolicBuffer::new(Expr::parse(size).unwrap(), first, last)
    };
    SymbolicProblem::new(rows.iter().map(buffer).collect(), scope)
}

/// Plans, and compares the closed form and the arena to reserve.
#[track_caller]
fn check(rows: &[(&str, u32, u32)], sides: &[(&str, i64, i64)], form: &str, reserve: u64, at: &str) {
    let plan = SymbolicPlan::solve(problem(rows, boxed(sides)).unwrap(), Effort::Normal);
    let told = plan.peak_form(Effort::Normal);
    assert_eq!((told.to_string().as_str(), told.proof), (form, Proof::Proved));
    let reservation = plan.reservation(Effort::Normal);
    assert_eq!((reservation.bytes, reservation.attained), (reserve, reserve));
    assert_eq!(reservation.at.to_string(), at);
}

/// Sums of monomials, some rounded up, some with a maximum or a quotient in them.
fn random_size(draw: &mut Draw, names: &[&str]) -> Expr {
    let mut size = Expr::from(draw.between(0, 300));
    for _ in 0..draw.below(3) {
        let mut term = Expr::from(draw.between(1, 40));
        for _ in 0..1 + draw.below(2) {
            term *= Expr::symbol(names[draw.below(names.len() as u64) as usize]);
        }
        size += term;
    }
    let other = Expr::symbol(names[draw.below(names.len() as u64) as usize]);
    match draw.below(8) {
        0 => size.max(other * 64),
        1 => size.floor_div(3),
        2 => size * (Expr::symbol(names[0]) - other).max(1),
        3 => Expr::from(draw.between(0, 2000)),
        4 | 5 => size.align_up(64),
        _ => size,
    }
}

fn random_problem(draw: &mut Draw) -> SymbolicProblem {
    let names = &["b", "p", "s"][..1 + draw.below(3) as usize];
    let sides: Vec<_> = names
        .iter()
        .map(|&name| {
            let low = draw.between(0, 3);
            (name, low, low + [0, 5, 40, 500][draw.below(4) as usize])
        })
        .collect();
    let aligns: &[u64] = [&[1][..], &[256], &[1, 16, 64, 256]][draw.below(3) as usize];
    let sizes: Vec<Expr> = (0..1 + draw.below(8)).map(|_| random_size(draw, names)).collect();
    let (count, end) = (1 + draw.below(40), 2 + draw.below(40));
    let mut buffer = || {
        let size = sizes[draw.below(sizes.len() as u64) as usize].clone();
        let first = draw.below(end) as u32;
        let last = first + 1 + draw.below(1 + end / 4) as u32;
        SymbolicBuffer::new(size, first, last).aligned(aligns[draw.below(aligns.len() as u64) as usize])
    };
    SymbolicProblem::new((0..count).map(|_| buffer()).collect(), boxed(&sides)).unwrap()
}

/// The replay as it is defined, pair by pair.
fn replay_by_definition(plan: &SymbolicPlan, point: &Bindings) -> Vec<u64> {
    let problem = plan.problem().at(point).unwrap();
    let buffers = problem.buffers();
    let mut offsets = vec![0u64; buffers.len()];
    for (at, &i) in plan.order().iter().enumerate() {
        let buffer = &buffers[i as usize];
        let live = |&&j: &&u32| buffers[j as usize].lifespan.overlaps(buffer.lifespan);
        let tops =
            plan.order()[..at].iter().filter(live).map(|&j| offsets[j as usize] + buffers[j as usize].size);
        offsets[i as usize] = tops.max().unwrap_or(0).next_multiple_of(buffer.align);
    }
    offsets
}

#[test]
fn random_problems() {
    let (mut proved, mut terms, mut most) = (0, 0, 0);
    let seeds = 0..40;
    for seed in seeds.clone() {
        let draw = &mut Draw(SplitMix(seed));
        let plan = SymbolicPlan::solve(random_problem(draw), Effort::Normal);
        let form = plan.peak_form(Effort::Normal);
        let reservation = plan.reservation(Effort::Normal);
        assert!(plan.regret().unwrap().worst >= 1.0);
        assert_eq!(plan.peak_at(&reservation.at).unwrap(), reservation.attained, "seed {seed}");
        for _ in 0..40 {
            let point = draw.point(plan.problem().scope());
            let replayed = plan.replay(&point).unwrap();
            assert_eq!(replayed.offsets, replay_by_definition(&plan, &point), "seed {seed} at {point}");
            let placed = plan.plan_at(&point).unwrap();
            validate(&plan.problem().at(&point).unwrap(), &placed).unwrap();
            assert!(placed.peak <= replayed.peak);
            assert_eq!(placed.lower_bound, plan.lower_bound_at(&point).unwrap());
            assert!(replayed.peak <= reservation.bytes, "seed {seed} at {point}");
            let told = form.eval(&point).unwrap();
            match form.proof {
                Proof::Proved => assert_eq!(told, replayed.peak, "seed {seed} at {point}: {form}"),
                Proof::Checked { .. } => assert!(told <= replayed.peak, "seed {seed} at {point}: {form}"),
            }
        }
        proved += usize::from(form.proof == Proof::Proved);
        terms += form.terms.len();
        most = most.max(form.terms.len());
    }
    println!("{proved} of {} forms proved, {terms} terms, {most} at most", seeds.count());
    assert!(proved >= 36, "{proved}");
}

#[test]
fn known_forms() {
    const FAR: i64 = 1 << 40;
    // Sizes that differ by a constant: the shorter two share the longer one's place.
    let rows = [("8*n", 0, 2), ("8*n", 1, 3), ("8*n + 8", 2, 4)];
    check(&rows, &[("n", 2, FAR)], "16*n + 8", 16 * FAR as u64 + 8, &format!("n={FAR}"));
    // A joint maximum, not the product of maxima.
    let size = "4*n*m*Max(n - m, 1)";
    let rows = [(size, 0, 2), (size, 1, 3), (size, 2, 4)];
    check(&rows, &[("n", 1, 20), ("m", 1, 5)], "8*m*n*Max(1, n - m)", 12_000, "m=5, n=20");
    // One after another: the larger counts, whichever it is.
    let rows = [("4096", 0, 1), ("4*n", 1, 2)];
    check(&rows, &[("n", 0, 1024)], "4096", 4096, "n=0");
    check(&rows, &[("n", 0, 2000)], "Max(4096, 4*n)", 8000, "n=2000");
    check(&[], &[], "0", 0, "");
    // More symbols than a grid has room for.
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let (rows, sides) = (names.map(|name| (name, 0, 1)), names.map(|name| (name, 0, 9)));
    let most = names.map(|name| format!("{name}=9")).join(", ");
    check(&rows, &sides, &names.join(" + "), 90, &most);
    check(&[("0", 0, 1), ("n", 3, 4)], &[("n", 7, 7)], "n", 7, "n=7");
}

#[test]
fn alignment_is_part_of_the_form() {
    let buffer = |size: &str, align| SymbolicBuffer::new(Expr::parse(size).unwrap(), 0, 1).aligned(align);
    let buffers = vec![buffer("n", 16), buffer("3*n", 256), buffer("5", 1)];
    let given = SymbolicProblem::new(buffers, boxed(&[("n", 0, 5000)])).unwrap();
    let plan = SymbolicPlan::from_order(given, vec![0, 1, 2]).unwrap();
    let form = plan.peak_form(Effort::Normal);
    assert_eq!(form.to_string(), "3*n + 256*((n + 255)//256) + 5");
    assert_eq!(form.proof, Proof::Proved);
    for n in 0..=5000 {
        let at = Bindings::new().with("n", n);
        assert_eq!(form.eval(&at).unwrap(), plan.peak_at(&at).unwrap(), "{n}");
    }
}

#[test]
fn what_stands_on_a_rounded_sum_is_compared() {
    let buffer = |size: &str, align, first, last| {
        SymbolicBuffer::new(Expr::parse(size).unwrap(), first, last).aligned(align)
    };
    let below = "((s + 5)//6)*Max(13, u)";
    let buffers = vec![
        buffer("u**2 + 27", 1, 1, 7),
        buffer(below, 1, 1, 7),
        buffer("274 - s", 1, 2, 3),
        buffer("Min(21, t)", 8, 4, 5),
        buffer("s**2 + 61", 1, 7, 8),
    ];
    let scope = boxed(&[("s", 1, 179), ("t", 1, 1 << 61), ("u", 0, 260)]);
    let plan =
        SymbolicPlan::from_order(SymbolicProblem::new(buffers, scope).unwrap(), vec![0, 1, 2, 3, 4]).unwrap();
    let form = plan.peak_form(Effort::Normal);
    assert_eq!(form.to_string(), format!("Max(s**2 + 61, u**2 + {below} - s + 301)"));
    assert_eq!(form.proof, Proof::Proved);
}

/// A true inequality that the prover of expressions does not find: rounding inside a size.
#[test]
fn proofs_that_fail_end_the_search() {
    let below = "u**2 + ((s + 5)//6)*Max(13, u)";
    let rounded = format!("8*(({below} + 7)//8)");
    let rows = [(below, 0, 1), ("274 - s", 0, 1), (&*rounded, 1, 2), ("Min(21, t)", 1, 2)];
    let sides = [("s", 1, 179), ("t", 1, 1 << 61), ("u", 0, 260)];
    let plan = SymbolicPlan::solve(problem(&rows, boxed(&sides)).unwrap(), Effort::Normal);
    let form = plan.peak_form(Effort::Normal);
    let Proof::Checked { points } = form.proof else { panic!("{form} is proved") };
    assert!((100..1500).contains(&points), "{points}");
    for (s, t, u) in [(1, 1, 0), (179, 1 << 61, 260), (90, 20, 13), (179, 1, 0)] {
        let at = Bindings::new().with("s", s).with("t", t).with("u", u);
        assert!(form.eval(&at).unwrap() <= plan.peak_at(&at).unwrap(), "{at}");
    }
}

/// The whole sweep; `cargo run --release -p bayplan-plan --example symbolic_family` prints it with times.
#[test]
fn the_family_at_every_length() {
    let plan = SymbolicPlan::solve(family::family(), Effort::Normal);
    let form = plan.peak_form(Effort::Normal);
    assert!(form.terms.len() <= 16 && form.proof == Proof::Proved, "{form}");
    for s in family::LEAST..=family::GREATEST {
        let at = Bindings::new().with("S", s);
        assert!(plan.waste_at(&at).unwrap() <= 0.01, "{at}: {}", plan.waste_at(&at).unwrap());
        assert_eq!(form.eval(&at).unwrap(), plan.peak_at(&at).unwrap(), "{at}");
    }
    for s in [16, 100, 1024, 8192] {
        plan.plan_at(&Bindings::new().with("S", s)).unwrap();
    }
    let reservation = plan.reservation(Effort::Normal);
    assert_eq!(reservation.at.to_string(), "S=8192");
    assert_eq!(reservation.bytes, reservation.attained);
}

/// Layers of a decoder with a past: each takes its past in and gives its present out, one row longer, with queries, scores
/// and a wide product in between. Whether the past, the scores or the product is the largest is a matter of the point, and
/// what is wrong in one layer is wrong in all of them.
#[test]
fn one_order_of_equal_layers_wastes_nothing_anywhere() {
    const LAYERS: u32 = 24;
    let end = 10 * LAYERS + 2;
    let mut rows = vec![("4*past*seq + 4*seq**2", 0, end - 1), ("64*seq", 0, end - 1)];
    for layer in 0..LAYERS {
        let at = 10 * layer;
        rows.extend([
            ("64*past", 0, at + 2),
            ("64*past", 0, at + 4),
            ("64*past + 64*seq", at + 1, end),
            ("64*past + 64*seq", at + 3, end),
            ("256*seq", at + 1, at + 6),
            ("64*seq", at + 2, at + 5),
            ("256*seq", at + 5, at + 8),
            ("32*past*seq + 32*seq**2", at + 6, at + 8),
            ("256*seq", at + 7, at + 17),
            ("900*seq", at + 8, at + 10),
            ("900*seq", at + 9, at + 11),
        ]);
    }
    for row in &mut rows {
        row.2 = row.2.min(end);
    }
    let scope = boxed(&[("past", 0, 30_000), ("seq", 1, 512)]);
    let plan = SymbolicPlan::solve(problem(&rows, scope).unwrap(), Effort::Normal);
    assert_eq!(plan.regret().map(|regret| regret.worst), Some(1.0));
    let mut draw = Draw(SplitMix(7));
    for _ in 0..200 {
        let point = draw.point(plan.problem().scope());
        assert_eq!(plan.peak_at(&point), Ok(plan.lower_bound_at(&point).unwrap().bytes), "{point}");
    }
}

#[test]
fn an_order_and_a_form_are_all_there_is_to_keep() {
    let plan = SymbolicPlan::solve(family::family(), Effort::Normal);
    let kept = SymbolicPlan::from_order(family::family(), plan.order().to_vec()).unwrap();
    let at = Bindings::new().with("S", 777);
    assert_eq!(kept.replay(&at), plan.replay(&at));
    assert_eq!(kept.regret(), None);
    let form = plan.peak_form(Effort::Normal);
    let read = PeakForm::parse(&form.to_string(), form.proof).unwrap();
    assert_eq!((read.expr(), read.terms.len()), (form.expr(), form.terms.len()));
    assert_eq!(read.eval(&at), form.eval(&at));
    assert_eq!(PeakForm::parse("Max(a, b)*Max(c, d)", form.proof).unwrap().terms.len(), 1);
    assert_eq!(PeakForm::parse("Max(a, Max(b, 3)//2)", form.proof).unwrap().terms.len(), 2);
    assert!(PeakForm::parse("Max(a,", form.proof).is_err());
}

#[test]
fn what_is_no_problem_is_refused() {
    let refused =
        |rows: &[(&str, u32, u32)], sides: &[(&str, i64, i64)]| problem(rows, boxed(sides)).unwrap_err();
    let unbounded = SymbolicError::Unbounded { buffer: 1, symbol: "n".into() };
    assert_eq!(refused(&[("1", 0, 1), ("4*n", 0, 1)], &[]), unbounded);
    let at = Bindings::new().with("n", 0);
    assert_eq!(
        refused(&[("n - 2", 0, 1)], &[("n", 0, 9)]),
        SymbolicError::Negative { buffer: 0, at, bytes: -2 }
    );
    assert_eq!(
        refused(&[("n", 4, 4)], &[("n", 0, 9)]),
        SymbolicError::Problem(ProblemError::EmptyLifespan { buffer: 0, first: 4, last: 4 })
    );
    let large = refused(&[("n*n + 1", 0, 1)], &[("n", 0, 1 << 31)]);
    assert!(matches!(large, SymbolicError::Problem(ProblemError::TotalTooLarge { buffer: 0 })), "{large}");
    let none = refused(&[("4//n", 0, 1)], &[("n", 0, 0)]);
    assert!(matches!(none, SymbolicError::NoMaximum { buffer: 0, .. }), "{none}");

    let given = problem(&[("n", 0, 2), ("2*n", 1, 3)], boxed(&[("n", 1, 9)])).unwrap();
    for (order, position) in [(vec![0], 1), (vec![0, 0], 1), (vec![2, 0], 0), (vec![0, 1, 1], 2)] {
        let error = SymbolicPlan::from_order(given.clone(), order).unwrap_err();
        assert_eq!(error, SymbolicError::NotAnOrder { position });
    }
    let plan = SymbolicPlan::from_order(given, vec![1, 0]).unwrap();
    assert!(matches!(plan.replay(&Bindings::new().with("n", 10)), Err(SymbolicError::Scope(_))));
    assert!(matches!(plan.peak_at(&Bindings::new()), Err(SymbolicError::Point(_))));
}

/// A term is named by the buffers that carry it, the largest first.
#[test]
fn terms_are_named_by_their_buffers() {
    let rows =
        [("4096*s", 0, 2), ("32*s**2", 1, 3), ("0*s", 1, 3), ("7", 0, 3), ("1048576", 2, 4), ("5", 2, 4)];
    let plan = SymbolicPlan::solve(problem(&rows, boxed(&[("s", 1, 4096)])).unwrap(), Effort::Normal);
    let names = ["mlp", "scores", "empty", "mask", "logits", "eps"];
    let function = plan.memory("main", Effort::Normal, &|buffer| names[buffer as usize]);
    let told: Vec<(&str, String)> =
        function.terms.iter().map(|term| (term.name.as_str(), term.bytes.to_string())).collect();
    assert!(function.proved, "{told:?}");
    let (form, chains) = plan.peak_chains(Effort::Normal);
    assert_eq!(told.len(), form.terms.len());
    for (((_, bytes), term), chain) in told.iter().zip(&form.terms).zip(&chains) {
        assert_eq!(*bytes, term.to_string());
        let size = |&buffer: &u32| plan.problem().buffers()[buffer as usize].size.eval(&chain.at).unwrap();
        assert_eq!(chain.buffers.iter().map(size).sum::<i64>(), term.eval(&chain.at).unwrap());
        assert_eq!(plan.peak_at(&chain.at).unwrap(), term.eval(&chain.at).unwrap().unsigned_abs());
    }
    assert!(told.contains(&("scores, mlp, mask", "32*s**2 + 4096*s + 7".into())), "{told:?}");
    assert!(told.contains(&("logits, scores, mask and 1 more", "32*s**2 + 1048588".into())), "{told:?}");
}

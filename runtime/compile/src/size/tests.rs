use bayplan_expr::{Bindings, Bounds, Expr, Scope};

use super::{Formulas, Size, Symbols};

/// s from 1 to 64, p from 0 to 512, b from 1 up; decided at s = 7, p = 22, b = 3.
fn entered() -> Symbols {
    let mut scope = Scope::new();
    for (name, bounds) in
        [("s", Bounds::between(1, 64)), ("p", Bounds::between(0, 512)), ("b", Bounds::at_least(1))]
    {
        scope.declare(name, bounds).expect("bounds that hold");
    }
    Symbols::enter(&scope, &point(7, 22, 3))
}

fn point(s: i64, p: i64, b: i64) -> Bindings {
    Bindings::new().with("s", s).with("p", p).with("b", b)
}

fn symbol(name: &str) -> Size {
    Size::of(&Expr::symbol(name)).expect("a symbol that is bound")
}

fn texts(formulas: &Formulas) -> Vec<String> {
    formulas.guards().iter().map(ToString::to_string).collect()
}

#[test]
fn constants_need_no_table() {
    let (six, four) = (Size::from(6), Size::from(4));
    assert_eq!((six * four - 1).known(), Some(23));
    assert_eq!((Size::from(-7) / 2).known(), Some(-4));
    assert_eq!((Size::from(-7) % 2).known(), Some(1));
    assert_eq!((Size::from(7) / 0, Size::from(7) % 0), (Size::ZERO, Size::ZERO));
    assert_eq!(six.exact_div(Size::from(3)).map(Size::here), Some(2));
    assert!(six.exact_div(four).is_none() && six.exact_div(Size::ZERO).is_none());
    assert!(six.surely_multiple_of(3) && !six.surely_multiple_of(4) && !six.surely_multiple_of(0));
    assert_eq!((Size::from(9).next_multiple_of(8)).known(), Some(16));
    assert_eq!((Size::from(u64::MAX) + 1).known(), Some(i64::MAX));
    assert_eq!(Size::from(-5).abs(), 5);
    assert!(six > four && four <= six && four != six && six.max(four) == 6);
    assert!(Size::of(&Expr::symbol("s")).is_err(), "no symbols are entered");
    assert_eq!(format!("{six:?}"), "6");
}

#[test]
fn what_is_proved_needs_no_guard() {
    let symbols = entered();
    let (s, p, b) = (symbol("s"), symbol("p"), symbol("b"));
    assert!(s * 64 == s * 2 * 32 && (s + p) * b == b * p + s * b);
    assert!(s > 0 && p >= 0 && s <= 64 && p + s > p && s * b * 4 >= s);
    assert!(s != 0 && s + p != p && s * 2 != 200);
    assert!((s * 64).surely_multiple_of(16) && !s.surely_multiple_of(7));
    assert_eq!((s * b * 12).exact_div(s * 4).map(Size::expr), Some((b * 3).expr()));
    assert!((s * b).exact_div(p).is_none());
    assert_eq!(s.min(64).key(), s.key());
    assert_eq!(s.max(1).key(), s.key());
    assert_eq!((s * 4).next_multiple_of(4).key(), (s * 4).key());
    assert!(symbols.leave().guards().is_empty());
}

#[test]
fn what_is_not_proved_is_a_guard() {
    let symbols = entered();
    let (s, p, b) = (symbol("s"), symbol("p"), symbol("b"));
    assert!(!s.surely_eq(7) && !p.surely_le(b) && !b.surely_eq(p), "only asked");
    assert!(p > s && s != b);
    assert!(p > s && b <= 1000, "one guard for what is asked twice");
    assert_eq!(p.pin(), 22);
    let formulas = symbols.leave();
    assert_eq!(texts(&formulas), ["s + 1 ≤ p", "b ≠ s", "b ≤ 1000", "p = 22"]);
    assert!(formulas.at(&point(21, 22, 1000)).expect("values").is_some());
    assert!(formulas.at(&point(22, 22, 5)).expect("values").is_none());
    assert_eq!(formulas.broken(&point(9, 22, 1001)).map(ToString::to_string).as_deref(), Some("b ≤ 1000"));
    assert!(formulas.at(&Bindings::new()).is_err(), "symbols without a value");
}

#[test]
fn guards_that_follow_from_others_go() {
    let symbols = entered();
    let b = symbol("b");
    assert!(b * 64 <= 1_000_000 && b <= 1_000_000 && b * 128 <= 1_000_000);
    assert_eq!(texts(&symbols.leave()), ["128*b ≤ 1000000"]);
    let symbols = entered();
    let b = symbol("b");
    assert!(b <= 100 && b * 2 <= 200, "what bounds a symbol is known from then on");
    assert!(b.surely_le(100));
    assert_eq!(texts(&symbols.leave()), ["b ≤ 100"]);
}

#[test]
fn one_compile_within_another() {
    let outer = entered();
    let s = symbol("s");
    {
        let inner = Symbols::enter(&Scope::new(), &Bindings::new().with("n", 4));
        assert_eq!(symbol("n").pin(), 4);
        assert_eq!(texts(&inner.leave()), ["n = 4"]);
    }
    assert!(s <= 64);
    assert!(outer.leave().guards().is_empty());
    assert!(Size::of(&Expr::symbol("s")).is_err());
}

/// A generator of small numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// Whether products of it do not saturate.
fn is_small(size: Size) -> bool {
    size.max(-size) <= 1 << 20
}

/// Draws sizes and decisions; answers the sizes, and what was decided.
fn draw(random: &mut Random) -> (Vec<Size>, Vec<bool>) {
    let mut sizes = vec![symbol("s"), symbol("p"), symbol("b"), Size::from(2), Size::from(12), Size::ONE];
    let mut decided = Vec::new();
    for _ in 0..24 {
        let pick = |random: &mut Random| sizes[random.below(sizes.len() as u64) as usize];
        let (a, b) = (pick(random), pick(random));
        let made = match random.below(8) {
            0 => a + b,
            1 => a - b,
            2 if is_small(a) && is_small(b) => a * b,
            3 if b > 0 => a / b,
            4 if b > 0 => a % b,
            5 => a.min(b),
            6 => a.max(b),
            _ => a + 1,
        };
        decided.push(match random.below(4) {
            0 => made == b,
            1 => made <= a,
            2 => made < b,
            _ => made >= a,
        });
        sizes.push(made);
    }
    (sizes, decided)
}

/// Where the guards hold another point decides the same, and its sizes are those that the formulas give.
#[test]
fn guards_bound_where_decisions_hold() {
    let mut covered = 0;
    for seed in 0..400 {
        let symbols = entered();
        let (sizes, decided) = draw(&mut Random(seed));
        let formulas = symbols.leave();
        assert!(formulas.at(&point(7, 22, 3)).expect("values").is_some(), "seed {seed}: the reference point");
        let mut random = Random(!seed);
        for _ in 0..8 {
            let other = [1 + random.below(64), random.below(513), 1 + random.below(40)].map(|v| v as i64);
            let [s, p, b] = other;
            let Some(values) = formulas.at(&point(s, p, b)).expect("values") else { continue };
            covered += 1;
            let mut exact = Scope::new();
            for (name, value) in [("s", s), ("p", p), ("b", b)] {
                exact.declare(name, Bounds::exactly(value)).expect("bounds that hold");
            }
            let again = Symbols::enter(&exact, &point(s, p, b));
            let (own, same) = draw(&mut Random(seed));
            assert_eq!(decided, same, "seed {seed} at {other:?}");
            let own: Vec<i64> = own.iter().map(|size| size.key().0).collect();
            let given: Vec<i64> = sizes.iter().map(|&size| values.signed(size)).collect();
            assert_eq!(own, given, "seed {seed} at {other:?}");
            assert!(again.leave().guards().is_empty(), "seed {seed}: one point needs no guards");
        }
    }
    assert!(covered > 100, "too few points to say anything: {covered}");
}

#[test]
fn only_what_is_kept_is_evaluated() {
    let symbols = entered();
    let (s, p) = (symbol("s"), symbol("p"));
    let (kept, other) = ((s + p) * 4, p * 3);
    let mut formulas = symbols.leave();
    formulas.keep([kept]);
    let values = formulas.at(&point(2, 5, 1)).expect("values").expect("no guards");
    assert_eq!((values.of(kept), values.of(other)), (28, 0));
}

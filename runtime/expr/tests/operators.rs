//! Operators, and what happens when they leave the limits.

use bayplan_expr::{Bindings, EvalError, Expr, MAX_DEPTH, Undefined};

#[test]
fn operators_take_values_references_and_integers() {
    let (n, m) = (Expr::symbol("n"), Expr::symbol("m"));
    let check = |e: Expr, text: &str| assert_eq!(e, Expr::parse(text).unwrap(), "{text}");
    check(&n + &m, "n + m");
    check(n.clone() - &m, "n - m");
    check(&n * m.clone(), "n*m");
    check(2 * &n + 1 - n.clone(), "n + 1");
    check(7 - &n, "7 - n");
    check(-&n, "-n");
    check(n.floor_div(2), "n//2");
    check(n.ceil_div(&m), "-((-n)//m)");
    check(n.modulo(&m), "n % m");
    check(n.clone().min(m.clone()), "Min(n, m)");
    check(n.max(&m), "Max(n, m)");
    check(n.align_up(64), "64*((n + 63)//64)");
    check([&n, &m, &n].into_iter().sum(), "2*n + m");
    check([&n, &m, &n].into_iter().product(), "n**2*m");
    check(Expr::max_of([]), "0");
    check(Expr::from(u64::MAX), "18446744073709551615");
    let mut e = Expr::from(3_usize);
    e += &n;
    e *= 2;
    e -= 1_i64;
    check(e, "2*n + 5");
    assert_eq!(Expr::from(u64::MAX).as_const(), None);
    assert_eq!(Expr::from(-5).as_const(), Some(-5));
    assert_eq!(n.as_symbol(), Some("n"));
    assert_eq!((&n * &m + m.floor_div(&n)).symbols().into_iter().collect::<Vec<_>>(), ["m", "n"]);
}

#[test]
fn the_order_is_total_and_agrees_with_equality() {
    let texts =
        ["0", "1", "-1", "n", "2*n", "n*m", "n**2", "n//m", "n % m", "Min(n, m)", "Max(n, m)", "n + 1", "m"];
    let parsed: Vec<Expr> = texts.iter().map(|t| Expr::parse(t).unwrap()).collect();
    for a in &parsed {
        for b in &parsed {
            assert_eq!(a.total_cmp(b).is_eq(), a == b, "{a} {b}");
            assert_eq!(a.total_cmp(b), b.total_cmp(a).reverse(), "{a} {b}");
        }
    }
    let mut sorted = parsed.clone();
    sorted.sort_by(Expr::total_cmp);
    assert!(sorted.windows(2).all(|w| w[0].total_cmp(&w[1]).is_lt()));
}

#[test]
fn expressions_cross_threads() {
    let e = Expr::symbol("n") + 1;
    let there = std::thread::spawn(move || e.eval(&Bindings::new().with("n", 1))).join().unwrap();
    assert_eq!(there, Ok(2));
}

#[test]
fn what_leaves_the_limits_is_undefined_and_stays_so() {
    let n = Expr::symbol("n");
    type Step = fn(Expr) -> Expr;
    let steps: [(&str, Step, Undefined); 6] = [
        ("depth", |e| e.floor_div(Expr::symbol("n")) + 1, Undefined::TooLarge),
        (
            "doubling",
            |e| Expr::max(&e, Expr::symbol("k")) * e.floor_div(3) + e.modulo(5),
            Undefined::TooLarge,
        ),
        ("squares", |e| &e * &e + 1, Undefined::TooLarge),
        ("coefficients", |e| e * i64::MAX, Undefined::Overflow),
        ("powers", |e| e.pow(1000), Undefined::Overflow),
        ("alternation", |e| e.clone().max(1).min(e + 1).modulo(Expr::symbol("n")), Undefined::TooLarge),
    ];
    for (name, step, why) in steps {
        let mut e = n.clone();
        for _ in 0..100_000 {
            e = step(e);
            if e.as_undefined().is_some() {
                break;
            }
        }
        assert_eq!(e.as_undefined(), Some(why), "{name}");
        assert_eq!((&n - &e + 1).as_undefined(), Some(why), "{name}");
        assert_eq!(n.max(&e).floor_div(2).as_undefined(), Some(why), "{name}");
        assert_eq!((Expr::default() * &e).as_undefined(), Some(why), "{name}");
        let error = e.eval(&Bindings::new()).unwrap_err();
        match why {
            Undefined::TooLarge => assert_eq!(error, EvalError::TooLarge),
            Undefined::Overflow => assert_eq!(error, EvalError::Overflow("undefined(overflow)".into())),
        }
        assert_eq!(Expr::parse_or_opaque(&e.to_string()).as_symbol(), Some(e.to_string().as_str()));
    }
}

#[test]
fn the_deepest_expression_is_handled_everywhere() {
    let mut e = Expr::symbol("n");
    for i in 0..MAX_DEPTH {
        e = match i % 3 {
            0 => e.floor_div(Expr::symbol("m")) * 3 + 1,
            1 => e.max(Expr::symbol("k") * 2) - 5,
            _ => e.modulo(Expr::symbol("m")) * Expr::symbol("n"),
        };
    }
    assert_eq!(e.as_undefined(), None);
    assert_eq!(Expr::parse(&e.to_string()).as_ref(), Ok(&e));
    let at: Bindings = [("n", 7), ("m", 3), ("k", 2)].into_iter().collect();
    let value = e.eval(&at).unwrap();
    assert_eq!(e.substitute(&at).unwrap().as_const(), Some(value));
    let scope = bayplan_expr::Scope::new();
    assert!(bayplan_expr::bounds(&e, &scope).contains(value));
    assert_eq!(e.simplify(&scope).eval(&at), Ok(value));
}

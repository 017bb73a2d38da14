//! Bounds, proofs, maxima and simplification: cases with known answers.

use bayplan_expr::{
    Bindings, Bounds, Expr, MaximumError, Scope, ScopeError, bounds, maximum, prove_eq, prove_le,
    upper_envelope,
};

fn parse(text: &str) -> Expr {
    Expr::parse(text).unwrap_or_else(|e| panic!("{e}"))
}

/// `n=1..20 m=1..5 k=3..` as a scope.
fn scope(text: &str) -> Scope {
    let mut scope = Scope::new();
    for item in text.split_whitespace() {
        let (name, range) = item.split_once('=').unwrap();
        let (lower, upper) = range.split_once("..").unwrap();
        let lower = lower.parse().unwrap();
        let bounds = if upper.is_empty() {
            Bounds::at_least(lower)
        } else {
            Bounds::between(lower, upper.parse().unwrap())
        };
        scope.declare(name, bounds).unwrap();
    }
    scope
}

#[test]
fn bounds_are_tight_where_they_can_be() {
    fn check(text: &str, within: &str, lower: Option<i64>, upper: Option<i64>) {
        let interval = bounds(&parse(text), &scope(within));
        assert_eq!((interval.lower, interval.upper), (lower, upper), "of {text} within {within}");
    }
    check("7", "", Some(7), Some(7));
    check("n", "", Some(0), None);
    check("n + m", "n=1..20 m=1..5", Some(2), Some(25));
    check("n - m", "n=1..20 m=1..5", Some(-4), Some(19));
    check("n*m - n", "n=1..20 m=1..5", Some(0), Some(80));
    check("n**2 - n", "n=1..20", Some(0), Some(380));
    check("(n + 1)*(n - 1)", "n=1..", Some(0), None);
    check("-n", "", None, Some(0));
    check("n % 8", "", Some(0), Some(7));
    check("n % 8", "n=17..18", Some(1), Some(2));
    check("n % m", "m=1..5", Some(0), Some(4));
    check("8*((n + 7)//8) - n", "", Some(0), Some(7));
    check("n - 8*(n//8)", "", Some(0), Some(7));
    check("Max(n, m) - n", "m=0..5", Some(0), Some(5));
    check("Min(512, seq)", "", Some(0), Some(512));
    check("Max(n - m, 1)", "n=1..20 m=1..5", Some(1), Some(19));
    check("(b*s)//b", "b=1..8 s=1..64", Some(1), Some(64));
    check("m*(n//m)", "m=1.. n=5..9", Some(0), Some(9));
    check("n*m", "n=1..9223372036854775807 m=2..9223372036854775807", Some(2), None);
    check("9223372036854775807*n", "n=2..2", Some(i64::MAX), None);
}

#[test]
fn proves() {
    fn check(a: &str, b: &str, within: &str, expect: bool) {
        assert_eq!(prove_le(&parse(a), &parse(b), &scope(within)), expect, "{a} <= {b} within {within}");
    }
    check("n", "n + 1", "", true);
    check("n + 1", "n", "", false);
    check("n", "m", "", false);
    check("n", "2*n", "", true);
    check("n", "2*n", "n=-1..", false);
    check("16*n + 8", "24*n + 8", "n=2..", true);
    check("8*n + 8", "16*n", "n=1..", true);
    check("8*n + 8", "16*n", "n=0..", false);
    check("4*n", "4096", "n=0..1024", true);
    check("4*n", "4096", "n=0..1025", false);
    check("n*m", "n*m*k", "k=1..", true);
    check("n*m", "n*m*k", "", false);
    check("n", "8*((n + 7)//8)", "", true);
    check("8*((n + 7)//8)", "n + 7", "", true);
    check("8*((n + 7)//8)", "n + 6", "", false);
    check("64*((n + 63)//64)", "128*((n + 127)//128)", "n=0..1000", true);
    check("n", "Max(n, m)", "", true);
    check("Min(n, m)", "m", "", true);
    check("Max(n, m)", "n + m", "", true);
    check("n//2", "n", "", true);
    check("n//m", "n", "m=1..", true);
    check("m*(n//m)", "n", "m=1..", true);
    check("n % m + 1", "m", "m=1..", true);
    check("n*n", "n*m", "n=0..5 m=5..9", true);
    check("n", "170141183460469231731687303715884105727*m", "m=1..", false);
}

#[test]
fn proves_equal() {
    fn check(a: &str, b: &str, within: &str, expect: bool) {
        assert_eq!(prove_eq(&parse(a), &parse(b), &scope(within)), expect, "{a} == {b} within {within}");
    }
    check("(n + m)**2", "n**2 + 2*n*m + m**2", "", true);
    check("n % 8", "n - 8*(n//8)", "", true);
    check("Max(n, 1)", "n", "n=1..", true);
    check("Max(n, 1)", "n", "", false);
    check("(n*m)//m", "n", "m=1..", true);
    check("(n*m)//m", "n", "", false);
    // Undefined expressions are equal to nothing.
    let undefined = parse("a**4294967295") * parse("a");
    assert!(undefined.as_undefined().is_some());
    assert!(!prove_eq(&undefined, &undefined, &Scope::new()));
    assert!(!prove_le(&undefined, &undefined, &Scope::new()));
}

#[test]
fn simplifies() {
    fn check(text: &str, within: &str, expect: &str) {
        assert_eq!(parse(text).simplify(&scope(within)).to_string(), expect, "of {text} within {within}");
    }
    check("(batch*total)//batch", "", "(batch*total)//batch");
    check("(batch*total)//batch", "batch=1..", "total");
    check("(batch*total + batch)//batch", "batch=1..", "total + 1");
    check("(a*b*c)//(a*d)", "a=1.. d=1..", "(b*c)//d");
    check("((n + 1)*m)//(n + 1)", "", "m");
    check("(n*n - 1)//(n + 1)", "", "n - 1");
    check("(n*m + k)//m", "m=1..", "n + k//m");
    check("n//m", "m=10.. n=0..9", "0");
    check("n//512", "n=0..511", "0");
    check("(n*m) % m", "m=1..", "0");
    check("n % m", "m=10.. n=0..9", "n");
    check("n % 16", "n=0..15", "n");
    check("Min(512, seq)", "seq=1..512", "seq");
    check("Min(512, seq)", "seq=512..", "512");
    check("Max(n, n*m)", "m=1..", "m*n");
    check("Max(m, n)", "", "Max(m, n)");
    check("Max(1, n - m)", "n=1..3 m=5..9", "1");
    check("n", "n=4..4", "n");
    check("0*n + Max(0, n)", "", "n");
}

#[test]
fn finds_the_maximum() {
    fn check(text: &str, within: &str, value: i64, at: &str) {
        let most = maximum(&parse(text), &scope(within)).unwrap();
        assert_eq!(
            (most.value, most.attained, most.exact),
            (value, value, true),
            "of {text} within {within}"
        );
        assert_eq!(most.at.to_string(), at, "of {text} within {within}");
    }
    check("n*m*Max(n - m, 1)", "n=1..20 m=1..5", 1500, "m=5, n=20");
    check("4*n*m*Max(n - m, 1)", "n=1..20 m=1..5", 6000, "m=5, n=20");
    check("n*(100 - n)", "n=0..100", 2500, "n=50");
    check("n*(1000000 - n)", "n=0..1000000", 250_000_000_000, "n=500000");
    check("n - m", "n=1..20 m=1..", 19, "m=1, n=20");
    check("7", "", 7, "");
    check("n % 7", "n=0..100", 6, "n=6");
    check("Max(n*(10 - n), m)", "n=0..10 m=0..24", 25, "m=24, n=5");
    check("10//(n - 3)", "n=0..10", 10, "n=4");
    check("Min(n, 100 - n)*m", "n=0..100 m=0..1000000", 50_000_000, "m=1000000, n=50");
}

#[test]
fn envelopes() {
    fn check(text: &str, within: &str, expect: &str) {
        assert_eq!(
            upper_envelope(&parse(text), &scope(within)).to_string(),
            expect,
            "of {text} within {within}"
        );
    }
    check("4*n*m", "n=0..20", "80*m");
    check("4*n*m + m//n", "n=1..20", "4*m*n + m//n");
    check("n - m", "n=0..20", "20");
    check("n*m*Max(n - m, 1)", "n=1..20 m=1..5", "20*m*Max(1, 20 - m)");
    check("64*((n*k + 63)//64)", "n=0..20", "64*((5*k + 15)//16)");
    check("n", "", "n");
}

#[test]
fn says_why_there_is_no_maximum() {
    let check = |text: &str, within: &str, error: MaximumError, message: &str| {
        let found = maximum(&parse(text), &scope(within)).unwrap_err();
        assert_eq!(found, error);
        assert!(found.to_string().contains(message), "{found}");
    };
    check("n*m", "n=1..20", MaximumError::Unbounded { symbol: "m".into() }, "declare one");
    check("1//(n - n % 2 - 2)", "n=2..3", MaximumError::Undefined("1//(n - (n % 2) - 2)".into()), "no value");
    check("n**5", "n=0..9223372036854775807", MaximumError::Overflow("n**5".into()), "64 bits");
    check("n*n", "n=0..9223372036854775807", MaximumError::Overflow("n**2".into()), "64 bits");
}

#[test]
fn a_cut_off_search_says_so_and_still_bounds() {
    // A value that jumps about: nothing but looking at every point decides it.
    let e = parse("((n*n*7919 + m*104729 + n*m*31) % 1000003) * ((n*17 + m*m*13) % 10007)");
    let within = scope("n=0..30000 m=0..30000");
    let most = maximum(&e, &within).unwrap();
    assert!(!most.exact && most.value > most.attained, "{most:?}");
    assert_eq!(e.eval(&most.at), Ok(most.attained));
    assert!(most.value <= 1_000_002 * 10_006);
}

/// Hundreds of symbols, as no model has them but a file may say: bounds hold, and looking for them ends.
#[test]
fn expressions_of_many_symbols_are_bounded_and_no_more() {
    let symbols: Vec<String> = (0..240).map(|number| format!("x{number}")).collect();
    let ranges: Vec<String> = symbols.iter().map(|name| format!("{name}=0..3")).collect();
    let (sum, within) = (symbols.join(" + "), scope(&ranges.join(" ")));
    let most = maximum(&parse(&sum), &within).unwrap();
    assert_eq!((most.value, most.exact), (720, true));
    let e = parse(&format!("Max(({sum}) % 7, ({sum})//5) - Min({sum}, 100)"));
    let simple = e.simplify(&within);
    for value in [0, 1, 3] {
        let point: Bindings = symbols.iter().map(|name| (name.as_str(), value)).collect();
        let expected = e.eval(&point).unwrap();
        assert_eq!(simple.eval(&point), Ok(expected));
        assert!(bounds(&e, &within).contains(expected));
        assert!(maximum(&e, &within).unwrap().value >= expected);
    }
}

#[test]
fn scopes_refuse() {
    let mut within = Scope::new();
    let empty = Bounds::between(5, 4);
    let error = within.declare("n", empty).unwrap_err();
    assert_eq!(error, ScopeError::Empty { symbol: "n".into(), bounds: empty });
    within.declare("n", Bounds::between(1, 20)).unwrap();
    assert_eq!(within.check(&Bindings::new().with("n", 20).with("m", 0)), Ok(()));
    let error = within.check(&Bindings::new().with("n", 21)).unwrap_err();
    assert_eq!(error.to_string(), "`n` is 21, but must be 1..=20");
    let error = within.check(&Bindings::new().with("m", -1)).unwrap_err();
    assert_eq!(error.to_string(), "`m` is -1, but must be ≥ 0");
}

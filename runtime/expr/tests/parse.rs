//! Texts as exporters write them, and texts nobody should.

use bayplan_expr::{Bindings, EvalError, Expr, ParseProblem};

fn parse(text: &str) -> Expr {
    Expr::parse(text).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn prints_and_reads_back() {
    fn check(text: &str, shown: &str) {
        let e = parse(text);
        assert_eq!(e.to_string(), shown, "of {text}");
        assert_eq!(Expr::parse_or_opaque(shown), e, "of {text}");
    }
    // As torch writes them.
    check("Min(512, seq)", "Min(512, seq)");
    check("((batch*total)//batch)", "(batch*total)//batch");
    check("batch*seq", "batch*seq");
    check("past + seq", "past + seq");
    check("past_sequence_length + 1", "past_sequence_length + 1");
    check("2*s0", "2*s0");
    check("s0//2", "s0//2");
    check("(s0 - 1)//2 + 1", "(s0 + 1)//2");
    check("floor(s0/2 - 1/2) + 1", "(s0 + 1)//2");
    check("floor(s/2)", "s//2");
    check("ceiling(x/2)", "(x + 1)//2");
    check("-(-x//2)", "(x + 1)//2");
    check("CeilDiv(x, 4)", "(x + 3)//4");
    check("FloorDiv(s0, 8)*8", "8*(s0//8)");
    check("Mod(a, b)", "a % b");
    check("a % b", "a % b");
    check("a % b * 2", "2*(a % b)");
    check("x**2", "x**2");
    check("(n + 1)**2", "n**2 + 2*n + 1");
    check("Max(a, b)", "Max(a, b)");
    check("Max(1, n - m)", "Max(1, n - m)");
    check("decoder.seq.1 + 1", "decoder.seq.1 + 1");
    check("größe + 1", "größe + 1");
    // Canonical forms.
    check("0", "0");
    check("-7", "-7");
    check("4*x//2", "2*x");
    check("5*x//4", "x + x//4");
    check("(6*x + 5)//4", "x + x//2 + 1");
    check("x//2//3", "x//6");
    check("(x//2 + 1)//3", "(x + 2)//6");
    check("x//-2", "-((x + 1)//2)");
    check("x % 1", "0");
    check("(x + 16) % 8", "x % 8");
    check("(2*x + 5) % 4", "2*(x % 2) + 1");
    check("Max(x, x + 3, x - 1)", "x + 3");
    check("Max(Max(a, b), c)", "Max(a, b, c)");
    check("Min(3, 5)", "3");
    check("1 - n", "1 - n");
    check("-n - 1", "-n - 1");
    check("-m + n", "n - m");
    check("n - m//2", "n - (m//2)");
    check("x/2*2", "x");
    check("--x", "x");
    check("-x**2", "-x**2");
    check("7 // 2", "3");
    check("-7 // 2", "-4");
    check("-7 % 2", "1");
    check("7 % -2", "-1");
    check("`unk 0?` + 1", "`unk 0?` + 1");
    check(r"`a\`b\\\n\u{202e}` * 2", r"2*`a\`b\\\n\u{202e}`");
    check("170141183460469231731687303715884105727", "170141183460469231731687303715884105727");
}

#[test]
fn keeps_what_it_cannot_read() {
    fn check(text: &str) {
        let e = Expr::parse_or_opaque(text);
        assert_eq!(e.as_symbol(), Some(text));
        assert_eq!(Expr::parse_or_opaque(&e.to_string()), e, "of {text:?}");
        let twice = &e * 2;
        assert_eq!(Expr::parse(&twice.to_string()), Ok(twice), "of {text:?}");
    }
    check("unk__0");
    check("-1?");
    check("?");
    check("");
    check("a b");
    check("seq len (max)");
    check("1.5*x");
    check("x/2");
    check("2x");
    check("日本語 の 次元");
    check("\u{202e}evil\u{1b}[31m");
    check("e\u{301}");
    check("`");
    check("\\");
    check("a\u{301}\u{301}\u{301}\u{301}\u{301}`b");
    check("x\u{200d}y");
    assert_eq!(Expr::parse_or_opaque("-1?").to_string(), "-1?");
    assert_eq!((Expr::parse_or_opaque("-1?") + 1).to_string(), "`-1?` + 1");
    // A name that reads as something else must not pass for it.
    assert_eq!(Expr::symbol("a + b").to_string(), "`a + b`");
}

#[test]
fn refuses_with_a_place() {
    fn check(text: &str, at: usize, problem: &ParseProblem, message: &str) {
        let error = Expr::parse(text).unwrap_err();
        assert_eq!((error.at, &error.problem), (at, problem), "{error}");
        assert!(error.to_string().contains(message), "{error}");
    }
    check("", 0, &ParseProblem::Empty, "empty; write it like");
    check("a +", 3, &ParseProblem::NoOperand, "missing at byte 3");
    check("a + * b", 4, &ParseProblem::NoOperand, "number or a name");
    check("(a", 2, &ParseProblem::NoClose, "`)` is missing");
    check("a b", 2, &ParseProblem::Trailing, "operator is missing at byte 2");
    check("a)", 1, &ParseProblem::Trailing, "operator");
    check("3a", 0, &ParseProblem::BadNumber, "number");
    check("1.5", 0, &ParseProblem::BadNumber, "number");
    check("999999999999999999999999999999999999999999", 0, &ParseProblem::TooLargeNumber, "128 bits");
    check("a & b", 2, &ParseProblem::Unexpected('&'), "unexpected `&`");
    check("a \u{7} b", 2, &ParseProblem::Unexpected('\u{7}'), r"unexpected `\x07`");
    check("a**b", 3, &ParseProblem::BadExponent, "exponent");
    check("2**3**2", 4, &ParseProblem::BadExponent, "exponent");
    check("a**-1", 3, &ParseProblem::BadExponent, "exponent");
    check("a//0", 3, &ParseProblem::DivisionByZero, "division by zero");
    check("Mod(a, 0)", 0, &ParseProblem::DivisionByZero, "division by zero");
    check("s/2", 0, &ParseProblem::NotWhole, "round with `floor");
    check("Min(s/2, 1)", 0, &ParseProblem::NotWhole, "floor");
    check("sqrt(n)", 0, &ParseProblem::UnknownFunction("sqrt".into()), "no function `sqrt`");
    check("floor(a, b)", 0, &ParseProblem::WrongArguments("floor".into()), "arguments of `floor`");
    check("Min()", 4, &ParseProblem::NoOperand, "number or a name");
    check("`abc", 0, &ParseProblem::NoBacktick, "backtick");
    check(r"`a\q`", 2, &ParseProblem::BadEscape, "escape");
}

#[test]
fn limits_hold() {
    let many = |open: &str, inner: &str, close: &str, n: usize| open.repeat(n) + inner + &close.repeat(n);
    let problem = |text: &str| Expr::parse(text).map(|_| ()).map_err(|e| e.problem);
    assert_eq!(problem(&many("(", "a", ")", 100_000)), Err(ParseProblem::TooDeep));
    assert_eq!(problem(&"(".repeat(1 << 20)), Err(ParseProblem::TooDeep));
    assert_eq!(problem(&"(".repeat((1 << 20) + 1)), Err(ParseProblem::TooLong));
    assert_eq!(problem(&many("floor(", "a", "/b)", 60)), Err(ParseProblem::TooComplex));
    assert_eq!(problem(&many("floor(", "a", "/b)", 40)), Ok(()));
    assert_eq!(problem(&("-".repeat(1_000_000) + "a")), Ok(()));
    assert_eq!(problem("2**127"), Err(ParseProblem::TooLargeNumber));
    assert_eq!(problem("(a*b)**4294967295**4294967295"), Err(ParseProblem::BadExponent));
    assert_eq!(problem("a**4294967295*a"), Err(ParseProblem::TooLargeNumber));
    assert_eq!(problem("(a + b)**4294967295"), Ok(()));
    // A sum of 100,000 symbols is over the size limit, whatever its shape.
    let sum: Vec<String> = (0..100_000).map(|i| format!("s{i}")).collect();
    assert_eq!(problem(&sum.join("+")), Err(ParseProblem::TooComplex));
    // 2^40 terms if it were written out.
    let product: Vec<String> = (0..40).map(|i| format!("(a{i} + b{i})")).collect();
    let e = parse(&product.join("*"));
    let ones: Bindings = e.symbols().into_iter().map(|name| (name, 1)).collect();
    assert_eq!(e.eval(&ones), Ok(1 << 40));
    assert_eq!(parse(&e.to_string()), e);
}

#[test]
fn evaluates() {
    fn check(text: &str, bindings: &[(&str, i64)], expect: &Result<i64, EvalError>) {
        assert_eq!(&parse(text).eval(&bindings.iter().copied().collect()), expect, "of {text}");
    }
    check("a*b + 1", &[("a", 3), ("b", 4)], &Ok(13));
    check("a*b", &[("a", 3)], &Err(EvalError::Unbound("b".into())));
    check("0*b", &[], &Ok(0));
    check("(a - 1)//b", &[("a", 0), ("b", 2)], &Ok(-1));
    check("a % b", &[("a", -7), ("b", 4)], &Ok(1));
    check("a % b", &[("a", 7), ("b", -4)], &Ok(-1));
    check("a // b", &[("a", 1), ("b", 0)], &Err(EvalError::DivisionByZero("a//b".into())));
    check("a*b", &[("a", i64::MAX), ("b", 2)], &Err(EvalError::Overflow("a*b".into())));
    check("a*b - a*b + a", &[("a", i64::MAX), ("b", i64::MAX)], &Ok(i64::MAX));
    check("a + 1", &[("a", i64::MAX)], &Err(EvalError::Overflow("a + 1".into())));
    check("a**9", &[("a", i64::MIN)], &Err(EvalError::Overflow("a**9".into())));
    check("Max(n - m, 1)*n*m", &[("n", 20), ("m", 5)], &Ok(1500));
}

#[test]
fn substitutes() {
    let e = parse("a*b + b//c");
    assert_eq!(e.substitute(&Bindings::new().with("a", 2)).unwrap(), parse("2*b + b//c"));
    assert_eq!(e.substitute(&Bindings::new().with("b", 6).with("c", 4)).unwrap(), parse("6*a + 1"));
    assert_eq!(e.substitute(&Bindings::new().with("c", 0)), Err(EvalError::DivisionByZero("b//0".into())));
    let big = parse("a**3").substitute(&Bindings::new().with("a", i64::MAX));
    assert_eq!(big, Err(EvalError::Overflow("a**3".into())));
}

//! What is known of a model's dimensions before any input: values and bounds.

use bayplan_compile::{Dims, device_size};
use bayplan_expr::{Bindings, Bounds, Expr};
use bayplan_graph::{Constraint, Graph};
use bayplan_onnx::limits::MAX_ELEMENTS;
use bayplan_text::Count;

use crate::args::ModelOptions;
use crate::exit::Failure;
use crate::inputs::{LISTED, list, quoted, shown};
use crate::out;

/// A dimension that a budget decides is looked for up to this one; `--dim-max` allows more.
const MOST_SOLVED: i64 = 1 << 20;

/// The other dimensions without a bound are tried up to this one.
const MOST_TRIED: i64 = 1 << 12;

/// Values from `--dim`, bounds from `--dim-max` and `--dim-min` within those that the model states.
pub(crate) fn known(graph: &Graph, options: &ModelOptions) -> Result<Dims, Failure> {
    let symbols = graph.free_symbols();
    let names: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let mut dims = Dims::default();
    for (name, value) in words(&names, "--dim", &options.dims)? {
        dims.pinned.set(name, value);
    }
    let most = words(&names, "--dim-max", &options.dim_max)?;
    let least = words(&names, "--dim-min", &options.dim_min)?;
    for name in &names {
        let of = |given: &[(&str, i64)]| given.iter().find(|(own, _)| own == name).map(|&(_, value)| value);
        let (upper, lower) = (of(&most), of(&least));
        if dims.pinned.get(name).is_some() {
            if upper.or(lower).is_some() {
                let name = shown(name);
                return Err(Failure::usage(format!(
                    "--dim gives {name} a value, so --dim-max and --dim-min of it do not apply"
                )));
            }
            continue;
        }
        let own = graph.symbols.get(name);
        if let Some(warning) = overruled(name, own, upper, lower) {
            out::error_line("warning", &warning);
        }
        let bounds = own.intersect(Bounds { lower: lower.unwrap_or(own.lower), upper });
        dims.bounds.declare(name, bounds).map_err(|e| Failure::usage(e.to_string()))?;
    }
    Ok(dims)
}

/// What to say where a bound that is given allows more than the model's own, which holds all the same.
fn overruled(name: &str, own: Bounds, upper: Option<i64>, lower: Option<i64>) -> Option<String> {
    let said = |flag: &str, given: i64, key: &str, most: &str, holds: i64| {
        let name = shown(name);
        format!(
            "{flag} {name}={given} changes nothing: the model itself says at {most} {holds} (bayplan.{key}.{name} in its \
             metadata)"
        )
    };
    let above = upper.zip(own.upper).filter(|(given, holds)| given > holds);
    let below = lower.filter(|given| *given < own.lower);
    above
        .map(|(given, holds)| said("--dim-max", given, "dim_max", "most", holds))
        .or_else(|| below.map(|given| said("--dim-min", given, "dim_min", "least", own.lower)))
}

/// Reads `NAME=N` words; every name must be a symbol, and be given once.
fn words<'w>(symbols: &[&str], flag: &str, words: &'w [String]) -> Result<Vec<(&'w str, i64)>, Failure> {
    let mut read: Vec<(&str, i64)> = Vec::with_capacity(words.len());
    for word in words {
        let (name, value) = dim(flag, word)?;
        if !symbols.contains(&name) {
            return Err(Failure::usage(match symbols.len() {
                0 => format!("the model has no symbolic dimension, so {flag} {} does not apply", shown(name)),
                _ => format!("the model has no dimension {}; it has {}", shown(name), list(symbols)),
            }));
        }
        if read.iter().any(|(other, _)| *other == name) {
            return Err(Failure::usage(format!("{flag} {} is given twice", shown(name))));
        }
        read.push((name, value));
    }
    Ok(read)
}

/// The symbols without a value that do not follow from others, as they first stand in the inputs' shapes.
pub(crate) fn unpinned(graph: &Graph, dims: &Dims) -> Vec<String> {
    let ties = graph.ties(&dims.pinned);
    let mut found: Vec<String> = Vec::new();
    let shapes = graph.inputs.iter().filter_map(|&input| graph.value(input).ty.as_ref());
    for name in shapes.flat_map(|ty| &ty.shape).flat_map(Expr::symbols) {
        let follows = ties.iter().any(|tie| tie.symbol == name);
        if dims.pinned.get(name).is_none() && !follows && !found.iter().any(|other| other == name) {
            found.push(name.to_owned());
        }
    }
    found
}

/// The same with more values.
pub(crate) fn with(dims: &Dims, point: &Bindings) -> Dims {
    let mut all = dims.clone();
    all.pinned.extend(point.iter());
    all
}

/// The values given, and those that follow from them.
pub(crate) fn complete(graph: &Graph, dims: &Dims) -> Bindings {
    let mut all = dims.pinned.clone();
    for tie in graph.ties(&dims.pinned) {
        if let (None, Ok(value)) = (all.get(&tie.symbol), tie.is.eval(&dims.pinned)) {
            all.set(tie.symbol, value);
        }
    }
    all
}

/// Those of them without an upper bound.
pub(crate) fn open(graph: &Graph, dims: &Dims) -> Vec<String> {
    unpinned(graph, dims).into_iter().filter(|name| dims.bounds.get(name).upper.is_none()).collect()
}

/// The same with an upper bound for every symbol: what the inputs alone leave room for in a budget. `solved` is the symbol
/// that the budget decides.
pub(crate) fn capped(graph: &Graph, dims: &Dims, solved: &str, budget: u64) -> Result<Dims, Failure> {
    let mut capped = dims.clone();
    let ties = graph.ties(&dims.pinned);
    let bytes = input_bytes(graph).replace(&|name| {
        let tied = ties.iter().find(|tie| tie.symbol == name).map(|tie| tie.is.clone());
        dims.pinned.get(name).map(Expr::from).or(tied)
    });
    let least: Bindings = unpinned(graph, dims)
        .into_iter()
        .map(|name| (name.clone(), dims.bounds.get(&name).lower.max(1)))
        .collect();
    for name in open(graph, dims) {
        let own = dims.bounds.get(&name);
        let most = if name == solved { MOST_SOLVED } else { MOST_TRIED };
        let fits = |value: i64| {
            let needed = bytes.eval(&least.clone().with(name.as_str(), value));
            needed.is_ok_and(|needed| u64::try_from(needed).is_ok_and(|needed| needed <= budget))
        };
        // The bytes of inputs never fall as a dimension grows.
        let (mut low, mut high) = (own.lower.max(1), most.max(own.lower.max(1)) + 1);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            *if fits(middle) { &mut low } else { &mut high } = middle;
        }
        let bounds = Bounds { upper: Some(low), ..own };
        capped.bounds.declare(&name, bounds).map_err(|e| Failure::usage(e.to_string()))?;
    }
    Ok(capped)
}

/// The bytes of all inputs on the device.
fn input_bytes(graph: &Graph) -> Expr {
    let bytes = |ty: &bayplan_graph::TensorType| {
        let elements: Expr = ty.shape.iter().product();
        elements * device_size(ty.dtype)
    };
    graph.inputs.iter().filter_map(|&input| graph.value(input).ty.as_ref()).map(bytes).sum()
}

/// The refusal of dimensions without a value, with an example that gives them one.
pub(crate) fn without_value(missing: &[String], dims: &Bindings, equal: &[Constraint]) -> Failure {
    let missing: Vec<&str> = missing.iter().map(String::as_str).collect();
    let example = example(dims.clone(), &missing, equal);
    let example: Vec<String> = missing
        .iter()
        .take(LISTED)
        .map(|name| quoted(&format!("{name}={}", example.get(name).unwrap_or(1))))
        .collect();
    Failure::usage(format!(
        "the model has symbolic dimensions without a value: {}\ngive each one, for instance --dim {}, or a bound, --dim-max {}",
        list(&missing),
        example.join(" --dim "),
        missing.first().map_or_else(String::new, |name| quoted(&format!("{name}=64")))
    ))
}

/// Values for what is missing: 1, or what follows from the dimensions that the model needs equal.
fn example(mut dims: Bindings, missing: &[&str], equal: &[Constraint]) -> Bindings {
    for name in missing {
        dims.set(*name, 1);
    }
    for Constraint { a, b, .. } in equal {
        for (symbol, other) in [(a, b), (b, a)] {
            let free = symbol.as_symbol().filter(|name| missing.contains(name));
            if let (Some(name), Ok(value)) = (free, other.eval(&dims)) {
                dims.set(name, value.max(0));
                break;
            }
        }
    }
    dims
}

/// Reads the `NAME=VALUE` of an argument. The name may hold an equals sign, the value cannot.
pub(crate) fn dim<'w>(flag: &str, word: &'w str) -> Result<(&'w str, i64), Failure> {
    let fail = |what: &str| format!("{flag} {}: {what}", shown(word));
    let form = |what: &str| Failure::usage(fail(&format!("{what}; give NAME=VALUE, for instance batch=4")));
    let (name, value) = word.rsplit_once('=').ok_or_else(|| form("there is no value"))?;
    let value: i64 = value.parse().map_err(|_| form("the value is no whole number in range"))?;
    match u64::try_from(value) {
        Err(_) => Err(Failure::usage(fail("a dimension cannot be negative"))),
        Ok(size) if size > MAX_ELEMENTS => {
            Err(Failure::new(fail(&format!("a dimension is at most {}", Count(MAX_ELEMENTS)))))
        }
        Ok(_) => Ok((name, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    /// A value for each of the symbols.
    fn bind(symbols: &[&str], given: &[String]) -> Result<Bindings, Failure> {
        let dims: Bindings = words(symbols, "--dim", given)?.into_iter().collect();
        let missing: Vec<String> =
            symbols.iter().filter(|name| dims.get(name).is_none()).map(ToString::to_string).collect();
        if missing.is_empty() { Ok(dims) } else { Err(without_value(&missing, &dims, &[])) }
    }

    #[test]
    fn dims_are_read_or_refused_by_name() {
        const LARGE: &str = "batch=281474976710657";
        let ok = |dims: &[(&str, i64)]| Ok(dims.iter().map(|&(name, value)| (name, value)).collect());
        type Case<'a> = (&'a [&'a str], &'a [&'a str], Result<Bindings, &'a str>);
        let cases: [Case<'_>; 17] = [
            (&[], &[], ok(&[])),
            (&["batch"], &["batch=4"], ok(&[("batch", 4)])),
            (&["batch"], &["batch=0"], ok(&[("batch", 0)])),
            (&["batch"], &["batch=+4"], ok(&[("batch", 4)])),
            (&["a=b"], &["a=b=2"], ok(&[("a=b", 2)])),
            (&["batch", "seq"], &["seq=2", "batch=1"], ok(&[("batch", 1), ("seq", 2)])),
            (
                &["batch", "seq"],
                &[],
                Err("without a value: batch, seq\ngive each one, for instance --dim batch=1 --dim seq=1"),
            ),
            (&["batch", "seq"], &["seq=2"], Err("without a value: batch\n")),
            (&["s 1"], &[], Err("--dim 's 1=1'")),
            (&["batch"], &["bach=1"], Err("no dimension bach; it has batch")),
            (&[], &["batch=1"], Err("no symbolic dimension, so --dim batch does not apply")),
            (&["batch"], &["batch=1", "batch=2"], Err("--dim batch is given twice")),
            (&["batch"], &["batch"], Err("give NAME=VALUE")),
            (&["batch"], &["batch=-1"], Err("cannot be negative")),
            (&["batch"], &["batch=1.5"], Err("no whole number")),
            (&["batch"], &["batch=99999999999999999999999"], Err("no whole number in range")),
            (&["batch"], &[LARGE], Err("at most 281,474,976,710,656")),
        ];
        for (symbols, given, expected) in cases {
            match (bind(symbols, &owned(given)), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{given:?}"),
                (Err(failure), Err(expected)) => {
                    let (message, code) = failure.parts();
                    assert!(message.contains(expected), "{given:?}: {message}");
                    assert_eq!(code, if given.contains(&LARGE) { 1 } else { 2 }, "{given:?}");
                }
                (found, expected) => panic!("{given:?}: {found:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn bounds_that_change_nothing_are_told() {
        let own = Bounds::between(1, 20);
        let above = "--dim-max n=21 changes nothing: the model itself says at most 20 (bayplan.dim_max.n in its metadata)";
        let below = "--dim-min n=0 changes nothing: the model itself says at least 1 (bayplan.dim_min.n in its metadata)";
        let cases = [
            (Some(20), Some(1), None),
            (Some(5), Some(7), None),
            (Some(21), None, Some(above)),
            (None, Some(0), Some(below)),
        ];
        for (upper, lower, expected) in cases {
            assert_eq!(overruled("n", own, upper, lower).as_deref(), expected, "{upper:?} {lower:?}");
        }
        assert_eq!(overruled("n", Bounds::DIM, Some(1 << 40), Some(0)), None);
    }

    #[test]
    fn messages_are_short_and_harmless_whatever_the_names() {
        let names: Vec<String> = (0..1000).map(|i| format!("{i}\u{1b}[2J{}", "x".repeat(500))).collect();
        let symbols: Vec<&str> = names.iter().map(String::as_str).collect();
        for given in [vec![], owned(&["y=1"]), owned(&[&"z".repeat(5000)])] {
            let failure = bind(&symbols, &given).unwrap_err();
            let (message, _) = failure.parts();
            assert!(message.len() < 5000 && !message.contains('\u{1b}'), "{message}");
        }
    }
}

//! A run under a budget is the first row of what fits: the same shape, and the very bytes.

use bayplan_tests::program::Sandbox;
use serde_json::Value;

/// What `fit` and `run` say of a model under a budget, on the host.
fn both(model: &str, dims: &[&str], budget: &str) -> (Value, Value) {
    let sandbox = Sandbox::new();
    let model = bayplan_tests::root().join("assets").join(model);
    let model = model.to_str().expect("a path in UTF-8");
    let words = |command: &'static str, more: &[&'static str]| {
        let budget = ["--budget", budget, "--device", "host", "--json"];
        let words: Vec<&str> = [&[command, model][..], dims, &budget, more].concat();
        sandbox.bayplan(&words).json()
    };
    (words("fit", &[]), words("run", &["--trace-level", "off"]))
}

fn check(model: &str, dims: &[&str], budget: u64) {
    let (fit, run) = both(model, dims, &budget.to_string());
    let row = &fit["rows"][0];
    let bytes = row["bytes"].as_u64().expect("bytes");
    assert!(bytes <= budget && row["next"].as_u64() > Some(budget), "{row}");
    for (dim, value) in row["dims"].as_object().expect("dims") {
        assert_eq!(&run["dims"][dim], value, "{dim} in {row}");
    }
    let number = |key: &str| run[key].as_u64().expect("a number");
    assert_eq!(number("arena_bytes") + number("weight_bytes"), bytes, "{row}");
}

#[test]
fn of_a_model_with_one_dimension() {
    for budget in [600_000, 1 << 20, 10_000_000] {
        check("digits.onnx", &[], budget);
        check("digits.onnx", &["--dim-min", "batch=1", "--dim-max", "batch=100000"], budget);
    }
}

/// Keys and values are concatenated with those of past tokens, and read again.
#[test]
fn of_a_decoder_with_values_and_bounds() {
    check("chars.onnx", &["--dim", "past=7", "--dim", "batch=2", "--dim-min", "seq=1"], 8_000_000);
    check("chars.onnx", &["--dim-min", "seq=1", "--dim-max", "batch=3", "--dim-min", "batch=1"], 6_000_000);
}

/// What indices read of the mask says how long it is, in the run too.
#[test]
fn of_a_dimension_that_only_indices_tell() {
    let (fit, run) = both("chars.onnx", &["--dim", "batch=1"], "8000000");
    let dims = |name: &str| run["dims"][name].as_i64().expect("a number");
    assert_eq!(dims("total"), dims("past") + dims("seq"));
    assert!(fit["rows"][0]["dims"].get("total").is_none(), "{fit}");
}

//! The plan that a packed model brings along is used where it is a plan of the program, and never trusted: whatever stands
//! there, the model runs and gives the same outputs.

use std::fs;
use std::path::{Path, PathBuf};

use bayplan::{Judged, Model, Options, PlanFile, Target, packed_plan};
use bayplan_compile::plan_file::ShapePlan;
use bayplan_onnx::write::{Outline, PLAN_KEY, Place, Rewrite};
use bayplan_plan::symbolic::{SymbolicBuffer, SymbolicPlan, SymbolicProblem};
use bayplan_plan::{Effort, Lifespan};
use bayplan_tests::backend::Backend;
use bayplan_tests::program::Sandbox;
use bayplan_tests::{on_every_backend, root};
use bayplan_weights::FileSource;
use serde_json::Value;

on_every_backend! {
    packed_models_run_as_they_did => check_runs;
}

const DIGITS: [&str; 2] = ["--dim", "batch=3"];
const CHARS: [&str; 8] = ["--dim", "batch=2", "--dim", "seq=3", "--dim", "past=4", "--dim", "total=7"];

/// Packs a model of the assets.
fn pack(sandbox: &Sandbox, name: &str, dims: &[&str]) -> PathBuf {
    let (model, out) = (root().join("assets").join(name), sandbox.path(&format!("bay.{name}")));
    let words = ["pack".as_ref(), model.as_os_str(), "--output".as_ref(), out.as_os_str()];
    let dims = dims.iter().copied().map(str::as_ref);
    sandbox.bayplan(&words.into_iter().chain(dims).collect::<Vec<_>>()).success();
    out
}

/// Runs a model; what it says, and its outputs.
fn run(sandbox: &Sandbox, model: &Path, device: &str, dims: &[&str]) -> (Value, Vec<Vec<u8>>) {
    let outputs = sandbox.path("outputs");
    let _ = fs::remove_dir_all(&outputs);
    let words = ["run".as_ref(), model.as_os_str(), "--outputs".as_ref(), outputs.as_os_str()];
    let more = ["--json", "--device", device].into_iter().chain(dims.iter().copied()).map(str::as_ref);
    let told = sandbox.bayplan(&words.into_iter().chain(more).collect::<Vec<_>>()).json();
    let mut files: Vec<PathBuf> =
        fs::read_dir(&outputs).expect("outputs").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    (told, files.iter().map(|file| fs::read(file).expect("a file")).collect())
}

/// The same outputs as without packing, whatever was planned for: no device in particular.
fn check_runs(on: Backend) {
    let sandbox = Sandbox::new();
    let device = on.selector().to_string();
    for (name, dims) in [("digits.onnx", &DIGITS[..]), ("chars.onnx", &CHARS)] {
        let packed = pack(&sandbox, name, dims);
        let (plain, expected) = run(&sandbox, &root().join("assets").join(name), &device, dims);
        assert_eq!(plain["packed_plan"], Value::Null);
        let (told, found) = run(&sandbox, &packed, &device, dims);
        assert!(found == expected, "{name} on {on}: other outputs");
        let plan = &told["packed_plan"];
        println!("{name} on {on}: {plan}");
        let bytes = plan["bytes"].as_u64();
        assert_eq!(plan["holds"].as_bool(), Some(bytes.is_some()), "{plan}");
        assert!(
            plan["holds"] == true || plan["reason"].as_str().is_some_and(|why| !why.is_empty()),
            "{plan}"
        );
        if plan["used"] == true {
            assert_eq!(told["peak"].as_u64(), bytes);
        }
        // No plan is larger for having been packed.
        assert!(told["peak"].as_u64() <= plain["peak"].as_u64(), "{told}");
    }
}

#[test]
fn a_plan_is_used_where_it_is_one_of_the_program() {
    let sandbox = Sandbox::new();
    let packed = pack(&sandbox, "digits.onnx", &DIGITS);
    let (told, _) = run(&sandbox, &packed, "host", &DIGITS);
    assert_eq!(
        (&told["packed_plan"]["holds"], &told["packed_plan"]["used"]),
        (&true.into(), &true.into()),
        "{told}"
    );
    let words = |dims: &[&str], more: &[&str]| -> Vec<String> {
        let packed = packed.display().to_string();
        let own = ["plan", &packed, "--device", "host"].map(str::to_owned);
        own.into_iter().chain(dims.iter().chain(more).map(|word| (*word).to_owned())).collect()
    };
    let text = sandbox.bayplan(&words(&DIGITS, &[])).success();
    assert!(text.contains("the packed plan is used: "), "{text}");
    let json = sandbox.bayplan(&words(&DIGITS, &["--json"])).json();
    assert_eq!((&json["packed_plan"]["used"], &json["strategy"]), (&true.into(), &"as packed".into()));
    // Of another shape it is none.
    let (told, _) = run(&sandbox, &packed, "host", &["--dim", "batch=4"]);
    assert_eq!(told["packed_plan"]["holds"], false, "{told}");
    // Called otherwise, the model is the same.
    let renamed = sandbox.path("renamed.onnx");
    fs::rename(&packed, &renamed).expect("it is renamed");
    let (told, _) = run(&sandbox, &renamed, "host", &DIGITS);
    assert_eq!(told["packed_plan"]["used"], true, "{told}");
}

/// A plan for shapes within bounds is one of the program for these; a run compiles for its own shape alone.
#[test]
fn a_plan_within_bounds_is_one_of_the_program_for_them() {
    let sandbox = Sandbox::new();
    let packed = pack(&sandbox, "digits.onnx", &["--dim-max", "batch=8"]);
    let plan = packed.display().to_string();
    let plan = ["plan", &plan, "--device", "host", "--dim-max", "batch=8", "--json"];
    let told = sandbox.bayplan(&plan).json();
    assert_eq!(told["packed_plan"]["holds"], true, "{}", told["packed_plan"]);
    for batch in ["batch=1", "batch=8", "batch=9"] {
        let (plain, expected) = run(&sandbox, &root().join("assets/digits.onnx"), "host", &["--dim", batch]);
        let (told, found) = run(&sandbox, &packed, "host", &["--dim", batch]);
        assert!(found == expected && told["peak"] == plain["peak"], "{batch}: {told}");
    }
}

/// The same model with another plan.
fn with_plan(model: &Path, text: &str, out: &Path) {
    let source = FileSource::open(model).expect("a model");
    let outline = Outline::read(&source).expect("a model");
    let rewrite = Rewrite {
        places: vec![Place::Stays; outline.tensors().len()],
        metadata: vec![(PLAN_KEY.to_owned(), text.to_owned())],
        ..Rewrite::default()
    };
    let mut bytes = Vec::new();
    outline.write(&source, &rewrite, &mut bytes).expect("it is written");
    fs::write(out, bytes).expect("a file");
}

/// A plan whose buffers were changed, and which says of itself that all is well.
fn forged(plan: &PlanFile, change: impl Fn(usize, SymbolicBuffer) -> SymbolicBuffer) -> String {
    let forge = |own: &ShapePlan| {
        let problem = own.plan.problem();
        let buffers = problem.buffers().iter().cloned().enumerate().map(|(at, buffer)| change(at, buffer));
        let problem = SymbolicProblem::new(buffers.collect(), problem.scope().clone()).expect("a problem");
        let plan = SymbolicPlan::from_order(problem, own.plan.order().to_vec()).expect("an order");
        ShapePlan { reservation: plan.reservation(Effort::Normal), plan, ..own.clone() }
    };
    PlanFile { functions: plan.functions.iter().map(forge).collect(), ..plan.clone() }.to_json()
}

#[test]
fn whatever_stands_in_place_of_a_plan_the_model_runs() {
    let sandbox = Sandbox::new();
    let (digits, chars) = (pack(&sandbox, "digits.onnx", &DIGITS), pack(&sandbox, "chars.onnx", &CHARS));
    let own = packed_plan(&digits).expect("it is read").expect("a plan");
    let (_, expected) = run(&sandbox, &digits, "host", &DIGITS);
    let other = packed_plan(&chars).expect("it is read").expect("a plan");
    let whole = own.to_json();
    let alone = |at: u32| Lifespan::new(at, at + 1);
    let cases = [
        ("nothing", String::new(), "cut off or no JSON"),
        ("a cut", whole[..whole.len() / 2].to_owned(), "cut off or no JSON"),
        ("a sequence", "\u{1b}[2J".to_owned(), "cut off or no JSON"),
        ("another file", "{\"version\": 1}".to_owned(), "no plan file"),
        ("a changed digit", whole.replacen("\"alignment\": ", "\"alignment\": 1", 1), "damaged"),
        ("another model's", other.to_json(), "of another model"),
        (
            "of another model, renamed",
            PlanFile { digest: own.digest, model: own.model.clone(), ..other.clone() }.to_json(),
            " offsets for ",
        ),
        // Lifespans that never meet: all buffers lie in the same bytes.
        (
            "offsets that overlap",
            forged(&own, |at, buffer| SymbolicBuffer { lifespan: alone(at as u32), ..buffer }),
            " both live at point ",
        ),
        (
            "no sizes",
            forged(&own, |_, buffer| SymbolicBuffer { size: 0.into(), ..buffer }),
            " both live at point ",
        ),
        (
            "no alignment",
            forged(&own, |_, buffer| SymbolicBuffer { size: 3.into(), align: 1, ..buffer }),
            "no multiple of its alignment",
        ),
    ];
    let changed = sandbox.path("changed.onnx");
    for (what, text, words) in cases {
        with_plan(&digits, &text, &changed);
        let (told, found) = run(&sandbox, &changed, "host", &DIGITS);
        let plan = &told["packed_plan"];
        assert!(plan["holds"] == false && plan["used"] == false, "{what}: {plan}");
        let reason = plan["reason"].as_str().expect("a reason");
        assert!(reason.contains(words) && !reason.contains('\u{1b}'), "{what}: {reason}");
        assert!(found == expected, "{what}: other outputs");
    }
    // A plan that is valid and needs more than it must is not taken.
    with_plan(
        &digits,
        &forged(&own, |_, buffer| SymbolicBuffer { size: (1 << 20).into(), ..buffer }),
        &changed,
    );
    let (told, found) = run(&sandbox, &changed, "host", &DIGITS);
    let plan = &told["packed_plan"];
    assert!(plan["holds"] == true && plan["used"] == false, "{plan}");
    assert!(told["peak"].as_u64() < plan["bytes"].as_u64() && found == expected, "{told}");
}

/// The library tells the same.
#[test]
fn who_compiles_takes_the_offsets_that_are_known() {
    let sandbox = Sandbox::new();
    let packed = pack(&sandbox, "digits.onnx", &DIGITS);
    let model = Model::open(&packed).expect("a model");
    let brought = bayplan::Brought::open(&packed, model.graph()).expect("a plan");
    let dims = [("batch", 3)].into_iter().collect();
    let options = Options { known: brought.known(&dims), ..Options::default() };
    let program = model.compile(&dims, &Target::generic(), options).expect("a program");
    let bytes = program.run.plan.peak;
    assert_eq!(brought.judge(&program), Judged::Holds { bytes, used: true });
    let anew = model.compile(&dims, &Target::generic(), Options::default()).expect("a program");
    assert_eq!(brought.judge(&anew), Judged::Holds { bytes, used: false });
    assert_eq!(anew.run.plan.peak, bytes);
    assert!(bayplan::Brought::open(root().join("assets/digits.onnx"), model.graph()).is_none());
}

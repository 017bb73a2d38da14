//! The command line as people use it: help, the table in the README, and what the commands print.

mod bench;
mod branches;
mod devices;
mod instance;
mod pages;
mod usage;

use std::fs;

use bayplan_tests::program::{Sandbox, run};
use bayplan_tests::{npy, reference_case, reference_model, root};
use instance::Instance;
use usage::Usage;

/// Every command that the table in the README names.
fn table() -> Vec<Usage> {
    let path = root().join("README.md");
    let readme = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    usage::table(&readme).unwrap_or_else(|e| panic!("README.md: {e}"))
}

/// The short help of a command; of the viewer, where the command hands over to it.
fn short_help(sandbox: &Sandbox, command: &str) -> String {
    let words = [command, "-h"];
    let mut command = match command {
        "top" => sandbox.command("bayplan-tui", &words[1..]),
        _ => sandbox.command("bayplan", &words),
    };
    run(&mut command).success()
}

#[test]
fn the_readme_lists_every_command() {
    let sandbox = Sandbox::new();
    let listed: Vec<String> = table().into_iter().map(|usage| usage.command).collect();
    let known = usage::commands(&sandbox.bayplan(&["--help"]).success());
    assert_eq!(listed, known, "the block ```usage of README.md and `bayplan --help`");
}

#[test]
fn the_readme_lists_every_argument() {
    let sandbox = Sandbox::new();
    let mut wrong = Vec::new();
    for stated in table() {
        let actual = usage::from_help(&stated.command, &short_help(&sandbox, &stated.command));
        wrong.extend(usage::differences(&stated, &actual));
    }
    assert!(wrong.is_empty(), "README.md and the program differ:\n  {}", wrong.join("\n  "));
}

/// What follows a program's name in the examples of a help text.
fn examples<'t>(text: &'t str, program: &str) -> Vec<&'t str> {
    let after = text.lines().skip_while(|line| !line.starts_with("Example"));
    after.filter_map(|line| line.split_once(program).map(|(_, rest)| rest)).collect()
}

#[test]
fn every_help_has_an_example_that_fits() {
    let sandbox = Sandbox::new();
    assert!(!examples(&sandbox.bayplan(&["--help"]).success(), "bayplan ").is_empty());
    let viewer = run(&mut sandbox.command("bayplan-tui", &["--help"])).success();
    for Usage { command, flags, .. } in table() {
        let text = sandbox.bayplan(&[&command, "--help"]).success();
        let mut shown = examples(&text, &format!("bayplan {command}"));
        assert!(!shown.is_empty(), "{command} --help has no example:\n{text}");
        if command == "top" {
            let more = examples(&viewer, "bayplan-tui ");
            assert!(!more.is_empty(), "bayplan-tui --help has no example:\n{viewer}");
            shown.extend(more);
        }
        for word in shown.iter().flat_map(|example| example.split_whitespace()) {
            let known = flags.iter().any(|flag| flag.name == word);
            assert!(known || !word.starts_with("--"), "{command} --help: the example's {word} is no flag");
        }
    }
}

/// What `plan INSTANCE.csv --json` says of an instance, compared with the instance itself.
fn check_instance(instance: &Instance) -> (u64, u64) {
    let sandbox = Sandbox::new();
    let path = sandbox.path("instance.csv");
    fs::write(&path, instance.csv()).expect("a file is written");
    let words = ["plan".as_ref(), path.as_os_str(), "--json".as_ref()];
    let text = sandbox.bayplan(&words).success();
    assert_eq!(text, sandbox.bayplan(&words).success(), "the same instance has the same plan");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    let number = |value: &serde_json::Value| value.as_u64().unwrap_or_else(|| panic!("a number in {text}"));

    let offsets = instance.offsets(&json["buffers"]);
    instance.assert_apart(&offsets);
    let (peak, bound) = (number(&json["peak"]), number(&json["lower_bound"]));
    assert_eq!(peak, instance.peak(&offsets));
    assert_eq!(bound, instance.max_live());
    assert_eq!(number(&json["gap"]), peak - bound);
    let point = number(&json["witness"]["point"]);
    assert_eq!(instance.live_bytes(point), bound, "the witness proves the bound");
    let live = json["witness"]["live"].as_array().expect("the witness lists the live buffers");
    let live: Vec<&str> = live.iter().map(|id| id.as_str().expect("an id")).collect();
    assert_eq!(live, instance.live(point));
    (peak, bound)
}

#[test]
fn random_instances_are_planned_and_proved() {
    for seed in 0..6 {
        let (peak, bound) = check_instance(&Instance::random(seed, 150));
        println!("random {seed}: peak {peak}, lower bound {bound}, gap {}", peak - bound);
        assert!(peak as f64 <= bound as f64 * 1.3, "seed {seed}: {peak} where {bound} is the bound");
    }
}

/// A rectangle cut into buffers: its height is the best peak there can be, and is known.
#[test]
fn a_cut_rectangle_has_its_height_as_bound() {
    for seed in 0..4 {
        let (peak, bound) = check_instance(&Instance::cut_rectangle(seed, 60));
        println!("cut {seed}: peak {peak}, lower bound {bound}");
        assert_eq!(bound, Instance::HEIGHT);
        assert!(peak as f64 <= bound as f64 * 1.25, "seed {seed}: {peak} where {bound} is possible");
    }
}

#[test]
fn a_models_plan_reads_back_as_an_instance() {
    let sandbox = Sandbox::new();
    let model = root().join("assets/digits.onnx");
    let model = model.to_str().expect("a path in UTF-8");
    let plan = |format: &str| sandbox.bayplan(&["plan", model, "--dim", "batch=8", "--format", format]);
    let json = plan("json").json();
    for key in ["peak", "lower_bound", "gap", "waste"] {
        assert!(json[key].is_number(), "{key}: {json}");
    }
    assert!(json["witness"]["point"].is_number(), "{json}");
    let path = sandbox.path("digits.csv");
    fs::write(&path, plan("csv").success()).expect("a file is written");
    let again = sandbox.bayplan(&["plan".as_ref(), path.as_os_str(), "--json".as_ref()]).json();
    assert_eq!(again["lower_bound"], json["lower_bound"]);
    assert!(plan("text").success().contains("lower bound"));
}

/// `run` with inputs from files writes what onnxruntime answers; with inputs drawn from a seed, the same each time.
#[test]
fn run_reads_inputs_and_writes_outputs() {
    let sandbox = Sandbox::new();
    let case = reference_case("encoder_l6", "2x7");
    let mut words: Vec<String> = vec!["run".into(), reference_model("encoder_l6").display().to_string()];
    words.extend(case.dims.iter().flat_map(|(name, extent)| ["--dim".into(), format!("{name}={extent}")]));
    let file = |path: &std::path::Path| path.display().to_string();
    words.extend(
        case.inputs.iter().flat_map(|(name, path)| ["--input".into(), format!("{name}={}", file(path))]),
    );
    words.extend(["--outputs".into(), file(&sandbox.path("out")), "--json".into()]);
    let json = sandbox.bayplan(&words).json();
    assert_eq!(json["runs"], 1);
    for (name, reference) in &case.outputs {
        let out = npy::read(&sandbox.path("out").join(format!("{name}.npy")));
        let reference = npy::read(reference);
        assert_eq!(out.shape, reference.shape, "{name}");
        let error = npy::relative_error(&out.f32s(), &reference.f32s());
        assert!(error <= 1e-4, "{name}: {error}");
    }

    let model = root().join("assets/digits.onnx");
    let drawn = |seed: &str, folder: &str| {
        let words = ["run", &file(&model), "--dim", "batch=2", "--seed", seed, "--outputs"];
        let folder = sandbox.path(folder);
        sandbox.bayplan(&[&words[..], &[&file(&folder)]].concat()).success();
        npy::read(&folder.join("logits.npy"))
    };
    assert_eq!(drawn("7", "a"), drawn("7", "b"));
    assert_ne!(drawn("7", "a"), drawn("8", "c"));
}

/// The README's block of the language `fit`: what the command shown above it prints, without a driver.
#[test]
fn the_readme_shows_what_fit_prints() {
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md");
    let block = readme.split("```fit\n").nth(1).and_then(|rest| rest.split("```").next());
    let (command, shown) = block.and_then(|block| block.split_once('\n')).expect("a command and its output");
    let words = command.strip_prefix("$ bayplan ").expect("a command of bayplan").split_whitespace();
    let sandbox = Sandbox::new();
    let words: Vec<&str> = words.collect();
    let ended = run(sandbox.command("bayplan", &words).current_dir(root()));
    assert_eq!(ended.success(), shown);
}

#[test]
fn devices_are_listed_for_people_and_programs() {
    let sandbox = Sandbox::new();
    let json = sandbox.bayplan(&["devices", "--json"]).json();
    let devices = json["devices"].as_array().expect("a list of devices");
    let text = sandbox.bayplan(&["devices"]).success();
    assert!(!devices.is_empty());
    for device in devices {
        assert!(text.contains(device["name"].as_str().expect("a name")), "{text}");
        assert!(device["target"]["storage_alignment"].as_u64().is_some_and(|a| a >= 16), "{device}");
    }
}

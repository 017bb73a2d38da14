//! `bayplan devices`: what each device does at most, measured and kept.

use std::fs;

use bayplan_tests::program::{Ended, Sandbox, run};
use bayplan_tests::reference_model;
use serde_json::Value;

fn bayplan(sandbox: &Sandbox, words: &[&str]) -> Ended {
    run(&mut sandbox.command("bayplan", words))
}

fn devices(sandbox: &Sandbox, words: &[&str]) -> Vec<Value> {
    let told = bayplan(sandbox, &[&["devices", "--json"], words].concat()).json();
    told["devices"].as_array().expect("a list").clone()
}

/// Where what was measured is kept.
fn kept(sandbox: &Sandbox) -> usize {
    fs::read_dir(sandbox.path("cache/bayplan")).map_or(0, Iterator::count)
}

#[test]
fn every_device_is_measured_once_it_is_asked_for() {
    let sandbox = Sandbox::new();
    let before = devices(&sandbox, &[]);
    assert!(before.iter().all(|device| device["roof"].is_null() && device["name"].is_string()));
    assert_eq!(kept(&sandbox), 0);
    assert!(
        bayplan(&sandbox, &["devices"]).success().contains("roof      not measured; --probe measures it")
    );

    let measured = devices(&sandbox, &["--probe"]);
    let names: Vec<&str> = measured.iter().filter_map(|device| device["name"].as_str()).collect();
    assert!(names.iter().any(|name| name.contains("llvmpipe")), "{names:?}");
    for device in &measured {
        let host = device["name"] == "host";
        assert_eq!(device["roof_error"].is_string(), host, "{device}");
        assert_eq!(device["roof"].is_null(), host, "{device}");
        if !host {
            let number = |key: &str| device["roof"][key].as_u64().expect("a number");
            assert!(
                number("bytes_per_second") > 1_000_000 && number("flops_per_second") > 1_000_000,
                "{device}"
            );
            assert_eq!(device["roof"]["source"], "measured");
        }
    }
    assert_eq!(kept(&sandbox), measured.len() - 1, "a file for each but the host");

    // Without --probe the figures are those that were kept.
    for (now, then) in devices(&sandbox, &[]).iter().zip(&measured) {
        for key in ["bytes_per_second", "flops_per_second", "clock", "measured_unix_ns"] {
            assert_eq!(now["roof"][key], then["roof"][key], "{key}");
        }
        assert_eq!(now["roof"]["source"], if now["name"] == "host" { Value::Null } else { "cached".into() });
    }
    let text = bayplan(&sandbox, &["devices"]).success();
    assert!(text.contains("B/s (read + written), multiplies and adds ") && text.contains(" ago"), "{text}");
}

#[test]
fn a_cache_that_cannot_be_written_is_a_warning() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("cache"), "").expect("a file where the folder should be");
    let ended = bayplan(&sandbox, &["devices", "--probe"]);
    assert!(ended.stderr.contains("warning: what was measured is not kept"), "{}", ended.stderr);
    assert!(ended.success().contains("measured now"));
    // A run says nothing of it, and has its roofs all the same.
    let (model, trace) = (reference_model("digits"), sandbox.path("digits.bptrace"));
    let (model, trace) = (model.to_str().expect("a name"), trace.to_str().expect("a name"));
    let words = ["run", model, "--dim", "batch=2", "--device", "llvmpipe", "--trace-level", "op", "--quiet"];
    bayplan(&sandbox, &[&words[..], &["--trace", trace]].concat()).success();
    let report = bayplan(&sandbox, &["report", trace, "--json"]).json();
    assert_eq!(report["session"]["roofs"]["source"], "measured");
    let ops = report["plans"][0]["op_times"].as_array().expect("ops");
    assert!(ops.iter().any(|op| op["roof_share"].as_f64().is_some_and(|share| share > 0.0)), "{ops:?}");
}

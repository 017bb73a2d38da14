//! The actual arrows and dependency trees, from `cargo metadata`. Development dependencies do not count.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::env;
use std::process::Command;

use serde_json::Value;

use crate::table::Map;

/// The name by which ARCHITECTURE.md calls a package of the workspace.
fn room_name(package: &str) -> &str {
    package.strip_prefix("bayplan-").unwrap_or(package)
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().expect("cargo metadata gives text here")
}

fn run(arguments: &[&str]) -> String {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output =
        Command::new(cargo).args(arguments).current_dir(bayplan_tests::root()).output().expect("cargo runs");
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}

/// The workspace's packages with what their manifests name; no other package is looked at.
pub(crate) fn read_manifests() -> Value {
    parse(&run(&["metadata", "--format-version", "1", "--no-deps", "--offline"]))
}

/// The workspace with all it is built from on this platform.
pub(crate) fn read_all() -> Value {
    let version = run(&["-vV"]);
    let host = version.lines().find_map(|l| l.strip_prefix("host: ")).expect("cargo names its host");
    parse(&run(&["metadata", "--format-version", "1", "--locked", "--filter-platform", host]))
}

fn parse(json: &str) -> Value {
    serde_json::from_str(json).expect("cargo metadata writes JSON")
}

/// The packages of the workspace: room to package.
fn rooms(metadata: &Value) -> BTreeMap<&str, &Value> {
    let members: BTreeSet<&str> = array(&metadata["workspace_members"]).iter().map(text).collect();
    let package = |p: &'_ Value| members.contains(text(&p["id"]));
    array(&metadata["packages"])
        .iter()
        .filter(|p| package(p))
        .map(|p| (room_name(text(&p["name"])), p))
        .collect()
}

/// Room to the rooms it imports.
pub(crate) fn arrows(metadata: &Value) -> Map {
    let rooms = rooms(metadata);
    let imports = |package: &Value| {
        let counted = array(&package["dependencies"]).iter().filter(|d| d["kind"].as_str() != Some("dev"));
        let targets = counted.map(|d| room_name(text(&d["name"]))).filter(|n| rooms.contains_key(n));
        targets.map(String::from).collect()
    };
    rooms.iter().map(|(room, package)| (room.to_string(), imports(package))).collect()
}

/// Room to every crate it is built from, each with the shortest way to it.
pub(crate) fn trees(metadata: &Value) -> BTreeMap<String, BTreeMap<String, String>> {
    let names: BTreeMap<&str, &str> =
        array(&metadata["packages"]).iter().map(|p| (text(&p["id"]), text(&p["name"]))).collect();
    let mut edges: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for node in array(&metadata["resolve"]["nodes"]) {
        let counted = |d: &&Value| array(&d["dep_kinds"]).iter().any(|k| k["kind"].as_str() != Some("dev"));
        let targets = array(&node["deps"]).iter().filter(counted).map(|d| text(&d["pkg"])).collect();
        edges.insert(text(&node["id"]), targets);
    }
    let tree = |start: &str| {
        let mut found: BTreeMap<String, String> = BTreeMap::new();
        let mut queue = VecDeque::from([(start.to_string(), names[start].to_string())]);
        while let Some((id, way)) = queue.pop_front() {
            for next in edges.get(id.as_str()).into_iter().flatten() {
                let name = names[next];
                if !found.contains_key(name) {
                    let way = format!("{way} -> {name}");
                    found.insert(name.to_string(), way.clone());
                    queue.push_back((next.to_string(), way));
                }
            }
        }
        found
    };
    rooms(metadata).iter().map(|(room, package)| (room.to_string(), tree(text(&package["id"])))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// `bayplan-a` is built with `bayplan-b` and through it with `c`; `d` only serves the tests of `bayplan-a`.
    fn sample() -> Value {
        let package =
            |name: &str, dependencies: Value| json!({"id": name, "name": name, "dependencies": dependencies});
        let edge = |name: &str, kind: Value| json!({"pkg": name, "dep_kinds": [{"kind": kind}]});
        json!({
            "workspace_members": ["bayplan-a", "bayplan-b", "bayplan"],
            "packages": [
                package("bayplan-a", json!([{"name": "bayplan-b", "kind": "build"}, {"name": "bayplan", "kind": "dev"}])),
                package("bayplan-b", json!([{"name": "c", "kind": null}])),
                package("bayplan", json!([])), package("c", json!([])), package("d", json!([])),
            ],
            "resolve": {"nodes": [
                {"id": "bayplan-a", "deps": [edge("bayplan-b", json!("build")), edge("d", json!("dev"))]},
                {"id": "bayplan-b", "deps": [edge("c", Value::Null)]},
            ]},
        })
    }

    #[test]
    fn counts_normal_and_build_dependencies() {
        let set = |names: &[&str]| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        let expect = [("a", set(&["b"])), ("b", set(&[])), ("bayplan", set(&[]))];
        assert_eq!(arrows(&sample()), expect.map(|(k, v)| (k.to_string(), v)).into());
        let trees = trees(&sample());
        assert_eq!(trees["a"]["c"], "bayplan-a -> bayplan-b -> c");
        assert_eq!(trees["a"].keys().collect::<Vec<_>>(), ["bayplan-b", "c"]);
    }
}

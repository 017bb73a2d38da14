//! Every relative link of the project's pages leads somewhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bayplan_tests::root;

/// The pages that git tracks.
fn pages() -> Vec<PathBuf> {
    let listed =
        Command::new("git").args(["ls-files", "*.md"]).current_dir(root()).output().expect("git runs");
    let listed = String::from_utf8(listed.stdout).expect("paths are UTF-8");
    listed.lines().map(|line| root().join(line)).collect()
}

/// The targets of `[text](target)` in a page, without anchors, outside code blocks.
fn targets(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut code = false;
    for line in text.lines() {
        code ^= line.trim_start().starts_with("```");
        let links = if code { "" } else { line };
        for rest in links.split("](").skip(1) {
            let target = rest.split(')').next().unwrap_or_default();
            let target = target.split('#').next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") {
                found.push(target.to_owned());
            }
        }
    }
    found
}

fn dead(page: &Path) -> Vec<String> {
    let text = fs::read_to_string(page).unwrap_or_else(|e| panic!("{}: {e}", page.display()));
    let folder = page.parent().expect("a page lies in a folder");
    targets(&text).into_iter().filter(|target| !folder.join(target).exists()).collect()
}

#[test]
fn links_lead_somewhere() {
    let pages = pages();
    assert!(pages.len() >= 5, "only {} pages were found", pages.len());
    for page in pages {
        assert_eq!(dead(&page), [""; 0], "dead links in {}", page.display());
    }
}

#[test]
fn dead_links_are_found() {
    let text = "[a](here.md#x) ![b](pictures/no.svg) [c](https://example.org/d)\n```\n[e](in-code.md)\n```";
    assert_eq!(targets(text), ["here.md", "pictures/no.svg"]);
}

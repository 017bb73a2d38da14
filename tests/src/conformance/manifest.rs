//! What is expected of each case: `tests/conformance/manifest.txt`.
//!
//! A line for each case, with tabs between its fields: id; tier; and, where a case does not simply pass, why, once for each
//! backend where that is so:
//!
//! ```text
//! node/test_abs<TAB>core
//! node/test_unique<TAB>core<TAB>lavapipe host: equal elements are found by sorting<TAB>swiftshader host: …
//! node/test_scan<TAB>control<TAB>fails: what it lacks
//! ```
//!
//! `fails` is of a case that does not pass, `host` of one in which nodes run on the processor, `redrawn` of one that passes,
//! but not with inputs that were drawn again, or whose inputs cannot be; without a backend in front it is so on all of them.

use std::collections::BTreeMap;
use std::fmt;

use crate::backend::Backend;

/// What may be wrong with a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It does not pass.
    Fails,
    /// Some of its nodes run on the processor.
    Host,
    /// It does not pass with inputs that were drawn again, or they cannot be.
    Redrawn,
}

const KINDS: [(Kind, &str); 3] = [(Kind::Fails, "fails"), (Kind::Host, "host"), (Kind::Redrawn, "redrawn")];

/// What is said of one case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// `core`, `control`, `narrow`, or `out:` with what it is about.
    pub tier: String,
    /// By backend and kind: why.
    pub notes: BTreeMap<(&'static str, Kind), String>,
}

/// The manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest(pub BTreeMap<String, Entry>);

const BACKENDS: [&str; 3] = ["host", "lavapipe", "swiftshader"];

/// The name of a backend here. A device that is named is judged as lavapipe is.
pub fn name(backend: Backend) -> &'static str {
    match backend {
        Backend::Host => "host",
        Backend::Lavapipe | Backend::Named => "lavapipe",
        Backend::SwiftShader => "swiftshader",
    }
}

impl Manifest {
    /// Reads it.
    ///
    /// # Errors
    /// Which line is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut entries = BTreeMap::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let mut fields = line.split('\t');
            let (Some(id), Some(tier)) = (fields.next(), fields.next()) else {
                return Err(format!("no tier: {line}"));
            };
            let mut entry = Entry { tier: tier.to_owned(), ..Entry::default() };
            for field in fields {
                let (what, why) =
                    field.split_once(": ").ok_or_else(|| format!("{id}: no reason: {field}"))?;
                for key in keys(what).ok_or_else(|| format!("{id}: what is {what}?"))? {
                    entry.notes.insert(key, why.to_owned());
                }
            }
            if entries.insert(id.to_owned(), entry).is_some() {
                return Err(format!("{id}: two lines"));
            }
        }
        Ok(Self(entries))
    }
}

/// The backends and the kind that `lavapipe fails` or `fails` stands for.
fn keys(what: &str) -> Option<Vec<(&'static str, Kind)>> {
    let (on, kind) = what.split_once(' ').map_or((None, what), |(on, kind)| (Some(on), kind));
    let kind = KINDS.iter().find(|row| row.1 == kind)?.0;
    let keys: Vec<_> = BACKENDS.into_iter().filter(|name| on.is_none_or(|on| on == *name)).collect();
    (!keys.is_empty()).then(|| keys.into_iter().map(|name| (name, kind)).collect())
}

impl fmt::Display for Manifest {
    /// As it is read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (id, entry) in &self.0 {
            writeln!(f, "{}", Line(id, entry))?;
        }
        Ok(())
    }
}

/// A line.
#[derive(Debug)]
pub struct Line<'a>(pub &'a str, pub &'a Entry);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line(id, entry) = self;
        write!(f, "{id}\t{}", entry.tier)?;
        for (kind, what) in KINDS {
            let of = |name: &'static str| entry.notes.get(&(name, kind));
            match (of(BACKENDS[0]), BACKENDS.iter().all(|name| of(name) == of(BACKENDS[0]))) {
                (Some(why), true) => write!(f, "\t{what}: {why}")?,
                _ => {
                    for name in BACKENDS {
                        if let Some(why) = of(name) {
                            write!(f, "\t{name} {what}: {why}")?;
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_are_written() {
        let text = "node/a\tcore\n\
                    node/b\tcore\tfails: no such operator\tlavapipe host: sorted there\n\
                    node/c\tnarrow\tswiftshader fails: no 64-bit floats\tredrawn: it has no input\n\
                    node/d\tout: strings\n";
        let manifest = Manifest::parse(&format!("# what it is\n\n{text}")).expect("a manifest");
        assert_eq!(manifest.to_string(), text);
        assert_eq!(manifest.0["node/b"].notes.len(), 4);
        for (wrong, why) in [
            ("node/a", "no tier"),
            ("node/a\tcore\tfails", "no reason"),
            ("node/a\tcore\tgpu fails: x", "what is"),
            ("node/a\tcore\tworks: x", "what is"),
            ("node/a\tcore\nnode/a\tcore", "two lines"),
        ] {
            assert!(Manifest::parse(wrong).expect_err("none").contains(why), "{wrong}");
        }
    }
}

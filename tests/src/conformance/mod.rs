//! The backend test set of the onnx package, as `tests/python/conformance.py` writes it, and what is expected of each case.

pub mod compare;
pub mod library;
pub mod manifest;
pub mod program;

use std::fs;
use std::path::{Path, PathBuf};

use bayplan::Tensor;
use serde_json::Value;

use crate::root;

/// A case of the set that is in scope.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Kind and name: `node/test_abs`.
    pub id: String,
    /// `core`, `control` or `narrow`.
    pub tier: String,
    /// Sets of inputs with the outputs that belong to them.
    pub sets: usize,
    /// Relative tolerance of floating-point outputs.
    pub rtol: f64,
    /// Absolute tolerance of floating-point outputs.
    pub atol: f64,
    /// The same as a share of the largest element.
    pub share: f64,
    /// Where it lies.
    folder: PathBuf,
}

/// A whole set: cases in scope, and the names of the others with what they are about.
#[derive(Clone, Debug, PartialEq)]
pub struct Set {
    /// Those in scope, by id.
    pub cases: Vec<Case>,
    /// Id and tier (`out: strings`) of the others.
    pub out: Vec<(String, String)>,
}

impl Set {
    /// The set in a folder.
    ///
    /// # Panics
    /// When it was not made, or is none.
    pub fn read(folder: &Path) -> Self {
        let file = folder.join("cases.jsonl");
        let text = fs::read_to_string(&file)
            .unwrap_or_else(|e| panic!("{}: {e}: run `make references`, which makes it", file.display()));
        let (mut cases, mut out) = (Vec::new(), Vec::new());
        for line in text.lines() {
            let json: Value =
                serde_json::from_str(line).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
            let text =
                |key: &str| json[key].as_str().unwrap_or_else(|| panic!("no {key}: {line}")).to_owned();
            let (id, tier) = (text("id"), text("tier"));
            let number = |key: &str| json[key].as_f64().unwrap_or_else(|| panic!("no {key}: {line}"));
            match tier.starts_with("out") {
                true => out.push((id, tier)),
                false => cases.push(Case {
                    folder: folder.join(&id),
                    id,
                    tier,
                    sets: number("sets") as usize,
                    rtol: number("rtol"),
                    atol: number("atol"),
                    share: json["share"].as_f64().unwrap_or(0.0),
                }),
            }
        }
        assert!(!cases.is_empty(), "{} names no case", file.display());
        Self { cases, out }
    }

    /// The set of the onnx package, as `make references` makes it.
    ///
    /// # Panics
    /// When it was not made.
    pub fn of_onnx() -> Self {
        Self::read(&root().join("target/conformance"))
    }

    /// Its cases with inputs drawn again, as `make references` makes it.
    ///
    /// # Panics
    /// When it was not made.
    pub fn redrawn() -> Self {
        Self::read(&root().join("target/conformance-redrawn"))
    }

    /// Operators at random shapes with onnxruntime's results, as `make references` makes it: those of the domain
    /// `com.microsoft`, and some of ONNX's own that have many variants.
    ///
    /// # Panics
    /// When it was not made.
    pub fn compared() -> Self {
        Self::read(&root().join("target/compared"))
    }
}

impl Case {
    /// The model.
    pub fn model(&self) -> PathBuf {
        self.folder.join("model.onnx")
    }

    /// The folder of the inputs of a set.
    pub fn inputs(&self, set: usize) -> PathBuf {
        self.folder.join(set.to_string()).join("in")
    }

    /// The folder of the outputs expected of a set.
    pub fn outputs(&self, set: usize) -> PathBuf {
        self.folder.join(set.to_string()).join("out")
    }

    /// Compares outputs in a folder (`output_0.pb` and so on) with those of a set.
    ///
    /// # Errors
    /// Which is missing or wrong, and how.
    pub fn judge(&self, set: usize, folder: &Path) -> Result<(), String> {
        let expected = tensors(&self.outputs(set), "output")?;
        let actual = tensors(folder, "output")?;
        if actual.len() != expected.len() {
            return Err(format!("{} outputs instead of {}", actual.len(), expected.len()));
        }
        for (at, (expected, actual)) in expected.iter().zip(&actual).enumerate() {
            let largest =
                expected.to_f64().into_iter().filter(|x| x.is_finite()).fold(0.0, |a: f64, b| a.max(b.abs()));
            let atol = self.atol.max(self.share * largest);
            compare::compare(expected, actual, self.rtol, atol)
                .map_err(|reason| format!("output {at}: {reason}"))?;
        }
        Ok(())
    }
}

/// The tensors `NAME_0.pb` and so on in a folder.
///
/// # Errors
/// One cannot be read.
pub fn tensors(folder: &Path, name: &str) -> Result<Vec<Tensor>, String> {
    let mut all = Vec::new();
    loop {
        let path = folder.join(format!("{name}_{}.pb", all.len()));
        let Ok(bytes) = fs::read(&path) else { return Ok(all) };
        let read = bayplan_onnx::read_tensor(&bytes);
        all.push(read.map_err(|e| format!("{}: {e}", path.display()))?.1);
    }
}

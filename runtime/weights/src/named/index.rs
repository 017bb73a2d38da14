//! An index of shards: which tensor lies in which file.
//!
//! ```text
//!   {"metadata": {…}, "weight_map": {"NAME": "model-00001-of-00002.safetensors", …}}
//! ```

use core::fmt;
use std::collections::{BTreeMap, HashSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use bayplan_graph::ByteSource;
use bayplan_text::escape;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::window::Window;
use super::{Entry, Kind, MAX_NAME, MAX_TENSORS, Named, kind, open, safetensors};
use crate::WeightsError;

/// Most bytes of an index, as of a header.
const MAX_INDEX: u64 = 100_000_000;

/// Files that tensors may be spread over.
const MAX_SHARDS: usize = 4096;

/// The tensors of all shards that the index in `source` names.
pub(super) fn read(source: &dyn ByteSource, path: &Path) -> Result<Named, WeightsError> {
    let fail = |reason: String| WeightsError::Named { path: path.to_owned(), reason };
    if source.len() > MAX_INDEX {
        return Err(fail(format!(
            "an index of shards has at most {MAX_INDEX} bytes, it has {}",
            source.len()
        )));
    }
    let window = Window::new(source, 0, source.len());
    let index: Index = serde_json::from_reader(window)
        .map_err(|e| fail(format!("it is no index of shards: {}", escape(&e.to_string()))))?;
    let mut named = Named { path: path.to_owned(), files: Vec::new(), entries: Vec::new() };
    for (shard, mut wanted) in index.weight_map.0 {
        let place = beside(path, &shard).map_err(&fail)?;
        let source: Arc<dyn ByteSource> = Arc::new(open(&place).map_err(|e| named_by(e, path))?);
        if kind(&*source, &place)? != Kind::Safetensors {
            return Err(fail(format!("its shard `{}` is no safetensors file", escape(&shard))));
        }
        let (file, entries) = (named.files.len(), safetensors::read(&*source).map_err(|p| p.of(&place))?);
        for entry in entries {
            if !wanted.remove(&*entry.name) {
                let (name, shard) = (escape(&entry.name), escape(&shard));
                return Err(fail(format!(
                    "it does not say that tensor `{name}` lies in `{shard}`, but it does; the files do not belong together"
                )));
            }
            named.entries.push(Entry { file, ..entry });
        }
        if let Some(name) = wanted.iter().min() {
            let (name, shard) = (escape(name), escape(&shard));
            return Err(fail(format!(
                "tensor `{name}` is not in `{shard}`, where it should be; the files do not belong together"
            )));
        }
        named.files.push((place, source));
    }
    Ok(named)
}

/// A shard that cannot be opened, with the index that leads to it.
fn named_by(error: WeightsError, index: &Path) -> WeightsError {
    match error {
        WeightsError::Named { path, reason } => {
            let index = index.to_string_lossy();
            WeightsError::Named { path, reason: format!("{reason}; the index `{}` names it", escape(&index)) }
        }
        error => error,
    }
}

#[derive(Deserialize)]
struct Index {
    weight_map: WeightMap,
}

/// For each shard the names of its tensors.
struct WeightMap(BTreeMap<String, HashSet<String>>);

impl<'de> Deserialize<'de> for WeightMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Map).map(Self)
    }
}

struct Map;

impl<'de> Visitor<'de> for Map {
    type Value = BTreeMap<String, HashSet<String>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a file for each tensor")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut shards = Self::Value::new();
        // Names are unique over all shards.
        let mut names = HashSet::new();
        while let Some((name, shard)) = map.next_entry::<String, String>()? {
            if name.len() > MAX_NAME || shard.len() > MAX_NAME {
                return Err(A::Error::custom(format!("a name is longer than {MAX_NAME} bytes")));
            }
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(format!("it names tensor `{name}` twice")));
            }
            shards.entry(shard).or_default().insert(name);
            if names.len() > MAX_TENSORS || shards.len() > MAX_SHARDS {
                return Err(A::Error::custom(format!(
                    "more than {MAX_TENSORS} tensors or {MAX_SHARDS} files"
                )));
            }
        }
        Ok(shards)
    }
}

/// The path of a shard: in the folder of the index or below. Links in that folder are the user's own.
fn beside(index: &Path, shard: &str) -> Result<PathBuf, String> {
    let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    let is_file = Path::new(shard).file_name().is_some();
    // Of another system's paths, too.
    let foreign = shard.contains(['\\', '\0']) || shard.get(1..2) == Some(":");
    if foreign || !is_file || !Path::new(shard).components().all(inside) {
        return Err(format!(
            "its shard `{}` is no file in the folder of the index or below; an index must not lead elsewhere",
            escape(shard)
        ));
    }
    Ok(index.parent().unwrap_or(Path::new("")).join(shard))
}

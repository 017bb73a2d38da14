//! Weights of another file than the model's.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bayplan_graph::Graph;
use bayplan_weights::{Bound, Named, Rules, Store, bind};

use crate::error::Error;

/// Tensors by name that take the place of a model's initializers ([`Model::open_with`](crate::Model::open_with)): a
/// safetensors file, an index of such files, or a GGUF file. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Weights {
    named: Arc<Named>,
    rules: Arc<Rules>,
}

impl Weights {
    /// Opens a file of weights and reads its header; the tensors are not read.
    ///
    /// # Errors
    /// [`Error::Weights`]: it cannot be opened, is of another kind, is damaged or cut short.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(Self { named: Arc::new(Named::open(path)?), rules: Arc::default() })
    }

    /// The same with rules from the names of the file to those of the model. Without rules they must be equal.
    #[must_use]
    pub fn renamed(self, rules: Rules) -> Self {
        Self { rules: Arc::new(rules), ..self }
    }

    /// The tensors and their files.
    pub fn named(&self) -> &Named {
        &self.named
    }

    /// Binds the initializers of a graph to the tensors, and infers it anew.
    pub(crate) fn bind(&self, graph: &mut Graph) -> Result<Bound, Error> {
        let bound = bind(graph, &self.named, &self.rules)?;
        graph.infer()?;
        bayplan_graph::verify(graph)?;
        Ok(bound)
    }
}

/// Opens the files of a graph's weights.
pub(crate) fn store(model: &Path, graph: &Graph, weights: Option<&Weights>) -> Result<Store, Error> {
    Ok(Store::open_with(model, graph, weights.map(Weights::named))?)
}

/// What a model is made of.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) path: PathBuf,
    pub(crate) weights: Option<Weights>,
}

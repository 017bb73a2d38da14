//! What a model is specialised on: the elements of inputs that decide shapes.

use std::sync::Arc;

use bayplan_graph::{Graph, Tensor};

use crate::inputs::{InputError, Shaped};

/// The elements of the inputs that decide a model's shapes, at one run: one plan serves all runs that have the same.
///
/// They are integers and booleans by construction: no float can become part of what is planned for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValueKey(Vec<(Arc<str>, Tensor)>);

impl ValueKey {
    /// The elements of those inputs among what a run is given.
    ///
    /// # Errors
    /// [`InputError::Missing`] of one that is not given; [`InputError::Specialised`] of one that lies where the host does not
    /// see it, or that holds floats.
    pub fn new<T: Shaped>(names: &[Arc<str>], inputs: &[(&str, &T)]) -> Result<Self, InputError> {
        let elements = |name: &Arc<str>| {
            let given = inputs.iter().find(|(given, _)| *given == &**name);
            let expected = "integers in host memory: it decides shapes".to_string();
            let (_, tensor) =
                given.ok_or_else(|| InputError::Missing { name: name.to_string(), expected })?;
            let tensor = tensor.on_host().filter(|tensor| !tensor.dtype().is_float());
            let tensor = tensor.ok_or_else(|| InputError::Specialised { name: name.to_string() })?;
            Ok((name.clone(), tensor.clone()))
        };
        names.iter().map(elements).collect::<Result<_, _>>().map(Self)
    }

    /// What a graph was built for; `None` if it is right for all elements of its inputs.
    pub fn of(graph: &Graph) -> Option<Self> {
        (!graph.specialised.is_empty()).then(|| Self(graph.specialised.clone()))
    }

    /// The names of the inputs.
    pub fn names(&self) -> Vec<Arc<str>> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }

    /// The inputs by name, with their elements.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Tensor)> {
        self.0.iter().map(|(name, tensor)| (&**name, tensor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_no_part_of_a_key() {
        let (axes, x) = (Tensor::from_i64(vec![2], &[0, 1]), Tensor::from_f32(vec![2], &[0.0, 1.0]));
        let (axes, x) = (axes.expect("a tensor"), x.expect("a tensor"));
        let given = [("axes", &axes), ("x", &x)];
        let key = |names: &[&str]| {
            let names: Vec<Arc<str>> = names.iter().map(|&name| name.into()).collect();
            ValueKey::new(&names, &given)
        };
        let own = key(&["axes"]).expect("integers");
        assert_eq!(own.iter().collect::<Vec<_>>(), [("axes", &axes)]);
        assert_eq!(key(&["axes", "x"]), Err(InputError::Specialised { name: "x".into() }));
        assert!(matches!(key(&["k"]), Err(InputError::Missing { .. })));
    }
}

//! Dims that the files given for inputs tell.

use std::path::Path;

use bayplan_graph::Graph;

use crate::exit::Failure;
use crate::npy;

/// The values, as `NAME=VALUE`, of symbols that no word of `--dim` gives and that are a dimension of an input with a file.
/// Sizes that contradict each other are refused when the tensors are read.
pub(crate) fn told(graph: &Graph, dims: &[String], inputs: &[String]) -> Result<Vec<String>, Failure> {
    let mut found: Vec<String> = Vec::new();
    for &id in &graph.inputs {
        let value = graph.value(id);
        let file = |word: &'_ String| Some(word.strip_prefix(&*value.name)?.strip_prefix('=')?.to_owned());
        let (Some(ty), Some(file)) = (&value.ty, inputs.iter().find_map(file)) else { continue };
        let shape = npy::shape(Path::new(&file)).map_err(Failure::new)?;
        for (declared, size) in ty.shape.iter().zip(&shape) {
            let Some(symbol) = declared.as_symbol() else { continue };
            let gives = |word: &String| word.rsplit_once('=').is_some_and(|(name, _)| name == symbol);
            if !dims.iter().chain(&found).any(gives) {
                found.push(format!("{symbol}={size}"));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use bayplan_expr::Expr;
    use bayplan_graph::{DType, Tensor, TensorType, Value, ValueId, ValueSource};

    use super::*;

    #[test]
    fn files_tell_the_dims_that_no_word_gives() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("x.npy");
        npy::write(&file, &Tensor::zeros(DType::F32, vec![3, 5, 5]).expect("zeros")).expect("a file");
        let shape = [Expr::symbol("batch"), Expr::symbol("n"), Expr::symbol("n")].to_vec();
        let ty = Some(TensorType { dtype: DType::F32, shape });
        let mut graph = Graph::default();
        graph.values.push(Value { name: "x".into(), source: ValueSource::Input, ty, contents: None });
        graph.inputs.push(ValueId(0));
        let word = format!("x={}", file.display());
        let told = |dims: &[&str], inputs: &[&str]| {
            let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
            super::told(&graph, &owned(dims), &owned(inputs)).map_err(|failure| failure.parts().0.to_owned())
        };
        assert_eq!(told(&[], &[&word]), Ok(vec!["batch=3".into(), "n=5".into()]));
        assert_eq!(told(&["n=4"], &[&word]), Ok(vec!["batch=3".into()]));
        assert_eq!(told(&[], &["y=none.npy"]), Ok(Vec::new()), "refused later, by name");
        assert!(told(&[], &["x=none.npy"]).expect_err("no file").contains("none.npy"));
    }
}

//! Dims that the tensors given for inputs tell.

use std::path::Path;
use std::sync::Arc;

use bayplan_compile::Dims;
use bayplan_graph::{Graph, Prologue, Tensor, Value};

use crate::commands::run::file_of;
use crate::dims::complete;
use crate::exit::Failure;
use crate::inputs::{LISTED, files, list, quoted, shown};
use crate::tensor_file;

/// Gives symbols that have no value yet and that are a dimension of an input with a file (`NAME=FILE`) the size in the
/// file. Sizes that contradict each other are refused when the tensors are read.
///
/// # Errors
///
/// A file is for no input of the model or cannot be read, or a size in it lies outside the bounds of its symbol.
pub(crate) fn tell(graph: &Graph, dims: &mut Dims, inputs: &[String]) -> Result<(), Failure> {
    let values: Vec<_> = graph.inputs.iter().map(|&id| graph.value(id)).collect();
    let names: Vec<&str> = values.iter().map(|value| &*value.name).collect();
    for (index, file) in files(&names, inputs)? {
        let shape = tensor_file::shape(Path::new(file))?;
        one(values[index], &shape, dims).map_err(|reason| Failure::new(format!("{file}: {reason}")))?;
    }
    computed(graph, dims, inputs)
}

/// Gives symbols without a value those that follow from elements of inputs with files.
fn computed(graph: &Graph, dims: &mut Dims, words: &[String]) -> Result<(), Failure> {
    for prologue in &graph.prologue {
        if prologue.symbols.iter().all(|symbol| dims.pinned.get(symbol).is_some()) {
            continue;
        }
        let mut given: Vec<(Arc<str>, Tensor)> = Vec::new();
        for name in prologue.graph.inputs.iter().map(|&id| &prologue.graph.value(id).name) {
            let file = words.iter().find_map(|word| file_of(word, name));
            let file = file.ok_or_else(|| {
                let (reason, name) = (follow(&prologue.symbols, prologue), shown(name));
                Failure::usage(format!("{reason}; give it (--input {name}=FILE), or values of them (--dim)"))
            })?;
            given.push((name.clone(), tensor_file::read(&file)?));
        }
        let input = |name: &str| given.iter().find(|(own, _)| **own == *name).map(|(_, tensor)| tensor);
        let values = prologue.values(&dims.pinned, &input).map_err(|e| Failure::new(e.to_string()))?;
        for (symbol, value) in values {
            dims.pinned.set(&*symbol, value);
        }
    }
    Ok(())
}

/// That sizes follow from elements of inputs, and of which; or from shapes in a way that only values decide.
fn follow(sizes: &[Arc<str>], prologue: &Prologue) -> String {
    let sizes: Vec<&str> = sizes.iter().map(|size| &**size).collect();
    let from = prologue.graph.inputs.iter().map(|&id| &*prologue.graph.value(id).name);
    let from: Vec<&str> = from.collect();
    let (size, follow) = if sizes.len() == 1 { ("size", "follows") } else { ("sizes", "follow") };
    let from = match from.len() {
        0 => "by floats from dimensions without a value".to_owned(),
        1 => format!("from elements of input {}", list(&from)),
        _ => format!("from elements of inputs {}", list(&from)),
    };
    format!("the {size} {} {follow} {from}", list(&sizes))
}

/// Values for sizes that follow from those of dimensions. Sizes that follow from elements of inputs need a value or a bound:
/// without the elements, as in a plan, they may be anything. A budget decides dimensions of inputs alone, so with one they
/// need a value.
///
/// # Errors
/// Nothing bounds some sizes: names them, the inputs, and how to give them a value.
pub(crate) fn sized(graph: &Graph, mut dims: Dims, budget: Option<u64>) -> Result<Dims, Failure> {
    for prologue in &graph.prologue {
        // Without the elements of its inputs nothing comes of it.
        let values = prologue.values(&complete(graph, &dims), &|_| None).unwrap_or_default();
        for (symbol, value) in values {
            if dims.pinned.get(&symbol).is_none() {
                dims.pinned.set(&*symbol, value);
            }
        }
        let unbound = |size: &&Arc<str>| {
            let bounded = budget.is_none() && dims.bounds.get(size).upper.is_some();
            dims.pinned.get(size).is_none() && !bounded
        };
        let open: Vec<Arc<str>> = prologue.symbols.iter().filter(unbound).cloned().collect();
        if let Some(first) = open.first() {
            let words =
                open.iter().take(LISTED).map(|size| format!("--dim {}", quoted(&format!("{size}=1"))));
            let words = words.collect::<Vec<String>>().join(" ");
            let bound = format!("or a bound, --dim-max {}", quoted(&format!("{first}=64")));
            let rest = if budget.is_some() { "as the budget decides none of them" } else { &bound };
            let reason = follow(&open, prologue);
            return Err(Failure::usage(format!(
                "{reason}\ngive each one a value, for instance {words}, {rest}"
            )));
        }
    }
    Ok(dims)
}

/// Gives the symbols that are dimensions of a value, and that have no value yet, the sizes in its shape.
fn one(value: &Value, shape: &[usize], dims: &mut Dims) -> Result<(), String> {
    let Some(ty) = &value.ty else { return Ok(()) };
    for (declared, &size) in ty.shape.iter().zip(shape) {
        let Some(symbol) = declared.as_symbol() else { continue };
        if dims.pinned.get(symbol).is_some() {
            continue;
        }
        let bounds = dims.bounds.get(symbol);
        let Some(size) = i64::try_from(size).ok().filter(|&size| bounds.contains(size)) else {
            let symbol = shown(symbol);
            return Err(format!("{symbol} is {size}, outside its bounds {bounds}"));
        };
        dims.pinned.set(symbol, size);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bayplan_expr::{Bindings, Bounds, Expr};
    use bayplan_graph::{DType, Tensor, TensorType, ValueId, ValueSource};

    use super::*;
    use crate::npy;

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
        let told = |mut dims: Dims, input: &str| {
            tell(&graph, &mut dims, &[input.to_owned()])
                .map(|()| dims.pinned)
                .map_err(|failure| failure.parts().0.to_owned())
        };
        let both = Bindings::new().with("batch", 3).with("n", 5);
        assert_eq!(told(Dims::default(), &word), Ok(both));
        let given = Dims { pinned: Bindings::new().with("n", 4), ..Dims::default() };
        assert_eq!(told(given, &word), Ok(Bindings::new().with("batch", 3).with("n", 4)));
        assert!(told(Dims::default(), "y=none.npy").expect_err("no y").contains("no input y; it has x"));
        assert!(told(Dims::default(), "x=none.npy").expect_err("no file").contains("none.npy"));
        let mut narrow = Dims::default();
        narrow.bounds.declare("n", Bounds::between(1, 4)).expect("bounds");
        assert!(told(narrow, &word).expect_err("beyond").contains("n is 5, outside its bounds"));
    }
}

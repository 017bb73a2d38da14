//! `bayplan fit`.

use std::path::Path;
use std::process::ExitCode;

use bayplan::{Device, Error, Model, Options, Target, Tensor};
use bayplan_compile::fit::{self, Budget, End, Fit, Fitted};
use bayplan_compile::plan_file::memory_value;
use bayplan_compile::{CompileError, Dims, Family, ReadConstant};
use bayplan_expr::{Bindings, Bounds, Scope};
use bayplan_graph::{ByteRange, Graph, Reach};
use bayplan_plan::memory::{MemoryFunction, Solution, steps};
use bayplan_text::{Bytes, Count};
use serde_json::{Value, json};

use super::fit_text::{crossings, fit_text};
use super::run::{compile_options, device_options, file_of, named};
use crate::args::{FitOptions, ModelOptions};
use crate::dims;
use crate::exit::{Failure, Outcome};
use crate::{inputs, out, shapes, tensor_file, weights};

/// Combinations of values of the dimensions that are not solved for: each may cost a compile.
const MOST_COMBINATIONS: usize = 64;

/// Version of the JSON that this command prints. It changes when a key changes its meaning, not when one is added.
const VERSION: u32 = 1;

/// What fits a budget.
pub(crate) struct Answer {
    /// The bytes as a function of the dimensions, where they were needed.
    pub(crate) memory: MemoryFunction,
    /// In bytes; none if only the formula is asked for.
    pub(crate) budget: Option<u64>,
    /// Values of all dimensions without a value of their own, the largest that fit; the first is what `run` takes. None if
    /// all dimensions have one.
    pub(crate) rows: Vec<Fit>,
    /// The dimension that the rows were solved for.
    pub(crate) solved: Option<String>,
    /// Why nothing fits; none if something does.
    pub(crate) refused: Option<String>,
}

/// Refuses what neither a value, nor a bound, nor the budget decides; what follows from values has one then.
fn settled(graph: &Graph, dims: Dims, budget: Option<u64>) -> Result<Dims, Failure> {
    let open = dims::open(graph, &dims);
    if budget.is_none() && !open.is_empty() {
        return Err(dims::without_value(&open, &dims.pinned, &graph.constraints));
    }
    shapes::sized(graph, dims, budget)
}

/// Finds what fits, of dims that are settled. Dimensions that have no upper bound get one from what the inputs alone take.
///
/// # Errors
/// The model cannot be compiled, or `solve` is none of its dimensions.
pub(crate) fn answer(
    graph: &Graph,
    dims: &Dims,
    solve: Option<&str>,
    budget: Option<u64>,
    (target, options, read): (&Target, &Options, &ReadConstant<'_>),
) -> Result<(Answer, Family), Failure> {
    let symbols = dims::unpinned(graph, dims);
    let open = dims::open(graph, dims);
    let whole = || Family::new(graph, dims, target, options, read).map_err(Error::from);
    let Some(limit) = budget else {
        let family = whole()?;
        let memory = family.memory().map_err(Error::from)?;
        return Ok((Answer { memory, budget, rows: Vec::new(), solved: None, refused: None }, family));
    };
    let solved = match solve {
        Some(name) if symbols.iter().any(|own| own == name) => Some(name),
        Some(name) => {
            let names: Vec<&str> = symbols.iter().map(String::as_str).collect();
            let (name, names) = (inputs::shown(name), inputs::list(&names));
            return Err(Failure::usage(format!(
                "--solve {name}: the dimensions without a value are: {names}"
            )));
        }
        None => open.last().or(symbols.last()).map(String::as_str),
    };
    let Some(solved) = solved else {
        let family = whole()?;
        let memory = family.memory().map_err(Error::from)?;
        let needed = memory.eval(&Bindings::new()).map_err(|e| Failure::new(e.to_string()))?;
        let refused = (needed > limit).then(|| format!("it needs {} bytes", Count(needed)));
        return Ok((Answer { memory, budget, rows: Vec::new(), solved: None, refused }, family));
    };
    let capped = dims::capped(graph, dims, solved, limit)?;
    let Fitted { rows, nothing, memory, family } = within(capped, &symbols, &|dims| {
        let axis = |name: &String| (name.clone(), steps(dims.bounds.get(name)));
        let mut axes: Vec<_> = symbols.iter().filter(|name| *name != solved).map(axis).collect();
        thin(&mut axes);
        let budget = Budget { bytes: limit, free: solved, axes: &axes };
        fit::fit(graph, dims, budget, (target, options), read)
    })?;
    let refused = nothing.map(|why| why.to_string());
    Ok((Answer { memory, budget, rows, solved: Some(solved.to_owned()), refused }, family))
}

/// Leaves out every other value of the longest axis but its ends, until there are not too many combinations.
fn thin(axes: &mut [(String, Vec<i64>)]) {
    let combinations =
        |axes: &[(String, Vec<i64>)]| axes.iter().map(|(_, values)| values.len()).product::<usize>();
    while combinations(axes) > MOST_COMBINATIONS {
        let Some((_, values)) = axes.iter_mut().rev().max_by_key(|(_, values)| values.len()) else { return };
        let last = values.len() - 1;
        let mut at = 0..=last;
        values.retain(|_| at.next().is_some_and(|at| at % 2 == 0 || at == last));
        if last < 2 {
            return;
        }
    }
}

/// Looks for what fits in the largest box that has a plan: upper bounds are halved until the bytes in it are numbers of 64
/// bits, far above what any budget holds.
fn within(
    mut dims: Dims,
    symbols: &[String],
    look: &dyn Fn(&Dims) -> Result<Fitted, CompileError>,
) -> Result<Fitted, Failure> {
    let mut refused = None;
    loop {
        let error = match look(&dims) {
            Ok(fitted) => return Ok(fitted),
            Err(error @ CompileError::Plan(_)) => error,
            Err(error) => return Err(Error::from(error).into()),
        };
        let first = refused.get_or_insert(error);
        let mut smaller = false;
        for name in symbols {
            let Bounds { lower, upper } = dims.bounds.get(name);
            let half = upper.map(|upper| (upper / 2).max(lower.max(1)));
            smaller |= half != upper;
            dims.bounds
                .declare(name, Bounds { lower, upper: half })
                .map_err(|e| Failure::new(e.to_string()))?;
        }
        if !smaller {
            return Err(Error::from(first.clone()).into());
        }
    }
}

/// The graph with dimensions as large as its indices need them, where nothing else says how large they are: what is larger
/// needs more and gives the same.
fn reaching(graph: &Graph, dims: &Dims) -> (Graph, Vec<Reach>) {
    graph.reaching(&|symbol| dims.pinned.get(symbol).is_some())
}

/// The first row of what fits, as a shape: what `run --budget` takes where a dimension has neither a value nor a bound.
///
/// # Errors
/// As [`answer`]; nothing fits.
pub(crate) fn first_row(
    graph: &Graph,
    dims: &Dims,
    budget: u64,
    compile: (&Target, &Options, &ReadConstant<'_>),
) -> Result<(Family, Bindings), Failure> {
    let dims = &settled(graph, dims.clone(), Some(budget))?;
    let (graph, _) = &reaching(graph, dims);
    let (answer, family) = answer(graph, dims, None, Some(budget), compile)?;
    let Some(Fit { row, .. }) = answer.rows.first() else {
        let why = answer.refused.map_or_else(String::new, |why| format!(": {why}"));
        let budget = Bytes(budget);
        return Err(Failure::new(format!(
            "no shape fits {budget}{why}; `bayplan fit` tells what the model needs"
        )));
    };
    let mut shape = Scope::new();
    for (symbol, value) in row.point.iter() {
        shape.declare(symbol, Bounds::exactly(value)).map_err(|e| Failure::new(e.to_string()))?;
    }
    let family = family.within(&shape).map_err(Error::from)?;
    Ok((family, dims::complete(graph, &dims::with(dims, &row.point))))
}

pub(crate) fn fit(options: &FitOptions) -> Outcome {
    let source = Source::open(&options.model, &options.values)?;
    let graph = source.graph();
    let dims = settled(graph, dims::known(graph, &options.model)?, options.budget)?;
    let target = target(&options.model)?;
    let (graph, reaches) = &reaching(graph, &dims);
    let compile = compile_options(&options.model, bayplan::Effort::Normal);
    let read = |range: &ByteRange| source.read(range);
    let (answer, _) =
        answer(graph, &dims, options.solve.as_deref(), options.budget, (&target, &compile, &read))?;
    if options.format.is_json() {
        out::print_json(&fit_json(&graph.name, &target.name, &answer, reaches))?;
    } else {
        out::print(&fit_text((&graph.name, &target.name), &answer, reaches, source.note()))?;
    }
    Ok(ExitCode::from(u8::from(answer.refused.is_some())))
}

/// A model, or its graph alone where its weights are not there: planning does not need them.
enum Source {
    Whole(Model),
    Graph(Graph, String),
}

/// The elements of inputs that decide shapes, where a model asks for some.
fn values_of(path: &Path, words: &[String]) -> Result<Vec<(String, Tensor)>, Failure> {
    let Err(Error::Values { inputs, .. }) = Model::import(path) else { return Ok(Vec::new()) };
    let mut given = Vec::with_capacity(inputs.len());
    for input in inputs {
        if let Some(file) = words.iter().find_map(|word| file_of(word, &input.name)) {
            given.push((input.name, tensor_file::read(&file)?));
        }
    }
    Ok(given)
}

impl Source {
    fn open(options: &ModelOptions, values: &[String]) -> Result<Self, Failure> {
        let (path, weights) = (&*options.model, weights::open(&options.weights)?);
        let given = values_of(path, values)?;
        let given: Vec<(&str, &Tensor)> = given.iter().map(|(name, tensor)| (&**name, tensor)).collect();
        match Model::open_with(path, &given, weights.as_ref()) {
            Ok(model) => Ok(Self::Whole(model)),
            Err(Error::Weights(why)) if weights.is_none() => {
                let graph =
                    Model::import_for(path, &given).map_err(|_| named(path, Error::Weights(why.clone())))?;
                Ok(Self::Graph(graph, why.to_string()))
            }
            Err(e) => Err(named(path, e)),
        }
    }

    fn graph(&self) -> &Graph {
        match self {
            Self::Whole(model) => model.graph(),
            Self::Graph(graph, _) => graph,
        }
    }

    fn read(&self, range: &ByteRange) -> Result<Vec<u8>, String> {
        match self {
            Self::Whole(model) => model.read(range),
            Self::Graph(_, why) => Err(why.clone()),
        }
    }

    /// Why the weights are not there.
    fn note(&self) -> Option<&str> {
        match self {
            Self::Whole(_) => None,
            Self::Graph(_, why) => Some(why),
        }
    }
}

/// The target of the device that was asked for or is best, else the built-in one.
fn target(options: &ModelOptions) -> Result<Target, Failure> {
    let device = device_options(&options.device)?;
    match Device::open(&device) {
        Ok(device) => Ok(device.target().clone()),
        Err(Error::NoDevice(_)) if device == Default::default() => Ok(Target::generic()),
        Err(e) => Err(e.into()),
    }
}

fn fit_json(model: &str, target: &str, answer: &Answer, reaches: &[Reach]) -> Value {
    let follows = |Reach { dim, least, node }: &Reach| json!({ "dim": dim.to_string(), "is": least.to_string(), "node": &**node });
    let Answer { memory, budget, rows, solved, refused } = answer;
    let row = |Fit { row, end }: &Fit| {
        let binds = row.solution.binding.and_then(|binding| {
            let (function, term) = memory.term(binding)?;
            Some(json!({ "function": function.name, "term": term.name, "bytes": binding.bytes }))
        });
        let dims: serde_json::Map<String, Value> =
            row.point.iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        let (end, why) = match end {
            End::Budget => ("budget", None),
            End::Bounds => ("bounds", None),
            End::Refused(why) => ("refused", Some(why)),
            End::GivenUp => ("given up", None),
        };
        let Solution { bytes, next, .. } = row.solution;
        json!({ "dims": dims, "bytes": bytes, "next": next, "binds": binds, "end": end, "why": why })
    };
    let crossing = |(terms, place): ([&str; 2], String)| json!({ "terms": terms, "equal": place });
    json!({
        "version": VERSION,
        "model": model,
        "target": target,
        "budget": budget,
        "memory": memory_value(memory),
        "solved": solved,
        "rows": rows.iter().map(row).collect::<Vec<_>>(),
        "crossings": crossings(memory, rows).into_iter().map(crossing).collect::<Vec<_>>(),
        "follows": reaches.iter().map(follows).collect::<Vec<_>>(),
        "fits": refused.is_none(),
    })
}

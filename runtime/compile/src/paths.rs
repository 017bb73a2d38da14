//! Ifs: a graph with bodies as several graphs without, one for each way through it.
//!
//! ```text
//!   y = …                      ask c ─┬─ true ── run path 0:  y, then body, rest
//!   if c: then body                   └─ false ─ ask d ─┬─ true ── run path 1:  y, else body with …, rest
//!   if not c: else body (if d: …)                       └─ false ─ run path 2
//!   rest
//! ```
//!
//! Every path is compiled as a function of one [`Family`](crate::Family), so bodies that never run together lie over each
//! other in one arena, and what all have in common is in each: nothing is carried from a condition to the run.
//! A condition is decided where that costs least: never, where constants, shapes or bounds say it or an earlier If asked
//! the same; on the host, where it follows from shapes or from inputs of a few elements; else on the device, by a function
//! that computes the condition alone and whose one element is read back.

mod condition;
mod facts;
mod flat;

use std::collections::BTreeMap;

use bayplan_expr::{Bindings, Bounds, Scope};
use bayplan_graph::{Graph, Tensor, ValueId};

use crate::error::CompileError;
use condition::{Condition, Decided};

/// Most ways through one graph. Each is a function with commands and parameters of its own: six Ifs in a row with
/// conditions that have nothing to do with each other.
pub const MAX_PATHS: usize = 64;

/// Most nodes of all functions of one graph together.
const MAX_NODES: usize = 1 << 22;

/// What a function of [`Paths`] is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It computes the model's outputs.
    Run,
    /// It computes one condition, its only output: bool, one element.
    Condition,
}

/// A graph without Ifs.
#[derive(Clone, Debug, PartialEq)]
pub struct PathFunction {
    /// The model's name, and which bodies are taken or which If asks.
    pub name: String,
    /// Inferred. Its inputs and symbols are those that it needs; it keeps all constants, and the interface's names of the
    /// outputs.
    pub graph: Graph,
    /// What it is for.
    pub role: Role,
}

impl PathFunction {
    /// Symbols that have one value wherever this function runs: its nodes need a dimension to be that number, or no other
    /// takes the way to it.
    pub fn pinned(&self) -> Bindings {
        let symbol_and_value = |constraint: &bayplan_graph::Constraint| {
            let (a, b) = (&constraint.a, &constraint.b);
            let pair = a.as_symbol().zip(b.as_const()).or_else(|| b.as_symbol().zip(a.as_const()));
            pair.filter(|_| !constraint.broadcast).map(|(symbol, value)| (symbol.to_string(), value))
        };
        let mut pinned = Bindings::new();
        pinned.extend(self.graph.constraints.iter().filter_map(symbol_and_value));
        let single = |(symbol, bounds): (&str, Bounds)| {
            (bounds.upper == Some(bounds.lower)).then(|| (symbol.to_owned(), bounds.lower))
        };
        pinned.extend(self.graph.symbols.iter().filter_map(single));
        pinned
    }
}

/// What comes next in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Run this function, read the element that it gives, and ask again with it.
    Decide {
        /// Index in [`Paths::functions`].
        function: usize,
    },
    /// Run this function: it gives the outputs.
    Run(usize),
}

/// All ways through a graph.
#[derive(Clone, Debug)]
pub struct Paths {
    functions: Vec<PathFunction>,
    /// The first is the root.
    points: Vec<Point>,
}

/// A point of the tree of decisions.
#[derive(Clone, Debug)]
enum Point {
    Run(usize),
    Ask {
        condition: Condition,
        node: String,
        then: usize,
        other: usize,
    },
    /// A way that no shape within the bounds can take, or that cannot run if one does: why.
    Closed(String),
}

impl Paths {
    /// Finds all ways through a graph; one without Ifs is its only function.
    ///
    /// # Errors
    /// [`CompileError::Paths`]: more than [`MAX_PATHS`] ways, or bodies too large to be written out for each of them; a way
    /// that inputs or data may take, and whose nodes do not accept their operands.
    pub fn new(graph: &Graph) -> Result<Self, CompileError> {
        if !flat::has_ifs(graph) {
            let function =
                PathFunction { name: graph.name.to_string(), graph: graph.clone(), role: Role::Run };
            return Ok(Self { functions: vec![function], points: vec![Point::Run(0)] });
        }
        Search::new(graph).run()
    }

    /// The functions, in an order that depends on the graph alone. The first runs the model.
    pub fn functions(&self) -> &[PathFunction] {
        &self.functions
    }

    /// What comes next: `dims` are the model's, `inputs` those that lie in host memory, `decided` what the functions
    /// asked for so far have given, in that order. It writes nothing and remembers nothing.
    ///
    /// # Errors
    /// [`CompileError::Paths`]: a condition that cannot be evaluated on these inputs, or a way that cannot run at this
    /// shape.
    pub fn next(
        &self,
        dims: &Bindings,
        inputs: &[(&str, &Tensor)],
        decided: &[bool],
    ) -> Result<Step, CompileError> {
        let (mut at, mut decided) = (0, decided.iter());
        // Points come before those that follow from them, so that this ends.
        loop {
            let (condition, node, then, other) = match self.points.get(at) {
                Some(Point::Run(function)) => return Ok(Step::Run(*function)),
                Some(Point::Ask { condition, node, then, other }) => (condition, node, *then, *other),
                Some(Point::Closed(reason)) => return Err(CompileError::Paths(reason.clone())),
                None => return Err(CompileError::Paths("the tree of decisions ends".to_owned())),
            };
            let truth = match condition.decide(dims, inputs, node)? {
                Decided::Host(truth) => truth,
                Decided::Ask(function) => match decided.next() {
                    Some(&truth) => truth,
                    None => return Ok(Step::Decide { function }),
                },
            };
            at = if truth { then } else { other };
        }
    }
}

/// The only way through a graph whose Ifs are decided, with all inputs of the graph.
///
/// # Errors
/// [`CompileError::Branches`]: an If whose condition is not known before a run.
pub(crate) fn only(graph: Graph) -> Result<Graph, CompileError> {
    if !flat::has_ifs(&graph) {
        return Ok(graph);
    }
    let (paths, open) = (Paths::new(&graph)?, |point: &Point| match point {
        Point::Ask { node, .. } => Some(node.clone()),
        Point::Run(_) | Point::Closed(_) => None,
    });
    let nodes: Vec<String> = paths.points.iter().filter_map(open).collect();
    let (Some(PathFunction { graph: mut only, .. }), true) =
        (paths.functions.into_iter().next(), nodes.is_empty())
    else {
        return Err(CompileError::Branches { model: graph.name.to_string(), nodes });
    };
    // Inputs that this way does not need are the model's still.
    let mut inputs = Vec::with_capacity(graph.inputs.len());
    for value in graph.inputs.iter().map(|&id| graph.value(id)) {
        let known = only.inputs.iter().copied().find(|&id| only.value(id).name == value.name);
        inputs.push(known.unwrap_or(ValueId(only.values.len() as u32)));
        if known.is_none() {
            only.values.push(value.clone());
        }
    }
    only.inputs = inputs;
    Ok(only)
}

/// The search for all paths, depth first, the then body before the else body.
struct Search<'a> {
    graph: &'a Graph,
    functions: Vec<PathFunction>,
    points: Vec<Option<Point>>,
    paths: usize,
    nodes: usize,
}

/// A point to be made.
#[derive(Clone)]
struct Open {
    point: usize,
    /// For each If on the way, by its node, which body is taken.
    taken: BTreeMap<usize, bool>,
    /// The conditions asked on the way, without names, with their answers.
    asked: Vec<(Graph, bool)>,
    /// The bounds of symbols on the way.
    symbols: Scope,
    /// Whether only shapes decided so far: then the way may be one that none takes.
    by_shapes: bool,
}

impl<'a> Search<'a> {
    const fn new(graph: &'a Graph) -> Self {
        Self { graph, functions: Vec::new(), points: Vec::new(), paths: 0, nodes: 0 }
    }

    fn run(mut self) -> Result<Paths, CompileError> {
        self.points.push(None);
        let (taken, asked, symbols) = (BTreeMap::new(), Vec::new(), self.graph.symbols.clone());
        let mut open = vec![Open { point: 0, taken, asked, symbols, by_shapes: true }];
        while let Some(next) = open.pop() {
            let at = next.point;
            let by_shapes = next.by_shapes;
            let point = match self.point(next, &mut open) {
                Ok(point) => point,
                Err(CompileError::Bind(reason)) if by_shapes => Point::Closed(reason),
                Err(e) => return Err(e),
            };
            self.points[at] = Some(point);
        }
        // Functions that run come first: the model is function 0.
        let points: Vec<Point> = self.points.into_iter().flatten().collect();
        let mut paths = Paths { functions: self.functions, points };
        paths.runs_first();
        if paths.functions.first().is_some_and(|first| first.role == Role::Run) {
            return Ok(paths);
        }
        let reason = paths.points.into_iter().find_map(|point| match point {
            Point::Closed(reason) => Some(reason),
            _ => None,
        });
        Err(CompileError::Bind(reason.unwrap_or_else(|| "no way through the model's Ifs can run".into())))
    }

    fn point(&mut self, mut from: Open, open: &mut Vec<Open>) -> Result<Point, CompileError> {
        while let Some(branch) = flat::undecided(self.graph, &from.taken) {
            if !flat::is_needed(self.graph, &from.taken, branch) {
                from.taken.insert(branch, false);
                continue;
            }
            let asked = flat::condition(self.graph, &from.symbols, &from.taken, branch)?;
            let nameless = flat::nameless(&asked);
            let before = from.asked.iter().find(|(other, _)| *other == nameless).map(|(_, truth)| *truth);
            let Some(truth) = condition::known(&asked).or(before) else {
                return self.ask(&from, open, branch, asked, &nameless);
            };
            from.taken.insert(branch, truth);
        }
        self.paths += 1;
        if self.paths > MAX_PATHS {
            return Err(CompileError::Paths(format!(
                "there are more than {MAX_PATHS} ways through the model's Ifs, which is the limit; make conditions constant, \
                 or let Ifs share them"
            )));
        }
        let way: Vec<String> = from
            .taken
            .iter()
            .filter_map(|(&node, &truth)| Some((self.graph.nodes.get(node)?, truth)))
            .map(|(node, truth)| format!("{}={truth}", node.name))
            .collect();
        let path = flat::path(self.graph, &from.symbols, &from.taken)?;
        self.function(&way.join(" "), path, Role::Run).map(Point::Run)
    }

    /// The point at which an If asks, with the two that follow from it.
    fn ask(
        &mut self,
        from: &Open,
        open: &mut Vec<Open>,
        branch: usize,
        asked: Graph,
        nameless: &Graph,
    ) -> Result<Point, CompileError> {
        let node = self.graph.nodes[branch].name.to_string();
        let on_host = Condition::on_host(&asked);
        let shapes = matches!(on_host, Some(Condition::Shapes(_)));
        let [then, other] = [self.points.len(), self.points.len() + 1];
        self.points.extend([None, None]);
        for (point, truth) in [(other, false), (then, true)] {
            let mut next = Open { point, by_shapes: from.by_shapes && shapes, ..from.clone() };
            next.taken.insert(branch, truth);
            next.asked.push((nameless.clone(), truth));
            match facts::narrow(&mut next.symbols, &asked, truth) {
                Ok(()) => open.push(next),
                Err(e) => self.points[point] = Some(Point::Closed(e.to_string())),
            }
        }
        let condition = match on_host {
            Some(condition) => condition,
            None => Condition::Device(self.function(&format!("{node}?"), asked, Role::Condition)?),
        };
        Ok(Point::Ask { condition, node, then, other })
    }

    fn function(&mut self, way: &str, graph: Graph, role: Role) -> Result<usize, CompileError> {
        self.nodes += graph.nodes.len();
        if self.nodes > MAX_NODES {
            return Err(CompileError::Paths(format!(
                "written out for each way through its Ifs the model has more than {MAX_NODES} nodes, which is the limit"
            )));
        }
        let name =
            if way.is_empty() { self.graph.name.to_string() } else { format!("{} {way}", self.graph.name) };
        self.functions.push(PathFunction { name, graph, role });
        Ok(self.functions.len() - 1)
    }
}

impl Paths {
    /// Orders the functions: those that run the model before those that decide.
    fn runs_first(&mut self) {
        let mut order: Vec<usize> = (0..self.functions.len()).collect();
        order.sort_by_key(|&index| self.functions[index].role == Role::Condition);
        let mut place = vec![0; order.len()];
        for (new, &old) in order.iter().enumerate() {
            place[old] = new;
        }
        for point in &mut self.points {
            match point {
                Point::Run(function) | Point::Ask { condition: Condition::Device(function), .. } => {
                    *function = place[*function];
                }
                Point::Ask { .. } | Point::Closed(_) => {}
            }
        }
        let mut functions: Vec<Option<PathFunction>> = self.functions.drain(..).map(Some).collect();
        self.functions = order.into_iter().filter_map(|index| functions[index].take()).collect();
    }
}

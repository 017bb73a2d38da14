//! Operations that do the same work on other tensors: layers repeat, and what they repeat has one kernel, one set of
//! parameters and one grid, whatever the shape.

use std::cell::RefCell;
use std::collections::HashMap;

use bayplan_shaders::{Convert, Number, Refusal, Spec};

use crate::lowered::Lowered;
use crate::point::Point;
use crate::size::Size;

/// Operations by the work they do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Alike {
    /// For each operation the number of its work.
    work: Vec<u32>,
    /// For each work the first operation that does it.
    first: Vec<usize>,
}

impl Alike {
    /// Finds operations whose specs are equal for all shapes.
    pub(crate) fn new(lowered: &Lowered) -> Self {
        let mut alike = Self::default();
        let mut known: HashMap<Vec<Identity>, Vec<(Spec<Identity>, u32)>> = HashMap::new();
        for (index, operation) in lowered.operations.iter().enumerate() {
            let numbers = Identify(RefCell::default());
            let spec = operation.spec.map(&numbers);
            let same = known.entry(numbers.0.into_inner()).or_default();
            let work = same.iter().find(|(other, _)| *other == spec).map(|&(_, work)| work);
            alike.work.push(work.unwrap_or_else(|| {
                let new = alike.first.len() as u32;
                alike.first.push(index);
                same.push((spec, new));
                new
            }));
        }
        alike
    }

    /// The number of an operation's work.
    pub(crate) fn work(&self, operation: usize) -> usize {
        self.work[operation] as usize
    }

    /// For each work the first operation that does it.
    pub(crate) fn first(&self) -> &[usize] {
        &self.first
    }

    /// Each work at a point.
    pub(crate) fn specs(&self, lowered: &Lowered, at: &impl Point) -> Vec<Spec> {
        self.first.iter().map(|&operation| lowered.operations[operation].spec.map(at)).collect()
    }

    /// What is made of each work; else what keeps which operations from it, of all of them.
    pub(crate) fn launches<T>(
        &self,
        specs: &[Spec],
        launch: impl Fn(&Spec) -> Result<T, Refusal>,
    ) -> Result<Vec<T>, Vec<(usize, Refusal)>> {
        let made: Vec<Result<T, Refusal>> = specs.iter().map(launch).collect();
        let why = |operation: usize| made[self.work(operation)].as_ref().err().cloned();
        let refused: Vec<(usize, Refusal)> = (0..self.work.len())
            .filter_map(|operation| why(operation).map(|refusal| (operation, refusal)))
            .collect();
        if refused.is_empty() { Ok(made.into_iter().flatten().collect()) } else { Err(refused) }
    }
}

/// A size by its expression: equal ones are equal for all shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Identity(i64, u32);

impl Number for Identity {
    type Signed = Self;
}

/// Notes every number of a spec.
struct Identify(RefCell<Vec<Identity>>);

impl Convert<Size> for Identify {
    type To = Identity;

    fn size(&self, size: &Size) -> Identity {
        let (value, expr) = size.key();
        let identity = Identity(value, expr);
        self.0.borrow_mut().push(identity);
        identity
    }

    fn stride(&self, stride: &Size) -> Identity {
        self.size(stride)
    }
}

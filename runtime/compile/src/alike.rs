//! Operations that do the same work on other tensors: layers repeat, and what they repeat has one kernel, one set of
//! parameters and one grid, whatever the shape.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use bayplan_shaders::{Convert, Kernel, Number, Numbers, Refusal, Spec, Taped, Target, Variant};

use crate::lowered::Lowered;
use crate::point::Point;
use crate::size::{Here, Size, Values};

/// Kernels of one work that are kept, the latest used first.
const MAX_VARIANTS: usize = 32;

/// Operations by the work they do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Alike {
    /// For each operation the number of its work.
    work: Vec<u32>,
    /// For each work the first operation that does it.
    first: Vec<usize>,
    /// Its spec, where that is the same for all shapes.
    fixed: Vec<Option<Arc<Spec>>>,
    known: Arc<Mutex<Known>>,
}

/// The kernels written so far, for all shapes.
#[derive(Debug, Default)]
struct Known {
    variants: Vec<Vec<Arc<Variant>>>,
    /// Each text once.
    kernels: HashSet<Arc<Kernel>>,
}

/// How each work is launched at a shape.
pub(crate) struct Launches {
    pub(crate) of_work: Vec<Launch>,
    /// Parameters of all of them.
    pub(crate) params: Vec<u32>,
}

/// How a work is launched.
pub(crate) struct Launch {
    /// Where two texts are equal they are one.
    pub(crate) kernel: Arc<Kernel>,
    pub(crate) numbers: Numbers,
}

impl Alike {
    /// Finds operations whose specs are equal for all shapes.
    pub(crate) fn new(lowered: &Lowered) -> Self {
        let mut alike = Self::default();
        let mut known: HashMap<Vec<Identity>, Vec<(Spec<Identity>, u32)>> = HashMap::new();
        for (index, operation) in lowered.operations.iter().enumerate() {
            let numbers = Identify(RefCell::default());
            let spec = operation.spec.map(&numbers);
            let numbers = numbers.0.into_inner();
            let fixed = numbers.iter().all(|number| number.1 == 0);
            let same = known.entry(numbers).or_default();
            let work = same.iter().find(|(other, _)| *other == spec).map(|&(_, work)| work);
            alike.work.push(work.unwrap_or_else(|| {
                let new = alike.first.len() as u32;
                alike.first.push(index);
                alike.fixed.push(fixed.then(|| Arc::new(operation.spec.map(&Here))));
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
    pub(crate) fn specs(&self, lowered: &Lowered, at: &Values) -> Vec<Arc<Spec>> {
        let spec = |(&operation, fixed): (&usize, &Option<Arc<Spec>>)| {
            fixed.clone().unwrap_or_else(|| Arc::new(lowered.operations[operation].spec.map(at)))
        };
        self.first.iter().zip(&self.fixed).map(spec).collect()
    }

    /// Whether each work has anything to write at a point.
    pub(crate) fn any(&self, lowered: &Lowered, at: &Values) -> Vec<bool> {
        self.first.iter().map(|&operation| at.work(&lowered.operations[operation]).1).collect()
    }

    /// How each work is launched; else what keeps which operations from it, of all of them.
    pub(crate) fn launches(
        &self,
        lowered: &Lowered,
        at: &Values,
        target: &Target,
    ) -> Result<Launches, Vec<(usize, Refusal)>> {
        let (mut params, mut room) = (Vec::new(), Vec::new());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.variants.resize_with(self.first.len(), Vec::new);
        let launch = |(work, &operation): (usize, &usize)| {
            known.launch(work, &lowered.operations[operation].spec, at, target, &mut params, &mut room)
        };
        let made: Vec<Result<Launch, Refusal>> = self.first.iter().enumerate().map(launch).collect();
        let why = |operation: usize| made[self.work(operation)].as_ref().err().cloned();
        let refused: Vec<(usize, Refusal)> = (0..self.work.len())
            .filter_map(|operation| why(operation).map(|refusal| (operation, refusal)))
            .collect();
        if refused.is_empty() {
            Ok(Launches { of_work: made.into_iter().flatten().collect(), params })
        } else {
            Err(refused)
        }
    }
}

impl Known {
    /// A work at a point: with a kernel that is known, or with one that is written now.
    fn launch(
        &mut self,
        work: usize,
        spec: &Spec<Size>,
        at: &Values,
        target: &Target,
        params: &mut Vec<u32>,
        room: &mut Vec<i64>,
    ) -> Result<Launch, Refusal> {
        let list = &mut self.variants[work];
        let mut fits = |variant: &Variant| variant.at(|key| at.keyed(key), params, room);
        let found = list.iter().enumerate().find_map(|(place, variant)| Some((place, fits(variant)?)));
        if let Some((place, numbers)) = found {
            list[..=place].rotate_right(1);
            return Ok(Launch { kernel: list[0].kernel.clone(), numbers });
        }
        let mut variant = Variant::record(spec, &OnTape(at), target)?;
        match self.kernels.get(&variant.kernel) {
            Some(same) => variant.kernel = same.clone(),
            None => _ = self.kernels.insert(variant.kernel.clone()),
        }
        let unserved = || Refusal {
            what: variant.kernel.name.clone(),
            reason: "its tape does not give it again".into(),
        };
        let numbers = variant.at(|key| at.keyed(key), params, room).ok_or_else(unserved)?;
        let kernel = variant.kernel.clone();
        list.truncate(MAX_VARIANTS - 1);
        list.insert(0, Arc::new(variant));
        Ok(Launch { kernel, numbers })
    }
}

/// Sizes at a point as numbers on a tape, which has those that depend on symbols by their keys.
struct OnTape<'a>(&'a Values);

impl Convert<Size> for OnTape<'_> {
    type To = Taped;

    fn size(&self, size: &Size) -> Taped {
        let value = i64::try_from(self.0.of(*size)).unwrap_or(i64::MAX);
        Values::key(*size, false).map_or(Taped::constant(value), |key| Taped::given(key, value))
    }

    fn stride(&self, stride: &Size) -> Taped {
        let value = self.0.signed(*stride);
        Values::key(*stride, true).map_or(Taped::constant(value), |key| Taped::given(key, value))
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

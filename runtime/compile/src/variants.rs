//! The kernels of a cell: all that its shapes may choose.
//!
//! What the kernel table looks at in a piece of work is little: whether numbers are small or multiples of 4, which neighbouring
//! dimensions step evenly (they become one), how many rows a product has and what divides its depth. Two shapes that agree
//! in that have the same kernels, so that it is enough to make one launch for each way in which shapes of the box can
//! agree. These ways are found on a grid over the symbols that a piece of work depends on:
//!
//! ```text
//!  past ^  . . . .  .   .        values at which something of that may change: all up to 9, those around powers
//!       |  : : : :  :   :        of two, both ends; sums and products of symbols meet their thresholds there
//!       |  : : : :  :   :
//!       +--:-:-:-:--:---:--> seq
//! ```

use std::collections::{BTreeSet, HashMap, HashSet};

use bayplan_expr::{Bindings, Bounds, Scope};
use bayplan_shaders::{Chain, Kernel, Spec, Target, launch};

use crate::alike::Alike;
use crate::lowered::Lowered;
use crate::point::Point;
use crate::size::{Formulas, Size, Values};

/// Most points of the grid over the symbols of one piece of work.
const MOST: usize = 1 << 15;

/// Numbers from which on their magnitude counts: loops get longer than some drivers let them be.
const LONG: i64 = 1 << 12;

/// The pieces of work that depend on symbols, with what decides their kernels.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variants {
    works: Vec<Work>,
}

#[derive(Clone, Debug)]
struct Work {
    /// An operation that does it.
    operation: usize,
    symbols: BTreeSet<String>,
    /// Its numbers that depend on symbols.
    sizes: Vec<Size>,
    /// Strides of two dimensions and the size of the inner one: they are one dimension where the product of the last two is
    /// the first.
    even: Vec<[Size; 3]>,
    product: Option<Product>,
}

/// What decides how a product is cut into blocks. A convolution is one for each of its groups.
#[derive(Clone, Debug)]
struct Product {
    /// Rows, of all groups together.
    rows: Size,
    /// Factors of the depth, of all groups together.
    depth: Vec<Size>,
    groups: Option<Size>,
}

impl Variants {
    /// Of the operations of a compile, while its symbols are entered.
    pub(crate) fn new(lowered: &Lowered, alike: &Alike) -> Self {
        let work = |operation: usize| {
            let spec = &lowered.operations[operation].spec;
            let sizes = crate::size::numbers(spec);
            let sizes: Vec<Size> = sizes.into_iter().filter(|size| size.known().is_none()).collect();
            let mut known = HashSet::new();
            let sizes: Vec<Size> = sizes.into_iter().filter(|size| known.insert(size.key())).collect();
            let symbols = sizes
                .iter()
                .flat_map(|size| size.expr().symbols().into_iter().map(str::to_owned).collect::<Vec<_>>());
            let product = match spec {
                Spec::MatMul(spec) => Some(Product { rows: spec.m, depth: vec![spec.k], groups: None }),
                Spec::Conv(spec) => Some(Product {
                    rows: spec.filters,
                    depth: vec![spec.channels, spec.kernel[0], spec.kernel[1]],
                    groups: Some(spec.groups),
                }),
                _ => None,
            };
            Work { operation, symbols: symbols.collect(), even: even(spec), product, sizes }
        };
        let works = alike.first().iter().map(|&operation| work(operation));
        Self { works: works.filter(|work| !work.sizes.is_empty()).collect() }
    }

    /// The kernels of all shapes within the box at which the guards of `formulas` hold and `admits` allows; where a piece of
    /// work has no symbol in `point`'s place, its value there counts.
    pub(crate) fn kernels(
        &self,
        (lowered, formulas): (&Lowered, &Formulas),
        (scope, point): (&Scope, &Bindings),
        target: &Target,
        admits: &dyn Fn(&Bindings) -> bool,
    ) -> Vec<Kernel> {
        let mut grids: HashMap<&BTreeSet<String>, Vec<(Bindings, Values)>> = HashMap::new();
        let (mut seen, mut kernels) = (HashSet::new(), Vec::new());
        for work in &self.works {
            let at = |point: Bindings| Some((point.clone(), formulas.at(&point).ok()??));
            let grid = grids
                .entry(&work.symbols)
                .or_insert_with(|| grid(scope, &work.symbols, point).into_iter().filter_map(at).collect());
            let (mut ways, mut way) = (HashSet::new(), Vec::new());
            for (point, values) in &*grid {
                work.way(values, &mut way);
                if ways.contains(way.as_slice()) || !admits(point) {
                    continue;
                }
                ways.insert(way.clone());
                let (spec, any) = values.work(&lowered.operations[work.operation]);
                // What cannot be launched has no kernel: running that shape says why.
                let Some(launch) = any.then(|| launch(&spec, target).ok()).flatten() else { continue };
                if seen.insert(launch.kernel.clone()) {
                    kernels.push(launch.kernel);
                }
            }
        }
        kernels
    }
}

impl Work {
    /// What the kernel table sees of its numbers at a point.
    fn way(&self, values: &Values, way: &mut Vec<u8>) {
        let of = |size: &Size| values.signed(*size);
        way.clear();
        way.extend(self.sizes.iter().map(|size| class(of(size))));
        way.extend(self.even.iter().map(|[outer, inner, size]| {
            u8::from(i128::from(of(outer)) == i128::from(of(inner)) * i128::from(of(size)))
        }));
        if let Some(product) = &self.product {
            let groups = product.groups.as_ref().map_or(1, |size| of(size).max(1));
            let rows = of(&product.rows) / groups;
            let depth =
                product.depth.iter().fold(1, |depth: i64, size| depth.wrapping_mul(of(size))) / groups;
            // Blocks have 1, 2, 4, 8, 16 or 32 rows, and whole ones of fewer rows take more of the depth at a time. A group of
            // few filters is no product at all.
            let block = if rows > 32 { 64 } else { rows.clamp(1, 32).cast_unsigned().next_power_of_two() };
            way.extend([block as u8, rows.clamp(0, 8) as u8, depth.trailing_zeros().min(7) as u8]);
        }
    }
}

/// What counts of a number: itself up to 4, as strides of 0 and 1 stand in no text, be they counted in elements, words or
/// `vec4`s; of others the remainder by 4 and, of large ones, the magnitude.
fn class(value: i64) -> u8 {
    let rest = value.rem_euclid(4) as u8;
    match value {
        0..=4 => value as u8,
        _ if value.abs() < LONG => 5 + rest,
        _ => 9 + 4 * (value.unsigned_abs().ilog2() % 56) as u8 + rest,
    }
}

/// The pairs of dimensions of a spec that may become one, of each tensor that steps through them.
fn even(spec: &Spec<Size>) -> Vec<[Size; 3]> {
    let mut found = Vec::new();
    let mut add = |shape: &[Size], strides: &[Size]| {
        for (inner, &size) in shape.iter().enumerate() {
            let Some(&step) = strides.get(inner) else { continue };
            for &outer in strides.iter().take(inner) {
                if [outer, step, size].iter().any(|number| number.known().is_none()) {
                    found.push([outer, step, size]);
                }
            }
        }
    };
    let mut chain = |shape: &[Size], chain: &Chain<Size>| {
        chain.operands.iter().for_each(|operand| add(shape, &operand.strides));
        if let Some(layout) = &chain.layout {
            add(&layout.shape, &layout.strides);
        }
    };
    match spec {
        Spec::Elementwise(s) => chain(&s.shape, &s.chain),
        Spec::MatMul(s) => {
            chain(&[&s.batch[..], &[s.m, s.n]].concat(), &s.epilogue);
            add(&[&s.batch[..], &[s.m, s.k]].concat(), &s.a_strides);
            add(&[&s.batch[..], &[s.k, s.n]].concat(), &s.b_strides);
        }
        Spec::BlockMatMul(s) => {
            chain(&[s.m, s.n], &s.epilogue);
            add(&[s.m, s.k], &s.a_strides);
        }
        Spec::Conv(s) => chain(&[s.batch, s.filters, s.output[0], s.output[1]], &s.epilogue),
        Spec::Reduce(s) => chain(&[s.outer, s.inner], &s.epilogue),
        Spec::Normalize(s) => chain(&[s.rows, s.len], &s.epilogue),
        Spec::Copy(s) => {
            add(&s.shape, &s.x_strides);
            add(&s.shape, &s.out_strides);
        }
        Spec::Pool(_) | Spec::Softmax(_) | Spec::Gather(_) | Spec::GatherNd(_) | Spec::Range(_) => {}
        Spec::Scatter(_)
        | Spec::Cumulate(_)
        | Spec::Rank(_)
        | Spec::Unpack(_)
        | Spec::BlockGather(_)
        | Spec::Host(_) => {}
    }
    found
}

/// Values of a symbol at which what counts may change, for a grid over so many symbols.
fn values(bounds: Bounds, own: i64, tier: usize) -> BTreeSet<i64> {
    let low = bounds.lower;
    let high = bounds.upper.unwrap_or(own.max(low));
    let ends =
        [low, low.saturating_add(1), high.saturating_sub(3), high.saturating_sub(2), high - 1, high, own];
    let around = |powers: &[i64]| {
        powers.iter().flat_map(|power| [-2, -1, 0, 1].map(|by| power + by)).collect::<Vec<i64>>()
    };
    let inner: Vec<i64> = match tier {
        0 => (0..10).chain(around(&[16, 32, 64, 128, 256])).collect::<Vec<i64>>(),
        1 => (0..10).chain([14, 15, 16, 30, 31, 32, 33, 62, 63, 126, 127]).collect(),
        2 => vec![0, 1, 2, 3, 4, 5, 7, 8, 15, 31, 32],
        _ => vec![1, 2, 3, 4],
    };
    ends.into_iter().chain(inner).filter(|&value| bounds.contains(value)).collect()
}

/// Points over these symbols, those of the others as they are.
fn grid(scope: &Scope, symbols: &BTreeSet<String>, point: &Bindings) -> Vec<Bindings> {
    let list = |tier: usize| -> Vec<(&str, BTreeSet<i64>)> {
        let own = scope.iter().filter(|(symbol, _)| symbols.contains(*symbol));
        own.map(|(symbol, bounds)| (symbol, values(bounds, point.get(symbol).unwrap_or(0), tier))).collect()
    };
    let count = |list: &Vec<(&str, BTreeSet<i64>)>| {
        list.iter().map(|(_, values)| values.len()).fold(1, usize::saturating_mul)
    };
    let all = (0..3).map(list).find(|list| count(list) <= MOST).unwrap_or_else(|| list(3));
    let mut points = vec![point.clone()];
    for (symbol, values) in all {
        // Beyond the limit symbols are scanned one by one.
        let base = if points.len().saturating_mul(values.len()) > MOST { 1 } else { points.len() };
        let more: Vec<Bindings> = points[..base]
            .iter()
            .flat_map(|point| values.iter().map(|&value| point.clone().with(symbol, value)))
            .collect();
        if base < points.len() { points.extend(more) } else { points = more }
    }
    points
}

//! What a message suggests where names do not fit.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bayplan_graph::Graph;

use crate::rules::Rules;
use crate::unfit::{LeftOver, Unfit};
use crate::{Entry, Named};

/// Weights that a like name is looked for, and names that are compared with each.
const WEIGHTS: usize = 20;
const NAMES: usize = 1000;

/// Bytes of names that are compared.
const LENGTH: usize = 256;

/// Beginnings that are tried.
const BEGINNINGS: usize = 16;

/// How much alike two names must be, from 0 to 1.
const ALIKE: f64 = 0.4;

/// Says what could be meant.
pub(super) fn suggest(unfit: &mut Unfit, graph: &Graph, named: &Named, rules: &Rules) {
    if rules.is_empty() {
        let weights: HashSet<&str> =
            graph.initializers.iter().map(|own| &*graph.value(own.value).name).collect();
        unfit.rules = prefix(unfit, &weights);
    }
    if unfit.rules.is_some() {
        return;
    }
    let left: HashMap<&str, &LeftOver> = unfit.left_over.iter().map(|own| (&*own.name, own)).collect();
    let entries: Vec<(&str, &Entry)> =
        named.entries().iter().filter_map(|entry| Some((left.get(&*entry.name)?.wanted(), entry))).collect();
    for missing in unfit.missing.iter_mut().take(WEIGHTS) {
        missing.nearest = nearest(&missing.name, missing.ty.dims().as_deref(), &entries);
    }
}

/// The rule that fits every name, where all differ by the same beginning.
fn prefix(unfit: &Unfit, weights: &HashSet<&str>) -> Option<String> {
    let first = &*unfit.left_over.first()?.name;
    let missing: HashSet<&str> = unfit.missing.iter().map(|own| &*own.name).collect();
    // Whether every tensor that is left over gets a weight by it, and every weight one.
    let fits = |map: &dyn Fn(&'_ str) -> Option<String>| {
        let names: Option<HashSet<String>> = unfit.left_over.iter().map(|own| map(&own.name)).collect();
        names.is_some_and(|names| {
            names.iter().all(|name| weights.contains(&**name))
                && missing.iter().all(|&name| names.contains(name))
        })
    };
    let mut shorter: Vec<&str> = weights
        .iter()
        .filter_map(|weight| first.strip_suffix(weight))
        .filter(|start| !start.is_empty())
        .collect();
    let mut longer: Vec<&str> = weights
        .iter()
        .filter_map(|weight| weight.strip_suffix(first))
        .filter(|start| !start.is_empty())
        .collect();
    shorter.sort_unstable();
    longer.sort_unstable();
    for start in shorter.into_iter().take(BEGINNINGS) {
        if fits(&|name| name.strip_prefix(start).map(str::to_owned)) {
            return Some(format!("{}(.*) => $1", regex::escape(start)));
        }
    }
    for start in longer.into_iter().take(BEGINNINGS) {
        if fits(&|name| Some(format!("{start}{name}"))) {
            return Some(format!("(.*) => {}${{1}}", start.replace('$', "$$")));
        }
    }
    None
}

/// The name most like another, as rules have it, of tensors of the same size where there are such.
fn nearest(name: &str, shape: Option<&[u64]>, entries: &[(&str, &Entry)]) -> Option<Arc<str>> {
    let elements = |shape: &[u64]| shape.iter().try_fold(1_u64, |count, &dim| count.checked_mul(dim));
    let wanted = shape.and_then(elements);
    let short = || entries.iter().filter(|(own, _)| own.len().max(name.len()) <= LENGTH);
    let fit: Vec<_> = short().filter(|(_, entry)| elements(&entry.shape) == wanted).take(NAMES).collect();
    let compared = if fit.is_empty() { short().take(NAMES).collect() } else { fit };
    let alike = compared.into_iter().map(|(own, entry)| (strsim::normalized_levenshtein(name, own), entry));
    let best = alike.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|best| best.0 >= ALIKE);
    best.map(|(_, entry)| entry.name.clone())
}

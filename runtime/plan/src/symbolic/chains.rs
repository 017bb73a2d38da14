//! Heights of chains as sums of size classes.
//!
//! A chain is a sequence of buffers each of which rests on the one before; the top of its last buffer is a sum of
//! sizes, each rounded up to the alignment of what stands on it:
//!
//! ```text
//!    +---------+
//!    |    c    |      top of c = ⌈a / 256⌉·256 + ⌈b / 256⌉·256 + c
//!    +---+-----+--+                         ^ where all are aligned to 256
//!        |   b    |
//!    +---+---+----+   Many chains are the same sum: a network of equal layers has few different sizes.
//!    |   a   |
//!    +-------+
//! ```
//!
//! Where something with a larger alignment stands on a chain, the sum so far is rounded as a whole and becomes a class
//! by itself: rounding is monotone, so the maximum over chains commutes with it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bayplan_expr::Expr;

use super::replay::{Replay, Step};

/// How often each class occurs: sorted by class, no count zero.
pub(super) type Sum = Vec<(u32, i64)>;

/// The expressions that sums are made of.
pub(super) struct Classes<'a> {
    sizes: &'a [Expr],
    pub(super) exprs: Vec<Expr>,
    rounded: BTreeMap<(u32, u64), Option<u32>>,
    wrapped: BTreeMap<(Sum, u64), Sum>,
    /// Classes that are a sum rounded as a whole: the sum, of older classes, and the alignment.
    plain: BTreeMap<u32, (Sum, u64)>,
}

impl<'a> Classes<'a> {
    pub(super) fn new(sizes: &'a [Expr]) -> Self {
        let (rounded, wrapped, plain) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { sizes, exprs: Vec::new(), rounded, wrapped, plain }
    }

    /// The class of an expression; none of zero.
    fn class(&mut self, e: Expr) -> Option<u32> {
        if e.as_const() == Some(0) {
            return None;
        }
        let known = self.exprs.iter().position(|other| *other == e);
        Some(known.unwrap_or_else(|| {
            self.exprs.push(e);
            self.exprs.len() - 1
        }) as u32)
    }

    /// The class of a size rounded up to an alignment.
    pub(super) fn rounded(&mut self, size: u32, align: u64) -> Option<u32> {
        if let Some(&class) = self.rounded.get(&(size, align)) {
            return class;
        }
        let class = self.class(self.sizes[size as usize].align_up(align));
        self.rounded.insert((size, align), class);
        class
    }

    /// The offset of `above` on `below`, whose offset is known.
    pub(super) fn offset_on(&mut self, offset: &Sum, below: &Step, above: &Step) -> Sum {
        if above.align() <= below.align() || offset.is_empty() {
            return plus(offset, self.rounded(below.size, above.align()));
        }
        let top = self.top(offset, below);
        let key = (top, above.align());
        if let Some(sum) = self.wrapped.get(&key) {
            return sum.clone();
        }
        let plain = self.expr(&key.0);
        let rounded = plain.align_up(key.1);
        let sum = if rounded == plain { key.0.clone() } else { self.whole(rounded, &key) };
        self.wrapped.insert(key, sum.clone());
        sum
    }

    /// A sum rounded as a whole, as a sum of one class.
    fn whole(&mut self, rounded: Expr, plain: &(Sum, u64)) -> Sum {
        let known = self.exprs.len();
        let class = self.class(rounded);
        if let Some(class) = class.filter(|&class| class as usize == known) {
            self.plain.insert(class, plain.clone());
        }
        plus(&Sum::new(), class)
    }

    /// An expression that is nowhere above a sum and says the same without the roundings of whole sums; `None` if it
    /// has none. What is rounded up to a multiple of `align` is at least itself and at most `align` - 1 more.
    pub(super) fn without_rounding(&self, sum: &Sum) -> Option<Expr> {
        let mut counts: BTreeMap<u32, i64> = sum.iter().copied().collect();
        let (mut constant, mut any) = (0i64, false);
        // Each is made of older classes only, so what is put in is looked at later.
        for (class, (plain, align)) in self.plain.iter().rev() {
            let Some(count) = counts.remove(class) else { continue };
            any = true;
            if count < 0 {
                let padding = i64::try_from(align - 1).ok()?;
                constant = constant.checked_add(count.checked_mul(padding)?)?;
            }
            for &(class, times) in plain {
                let sum = counts.entry(class).or_default();
                *sum = sum.checked_add(count.checked_mul(times)?)?;
            }
        }
        let counts = counts.into_iter().filter(|&(_, count)| count != 0);
        any.then(|| self.expr(&counts.collect()) + constant)
    }

    /// The top of a buffer whose offset is known.
    pub(super) fn top(&mut self, offset: &Sum, step: &Step) -> Sum {
        plus(offset, self.rounded(step.size, 1))
    }

    /// The top of a chain, given from the ground up.
    pub(super) fn chain(&mut self, replay: &Replay, chain: &[u32]) -> Sum {
        let mut offset = Sum::new();
        for pair in chain.windows(2) {
            let [below, above] = [pair[0], pair[1]].map(|at| replay.steps[at as usize]);
            offset = self.offset_on(&offset, &below, &above);
        }
        chain.last().map_or(Sum::new(), |&last| self.top(&offset, &replay.steps[last as usize]))
    }

    /// The sum as an expression.
    pub(super) fn expr(&self, sum: &Sum) -> Expr {
        sum.iter().map(|&(class, count)| &self.exprs[class as usize] * count).sum()
    }
}

/// The sum with one class more.
fn plus(sum: &Sum, class: Option<u32>) -> Sum {
    let mut sum = sum.clone();
    if let Some(class) = class {
        match sum.binary_search_by_key(&class, |&(class, _)| class) {
            Ok(at) => sum[at].1 += 1,
            Err(at) => sum.insert(at, (class, 1)),
        }
    }
    sum
}

/// `a` − `b`.
pub(super) fn difference(a: &Sum, b: &Sum) -> Sum {
    let (mut result, mut left, mut right) = (Sum::new(), a.iter().peekable(), b.iter().peekable());
    loop {
        let (class, count) = match (left.peek(), right.peek()) {
            (None, None) => return result,
            (Some(&&x), None) => x,
            (None, Some(&&(class, count))) => (class, -count),
            (Some(&&x), Some(&&y)) if x.0 < y.0 => x,
            (Some(&&x), Some(&&y)) if x.0 > y.0 => (y.0, -y.1),
            (Some(&&x), Some(&&y)) => (x.0, x.1 - y.1),
        };
        left.next_if(|&&(other, _)| other == class);
        right.next_if(|&&(other, _)| other == class);
        if count != 0 {
            result.push((class, count));
        }
    }
}

//! What a search keeps of a plan.

use std::cmp::Reverse;

use bayplan_trace::{Alarm, BufferRecord, OpRecord, PlanState};

use super::super::index::PlanIndex;
use super::super::task::{PORTION, Task};
use super::parse::{Expr, Figure, Term};

/// How many terms a search has: each looks at every tensor.
pub(super) fn terms(expr: &Expr) -> u64 {
    match expr {
        Expr::All(parts) | Expr::Any(parts) => parts.iter().map(terms).sum(),
        Expr::Not(part) => terms(part),
        Expr::Term(_) => 1,
    }
}

/// Whether each buffer of a plan is kept; `None` where nobody waits for it any more.
pub(super) fn kept(expr: &Expr, plan: &PlanState, index: &PlanIndex, task: &Task) -> Option<Vec<bool>> {
    Some(match expr {
        Expr::All(parts) => all(parts, plan, index, task)?,
        Expr::Any(parts) => {
            let mut any = vec![false; plan.record.buffers.len()];
            for part in parts {
                let kept = kept(part, plan, index, task)?;
                any.iter_mut().zip(kept).for_each(|(any, kept)| *any |= kept);
            }
            any
        }
        Expr::Not(part) => kept(part, plan, index, task)?.into_iter().map(|kept| !kept).collect(),
        Expr::Term(Term::Top(_)) => all(std::slice::from_ref(expr), plan, index, task)?,
        Expr::Term(term) => holds(term, plan, index, task)?,
    })
}

/// What all parts keep; the largest are counted among what the other parts keep.
fn all(parts: &[Expr], plan: &PlanState, index: &PlanIndex, task: &Task) -> Option<Vec<bool>> {
    let mut all = vec![true; plan.record.buffers.len()];
    let counts = |part: &&Expr| matches!(part, Expr::Term(Term::Top(_)));
    for part in parts.iter().filter(|part| !counts(part)) {
        let kept = kept(part, plan, index, task)?;
        all.iter_mut().zip(kept).for_each(|(all, kept)| *all &= kept);
    }
    for part in parts.iter().filter(counts) {
        if let Expr::Term(Term::Top(count)) = part {
            top(&mut all, *count, &plan.record.buffers);
            task.pass(all.len())?;
        }
    }
    Some(all)
}

/// Keeps the largest; views of others have no size of their own.
fn top(kept: &mut [bool], count: usize, buffers: &[BufferRecord]) {
    let owns = |buffer: &BufferRecord| buffer.alias_of.is_none() && buffer.size > 0;
    let mut largest: Vec<u32> =
        (0..buffers.len() as u32).filter(|at| kept[*at as usize] && owns(&buffers[*at as usize])).collect();
    let key = |at: &u32| (Reverse(buffers[*at as usize].size), *at);
    if count > 0 && count < largest.len() {
        largest.select_nth_unstable_by_key(count - 1, key);
    }
    largest.truncate(count);
    kept.fill(false);
    largest.into_iter().for_each(|at| kept[at as usize] = true);
}

/// For which buffers a term holds.
fn holds(term: &Term, plan: &PlanState, index: &PlanIndex, task: &Task) -> Option<Vec<bool>> {
    let record = &plan.record;
    let each = |holds: &dyn Fn(&BufferRecord) -> bool| {
        let mut kept = Vec::with_capacity(record.buffers.len());
        for part in record.buffers.chunks(PORTION) {
            task.pass(part.len())?;
            kept.extend(part.iter().map(holds));
        }
        Some(kept)
    };
    // What is marked by ops takes as long as those are many.
    let none = || {
        task.pass(record.buffers.len())?;
        Some(vec![false; record.buffers.len()])
    };
    let ops = record.ops.len();
    match term {
        Term::Word(word) => {
            let mut kept = each(&|buffer| contains(&buffer.name, word))?;
            let makes = |op: &OpRecord| contains(&op.name, word) || contains(&op.source_node, word);
            mark(&mut kept, record.ops.iter().filter(|op| makes(op)).flat_map(|op| &op.writes));
            Some(kept)
        }
        Term::Op(word) => {
            let mut kept = none()?;
            mark(&mut kept, record.ops.iter().filter(|op| is_called(op, word)).flat_map(touched));
            Some(kept)
        }
        Term::OpNumber(number) => {
            let mut kept = none()?;
            mark(&mut kept, record.ops.get(*number as usize).into_iter().flat_map(touched));
            Some(kept)
        }
        Term::Type(word) => each(&|buffer| {
            buffer.dtype.eq_ignore_ascii_case(word) || buffer.shape.to_lowercase().starts_with(word.as_str())
        }),
        Term::Kind(kind) => each(&|buffer| buffer.kind == *kind),
        Term::Arena(word) => {
            let arenas: Vec<bool> = record.arenas.iter().map(|arena| contains(&arena.name, word)).collect();
            each(&|buffer| arenas.get(buffer.arena as usize).copied().unwrap_or(false))
        }
        Term::Figure(figure, compare, value) => {
            each(&|buffer| figure_of(*figure, buffer).is_some_and(|figure| compare.holds(figure, *value)))
        }
        Term::At(from, to) => each(&|buffer| u64::from(buffer.first) < *to && *from < u64::from(buffer.last)),
        Term::Address(from, to) => {
            each(&|buffer| buffer.size > 0 && buffer.offset < *to && *from < buffer.end())
        }
        Term::AtPeak => each(&|buffer| {
            let peak = index.arenas.get(buffer.arena as usize).map(|arena| &arena.peak);
            let peak = peak.filter(|peak| peak.live > 0 && buffer.size > 0);
            peak.is_some_and(|peak| buffer.lives_at(peak.op))
        }),
        Term::NeverFreed => each(&|buffer| buffer.last > buffer.first && buffer.last as usize >= ops),
        Term::Deviates => {
            task.pass(record.buffers.len())?;
            Some(deviating(plan))
        }
        Term::InPlace => each(&|buffer| buffer.in_place_of.is_some()),
        // Counted among what the other terms keep.
        Term::Top(_) => Some(vec![true; record.buffers.len()]),
    }
}

fn figure_of(figure: Figure, buffer: &BufferRecord) -> Option<u64> {
    Some(match figure {
        Figure::Size => buffer.size,
        Figure::Offset => buffer.offset,
        Figure::Life => (buffer.last - buffer.first).into(),
        Figure::Born => buffer.first.into(),
        Figure::Dies => buffer.last.checked_sub(1)?.into(),
    })
}

fn touched(op: &OpRecord) -> impl Iterator<Item = &u32> {
    op.reads.iter().chain(&op.writes)
}

fn mark<'a>(kept: &mut [bool], numbers: impl Iterator<Item = &'a u32>) {
    for number in numbers {
        if let Some(kept) = kept.get_mut(*number as usize) {
            *kept = true;
        }
    }
}

/// The buffers that windows show elsewhere, outside their lives, or over others.
fn deviating(plan: &PlanState) -> Vec<bool> {
    let late = |(buffer, seen): (&BufferRecord, &Option<bayplan_trace::Actual>)| {
        seen.is_some_and(|seen| seen.first < buffer.first || seen.last > buffer.last)
    };
    let mut kept: Vec<bool> = plan.record.buffers.iter().zip(plan.actual.iter()).map(late).collect();
    kept.resize(plan.record.buffers.len(), false);
    mark(&mut kept, plan.strays.iter().map(|stray| &stray.buffer));
    for alarm in plan.alarms() {
        if let Alarm::Overlap { a, b, .. } = alarm {
            mark(&mut kept, [a, b].into_iter());
        }
    }
    kept
}

/// Whether text holds a word that is in small letters.
pub(super) fn contains(text: &str, word: &str) -> bool {
    if !word.is_ascii() || !text.is_ascii() {
        return text.to_lowercase().contains(word);
    }
    let (text, word) = (text.as_bytes(), word.as_bytes());
    word.is_empty() || text.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
}

/// Whether an op's operator, its name or its node holds a word that is in small letters.
fn is_called(op: &OpRecord, word: &str) -> bool {
    [&op.source_op, &op.name, &op.source_node].iter().any(|name| contains(name, word))
}

/// What a search says of something told in words; `None` where it asks for what words do not tell.
pub(super) fn says(expr: &Expr, words: &str) -> Option<bool> {
    said(expr, &|term| match term {
        Term::Word(word) => Some(contains(words, word)),
        _ => None,
    })
}

/// What a search says of an op; `None` where that depends on its tensors.
pub(super) fn holds_for_op(expr: &Expr, number: u32, op: &OpRecord) -> Option<bool> {
    said(expr, &|term| match term {
        Term::Op(word) => Some(is_called(op, word)),
        Term::OpNumber(asked) => Some(*asked == number),
        _ => None,
    })
}

/// What a search says where not every term can be told; `None` where it depends on the others.
fn said(expr: &Expr, term: &dyn Fn(&Term) -> Option<bool>) -> Option<bool> {
    match expr {
        Expr::All(parts) => {
            let all: Vec<Option<bool>> = parts.iter().map(|part| said(part, term)).collect();
            if all.contains(&Some(false)) {
                Some(false)
            } else {
                all.into_iter().collect::<Option<Vec<_>>>().map(|_| true)
            }
        }
        Expr::Any(parts) => {
            let any: Vec<Option<bool>> = parts.iter().map(|part| said(part, term)).collect();
            if any.contains(&Some(true)) {
                Some(true)
            } else {
                any.into_iter().collect::<Option<Vec<_>>>().map(|_| false)
            }
        }
        Expr::Not(part) => said(part, term).map(|said| !said),
        Expr::Term(asked) => term(asked),
    }
}

/// Whether what a search keeps depends on what was seen.
pub(super) fn asks_for_windows(expr: &Expr) -> bool {
    match expr {
        Expr::All(parts) | Expr::Any(parts) => parts.iter().any(asks_for_windows),
        Expr::Not(part) => asks_for_windows(part),
        Expr::Term(term) => *term == Term::Deviates,
    }
}

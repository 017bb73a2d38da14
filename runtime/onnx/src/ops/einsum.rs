//! Einstein sums: one operand after the other is joined to what is there, by a matrix product over the labels that both have
//! and nobody needs any more.

use bayplan_graph::op::{BinaryOp, Keep, ReduceOp};
use bayplan_graph::{Op, ValueId};

use super::Row;
use crate::builder::{Built, Call};

pub(super) const ROWS: &[Row] = &[Row::new("Einsum", 12, einsum)];

type Step = Result<ValueId, String>;

/// What names an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Label {
    /// One that `...` stands for, counted from its last.
    Ellipsis(usize),
    Letter(char),
}

/// A tensor with the labels of its axes.
#[derive(Clone, Debug)]
struct Labelled {
    value: ValueId,
    labels: Vec<Label>,
}

fn einsum(c: &mut Call<'_, '_>) -> Built {
    let equation = c.attributes().text("equation")?.ok_or("attribute `equation` is missing")?;
    let equation: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
    let (terms, result) = match equation.split_once("->") {
        Some((terms, result)) => (terms, Some(result)),
        None => (equation.as_str(), None),
    };
    let terms: Vec<&str> = terms.split(',').collect();
    if terms.len() != c.inputs() {
        return Err(format!(
            "equation `{equation}` has {} terms, but there are {} operands",
            terms.len(),
            c.inputs()
        ));
    }
    let mut operands = Vec::with_capacity(terms.len());
    for (i, term) in terms.iter().enumerate() {
        let value = c.input(i)?;
        let labels = labels(term, Some(c.rank(value)?))?;
        operands.push(diagonal(c, Labelled { value, labels })?);
    }
    let wanted = match result {
        Some(result) => {
            let ellipsis = operands.iter().flat_map(|o| &o.labels).filter_map(|label| match label {
                Label::Ellipsis(n) => Some(n + 1),
                Label::Letter(_) => None,
            });
            let (ellipsis, letters) = (ellipsis.max().unwrap_or(0), result.replace("...", "").len());
            labels(result, result.contains("...").then_some(ellipsis + letters))?
        }
        None => implicit(&terms, &operands),
    };
    if let Some(label) = wanted.iter().find(|label| !operands.iter().any(|o| o.labels.contains(label))) {
        return Err(format!("the result of equation `{equation}` has {label:?}, which no operand has"));
    }
    if (1..wanted.len()).any(|i| wanted[..i].contains(&wanted[i])) {
        return Err(format!("the result of equation `{equation}` has a label twice"));
    }
    let mut operands = operands.into_iter();
    let mut all = operands.next().ok_or("it has no operands")?;
    while let Some(next) = operands.next() {
        let needed = |label: &Label| {
            wanted.contains(label) || operands.as_slice().iter().any(|o| o.labels.contains(label))
        };
        all = joined(c, all, next, needed)?;
    }
    let all = summed(c, all, |label| wanted.contains(label))?;
    let place = |label: &Label| all.labels.iter().position(|own| own == label).unwrap_or_default();
    let order: Vec<usize> = wanted.iter().map(place).collect();
    Ok(vec![c.permute(all.value, &order)?])
}

/// The labels of a term; `rank` is needed where it has an ellipsis, and compared where it is given.
fn labels(term: &str, rank: Option<usize>) -> Result<Vec<Label>, String> {
    let (before, after, dots) = match term.split_once("...") {
        Some((before, after)) => (before, after, true),
        None => (term, "", false),
    };
    let letters: Vec<char> = before.chars().chain(after.chars()).collect();
    if let Some(other) = letters.iter().find(|letter| !letter.is_ascii_alphabetic()) {
        return Err(format!("term `{term}` of the equation has `{other}`; labels are letters"));
    }
    let hidden = match rank {
        Some(rank) if dots && rank >= letters.len() => rank - letters.len(),
        Some(rank) if rank != letters.len() => {
            return Err(format!("term `{term}` of the equation does not fit an operand of rank {rank}"));
        }
        _ => 0,
    };
    let letter = |text: &str| text.chars().map(Label::Letter).collect::<Vec<_>>();
    let hidden = (0..hidden).rev().map(Label::Ellipsis);
    Ok(letter(before).into_iter().chain(hidden).chain(letter(after)).collect())
}

/// Without a result the axes of the ellipsis stay, and the letters that occur once, in the order of the alphabet.
fn implicit(terms: &[&str], operands: &[Labelled]) -> Vec<Label> {
    let mut hidden: Vec<Label> = operands
        .iter()
        .flat_map(|o| o.labels.iter().copied().filter(|label| matches!(label, Label::Ellipsis(_))))
        .collect();
    hidden.sort_unstable_by(|a, b| b.cmp(a));
    hidden.dedup();
    let text: String = terms.concat();
    let mut once: Vec<char> =
        text.chars().filter(|l| l.is_ascii_alphabetic() && text.matches(*l).count() == 1).collect();
    once.sort_unstable();
    hidden.into_iter().chain(once.into_iter().map(Label::Letter)).collect()
}

/// Axes with one label become one: elements n + 1 apart of both as one axis.
fn diagonal(c: &mut Call<'_, '_>, mut operand: Labelled) -> Result<Labelled, String> {
    loop {
        let labels = &operand.labels;
        let pair =
            (1..labels.len()).find_map(|j| Some((labels[..j].iter().position(|l| *l == labels[j])?, j)));
        let Some((i, j)) = pair else { return Ok(operand) };
        let (Some(size), Some(other)) = (c.size(operand.value, i)?, c.size(operand.value, j)?) else {
            return Err("the size of an axis whose label occurs twice in a term must be known".to_owned());
        };
        if size != other {
            return Err(format!("axes of {size} and {other} elements have one label"));
        }
        let rest: Vec<usize> = (0..labels.len()).filter(|&axis| axis != i && axis != j).collect();
        let order: Vec<usize> = rest.iter().copied().chain([i, j]).collect();
        let label = labels[i];
        let mut lists = Vec::with_capacity(order.len());
        for &axis in &rest {
            lists.push(c.dim(operand.value, axis)?);
        }
        let moved = c.permute(operand.value, &order)?;
        let whole = (size as i64).checked_mul(size as i64).ok_or("a diagonal is too long")?;
        lists.push(c.ints(&[whole])?);
        let flat = c.reshape(moved, &lists)?;
        let last = rest.len() as i64;
        let list = [0, whole, last, size as i64 + 1].map(|v| c.ints(&[v]));
        let [start, end, axis, step] = list;
        operand.value = c.emit(Op::Slice, &[flat, start?, end?, axis?, step?])?;
        operand.labels = rest.iter().map(|&axis| operand.labels[axis]).chain([label]).collect();
    }
}

/// Sums over the axes that nobody needs.
fn summed(
    c: &mut Call<'_, '_>,
    operand: Labelled,
    needed: impl Fn(&Label) -> bool,
) -> Result<Labelled, String> {
    let gone = operand.labels.iter().enumerate().filter(|(_, label)| !needed(label));
    let axes: Vec<i64> = gone.map(|(axis, _)| axis as i64).collect();
    if axes.is_empty() {
        return Ok(operand);
    }
    let value = c.reduce(ReduceOp::Sum, operand.value, &axes, Keep::None)?;
    Ok(Labelled { value, labels: operand.labels.into_iter().filter(needed).collect() })
}

/// The product of two operands, summed over the labels of both that nobody needs.
fn joined(
    c: &mut Call<'_, '_>,
    a: Labelled,
    b: Labelled,
    needed: impl Fn(&Label) -> bool,
) -> Result<Labelled, String> {
    let a = summed(c, a, |label| needed(label) || b.labels.contains(label))?;
    let b = summed(c, b, |label| needed(label) || a.labels.contains(label))?;
    let (both, left): (Vec<Label>, Vec<Label>) =
        a.labels.iter().copied().partition(|label| b.labels.contains(label));
    let right: Vec<Label> = b.labels.iter().copied().filter(|label| !both.contains(label)).collect();
    let (batch, inner): (Vec<Label>, Vec<Label>) = both.into_iter().partition(|label| needed(label));
    // [batch.., left, inner] · [batch.., inner, right]
    let (of_left, of_right) = (sizes(c, &a, &left)?, sizes(c, &b, &right)?);
    let rows = matrix(c, &a, &batch, [&left, &inner])?;
    let columns = matrix(c, &b, &batch, [&inner, &right])?;
    let product = if inner.is_empty() {
        // Outer products need no sums.
        c.binary(BinaryOp::Mul, rows, columns)?
    } else {
        c.emit(Op::MatMul, &[rows, columns])?
    };
    let mut lists = Vec::with_capacity(batch.len() + left.len() + right.len());
    for axis in 0..batch.len() {
        lists.push(c.dim(product, axis)?);
    }
    lists.extend(of_left.into_iter().chain(of_right));
    let value = c.reshape(product, &lists)?;
    Ok(Labelled { value, labels: [batch, left, right].concat() })
}

/// The sizes of the axes with these labels, as lists of one.
fn sizes(c: &mut Call<'_, '_>, operand: &Labelled, labels: &[Label]) -> Result<Vec<ValueId>, String> {
    let mut sizes = Vec::with_capacity(labels.len());
    for label in labels {
        let axis = operand.labels.iter().position(|own| own == label).unwrap_or_default();
        sizes.push(c.dim(operand.value, axis)?);
    }
    Ok(sizes)
}

/// An operand as `[batch.., first, second]`, the axes of the last two joined.
fn matrix(c: &mut Call<'_, '_>, operand: &Labelled, batch: &[Label], sides: [&[Label]; 2]) -> Step {
    let mut lists = sizes(c, operand, batch)?;
    for side in sides {
        let own = sizes(c, operand, side)?;
        lists.push(c.product(&own)?);
    }
    let place = |label: &Label| operand.labels.iter().position(|own| own == label).unwrap_or_default();
    let order: Vec<usize> = batch.iter().chain(sides[0]).chain(sides[1]).map(place).collect();
    let moved = c.permute(operand.value, &order)?;
    c.reshape(moved, &lists)
}

//! Attention over keys and values in blocks of a pool, in double precision.

use bayplan_shaders::PagedAttentionSpec;

use super::movement::indices;
use crate::column::Column;
use crate::view::{View, elements};

/// What is read, as a whole: which rows of the pool, the tables say.
pub(super) fn reads(s: &PagedAttentionSpec) -> Vec<Vec<View>> {
    let [row, pool] = [s.heads, s.kv_heads].map(|heads| u64::from(heads) * u64::from(s.head));
    let floats = |count: u64| vec![View::row(s.dtype, count)];
    let [positions, sequences, tables] = s.index;
    vec![
        floats(s.tokens * row),
        floats(s.rows * pool),
        floats(s.rows * pool),
        vec![View::row(positions, s.tokens)],
        vec![View::row(sequences, s.tokens)],
        vec![View::row(tables, elements(&[s.tables, s.entries]))],
    ]
}

/// A token's result for a head, and what it is of.
pub(crate) struct Attended {
    /// Of each key its score, and the sum of the sizes of the score's terms.
    pub(crate) scores: Vec<(f64, f64)>,
    /// Its values.
    pub(crate) values: Vec<Vec<f64>>,
    pub(crate) result: Vec<f64>,
}

/// Visits the results in order.
pub(crate) fn attend(
    s: &PagedAttentionSpec,
    operands: &[&[u32]],
    mut visit: impl FnMut(&Attended),
) -> Result<(), String> {
    let [positions, sequences, tables] = [0, 1, 2].map(|i| indices(s.index[i], operands[i + 3]));
    let (positions, sequences, tables) = (positions?, sequences?, tables?);
    let (head, pool) = (s.head as usize, (s.kv_heads * s.head) as usize);
    for token in 0..s.tokens as usize {
        let rows = rows(s, positions[token], sequences[token], &tables);
        for of in 0..s.heads as usize {
            let query = floats(operands[0], (token * s.heads as usize + of) * head, head);
            let column = of / (s.heads / s.kv_heads) as usize * head;
            let line = |operand: usize, row: &usize| floats(operands[operand], row * pool + column, head);
            let keys: Vec<Vec<f64>> = rows.iter().map(|row| line(1, row)).collect();
            let values = rows.iter().map(|row| line(2, row)).collect();
            visit(&one(s, &query, &keys, values));
        }
    }
    Ok(())
}

/// Rows of the pool that a token sees: those of the blocks in its table that there are, up to its own position.
fn rows(s: &PagedAttentionSpec, position: i128, sequence: i128, tables: &[i128]) -> Vec<usize> {
    if sequence < 0 || sequence >= s.tables.into() {
        return Vec::new();
    }
    let table = &tables[sequence as usize * s.entries as usize..][..s.entries as usize];
    let (block, seen) = (i128::from(s.block), position.max(-1) + 1);
    let mut rows = Vec::new();
    for (number, &entry) in table.iter().enumerate() {
        let count = (seen - number as i128 * block).clamp(0, block);
        if (0..i128::from(s.rows)).contains(&entry) {
            let first = entry * block;
            rows.extend((first..(first + count).min(s.rows.into())).map(|row| row as usize));
        }
    }
    rows
}

fn floats(words: &[u32], first: usize, count: usize) -> Vec<f64> {
    words[first..first + count].iter().map(|&word| f32::from_bits(word).into()).collect()
}

fn one(s: &PagedAttentionSpec, query: &[f64], keys: &[Vec<f64>], values: Vec<Vec<f64>>) -> Attended {
    let scale = f64::from(s.scale);
    let product = |key: &Vec<f64>| {
        let terms = query.iter().zip(key).map(|(a, b)| a * b * scale);
        terms.fold((0.0, 0.0), |(sum, size), term: f64| (sum + term, size + term.abs()))
    };
    let scores: Vec<(f64, f64)> = keys.iter().map(product).collect();
    let top = scores.iter().map(|(score, _)| *score).fold(f64::from(f32::MIN), f64::max);
    let mut result = vec![0.0; query.len()];
    let mut sum = 0.0;
    for ((score, _), row) in scores.iter().zip(&values) {
        let weight = (score - top).exp();
        sum += weight;
        result.iter_mut().zip(row).for_each(|(out, value)| *out += weight * value);
    }
    // Of keys that weigh nothing, or of none, there is no mean.
    result.iter_mut().for_each(|out| *out = if sum == 0.0 { 0.0 } else { *out / sum });
    Attended { scores, values, result }
}

pub(super) fn compute(s: &PagedAttentionSpec, operands: &[&[u32]], out: &mut [u32]) -> Result<(), String> {
    let mut made: Vec<f32> = Vec::with_capacity(out.len());
    attend(s, operands, |own| made.extend(own.result.iter().map(|&v| v as f32)))?;
    Column::F32(made).narrowed(s.dtype).store(out);
    Ok(())
}

//! Attention over keys and values that lie in blocks of a pool.

use super::PagedAttention;
use crate::dims;
use crate::dtype::DType;
use crate::rule::{Context, EvalError, HostType, Inferred, Kind, Output, Rule, Set, ShapeError, Signature};
use crate::tensor::Tensor;

/// What the result's rows are computed of, by operand.
const OPERANDS: [&str; 6] = ["queries", "keys", "values", "positions", "sequences", "tables"];

/// Most elements of a head: those of a key are in registers at once.
const MOST_OF_A_HEAD: i64 = 512;

impl PagedAttention {
    /// Refuses attributes that go with no operands.
    fn check(&self) -> Result<(), ShapeError> {
        let Self { heads, kv_heads, block, scale } = *self;
        let invalid = |text: String| Err(ShapeError::Invalid(text));
        if heads == 0 || kv_heads == 0 || heads % kv_heads != 0 {
            return invalid(format!("{heads} heads cannot share {kv_heads} heads of keys and values evenly"));
        }
        if block == 0 {
            return invalid("a block has no tokens; give blocks of at least one".to_owned());
        }
        if !scale.get().is_finite() {
            return invalid(format!("the scale is {}, but must be a finite number", scale.get()));
        }
        Ok(())
    }
}

impl Rule for PagedAttention {
    fn name(&self) -> &'static str {
        "PagedAttention"
    }

    fn signature(&self) -> Signature {
        const FLOATS: Kind = Kind::Same(Set::Float);
        Signature::new(&[FLOATS, FLOATS, FLOATS, Kind::Index, Kind::Index, Kind::Index], Output::Same)
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        ctx.arity(6, 6, "queries, keys, values, positions, sequences and tables")?;
        self.check()?;
        let dtype = ctx.same(0, 0, Set::Float)?;
        for operand in 1..3 {
            ctx.only(operand, dtype)?;
        }
        if dtype == DType::F64 {
            let expected = "a floating-point type of at most 32 bits".to_owned();
            return Err(ShapeError::Type { operand: 0, actual: dtype, expected });
        }
        for (operand, rank) in [2, 2, 2, 1, 1, 2].into_iter().enumerate() {
            if operand > 2 {
                ctx.index(operand)?;
            }
            if ctx.rank(operand) != rank {
                let expected = format!("{rank}, for {}", OPERANDS[operand]);
                return Err(ShapeError::Rank { operand, actual: ctx.rank(operand), expected });
            }
        }
        let head = self.head(ctx)?;
        let row = dims::int(head * self.kv_heads as i64);
        ctx.unify("the elements of a key and those of its heads", &ctx.shape(1)[1].clone(), &row)?;
        ctx.unify("the elements of a value and those of a key", &ctx.shape(2)[1].clone(), &row)?;
        ctx.unify("the rows of keys and values", &ctx.shape(1)[0].clone(), &ctx.shape(2)[0].clone())?;
        let tokens = ctx.shape(0)[0].clone();
        ctx.unify("the tokens of queries and positions", &tokens, &ctx.shape(3)[0].clone())?;
        ctx.unify("the tokens of queries and sequences", &tokens, &ctx.shape(4)[0].clone())?;
        Ok(vec![Inferred::new(dtype, ctx.shape(0).to_vec())])
    }

    fn eval(&self, inputs: &[&Tensor], outputs: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        let made = Reference::new(self, inputs).all();
        Ok(vec![Tensor::from_f64(outputs[0].dtype, outputs[0].shape.clone(), &made)?])
    }
}

impl PagedAttention {
    /// Elements of a head, a known number.
    fn head(&self, ctx: &Context<'_>) -> Result<i64, ShapeError> {
        let row = &ctx.shape(0)[1];
        let known = dims::as_int(row).ok_or_else(|| {
            ShapeError::Invalid(format!("the queries have {row} elements, but must have a known number"))
        })?;
        let heads = self.heads as i64;
        let head = if known % heads == 0 { known / heads } else { 0 };
        if !(4..=MOST_OF_A_HEAD).contains(&head) || head % 4 != 0 {
            return Err(ShapeError::Invalid(format!(
                "queries of {known} elements are no {heads} heads of a multiple of 4 elements, at most {MOST_OF_A_HEAD}"
            )));
        }
        Ok(head)
    }
}

/// The exact result, a token and a head at a time.
struct Reference<'a> {
    op: &'a PagedAttention,
    /// Elements of a head, tokens of a pool, entries of a table, tables.
    head: usize,
    rows: usize,
    entries: usize,
    tables: usize,
    floats: [Vec<f64>; 3],
    /// Positions, sequences, tables.
    ints: [Vec<i128>; 3],
}

impl<'a> Reference<'a> {
    fn new(op: &'a PagedAttention, inputs: &[&Tensor]) -> Self {
        Self {
            op,
            head: inputs[0].shape()[1] / op.heads,
            rows: inputs[1].shape()[0],
            tables: inputs[5].shape()[0],
            entries: inputs[5].shape()[1],
            floats: [0, 1, 2].map(|i| inputs[i].to_f64()),
            ints: [3, 4, 5].map(|i| inputs[i].to_ints().unwrap_or_default()),
        }
    }

    fn all(&self) -> Vec<f64> {
        let mut made = vec![0.0; self.floats[0].len()];
        let row = self.head * self.op.heads;
        for (token, out) in made.chunks_exact_mut(row.max(1)).enumerate() {
            let keys = self.keys(token);
            for (head, out) in out.chunks_exact_mut(self.head).enumerate() {
                self.one(token, head, &keys, out);
            }
        }
        made
    }

    /// The rows of the pool that a token sees, in order; none of a table, or an entry of one, that does not exist.
    fn keys(&self, token: usize) -> Vec<usize> {
        let [positions, sequences, tables] = &self.ints;
        let Some(table) = usize::try_from(sequences[token]).ok().filter(|&table| table < self.tables) else {
            return Vec::new();
        };
        let seen = usize::try_from(positions[token].saturating_add(1)).unwrap_or(0);
        let (block, mut keys) = (self.op.block, Vec::new());
        for (number, &entry) in tables[table * self.entries..][..self.entries].iter().enumerate() {
            let left = seen.saturating_sub(number.saturating_mul(block)).min(block);
            let first = usize::try_from(entry).ok().and_then(|entry| entry.checked_mul(block));
            if let Some(first) = first {
                keys.extend(first..first.saturating_add(left).min(self.rows));
            }
        }
        keys
    }

    fn one(&self, token: usize, head: usize, keys: &[usize], out: &mut [f64]) {
        let [queries, pool, values] = &self.floats;
        let (op, d) = (self.op, self.head);
        let query = &queries[(token * op.heads + head) * d..][..d];
        let place = |row: &usize| (row * op.kv_heads + head / (op.heads / op.kv_heads)) * d;
        let score = |row: &usize| {
            let key = &pool[place(row)..][..d];
            f64::from(op.scale.get()) * query.iter().zip(key).map(|(a, b)| a * b).sum::<f64>()
        };
        let scores: Vec<f64> = keys.iter().map(score).collect();
        // From the least number on, so that scores of negative infinity alone weigh nothing.
        let top = scores.iter().copied().fold(f64::from(f32::MIN), f64::max);
        let weights: Vec<f64> = scores.iter().map(|score| (score - top).exp()).collect();
        let sum: f64 = weights.iter().sum();
        if sum == 0.0 {
            return;
        }
        for (weight, row) in weights.iter().zip(keys) {
            out.iter_mut().zip(&values[place(row)..][..d]).for_each(|(out, v)| *out += weight / sum * v);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::eval::eval_node;
    use crate::op::F32Bits;

    fn op(heads: usize, kv_heads: usize, block: usize) -> Op {
        Op::PagedAttention(PagedAttention { heads, kv_heads, scale: F32Bits::new(0.5), block })
    }

    fn floats(shape: [usize; 2], list: &[f32]) -> Tensor {
        Tensor::from_f32(shape.to_vec(), list).unwrap()
    }

    fn ints(shape: &[usize], list: &[i64]) -> Tensor {
        Tensor::from_i64(shape.to_vec(), list).unwrap()
    }

    /// A pool of three blocks of two tokens whose rows hold their numbers in each element.
    fn pool() -> Tensor {
        let rows: Vec<f32> = (0..6).flat_map(|row| [row as f32; 4]).collect();
        floats([6, 4], &rows)
    }

    /// Keys of zeros: a token takes the mean of the rows that it sees.
    fn means(positions: &[i64], sequences: &[i64], tables: (&[usize], &[i64])) -> Vec<f64> {
        let n = positions.len();
        let (query, keys) = (floats([n, 8], &vec![1.0; n * 8]), floats([6, 4], &[0.0; 24]));
        let inputs = [ints(&[n], positions), ints(&[n], sequences), ints(tables.0, tables.1)];
        let all = [&query, &keys, &pool(), &inputs[0], &inputs[1], &inputs[2]];
        let made = eval_node(&op(2, 1, 2), &all, 1).unwrap().remove(0);
        assert_eq!(made.shape(), [n, 8]);
        let made = made.to_f64();
        assert!(made.chunks(8).all(|row| row.iter().all(|v| *v == row[0])), "{made:?}");
        made.chunks(8).map(|row| row[0]).collect()
    }

    #[test]
    fn tokens_see_their_past_through_tables() {
        // Two sequences that share block 2: rows 4, 5, then 0, 1 or 2, 3.
        let tables: (&[usize], &[i64]) = (&[2, 2], &[2, 0, 2, 1]);
        assert_eq!(means(&[0, 1, 2, 3], &[0; 4], tables), [4.0, 4.5, 3.0, 2.5]);
        assert_eq!(means(&[3, 1], &[1, 0], tables), [3.5, 4.5]);
        // Beyond the table's entries there is nothing to see; padding sees nothing at all.
        assert_eq!(means(&[9, i64::MAX, -1, i64::MIN], &[0; 4], tables), [2.5, 2.5, 0.0, 0.0]);
        // No such table; entries that name no block.
        assert_eq!(means(&[1, 1, 1], &[2, -1, i64::MAX], tables), [0.0; 3]);
        assert_eq!(means(&[3, 3], &[0, 1], (&[2, 2], &[3, 0, -1, i64::MAX])), [0.5, 0.0]);
        assert_eq!(means(&[3], &[0], (&[1, 0], &[])), [0.0]);
        assert!(means(&[], &[], tables).is_empty());
    }

    #[test]
    fn scores_weigh() {
        // Of one head of keys for two of queries, the second of which looks the other way.
        let query = floats([1, 8], &[1.0, 0., 0., 0., -1.0, 0., 0., 0.]);
        let keys = floats([2, 4], &[2.0, 9., 9., 9., 0.0, 9., 9., 9.]);
        let values = floats([2, 4], &[1., 2., 3., 4., 5., 6., 7., 8.]);
        let inputs = [ints(&[1], &[1]), ints(&[1], &[0]), ints(&[1, 1], &[0])];
        let all = [&query, &keys, &values, &inputs[0], &inputs[1], &inputs[2]];
        let made = eval_node(&op(2, 1, 2), &all, 1).unwrap().remove(0).to_f64();
        let (e, own) = (1f64.exp(), |a: f64, b: f64, by: f64| (a * by + b) / (by + 1.0));
        for c in 0..4 {
            let (a, b) = (c as f64 + 1.0, c as f64 + 5.0);
            assert!((made[c] - own(a, b, e)).abs() < 1e-6, "{made:?}");
            assert!((made[c + 4] - own(a, b, 1.0 / e)).abs() < 1e-6, "{made:?}");
        }
        // Scores of negative infinity weigh nothing.
        let keys = floats([2, 4], &[f32::NEG_INFINITY, 0., 0., 0., f32::NEG_INFINITY, 0., 0., 0.]);
        let query = floats([1, 8], &[1.0; 8]);
        let all = [&query, &keys, &values, &inputs[0], &inputs[1], &inputs[2]];
        assert_eq!(eval_node(&op(2, 1, 2), &all, 1).unwrap().remove(0).to_f64(), [0.0; 8]);
    }

    #[test]
    fn refusals() {
        let (q, kv, one) = (floats([1, 8], &[0.; 8]), floats([2, 4], &[0.; 8]), ints(&[1], &[0]));
        let table = ints(&[1, 1], &[0]);
        let refused = |op: Op, all: [&Tensor; 6], text: &str| {
            let e = eval_node(&op, &all, 1).unwrap_err().to_string();
            assert!(e.contains(text), "{e}");
        };
        let all = [&q, &kv, &kv, &one, &one, &table];
        refused(op(3, 2, 2), all, "3 heads cannot share 2 heads of keys");
        refused(op(2, 0, 2), all, "2 heads cannot share 0 heads of keys");
        refused(op(2, 1, 0), all, "a block has no tokens");
        refused(op(4, 1, 2), all, "queries of 8 elements are no 4 heads");
        refused(op(3, 1, 2), all, "queries of 8 elements are no 3 heads");
        refused(op(2, 2, 2), all, "the elements of a key and those of its heads");
        let more = floats([3, 4], &[0.; 12]);
        refused(op(2, 1, 2), [&q, &kv, &more, &one, &one, &table], "the rows of keys and values");
        let two = ints(&[2], &[0, 0]);
        refused(op(2, 1, 2), [&q, &kv, &kv, &two, &one, &table], "the tokens of queries and positions");
        refused(op(2, 1, 2), [&q, &kv, &kv, &one, &two, &table], "the tokens of queries and sequences");
        refused(op(2, 1, 2), [&q, &kv, &kv, &one, &one, &one], "2, for tables");
        refused(op(2, 1, 2), [&q, &kv, &kv, &table, &one, &table], "1, for positions");
        refused(op(2, 1, 2), [&q, &one, &kv, &one, &one, &table], "operand 1 is i64, but f32 is needed");
        refused(op(2, 1, 2), [&q, &kv, &kv, &q, &one, &table], "operand 3 is f32");
        let wide = |t: &Tensor| Tensor::from_f64(DType::F64, t.shape().to_vec(), &t.to_f64()).unwrap();
        let (q64, kv64) = (wide(&q), wide(&kv));
        refused(op(2, 1, 2), [&q64, &kv64, &kv64, &one, &one, &table], "of at most 32 bits");
        let scale = F32Bits::new(f32::NAN);
        let bad = PagedAttention { heads: 2, kv_heads: 1, scale, block: 2 };
        refused(Op::PagedAttention(bad), all, "the scale is NaN");
    }
}

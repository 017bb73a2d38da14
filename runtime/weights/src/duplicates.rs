//! Weights that a model holds twice: exporters write a matrix a second time where it is used transposed.

use std::collections::HashMap;

use bayplan_graph::{ByteRange, ConstData, DType, Duplicate, Graph, ValueId, ValueSource};

use crate::Store;

/// Constants of at most this many bytes are not worth a look: what knows their elements anyway compares them.
const SMALL: u64 = 4096;

/// Elements by which candidates are told apart before they are compared whole.
const SAMPLE: u64 = 16;

/// First elements of rows that lie within so many bytes are read at once.
const NEAR: u64 = 64 << 10;

/// Bytes read at a time, of each of two constants.
const CHUNK: u64 = 1 << 20;

/// A large constant.
#[derive(Clone, Debug)]
struct Constant {
    id: ValueId,
    dtype: DType,
    shape: Vec<u64>,
    range: ByteRange,
}

/// Element type, shape and the bytes of the first elements.
type Key = (DType, Vec<u64>, Vec<u8>);

impl Store {
    /// Finds the large constants of a graph whose elements are those of an earlier one, or of an earlier one transposed.
    /// Of each constant a few bytes are read, of those found to be alike all. What cannot be read counts as different.
    pub fn duplicates(&self, graph: &Graph) -> Vec<Duplicate> {
        let mut known: HashMap<Key, Constant> = HashMap::new();
        let mut found = Vec::new();
        let constants: Vec<Constant> = graph.values.iter().enumerate().filter_map(large).collect();
        // Shapes whose transpose some constant has.
        let turns = |shape: &[u64]| constants.iter().any(|other| other.shape.iter().rev().eq(shape.iter()));
        for own in &constants {
            let Some(key) = self.key(own) else { continue };
            if let Some(other) = known.get(&key) {
                if self.equal(own, other) == Some(true) {
                    found.push(Duplicate { value: own.id, of: other.id, transposed: false });
                }
                continue;
            }
            if own.shape.len() == 2
                && turns(&own.shape)
                && let Some(other) = self.turned_key(own).and_then(|key| known.get(&key))
                && self.equal_transposed(own, other) == Some(true)
            {
                found.push(Duplicate { value: own.id, of: other.id, transposed: true });
                continue;
            }
            known.insert(key, own.clone());
        }
        found
    }

    /// The key of a constant.
    fn key(&self, own: &Constant) -> Option<Key> {
        let count = SAMPLE.min(*own.shape.last()?);
        let sample = self.sample(own, 0, count)?;
        Some((own.dtype, own.shape.clone(), sample))
    }

    /// The key that the transpose of a matrix has.
    fn turned_key(&self, own: &Constant) -> Option<Key> {
        let &[rows, columns] = &own.shape[..] else { return None };
        let (size, count) = (own.dtype.size(), SAMPLE.min(rows));
        let span = count.checked_sub(1)? * columns + 1;
        let mut sample = Vec::new();
        if span * size as u64 <= NEAR {
            let all = self.sample(own, 0, span)?;
            let rows = all.chunks_exact(size).step_by(usize::try_from(columns).ok()?);
            sample.extend(rows.flatten());
        } else {
            for row in 0..count {
                sample.extend(self.sample(own, row * columns, 1)?);
            }
        }
        Some((own.dtype, vec![columns, rows], sample))
    }

    /// A few elements, by the number of the first.
    fn sample(&self, own: &Constant, first: u64, count: u64) -> Option<Vec<u8>> {
        let size = own.dtype.size() as u64;
        let mut bytes = vec![0; usize::try_from(count * size).ok()?];
        self.glance(&own.range, first * size, &mut bytes).ok()?;
        Some(bytes)
    }

    /// Some elements, by the number of the first.
    fn elements(&self, own: &Constant, first: u64, count: u64) -> Option<Vec<u8>> {
        let size = own.dtype.size() as u64;
        let mut bytes = vec![0; usize::try_from(count * size).ok()?];
        self.read_range(&own.range, first * size, &mut bytes).ok()?;
        Some(bytes)
    }

    /// Whether two constants have the same bytes.
    fn equal(&self, a: &Constant, b: &Constant) -> Option<bool> {
        if a.range == b.range {
            return Some(true);
        }
        // Packed models say so much without being read.
        if let (Some(a), Some(b)) = (self.digests.get(&a.range), self.digests.get(&b.range))
            && a != b
        {
            return Some(false);
        }
        let (mut left, mut right) = (Vec::new(), Vec::new());
        let mut at = 0;
        while at < a.range.len {
            let len = usize::try_from(CHUNK.min(a.range.len - at)).ok()?;
            left.resize(len, 0);
            right.resize(len, 0);
            self.read_range(&a.range, at, &mut left).ok()?;
            self.read_range(&b.range, at, &mut right).ok()?;
            if left != right {
                return Some(false);
            }
            at += len as u64;
        }
        Some(true)
    }

    /// Whether a matrix is the transpose of another one: bands of the tall one's rows against bands of the wide one's
    /// columns (each column of a band is one read).
    fn equal_transposed(&self, own: &Constant, other: &Constant) -> Option<bool> {
        let (own, other) = if other.shape.first() < own.shape.first() { (other, own) } else { (own, other) };
        let &[rows, columns] = &other.shape[..] else { return None };
        let size = other.dtype.size();
        let per_band = (CHUNK / (columns * size as u64).max(1)).clamp(1, rows);
        let mut first = 0;
        while first < rows {
            let count = per_band.min(rows - first);
            let band = self.elements(other, first * columns, count * columns)?;
            for column in 0..columns {
                let piece = self.elements(own, column * rows + first, count)?;
                let steps = band.chunks_exact(size).skip(usize::try_from(column).ok()?);
                let down = steps.step_by(usize::try_from(columns).ok()?);
                if !piece.chunks_exact(size).eq(down) {
                    return Some(false);
                }
            }
            first += count;
        }
        Some(true)
    }
}

/// A constant that lies in a file and is large, with the number of its value.
fn large((index, value): (usize, &bayplan_graph::Value)) -> Option<Constant> {
    let (ValueSource::Constant(ConstData::Range(range)), Some(ty)) = (&value.source, &value.ty) else {
        return None;
    };
    let shape = ty.dims()?;
    let bytes = shape.iter().try_fold(ty.dtype.size() as u64, |bytes, &dim| bytes.checked_mul(dim))?;
    // Elements are whole bytes and fill the range.
    let fits = bytes == range.len && bytes > SMALL;
    fits.then_some(Constant { id: ValueId(index as u32), dtype: ty.dtype, shape, range: *range })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bayplan_expr::Expr;
    use bayplan_graph::{ByteSource, DIRECT, FileId, FileRef, ReadError, TensorType, Value};

    use super::*;

    /// Matrices of 32-bit words side by side in one file: rows, columns, and the word at a row and column.
    type Matrix = (u64, u64, fn(u64, u64) -> u64);

    /// Answers how often weights were read through the page cache.
    fn check(matrices: &[Matrix], expect: &[(u32, u32, bool)]) -> usize {
        let (mut bytes, mut values): (Vec<u8>, Vec<Value>) = Default::default();
        for &(rows, columns, at) in matrices {
            let offset = bytes.len() as u64;
            let words = (0..rows).flat_map(|row| (0..columns).map(move |column| at(row, column) as u32));
            bytes.extend(words.flat_map(u32::to_le_bytes));
            let range = ByteRange { file: FileId(0), offset, len: bytes.len() as u64 - offset };
            let shape = vec![Expr::from(rows), Expr::from(columns)];
            values.push(Value {
                name: format!("w{}", values.len()).into(),
                source: ValueSource::Constant(ConstData::Range(range)),
                ty: Some(TensorType { dtype: DType::F32, shape }),
                contents: None,
            });
        }
        let graph = Graph { values, files: vec![FileRef::Model], ..Graph::default() };
        let cold = Arc::new(Cold(bytes.clone(), AtomicUsize::new(0)));
        for source in [Arc::new(bytes) as Arc<dyn ByteSource>, cold.clone()] {
            let store = Store::from_sources(vec![(PathBuf::from("w.bin"), source)], &graph).expect("a store");
            let found: Vec<(u32, u32, bool)> =
                store.duplicates(&graph).iter().map(|d| (d.value.0, d.of.0, d.transposed)).collect();
            assert_eq!(found, expect);
        }
        cold.1.load(Ordering::Relaxed)
    }

    /// A source of which nothing is in the page cache. It counts what is read through it all the same.
    struct Cold(Vec<u8>, AtomicUsize);

    impl ByteSource for Cold {
        fn len(&self) -> u64 {
            self.0.len() as u64
        }

        fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.read_at(offset, buf)
        }

        fn read_direct(&self, offset: u64, buf: &mut [u8]) -> Result<Option<usize>, ReadError> {
            assert_eq!(
                (offset % DIRECT as u64, buf.len() % DIRECT, buf.as_ptr().align_offset(DIRECT)),
                (0, 0, 0)
            );
            let rest = self.0.get(offset as usize..).unwrap_or_default();
            let count = rest.len().min(buf.len());
            buf[..count].copy_from_slice(&rest[..count]);
            Ok(Some(count))
        }

        fn is_cached(&self, _offset: u64) -> bool {
            false
        }
    }

    #[test]
    fn equal_and_transposed_weights_are_found() {
        let plain: Matrix = (60, 70, |row, column| row * 1000 + column);
        let turned: Matrix = (70, 60, |row, column| column * 1000 + row);
        check(&[plain, plain, turned], &[(1, 0, false), (2, 0, true)]);
        check(&[turned, plain, plain], &[(1, 0, true), (2, 0, true)]);
        // Tall enough for several bands.
        let tall: Matrix = (30_000, 64, |row, column| row * 100 + column);
        let wide: Matrix = (64, 30_000, |row, column| column * 100 + row);
        check(&[tall, wide], &[(1, 0, true)]);
        check(&[wide, tall], &[(1, 0, true)]);
        // A square matrix that is its own transpose is equal first.
        let symmetric: Matrix = (40, 40, |row, column| row + column);
        check(&[symmetric, symmetric], &[(1, 0, false)]);
    }

    #[test]
    fn weights_that_are_not_alike_stay_out_of_the_page_cache() {
        let one: Matrix = (70, 70, |row, column| row * 1000 + column);
        let other: Matrix = (70, 70, |row, column| row * 1000 + column * 3 + 1);
        let wide: Matrix = (3000, 90, |row, column| row * 1000 + column);
        let tall: Matrix = (90, 3000, |row, column| row * 1000 + column);
        assert_eq!(check(&[one, other, wide, tall], &[]), 0);
        assert!(check(&[one, one], &[(1, 0, false)]) > 0, "alike ones are compared whole");
    }

    /// A source that counts how often it is read.
    #[derive(Debug)]
    struct Counted(Vec<u8>, AtomicUsize);

    impl ByteSource for Counted {
        fn len(&self) -> u64 {
            self.0.len() as u64
        }

        fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.read_at(offset, buf)
        }
    }

    #[test]
    fn long_lists_are_compared_in_few_reads() {
        for shapes in [[(1, 500_000), (500_000, 1)], [(500_000, 1), (1, 500_000)]] {
            let source = Arc::new(Counted(vec![7; 4_000_000], AtomicUsize::new(0)));
            let values = shapes.iter().enumerate().map(|(index, &(rows, columns))| Value {
                name: format!("w{index}").into(),
                source: ValueSource::Constant(ConstData::Range(ByteRange {
                    file: FileId(0),
                    offset: 2_000_000 * index as u64,
                    len: 2_000_000,
                })),
                ty: Some(TensorType {
                    dtype: DType::F32,
                    shape: vec![Expr::from(rows), Expr::from(columns)],
                }),
                contents: None,
            });
            let graph = Graph { values: values.collect(), files: vec![FileRef::Model], ..Graph::default() };
            let files = vec![(PathBuf::from("w.bin"), Arc::clone(&source) as Arc<dyn ByteSource>)];
            let store = Store::from_sources(files, &graph).expect("a store");
            let turned = Duplicate { value: ValueId(1), of: ValueId(0), transposed: true };
            assert_eq!(store.duplicates(&graph), [turned]);
            let reads = source.1.load(Ordering::Relaxed);
            assert!(reads < 100, "{reads} reads");
        }
    }

    #[test]
    fn what_only_begins_alike_is_not() {
        let plain: Matrix = (60, 70, |row, column| row * 1000 + column);
        check(&[plain, (60, 70, |row, column| row * 1000 + column + u64::from(row + column == 128))], &[]);
        check(&[plain, (70, 60, |row, column| column * 1000 + row + u64::from(row + column == 128))], &[]);
        check(&[plain, (70, 60, |row, column| row * 1000 + column)], &[]);
        check(&[plain, (42, 100, |row, column| row * 1000 + column)], &[]);
        // Small ones are left alone.
        check(&[(3, 5, |_, _| 0), (3, 5, |_, _| 0), (5, 3, |_, _| 0)], &[]);
    }
}

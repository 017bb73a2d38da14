//! Digests of what is read in pieces.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bayplan_graph::{ByteRange, ConstData, Digest, Digester, Graph, ValueSource};

use crate::{Damage, Store, WeightsError};

/// Bytes read at a time where nobody else reads them.
const PIECE: u64 = 1 << 20;

/// Constants whose digests a model says, by where they lie.
#[derive(Debug, Default)]
pub(crate) struct Digests {
    /// In the order of files and offsets, no range twice.
    known: Vec<Known>,
}

#[derive(Debug)]
struct Known {
    range: ByteRange,
    digest: Digest,
    tensor: Arc<str>,
}

impl Digests {
    pub(crate) fn of(graph: &Graph) -> Self {
        let mut names: HashMap<ByteRange, &Arc<str>> = HashMap::new();
        if !graph.digests.is_empty() {
            for value in &graph.values {
                if let ValueSource::Constant(ConstData::Range(range)) = &value.source {
                    names.entry(*range).or_insert(&value.name);
                }
            }
        }
        let known = |&(range, digest): &(ByteRange, Digest)| {
            Some(Known { range, digest, tensor: (*names.get(&range)?).clone() })
        };
        let mut known: Vec<Known> = graph.digests.iter().filter_map(known).collect();
        known.sort_by_key(|own| place(&own.range));
        known.dedup_by_key(|own| own.range);
        Self { known }
    }

    /// What a constant hashes to.
    pub(crate) fn get(&self, range: &ByteRange) -> Option<Digest> {
        let index = self.known.partition_point(|own| place(&own.range) < place(range));
        self.known.get(index).filter(|own| own.range == *range).map(|own| own.digest)
    }

    /// The constant that some bytes are part of, by its number. (Constants that share only some of their bytes are none that
    /// bayplan packs; of those the last one that begins before the bytes counts.)
    fn around(&self, part: &ByteRange) -> Option<usize> {
        let start = |range: &ByteRange| (range.file.0, range.offset);
        let index = self.known.partition_point(|own| start(&own.range) <= start(part)).checked_sub(1)?;
        let own = &self.known[index].range;
        let holds = own.file == part.file && part.offset - own.offset + part.len <= own.len;
        holds.then_some(index)
    }
}

fn place(range: &ByteRange) -> (u32, u64, u64) {
    (range.file.0, range.offset, range.len)
}

/// Checks the digests of constants as their bytes pass, in pieces and in any order of constants, from one thread or several.
/// Pieces of one constant come in order; where they do not, or some are left out, the constant is read once more.
///
/// A constant is known to be whole when the call with its last piece has succeeded, all are when [`Checks::finish`] has.
#[derive(Debug)]
pub struct Checks {
    store: Store,
    /// Of each constant that has a digest, by its number.
    states: Vec<Mutex<State>>,
}

/// How far a constant is.
#[derive(Debug, Default)]
enum State {
    #[default]
    Untouched,
    /// What it hashes to up to which byte.
    Open(Box<Digester>, u64),
    Done,
}

impl Checks {
    fn new(store: Store) -> Self {
        let states = store.digests.known.iter().map(|_| Mutex::default()).collect();
        Self { store, states }
    }

    /// Bytes of a constant (or of a part of one), from its byte `skip` on, as they were read.
    ///
    /// # Errors
    /// [`WeightsError::Digest`]: with them a constant is whole, and has another digest than the model says. Or it had to be read
    /// once more, and that failed.
    pub fn update(&self, data: &ConstData, skip: u64, bytes: &[u8]) -> Result<(), WeightsError> {
        let ConstData::Range(range) = data else { return Ok(()) };
        let Some(offset) = range.offset.checked_add(skip).filter(|_| !bytes.is_empty()) else {
            return Ok(());
        };
        let part = ByteRange { file: range.file, offset, len: bytes.len() as u64 };
        match self.store.digests.around(&part) {
            Some(index) => self.add(index, &part, bytes),
            None => Ok(()),
        }
    }

    /// Adds a piece to a constant.
    fn add(&self, index: usize, part: &ByteRange, bytes: &[u8]) -> Result<(), WeightsError> {
        let range = self.store.digests.known[index].range;
        let mut state = self.states[index].lock().unwrap_or_else(PoisonError::into_inner);
        let (mut digester, mut next) = match std::mem::replace(&mut *state, State::Done) {
            State::Untouched => (Box::default(), 0),
            State::Open(digester, next) => (digester, next),
            State::Done => return Ok(()),
        };
        if part.offset - range.offset == next {
            digester.update(bytes);
            next += part.len;
            if next < range.len {
                *state = State::Open(digester, next);
                return Ok(());
            }
        }
        self.rest(index, *digester, next)
    }

    /// Reads what is left of a constant, and compares.
    fn rest(&self, index: usize, mut digester: Digester, mut next: u64) -> Result<(), WeightsError> {
        let own = &self.store.digests.known[index];
        let mut bytes = Vec::new();
        while next < own.range.len {
            let len = PIECE.min(own.range.len - next);
            bytes.resize(len as usize, 0);
            self.store.read_range(&own.range, next, &mut bytes)?;
            digester.update(&bytes);
            next += len;
        }
        let found = digester.digest();
        if found == own.digest {
            return Ok(());
        }
        Err(self.store.damaged(&own.range, &own.tensor, own.digest, found))
    }

    /// Checks what has begun and is not whole: reads the rest.
    ///
    /// # Errors
    /// As [`Self::update`].
    pub fn finish(&self) -> Result<(), WeightsError> {
        for (index, state) in self.states.iter().enumerate() {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            match std::mem::take(&mut *state) {
                State::Open(digester, next) => {
                    *state = State::Done;
                    self.rest(index, *digester, next)?;
                }
                other => *state = other,
            }
        }
        Ok(())
    }
}

impl Store {
    /// What the bytes of a constant hash to, where the model says it.
    pub fn digest(&self, data: &ConstData) -> Option<Digest> {
        match data {
            ConstData::Inline(_) => None,
            ConstData::Range(range) => self.digests.get(range),
        }
    }

    /// Whether the model says what its constants hash to.
    pub fn has_digests(&self) -> bool {
        !self.digests.known.is_empty()
    }

    /// The constant with a digest that some bytes are part of, by a number. Pieces of one are checked in order.
    pub fn digest_number(&self, data: &ConstData) -> Option<usize> {
        match data {
            ConstData::Inline(_) => None,
            ConstData::Range(range) => self.digests.around(range),
        }
    }

    /// For constants that are read in pieces: checks their digests as the pieces pass.
    pub fn checks(&self) -> Checks {
        Checks::new(self.clone())
    }

    /// Checks the bytes of a whole constant.
    pub(crate) fn check_whole(&self, range: &ByteRange, bytes: &[u8]) -> Result<(), WeightsError> {
        let Some(digest) = self.digests.get(range) else { return Ok(()) };
        let found = Digest::of(bytes);
        if found == digest {
            return Ok(());
        }
        let own = self.digests.known.iter().find(|own| own.range == *range);
        Err(self.damaged(range, own.map_or("", |own| &own.tensor), digest, found))
    }

    fn damaged(&self, range: &ByteRange, tensor: &str, expected: Digest, found: Digest) -> WeightsError {
        let path = self.files.get(range.file.0 as usize).map(|(path, _)| path.clone()).unwrap_or_default();
        let (tensor, offset, len) = (tensor.to_owned(), range.offset, range.len);
        WeightsError::Digest(Box::new(Damage { path, tensor, offset, len, expected, found }))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use bayplan_graph::{ByteSource, DType, FileId, FileRef, TensorType, Value};

    use super::*;

    const SIZES: [u64; 4] = [10, 1, 3_000_000, 77];

    fn bytes() -> Vec<u8> {
        (0..SIZES.iter().sum()).map(|at: u64| ((at * 2_654_435_761) >> 7) as u8).collect()
    }

    /// Tensors one after the other, and a store of a file where some bytes are others.
    fn store(flipped: &[usize]) -> (Vec<ConstData>, Store) {
        let whole = bytes();
        let (mut graph, mut offset) = (Graph { files: vec![FileRef::Model], ..Graph::default() }, 0);
        for (index, len) in SIZES.into_iter().enumerate() {
            let range = ByteRange { file: FileId(0), offset, len };
            let source = ValueSource::Constant(ConstData::Range(range));
            let ty = Some(TensorType::fixed(DType::U8, &[len]));
            graph.values.push(Value { name: format!("t{index}").into(), source, ty, contents: None });
            graph.digests.push((range, Digest::of(&whole[offset as usize..][..len as usize])));
            offset += len;
        }
        let mut damaged = whole;
        flipped.iter().for_each(|&at| damaged[at] ^= 0x10);
        let data = graph.values.iter().filter_map(|value| match &value.source {
            ValueSource::Constant(data) => Some(data.clone()),
            _ => None,
        });
        let source: Arc<dyn ByteSource> = Arc::new(damaged);
        (data.collect(), Store::from_sources(vec![(PathBuf::from("m.data"), source)], &graph).unwrap())
    }

    /// Reads a part of a constant and tells the checks.
    fn pass(checks: &Checks, data: &ConstData, skip: u64, len: u64) -> Result<(), WeightsError> {
        let mut bytes = vec![0; len as usize];
        checks.store.read_part(data, skip, &mut bytes)?;
        checks.update(data, skip, &bytes)
    }

    fn is_of(result: Result<(), WeightsError>, wanted: &str) {
        match result {
            Err(WeightsError::Digest(damage)) if damage.tensor == wanted => {}
            other => panic!("{wanted}: {other:?}"),
        }
    }

    /// The result is an error about a tensor, or none.
    fn told(result: Result<(), WeightsError>, wanted: Option<&str>) {
        match wanted {
            Some(wanted) => is_of(result, wanted),
            None => result.unwrap(),
        }
    }

    /// The sub-range of a constant, as sessions upload large ones.
    fn part(data: &ConstData, skip: u64, len: u64) -> ConstData {
        let ConstData::Range(range) = data else { panic!("a range") };
        ConstData::Range(ByteRange { offset: range.offset + skip, len, ..*range })
    }

    #[test]
    fn pieces_in_order_are_checked_with_the_last() {
        let (data, whole) = store(&[]);
        let (_, broken) = store(&[5, 2_000_000]);
        for piece in [1_000_000, 999_999, 3_000_000] {
            let checks = whole.checks();
            for (data, len) in data.iter().zip(SIZES) {
                for skip in (0..len).step_by(piece as usize) {
                    let len = piece.min(len - skip);
                    pass(&checks, data, skip, len).unwrap();
                }
            }
            let done = |state: &Mutex<State>| matches!(*state.lock().unwrap(), State::Done);
            assert!(checks.states.iter().all(done));
            checks.finish().unwrap();
            let checks = broken.checks();
            is_of(pass(&checks, &data[0], 0, 10), "t0");
            pass(&checks, &data[1], 0, 1).unwrap();
            for skip in (0..SIZES[2]).step_by(piece as usize) {
                let len = piece.min(SIZES[2] - skip);
                let passed = pass(&checks, &part(&data[2], skip, len), 0, len);
                told(passed, (skip + len == SIZES[2]).then_some("t2"));
            }
            pass(&checks, &data[3], 0, 77).unwrap();
            // What is known to be damaged has been told.
            checks.finish().unwrap();
        }
    }

    /// Two constants in turns; one from its end; one of which some is left out.
    #[test]
    fn pieces_in_another_order_are_checked_all_the_same() {
        let (data, whole) = store(&[]);
        let (_, broken) = store(&[5, 2_000_000]);
        for (store, fails) in [(&whole, false), (&broken, true)] {
            let checks = store.checks();
            pass(&checks, &data[0], 0, 4).unwrap();
            pass(&checks, &data[3], 0, 40).unwrap();
            let passed = pass(&checks, &data[0], 4, 6);
            told(passed, fails.then_some("t0"));
            pass(&checks, &data[3], 40, 37).unwrap();
            let passed = pass(&checks, &data[2], 500_000, 1000);
            told(passed, fails.then_some("t2"));
            let checks = store.checks();
            pass(&checks, &data[2], 0, 1000).unwrap();
            let finished = checks.finish();
            told(finished, fails.then_some("t2"));
        }
    }

    /// What is read at once is checked at once; what has no digest is not.
    #[test]
    fn whole_constants_are_checked_when_they_are_read() {
        let (data, store) = store(&[10]);
        store.read(&data[0], &mut [0; 10]).unwrap();
        let e = store.read(&data[1], &mut [0]).unwrap_err();
        let words = e.to_string();
        assert!(words.contains("`m.data` is damaged: tensor `t1`, 1 bytes from byte 10 on"), "{words}");
        is_of(Err(e), "t1");
        assert!(store.digest(&data[1]).is_some() && store.digest(&part(&data[0], 0, 9)).is_none());
        store.read(&part(&data[0], 0, 9), &mut [0; 9]).unwrap();
    }
}

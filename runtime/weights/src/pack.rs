//! Constants copied into a file of their own.

use std::io::{self, Write};

use bayplan_graph::{BlockFormat, ConstData, Digest, Digester};

use crate::{Checks, Store, WeightsError};

/// Bytes read at a time.
const PIECE: u64 = 1 << 20;

/// Blocks unpacked at a time: of 256 elements each they become 1 MiB of floats.
const BLOCKS: u64 = 1024;

/// Why a constant was not copied.
#[derive(Debug)]
pub enum CopyError {
    /// It cannot be read, or is damaged.
    Read(WeightsError),
    /// It cannot be written.
    Write(io::Error),
}

impl From<WeightsError> for CopyError {
    fn from(e: WeightsError) -> Self {
        Self::Read(e)
    }
}

/// Copies constants one after the other, in pieces, and hashes what is written.
#[derive(Debug)]
pub struct Copier<'a> {
    store: &'a Store,
    checks: Checks,
    bytes: Vec<u8>,
    floats: Vec<f32>,
}

impl<'a> Copier<'a> {
    /// For constants of a store.
    pub fn new(store: &'a Store) -> Self {
        Self { store, checks: store.checks(), bytes: Vec::new(), floats: Vec::new() }
    }

    /// Writes the bytes of a constant, those of blocks as the f32 that they stand for; gives their digest. Digests that the
    /// constant has already are checked.
    ///
    /// # Errors
    /// [`CopyError`].
    pub fn copy(
        &mut self,
        data: &ConstData,
        blocks: Option<BlockFormat>,
        out: &mut dyn Write,
    ) -> Result<Digest, CopyError> {
        let len = match data {
            ConstData::Inline(bytes) => bytes.len() as u64,
            ConstData::Range(range) => range.len,
        };
        let piece = blocks.map_or(PIECE, |format| BLOCKS * format.bytes() as u64);
        let (mut digester, mut at) = (Digester::new(), 0);
        while at < len {
            let count = piece.min(len - at);
            self.bytes.resize(count as usize, 0);
            self.store.read_part(data, at, &mut self.bytes)?;
            self.checks.update(data, at, &self.bytes)?;
            if let Some(format) = blocks {
                self.floats.clear();
                format.unpack(&self.bytes, &mut self.floats);
                self.bytes.clear();
                self.bytes.extend(self.floats.iter().flat_map(|float| float.to_le_bytes()));
            }
            digester.update(&self.bytes);
            out.write_all(&self.bytes).map_err(CopyError::Write)?;
            at += count;
        }
        Ok(digester.digest())
    }
}

//! The rules for late parts: a buffer's bytes that are another one's until a dispatch first touches them.

use std::ops::Range;

use crate::program::{Buffer, LatePart, Piece, Program, Window};

/// Checks a buffer's late parts, and that what lies in another buffer's late parts is gone when these are first used.
///
/// # Errors
/// The first rule that is broken, in words.
pub(super) fn check(program: &Program, buffer: &Buffer) -> Result<(), String> {
    let mut end = 0;
    for LatePart { bytes, first } in &buffer.late {
        if bytes.start < end || bytes.end < bytes.start || bytes.end > buffer.size {
            return Err(format!(
                "its late part {bytes:?} leaves its {} bytes or meets another part",
                buffer.size
            ));
        }
        if *first < buffer.lifespan.start {
            return Err(format!("its late part {bytes:?} is used from {first} on, before it lives"));
        }
        end = bytes.end;
    }
    let Some(host) = buffer.within else { return Ok(()) };
    let Some(host) = program.buffers.get(host.0 as usize) else { return Err("it lies in no buffer".into()) };
    let bytes = |offset: u64, size: u64| offset..offset.saturating_add(size);
    let (own, all) = (bytes(buffer.offset, buffer.size), bytes(host.offset, host.size));
    if host.arena != buffer.arena || own.start < all.start || own.end > all.end {
        return Err(format!("it does not lie in {}, as it should", host.name));
    }
    let shared = |piece: &Piece| {
        meet(&own, &bytes(piece.offset, piece.size)) && meet(&buffer.lifespan, &piece.lifespan)
    };
    match host.pieces(program.guard).iter().find(|piece| shared(piece)) {
        Some(piece) => {
            let (life, at) = (&buffer.lifespan, &piece.lifespan);
            let (from, to) = (piece.offset, piece.offset.saturating_add(piece.size));
            Err(format!(
                "it lives in {}..{}, in bytes of {} that are used in {}..{} ({from}..{to})",
                life.start, life.end, host.name, at.start, at.end
            ))
        }
        None => Ok(()),
    }
}

/// Whether a dispatch touches bytes of a window that are not its buffer's yet.
pub(super) fn early(buffer: &Buffer, window: &Window, index: u32) -> Result<(), String> {
    let start = window.offset.saturating_sub(buffer.offset);
    let bytes = start..start.saturating_add(window.len);
    match buffer.late.iter().find(|part| index < part.first && meet(&part.bytes, &bytes)) {
        Some(LatePart { bytes, first }) => {
            Err(format!("its bytes {}..{} are not its own before dispatch {first}", bytes.start, bytes.end))
        }
        None => Ok(()),
    }
}

/// Whether two half-open ranges have something in common.
fn meet<T: Ord>(a: &Range<T>, b: &Range<T>) -> bool {
    (&a.start).max(&b.start) < (&a.end).min(&b.end)
}

//! What all functions of a family need, found before any of them runs: programs, memory, weights in common.

use std::collections::BTreeSet;
use std::sync::Arc;

use bayplan_expr::Bindings;
use bayplan_shaders::Target;

use super::member::Member;
use super::{MAX_UNIONS, Reservation};
use crate::cell::Purpose;
use crate::error::CompileError;
use crate::program::{Arena, BufferKind, Program};
use crate::weights::Weights;

/// Refuses symbols without an upper bound, and what the device does not allocate at once.
pub(super) fn checked(
    members: &[Member],
    reserved: Reservation,
    target: &Target,
) -> Result<Reservation, CompileError> {
    let own = members.iter().filter(|member| member.routes.is_none());
    let dims: Vec<String> = own.flat_map(Member::unbounded).collect();
    if !dims.is_empty() {
        return Err(CompileError::Unbounded { dims });
    }
    reserved.checked(target).map_err(|e| with_bounds(e, members))
}

/// What was found of all functions.
pub(super) struct Explored {
    pub(super) first: Program,
    pub(super) reserved: Reservation,
}

/// Compiles what all functions need, with the same weights in all of it: those of the only compile, or the union of all.
pub(super) fn explored(
    members: &[Member],
    purpose: Purpose<'_>,
) -> Result<(Explored, Option<Weights>), CompileError> {
    let own = members.iter().filter(|member| member.routes.is_none());
    let mut spreads: Vec<Arc<Member>> = own.clone().flat_map(Member::spreads).collect();
    // What cannot run where dims broadcast may still where they are equal.
    spreads.retain(|spread| spread.load(&spread.general(), purpose, &mut Weights::default()).is_ok());
    let members: Vec<&Member> = own.chain(spreads.iter().map(|spread| &**spread)).collect();
    let mut points: Vec<(&Member, Bindings)> =
        members.iter().map(|&member| (member, member.general())).collect();
    let mut tries = 0;
    loop {
        let weights = if points.len() > 1 { Some(union(&points, purpose)?) } else { None };
        let purpose = Purpose { weights: weights.as_ref(), ..purpose };
        let (function, dims) = match explore(&members, purpose) {
            Err(CompileError::Weights { function, dims }) if tries < MAX_UNIONS => (function, dims),
            other => return Ok((other?, weights)),
        };
        // A part of some box loads something else: once more, with that in the union.
        tries += 1;
        for member in &members {
            member.forget();
        }
        let Some(&member) = members.iter().find(|member| member.name == function) else { continue };
        points.push((member, member.point(&dims)?));
    }
}

pub(super) fn no_function() -> CompileError {
    CompileError::Bind("a family needs at least one function".into())
}

fn explore(members: &[&Member], purpose: Purpose<'_>) -> Result<Explored, CompileError> {
    let mut reserved = Reservation::default();
    let mut first: Option<Program> = None;
    for member in members {
        let own = member.explore(purpose, &mut reserved, first.as_ref())?;
        first.get_or_insert(own);
    }
    Ok(Explored { first: first.ok_or_else(no_function)?, reserved })
}

/// Tells with an arena that is too large for one allocation which bound of a dim would make it fit.
fn with_bounds(error: CompileError, members: &[Member]) -> CompileError {
    let CompileError::Blocks { arena, max, .. } = error else { return error };
    let symbols: BTreeSet<String> =
        members.iter().flat_map(|member| member.scope.iter()).map(|(symbol, _)| symbol.to_owned()).collect();
    let most = |symbol: &String| members.iter().filter_map(|member| member.most(symbol, max)).min();
    let fitting = symbols.iter().filter(|symbol| members.iter().all(|member| member.fits(symbol, max)));
    let fitting = fitting.filter_map(|symbol| Some((symbol.clone(), most(symbol)?))).collect();
    CompileError::Blocks { arena, max, fitting }
}

/// What compiles with these reference points load, together.
pub(super) fn union(points: &[(&Member, Bindings)], purpose: Purpose<'_>) -> Result<Weights, CompileError> {
    let mut none = Weights::default();
    loop {
        let mut weights = none.clone();
        for (member, point) in points {
            member.load(point, Purpose { weights: Some(&none), ..purpose }, &mut weights)?;
        }
        // Each time more weights keep their layout, so that this ends.
        match weights.with_one_layout() {
            Some(fewer) => none = fewer,
            None => return Ok(weights),
        }
    }
}

/// Whether two programs load the same weights to the same places.
pub(crate) fn same_weights(a: &Program, b: &Program) -> bool {
    fn weights(program: &Program) -> impl Iterator<Item = (usize, u64, u64, Arena)> {
        let buffers = program.buffers.iter().enumerate();
        let kept = buffers.filter(|(_, b)| matches!(b.kind, BufferKind::Weight | BufferKind::Load));
        kept.map(|(index, b)| (index, b.offset, b.size, b.arena))
    }
    let loads = |a: &Program, b: &Program| {
        (Arc::ptr_eq(&a.uploads, &b.uploads) || a.uploads == b.uploads)
            && (Arc::ptr_eq(&a.load, &b.load) || a.load == b.load)
    };
    loads(a, b) && weights(a).eq(weights(b))
}

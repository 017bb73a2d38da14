//! Families of which only what is asked for is compiled.

use bayplan_expr::Bindings;

use super::explore::{no_function, union};
use super::member::Member;
use crate::cell::Purpose;
use crate::error::CompileError;
use crate::program::Program;
use crate::weights::Weights;

/// Compiles each function once, as near to the upper corner of its box as the target can run, and where the given shapes need
/// another compile: the first program, and what all of them load if there are several.
pub(super) fn compiled_at(
    members: &[Member],
    also: &[Bindings],
    purpose: Purpose<'_>,
) -> Result<(Program, Option<Weights>), CompileError> {
    let members: Vec<&Member> = members.iter().filter(|member| member.routes.is_none()).collect();
    if let ([only], []) = (&members[..], also) {
        let (_, cell) = only.largest_possible(|point| only.keep(point, purpose))?;
        return Ok((cell.first.clone(), None));
    }
    let mut points = Vec::new();
    for &member in &members {
        let (point, _) = member.largest_possible(|point| member.keep(point, purpose))?;
        member.forget();
        points.push((member, point));
    }
    for member in &members {
        let whole = also.iter().filter_map(|dims| member.whole(dims).ok()).filter(|dims| member.serves(dims));
        for dims in whole {
            points.push((*member, member.point(&dims)?));
        }
    }
    let weights = union(&points, purpose)?;
    let mut first = None;
    for (member, point) in points {
        if !member.covers(&point) {
            let cell = member.keep(&point, Purpose { weights: Some(&weights), ..purpose })?;
            first.get_or_insert_with(|| cell.first.clone());
        }
    }
    Ok((first.ok_or_else(no_function)?, Some(weights)))
}

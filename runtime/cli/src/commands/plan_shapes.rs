//! What `bayplan plan` says of plans for every shape within bounds.

use bayplan_compile::plan_file::PlanFile;
use bayplan_text::{Bytes, Count, ellipsis};

use super::fit_text::formula;
use super::plan_why::labelled;

/// Most parts of the bounds that are told one by one.
const PARTS: usize = 8;

/// The formula and what is reserved. The lines before are those of the shape that needs the most.
pub(super) fn shapes_text(file: &PlanFile) -> String {
    let bytes = file.arena_bytes();
    let mut text =
        labelled("reserved", &format!("{}, {} bytes: enough for every shape", Bytes(bytes), Count(bytes)));
    for own in file.functions.iter().take(PARTS) {
        let conditions: Vec<String> = own.when.iter().map(ToString::to_string).collect();
        let when =
            if conditions.is_empty() { String::new() } else { format!(" where {}", conditions.join(", ")) };
        let reservation = &own.reservation;
        let least = if reservation.bytes == reservation.attained { "" } else { " or less" };
        let line = format!(
            "{}{}: {}{least}, for {}; {} buffers in one order",
            ellipsis(&own.function, 40),
            ellipsis(&when, 200),
            Bytes(reservation.bytes),
            ellipsis(&reservation.at.to_string(), 200),
            Count(own.buffers.len() as u64)
        );
        text += &labelled("", &line);
    }
    if let Some(more @ 1..) = file.functions.len().checked_sub(PARTS) {
        text += &labelled("", &format!("and {} more parts of the bounds", Count(more as u64)));
    }
    text + &formula(&file.memory, &[])
}

//! The names of buffers on a map: which have room for one, and where it stands.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bayplan_text::{columns, ellipsis, escape};

use crate::map::axis::Axis;
use crate::map::index::MapIndex;
use crate::map::raster::RasterOptions;
use crate::schema::plan_record::PlanRecord;

/// Columns from which on a buffer is named.
const NAMED: u16 = 6;

/// A name on the map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapLabel {
    /// Whose it is.
    pub buffer: u32,
    /// The cell in which it begins, from the left and from the top.
    pub col: u16,
    /// The row, from the top.
    pub row: u16,
    /// The name, escaped and cut to its room.
    pub text: String,
}

/// The names of the buffers that have room for one, in the middle of their rectangles. Time grows with what is large enough in
/// view.
pub fn map_labels(plan: &PlanRecord, options: &RasterOptions, index: &MapIndex) -> Vec<MapLabel> {
    let (cols, rows) = (options.cols, options.rows);
    if cols == 0 || rows == 0 {
        return Vec::new();
    }
    let x = Axis::new(u64::from(options.ops.start)..u64::from(options.ops.end), cols);
    // Twice the rows: a cell counts only if both of its halves are the buffer's.
    let y = Axis::new(options.bytes.clone(), rows.saturating_mul(2));
    // Most are too short or too low for a name, or out of view: not even their place is worth working out.
    let ops = u64::from(options.ops.end.saturating_sub(options.ops.start));
    let bytes = options.bytes.end.saturating_sub(options.bytes.start);
    let least =
        (ops.saturating_mul(NAMED.into()).div_ceil(cols.into()) as u32, bytes / (2 * u64::from(rows)));
    let large = index.large_at(options.ops.clone(), options.bytes.clone(), least).into_iter();
    let label = |buffer: u32| {
        let record = plan.buffers.get(buffer as usize)?;
        let (left, right) = (x.edge(record.first.into()), x.edge(record.last.into()));
        let (low, high) = (y.edge(record.offset).div_ceil(2), y.edge(record.end()) / 2);
        if right < left.saturating_add(NAMED) || high <= low {
            return None;
        }
        // One cell at each side keeps names apart.
        let text = map_name(&record.name, usize::from(right - left - 2));
        Some(MapLabel { buffer, col: left + 1, row: rows - 1 - (low + high - 1) / 2, text })
    };
    large.filter_map(label).collect()
}

/// A name in at most `width` columns, escaped: whole, or its last part, which says more than the first, or that cut.
pub fn map_name(name: &str, width: usize) -> String {
    if columns(name) <= width {
        return escape(name).to_string();
    }
    let last = name.trim_matches('/').rsplit('/').next().unwrap_or(name);
    // What exporters put after the name of the node says nothing.
    let last = last.strip_suffix("_output_0").unwrap_or(last);
    ellipsis(last, width).to_string()
}

//! The map of an arena, offset by op, in cells: however many buffers there are, a picture costs what it shows.

pub(crate) mod axis;
pub(crate) mod colour;
pub(crate) mod field;
pub(crate) mod grid;
pub(crate) mod index;
pub(crate) mod labels;
pub(crate) mod number_set;
pub(crate) mod raster;
pub(crate) mod shapes;
pub(crate) mod shelf;
pub(crate) mod sketch;
#[cfg(test)]
mod sketch_tests;
pub(crate) mod surface;
#[cfg(test)]
mod tests;
pub(crate) mod tree;

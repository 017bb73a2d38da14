//! What pictures look like: the colours of Okabe and Ito, which people with any form of colour blindness tell apart, as the
//! viewer in the terminal has them. Vermilion is for what is not as planned alone. Nothing is said by a colour alone.

use std::fmt::Write as _;

/// The rules of every picture. Plain values and one query, so that programs that know no variables draw it in light colours.
pub(crate) const STYLE: &str = include_str!("picture.css");

/// Colours of tensors: neighbours on the map get different ones.
pub(crate) const HUES: u8 = 4;

/// Hatchings, by names that are unique in a document that holds several pictures.
pub(crate) fn patterns(out: &mut String, id: &str) {
    let hatch = |name: &str, size: u8, turn: i16, class: &str, width: &str| {
        format!(
            "<pattern id=\"{id}-{name}\" width=\"{size}\" height=\"{size}\" patternUnits=\"userSpaceOnUse\" \
             patternTransform=\"rotate({turn})\"><rect class=\"{class}-ground\" width=\"{size}\" height=\"{size}\"/>\
             <rect class=\"{class}-line\" width=\"{width}\" height=\"{size}\"/></pattern>"
        )
    };
    // Writing to a string does not fail.
    let _ = write!(out, "<defs>{}", hatch("dev", 6, 45, "dev", "2.5"));
    for (name, size, turn) in [("added", 8, 0), ("removed", 7, -45), ("moved", 7, 45), ("resized", 8, 90)] {
        out.push_str(&hatch(name, size, turn, name, "3"));
    }
    *out += "</defs>\n";
}

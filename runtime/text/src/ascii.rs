//! Stand-ins for the signs of pictures, where only ASCII may be shown.

use alloc::string::String;

/// Signs and what stands for them. On one map every sign has its own: shades, borders, the playhead, cross-hair, ghost.
const STAND_INS: &[(&str, char)] = &[
    ("─┄", '-'),
    ("╌", '"'),
    ("━═‖", '='),
    ("│▏▕", '|'),
    ("║", '@'),
    ("╎┆", '\''),
    ("┈", '_'),
    ("┌┐└┘├┤┬┴┼┏┓┗┛", '+'),
    ("╭╮╰╯┅┇", '~'),
    ("░▁", '.'),
    ("▒▂▃", ':'),
    ("▓▄▅▀", '='),
    ("█▆▇▌▐▉▊▋▍▎┃", '#'),
    ("╳⚠", '!'),
    ("✝×", 'x'),
    ("●◉◆▣", '*'),
    ("○", 'o'),
    ("▸▶►→≥", '>'),
    ("◂◀◄←≤", '<'),
    ("▲↑", '^'),
    ("▼↓", 'v'),
    ("·…", '.'),
    ("╱", '/'),
    ("—–−", '-'),
    ("±", '~'),
    ("µ", 'u'),
];

/// What cannot take up more room on a line: frames and the borders of maps.
const LINES: &str = "│┤├┃║";

/// Puts stand-ins into a row of cells, in place. The sign of what was cut becomes two dots where one would read as a full stop:
/// the second takes a blank beside it, or else a character of what was cut.
pub fn ascii_row(row: &mut [char]) {
    for at in 0..row.len() {
        if row[at] == '…' {
            let beside = second_dot(row, at);
            beside.into_iter().for_each(|beside| row[beside] = '.');
        }
    }
    row.iter_mut().for_each(|c| *c = ascii(*c));
}

/// The cell beside a sign of what was cut that can be a dot, too.
fn second_dot(row: &[char], at: usize) -> Option<usize> {
    let cell = |at: Option<usize>| at.and_then(|at| row.get(at)).copied();
    let (left, right) = (at.checked_sub(1), at + 1);
    // Where there is nothing, nothing runs together.
    let is_free = |at: Option<usize>| cell(at).is_none_or(|c| c == ' ' || LINES.contains(c));
    let is_blank = |at: Option<usize>| cell(at) == Some(' ');
    let is_text = |at: Option<usize>| !is_free(at);
    if is_blank(Some(right)) && is_free(Some(right + 1)) {
        return Some(right);
    }
    if is_blank(left) && is_free(left.and_then(|left| left.checked_sub(1))) {
        return left;
    }
    left.filter(|left| is_text(Some(*left))).or(Some(right).filter(|right| is_text(Some(*right))))
}

/// The same for a line that may become longer.
pub fn ascii_text(text: &str) -> String {
    let cells = text.chars().flat_map(|c| if c == '…' { [Some('.'); 2] } else { [Some(ascii(c)), None] });
    cells.flatten().collect()
}

/// The character itself if it is ASCII, else the one that stands for it: `?` where nothing does.
pub fn ascii(c: char) -> char {
    if c.is_ascii() {
        return c;
    }
    STAND_INS.iter().find(|(signs, _)| signs.contains(c)).map_or('?', |(_, ascii)| *ascii)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn what_stands_for_a_sign_is_ascii_and_no_sign_has_two() {
        for (at, (signs, stand_in)) in STAND_INS.iter().enumerate() {
            assert!(stand_in.is_ascii_graphic());
            for sign in signs.chars() {
                assert!(!sign.is_ascii() && ascii(sign) == *stand_in, "{sign}");
                assert!(STAND_INS[at + 1..].iter().all(|(others, _)| !others.contains(sign)), "{sign} twice");
            }
        }
        assert_eq!([ascii('a'), ascii(' '), ascii('漢'), ascii('\u{202e}')], ['a', ' ', '?', '?']);
    }

    /// One dot would read as the end of a sentence, or as a point in a number.
    #[test]
    fn what_was_cut_ends_in_two_dots() {
        for (row, expect) in [
            ("Conv…   12", "Conv..  12"),
            ("Conv… 12", "Con.. 12"),
            ("Conv…│", "Con..|"),
            ("Conv… │", "Conv..|"),
            ("Softmax …tmax_4", "Softmax ..max_4"),
            ("│…tmax_4", "|..max_4"),
            ("│ …tmax_4", "|..tmax_4"),
            ("│ … 31 more lines", "|.. 31 more lines"),
            ("Conv…Relu", "Con..Relu"),
            ("  …", " .."),
            ("a …", "a …"),
            ("…", "."),
            ("", ""),
            ("12 % · ▒ used", "12 % . : used"),
        ] {
            let mut cells: Vec<char> = row.chars().collect();
            ascii_row(&mut cells);
            let expect = expect.replace('…', ".");
            assert_eq!(cells.iter().collect::<String>(), expect, "{row}");
        }
        assert_eq!(ascii_text("Conv…Relu · 3"), "Conv..Relu . 3");
    }

    #[test]
    fn signs_of_one_map_stay_different() {
        // Free, planned, seen, live, not as planned, borders, playhead, bound, cross-hair, ghost: outline, end, hatching.
        let signs = [' ', '░', '▒', '█', '╳', '│', '─', '║', '┈', '╌', '╎', '┼', '┅', '═', '╱'];
        let mut shown = signs.map(ascii).to_vec();
        shown.sort_unstable();
        shown.dedup();
        assert_eq!(shown.len(), signs.len());
    }
}

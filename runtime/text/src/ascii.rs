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
/// the second takes a blank beside it, or else a character of what was cut. An arrow between words becomes `->`, as `>` alone
/// says that the one is more than the other: what follows moves on into the next two blanks.
pub fn ascii_row(row: &mut [char]) {
    for at in 0..row.len() {
        if row[at] == '→' {
            put_arrow(row, at);
        }
    }
    for at in 0..row.len() {
        if row[at] == '…' {
            let beside = second_dot(row, at);
            beside.into_iter().for_each(|beside| row[beside] = '.');
        }
    }
    row.iter_mut().for_each(|c| *c = ascii(*c));
}

/// Writes an arrow between words in two cells; where nothing can move, its first takes the blank before it.
fn put_arrow(row: &mut [char], at: usize) {
    let is_blank = |row: &[char], at: usize| row.get(at) == Some(&' ');
    if at == 0 || !is_blank(row, at - 1) || !is_blank(row, at + 1) {
        return;
    }
    // One of two blanks can go, and so can the one before a line; of a frame's edge, what comes after a blank.
    let is_spare = |at: &usize| match row[*at] {
        ' ' => row.get(at + 1).is_none_or(|next| *next == ' ' || LINES.contains(*next)),
        '─' => is_blank(row, at - 1),
        _ => false,
    };
    let line = row[at..].iter().position(|c| LINES.contains(*c)).map_or(row.len(), |line| at + line);
    match (at + 1..line).find(is_spare) {
        Some(spare) => {
            row.copy_within(at..spare, at + 1);
            (row[at], row[at + 1]) = ('-', '>');
        }
        None => (row[at - 1], row[at]) = ('-', '>'),
    }
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
    let cells = text.chars().flat_map(|c| match c {
        '…' => [Some('.'); 2],
        '→' => [Some('-'), Some('>')],
        c => [Some(ascii(c)), None],
    });
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

    /// `>` alone would read as a comparison.
    #[test]
    fn arrows_between_words_have_a_shaft() {
        for (row, expect) in [
            ("│ 661 ms → 936 ms   │", "| 661 ms -> 936 ms  |"),
            ("┌ a → b ────┐", "+ a -> b ---+"),
            ("a → b → c   d", "a -> b -> c d"),
            ("│a → b │", "|a -> b|"),
            ("a → b", "a-> b"),
            ("│a → b│c  │", "|a-> b|c  |"),
            ("hjkl ←↓↑→ move", "hjkl <v^> move"),
            ("→ b ", "> b "),
        ] {
            let mut cells: Vec<char> = row.chars().collect();
            ascii_row(&mut cells);
            assert_eq!(cells.iter().collect::<String>(), expect, "{row}");
        }
        assert_eq!(ascii_text("661 ms → 936 ms"), "661 ms -> 936 ms");
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

//! Stand-ins for the signs of pictures, where only ASCII may be shown.

/// Signs and what stands for them. On one map every sign has its own: shades, borders, the playhead, cross-hair, ghost.
const STAND_INS: &[(&str, char)] = &[
    ("─┄╌", '-'),
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

    #[test]
    fn signs_of_one_map_stay_different() {
        // Free, planned, seen, live, not as planned, border, playhead, bound, cross-hair, ghost: outline, end, hatching.
        let signs = [' ', '░', '▒', '█', '╳', '│', '║', '┈', '╌', '╎', '┼', '┅', '═', '╱'];
        let mut shown = signs.map(ascii).to_vec();
        shown.sort_unstable();
        shown.dedup();
        assert_eq!(shown.len(), signs.len());
    }
}

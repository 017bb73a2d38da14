//! The windows of the peak and of what-ifs on terminals of every size: whole sentences, nothing that is there twice or not at
//! all.

use bayplan_text::Bytes;
use bayplan_trace::PlanRecord;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Cell;

use crate::model::lists::ListKind;
use crate::model::whatif::{Edit, Row, typed_offset};
use crate::picture_tests::{draw, model};
use crate::support;
use crate::theme::{Colours, Theme};
use crate::watch::Watch;

/// The bay plan after some keys, each pressed where the picture before it was.
fn opened(plan: &PlanRecord, size: (u16, u16), keys: &str) -> Watch {
    let mut watch = Watch::of(model(support::records(plan, support::windows(plan), 4)), 1);
    shown(&mut watch, size);
    press(&mut watch, keys, size);
    watch
}

fn press(watch: &mut Watch, keys: &str, size: (u16, u16)) {
    for c in keys.chars() {
        let code = match c {
            '\n' => KeyCode::Enter,
            '\u{1b}' => KeyCode::Esc,
            c => KeyCode::Char(c),
        };
        watch.key(KeyEvent::new(code, KeyModifiers::NONE));
        watch.hear();
        shown(watch, size);
    }
}

/// The rows of a picture.
fn shown(watch: &mut Watch, size: (u16, u16)) -> Vec<String> {
    let picture = draw(watch, size, &Theme::new(Colours::None, false));
    let row = |row: &[Cell]| row.iter().map(Cell::symbol).collect::<String>();
    picture.content.chunks(usize::from(size.0)).map(row).collect()
}

/// The rows of a picture of the bay plan after some keys.
fn rows(plan: &PlanRecord, keys: &str, size: (u16, u16)) -> Vec<String> {
    shown(&mut opened(plan, size, keys), size)
}

/// The rows inside the frame of the window.
fn framed(rows: &[String]) -> Vec<String> {
    let cells: Vec<Vec<char>> = rows.iter().map(|row| row.chars().collect()).collect();
    let title = |row: &[char]| row.windows(6).position(|cells| cells.iter().collect::<String>() == "┌ why ");
    let found = cells.iter().enumerate().find_map(|(y, row)| Some((y, title(row)?)));
    let (top, left) = found.unwrap_or_else(|| panic!("no window in\n{}", rows.join("\n")));
    let right = left + cells[top][left..].iter().position(|c| *c == '┐').unwrap();
    let inside = cells[top + 1..].iter().take_while(|row| row[left] == '│');
    inside.map(|row| row[left + 1..right].iter().collect()).collect()
}

/// What stands in the window, as one text.
fn inside(rows: &[String]) -> String {
    let words = framed(rows).into_iter().map(|line| line.replace(['│', '┃'], " "));
    words.collect::<Vec<_>>().join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_window_of_the_peak_wastes_no_row() {
    for (width, height) in [(40, 12), (44, 14), (60, 16), (80, 24), (120, 40), (200, 50)] {
        let rows = rows(&support::by_hand(), "P", (width, height));
        let text = inside(&rows);
        for words in ["4 tensors live at op 4 Softmax", "9.00 KiB arena = 8.00 KiB live", "+ 1.00 KiB holes"]
        {
            assert!(text.contains(words), "{words} at {width}x{height}:\n{}", rows.join("\n"));
        }
        assert!(text.contains("1.00 KiB (11.1 %) could be saved at most"), "{}", rows.join("\n"));
        for name in ["block/up", "block/context", "block/key", "block/scores"] {
            let end = name.chars().skip(name.len() - 5).collect::<String>();
            assert!(text.contains(&end), "{name} at {width}x{height}:\n{}", rows.join("\n"));
        }
        // Between the parts no more than one row is free.
        let free = |row: &String| row.chars().all(|c| " │┃".contains(c));
        let longest = framed(&rows).split(|row| !free(row)).map(<[String]>::len).max();
        assert!(longest <= Some(1), "{longest:?} at {width}x{height}:\n{}", rows.join("\n"));
    }
}

#[test]
fn the_window_of_the_peak_says_what_is_changed() {
    for (width, height) in [(40, 12), (80, 24), (120, 40)] {
        let rows = rows(&support::by_hand(), "xP", (width, height));
        let text = inside(&rows);
        let words = match width {
            40 => ["changed: without", ": −3.00 KiB"],
            _ => ["as recorded · changed: without block/up", ": 6.00 KiB, −3.00 KiB"],
        };
        assert!(words.iter().all(|words| text.contains(words)), "{}", rows.join("\n"));
        // What is told below is the recorded plan.
        assert!(text.contains("9.00 KiB arena"), "{}", rows.join("\n"));
    }
    assert!(!inside(&rows(&support::by_hand(), "xuP", (80, 24))).contains("changed"));
}

/// Every row of the window of questions, at every size: what is said of it ends with its sentence, and so does what stands
/// above; with changes in force, too.
#[test]
fn no_sentence_of_the_window_of_questions_is_cut() {
    for (size, keys) in
        [((40, 12), "w"), ((40, 12), "xw"), ((80, 24), "w"), ((80, 24), "xw"), ((120, 40), "xw")]
    {
        let mut watch = opened(&support::by_hand(), size, keys);
        watch.key(KeyEvent::from(KeyCode::Home));
        for _ in 0..watch.model.asked_rows_at_most() {
            let rows = shown(&mut watch, size);
            let text = inside(&rows);
            let row = watch.model.asked_row().unwrap();
            let wanted = match row {
                Row::More(_) => "enter lists all of them.",
                Row::Reason(_) => "enter asks about it.",
                Row::Offset(_) => "2.5 MiB.",
                _ => "enter shows it",
            };
            let window = rows.join("\n");
            assert!(text.contains(wanted), "{wanted} for {row:?} at {size:?}:\n{window}");
            let list = ["what makes it so large", "▸▣", "▣", "… and", "what if …"];
            let begins = list.iter().filter_map(|words| text.find(words)).min().unwrap_or(text.len());
            let above = text[..begins].trim();
            if size.0 > 40 {
                assert!(above.ends_with('.'), "{above} at {size:?}:\n{window}");
                assert_eq!(
                    above.contains("changed: without block/up: 6.00 KiB, −3.00 KiB"),
                    keys == "xw",
                    "{window}"
                );
            } else if keys == "xw" {
                assert!(
                    rows.iter().any(|row| row.contains("changed: without") && row.contains("−3.00 KiB")),
                    "{window}"
                );
            } else {
                let known = "Least in this order: 8.00 KiB. The plan has 1.00 KiB more.";
                assert!(text.contains(known), "{window}");
            }
            watch.key(KeyEvent::from(KeyCode::Down));
        }
    }
}

/// The window is about the tensor at the cursor, wherever that comes from, and shows it from the first row on.
#[test]
fn the_window_is_about_the_tensor_at_the_cursor() {
    let record = support::by_hand();
    let number = |name: &str| record.buffers.iter().position(|buffer| buffer.name == name).unwrap() as u32;
    for (name, size) in
        [("block/gelu", (80, 24)), ("block/scores", (80, 24)), ("logits", (40, 12)), ("tokens", (120, 40))]
    {
        let mut watch = opened(&record, size, "");
        watch.model.select(number(name));
        press(&mut watch, "w", size);
        assert_eq!(watch.model.asked.tensor, Some(number(name)));
        let rows = shown(&mut watch, size);
        assert!(watch.model.asked_rows().contains(&Row::Question(Some(Edit::Halve(number(name))))));
        let seen = rows.iter().any(|row| row.contains(&format!("half of {name}")));
        assert!(seen || size == (40, 12), "{}", rows.join("\n"));
        assert_eq!(watch.model.lists.get(ListKind::Questions).top, 0, "{}", rows.join("\n"));
        assert!(matches!(watch.model.asked_row(), Some(Row::Question(_))));
        // On the Overview nobody sees the cursor: it stays what it was about.
        press(&mut watch, "\u{1b}1", size);
        press(&mut watch, "w", size);
        assert_eq!(watch.model.asked.tensor, Some(number(name)));
    }
    let mut watch = opened(&record, (80, 24), "1w");
    let first = watch.model.asked_rows().into_iter().nth(1);
    assert_eq!(first, Some(Row::Reason(0)));
    let Some(Ok(because)) = watch.model.asked.because() else { panic!("it is known") };
    assert_eq!(watch.model.asked.tensor, Some(because.reasons[0].buffer));
    // A larger window lists all tensors of the bound, and the cursor stays where it was.
    press(&mut watch, "jj", (40, 12));
    let row = watch.model.asked_row();
    assert!(watch.model.asked_rows().iter().any(|row| matches!(row, Row::More(_))));
    shown(&mut watch, (120, 40));
    assert!(watch.model.asked_rows().iter().all(|row| !matches!(row, Row::More(_))));
    assert_eq!(watch.model.asked_row(), row);
}

/// With a change in force everything in the window is held against the plan so changed, each change can be taken back, and
/// nothing is asked of what is gone.
#[test]
fn changes_in_force_are_what_questions_are_held_against() {
    let size = (120, 40);
    let mut watch = opened(&support::by_hand(), size, "xw");
    let text = inside(&shown(&mut watch, size));
    assert!(text.contains("changed: without block/up: 6.00 KiB, −3.00 KiB"), "{text}");
    assert!(text.contains("no plan can be smaller than 6.00 KiB"), "{text}");
    assert!(!text.contains("half of block/up") && !text.contains("▣ block/up"), "{text}");
    assert!(text.contains("undo: without block/up +3.00 KiB 9.00 KiB 8.00 KiB"), "{text}");
    let rows = watch.model.asked_rows();
    for row in rows.iter().filter(|row| watch.model.asked.asks(row).is_some()) {
        let Some(Ok(brief)) = watch.model.asked.found(row) else { panic!("{row:?} is not answered") };
        let change = match brief.arena.1.cmp(&(6 << 10)) {
            std::cmp::Ordering::Less => format!("−{}", Bytes((6 << 10) - brief.arena.1)),
            std::cmp::Ordering::Equal => "as now".to_owned(),
            std::cmp::Ordering::Greater => format!("+{}", Bytes(brief.arena.1 - (6 << 10))),
        };
        let line = format!("{change} {}", Bytes(brief.arena.1));
        assert!(text.contains(&line), "{line} of {row:?} in {text}");
    }
    // Two changes; the first is taken back, the second stays.
    let at = rows.iter().position(|row| *row == Row::Question(Some(Edit::Order))).unwrap();
    watch.model.lists.get_mut(ListKind::Questions).go(at);
    press(&mut watch, "\nw", size);
    assert_eq!(watch.model.asked.edits, [Edit::Drop(5), Edit::Order]);
    let at = watch.model.asked_rows().iter().position(|row| *row == Row::Back(Edit::Drop(5))).unwrap();
    watch.model.lists.get_mut(ListKind::Questions).go(at);
    press(&mut watch, "\n", size);
    assert_eq!(watch.model.asked.edits, [Edit::Order]);
    assert_eq!(watch.model.ghost().unwrap().title, "another order of operators");
    // What the other order needs is no smaller in yet another one.
    press(&mut watch, "w", size);
    let text = inside(&shown(&mut watch, size));
    assert!(text.contains("With the operators so no plan can be smaller than 7.00 KiB"), "{text}");
}

/// What is said of other orders is what the answer to that question is.
#[test]
fn no_two_sentences_say_different_things_of_orders() {
    for record in [support::by_hand(), support::encoder(1)] {
        let size = (200, 50);
        let mut watch = opened(&record, size, "w");
        let text = inside(&shown(&mut watch, size));
        let Some(Ok(because)) = watch.model.asked.because() else { panic!("it is known") };
        let Some(Ok(order)) = watch.model.asked.answer(&[Edit::Order]) else { panic!("{text}") };
        let least = order.least_of_orders.is_some_and(|least| least >= because.peak);
        assert_eq!(text.contains("no other order does"), least, "{text}");
        assert!(
            !least || !text.contains("another order,") && !text.contains("or perhaps another order"),
            "{text}"
        );
        // The rows of tensors and those of questions agree.
        for reason in because.reasons.iter().take(6) {
            let Some(Ok(brief)) = watch.model.asked.answer(&[Edit::Drop(reason.buffer)]) else {
                panic!("{text}")
            };
            assert_eq!(watch.model.asked.gain(because, reason).at_least, because.peak - brief.arena.1);
        }
    }
}

/// Where a tensor is to begin is typed, and lies there.
#[test]
fn a_tensor_is_moved_where_it_is_typed() {
    let size = (120, 40);
    let mut watch = opened(&support::by_hand(), size, "w");
    let at = watch.model.asked_rows().iter().position(|row| *row == Row::Offset(5)).unwrap();
    watch.model.lists.get_mut(ListKind::Questions).go(at);
    press(&mut watch, "\n", size);
    let text = shown(&mut watch, size).join("\n");
    assert!(text.contains("type where block/up is to begin, such as 2.5 MiB or 0x280000; now 0 B"), "{text}");
    press(&mut watch, "3q\n", size);
    let text = shown(&mut watch, size).join("\n");
    assert!(text.contains("3q is no offset"), "{text}");
    watch.key(KeyEvent::from(KeyCode::Backspace));
    // What is offered instead of a place between two can be typed as it stands.
    press(&mut watch, "154177\n", size);
    let text = shown(&mut watch, size).join("\n");
    let align = support::by_hand().buffers[5].alignment;
    let below = 3_154_177 - 3_154_177 % align;
    assert!(text.contains(&format!("multiples of {align} B only, such as {below} B ")), "{text}");
    assert_eq!(typed_offset(&format!("{below} B"), 5, &support::by_hand()), Ok(Edit::At(5, below)));
    for _ in "154177".chars() {
        watch.key(KeyEvent::from(KeyCode::Backspace));
    }
    press(&mut watch, " KiB\n", size);
    assert_eq!(watch.model.asked.edits, [Edit::At(5, 3 << 10)]);
    let text = shown(&mut watch, size).join("\n");
    assert!(text.contains("block/up moved to offset 3.00 KiB"), "{text}");
}

/// While a what-if is in force, what stands around the map says which plan it is of.
#[test]
fn around_the_map_recorded_and_changed_are_told_apart() {
    for size in [(80, 24), (120, 40), (200, 50)] {
        let mut watch = opened(&support::by_hand(), size, "");
        let before = shown(&mut watch, size).join("\n");
        assert!(
            !before.contains("as recorded") && before.contains("├ why this peak?  4 tensors"),
            "{before}"
        );
        press(&mut watch, "x", size);
        let after = shown(&mut watch, size).join("\n");
        for words in [
            "9.00 KiB as recorded",
            "├ recorded peak  4 tensors",
            "▣ block/up 2.00 KiB",
            "└ what if?  changed: without block/up: ",
            "−3.00 KiB",
        ] {
            assert!(after.contains(words), "{words} in {after}");
        }
        assert!(!after.contains("optimal for this order") && !after.contains("why this peak?"), "{after}");
        press(&mut watch, "u", size);
        assert!(!shown(&mut watch, size).join("\n").contains("as recorded"));
    }
}

/// A change too small to be told in percent has one sign.
#[test]
fn changes_have_one_sign() {
    use crate::model::whatif::change;
    assert_eq!(change(9 << 10, 7 << 10).unwrap(), "−2.00 KiB (−22.2 %)");
    assert_eq!(change(7 << 10, 14 << 10).unwrap(), "+7.00 KiB (+100.0 %)");
    assert_eq!(change(98 << 20, (98 << 20) - 1024).unwrap(), "−1.00 KiB (<0.1 %)");
    assert_eq!(change(5, 5), None);
}

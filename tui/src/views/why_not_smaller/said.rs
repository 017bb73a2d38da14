//! What the window says above its list and below it, in whole sentences: where there is too little room, the least important
//! ones are told in fewer words or left out.

use bayplan_plan::explain::Verdict;
use bayplan_text::Bytes;
use bayplan_trace::PlanRecord;
use ratatui::text::Line;

use super::figures::row_words;
use crate::draw::{self, Sentence};
use crate::keys::Action;
use crate::model::whatif::{Because, Brief, Edit, Reason, Row, change};
use crate::model::{Model, explain};
use crate::theme::Theme;

/// A line above the list.
pub(super) enum Above {
    /// What is changed of the plan.
    Changed(String),
    /// What is known of it.
    Known(String),
}

impl Above {
    pub(super) fn line(self, theme: &Theme) -> Line<'static> {
        match self {
            Self::Changed(words) => Line::styled(words, theme.cursor()),
            Self::Known(words) => Line::styled(words, theme.strong()),
        }
    }
}

/// What is changed now, and what no plan can be smaller than then.
pub(super) fn above(model: &Model, (width, rows): (usize, usize)) -> Vec<Above> {
    let Some(arena) = model.arena() else { return Vec::new() };
    let (asked, record) = (&model.asked, &arena.plan.record);
    let mut lines = Vec::new();
    if !asked.edits.is_empty() {
        lines.push(Above::Changed(asked.changed_words(record, width)));
    }
    let sentences = match asked.because() {
        None => vec![Sentence::new(9, "looking into it …")],
        Some(Err(why)) => vec![Sentence::new(9, format!("it cannot be told: {why}"))],
        Some(Ok(because)) => vec![
            bound(because, model, record),
            known(because),
            others(because, model, record),
            orders(because, model, record),
        ],
    };
    let rows = rows.saturating_sub(lines.len());
    lines.extend(draw::paragraph(sentences, width, rows).into_iter().map(Above::Known));
    lines
}

/// What no plan can be smaller than.
fn bound(because: &Because, model: &Model, record: &PlanRecord) -> Sentence {
    let bytes = Bytes(because.bound);
    if because.is_level(record) {
        let tensors = if because.reasons.len() == 1 { "this tensor lives" } else { "these tensors live" };
        return Sentence::new(9, format!("No plan can be smaller than {bytes}: {tensors} throughout."))
            .or(format!("Least: {bytes}."));
    }
    let tensors = if because.reasons.len() == 1 { "this tensor lives" } else { "these tensors live at once" };
    let padding = match because.padding {
        0 => String::new(),
        bytes => format!(", with {} of padding", Bytes(bytes)),
    };
    let reordered = model.asked.edits.iter().any(|edit| matches!(edit, Edit::Order | Edit::Late(_)));
    let order = if reordered { "With the operators so" } else { "In this order of operators" };
    let op = explain::op_name(record, because.witness);
    Sentence::new(9, format!("{order} no plan can be smaller than {bytes}: at {op} {tensors}{padding}."))
        .or(format!("Least in this order: {bytes}."))
}

/// How far the plan is from that.
fn known(because: &Because) -> Sentence {
    let gap = Bytes(because.peak.saturating_sub(because.bound));
    match because.verdict {
        Verdict::Empty => Sentence::new(8, "Nothing lives here."),
        Verdict::BoundMet => Sentence::new(8, "The plan is that small.").or("The plan has it."),
        Verdict::Excluded { .. } => Sentence::new(
            8,
            format!("The plan is {gap} larger, and a search of all others found none that is smaller."),
        )
        .or(format!("The plan has {gap} more: it must.")),
        Verdict::Open { at_most, .. } => match because.anew {
            Some(anew) if anew < because.peak => {
                Sentence::new(8, format!("The plan is {gap} larger: placed anew it needs {}.", Bytes(anew)))
                    .or(format!("The plan has {gap} more."))
            }
            Some(_) => {
                let words = format!(
                    "The plan is {gap} larger: nothing smaller was found, at most {} could be saved still.",
                    Bytes(at_most)
                );
                Sentence::new(8, words).or(format!("The plan has {gap} more."))
            }
            None => Sentence::new(
                8,
                format!("The plan is {gap} larger: at most {} could be saved.", Bytes(at_most)),
            )
            .or(format!("The plan has {gap} more.")),
        },
    }
}

/// What could make it smaller, as far as is known of other orders.
fn orders(because: &Because, model: &Model, record: &PlanRecord) -> Sentence {
    let fewer = "fewer or smaller tensors";
    let edits = model.asked.with(Some(&Edit::Order));
    let words = match model.asked.answer(&edits) {
        // What was placed badly is told already, and is none of the order's.
        _ if because.anew.is_some_and(|anew| anew < because.peak) => String::new(),
        _ if because.is_level(record) => format!("Only {fewer} can make it smaller: no order does."),
        Some(Ok(brief)) if brief.arena.1 < because.peak => {
            let saved = Bytes(because.peak - brief.arena.1);
            format!("Only {fewer}, or another order ({saved} less), make it smaller.")
        }
        Some(Ok(brief)) if brief.least_of_orders.is_some_and(|least| least >= because.peak) => {
            format!("Only {fewer} can make it smaller: no other order does.")
        }
        Some(Ok(_)) => format!("Only {fewer} can make it smaller: no better order was found."),
        Some(Err(_)) => format!("Only {fewer} can make it smaller: of other orders nothing is known."),
        None if model.asked.foreseen => {
            format!("Only {fewer} can make it smaller, or another order: that is being worked out …")
        }
        None => format!("Only {fewer}, or perhaps another order, can make it smaller."),
    };
    Sentence::new(5, words)
}

/// The operators that need as much, where no single tensor helps for them.
fn others(because: &Because, model: &Model, record: &PlanRecord) -> Sentence {
    let alone = because.reasons.iter().all(|reason| reason.without == 0);
    if !alone || because.reasons.len() < 2 {
        return Sentence::new(6, "");
    }
    // Where padding counts or something is changed, the figures of live bytes do not tell: the operator that is left does.
    let as_recorded = because.padding == 0 && model.asked.edits.is_empty();
    let named = model.arena().filter(|_| as_recorded).and_then(|arena| explain::as_full(&arena));
    let named = named.or_else(|| because.reasons.first().map(|first| explain::op_name(record, first.then)));
    let words = named.map(|named| format!("As much is needed at {named}: no single tensor helps."));
    Sentence::new(6, words.unwrap_or_default()).or("No single tensor helps.")
}

/// What is known of the chosen row, and what enter does.
pub(super) fn of_row(
    model: &Model,
    record: &PlanRecord,
    row: &Row,
    theme: &Theme,
    (width, rows): (usize, usize),
) -> Vec<Line<'static>> {
    let enter = theme.keys.name(Action::Inspect);
    let sentences = match row {
        Row::Head(_) => Vec::new(),
        Row::More(_) => vec![Sentence::new(9, format!("{enter} lists all of them."))],
        Row::Dims => {
            vec![Sentence::new(
                9,
                format!("{enter}, then type what they are to be, such as {}.", example(record)),
            )]
        }
        Row::Offset(tensor) => {
            let name = explain::short_name(record, *tensor);
            vec![Sentence::new(9, format!("{enter}, then type where {name} is to begin, such as 2.5 MiB."))]
        }
        Row::Reason(at) => match model.asked.because() {
            Some(Ok(because)) => because
                .reasons
                .get(*at)
                .map_or_else(Vec::new, |reason| of_reason(model, record, (because, reason), &enter)),
            _ => Vec::new(),
        },
        Row::Question(_) | Row::Back(_) => of_question(model, record, row, &enter),
    };
    let lines = draw::paragraph(sentences, width, rows);
    lines.into_iter().map(|line| Line::styled(line, theme.faint())).collect()
}

fn of_reason(
    model: &Model,
    record: &PlanRecord,
    (because, reason): (&Because, &Reason),
    enter: &str,
) -> Vec<Sentence> {
    let name = explain::buffer_name(record, reason.buffer);
    let Some(buffer) = record.buffers.get(reason.buffer as usize) else { return Vec::new() };
    let gain = model.asked.gain(because, reason);
    let arena = match (gain.exact(), gain.at_least, gain.at_most) {
        (Some(0), ..) => "no smaller".to_owned(),
        (Some(bytes), ..) => format!("{} smaller", Bytes(bytes)),
        (None, 0, most) => format!("{} smaller at most", Bytes(most)),
        (None, least, most) => format!("{} to {} smaller", Bytes(least), Bytes(most)),
    };
    let then = explain::op_name(record, reason.then);
    let halved = match reason.halved {
        0 => "With half of it the least is as now.".to_owned(),
        bytes => format!("With half of it the least is {} lower.", Bytes(bytes)),
    };
    vec![
        Sentence::new(7, format!("{name}: {}.", explain::life_of(record, buffer))).or(format!("{name}.")),
        Sentence::new(9, format!("Without it the arena is {arena}: most lives at {then} then."))
            .or(format!("Without it: {arena}.")),
        Sentence::new(5, halved),
        Sentence::new(8, format!("{enter} asks about it.")),
    ]
}

/// Values of symbols as they are typed.
pub(crate) fn example(record: &PlanRecord) -> String {
    let twice = record
        .dims
        .iter()
        .take(2)
        .map(|dim| format!("{}={}", bayplan_text::escape(&dim.name), dim.value.saturating_mul(2)));
    twice.collect::<Vec<_>>().join(" ")
}

fn of_question(model: &Model, record: &PlanRecord, row: &Row, enter: &str) -> Vec<Sentence> {
    let title = row_words(row, record);
    match model.asked.found(row) {
        None => vec![
            Sentence::new(9, format!("{title}.")),
            Sentence::new(8, format!("{enter} plans it and shows it over the map."))
                .or(format!("{enter} plans it.")),
        ],
        Some(Err(why)) => vec![Sentence::new(9, format!("{title}: {why}."))],
        Some(Ok(brief)) => {
            let found = brief.words_from(model.asked.before(&brief).unwrap_or(brief.arena.0));
            let mut sentences = vec![
                Sentence::new(9, format!("{title}: {found}.")).or(format!("{found}.")),
                against_recorded(model, &brief),
                Sentence::new(6, begun(&brief.proof_words())),
            ];
            sentences.extend(brief.notes.iter().map(|note| Sentence::new(4, begun(note))));
            sentences.push(
                Sentence::new(8, format!("{enter} shows it over the map.")).or(format!("{enter} shows it.")),
            );
            sentences
        }
    }
}

/// Words as a sentence.
fn begun(words: &str) -> String {
    let mut rest = words.chars();
    let first = rest.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), rest.as_str())
}

/// What all changes together make of the recorded plan, where there are some already.
fn against_recorded(model: &Model, brief: &Brief) -> Sentence {
    let (before, after) = brief.arena;
    let words = match change(before, after) {
        _ if model.asked.edits.is_empty() => String::new(),
        None => "As recorded, then.".to_owned(),
        Some(words) => format!("Against what is recorded: {words}."),
    };
    Sentence::new(5, words)
}

//! Why an arena is not smaller, for people.

use bayplan::Effort;
use bayplan_plan::explain::{BoundProof, Ground, Regret, Verdict};
use bayplan_text::{Bytes, Count, ellipsis};

use super::planned::{Orders, Planned};
use crate::out::counted;

/// Columns of a line.
pub(super) const WIDTH: usize = 80;

/// Columns of the label in front of a value.
pub(super) const LABEL: usize = 13;

/// Rows of a list.
const ROWS: usize = 6;

/// Columns of a name in a table.
const NAME: usize = 36;

/// Columns of a name in the chain, and of its offset: what lies beneath is told in the same line.
const LINK: usize = 23;
const OFFSET: usize = 17;

/// What is known of the bytes between bound and peak, as a sentence or two.
pub(super) fn verdict_text(planned: &Planned) -> String {
    let (plan, why) = (&planned.plan, &planned.why);
    let proved = || Count(plan.proved_bound);
    match why.verdict {
        Verdict::Empty => "there is nothing to place".into(),
        Verdict::BoundMet => format!("it is the least there can be: {}", met(planned)),
        Verdict::Excluded { .. } => format!(
            "it is the least there can be: an exhaustive search excluded every smaller plan, though the lower bound \
             is {} bytes below",
            Count(plan.gap())
        ),
        Verdict::Open { at_most, searched: true } => format!(
            "a plan up to {} bytes smaller may exist: no plan is below {}, and the search for one used up its work{}",
            Count(at_most),
            proved(),
            if planned.effort == Effort::Normal { "; --effort high searches longer" } else { "" }
        ),
        Verdict::Open { at_most, searched: false } => format!(
            "a plan up to {} bytes smaller may exist: no plan is below {}, and no search for one was made",
            Count(at_most),
            proved()
        ),
    }
}

/// Why a bound that is met cannot be lowered by a better plan.
fn met(planned: &Planned) -> String {
    match &planned.why.proof {
        BoundProof::Live(clique) => format!(
            "at point {}, {} live and add up to the peak; {} can lower it",
            Count(clique.point.into()),
            are(clique.buffers.len()),
            remedies(planned.orders)
        ),
        BoundProof::Padded(clique, padding) => format!(
            "at point {}, {} live and add up to the peak with {} bytes of padding that their alignment makes \
             unavoidable; {} can lower it",
            Count(clique.point.into()),
            are(clique.buffers.len()),
            Count(*padding),
            remedies(planned.orders)
        ),
        BoundProof::Fixed(buffer) => format!(
            "{} is fixed where its end is the peak; only a lower place for it, or a smaller size, can lower it",
            ellipsis(planned.id(*buffer), NAME)
        ),
    }
}

/// What can lower a bound that live buffers add up to.
const fn remedies(orders: Orders) -> &'static str {
    match orders {
        Orders::None => "only shorter lives or smaller buffers",
        Orders::Untried => {
            "only another order of operators (--order search looks for one), results in place, or smaller tensors"
        }
        Orders::Open => "only another order of operators, results in place, or smaller tensors",
        Orders::Best => "no order of operators needs less, so only results in place or smaller tensors",
    }
}

/// `1 buffer is`, `2 buffers are`.
fn are(number: usize) -> String {
    counted(number, "buffer is", "buffers are")
}

/// All that explains a plan.
pub(super) fn why_text(planned: &Planned) -> String {
    let why = &planned.why;
    let mut text = labelled("why?", &verdict_text(planned));
    if why.peak == 0 {
        return text;
    }
    text += &labelled("arena", &arena(planned));
    text += &clique(planned);
    text += &regrets(planned);
    text + &chain(planned)
}

/// How the arena is used at the witness.
fn arena(planned: &Planned) -> String {
    let loss = planned.why.loss;
    let mut parts = vec![format!("{} live", Bytes(loss.live))];
    if loss.padding > 0 {
        parts.push(format!("{} padding", Bytes(loss.padding)));
    }
    if loss.holes > 0 {
        parts.push(format!(
            "{} in {}",
            Bytes(loss.holes),
            counted(loss.hole_count as usize, "hole", "holes")
        ));
    }
    if loss.tail > 0 {
        parts.push(format!("{} unused on top", Bytes(loss.tail)));
    }
    format!("{} at point {}", parts.join(" + "), Count(planned.plan.lower_bound.witness.into()))
}

/// A label and its value, broken into lines of at most [`WIDTH`] columns between words.
pub(super) fn labelled(label: &str, value: &str) -> String {
    let (mut text, mut line) = (String::new(), format!("{label:LABEL$}"));
    let mut empty = true;
    for word in value.split(' ') {
        if !empty && bayplan_text::columns(&line) + 1 + bayplan_text::columns(word) > WIDTH {
            text += line.trim_end();
            text.push('\n');
            line = " ".repeat(LABEL);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line += word;
        empty = false;
    }
    text + line.trim_end() + "\n"
}

/// The buffers that the bound rests on, those first that it would sink the most without.
fn clique(planned: &Planned) -> String {
    let reliefs = &planned.why.reliefs;
    let head = match &planned.why.proof {
        BoundProof::Live(clique) | BoundProof::Padded(clique, _) => {
            format!("live at point {}", Count(clique.point.into()))
        }
        BoundProof::Fixed(_) => "fixed at the bound".into(),
    };
    let mut text = format!("{head:<36}{:>27} {:>13}\n", "bound sinks if dropped", "if halved");
    let bound = planned.plan.aligned_bound.bytes;
    let by = |bytes: u64| match bound.saturating_sub(bytes) {
        0 => "-".into(),
        less => Bytes(less).to_string(),
    };
    for relief in reliefs.iter().take(ROWS) {
        text += &format!(
            "  {:>8}  {:NAME$}  {:>13} {:>13}\n",
            Bytes(planned.buffer(relief.buffer).size),
            ellipsis(planned.id(relief.buffer), NAME),
            by(relief.without.bytes),
            by(relief.halved.bytes)
        );
    }
    let rest = reliefs.get(ROWS..).unwrap_or_default();
    if !rest.is_empty() {
        let bytes = rest.iter().map(|relief| planned.buffer(relief.buffer).size).sum();
        text += &format!("  {:>8}  in {} more\n", Bytes(bytes), rest.len());
    }
    text
}

/// What the arena would shrink by without a buffer.
fn regrets(planned: &Planned) -> String {
    let regrets = &planned.why.regrets;
    let (settled, peak) = (regrets.settled, planned.why.peak);
    let mut text = String::new();
    if settled < peak {
        let less = Count(peak - settled);
        text +=
            &labelled("loose", &format!("pressed down as it is stacked, it would take {less} bytes less"));
    }
    let largest = regrets.largest(usize::MAX);
    if largest.is_empty() {
        return text + &labelled("regrets", "none: without any one of the buffers it would be as large");
    }
    // A gap that is open could be due to any buffer; only what is proved is news.
    let (told, rest) = largest.split_at(largest.len().min(ROWS));
    let proved = told.iter().filter(|(_, regret)| regret.at_least > peak - settled);
    let proved: Vec<&(u32, Regret)> = proved.collect();
    if proved.is_empty() {
        let most = largest.iter().map(|(_, regret)| regret.at_most).max().unwrap_or(0);
        return text
            + &labelled("regrets", &format!("none proved; without one buffer at most {} less", Bytes(most)));
    }
    text += "the arena would shrink without\n";
    for (buffer, regret) in &proved {
        let [least, most] = [regret.at_least, regret.at_most].map(|bytes| Bytes(bytes).to_string());
        let by = if least == most { format!("by {least}") } else { format!("by {least} to {most}") };
        text += &format!(
            "  {:>8}  {:NAME$}  {by}\n",
            Bytes(planned.buffer(*buffer).size),
            ellipsis(planned.id(*buffer), NAME)
        );
    }
    let more = rest.iter().filter(|(_, regret)| regret.at_least > peak - settled).count();
    if more > 0 {
        text += &format!("  {:>8}  and {more} more\n", "");
    }
    if regrets.untried > 0 {
        text += &labelled("", &format!("{} not tried: the work was used up", are(regrets.untried as usize)));
    }
    text
}

/// The stack that reaches from the floor to the peak, from its top.
fn chain(planned: &Planned) -> String {
    let chain = &planned.why.critical.chain;
    let shown = if chain.len() > ROWS { ROWS - 1 } else { chain.len() };
    let mut text = format!("what carries the peak, from the top{:>19}\n", "offset");
    for link in chain.iter().rev().take(shown) {
        let beneath = match (link.gap, planned.why.rests.get(link.buffer).ground) {
            (_, Ground::Fixed) => "fixed there".into(),
            (0, _) => String::new(),
            (gap, Ground::Loose) => format!("{} free beneath", Bytes(gap)),
            (gap, _) => format!("{} padding beneath", Bytes(gap)),
        };
        let line = format!(
            "  {:>8}  {:LINK$}  {:>OFFSET$}  {beneath}",
            Bytes(planned.buffer(link.buffer).size),
            ellipsis(planned.id(link.buffer), LINK),
            Count(planned.offset(link.buffer))
        );
        text += line.trim_end();
        text.push('\n');
    }
    if chain.len() > shown {
        let rest = &chain[..chain.len() - shown];
        let bytes = rest.iter().map(|link| planned.buffer(link.buffer).size + link.gap).sum();
        text += &format!("  {:>8}  in {} more, down to the floor\n", Bytes(bytes), rest.len());
    }
    text
}

#[cfg(test)]
mod tests {
    use bayplan_plan::{csv, solve};

    use super::*;

    /// The last fills what is beneath the fixed one, so the first rests on that, with padding.
    #[test]
    fn what_lies_beneath_a_link_fits_its_line() {
        let (place, long) = (1_u64 << 40, "/layer.".repeat(9));
        let text = format!(
            "id,lower,upper,size,alignment,fixed\na,0,4,1000,256,\n{long},1,3,300,64,{place}\nc,2,6,{place},1048576,\n"
        );
        let instance = csv::read(&text).unwrap();
        let plan = solve(&instance.problem, Effort::Normal);
        let why = why_text(&Planned::new("x.csv", instance, plan, Effort::Normal).unwrap());
        let wide = why.lines().find(|line| bayplan_text::columns(line) > WIDTH);
        assert!(why.contains("212 B padding beneath") && wide.is_none(), "{wide:?} in\n{why}");
    }
}

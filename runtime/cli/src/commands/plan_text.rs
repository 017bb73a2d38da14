//! What `bayplan plan` says to people.

use bayplan::{Arena, Program};
use bayplan_compile::{Order, Schedule};
use bayplan_plan::Plan;
use bayplan_text::{Bytes, Count, Percent, ellipsis, escape};

use super::plan_copies::copies_text;
use super::plan_host::host_text;
use super::plan_ports::{ports_text, values_text};
use super::plan_times::Times;
use super::plan_why::{labelled, why_text};
use super::planned::Planned;
use super::run_text::dims_text;
use crate::out::counted;

/// Columns of a name in a line.
const NAME: usize = 66;

/// An instance, its plan, and why that is not smaller; `given` is the plan of the offsets in the file.
pub(super) fn instance_text(name: &str, planned: &Planned, given: Option<&Plan>) -> String {
    let count = counted(planned.instance.problem.len(), "buffer", "buffers");
    let mut text = format!("instance     {}  {count}\n", escape(name));
    text += &summary(&planned.plan);
    if let Some(given) = given {
        text += &format!("given        {}, the peak of the offsets in the file\n", sized(given.peak));
    }
    text + &why_text(planned)
}

/// A program, its plan, and why that is not smaller; `why` says why it is for the target that it is for.
pub(super) fn model_text(program: &Program, planned: &Planned, times: &Times, why: Option<&str>) -> String {
    let dims = dims_text(&program.dims);
    let mut text = format!("model        {}  {dims}", ellipsis(&program.name, 40)).trim_end().to_owned();
    text += &format!("\ntarget       {}\n", ellipsis(&program.target.name, NAME));
    if let Some(why) = why {
        text += &format!("             {}\n", ellipsis(why, NAME));
    }
    text += &summary(&program.run.plan);
    text += &format!("weights      {}\n", Bytes(program.arena_bytes[Arena::Weights.index()]));
    text += &format!("load peak    {}  while weights are loaded\n", Bytes(program.load.plan.peak));
    text += &format!(
        "dispatches   {} per run, {} while loading, {}\n",
        Count(program.run.dispatches.len() as u64),
        Count(program.load.dispatches.len() as u64),
        counted(program.kernels.len(), "kernel", "kernels")
    );
    text += &times.text();
    text += &values_text(program);
    text += &ports_text(program);
    text += &copies_text(program);
    text += &host_text(program);
    text += &order(&program.schedule, program.run.plan.peak);
    text += &blocks(program);
    let witness = program.run.plan.lower_bound.witness;
    if let Some(dispatch) = program.run.dispatches.get(witness as usize) {
        let (name, op) = (ellipsis(&dispatch.name, 36), ellipsis(&dispatch.source_op, 20));
        text += &format!("witness      point {witness}: {name} ({op})\n");
    }
    text + &why_text(planned)
}

/// In which order operators run, where anything is to be told of it. Of a program for many shapes, the order is chosen at
/// one of them, which need not be the one with this peak.
fn order(schedule: &Schedule, here: u64) -> String {
    let Schedule { candidate, given_peak, given_barriers, peak, barriers, bound, .. } = *schedule;
    let counted = |barriers: u32| counted(barriers as usize, "barrier", "barriers");
    let least = if bound == peak { "; no order needs less" } else { "" };
    let at = if peak == here { "" } else { ", at the shape it was chosen for" };
    let declined = schedule.declined.map_or_else(String::new, |declined| {
        format!(
            "; {} bytes and {} instead of {} bytes and {} would not be worth it{at}",
            Count(declined.peak),
            counted(declined.barriers),
            Count(given_peak),
            Count(given_barriers.into())
        )
    });
    match schedule.order {
        Order::Given if least.is_empty() && declined.is_empty() => String::new(),
        Order::Given => labelled("order", &format!("as the model has it{least}{declined}")),
        Order::Search | Order::Drawn(_) => labelled(
            "order",
            &format!(
                "another than the model's ({candidate}): {} bytes and {} instead of {} bytes and {}{at}{least}{declined}",
                Count(peak),
                counted(barriers),
                Count(given_peak),
                Count(given_barriers.into())
            ),
        ),
    }
}

/// Into how many allocations the arena is cut, where it is.
fn blocks(program: &Program) -> String {
    let count = program.blocks(Arena::Activations).len();
    if count < 2 {
        return String::new();
    }
    let most = Bytes(program.target.max_allocation);
    labelled(
        "blocks",
        &format!("{count}, as the device allocates at most {most} at once; no tensor lies in two"),
    )
}

/// Bytes, short and in full.
fn sized(bytes: u64) -> String {
    format!("{:<10}  {} bytes", Bytes(bytes).to_string(), Count(bytes))
}

fn summary(plan: &Plan) -> String {
    let mut text = format!("peak         {}\n", sized(plan.peak));
    let witness = Count(plan.lower_bound.witness.into());
    text += &format!("lower bound  {}, live at point {witness}\n", sized(plan.lower_bound.bytes));
    if plan.proved_bound > plan.lower_bound.bytes {
        text += &format!("proved       {}, no plan is smaller\n", sized(plan.proved_bound));
    }
    let waste = Percent(plan.waste()).to_string();
    text += &format!("waste        {waste:<10}  {} bytes, {}\n", Count(plan.gap()), plan.status.name());
    text + &format!("strategy     {}\n", plan.strategy)
}

#[cfg(test)]
mod tests {
    use bayplan_plan::csv;
    use bayplan_plan::{Effort, solve};
    use clap::CommandFactory;
    use serde_json::{Value, json};

    use super::*;
    use crate::commands::plan_json::{Rest, plan_json};

    const CSV: &str = "id,lower,upper,size\na,0,2,100\nb\u{1b}[2J,1,3,50\nc,2,4,100\n";

    fn planned(csv: &str) -> Planned {
        let instance = csv::read(csv).unwrap();
        let plan = solve(&instance.problem, Effort::Normal);
        Planned::new("x.csv", instance, plan, Effort::Normal).unwrap()
    }

    fn told(planned: &Planned) -> Value {
        let text = plan_json("instance", "x.csv", planned, Rest::Instance { given_peak: None }).unwrap();
        assert!(!text.contains('\u{1b}'));
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn an_instance_is_told_with_its_proof() {
        let json = told(&planned(CSV));
        let figures = ["peak", "lower_bound", "proved_bound", "gap", "status"].map(|key| json[key].clone());
        assert_eq!(figures, [json!(150), json!(150), json!(150), json!(0), json!("optimal")]);
        assert_eq!(json["witness"], json!({ "point": 1, "live": ["a", "b\u{1b}[2J"] }));
        let rows = json["buffers"].as_array().unwrap();
        assert_eq!(rows.len(), 3);
        let top = rows.iter().find(|row| row["ground"] == "buffers").unwrap();
        assert_eq!(
            top["rests_on"].as_array().map(Vec::len),
            Some(if top["id"] == "b\u{1b}[2J" { 2 } else { 1 })
        );
        let why = &json["why_not_smaller"];
        assert_eq!((&why["verdict"], &why["open"]), (&json!("bound met"), &json!(0)));
        assert_eq!(why["bound"]["kind"], "live");
        let loss = |part: &str| why["loss"][part].as_u64().unwrap();
        assert_eq!(loss("live") + loss("padding") + loss("holes") + loss("tail"), 150);
        assert_eq!(why["chain"].as_array().map(Vec::len), Some(2));
        // Without b the others take turns.
        assert_eq!(
            why["regrets"][0],
            json!({ "id": "b\u{1b}[2J", "size": 50, "at_least": 50, "at_most": 50 })
        );
    }

    #[test]
    fn help_names_every_key_of_the_json() {
        let json = told(&planned(CSV));
        let mut program = crate::args::Arguments::command();
        let help = program.find_subcommand_mut("plan").unwrap().render_long_help().to_string();
        let objects =
            [&json, &json["buffers"][0], &json["why_not_smaller"], &json["why_not_smaller"]["bound"]];
        for key in objects.iter().flat_map(|object| object.as_object().unwrap().keys()) {
            let named = help.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == key);
            assert!(named, "{key} is not in\n{help}");
        }
    }

    #[test]
    fn text_is_harmless_and_fits_eighty_columns() {
        let text = |planned: &Planned, given: Option<&Plan>| {
            let text = instance_text("x.csv", planned, given);
            let long = text.lines().find(|line| bayplan_text::columns(line) > 80);
            assert!(!text.contains('\u{1b}') && long.is_none(), "{long:?} in\n{text}");
            text
        };
        let first = planned(CSV);
        let given = Plan::from_offsets(&first.instance.problem, vec![0, 100, 200], "given").unwrap();
        let shown = text(&first, Some(&given));
        assert!(shown.contains("given        300 B       300 bytes"), "{shown}");
        assert!(shown.contains("peak         150 B       150 bytes"), "{shown}");
        assert!(shown.contains("at point 1, 2 buffers are live and"), "{shown}");
        let long = "/layer.".repeat(30);
        let rows: String = (0..30u64)
            .map(|i| format!("{long}{i},{},{},{}\n", i / 3, i / 3 + 1 + i % 5, (i + 1) << 40))
            .collect();
        text(&planned(&format!("id,lower,upper,size\n{rows}")), None);
        text(
            &planned("id,lower,upper,size,alignment,fixed\na,0,2,10,16,\nb,0,2,12,16,\nc,0,1,4,4,1000\n"),
            None,
        );
        assert!(text(&planned("id,lower,upper,size\n"), None).contains("there is nothing to place"));
    }

    /// The offsets of the file leave a hole: what lies above it is loose, and what could be had is told.
    #[test]
    fn what_a_plan_made_elsewhere_wastes_is_told() {
        let instance = csv::read("id,lower,upper,size,offset\na,0,2,100,0\nb,1,3,50,160\n").unwrap();
        let plan = Plan::from_offsets(&instance.problem, vec![0, 160], "given").unwrap();
        let text =
            instance_text("x.csv", &Planned::new("x.csv", instance, plan, Effort::Normal).unwrap(), None);
        for words in ["60 bytes less", "100 B", "60 B free beneath", "no search for one was made"] {
            assert!(text.contains(words), "{words} is not in\n{text}");
        }
    }
}

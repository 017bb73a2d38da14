//! The reports for people without a terminal: Markdown, pictures and the page.

use bayplan_trace::{BufferKind, BufferRecord, Event, PlanRecord, Record, Timeline};

use crate::diff::{self, Compared, Side};
use crate::tests::{HOSTILE, MIB, broken, golden, hostile, one_run, plan, session, windows};
use crate::{html, json, markdown, svg};

fn plan_alone(record: PlanRecord) -> Timeline {
    let mut timeline = Timeline::new();
    timeline.apply(Record::Plan { plan: 0, record });
    timeline
}

fn in_progress() -> Timeline {
    let run = [Event::RunStart { run: 0, plan: 0, t: 9 }, Event::Completed { run: 0, plan: 0, op: 2, t: 10 }];
    session(windows(&plan()), run.into())
}

/// A plan of `count` small buffers, each alive for three ops.
fn many(count: u32) -> PlanRecord {
    let row = |at: u32| BufferRecord {
        name: format!("</script><t{at}>"),
        kind: BufferKind::Activation,
        size: 64,
        offset: u64::from(at % 8192) * 64,
        first: at / 8192,
        last: at / 8192 + 1,
        alignment: 64,
        ..BufferRecord::default()
    };
    let mut record = plan();
    record.ops = vec![bayplan_trace::OpRecord::default(); (count / 8192 + 1) as usize];
    record.arenas.truncate(1);
    record.arenas[0].size = 8192 * 64;
    record.buffers = (0..count).map(row).collect();
    record
}

#[test]
fn markdown_of_a_small_session() {
    golden("markdown", &markdown(&session(windows(&plan()), one_run()), &[], false, true));
    golden("markdown_broken", &markdown(&broken(), &["torn".into()], true, false));
}

#[test]
fn picture_of_a_small_session() {
    golden("svg", &svg(&session(windows(&plan()), one_run())));
    golden("svg_broken", &svg(&broken()));
    golden("svg_in_progress", &svg(&in_progress()));
    golden("svg_plan", &svg(&plan_alone(plan())));
}

#[test]
fn picture_of_a_difference() {
    let (a, mut b) = (plan(), plan());
    b.arenas[0].size += MIB;
    b.buffers[2].size += MIB;
    b.buffers[4].offset = 2 * MIB;
    b.buffers.remove(5);
    b.buffers.push(BufferRecord { name: "new".into(), offset: 3 * MIB, ..a.buffers[5].clone() });
    let (a, b) = (plan_alone(a), plan_alone(b));
    let (a, b) = (Side { name: "a.json", timeline: &a }, Side { name: "b.json", timeline: &b });
    let picture = diff::svg(&Compared::new(a, b));
    for words in
        ["+ added", "− removed", "↕ resized", "→ moved", "4.00 MiB → 5.00 MiB", "end of the arena 8.00 MiB"]
    {
        assert!(picture.contains(words), "{words}: {picture}");
    }
    golden("svg_diff", &picture);
    let nothing = Timeline::new();
    let empty = Side { name: "x", timeline: &nothing };
    assert!(diff::svg(&Compared::new(empty, empty)).contains("no plans to compare"));
}

#[test]
fn page_of_a_small_session() {
    let page = html(&broken(), &[], false, true);
    // Style and script are files of their own, which nobody needs to read twice.
    let cut = |text: &str, from: &str, to: &str| {
        let (before, rest) = text.split_once(from).expect(from);
        let (_, after) = rest.split_once(to).expect(to);
        format!("{before}{from}…{to}{after}")
    };
    golden("html", &cut(&cut(&page, "<style>", "</style>"), "<script>", "</script>"));
}

/// What a page or a picture may refer to: parts of itself, and the name of the language of pictures.
#[test]
fn nothing_is_fetched() {
    for (name, text) in [
        ("svg", svg(&hostile())),
        ("html", html(&hostile(), &[HOSTILE.into()], false, true)),
        (
            "diff",
            diff::svg(&{
                let side = Side { name: HOSTILE, timeline: Box::leak(Box::new(hostile())) };
                Compared::new(side, side)
            }),
        ),
    ] {
        let rest = text.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
        for way in [
            "http:",
            "https:",
            "//",
            "@import",
            "src=",
            "href",
            "<link",
            "<iframe",
            "<img",
            "fetch(",
            "XMLHttpRequest",
            "WebSocket",
            "import(",
        ] {
            let found = rest.match_indices(way).find(|(at, _)| {
                let line = &rest[rest[..*at].rfind('\n').map_or(0, |at| at + 1)..];
                // Comments of the script.
                !(way == "//" && line.trim_start().starts_with("//"))
            });
            assert!(
                found.is_none(),
                "{name}: {way} in {:?}",
                found.map(|(at, _)| &rest[at.saturating_sub(40)..(at + 40).min(rest.len())])
            );
        }
        let urls = rest.match_indices("url(").all(|(at, _)| rest[at..].starts_with("url(#"));
        assert!(urls, "{name}: url");
    }
}

#[test]
fn nothing_shown_is_obeyed() {
    let hostile = hostile();
    let named = |name: &str| {
        let mut record = plan();
        record.model = name.into();
        record.buffers.iter_mut().for_each(|buffer| buffer.name = name.into());
        record.ops.iter_mut().for_each(|op| (op.source_op, op.source_node) = (name.into(), name.into()));
        plan_alone(record)
    };
    let marks = named("</script></style></svg>]]><b onload=\"x\">&amp;'");
    for timeline in [&hostile, &marks] {
        let reports = [
            ("svg", svg(timeline)),
            ("html", html(timeline, &[HOSTILE.into()], true, true)),
            ("markdown", markdown(timeline, &[HOSTILE.into()], true, true)),
        ];
        for (name, text) in reports {
            let bad = text.chars().find(|&c| (c.is_control() && c != '\n') || c == '\u{202e}');
            assert_eq!(bad, None, "{name}");
            // In Markdown it is within a fence of code, which holds everything as it is.
            assert!(name == "markdown" || !text.contains("<b onload"), "{name}");
            let ends = |what: &str| text.matches(what).count();
            match name {
                "html" => assert_eq!((ends("</script>"), ends("</style>"), ends("</svg>")), (2, 1, 1)),
                "svg" => assert_eq!((ends("</svg>"), ends("]]>")), (1, 0)),
                _ => {}
            }
        }
    }
}

/// The page's figures are those of the JSON report, digit by digit.
#[test]
fn the_page_says_what_the_json_report_says() {
    for timeline in [session(windows(&plan()), one_run()), broken(), in_progress(), plan_alone(plan())] {
        let page = html(&timeline, &[], false, false);
        let report: serde_json::Value = serde_json::from_str(&json(&timeline, &[], false)).unwrap();
        let (_, table) = page.split_once("<table id=\"t-figures\">").unwrap();
        let (table, _) = table.split_once("</table>").unwrap();
        let mut compared = 0;
        for (name, figure) in report["figures"].as_object().unwrap() {
            for (key, value) in figure.as_object().unwrap().iter().filter(|(_, value)| value.is_number()) {
                let shown = match key.as_str() {
                    "at_least" | "at_most" => continue,
                    "value" => name.clone(),
                    statistic => format!("{statistic}({name})"),
                };
                let start = format!("<td class=\"code\">{shown}</td>");
                let (_, row) =
                    table.split_once(&start).unwrap_or_else(|| panic!("{shown} is not in the page"));
                let (row, _) = row.split_once("</tr>").unwrap();
                assert!(row.contains(&format!("<td class=\"n\">{value}</td>")), "{shown}: {value} in {row}");
                compared += 1;
            }
        }
        assert!(compared > 20, "{compared} figures");
    }
}

/// What the script draws is what the picture draws: data and rectangles are of one source.
#[test]
fn the_data_of_a_page_is_the_plan() {
    let timeline = in_progress();
    let page = html(&timeline, &[], false, false);
    let (_, data) = page.split_once("id=\"data\">").unwrap();
    let (data, _) = data.split_once("</script>").unwrap();
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    let tensors = &data["plans"][0]["tensors"];
    for (at, buffer) in plan().buffers.iter().enumerate() {
        assert_eq!(tensors["name"][at], buffer.name);
        assert_eq!(
            (&tensors["size"][at], &tensors["offset"][at]),
            (&buffer.size.into(), &buffer.offset.into())
        );
        assert_eq!((&tensors["from"][at], &tensors["to"][at]), (&buffer.first.into(), &buffer.last.into()));
    }
    assert_eq!(data["plans"][0]["reached"], 3);
    // Reached up to op 3: of the tensor that lives at ops 2..4, one op was seen.
    assert_eq!(tensors["seen"][2], serde_json::json!([2, 3, 4 * MIB, 8 * MIB]));
    assert_eq!(data["plans"][0]["arenas"][0]["live"][2], 7 * MIB);
}

#[test]
fn files_stay_bounded() {
    let timeline = plan_alone(many(100_000));
    let picture = svg(&timeline);
    assert!(picture.contains("100,000 tensors are drawn together"));
    assert!(picture.len() < 2 << 20, "{} bytes", picture.len());
    let page = html(&timeline, &[], false, false);
    assert!(page.len() < 24 << 20, "{} bytes", page.len());
    assert!(markdown(&timeline, &[], false, true).len() < 65_536);
    // More than a page holds: the figure stands for the plan, and the script has nothing to draw.
    let page = html(&plan_alone(many(300_001)), &[], false, false);
    assert!(page.contains("\"plans\":[],\"left_out\":1") && page.len() < 4 << 20, "{} bytes", page.len());
}

#[test]
fn nothing_to_draw_is_said() {
    let mut empty_plan = Timeline::new();
    empty_plan.apply(Record::Plan { plan: 0, record: PlanRecord::default() });
    for timeline in [Timeline::new(), empty_plan] {
        assert!(svg(&timeline).contains("nothing to draw"));
        assert!(html(&timeline, &[], false, true).ends_with("</html>\n"));
        assert!(markdown(&timeline, &[], false, true).starts_with("### Memory of unnamed model"));
    }
}

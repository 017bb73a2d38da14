//! The report as one page of HTML: nothing is fetched, nothing is sent, and nothing of it needs a script to be read.
//!
//! ```text
//!  head       a policy that forbids every network access, style and script but the two that are named by their digests
//!  figure     the maps of the current plan as SVG: what is printed, and what is read without scripts
//!  #explorer  hidden until the script shows it in place of the figure: a canvas drawn from the data below
//!  sections   arenas, what lives at the peak, ops, figures with what they mean, alarms, messages
//!  #data      JSON: tensors and ops of the plans, column by column
//! ```
//! Names are escaped for display before they come here. The script writes text, never markup.

mod data;
mod sections;

use std::fmt::Write as _;

use bayplan_text::escape;
use bayplan_trace::Timeline;

use crate::markup::{marked, script_json, xml};
use crate::picture::{Drawn, STYLE, circumstances, plan_picture};

const PAGE_STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The digests of the style (that of pictures, then that of pages) and of the script, as a policy names them. A test of
/// crate `bayplan-tests` works them out anew.
const STYLE_DIGEST: &str = include_str!("style.sha256");
const SCRIPT_DIGEST: &str = include_str!("script.sha256");

/// Rectangles of a map in the page's figure: the canvas draws all.
const MOST_TILES: usize = 3000;

/// The report as a page. `ops` adds the times of every op.
pub fn html(timeline: &Timeline, damages: &[String], live: bool, ops: bool) -> String {
    let model = timeline.session.as_ref().map(|session| session.model.as_str());
    let plan = timeline.current_plan().map(|(_, plan)| plan.record.model.as_str());
    let name = model.filter(|name| !name.is_empty()).or(plan).filter(|name| !name.is_empty());
    let name = escape(name.unwrap_or("unnamed model")).to_string();
    let mut out = String::with_capacity(1 << 20);
    head(&mut out, &name);
    // Writing to a string does not fail.
    let _ = writeln!(out, "<header><h1>{}</h1>", marked(&name));
    let drawn = timeline.current_plan().map(|(number, state)| Drawn::new(timeline, number, state));
    if let Some(drawn) = &drawn {
        let _ = writeln!(out, "<p class=\"faint\">{}</p>", marked(&circumstances(drawn).join(" · ")));
    }
    out += "</header>\n<main>\n";
    sections::warnings(&mut out, timeline, damages);
    if let Some(drawn) = &drawn {
        let picture = plan_picture(drawn, MOST_TILES, "map");
        let _ = writeln!(out, "<figure id=\"picture\">\n{picture}</figure>");
        out += EXPLORER;
        sections::arenas(&mut out, drawn);
        sections::peak(&mut out, drawn);
        sections::ops(&mut out, drawn, ops);
    }
    sections::figures(&mut out, timeline, damages.len());
    sections::session(&mut out, timeline, live);
    out += "</main>\n";
    // Serialising fails only for maps with keys that are not text; there is none.
    let data = serde_json::to_string(&data::Data::new(timeline, ops)).unwrap_or_default();
    let _ = writeln!(out, "<script type=\"application/json\" id=\"data\">{}</script>", script_json(&data));
    let _ = writeln!(out, "<script>{SCRIPT}</script>\n</body>\n</html>");
    out
}

fn head(out: &mut String, name: &str) {
    let (style, script) = (STYLE_DIGEST.trim(), SCRIPT_DIGEST.trim());
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'"
    );
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Memory of {}</title>\n\
         <style>{STYLE}{PAGE_STYLE}</style>\n</head>\n<body>\n",
        xml(&policy),
        marked(name)
    );
}

/// What the script fills.
const EXPLORER: &str = include_str!("explorer.html");

//! What shapes and colours of a picture mean.

use super::Panel;
use super::frame::Px;
use super::sheet::{MARGIN, Sheet, WIDTH};
use crate::markup::marked;

/// What is to be seen in a picture.
#[derive(Clone, Debug, Default)]
pub(crate) struct Legend {
    planned: bool,
    plan_alone: bool,
    actual: bool,
    deviant: bool,
    bound: bool,
    peak: bool,
    playhead: bool,
    live: bool,
}

/// Between two swatches.
const GAP: f64 = 22.0;

impl Legend {
    /// Takes note of what a panel shows.
    pub(crate) fn note(&mut self, panel: &Panel<'_>) {
        let alone = panel.drawn.is_plan_alone();
        let classes = || panel.tiles.list.iter().map(|tile| &tile.class).chain(panel.tiles.together.keys());
        let planned = |class: &String| class.split(' ').any(|class| class == "p");
        self.planned |= classes().any(planned);
        self.plan_alone |= alone && panel.tiles.buffers > 0;
        self.actual |= !alone && classes().any(|class| !planned(class));
        self.deviant |= !panel.tiles.deviants.is_empty();
        let record = panel.record();
        self.bound |= record.lower_bound > 0 && record.lower_bound < record.size;
        self.peak |= panel.main && panel.metrics.peak_op.is_some();
        self.playhead |= panel.main && !alone && panel.drawn.reached.is_some();
        self.live |= panel.main;
    }

    /// Draws what was noted, in lines.
    pub(crate) fn draw(&self, sheet: &mut Sheet) {
        let dev = format!(
            "<rect class=\"dev\" y=\"-10\" width=\"26\" height=\"12\" fill=\"url(#{}-dev)\"/>",
            sheet.id
        );
        let cross = "<path class=\"cross\" d=\"M8 -9l10 10m0 -10l-10 10\"/><path class=\"cross over\" d=\"M8 -9l10 10m0 -10l-10 10\"/>";
        let hues = |class: &str| -> String {
            let hue = |at: usize| {
                format!(
                    "<rect class=\"{class} h{at}\" x=\"{}\" y=\"-10\" width=\"9\" height=\"12\"/>",
                    at * 9
                )
            };
            (0..3).map(hue).collect()
        };
        let stroke =
            |class: &str| format!("<line class=\"{class}\" x1=\"0\" y1=\"-4\" x2=\"26\" y2=\"-4\"/>");
        let rows = [
            (self.plan_alone, hues("t"), "planned (colours only tell neighbours apart)"),
            (self.actual, hues("t"), "bound as planned (colours only tell neighbours apart)"),
            (self.planned, hues("t p"), "planned, not bound or not reached"),
            (self.deviant, dev + cross, "NOT as planned"),
            (self.bound, stroke("bound"), "lower bound: no plan for this order is smaller"),
            (self.peak, stroke("peak"), "peak"),
            (self.playhead, stroke("head"), "now"),
            (self.live, "<rect class=\"live\" y=\"-10\" width=\"26\" height=\"12\"/>".into(), "live bytes"),
        ];
        let rows: Vec<_> = rows
            .into_iter()
            .filter(|(there, ..)| *there)
            .map(|(_, swatch, words)| (swatch, words.to_owned()))
            .collect();
        draw_rows(sheet, &rows);
    }
}

/// Swatches 26 wide, each with what it means, in as many lines as they need.
pub(crate) fn draw_rows(sheet: &mut Sheet, rows: &[(String, String)]) {
    let mut x = MARGIN;
    sheet.bottom += 22.0;
    for (swatch, words) in rows {
        let width = 33.0 + words.chars().count() as f64 * 6.4;
        if x > MARGIN && x + width > WIDTH - MARGIN {
            x = MARGIN;
            sheet.bottom += 20.0;
        }
        let (at, down) = (Px(x), Px(sheet.bottom));
        sheet.put(&format!(
            "<g transform=\"translate({at} {down})\">{swatch}<text x=\"33\">{}</text></g>\n",
            marked(words)
        ));
        x += width + GAP;
    }
}

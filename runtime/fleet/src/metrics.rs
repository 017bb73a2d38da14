//! A session's figures as metrics: families of points, each a number or a summary with labels.

use bayplan_text::escape;
use bayplan_trace::Timeline;
use bayplan_trace::quantities::{
    Figure, Filter, Key, Match, Number, QUANTITIES, Quantity, Reading, Scope, Statistic, Subject, Unit,
};

/// All points of one quantity.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Family {
    /// Its name in the table of quantities.
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) unit: Unit,
    /// Whether it only ever grows while the session lives.
    pub(crate) cumulative: bool,
    pub(crate) points: Vec<Point>,
}

/// A value, and what it is told of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) labels: Vec<(&'static str, String)>,
    pub(crate) value: Measured,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Measured {
    Number(Number),
    Summary(Summary),
}

/// What is told of a distribution.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Summary {
    pub(crate) count: u64,
    pub(crate) sum: f64,
    /// Share of the samples, and what so many of them do not exceed.
    pub(crate) quantiles: Vec<(f64, f64)>,
}

/// A session as it is known now.
#[derive(Clone, Copy)]
pub(crate) struct Told<'a> {
    pub(crate) timeline: &'a Timeline,
    pub(crate) reading: Reading<'a>,
}

/// What is known of a session, in the order of the table. What is not known is left out, and of what is only known to be at
/// least so much, that is told.
pub(crate) fn families(told: &Told<'_>) -> Vec<Family> {
    QUANTITIES.iter().filter_map(|quantity| family(told, quantity)).collect()
}

fn family(told: &Told<'_>, quantity: &'static Quantity) -> Option<Family> {
    let reading = &told.reading;
    let points: Vec<Point> = match quantity.scope {
        _ if quantity.is_distribution() => summary(reading, quantity).into_iter().collect(),
        Scope::Session | Scope::Plan => {
            // One series for the session, whichever plan runs.
            let number = reading.total(quantity, &Filter::default()).least();
            number
                .map(|number| Point { labels: Vec::new(), value: Measured::Number(number) })
                .into_iter()
                .collect()
        }
        Scope::Arena => {
            let (plan, _) = told.timeline.current_plan()?;
            points(&reading.of(quantity, &Filter::by(Key::Plan, Match::Number(u64::from(plan)))))
        }
        Scope::Heap | Scope::Pool => points(&reading.of(quantity, &Filter::default())),
        Scope::Op | Scope::Tensor => return None,
    };
    let Quantity { name, help, unit, cumulative, .. } = *quantity;
    (!points.is_empty()).then_some(Family { name, help, unit, cumulative, points })
}

fn points(figures: &[Figure<'_>]) -> Vec<Point> {
    let point = |figure: &Figure<'_>| {
        let value = Measured::Number(figure.value.least()?);
        Some(Point { labels: labels(&figure.subject), value })
    };
    figures.iter().filter_map(point).collect()
}

/// The statistics of a distribution; nothing of one without samples.
fn summary(reading: &Reading<'_>, quantity: &'static Quantity) -> Option<Point> {
    let told = |statistic| Some(reading.statistic(quantity, statistic).least()?.as_f64());
    let shares = [
        (0.0, Statistic::Min),
        (0.5, Statistic::P50),
        (0.9, Statistic::P90),
        (0.95, Statistic::P95),
        (0.99, Statistic::P99),
        (1.0, Statistic::Max),
    ];
    let count = told(Statistic::Count).filter(|&count| count > 0.0)? as u64;
    let quantiles = shares.into_iter().filter_map(|(share, statistic)| Some((share, told(statistic)?)));
    let summary = Summary { count, sum: told(Statistic::Sum)?, quantiles: quantiles.collect() };
    Some(Point { labels: Vec::new(), value: Measured::Summary(summary) })
}

/// What a figure is told of. Names come from model files: whoever shows them must not be made to obey them.
fn labels(subject: &Subject<'_>) -> Vec<(&'static str, String)> {
    match subject {
        Subject::Arena { name, .. } => vec![("arena", escape(name).to_string())],
        Subject::Heap { heap } => vec![("heap", heap.to_string())],
        Subject::Pool { pool, name } => vec![("pool", pool.to_string()), ("name", escape(name).to_string())],
        Subject::Session | Subject::Plan { .. } | Subject::Op { .. } | Subject::Tensor { .. } => Vec::new(),
    }
}

/// Nanoseconds as the seconds that both formats want.
pub(crate) fn seconds(nanoseconds: f64) -> f64 {
    nanoseconds / 1e9
}

/// Who runs what, by the names that both formats give it.
pub(crate) fn about(told: &Told<'_>) -> Vec<(&'static str, String)> {
    let Some(session) = &told.timeline.session else { return Vec::new() };
    // Labels make a time series each: those that never tell two runs apart that the others do not are left out.
    let labels = session.named().into_iter().filter(|(name, _)| !["api", "origin"].contains(name));
    let mut about: Vec<_> = labels.map(|(name, text)| (name, escape(text).to_string())).collect();
    about.push(("pid", session.pid.to_string()));
    about
}

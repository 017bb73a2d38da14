//! How long planning and a new shape take: measured anew, several times each, on the processor's clock of this thread.

use bayplan_compile::{CompileError, Family, FunctionId, Phase};
use bayplan_expr::Bindings;
use bayplan_text::Nanos;
use serde_json::{Value, json};

use super::bench::processor_time;
use super::plan_why::labelled;

/// How often each is measured; medians are told.
const RUNS: usize = 15;

/// What a runnable program for another shape takes, in order, with the names that people and scripts read.
const PHASES: [(Phase, &str); 5] = [
    (Phase::Sizes, "sizes"),
    (Phase::Specs, "specs"),
    (Phase::Offsets, "offsets"),
    (Phase::Launches, "launches"),
    (Phase::Windows, "windows"),
];

/// Medians, in nanoseconds of processor time.
pub(super) struct Times {
    /// Liveness and plan of this shape alone.
    plan: u64,
    /// A program for another shape, without its barriers and its verification; nothing if there is one shape.
    shape: Option<Shape>,
    barriers: u64,
    verification: u64,
}

/// What a new shape takes.
struct Shape {
    all: u64,
    /// Of [`PHASES`], in their order.
    phases: [u64; 5],
    /// Buffers of the program.
    buffers: usize,
}

/// One measurement: the phases, barriers, verification.
type Spent = [u64; 7];

impl Times {
    /// Measures a function of a family at a shape.
    ///
    /// # Errors
    /// The shape has no program.
    pub(super) fn of(family: &Family, function: FunctionId, point: &Bindings) -> Result<Self, CompileError> {
        // The first finds nothing in the processor's caches.
        let (_, buffers) = measured(family, function, point)?;
        let mut shapes = Vec::new();
        for _ in 0..RUNS {
            shapes.push(measured(family, function, point)?.0);
        }
        let mut plans = Vec::new();
        for _ in 0..RUNS {
            let mut turns = Vec::new();
            family.liveness_and_plan(function, point, &mut || turns.push(now()))?;
            plans.extend(turns.windows(2).map(|turn| turn[1].saturating_sub(turn[0])));
        }
        let of = |index: usize| median(shapes.iter().map(|spent| spent[index]).collect());
        let all = median(shapes.iter().map(|spent| spent[..5].iter().sum()).collect());
        let shape = Shape { all, phases: [0, 1, 2, 3, 4].map(of), buffers };
        let shape = (!family.is_static(function)).then_some(shape);
        Ok(Self { plan: median(plans), shape, barriers: of(5), verification: of(6) })
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!("liveness + plan {} (median of {RUNS})", Nanos(self.plan));
        if let Some(Shape { all, phases, buffers }) = &self.shape {
            let phases =
                PHASES.iter().zip(phases).map(|((_, name), &spent)| format!("{name} {}", Nanos(spent)));
            let phases: Vec<String> = phases.collect();
            text += &format!("; a new shape {} for {buffers} buffers: {}", Nanos(*all), phases.join(", "));
        }
        text +=
            &format!("; apart: barriers {}, verification {}", Nanos(self.barriers), Nanos(self.verification));
        labelled("time", &text)
    }

    pub(super) fn json(&self) -> Value {
        let phases = self.shape.as_ref().map(|shape| {
            let phases = PHASES.iter().zip(shape.phases);
            phases
                .map(|((_, name), spent)| (format!("{name}_ns"), json!(spent)))
                .collect::<serde_json::Map<_, _>>()
        });
        json!({
            "liveness_and_plan_ns": self.plan,
            "new_shape_ns": self.shape.as_ref().map(|shape| shape.all),
            "new_shape": phases,
            "barriers_ns": self.barriers,
            "verification_ns": self.verification,
        })
    }
}

/// A program for a shape: what its parts took, and its buffers.
fn measured(family: &Family, function: FunctionId, point: &Bindings) -> Result<(Spent, usize), CompileError> {
    let (mut spent, mut last) = (Spent::default(), now());
    let program = family.at_with(function, point, &mut |phase| {
        let place = match phase {
            Phase::Barriers => 5,
            Phase::Verification => 6,
            _ => PHASES.iter().position(|(own, _)| *own == phase).unwrap_or(0),
        };
        spent[place] += now().saturating_sub(last);
        last = now();
    })?;
    // What comes after the last phase compares weights.
    spent[6] += now().saturating_sub(last);
    Ok((spent, program.buffers.len()))
}

fn median(mut list: Vec<u64>) -> u64 {
    list.sort_unstable();
    list.get(list.len() / 2).copied().unwrap_or(0)
}

fn now() -> u64 {
    u64::try_from(processor_time().as_nanos()).unwrap_or(u64::MAX)
}

//! How long a new shape takes: measured anew, several times each, on the processor's clock of this thread.

use bayplan_compile::{CompileError, Family, FunctionId, Phase};
use bayplan_expr::Bindings;
use bayplan_text::Nanos;
use serde_json::{Value, json};

use super::bench::processor_time;
use super::plan_why::labelled;

/// How often each is measured; medians are told.
const RUNS: usize = 15;

/// Medians, in nanoseconds of processor time.
pub(super) struct Times {
    /// A program for another shape, without its barriers and its verification; `None` if there is one shape.
    shape: Option<u64>,
    barriers: u64,
    verification: u64,
}

impl Times {
    /// Measures a function of a family at a shape.
    ///
    /// # Errors
    /// The shape has no program.
    pub(super) fn of(family: &Family, function: FunctionId, point: &Bindings) -> Result<Self, CompileError> {
        let mut shapes: [Vec<u64>; 3] = Default::default();
        for _ in 0..RUNS {
            let (mut spent, mut last) = ([0; 3], now());
            family.at_with(function, point, &mut |phase| {
                let at = now();
                let kind = match phase {
                    Phase::Barriers => 1,
                    Phase::Verification => 2,
                    _ => 0,
                };
                spent[kind] += at.saturating_sub(last);
                last = now();
            })?;
            shapes.iter_mut().zip(spent).for_each(|(list, spent)| list.push(spent));
        }
        let [shape, barriers, verification] = shapes.map(median);
        let shape = (!family.is_static(function)).then_some(shape);
        Ok(Self { shape, barriers, verification })
    }

    pub(super) fn text(&self) -> String {
        let shape = self.shape.map_or_else(String::new, |shape| format!("a new shape {}, ", Nanos(shape)));
        labelled(
            "time",
            &format!(
                "{shape}barriers {}, verification {}: medians of {RUNS}",
                Nanos(self.barriers),
                Nanos(self.verification)
            ),
        )
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "new_shape_ns": self.shape,
            "barriers_ns": self.barriers,
            "verification_ns": self.verification,
        })
    }
}

fn median(mut list: Vec<u64>) -> u64 {
    list.sort_unstable();
    list.get(list.len() / 2).copied().unwrap_or(0)
}

fn now() -> u64 {
    u64::try_from(processor_time().as_nanos()).unwrap_or(u64::MAX)
}

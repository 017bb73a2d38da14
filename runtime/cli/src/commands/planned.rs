//! A plan with what explains it, whatever it is of: an instance or a model.

use bayplan::{Arena, Effort, Program};
use bayplan_compile::{BufferKind, Piece, Schedule};
use bayplan_plan::csv::Instance;
use bayplan_plan::explain::{REGRET_WORK, WhyNotSmaller, why_not_smaller};
use bayplan_plan::{Buffer, Plan, Problem, validate};

use crate::exit::Failure;

/// Buffers with names, where they lie, and why the arena is not smaller.
pub(crate) struct Planned {
    /// The buffers; of a model the names of the values that they were made for.
    pub(crate) instance: Instance,
    pub(crate) plan: Plan,
    pub(crate) why: WhyNotSmaller,
    pub(crate) effort: Effort,
    pub(crate) orders: Orders,
}

/// What another order of operators could do for the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Orders {
    /// There are no operators, only buffers.
    None,
    /// It could need less: none was looked for.
    Untried,
    /// It could need less: none was found.
    Open,
    /// No order needs less.
    Best,
}

impl Orders {
    fn of(schedule: &Schedule) -> Self {
        match schedule.bound {
            0 => Self::Untried,
            bound if bound == schedule.peak => Self::Best,
            _ => Self::Open,
        }
    }
}

impl Planned {
    /// Explains a plan, once its validator has accepted it.
    ///
    /// # Errors
    /// The plan is wrong: a defect of bayplan.
    pub(crate) fn new(name: &str, instance: Instance, plan: Plan, effort: Effort) -> Result<Self, Failure> {
        validate(&instance.problem, &plan).map_err(|e| {
            Failure::new(format!(
                "the plan of {} did not pass its validator: {e}; this is a defect of bayplan",
                bayplan_text::escape(name)
            ))
        })?;
        let work = if effort == Effort::Normal { REGRET_WORK } else { 20 * REGRET_WORK };
        let why = why_not_smaller(&instance.problem, &plan, work);
        Ok(Self { instance, plan, why, effort, orders: Orders::None })
    }

    /// The plan of a program's run stage.
    ///
    /// # Errors
    /// The plan is not one of the program's buffers: a defect of bayplan.
    pub(crate) fn of_program(program: &Program, effort: Effort) -> Result<Self, Failure> {
        let placed = program
            .buffers
            .iter()
            .filter(|buffer| buffer.arena == Arena::Activations && buffer.kind != BufferKind::Load);
        let pieces: Vec<Piece> = placed.flat_map(|buffer| buffer.pieces(program.guard)).collect();
        let buffers = pieces.iter().map(Piece::planned).collect();
        let instance = Instance {
            ids: pieces.iter().map(|piece| piece.name.clone()).collect(),
            problem: Problem::new(buffers).map_err(|e| Failure::new(e.to_string()))?,
            offsets: Some(pieces.iter().map(|piece| piece.offset).collect()),
        };
        let planned = Self::new(&program.name, instance, program.run.plan.clone(), effort)?;
        Ok(Self { orders: Orders::of(&program.schedule), ..planned })
    }

    /// The name of a buffer.
    pub(crate) fn id(&self, buffer: u32) -> &str {
        self.instance.ids.get(buffer as usize).map_or("", String::as_str)
    }

    /// A buffer.
    pub(crate) fn buffer(&self, buffer: u32) -> &Buffer {
        &self.instance.problem.buffers()[buffer as usize]
    }

    /// Its offset.
    pub(crate) fn offset(&self, buffer: u32) -> u64 {
        self.plan.offsets[buffer as usize]
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bayplan::{Bindings, Model, Options, Target, record};
    use bayplan_plan::explain::BoundProof;
    use bayplan_trace::{arena_metrics, live_at};

    use super::*;

    /// What a plan says of itself is what a recording of it says: two implementations, for trace knows no planner.
    #[test]
    fn a_model_is_explained_as_its_recording_is() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/digits.onnx");
        let model = Model::open(&path).unwrap();
        for batch in [1, 8, 33] {
            let dims: Bindings = [("batch", batch)].into_iter().collect();
            let program = model.compile(&dims, &Target::generic(), Options::default()).unwrap();
            let planned = Planned::of_program(&program, Effort::Normal).unwrap();
            assert_eq!(planned.instance.offsets.as_ref(), Some(&planned.plan.offsets));
            let record = record(&program);
            let (metrics, loss) = (&arena_metrics(&record)[0], planned.why.loss);
            let parts = [loss.live, loss.padding, loss.holes, loss.tail, loss.hole_count, loss.largest_hole];
            let seen = metrics.loss;
            let recorded =
                [seen.live, seen.padding, seen.holes, seen.tail, seen.hole_count, seen.largest_hole];
            assert_eq!(parts, recorded, "batch {batch}");
            let (BoundProof::Live(clique) | BoundProof::Padded(clique, _)) = &planned.why.proof else {
                panic!("{:?}", planned.why.proof);
            };
            let names: Vec<&str> = clique.buffers.iter().map(|&buffer| planned.id(buffer)).collect();
            let mut recorded: Vec<&str> = live_at(&record, 0, clique.point)
                .into_iter()
                .map(|index| record.buffers[index as usize].name.as_str())
                .collect();
            recorded.sort_by_key(|name| names.iter().position(|other| other == name));
            assert_eq!(names, recorded, "batch {batch}");
        }
    }
}

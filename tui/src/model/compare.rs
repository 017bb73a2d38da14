//! Another plan beside the one that is shown: of another recording, of another moment, or for other dims.

use std::cmp::Ordering;

use bayplan_trace::{
    OpDiff, PlanDiff, PlanState, TensorDiff, Timeline, WarmRuns, diff_plans, models_change, roofs_change,
    run_spread, warm_runs,
};

use super::ghost::Ghost;
use super::lists::{ListKind, Sort};
use super::marks::Mark;
use super::moment::Stop;
use super::moments::Moments;
use super::{FEW, Model, untimed};

/// What the plan that is shown is compared with, and what differs.
#[derive(Clone, Debug)]
pub(crate) struct Compared {
    /// What the other one is, escaped: `run 4711-1763756472000`.
    pub(crate) title: String,
    /// The other plan, as it was when it was read.
    pub(crate) other: PlanState,
    /// What differs: the first is the one that is shown.
    pub(crate) diff: PlanDiff,
    /// How long runs took in both sessions.
    pub(crate) runs: (Option<WarmRuns>, Option<WarmRuns>),
    /// What the device does at best, where that differs.
    pub(crate) roofs: Option<String>,
    /// Why the two seem to be of different models, if they do.
    pub(crate) models: Option<String>,
    /// Why there are no times of ops to compare, if there are none.
    pub(crate) untimed: Option<String>,
    /// What lives at both moments, where they are moments of one session or one is within a run.
    pub(crate) moments: Option<Moments>,
    /// What is listed.
    pub(crate) listed: Listed,
    version: u64,
}

/// What of a comparison is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    /// Tensors that live at one of two moments alone.
    Lives,
    /// Tensors that are not the same in both plans.
    Tensors,
    /// Ops, their times beside each other.
    Ops,
}

impl Listed {
    /// What it is called where it is not in front.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lives => "what lives at one moment alone",
            Self::Tensors => "tensors that differ",
            Self::Ops => "ops",
        }
    }
}

/// Something that can be compared with, as people choose it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// What it is, escaped.
    pub(crate) name: String,
    /// More about it, escaped.
    pub(crate) about: String,
    /// Where it is.
    pub(crate) place: ChoicePlace,
}

/// Where something to compare with is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ChoicePlace {
    /// A recording; which one is the list's.
    Recording(usize),
    /// A recording by what it is called on a command line.
    Named(String),
    /// No recording, but what is typed to come to one: a folder.
    Typed(String),
    /// This session at another moment: that, and the plan.
    Moment(Stop, u32),
    /// Another plan of this session.
    Plan(u32),
    /// It cannot be compared; why is told about it.
    Nowhere,
}

impl Choice {
    /// Something to compare with.
    pub(crate) fn new(name: String, about: String, place: ChoicePlace) -> Self {
        Self { name, about, place }
    }

    /// Something that cannot be compared with, and why.
    pub(crate) fn refused(name: String, why: String) -> Self {
        Self::new(name, why, ChoicePlace::Nowhere)
    }

    /// A mark, as it is chosen.
    pub(crate) fn of_mark(mark: &Mark) -> Self {
        let run = bayplan_text::Count(mark.run);
        let about = format!("run {run}, {} into this session", super::events::clock(mark.t));
        Self::new(mark.name.clone(), about, ChoicePlace::Moment(Stop::At(mark.t), mark.plan))
    }
}

/// What tensors that differ are ordered by, in the order of the columns of their list.
pub(crate) const TENSOR_ORDERS: &[fn(&TensorDiff, &TensorDiff) -> Ordering] = &[
    |a, b| (a.a, a.b).cmp(&(b.a, b.b)),
    |a, b| changes(a).cmp(&changes(b)),
    |a, b| a.sizes.0.cmp(&b.sizes.0),
    |a, b| a.sizes.1.cmp(&b.sizes.1),
    |a, b| a.growth().unsigned_abs().cmp(&b.growth().unsigned_abs()),
];

/// What ops that differ are ordered by.
pub(crate) const OP_ORDERS: &[fn(&OpDiff, &OpDiff) -> Ordering] = &[
    |a, b| (a.a, a.b).cmp(&(b.a, b.b)),
    |a, b| {
        (a.is_added(), a.is_removed(), a.other_kernel).cmp(&(b.is_added(), b.is_removed(), b.other_kernel))
    },
    |a, b| a.mean.0.cmp(&b.mean.0),
    |a, b| a.mean.1.cmp(&b.mean.1),
    |a, b| a.growth().map(i128::unsigned_abs).cmp(&b.growth().map(i128::unsigned_abs)),
];

/// The largest difference first.
const LARGEST: Sort = Sort { column: 4, descending: true };

fn changes(tensor: &TensorDiff) -> [bool; 6] {
    [tensor.is_added(), tensor.is_removed(), tensor.resized, tensor.moved, tensor.relived, tensor.renamed]
}

impl Compared {
    /// Compares the plan that is shown with another, each of its session. Of two runs of one plan the times of the ops come
    /// first. Time grows with n log n of both: not for every picture.
    pub(crate) fn new(
        title: String,
        (shown, other): ((u32, &PlanState), (u32, PlanState)),
        (own, others): (&Timeline, &Timeline),
    ) -> Self {
        let spread = run_spread(own, others);
        let diff = PlanDiff { spread, ..diff_plans(shown, (other.0, &other.1)) };
        let moments = Moments::new(&diff, own, others);
        let listed = match &moments {
            Some(moments) if moments.of_one_session => Listed::Lives,
            _ if diff.is_empty() && !diff.ops.is_empty() => Listed::Ops,
            _ => Listed::Tensors,
        };
        let runs = (warm_runs(own), warm_runs(others));
        let roofs = roofs_change(own.roofs(), others.roofs());
        let models = models_change((own, &shown.1.record), (others, &other.1.record));
        let untimed = untimed::words(&diff, (shown.1, &other.1), (own, others));
        Self { title, other: other.1, diff, runs, roofs, models, untimed, moments, listed, version: 0 }
    }

    /// What is listed next.
    pub(crate) fn listed_next(&self) -> Listed {
        // Of two moments of one plan no tensor differs: what has no rows is passed over.
        let has_rows = |listed: &Listed| match listed {
            Listed::Lives => self.moments.is_some(),
            Listed::Tensors => !self.diff.tensors.is_empty(),
            Listed::Ops => !self.diff.ops.is_empty(),
        };
        let after = match self.listed {
            Listed::Lives => [Listed::Tensors, Listed::Ops],
            Listed::Tensors => [Listed::Ops, Listed::Lives],
            Listed::Ops => [Listed::Lives, Listed::Tensors],
        };
        after.into_iter().find(has_rows).unwrap_or(self.listed)
    }

    /// The other plan laid over an arena of the one that is shown; none where the other has no such arena.
    pub(crate) fn ghost(&self, shown: &PlanState, arena: u32) -> Option<Ghost> {
        let pair =
            self.diff.arenas.iter().find(|pair| pair.a.as_ref().is_some_and(|side| side.arena == arena))?;
        let other = pair.b.as_ref()?.arena;
        let like = |buffer: u32| self.diff.like.get(buffer as usize).copied().flatten();
        let over = ((self.diff.numbers.0, arena), &*shown.record);
        Some(Ghost::new(self.title.clone(), over, (self.other.clone(), other), like))
    }

    /// Another number where what is listed is other.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }
}

impl Model {
    /// What the plan that is shown is compared with.
    pub(crate) fn compared(&self) -> Option<&Compared> {
        self.compared.as_deref()
    }

    /// Compares with another plan from now on, or no longer.
    pub(crate) fn compare(&mut self, compared: Option<Compared>) {
        self.compares += 1;
        self.set_ghost(None);
        for kind in [ListKind::DifferingTensors, ListKind::DifferingOps, ListKind::DifferingLives] {
            self.lists.get_mut(kind).sort = LARGEST;
        }
        self.compared = compared.map(|compared| Box::new(Compared { version: self.compares, ..compared }));
    }

    /// The same comparison of another moment: what is listed, and in which order, stays.
    pub(crate) fn compare_anew(&mut self, compared: Compared) {
        let former = self.compared.as_ref().map_or(compared.listed, |former| former.listed);
        let is_gone = former == Listed::Lives && compared.moments.is_none();
        let listed = if is_gone { compared.listed } else { former };
        self.compares += 1;
        self.compared = Some(Box::new(Compared { version: self.compares, listed, ..compared }));
    }

    /// Lists something else that differs: what lives, tensors, ops; what is so now.
    pub(crate) fn list_other_differences(&mut self) -> &'static str {
        let Some(compared) = &mut self.compared else { return "nothing is compared" };
        compared.listed = compared.listed_next();
        match compared.listed {
            Listed::Lives => "tensors that live at one moment alone",
            Listed::Tensors => "tensors that differ",
            Listed::Ops => "ops that differ",
        }
    }

    /// Lays the other plan over the arena that is looked at, unless something lies there; of a large one only what was made
    /// beforehand.
    pub(crate) fn lay_compared(&mut self) {
        let (Some(compared), Some((plan, arena))) = (&self.compared, self.wanted_map()) else { return };
        let Some(shown) = self.plan() else { return };
        let few = shown.record.buffers.len().max(compared.other.record.buffers.len()) as u64 <= FEW;
        if self.ghost().is_some() || plan != compared.diff.numbers.0 || !few {
            return;
        }
        let ghost = compared.ghost(shown, arena);
        self.set_ghost(ghost);
    }

    /// The plans of this session other than one, as they are chosen.
    pub(crate) fn other_plans(&self, shown: u32) -> impl Iterator<Item = Choice> + '_ {
        let others = (0..).zip(&self.timeline.plans);
        let others = others
            .filter(move |(number, plan)| *number != shown && !plan.forgotten && !plan.record.ops.is_empty());
        others.map(|(number, plan)| {
            let dim = |dim: &bayplan_trace::DimBinding| {
                format!("{} {}", bayplan_text::escape(&dim.name), dim.value)
            };
            let dims = plan.record.dims.iter().map(dim).collect::<Vec<_>>().join(", ");
            let at = if dims.is_empty() { String::new() } else { format!(", at {dims}") };
            Choice::new(format!("plan {number}"), format!("of this session{at}"), ChoicePlace::Plan(number))
        })
    }

    pub(super) fn differing_tensors(&self, column: usize, descending: bool) -> Vec<u32> {
        let Some(compared) = self.compared() else { return Vec::new() };
        let all = &compared.diff.tensors;
        let kept = |at: &u32| {
            let shown = all[*at as usize].a;
            !self.filter.is_on() || shown.is_some_and(|number| self.filter.keeps(number))
        };
        let rows: Vec<u32> = (0..all.len() as u32).filter(kept).collect();
        ordered(rows, all, TENSOR_ORDERS.get(column), descending)
    }

    pub(super) fn differing_ops(&self, column: usize, descending: bool) -> Vec<u32> {
        let Some(compared) = self.compared() else { return Vec::new() };
        let all = &compared.diff.ops;
        ordered((0..all.len() as u32).collect(), all, OP_ORDERS.get(column), descending)
    }

    /// Goes to a tensor that differs: where it is, or where it would be.
    pub(super) fn go_to_differing_tensor(&mut self, at: u32) {
        let tensor = self.compared().and_then(|compared| compared.diff.tensors.get(at as usize).copied());
        if let Some(tensor) = tensor {
            self.go_to_either(tensor.a, tensor.b);
        }
    }

    /// Goes to a tensor of the plan that is shown; of one that is in the other plan alone, to where it would be.
    pub(super) fn go_to_either(&mut self, own: Option<u32>, other: Option<u32>) {
        if let Some(own) = own {
            return self.select(own);
        }
        let Some(compared) = self.compared() else { return };
        let buffer = other.and_then(|other| compared.other.record.buffers.get(other as usize));
        let Some((ops, bytes)) =
            buffer.map(|buffer| ((buffer.first, buffer.last), (buffer.offset, buffer.end())))
        else {
            return;
        };
        self.go(|view, _| {
            view.ops.show(ops.0.into(), ops.1.into());
            view.bytes.show(bytes.0, bytes.1);
        });
    }

    /// Goes to an op that differs, where it is in the plan that is shown.
    pub(super) fn go_to_differing_op(&mut self, at: u32) {
        let op = self.compared().and_then(|compared| compared.diff.ops.get(at as usize)?.a);
        if let Some(op) = op {
            self.go(|view, _| view.ops.put(op.into()));
        }
    }
}

/// Rows in the order of a column; as they are where there is no such column.
pub(super) fn ordered<T>(
    mut rows: Vec<u32>,
    all: &[T],
    by: Option<&fn(&T, &T) -> Ordering>,
    descending: bool,
) -> Vec<u32> {
    if let Some(by) = by {
        let order = |a: &u32, b: &u32| by(&all[*a as usize], &all[*b as usize]);
        rows.sort_by(|a, b| if descending { order(b, a) } else { order(a, b) });
    }
    rows
}

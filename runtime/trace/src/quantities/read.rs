//! Reads figures off a timeline.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use bayplan_text::escape;

use super::filter::{Filter, Key, Subject};
use super::join::Joined;
use super::plan_figures::{ArenaFigures, PlanFigures};
use super::table::QUANTITIES;
use super::value::{Number, Unknown, Value};
use super::{Figure, Join, Quantity, Scope, Statistic};
use crate::schema::distribution::Distribution;
use crate::schema::event::EventKind;
use crate::schema::plan_record::BufferRecord;
use crate::schema::session::SessionInfo;
use crate::timeline::plan_state::PlanState;
use crate::timeline::pool::Pool;
use crate::timeline::{HeapState, Timeline};

/// How much an arena would shrink at least and at most without a buffer, in bytes: what a planner tells of a plan, by
/// the numbers of plan and buffer.
pub type RegretOf<'a> = &'a dyn Fn(u32, u32) -> Option<(u64, u64)>;

/// A timeline, and what else figures are made of.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    pub(crate) timeline: &'a Timeline,
    pub(crate) damage: u64,
    regret: Option<RegretOf<'a>>,
}

/// How a row is read: off what its scope names.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Read {
    Session(fn(&Timeline) -> Value),
    /// Of how weights were loaded; nothing is known where the recording tells of no load.
    Load(fn(&Timeline) -> u64),
    Damage,
    Distribution(fn(&Timeline) -> &Distribution),
    Plan(fn(&PlanState, &PlanFigures) -> Value),
    Arena(fn(&ArenaFigures) -> Value),
    Heap(fn(&Timeline, u32, &HeapState) -> Value),
    Pool(fn(&Pool) -> Value),
    Op(fn(&Timeline, &PlanState, usize) -> Value),
    Tensor(fn(&PlanState, usize, &BufferRecord) -> Value),
    /// Of a tensor, by a planner.
    Regret,
}

/// Every figure of a session but those of single ops and tensors: see [`Reading::figures`].
pub fn figures(timeline: &Timeline) -> Vec<Figure<'_>> {
    Reading::new(timeline).figures()
}

impl fmt::Debug for Reading<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading").field("damage", &self.damage).finish_non_exhaustive()
    }
}

impl<'a> Reading<'a> {
    /// Of an undamaged recording.
    pub fn new(timeline: &'a Timeline) -> Self {
        Self { timeline, damage: 0, regret: None }
    }

    /// With the number of places at which the recording is damaged.
    pub fn with_damage(self, places: u64) -> Self {
        Self { damage: places, ..self }
    }

    /// With a planner that tells regrets.
    pub fn with_regret(self, regret: RegretOf<'a>) -> Self {
        Self { regret: Some(regret), ..self }
    }

    /// For each row of the table in its order: the session's figure, then those of its plans, arenas, heaps and pools; of
    /// a distribution every statistic. Figures of single ops and tensors are left out, there can be millions:
    /// [`Reading::of`] gives them.
    pub fn figures(&self) -> Vec<Figure<'a>> {
        let mut found = Vec::new();
        let all = Filter::default();
        for quantity in QUANTITIES {
            let subject = Subject::Session;
            if quantity.is_distribution() {
                found.extend(Statistic::ALL.into_iter().map(|statistic| {
                    let value = self.statistic(quantity, statistic);
                    Figure { quantity, statistic: Some(statistic), subject, value }
                }));
                continue;
            }
            found.push(Figure { quantity, statistic: None, subject, value: self.total(quantity, &all) });
            if !matches!(quantity.scope, Scope::Session | Scope::Op | Scope::Tensor) {
                found.extend(self.of(quantity, &all));
            }
        }
        found
    }

    /// A statistic of a distribution; of other rows nothing is known.
    pub fn statistic(&self, quantity: &'static Quantity, statistic: Statistic) -> Value {
        let Read::Distribution(read) = quantity.read else { return Value::Unknown(Unknown::NoDistribution) };
        let none = if quantity.name == "op_time" { Unknown::NotTimed } else { Unknown::NoRuns };
        let value = statistic_of(read(self.timeline), statistic).unwrap_or(Value::Unknown(none));
        let grows = matches!(statistic, Statistic::Count | Statistic::Sum | Statistic::Max);
        match self.missing(quantity) {
            Some(why) => value.uncertain(grows, &why),
            None => value,
        }
    }

    /// A figure of every subject that is asked for, in the order of plans and numbers.
    pub fn of(&self, quantity: &'static Quantity, filter: &Filter) -> Vec<Figure<'a>> {
        let mut found = Vec::new();
        self.each(quantity, filter, &mut |subject, value| {
            found.push(Figure { quantity, statistic: None, subject, value });
        });
        found
    }

    /// The one figure of all subjects that are asked for; without a filter, that of the session.
    pub fn total(&self, quantity: &'static Quantity, filter: &Filter) -> Value {
        let mut whole = Whole::new(quantity.join);
        self.each(quantity, filter, &mut |subject, value| whole.add(&subject, value));
        if let Some(value) = whole.value(quantity.scope) {
            return value;
        }
        if !filter.0.is_empty() && self.has_subjects(quantity) {
            return Value::Unknown(self.no_such(quantity, filter));
        }
        let nothing = match quantity.scope {
            Scope::Heap => Unknown::NotTold,
            Scope::Pool => Unknown::NoPool,
            _ if self.timeline.plans.is_empty() => Unknown::NoPlan,
            Scope::Op | Scope::Tensor if self.timeline.plans.iter().any(|plan| plan.forgotten) => {
                Unknown::NotKept
            }
            Scope::Session | Scope::Plan => Unknown::NoWindows,
            scope => Unknown::Absent { scope: scope.name() },
        };
        Value::Unknown(nothing)
    }

    fn has_subjects(&self, quantity: &'static Quantity) -> bool {
        let mut any = false;
        self.each(quantity, &Filter::default(), &mut |_, _| any = true);
        any
    }

    fn each(&self, quantity: &'static Quantity, filter: &Filter, take: &mut dyn FnMut(Subject<'a>, Value)) {
        let missing = self.missing(quantity);
        let mut give = |subject: Subject<'a>, value: Value| {
            if filter.takes(&subject) {
                let value = match &missing {
                    Some(why) => value.uncertain(quantity.grows, why),
                    None => value,
                };
                take(subject, value);
            }
        };
        match quantity.read {
            Read::Session(read) => give(Subject::Session, self.of_session(quantity, read)),
            Read::Load(read) => {
                let value = match self.timeline.totals.loads.count {
                    0 => Value::Unknown(Unknown::NoLoad),
                    _ => Value::whole(read(self.timeline)),
                };
                give(Subject::Session, value);
            }
            Read::Damage => give(Subject::Session, Value::whole(self.damage)),
            Read::Distribution(_) => give(Subject::Session, Value::Unknown(Unknown::Statistic)),
            Read::Heap(read) => {
                for (&heap, state) in &self.timeline.heaps {
                    give(Subject::Heap { heap }, read(self.timeline, heap, state));
                }
            }
            Read::Pool(read) => {
                for (&pool, state) in &self.timeline.pools {
                    give(Subject::Pool { pool, name: &state.name }, read(state));
                }
            }
            _ => {
                for (plan, state) in self.plans(filter) {
                    self.each_of_plan(quantity, (plan, state), &mut give);
                }
            }
        }
    }

    /// A figure of the session. A plan alone has none but the number of plans: that nothing failed in it proves nothing.
    fn of_session(&self, quantity: &Quantity, read: fn(&Timeline) -> Value) -> Value {
        let session = self.timeline.session.as_ref();
        let imported = session.is_some_and(SessionInfo::is_imported);
        let ran = session.is_some() || self.timeline.now > 0 || self.damage > 0;
        if quantity.name == "plans" {
            read(self.timeline)
        } else if !ran || (imported && self.timeline.runs_started == 0) {
            Value::Unknown(Unknown::NothingRan)
        } else if imported && ["unplanned", "allocs_after_init"].contains(&quantity.name) {
            Value::Unknown(Unknown::Imported)
        } else {
            read(self.timeline)
        }
    }

    /// The plans that can match.
    fn plans(&self, filter: &Filter) -> impl Iterator<Item = (u32, &'a PlanState)> + use<'a> {
        let only = filter.number(Key::Plan);
        (0..)
            .zip(&self.timeline.plans)
            .filter(move |(number, _)| only.is_none_or(|only| only == u64::from(*number)))
    }

    fn each_of_plan(
        &self,
        quantity: &'static Quantity,
        (plan, state): (u32, &'a PlanState),
        give: &mut dyn FnMut(Subject<'a>, Value),
    ) {
        let give = &mut |subject, value| give(subject, self.of_windows(state, quantity, value));
        match quantity.read {
            // What never ran has shown nothing, and nothing can be wrong with it.
            Read::Plan(read)
                if state.recording.is_some() || state.runs > 0 || quantity.made_of.is_empty() =>
            {
                give(Subject::Plan { plan }, read(state, state.figures()));
            }
            Read::Arena(read) => {
                for (arena, figures) in (0..).zip(&state.figures().arenas) {
                    give(Subject::Arena { plan, arena, name: &figures.name }, read(figures));
                }
            }
            Read::Op(read) => {
                for (op, record) in state.record.ops.iter().enumerate() {
                    let subject =
                        Subject::Op { plan, op: op as u32, name: &record.name, node: &record.source_node };
                    give(subject, read(self.timeline, state, op));
                }
            }
            Read::Tensor(read) => each_tensor(plan, state, give, |at, buffer| read(state, at, buffer)),
            Read::Regret => each_tensor(plan, state, give, |at, _| self.regret_of(plan, at as u32)),
            // Of the session, or of a plan that never ran.
            _ => {}
        }
    }

    fn regret_of(&self, plan: u32, buffer: u32) -> Value {
        let Some((least, most)) = self.regret.and_then(|regret| regret(plan, buffer)) else {
            return Value::Unknown(Unknown::NoPlanner);
        };
        match least == most {
            true => Value::whole(least),
            false => Value::Between(Number::Whole(least), Number::Whole(most)),
        }
    }

    /// Why a row cannot be certain: records that belong to it are missing.
    fn missing(&self, quantity: &Quantity) -> Option<Unknown> {
        let lost = |kind| Some((kind, self.timeline.dropped.get(&kind).copied().filter(|&count| count > 0)?));
        let lost = quantity.made_of.iter().find_map(|&kind| lost(kind));
        let lost = lost.map(|(kind, count)| Unknown::Lost { kind, count });
        let damaged = (self.damage > 0 && !matches!(quantity.read, Read::Damage)).then_some(Unknown::Damaged);
        lost.or(damaged)
    }

    /// That nothing matches, with what there is.
    fn no_such(&self, quantity: &'static Quantity, filter: &Filter) -> Unknown {
        let mut names: Vec<String> = Vec::new();
        let key = filter.0.first().map(|(key, _)| *key);
        self.each(quantity, &Filter::default(), &mut |subject, _| {
            let name = key.map(|key| subject.name(key)).filter(|name| !name.is_empty());
            if let Some(name) = name.filter(|name| names.len() <= KNOWN && !names.contains(name)) {
                names.push(name);
            }
        });
        if names.len() > KNOWN {
            names[KNOWN] = "…".into();
        }
        Unknown::NoSuch { asked: filter.to_string(), known: names.join(", ") }
    }

    /// A value that is made of windows: unknown where none were seen, not certain where some were lost. What was imported
    /// has no plan of its own that it could differ from; tensors may share bytes in it all the same.
    fn of_windows(&self, state: &PlanState, quantity: &Quantity, value: Value) -> Value {
        if !quantity.made_of.contains(&EventKind::Windows) {
            return value;
        }
        let imported = self.timeline.session.as_ref().is_some_and(SessionInfo::is_imported);
        match state.recording {
            _ if imported && quantity.name != "overlap" => Value::Unknown(Unknown::Imported),
            None => Value::Unknown(Unknown::NoWindows),
            Some(_) if state.incomplete => value.uncertain(quantity.grows, &Unknown::LostWindows),
            Some(_) => value,
        }
    }
}

fn statistic_of(distribution: &Distribution, statistic: Statistic) -> Option<Value> {
    let whole = |number: Option<u64>| number.map(Value::whole);
    let percentile = |fraction| whole(distribution.percentile(fraction));
    match statistic {
        Statistic::Count => Some(Value::whole(distribution.count())),
        // Of nothing, a sum is no measurement.
        Statistic::Sum => (distribution.count() > 0).then(|| Value::whole(distribution.sum())),
        Statistic::Min => whole(distribution.min()),
        Statistic::Max => whole(distribution.max()),
        Statistic::Mean => distribution.mean().map(Value::real),
        Statistic::P50 => percentile(0.5),
        Statistic::P90 => percentile(0.9),
        Statistic::P95 => percentile(0.95),
        Statistic::P99 => percentile(0.99),
    }
}

/// Names that are offered where one is unknown.
const KNOWN: usize = 8;

fn each_tensor<'a>(
    plan: u32,
    state: &'a PlanState,
    give: &mut dyn FnMut(Subject<'a>, Value),
    read: impl Fn(usize, &BufferRecord) -> Value,
) {
    for (index, buffer) in state.record.buffers.iter().enumerate() {
        let arena_name = state.record.arenas.get(buffer.arena as usize).map_or("", |arena| &arena.name);
        let subject = Subject::Tensor {
            plan,
            buffer: index as u32,
            name: &buffer.name,
            arena: buffer.arena,
            arena_name,
        };
        give(subject, read(index, buffer));
    }
}

impl Subject<'_> {
    fn plan(&self) -> Option<u32> {
        match self {
            Self::Plan { plan }
            | Self::Arena { plan, .. }
            | Self::Op { plan, .. }
            | Self::Tensor { plan, .. } => Some(*plan),
            Self::Session | Self::Heap { .. } | Self::Pool { .. } => None,
        }
    }

    /// What it is called by a key, quoted where it is a name.
    fn name(&self, key: Key) -> String {
        let quoted = |name: &str| format!("\"{}\"", escape(name));
        match (self, key) {
            (Self::Arena { name, .. }, Key::Arena)
            | (Self::Pool { name, .. }, Key::Pool)
            | (Self::Op { name, .. }, Key::Op)
            | (Self::Tensor { name, .. }, Key::Tensor) => quoted(name),
            (Self::Tensor { arena_name, .. }, Key::Arena) => quoted(arena_name),
            (Self::Heap { heap }, Key::Heap) => heap.to_string(),
            (subject, Key::Plan) => subject.plan().map_or_else(String::new, |plan| plan.to_string()),
            _ => String::new(),
        }
    }
}

/// The figures of several subjects as they become one.
struct Whole {
    join: Join,
    all: Joined,
    /// Of the plan in progress, where plans are joined otherwise than their parts.
    plan: Option<(u32, Joined)>,
    count: usize,
}

impl Whole {
    fn new(join: Join) -> Self {
        let all = match join {
            Join::Sum => Joined::sum(),
            Join::Min => Joined::min(),
            Join::Max | Join::MaxOfSums | Join::Choose => Joined::max(),
        };
        Self { join, all, plan: None, count: 0 }
    }

    fn add(&mut self, subject: &Subject<'_>, value: Value) {
        self.count += 1;
        let (Join::MaxOfSums, Some(plan)) = (self.join, subject.plan()) else { return self.all.add(value) };
        if self.plan.as_ref().is_some_and(|(own, _)| *own != plan) {
            self.end_plan();
        }
        self.plan.get_or_insert_with(|| (plan, Joined::sum())).1.add(value);
    }

    fn end_plan(&mut self) {
        if let Some(value) = self.plan.take().and_then(|(_, joined)| joined.value()) {
            self.all.add(value);
        }
    }

    fn value(mut self, scope: Scope) -> Option<Value> {
        self.end_plan();
        if self.join == Join::Choose && self.count > 1 {
            return Some(Value::Unknown(Unknown::Several { scope: scope.name() }));
        }
        self.all.value()
    }
}

//! What ops cost, as a list of them: one by one, or those of an operator together. The figures are the trace's.

use std::collections::BTreeSet;

use bayplan_trace::{OpGroup, OpRoof, OpShare, PlanState, Roofs, op_groups, op_shares};

use super::filter::Filter;
use super::lists::Sort;

/// What the list of ops is made of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Operators {
    /// Whether ops of one operator are taken together.
    pub(crate) grouped: bool,
    /// The operator whose ops alone are listed; none lists all.
    of: Option<String>,
    /// The ops that were timed, in the order of their numbers.
    shares: Vec<OpShare>,
    /// The operators, where they are taken together.
    groups: Vec<OpGroup>,
    /// How many ops, or operators, there are, found by a search or not.
    all: usize,
}

/// The figures of an op, or of those of an operator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cost {
    /// Mean and latest time, and the part of all means; none where it was not timed.
    pub(crate) time: Option<(u64, u64, f64)>,
    /// Bytes that it moves, by the plan.
    pub(crate) bytes: u64,
    /// Floating-point operations, by the plan.
    pub(crate) flops: u64,
    /// Bytes per second.
    pub(crate) bytes_per_second: Option<f64>,
    /// Floating-point operations per second.
    pub(crate) flops_per_second: Option<f64>,
    /// How far it is from the roof.
    pub(crate) roof: Option<OpRoof>,
}

impl Operators {
    /// Takes in what is known of a plan's ops now; returns the rows in order: numbers of ops, or of groups.
    pub(crate) fn refresh(
        &mut self,
        plan: &PlanState,
        roofs: Option<&Roofs>,
        filter: &Filter,
        sort: Sort,
    ) -> Vec<u32> {
        self.shares = op_shares(plan, roofs);
        let ops = &plan.record.ops;
        let takes = |op: u32| ops.get(op as usize).is_some_and(|record| filter.keeps_op(op, record));
        let is_listed = |op: &u32| {
            self.of.as_ref().is_none_or(|of| ops.get(*op as usize).is_some_and(|op| op.source_op == *of))
        };
        self.all = match self.grouped {
            true => ops.iter().map(|op| op.source_op.as_str()).collect::<BTreeSet<&str>>().len(),
            false => (0..ops.len() as u32).filter(is_listed).count(),
        };
        self.groups = if self.grouped { op_groups(&plan.record, &self.shares, takes) } else { Vec::new() };
        self.shares.sort_unstable_by_key(|share| share.op);
        let mut rows: Vec<u32> = if self.grouped {
            (0..self.groups.len() as u32).collect()
        } else {
            (0..ops.len() as u32).filter(|op| takes(*op) && is_listed(op)).collect()
        };
        self.order(plan, &mut rows, sort);
        rows
    }

    fn order(&self, plan: &PlanState, rows: &mut [u32], sort: Sort) {
        // What is alike stays in the order of the plan, whichever comes first.
        if sort.descending {
            rows.reverse();
        }
        if sort.column == 0 && !self.grouped {
            // By their numbers: in the order in which they run. By operator they stand where those are taken together.
            rows.sort_unstable();
        } else if let Some(name) = text_key(sort.column) {
            rows.sort_by_cached_key(|row| self.text(plan, *row, name).to_owned());
        } else {
            rows.sort_by_cached_key(|row| {
                let number = self.cost(plan, *row).and_then(|cost| cost.number(sort.column));
                // Not negative: their order is that of their bits. What has no figure comes before.
                number.map(|number| number.max(0.0).to_bits())
            });
        }
        if sort.descending {
            rows.reverse();
        }
    }

    /// Lists operators instead of ops, or ops instead of operators; returns what is so now. From the ops of one operator
    /// it goes back to the operators.
    pub(super) fn list_otherwise(&mut self) -> &'static str {
        self.grouped = !self.grouped;
        self.of = None;
        if self.grouped { "ops of one operator together" } else { "ops one by one" }
    }

    /// Lists the ops of a group alone.
    pub(super) fn enter(&mut self, row: u32) {
        if let Some(operator) = self.group(row).map(|group| group.operator.clone()) {
            (self.grouped, self.of) = (false, Some(operator));
        }
    }

    /// The operator whose ops alone are listed.
    pub(crate) fn of(&self) -> Option<&str> {
        self.of.as_deref()
    }

    /// A number below 3 that differs where other rows are listed. From one operator to another one goes by way of all.
    pub(super) fn stamp(&self) -> u64 {
        match (self.grouped, &self.of) {
            (true, _) => 1,
            (false, Some(_)) => 2,
            (false, None) => 0,
        }
    }

    /// How many ops, or operators, there are, found by a search or not.
    pub(crate) fn all(&self) -> usize {
        self.all
    }

    /// A group by its row.
    pub(crate) fn group(&self, row: u32) -> Option<&OpGroup> {
        self.groups.get(row as usize).filter(|_| self.grouped)
    }

    /// The op that a row stands for; of a group, the one that costs most.
    pub(crate) fn op_of(&self, row: u32) -> Option<u32> {
        if self.grouped { self.group(row)?.ops.first().copied() } else { Some(row) }
    }

    /// Whether any op was timed.
    pub(crate) fn is_timed(&self) -> bool {
        !self.shares.is_empty()
    }

    /// The most runs that the mean of any op is of, and whether the first one is left out.
    pub(crate) fn averaged(&self) -> (u64, bool) {
        let most = self.shares.iter().max_by_key(|share| share.averaged);
        most.map_or((0, false), |share| (share.averaged, share.averaged < share.count))
    }

    /// The figures of a row.
    pub(crate) fn cost(&self, plan: &PlanState, row: u32) -> Option<Cost> {
        if let Some(group) = self.group(row) {
            return Some(Cost {
                time: (group.timed > 0).then_some((group.mean, group.latest, group.share)),
                bytes: group.bytes,
                flops: group.flops,
                bytes_per_second: group.bytes_per_second.filter(|_| group.timed > 0),
                flops_per_second: group.flops_per_second.filter(|_| group.timed > 0),
                roof: group.roof,
            });
        }
        let op = plan.record.ops.get(row as usize)?;
        let at = self.shares.binary_search_by_key(&(row as usize), |share| share.op).ok();
        let share = at.map(|at| &self.shares[at]);
        Some(Cost {
            time: share.map(|share| (share.mean, share.latest, share.share)),
            bytes: op.bytes,
            flops: op.flops,
            bytes_per_second: share.and_then(|share| share.bytes_per_second),
            flops_per_second: share.and_then(|share| share.flops_per_second),
            roof: share.and_then(|share| share.roof),
        })
    }

    /// A text of a row.
    fn text<'a>(&'a self, plan: &'a PlanState, row: u32, text: Text) -> &'a str {
        let Some(op) = self.op_of(row).and_then(|op| plan.record.ops.get(op as usize)) else { return "" };
        match text {
            Text::Operator => &op.source_op,
            Text::Kernel => &op.kernel,
            Text::Node => &op.source_node,
        }
    }
}

/// Texts that ops are ordered by.
#[derive(Clone, Copy)]
enum Text {
    Operator,
    Kernel,
    Node,
}

fn text_key(column: usize) -> Option<Text> {
    match column {
        0 => Some(Text::Operator),
        9 => Some(Text::Kernel),
        10 => Some(Text::Node),
        _ => None,
    }
}

impl Cost {
    /// The figure of a column, in the order of the columns of the list.
    fn number(&self, column: usize) -> Option<f64> {
        match column {
            1 => self.time.map(|time| time.0 as f64),
            2 => self.time.map(|time| time.1 as f64),
            3 => self.time.map(|time| time.2),
            4 => Some(self.bytes as f64),
            5 => Some(self.flops as f64),
            6 => self.bytes_per_second,
            7 => self.flops_per_second,
            8 => self.roof.map(|roof| roof.share),
            _ => None,
        }
    }
}

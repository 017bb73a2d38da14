//! The buffers that an order of the nodes gives: lifespans, and what overwrites what.

use alloc::vec;
use alloc::vec::Vec;

use super::dag::{Dag, Node};
use crate::problem::{Buffer, Lifespan};

/// Where a value lies: a buffer and an offset in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) buffer: u32,
    pub(crate) offset: u64,
}

/// The buffers of one order. Values that overwrite one another share one; scratch has its own.
#[derive(Debug, Default)]
pub(crate) struct Storages {
    pub(crate) buffers: Vec<Buffer>,
    /// For each value; `None` for one that never holds bytes.
    pub(crate) of: Vec<Option<Place>>,
    /// For each node, the buffer of its scratch.
    pub(crate) scratch: Vec<Option<u32>>,
    /// Whether some result overwrites an operand that is larger than itself, and keeps all of it alive.
    pub(crate) keeps_larger: bool,
}

/// The lifespans under an order, in positions of it; `larger` says whether a result may overwrite larger operands too.
///
/// ```text
///   position    0   1   2   3
///   given x     [=======)            touched last by the second node
///   y           .   [=======)        from the first node that touches it to the last
///   kept z      .   .   [=======)    to the end
/// ```
pub(crate) fn storages(dag: &Dag, order: &[u32], larger: bool) -> Storages {
    let mut made = Maker::new(dag, order);
    for (position, &node) in order.iter().enumerate() {
        made.overwrite(node, position as u32, larger);
    }
    made.finish(order)
}

/// What lives in one buffer while it is not yet known what else will.
#[derive(Clone, Copy, Debug)]
struct Group {
    buffer: Buffer,
    /// Whether it holds something kept.
    kept: bool,
    /// The buffer it has become part of.
    into: Option<u32>,
}

struct Maker<'a> {
    dag: &'a Dag,
    groups: Vec<Group>,
    of: Vec<Option<Place>>,
    writers: Vec<u32>,
    keeps_larger: bool,
}

impl<'a> Maker<'a> {
    fn new(dag: &'a Dag, order: &[u32]) -> Self {
        let mut spans: Vec<Option<Lifespan>> = vec![None; dag.values().len()];
        let mut writers = vec![0; dag.values().len()];
        for (position, &node) in order.iter().enumerate() {
            let (node, at) = (&dag.nodes()[node as usize], position as u32);
            for access in node.reads.iter().chain(&node.writes) {
                spans[access.value as usize].get_or_insert(Lifespan::new(at, at)).last = at + 1;
            }
            for write in &node.writes {
                writers[write.value as usize] += 1;
            }
        }
        let end = order.len().max(1) as u32;
        let mut made =
            Self { dag, groups: vec![], of: vec![None; spans.len()], writers, keeps_larger: false };
        for (value, (item, span)) in dag.values().iter().zip(spans).enumerate() {
            let span = match span {
                Some(span) => Some(Lifespan { first: if item.given { 0 } else { span.first }, ..span }),
                None => (item.given || item.kept).then_some(Lifespan::new(0, 1)),
            };
            let Some(mut lifespan) = span else { continue };
            if item.kept {
                lifespan.last = end;
            }
            let buffer = Buffer { size: item.size, align: item.align, lifespan, fixed: None };
            made.of[value] = Some(Place { buffer: made.groups.len() as u32, offset: 0 });
            made.groups.push(Group { buffer, kept: item.kept, into: None });
        }
        made
    }

    /// Lets the result of a node take over the buffer of an operand that dies with it: of one as large as itself
    /// before a larger one.
    fn overwrite(&mut self, node: u32, position: u32, larger: bool) {
        let node = &self.dag.nodes()[node as usize];
        let Some(result) = node.writes.first().map(|write| write.value) else { return };
        let item = &self.dag.values()[result as usize];
        let Some(own) = self.of[result as usize] else { return };
        if item.given || self.writers[result as usize] != 1 {
            return;
        }
        let fits = |equal: bool| {
            let mut slots = node.overwrites.iter().map(|&read| node.reads[read as usize]);
            slots.find(|read| {
                let size = self.dag.values()[read.value as usize].size;
                (if equal { size == item.size } else { size > item.size })
                    && self.dies(node, read.value, result, position)
            })
        };
        let equal = fits(true);
        let Some(read) = equal.or_else(|| fits(false).filter(|_| larger)) else { return };
        let Some(taken) = self.of[read.value as usize] else { return };
        let offset = taken.offset + read.first;
        let (group, gone) = (self.groups[taken.buffer as usize], self.groups[own.buffer as usize]);
        // What reads the result before it is written needs bytes as well, whatever they hold.
        if gone.buffer.lifespan.first < position {
            return;
        }
        if offset + item.size > group.buffer.size || item.align > group.buffer.align {
            return;
        }
        self.keeps_larger |= equal.is_none();
        self.of[result as usize] = Some(Place { buffer: taken.buffer, offset });
        self.groups[own.buffer as usize].into = Some(taken.buffer);
        let kept = &mut self.groups[taken.buffer as usize];
        kept.buffer.lifespan.last = gone.buffer.lifespan.last;
        kept.kept = gone.kept;
    }

    /// Whether the buffer of a value holds nothing that is needed after this node, and is no other operand's.
    fn dies(&self, node: &Node, value: u32, result: u32, position: u32) -> bool {
        let Some(place) = self.of[value as usize] else { return false };
        let group = &self.groups[place.buffer as usize];
        let alone = node.reads.iter().all(|other| {
            other.value == value || self.of[other.value as usize].is_none_or(|at| at.buffer != place.buffer)
        });
        // An operand that is read twice is read in two ways: one of them may be out of order.
        let once = node.reads.iter().filter(|other| other.value == value).count() == 1;
        value != result && once && alone && !group.kept && group.buffer.lifespan.last == position + 1
    }

    fn finish(self, order: &[u32]) -> Storages {
        let mut made = Storages { keeps_larger: self.keeps_larger, ..Storages::default() };
        let mut number = vec![0; self.groups.len()];
        for (group, number) in self.groups.iter().zip(&mut number).filter(|(group, _)| group.into.is_none()) {
            *number = made.buffers.len() as u32;
            made.buffers.push(group.buffer);
        }
        let renumbered = |place: Place| Place { buffer: number[place.buffer as usize], ..place };
        made.of = self.of.iter().map(|place| place.map(renumbered)).collect();
        made.scratch = vec![None; order.len()];
        for (position, &node) in order.iter().enumerate() {
            let size = self.dag.nodes()[node as usize].scratch;
            if size > 0 {
                made.scratch[node as usize] = Some(made.buffers.len() as u32);
                made.buffers.push(Buffer::new(size, position as u32, position as u32 + 1));
            }
        }
        made
    }
}

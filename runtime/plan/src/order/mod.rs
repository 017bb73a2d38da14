//! Operator order: the order of a graph's nodes whose plan needs the least memory.
//!
//! Which nodes have run decides what is live, and so how large the arena must be:
//!
//! ```text
//!        ┌► a (large) ─► b (small) ─┐        given     x a c b d e    a and c are live together
//!   x ──►┤                          ├► e     searched  x a b c d e    b is all that is left of a
//!        └► c (large) ─► d (small) ─┘
//! ```
//!
//! [`search`] tries the given order, list scheduling in both directions of time, depth first search, and a search of
//! its own, and plans each: the peak of the *plan* decides, not max-live. No order is taken that is not better than the
//! given one. The search works on the parts between the graph's cuts (a cut is a node that all others must precede or
//! follow), the highest part first, equal parts once; on each by
//! dynamic programming over the sets of nodes that have run, where that is too much by a beam over such sets and by
//! windows around the peak. What no order can go below is shown at one node: what is live there in any case, or, with
//! the choice of what else has run, the narrowest cut between what must have run and what cannot have.
//!
//! ```
//! use bayplan_plan::{Effort, order::{Access, Dag, Node, Value, search}};
//!
//! let value = |size| Value { size, align: 1, given: false, kept: false };
//! let node = |reads: &[(u32, u64)], result: (u32, u64)| Node {
//!     reads: reads.iter().map(|&(value, size)| Access::new(value, 0, size)).collect(),
//!     writes: vec![Access::new(result.0, 0, result.1)],
//!     ..Node::default()
//! };
//! let values = [8, 100, 100, 1, 1, 1].map(value).to_vec();
//! let nodes = vec![
//!     node(&[], (0, 8)),                    // x
//!     node(&[(0, 8)], (1, 100)),            // a
//!     node(&[(0, 8)], (2, 100)),            // c
//!     node(&[(1, 100)], (3, 1)),            // b
//!     node(&[(2, 100)], (4, 1)),            // d
//!     node(&[(3, 1), (4, 1)], (5, 1)),      // e
//! ];
//! let searched = search(&Dag::new(nodes, values)?, Effort::Normal);
//! assert_eq!((searched.given().peak, searched.best().peak, searched.bound), (208, 109, 109));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod barrier;
mod beam;
mod blocks;
mod bound;
mod csr;
mod dag;
mod drawn;
mod exact;
mod greedy;
mod mincut;
mod nearest;
mod part;
mod region;
mod score;
mod search;
mod storage;
mod window;

pub use dag::{Access, Dag, DagError, Node, Value};
pub use drawn::drawn;
pub use score::Candidate;
pub use search::{Searched, search};

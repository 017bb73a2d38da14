//! Operator orders: never worse than the given one, at the optimum where it can be known, quick on large graphs.

#[allow(dead_code, reason = "shared by several test binaries")]
mod instances;

use std::time::Instant;

use bayplan_plan::Effort;
use bayplan_plan::order::{Access, Dag, Node, Value, search};
use instances::SplitMix;

/// A graph under construction: each node makes one value.
#[derive(Default)]
struct Net {
    nodes: Vec<Node>,
    values: Vec<Value>,
    keep_all: bool,
}

impl Net {
    fn given(&mut self, size: u64) -> u32 {
        self.values.push(Value { size, align: 1, given: true, kept: false });
        self.values.len() as u32 - 1
    }

    fn node(&mut self, reads: &[u32], size: u64) -> u32 {
        self.values.push(Value { size, align: 1, given: false, kept: false });
        let result = self.values.len() as u32 - 1;
        let whole = |value: u32| Access::new(value, 0, self.values[value as usize].size);
        let node = Node {
            reads: reads.iter().map(|&value| whole(value)).collect(),
            writes: vec![whole(result)],
            ..Node::default()
        };
        self.nodes.push(node);
        result
    }

    /// Keeps what nothing reads.
    fn dag(mut self) -> Dag {
        let mut read = vec![false; self.values.len()];
        for access in self.nodes.iter().flat_map(|node| &node.reads) {
            read[access.value as usize] = true;
        }
        for (value, read) in self.values.iter_mut().zip(read) {
            value.kept |= !read && !value.given && (self.keep_all || value.size % 16 == 1);
        }
        Dag::new(self.nodes, self.values).expect("a graph")
    }
}

/// A random graph: each node reads some of the values made shortly before it.
fn random(seed: u64, nodes: usize, reach: u64) -> Dag {
    let mut r = SplitMix(seed);
    let mut net = Net { keep_all: nodes < 1000, ..Net::default() };
    for _ in 0..r.range(1, 3) {
        let size = r.range(1, 64);
        net.given(size);
    }
    for _ in 0..nodes {
        let known = net.values.len() as u64;
        let mut reads: Vec<u32> =
            (0..r.range(1, 3)).map(|_| r.range(known.saturating_sub(reach), known - 1) as u32).collect();
        reads.sort_unstable();
        reads.dedup();
        let scale = [1, 8, 64][r.range(0, 2) as usize];
        let size = scale * r.range(1, 16);
        let result = net.node(&reads, size);
        let node = net.nodes.last_mut().expect("just made");
        if r.range(0, 2) == 0 {
            // Elementwise: as large as its operand, which it may overwrite.
            let operand = node.reads[0];
            node.overwrites = vec![0];
            node.writes[0].end = operand.end;
            net.values[result as usize].size = operand.end;
        }
        if r.range(0, 9) == 0 {
            node.scratch = r.range(1, 100);
        }
    }
    net.dag()
}

#[test]
fn never_worse_than_the_given_order() {
    let (mut better, mut saved) = (0, 0.0);
    let start = Instant::now();
    for seed in 0..1000 {
        let mut r = SplitMix(seed ^ 0x5EED);
        let dag = random(seed, r.range(1, 120) as usize, r.range(2, 40));
        let found = search(&dag, Effort::Normal);
        let (given, best) = (found.given(), found.best());
        assert!(dag.allows(&best.order), "seed {seed}");
        assert!(best.peak <= given.peak && found.bound <= best.peak, "seed {seed}: {found:?}");
        better += u32::from(best.peak < given.peak);
        saved += 1.0 - best.peak as f64 / given.peak as f64;
    }
    println!("{better} of 1,000 better, {:.1} % saved on average, {:?}", saved / 10.0, start.elapsed());
}

/// Every order of a small graph, judged from the definitions by code of its own.
struct Exhaustive<'a> {
    nodes: &'a [Node],
    values: &'a [Value],
    /// The smallest arena so far; placements that are not smaller are not followed.
    best: u64,
    orders: u64,
}

/// Bytes `size`, alive from position `first` to before `last`.
#[derive(Clone, Copy)]
struct Alive {
    size: u64,
    first: usize,
    last: usize,
    kept: bool,
}

impl Exhaustive<'_> {
    /// Appends every node that may come next: those whose operands are made.
    fn extend(&mut self, order: &mut Vec<usize>) {
        if order.len() == self.nodes.len() {
            self.orders += 1;
            self.judge(order);
            return;
        }
        for node in 0..self.nodes.len() {
            let made = |value: u32| {
                let maker = self.nodes.iter().position(|n| n.writes[0].value == value);
                maker.is_none_or(|maker| order.contains(&maker))
            };
            if !order.contains(&node) && self.nodes[node].reads.iter().all(|read| made(read.value)) {
                order.push(node);
                self.extend(order);
                order.pop();
            }
        }
    }

    fn judge(&mut self, order: &[usize]) {
        let buffers = self.buffers(order);
        let live = |at| buffers.iter().filter(|b| b.first <= at && at < b.last).map(|b| b.size).sum::<u64>();
        if (0..order.len()).all(|at| live(at) < self.best) {
            place(&buffers, &mut vec![None; buffers.len()], &mut self.best);
        }
    }

    /// Lifespans, a result that overwrites its operand continuing the operand's.
    fn buffers(&self, order: &[usize]) -> Vec<Alive> {
        let touches = |node: &Node, value: usize| {
            node.reads.iter().chain(&node.writes).any(|access| access.value as usize == value)
        };
        let mut of: Vec<usize> = (0..self.values.len()).collect();
        let mut alive: Vec<Alive> = (0..self.values.len())
            .map(|value| {
                let item = self.values[value];
                let uses = || (0..order.len()).filter(|&at| touches(&self.nodes[order[at]], value));
                let first = if item.given { 0 } else { uses().next().unwrap_or(0) };
                let last = if item.kept { order.len() } else { uses().next_back().unwrap_or(0) + 1 };
                Alive { size: item.size, first, last, kept: item.kept }
            })
            .collect();
        for (at, &number) in order.iter().enumerate() {
            let node = &self.nodes[number];
            let result = node.writes[0].value as usize;
            if let Some(&read) = node.overwrites.first() {
                let operand = of[node.reads[read as usize].value as usize];
                let shared =
                    node.reads.iter().filter(|access| of[access.value as usize] == operand).count() > 1;
                if alive[operand].last == at + 1 && !alive[operand].kept && !shared {
                    alive[operand] =
                        Alive { last: alive[result].last, kept: alive[result].kept, ..alive[operand] };
                    alive[result].size = 0;
                    of[result] = operand;
                }
            }
            let (first, last) = (at, at + 1);
            alive.push(Alive { size: node.scratch, first, last, kept: false });
        }
        alive.retain(|buffer| buffer.size > 0);
        alive
    }
}

/// Tries every sequence of putting buffers as low as they go: some sequence makes a smallest plan.
fn place(buffers: &[Alive], offsets: &mut Vec<Option<u64>>, best: &mut u64) {
    let end = |offset: &Option<u64>, buffer: &Alive| offset.map_or(0, |offset| offset + buffer.size);
    let peak = offsets.iter().zip(buffers).map(|(offset, buffer)| end(offset, buffer)).max().unwrap_or(0);
    if peak >= *best {
        return;
    }
    if offsets.iter().all(Option::is_some) {
        *best = peak;
        return;
    }
    for next in 0..buffers.len() {
        if offsets[next].is_some() {
            continue;
        }
        let overlaps = |other: &Alive| other.first < buffers[next].last && buffers[next].first < other.last;
        let below = offsets.iter().zip(buffers).filter(|(_, other)| overlaps(other));
        // Above everything placed that it meets: holes are filled by the sequences that fill them first.
        offsets[next] = Some(below.map(|(offset, other)| end(offset, other)).max().unwrap_or(0));
        place(buffers, offsets, best);
        offsets[next] = None;
    }
}

#[test]
fn at_the_optimum_where_all_orders_can_be_tried() {
    let (mut worst, mut above, mut orders, mut certified) = (0.0f64, 0, 0, 0);
    for seed in 0..400 {
        let mut r = SplitMix(seed ^ 0xA11);
        let dag = random(seed, r.range(2, 8) as usize, r.range(3, 9));
        let found = search(&dag, Effort::Normal);
        let peak = found.best().peak;
        let mut all = Exhaustive { nodes: dag.nodes(), values: dag.values(), best: peak, orders: 0 };
        all.extend(&mut Vec::new());
        orders += all.orders;
        assert!(found.bound <= all.best, "seed {seed}: {} is no bound on {}", found.bound, all.best);
        certified += u32::from(found.bound == peak);
        let gap = peak as f64 / all.best as f64 - 1.0;
        above += u32::from(gap > 0.0);
        worst = worst.max(gap);
        assert!(gap <= 0.01, "seed {seed}: {peak} instead of {}", all.best);
    }
    println!(
        "400 graphs, {orders} orders: {above} above the optimum, the worst by {:.2} %; {certified} certified",
        worst * 100.0
    );
}

/// The same block over and over: branches that each make something large first, all of the large ones written first.
fn branches(blocks: usize) -> Dag {
    let mut net = Net::default();
    let mut x = net.given(4);
    for _ in 0..blocks {
        let large: Vec<u32> = (0..4).map(|branch| net.node(&[x], 100 + branch)).collect();
        let small: Vec<u32> = large.iter().map(|&value| net.node(&[value], 2)).collect();
        let joined = net.node(&small, 8);
        x = net.node(&[joined], 4);
    }
    net.dag()
}

#[test]
fn twenty_thousand_nodes() {
    let limit = std::time::Duration::from_secs(20);
    for (name, dag) in [
        ("reach 3", random(3, 20_000, 3)),
        ("reach 12", random(12, 20_000, 12)),
        ("reach 60", random(60, 20_000, 60)),
        ("reach 1000", random(1000, 20_000, 1000)),
        ("equal blocks", branches(2_000)),
    ] {
        let start = Instant::now();
        let found = search(&dag, Effort::Normal);
        let took = start.elapsed();
        println!("{name}: bound of all orders {}, {took:?}", found.bound);
        for c in &found.candidates {
            println!("    {}: peak {}, bound {}, {} barriers", c.name, c.peak, c.bound, c.barriers);
        }
        // One second of processor time is what it may take when optimised, on a machine that does nothing else.
        assert!(took < limit, "{name}: {took:?}");
        assert!(found.best().peak <= found.given().peak && dag.allows(&found.best().order), "{name}");
        if name == "equal blocks" {
            // x and all four large ones; x, what is left of two branches, the third one's large value and its small one.
            assert_eq!(found.given().peak, 4 + 100 + 101 + 102 + 103);
            assert_eq!((found.best().peak, found.bound), (4 + 2 + 2 + 101 + 2, 4 + 2 + 2 + 101 + 2));
        }
    }
}

#[test]
fn what_no_order_can_change_is_certified() {
    // A chain has one order; its bound is its peak, and nothing else is planned.
    let mut net = Net::default();
    let mut x = net.given(10);
    for size in [30, 20, 50, 5] {
        x = net.node(&[x], size);
    }
    let found = search(&net.dag(), Effort::Normal);
    assert_eq!((found.candidates.len(), found.best, found.best().peak, found.bound), (1, 0, 70, 70));
    assert_eq!(found.witness, 2, "20 bytes are read while 50 are written");
    assert_eq!(found.given().barriers, 3, "each node reads what the one before has written");
}

#[test]
fn the_same_graph_gets_the_same_answer() {
    for seed in 0..20 {
        let found = || search(&random(seed, 150, 20), Effort::Normal);
        assert_eq!(found(), found());
    }
}

#[test]
fn mistakes_are_named() {
    let value = |size| Value { size, align: 1, given: true, kept: false };
    let read = |access| Node { reads: vec![access], ..Node::default() };
    let error =
        |nodes: Vec<Node>, values: Vec<Value>| Dag::new(nodes, values).expect_err("it is wrong").to_string();
    assert_eq!(
        error(vec![read(Access::new(0, 4, 9))], vec![value(8)]),
        "node 0 touches bytes 4..9 of value 0, which has no such bytes"
    );
    assert_eq!(
        error(vec![read(Access::new(1, 0, 0))], vec![value(8)]),
        "node 0 touches bytes 0..0 of value 1, which has no such bytes"
    );
    let overwrites = Node { overwrites: vec![1], ..read(Access::new(0, 0, 8)) };
    assert_eq!(
        error(vec![overwrites], vec![value(8)]),
        "node 0 may overwrite its read 1, which it does not have"
    );
    let odd = Value { align: 3, ..value(8) };
    assert_eq!(error(vec![], vec![odd]), "buffer 0: alignment 3 is not a power of two (1, 2, 4, ...)");
    assert!(Dag::new(vec![], vec![]).is_ok());
}

#[test]
fn more_pairs_than_can_be_kept_are_refused() {
    let pieces = |count: u64| {
        let touch = |first, end| vec![Access::new(0, first, end)];
        let writes = (0..count).map(|at| Node { writes: touch(at, at + 1), ..Node::default() });
        let reads = (0..count).map(|_| Node { reads: touch(0, count), ..Node::default() });
        let value = Value { size: count, align: 1, given: false, kept: false };
        Dag::new(writes.chain(reads).collect(), vec![value])
    };
    assert!(pieces(1_000).is_ok());
    let error = pieces(10_000).expect_err("a hundred million pairs");
    assert!(error.to_string().contains("above 4194304"), "{error}");
}

#[test]
fn partial_writers_keep_only_the_order_they_must() {
    // Two halves of one value, written apart, read together; then the first half is written again.
    let values = vec![
        Value { size: 16, align: 1, given: false, kept: true },
        Value { size: 4, align: 1, given: false, kept: true },
    ];
    let write = |first, end| Node { writes: vec![Access::new(0, first, end)], ..Node::default() };
    let both =
        Node { reads: vec![Access::new(0, 0, 16)], writes: vec![Access::new(1, 0, 4)], ..Node::default() };
    let dag = Dag::new(vec![write(0, 8), write(8, 16), both, write(0, 8)], values).expect("a graph");
    assert_eq!([0, 1, 2, 3].map(|node| dag.after(node).to_vec()), [vec![2, 3], vec![2], vec![3], vec![]]);
    assert!(dag.allows(&[1, 0, 2, 3]) && !dag.allows(&[0, 2, 1, 3]) && !dag.allows(&[0, 1, 3, 2]));
    assert!(!dag.allows(&[0, 1, 2]) && !dag.allows(&[0, 0, 1, 2]) && !dag.allows(&[0, 1, 2, 9]));
}

/// What reads a value before its only node writes it needs the value's bytes then: the result does not take over those of
/// an operand that begins to live later, and the bound of all orders is below every plan.
#[test]
fn a_value_that_is_read_before_it_is_written() {
    let value = |size, given| Value { size, align: 1, given, kept: false };
    let whole = |value, size| Access::new(value, 0, size);
    let first = Node { writes: vec![whole(0, 11)], scratch: 64, ..Node::default() };
    let second = Node { reads: vec![whole(2, 3)], writes: vec![whole(1, 36)], ..Node::default() };
    let (reads, writes) = (vec![whole(2, 3), whole(0, 11)], vec![whole(2, 3)]);
    let third = Node { reads, writes, overwrites: vec![1], ..Node::default() };
    let values = vec![value(11, false), value(36, true), value(3, false), value(42, true)];
    let found = search(&Dag::new(vec![first, second, third], values).expect("a graph"), Effort::Normal);
    assert!(found.candidates.iter().all(|candidate| candidate.peak >= found.bound), "{found:?}");
}

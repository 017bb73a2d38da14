//! Problems of the form that models have: operations in turn, each with one result that lives until its last reader.

use bayplan_plan::Buffer;

use crate::random::Random;

/// Operations in the order in which they run.
#[derive(Default)]
struct Graph {
    /// Bytes of each result, and the operations whose results it was made from.
    ops: Vec<(u64, Vec<usize>)>,
}

impl Graph {
    /// Appends an operation; its number.
    fn op(&mut self, size: u64, reads: &[usize]) -> usize {
        self.ops.push((size, reads.to_vec()));
        self.ops.len() - 1
    }

    fn buffers(&self) -> Vec<Buffer> {
        let mut last: Vec<usize> = (0..self.ops.len()).collect();
        for (at, (_, reads)) in self.ops.iter().enumerate() {
            reads.iter().for_each(|&read| last[read] = last[read].max(at));
        }
        let rows = self.ops.iter().zip(last).enumerate();
        rows.map(|(at, ((size, _), last))| Buffer::new(*size, at as u32, last as u32 + 1)).collect()
    }
}

/// Bytes of a tensor: some elements, mostly of four bytes, over several orders of magnitude.
fn tensor(random: &mut Random) -> u64 {
    let magnitude = random.between(2, 16);
    random.between(1, 1 << magnitude) * random.pick(&[1, 2, 4, 4, 4])
}

/// One layer after the other, now and then with a shortcut over a few.
pub(super) fn chain(random: &mut Random, count: usize) -> Vec<Buffer> {
    let mut graph = Graph::default();
    let mut last = graph.op(tensor(random), &[]);
    while graph.ops.len() < count {
        let back = random.between(1, 6) as usize;
        let reads = if random.once_in(4) { vec![last, last.saturating_sub(back)] } else { vec![last] };
        last = graph.op(tensor(random), &reads);
    }
    graph.buffers()
}

/// Levels down and up again, each upper one reading what the lower of its level has left.
pub(super) fn unet(random: &mut Random, count: usize) -> Vec<Buffer> {
    let (mut graph, convolutions) = (Graph::default(), random.between(1, 3));
    let levels = (count as u64 / (2 * convolutions + 3)).clamp(1, 7);
    let mut size = random.between(1, 64) << (2 * levels + random.between(0, 6));
    let mut last = graph.op(size, &[]);
    let mut skips = vec![];
    for _ in 0..levels {
        for _ in 0..convolutions {
            last = graph.op(size, &[last]);
        }
        skips.push((last, size));
        // Half the extent each way; as many channels, or twice as many.
        size = (size / random.pick(&[2, 4])).max(1);
        last = graph.op(size, &[last]);
    }
    while let Some((skip, size)) = skips.pop() {
        let up = graph.op(size, &[last]);
        last = graph.op(2 * size, &[up, skip]);
        for _ in 0..convolutions {
            last = graph.op(size, &[last]);
        }
    }
    graph.buffers()
}

/// Layers of a decoder: attention and a gated product on a residual stream; keys and values may live to the end.
pub(super) fn transformer(random: &mut Random, count: usize) -> Vec<Buffer> {
    let (tokens, width) = (random.between(1, 64), random.between(4, 64));
    let (hidden, narrow, wide) = (tokens * width, tokens * width.div_ceil(4), tokens * width * 8 / 3);
    let (scores, keeps) = (tokens * tokens * random.between(1, 8), random.once_in(2));
    let mut graph = Graph::default();
    let (mut stream, mut kept) = (graph.op(hidden, &[]), vec![]);
    while graph.ops.len() < count {
        let normed = graph.op(hidden, &[stream]);
        let query = graph.op(hidden, &[normed]);
        let (key, value) = (graph.op(narrow, &[normed]), graph.op(narrow, &[normed]));
        let products = graph.op(scores, &[query, key]);
        let shares = graph.op(scores, &[products]);
        let mixed = graph.op(hidden, &[shares, value]);
        let projected = graph.op(hidden, &[mixed]);
        let attended = graph.op(hidden, &[stream, projected]);
        let normed = graph.op(hidden, &[attended]);
        let (gate, up) = (graph.op(wide, &[normed]), graph.op(wide, &[normed]));
        let product = graph.op(wide, &[gate, up]);
        let down = graph.op(hidden, &[product]);
        stream = graph.op(hidden, &[attended, down]);
        if keeps {
            kept.extend([key, value]);
        }
    }
    graph.op(tokens * random.between(1, 256), &[&kept[..], &[stream]].concat());
    graph.buffers()
}

/// Blocks in which each layer reads all before it (DenseNet), or branches of several lengths are joined (Inception).
pub(super) fn dense_blocks(random: &mut Random, count: usize) -> Vec<Buffer> {
    let mut graph = Graph::default();
    let mut size = random.between(1, 64) << random.between(4, 12);
    let mut last = graph.op(size, &[]);
    while graph.ops.len() < count {
        let mut parts = vec![last];
        for _ in 0..random.between(2, 6) {
            if random.once_in(2) {
                let bottleneck = graph.op(size / 2 + 1, &parts);
                parts.push(graph.op((size / random.between(3, 8)).max(1), &[bottleneck]));
            } else {
                let mut branch = last;
                for _ in 0..random.between(1, 3) {
                    branch = graph.op((size / random.between(2, 6)).max(1), &[branch]);
                }
                parts.push(branch);
            }
        }
        last = graph.op(size, &parts);
        size = if random.once_in(3) { (size / 2).max(4) } else { size };
    }
    graph.buffers()
}

/// A graph drawn at random, run in a random one of its orders.
pub(super) fn random_dag(random: &mut Random, count: usize) -> Vec<Buffer> {
    let window = random.between(2, 20) as usize;
    let reads: Vec<Vec<usize>> = (0..count)
        .map(|at| {
            let nearest = at.saturating_sub(window);
            let read = |random: &mut Random| {
                if random.once_in(8) { random.below(at) } else { nearest + random.below(at - nearest) }
            };
            (0..random.between(0, 3).min(at as u64)).map(|_| read(random)).collect()
        })
        .collect();
    let (mut graph, mut place) = (Graph::default(), vec![None; count]);
    while graph.ops.len() < count {
        let ready = |at: &usize| place[*at].is_none() && reads[*at].iter().all(|&r| place[r].is_some());
        let ready: Vec<usize> = (0..count).filter(ready).collect();
        let next = random.pick(&ready);
        let inputs: Vec<usize> = reads[next].iter().filter_map(|&read| place[read]).collect();
        place[next] = Some(graph.op(tensor(random), &inputs));
    }
    graph.buffers()
}

//! A memory model that is fitted to measurements, as IBM's text-generation-inference does at start-up.
//!
//! ```text
//!  prefill = max(a₀·b·s, q₀·b·s + q₁·b·s²)     a batch of 16, 100 to 1500 tokens
//!  next    = c₀·b·in + c₁·b·out                50 tokens after each of two prompts
//! ```
//!
//! The linear part is searched by halving (2 % off at most), then where it ends, to 10 tokens; at least five samples are of
//! the quadratic part. Coefficients are not negative and there is no constant. Blocks are what all free memory divided by
//! c₁ holds; a margin is recommended and applied to the weights of batches, not to the blocks.

use super::Server;
use bayplan_kv::Weights;

const BATCH: u64 = 16;
const SHORTEST: u64 = 100;
const LONGEST: u64 = 1500;
const THRESHOLD: f64 = 0.02;
const DISTANCE: u64 = 10;
const LEAST_SAMPLES: usize = 5;
const NEW_TOKENS: u64 = 50;
const NEXT_SAMPLES: usize = 2;

/// How the cache grows while it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measured {
    /// What was kept stays until its longer copy is made: contiguous caches, with which that fit is made.
    Copied,
    /// It grows where it lies.
    InPlace,
}

/// What was fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// a₀.
    pub linear: f64,
    /// q₀ and q₁; zero where all is linear.
    pub quadratic: [f64; 2],
    /// c₀ and c₁.
    pub next: [f64; 2],
    /// Tokens up to which it is linear.
    pub inflection: u64,
    /// Memory beside the weights, in bytes.
    pub free: u64,
    /// Bytes of the keys and values of a token.
    pub token: u64,
}

impl Fit {
    /// 5 + ⌊100·(1 − (1 − nt)/(1 − pf))⌋ percent with the parts of a token's bytes that are keys and values, in prefill and
    /// after. Negative where these are a larger part in prefill.
    pub fn recommended_margin(&self) -> i64 {
        let [prefill, next] = [self.linear, self.next[1]].map(|bytes| self.token as f64 / bytes);
        5 + (100.0 * (1.0 - (1.0 - next) / (1.0 - prefill))) as i64
    }

    /// Blocks of so many tokens: whatever fits into all free memory.
    pub fn blocks(&self, block_tokens: u64) -> u64 {
        (self.free as f64 / (block_tokens as f64 * self.next[1])) as u64
    }

    /// What batches are weighed by, with a safety margin in percent.
    pub fn weights(&self, margin: i64) -> Weights {
        let limit = ((1.0 - margin as f64 / 100.0) * self.free as f64) as u64;
        Weights { linear: self.linear, quadratic: self.quadratic, next: self.next, limit }
    }
}

/// Fits the model to what a server takes.
pub fn fit(server: &Server, measured: Measured) -> Fit {
    let kept = match measured {
        Measured::Copied => 2,
        Measured::InPlace => 1,
    };
    let token = server.token_bytes();
    let within = |bytes: u64| Some(bytes).filter(|bytes| *bytes <= server.free());
    let prefill = |s: u64| within(server.arena(BATCH * s, BATCH) + token * BATCH * s);
    let next = |input: u64, output: u64| {
        within(server.arena(BATCH, BATCH) + kept * token * BATCH * (input + output))
    };
    Estimator::new(&prefill, &next).run(server.free(), token)
}

/// Bytes of a prefill of so many tokens a sequence; none where they are not there.
type Prefill<'a> = &'a dyn Fn(u64) -> Option<u64>;

/// Bytes of a step after so many tokens of input and of output.
type Next<'a> = &'a dyn Fn(u64, u64) -> Option<u64>;

struct Estimator<'a> {
    prefill: Prefill<'a>,
    next: Next<'a>,
    /// Tokens and bytes.
    samples: Vec<(u64, f64)>,
    /// Input, output, bytes.
    next_samples: Vec<(u64, u64, f64)>,
    left: usize,
    longest: u64,
}

impl<'a> Estimator<'a> {
    fn new(prefill: Prefill<'a>, next: Next<'a>) -> Self {
        let (samples, next_samples) = (vec![(0, 0.0)], Vec::new());
        Self { prefill, next, samples, next_samples, left: NEXT_SAMPLES, longest: LONGEST }
    }

    fn run(mut self, free: u64, token: u64) -> Fit {
        self.find_longest();
        let (linear, straight) = self.find_linear();
        let inflection = if SHORTEST < straight && straight < self.longest {
            self.bend(linear, straight)
        } else {
            straight
        };
        let quadratic = if inflection < self.longest { self.quadratic(inflection) } else { [0.0; 2] };
        // What was not sampled on the way is sampled now.
        let (start, end, count) = (SHORTEST, self.longest * 3 / 4, self.left as u64);
        for at in 0..count {
            self.sample(start + at * ((end.max(start) - start) / count));
        }
        let row = |&(input, output, bytes): &(u64, u64, f64)| {
            ([(BATCH * input) as f64, (BATCH * output) as f64], bytes)
        };
        let next = least_squares(self.next_samples.iter().map(row));
        Fit { linear, quadratic, next, inflection, free, token }
    }

    /// A prefill, with the tokens after it as long as these are wanted.
    fn sample(&mut self, tokens: u64) -> Option<f64> {
        let bytes = (self.prefill)(tokens)? as f64;
        self.samples.push((tokens, bytes));
        if self.left > 0 && tokens < self.longest * 3 / 4 {
            let after: Option<Vec<u64>> = (1..NEW_TOKENS).map(|output| (self.next)(tokens, output)).collect();
            if let Some(after) = after {
                self.left -= 1;
                self.next_samples
                    .extend((1..).zip(after).map(|(output, bytes)| (tokens, output, bytes as f64)));
            }
        }
        Some(bytes)
    }

    /// The longest prompt that there is memory for.
    fn find_longest(&mut self) {
        let (mut low, mut high, mut at) = (SHORTEST, LONGEST, LONGEST);
        while high - low > DISTANCE {
            match (self.prefill)(at) {
                None => high = at,
                Some(bytes) => {
                    self.samples.push((at, bytes as f64));
                    low = at;
                }
            }
            at = u64::midpoint(low, high);
        }
        self.longest = low;
    }

    /// The slope of the linear part, and how far it reaches.
    fn find_linear(&mut self) -> (f64, u64) {
        let Some(&(mut x, mut y)) = self.samples.get(1) else { return (0.0, 0) };
        let low = SHORTEST.min(x);
        let (mut reach, mut slope) = (0, 0.0);
        while low < x {
            slope = y / x as f64;
            let at = u64::midpoint(low, x);
            let Some(bytes) = self.sample(at) else { break };
            if off(slope * at as f64, bytes) {
                (x, y) = (at, bytes);
                if at == low {
                    break;
                }
            } else {
                reach = x;
                break;
            }
        }
        self.samples.sort_by_key(|(tokens, _)| *tokens);
        if reach == 0 {
            return (0.0, 0);
        }
        let further = self.samples.iter().skip_while(|(tokens, _)| *tokens <= reach);
        let straight =
            further.take_while(|(tokens, bytes)| (bytes / *tokens as f64 - slope).abs() / slope <= THRESHOLD);
        reach = straight.map(|(tokens, _)| *tokens).last().unwrap_or(reach);
        let part = self.samples.iter().filter(|(tokens, _)| *tokens < reach);
        let [linear, _] = least_squares(part.map(|(tokens, bytes)| ([(BATCH * tokens) as f64, 0.0], *bytes)));
        (linear, reach)
    }

    /// Where the linear part ends.
    fn bend(&mut self, linear: f64, from: u64) -> u64 {
        let (mut low, mut high) = (from, self.longest);
        while high - low > DISTANCE {
            let at = u64::midpoint(low, high);
            match self.sample(at) {
                Some(bytes) if !off(linear * (BATCH * at) as f64, bytes) => low = at,
                _ => high = at,
            }
        }
        let at = u64::midpoint(low, high);
        if self.longest - at < DISTANCE { self.longest } else { at }
    }

    fn quadratic(&mut self, from: u64) -> [f64; 2] {
        let there = self.samples.iter().filter(|(tokens, _)| *tokens > from).count();
        let missing = LEAST_SAMPLES.saturating_sub(there) as u64;
        for at in 0..missing {
            self.sample(from + 1 + at * ((self.longest - from - 1) / missing));
        }
        let part = self.samples.iter().filter(|(tokens, _)| *tokens > from);
        let row = |&(tokens, bytes): &(u64, f64)| {
            let linear = (BATCH * tokens) as f64;
            ([linear, linear * tokens as f64], bytes)
        };
        least_squares(part.map(row))
    }
}

/// Whether what was projected is too far from what was measured.
fn off(projected: f64, measured: f64) -> bool {
    (measured - projected).abs() / measured > THRESHOLD
}

/// The two coefficients, not negative, of least squares.
fn least_squares(rows: impl Iterator<Item = ([f64; 2], f64)>) -> [f64; 2] {
    let (mut xx, mut xz, mut zz, mut xy, mut zy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for ([x, z], y) in rows {
        xx += x * x;
        xz += x * z;
        zz += z * z;
        xy += x * y;
        zy += z * y;
    }
    let alone = |own: f64, with: f64| if own > 0.0 { (with / own).max(0.0) } else { 0.0 };
    let determinant = xx * zz - xz * xz;
    // Columns that are nearly the same cannot be told apart.
    if determinant > 1e-12 * xx * zz {
        let [a, b] = [(xy * zz - zy * xz) / determinant, (zy * xx - xy * xz) / determinant];
        if a >= 0.0 && b >= 0.0 {
            return [a, b];
        }
        return if a < 0.0 { [0.0, alone(zz, zy)] } else { [alone(xx, xy), 0.0] };
    }
    [alone(xx, xy), 0.0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64, relative: f64) {
        assert!((a - b).abs() <= relative * b.abs(), "{a} is not {b}");
    }

    #[test]
    fn finds_what_was_put_in() {
        let prefill = |s: u64| Some(1000 * BATCH * s);
        let next = |input: u64, output: u64| Some(BATCH * (300 * input + 500 * output));
        let fit = Estimator::new(&prefill, &next).run(1 << 40, 250);
        near(fit.linear, 1000.0, 1e-9);
        near(fit.next[0], 300.0, 1e-9);
        near(fit.next[1], 500.0, 1e-9);
        assert_eq!((fit.inflection, fit.quadratic), (LONGEST, [0.0; 2]));
        // The project that this comes from gives 35 for these parts.
        let there = Fit { linear: 7.0, next: [4.0, 4.0], token: 2, ..fit };
        assert_eq!(there.recommended_margin(), 35);
        assert_eq!(fit.blocks(16), (1 << 40) / (16 * 500));
    }

    /// Llama-3-8B with attention that is not fused: linear up to 448 tokens, where both terms are equal.
    #[test]
    fn finds_the_bend() {
        let prefill = |s: u64| Some(BATCH * s * (131_072 + 73_728.max(16_384 + 128 * s)));
        let next = |input: u64, output: u64| Some(BATCH * 2 * 131_072 * (input + output));
        let fit = Estimator::new(&prefill, &next).run(1 << 40, 131_072);
        near(fit.linear, 204_800.0, 1e-3);
        // The bend is seen where it is 2 % off.
        assert!((448..520).contains(&fit.inflection), "{fit:?}");
        near(fit.quadratic[0], 147_456.0, 0.01);
        near(fit.quadratic[1], 128.0, 0.02);
        near(fit.next[1], 262_144.0, 1e-9);
    }

    /// Memory ends before the longest prompt does.
    #[test]
    fn stops_where_memory_ends() {
        let prefill = |s: u64| Some(1000 * BATCH * s).filter(|_| s <= 700);
        let next = |input: u64, output: u64| Some(500 * BATCH * (input + output)).filter(|_| input < 500);
        let mut estimator = Estimator::new(&prefill, &next);
        estimator.find_longest();
        assert!((690..=700).contains(&estimator.longest), "{}", estimator.longest);
        near(Estimator::new(&prefill, &next).run(1 << 40, 250).linear, 1000.0, 1e-9);
    }

    #[test]
    fn coefficients_are_never_negative() {
        let rows = |a: f64, b: f64| {
            (1..9).map(move |x| ([f64::from(x), f64::from(x * x)], a * f64::from(x) + b * f64::from(x * x)))
        };
        let [a, b] = least_squares(rows(3.0, 2.0));
        near(a, 3.0, 1e-6);
        near(b, 2.0, 1e-6);
        let [a, b] = least_squares(rows(-3.0, 2.0));
        assert!(a == 0.0 && b > 0.0);
        let [a, b] = least_squares(rows(30.0, -2.0));
        assert!(a > 0.0 && b == 0.0);
    }
}

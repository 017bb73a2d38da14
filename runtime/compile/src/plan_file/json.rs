//! A plan file as JSON.

use core::fmt::Write;
use std::collections::BTreeMap;

use bayplan_expr::{Bindings, Bounds, Expr, Quoted, Scope};
use bayplan_plan::memory::{Function, MemoryFunction};
use bayplan_plan::symbolic::SymbolicBuffer;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Fnv, PLAN_FILE_VERSION, PlanFile, PlannedBuffer, ShapePlan};

/// What the file says that it is.
pub(super) const FORMAT: &str = "bayplan-shapes";

/// The key of what all others are summed up in.
pub(super) const CHECKSUM: &str = "checksum";

#[derive(Serialize, Deserialize)]
pub(super) struct FileJson {
    format: String,
    version: u32,
    pub(super) model: String,
    /// In hexadecimal: JSON numbers are not exact beyond 53 bits.
    pub(super) digest: String,
    pub(super) target: String,
    pub(super) functions: Vec<FunctionJson>,
    pub(super) memory: MemoryJson,
    pub(super) outputs: Vec<OutputJson>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct FunctionJson {
    pub(super) name: String,
    pub(super) when: Vec<String>,
    pub(super) symbols: Vec<SymbolJson>,
    pub(super) buffers: Vec<BufferJson>,
    pub(super) order: Vec<u32>,
    pub(super) reservation: ReservationJson,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SymbolJson {
    pub(super) name: String,
    pub(super) lower: i64,
    pub(super) upper: Option<i64>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct BufferJson {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) size: String,
    pub(super) alignment: u64,
    pub(super) lower: u32,
    pub(super) upper: u32,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ReservationJson {
    pub(super) bytes: u64,
    pub(super) attained: u64,
    pub(super) at: BTreeMap<String, i64>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct MemoryJson {
    pub(super) weights: u64,
    pub(super) constant: u64,
    pub(super) kv: Option<CacheJson>,
    pub(super) symbols: Vec<SymbolJson>,
    pub(super) functions: Vec<TermsJson>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct CacheJson {
    pub(super) sequences: String,
    pub(super) tokens: String,
    pub(super) block_tokens: u64,
    pub(super) block_bytes: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct TermsJson {
    pub(super) name: String,
    pub(super) when: Vec<String>,
    pub(super) proved: bool,
    pub(super) terms: Vec<TermJson>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct TermJson {
    pub(super) name: String,
    pub(super) bytes: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct OutputJson {
    pub(super) name: String,
    pub(super) policy: String,
}

impl PlanFile {
    /// The file as a JSON value: `format`, `version`, what the plan holds, and a checksum of all of it.
    pub fn to_value(&self) -> Value {
        let json = FileJson {
            format: FORMAT.into(),
            version: PLAN_FILE_VERSION,
            model: self.model.clone(),
            digest: format!("{:016x}", self.digest),
            target: self.target.clone(),
            functions: self.functions.iter().map(function).collect(),
            memory: memory(&self.memory),
            outputs: self
                .outputs
                .iter()
                .map(|own| OutputJson { name: own.name.clone(), policy: own.policy.clone() })
                .collect(),
        };
        // Serialising fails only for maps with keys that are not text.
        let mut value = serde_json::to_value(&json).unwrap_or_default();
        let sum = checksum(&value);
        if let Value::Object(object) = &mut value {
            object.insert(CHECKSUM.into(), sum.into());
        }
        value
    }

    /// The file: indented JSON, its keys in a fixed order.
    pub fn to_json(&self) -> String {
        format!("{:#}\n", self.to_value())
    }
}

/// FNV-1a of the compact text, keys sorted, without the checksum itself.
pub(super) fn checksum(value: &Value) -> String {
    let mut hash = Fnv::new();
    let mut body = value.clone();
    if let Value::Object(object) = &mut body {
        object.remove(CHECKSUM);
    }
    // Writing to it cannot fail.
    let _ = write!(hash, "{body}");
    format!("{:016x}", hash.0)
}

fn function(own: &ShapePlan) -> FunctionJson {
    let problem = own.plan.problem();
    let buffer = |(own, buffer): (&PlannedBuffer, &SymbolicBuffer)| BufferJson {
        name: own.name.clone(),
        kind: own.kind.clone(),
        size: text(&buffer.size),
        alignment: buffer.align,
        lower: buffer.lifespan.first,
        upper: buffer.lifespan.last,
    };
    FunctionJson {
        name: own.function.clone(),
        when: own.when.iter().map(ToString::to_string).collect(),
        symbols: symbols(problem.scope()),
        buffers: own.buffers.iter().zip(problem.buffers()).map(buffer).collect(),
        order: own.plan.order().to_vec(),
        reservation: ReservationJson {
            bytes: own.reservation.bytes,
            attained: own.reservation.attained,
            at: point(&own.reservation.at),
        },
    }
}

/// What [`Expr::parse`](bayplan_expr::Expr::parse) reads, whatever the symbols are called.
fn text(e: &Expr) -> String {
    Quoted(e).to_string()
}

fn symbols(scope: &Scope) -> Vec<SymbolJson> {
    let symbol = |(name, bounds): (&str, Bounds)| SymbolJson {
        name: name.into(),
        lower: bounds.lower,
        upper: bounds.upper,
    };
    scope.iter().map(symbol).collect()
}

fn point(at: &Bindings) -> BTreeMap<String, i64> {
    at.iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A memory function as JSON, as plan files have it.
pub fn memory_value(own: &MemoryFunction) -> Value {
    // Serialising fails only for maps with keys that are not text.
    serde_json::to_value(memory(own)).unwrap_or_default()
}

fn memory(own: &MemoryFunction) -> MemoryJson {
    let terms = |function: &Function| TermsJson {
        name: function.name.clone(),
        when: function.when.iter().map(ToString::to_string).collect(),
        proved: function.proved,
        terms: function
            .terms
            .iter()
            .map(|term| TermJson { name: term.name.clone(), bytes: text(&term.bytes) })
            .collect(),
    };
    MemoryJson {
        weights: own.weights,
        constant: own.constant,
        kv: own.kv.as_ref().map(|kv| CacheJson {
            sequences: text(&kv.sequences),
            tokens: text(&kv.tokens),
            block_tokens: kv.block_tokens,
            block_bytes: kv.block_bytes,
        }),
        symbols: symbols(&own.scope),
        functions: own.functions.iter().map(terms).collect(),
    }
}

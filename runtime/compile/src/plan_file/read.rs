//! Reading a plan file.

use bayplan_expr::{Bindings, Bounds, Expr, Scope};
use bayplan_plan::memory::{Condition, Function, KvCache, MemoryFunction, Term};
use bayplan_plan::symbolic::{Reservation, SymbolicBuffer, SymbolicPlan, SymbolicProblem};
use bayplan_plan::{Effort, Lifespan};
use serde_json::Value;

use super::json::{
    BufferJson, CHECKSUM, FORMAT, FileJson, FunctionJson, MemoryJson, SymbolJson, TermsJson, checksum,
};
use super::{PLAN_FILE_VERSION, PlanFile, PlanFileError, PlannedBuffer, PlannedOutput, ShapePlan};

/// The longest file that is read, in bytes: ten times that of a model with 100,000 buffers.
const MAX_TEXT: usize = 1 << 28;

/// The key under which `bayplan plan --json` has the file among what else it tells.
const KEY: &str = "shapes";

impl PlanFile {
    /// Reads what [`PlanFile::to_json`] wrote, or what `bayplan plan MODEL --json` prints. Unknown keys are skipped. What
    /// is reserved must be enough for all bounds: that is worked out anew.
    ///
    /// # Errors
    /// Text that is cut off, no plan file, of another major version, changed, or says what cannot be.
    pub fn read(text: &str) -> Result<Self, PlanFileError> {
        if text.len() > MAX_TEXT {
            return Err(PlanFileError::Malformed { reason: format!("it is longer than {MAX_TEXT} bytes") });
        }
        let mut value: Value =
            serde_json::from_str(text).map_err(|e| PlanFileError::Malformed { reason: e.to_string() })?;
        if let Some(inner) = value.get_mut(KEY) {
            value = inner.take();
        }
        if value.get("format").and_then(Value::as_str) != Some(FORMAT) {
            return Err(PlanFileError::Foreign);
        }
        match value.get("version").and_then(Value::as_u64) {
            Some(version) if version == u64::from(PLAN_FILE_VERSION) => {}
            Some(found) => return Err(PlanFileError::Version { found }),
            None => return Err(PlanFileError::Foreign),
        }
        if value.get(CHECKSUM).and_then(Value::as_str) != Some(&*checksum(&value)) {
            return Err(PlanFileError::Damaged);
        }
        let file: FileJson = serde_json::from_value(value).map_err(|e| invalid(&e))?;
        Ok(Self {
            digest: u64::from_str_radix(&file.digest, 16).map_err(|e| invalid(&e))?,
            functions: file.functions.into_iter().map(function).collect::<Result<_, _>>()?,
            memory: memory(file.memory)?,
            outputs: file
                .outputs
                .into_iter()
                .map(|o| PlannedOutput { name: o.name, policy: o.policy })
                .collect(),
            model: file.model,
            target: file.target,
        })
    }
}

fn invalid(reason: &dyn ToString) -> PlanFileError {
    PlanFileError::Invalid { reason: reason.to_string() }
}

fn expr(text: &str) -> Result<Expr, PlanFileError> {
    Expr::parse(text).map_err(|e| invalid(&e))
}

fn conditions(texts: &[String]) -> Result<Vec<Condition>, PlanFileError> {
    texts.iter().map(|text| Condition::parse(text).map_err(|e| invalid(&e))).collect()
}

fn scope(symbols: &[SymbolJson]) -> Result<Scope, PlanFileError> {
    let mut scope = Scope::new();
    for SymbolJson { name, lower, upper } in symbols {
        scope.declare(name, Bounds { lower: *lower, upper: *upper }).map_err(|e| invalid(&e))?;
    }
    Ok(scope)
}

fn function(own: FunctionJson) -> Result<ShapePlan, PlanFileError> {
    let mut buffers = Vec::with_capacity(own.buffers.len());
    let mut sized = Vec::with_capacity(own.buffers.len());
    for BufferJson { name, kind, size, alignment, lower, upper } in own.buffers {
        let lifespan = Lifespan::new(lower, upper);
        sized.push(SymbolicBuffer { size: expr(&size)?, align: alignment, lifespan });
        buffers.push(PlannedBuffer { name, kind });
    }
    let problem = SymbolicProblem::new(sized, scope(&own.symbols)?).map_err(|e| invalid(&e))?;
    let plan = SymbolicPlan::from_order(problem, own.order).map_err(|e| invalid(&e))?;
    let at: Bindings = own.reservation.at.into_iter().collect();
    let attained = plan.peak_at(&at).map_err(|e| invalid(&e))?;
    let least = plan.reservation(Effort::Normal);
    let told = Reservation { bytes: own.reservation.bytes, at, attained };
    let most = [&told, &least].into_iter().max_by_key(|one| one.attained).unwrap_or(&told);
    if attained != own.reservation.attained || told.bytes < most.attained {
        return Err(invalid(&format!(
            "its arena is {} bytes, but at {} {} are needed",
            told.bytes, most.at, most.attained
        )));
    }
    let reservation = told;
    Ok(ShapePlan { function: own.name, when: conditions(&own.when)?, buffers, plan, reservation })
}

fn memory(own: MemoryJson) -> Result<MemoryFunction, PlanFileError> {
    let cache = |kv: super::json::CacheJson| {
        if kv.block_tokens == 0 {
            return Err(invalid(&"a block has at least one token"));
        }
        let (sequences, tokens) = (expr(&kv.sequences)?, expr(&kv.tokens)?);
        Ok(KvCache { sequences, tokens, block_tokens: kv.block_tokens, block_bytes: kv.block_bytes })
    };
    Ok(MemoryFunction {
        weights: own.weights,
        constant: own.constant,
        kv: own.kv.map(cache).transpose()?,
        functions: own.functions.into_iter().map(terms).collect::<Result<_, _>>()?,
        scope: scope(&own.symbols)?,
    })
}

fn terms(own: TermsJson) -> Result<Function, PlanFileError> {
    let term = |term: super::json::TermJson| Ok(Term { name: term.name, bytes: expr(&term.bytes)? });
    Ok(Function {
        name: own.name,
        when: conditions(&own.when)?,
        terms: own.terms.into_iter().map(term).collect::<Result<_, PlanFileError>>()?,
        proved: own.proved,
    })
}

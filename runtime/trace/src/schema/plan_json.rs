//! The plan record as JSON: the versioned plan file.

use alloc::format;
use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::format::plan_codec::{PLAN_MAJOR, PlanDecodeError};
use crate::schema::plan_record::PlanRecord;

const FORMAT: &str = "bayplan-plan";

#[derive(Serialize)]
struct PlanFileOut<'a> {
    format: &'a str,
    version: u32,
    plan: &'a PlanRecord,
}

#[derive(Deserialize)]
struct PlanFileHead {
    #[serde(default)]
    format: String,
    #[serde(default)]
    version: u32,
}

#[derive(Deserialize)]
struct PlanFileIn {
    plan: PlanRecord,
}

impl PlanRecord {
    /// The plan file: `{"format": "bayplan-plan", "version": 1, "plan": {…}}`, indented, in a fixed order of keys.
    pub fn to_json(&self) -> String {
        let file = PlanFileOut { format: FORMAT, version: PLAN_MAJOR, plan: self };
        // Serialising fails only for maps with keys that are not text; there is no map in a plan.
        serde_json::to_string_pretty(&file).unwrap_or_default()
    }

    /// Reads a plan file that [`PlanRecord::to_json`] wrote, and validates it. Unknown keys are skipped.
    ///
    /// # Errors
    /// Text that is no JSON, no plan file or of another major version, or an invalid plan.
    pub fn from_json(text: &str) -> Result<Self, PlanDecodeError> {
        let malformed = |error| PlanDecodeError::Malformed { reason: format!("{error}") };
        let head: PlanFileHead = serde_json::from_str(text).map_err(malformed)?;
        if head.format != FORMAT {
            let reason = format!("it is no plan file: \"format\" is not \"{FORMAT}\"");
            return Err(PlanDecodeError::Malformed { reason });
        }
        if head.version != PLAN_MAJOR {
            return Err(PlanDecodeError::Version { found: head.version });
        }
        let PlanFileIn { plan } = serde_json::from_str(text).map_err(malformed)?;
        plan.validate().map_err(PlanDecodeError::Invalid)?;
        Ok(plan)
    }
}

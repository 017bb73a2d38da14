//! The functions that `bayplan run` may run: the model, or each way through its Ifs and each condition computed before one.

use bayplan::{Arena, Family, Program};
use bayplan_text::{Bytes, Count, ellipsis};
use serde_json::{Value, json};

use crate::exit::Failure;
use crate::out::counted;

/// Most functions that are told one by one.
const TOLD: usize = 8;

/// Columns of a name in a line.
const NAME: usize = 60;

/// Every function at the one shape that is run.
pub(crate) struct Functions {
    model: String,
    /// Those that have a program, with their names, in the family's order: at least one.
    programs: Vec<(String, Program)>,
    arena_bytes: [u64; Arena::ALL.len()],
    largest: usize,
}

impl Functions {
    /// The functions of a family of one shape.
    ///
    /// # Errors
    /// One cannot be compiled.
    pub(crate) fn of(family: &Family) -> Result<Self, Failure> {
        let mut programs = Vec::new();
        for (function, name) in family.functions() {
            // A model with Ifs has no point of its own, only its ways have.
            if let Some(point) = family.points(function).first() {
                let program = family.at(function, point).map_err(bayplan::Error::from)?;
                programs.push((name.to_owned(), program));
            }
        }
        let arena_bytes = family.reservation().map_err(bayplan::Error::from)?.arena_bytes;
        let bytes = |index: &usize| programs.get(*index).map(|(_, program)| activations(program));
        // The first of those that need the same.
        let largest = (0..programs.len()).rev().max_by_key(bytes).unwrap_or(0);
        let model = family.functions().next().map_or_else(String::new, |(_, name)| name.to_owned());
        if programs.is_empty() {
            return Err(Failure::new("the model has no function"));
        }
        Ok(Self { model, programs, arena_bytes, largest })
    }

    /// The model's name.
    pub(crate) fn model(&self) -> &str {
        &self.model
    }

    /// The name of the function with this program; of several that do the very same, the first one's.
    pub(crate) fn named<'a>(&'a self, program: &'a Program) -> &'a str {
        let found = self.programs.iter().find(|(_, own)| own == program);
        found.map_or(&program.name, |(name, _)| name)
    }

    /// Bytes of each arena of a session, enough for all of them.
    pub(crate) fn arena_bytes(&self) -> &[u64; Arena::ALL.len()] {
        &self.arena_bytes
    }

    /// The one with the largest arena of activations.
    pub(crate) fn largest(&self) -> &Program {
        &self.programs[self.largest].1
    }

    /// Whether there is more than the model itself.
    pub(crate) fn are_several(&self) -> bool {
        self.programs.len() > 1
    }

    /// Dispatches and kernels of the model, or how many functions there are and what each needs.
    pub(crate) fn text(&self, built: &str) -> String {
        let size = |program: &Program| {
            let dispatches = counted(program.run.dispatches.len(), "dispatch", "dispatches");
            format!("{dispatches}, {}", counted(program.kernels.len(), "kernel", "kernels"))
        };
        if !self.are_several() {
            return format!("program    {} · built in {built}\n", size(self.largest()));
        }
        let count = counted(self.programs.len(), "function", "functions");
        let mut text =
            format!("programs   {count}, of which each run takes what its Ifs say · built in {built}\n");
        for (name, program) in self.programs.iter().take(TOLD) {
            let (name, arena) = (ellipsis(name, NAME), Bytes(activations(program)));
            text += &format!("           {name}: arena {arena} · {}\n", size(program));
        }
        if let Some(more @ 1..) = self.programs.len().checked_sub(TOLD) {
            text += &format!("           and {} more\n", Count(more as u64));
        }
        text
    }

    /// All of them for programs.
    pub(crate) fn json(&self) -> Vec<Value> {
        let one = |(name, program): &(String, Program)| {
            json!({
                "name": name,
                "arena_bytes": activations(program),
                "dispatches": program.run.dispatches.len(),
                "kernels": program.kernels.len(),
            })
        };
        self.programs.iter().map(one).collect()
    }
}

fn activations(program: &Program) -> u64 {
    program.arena_bytes[Arena::Activations.index()]
}

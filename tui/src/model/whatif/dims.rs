//! Sizes at other values of the symbols.

use std::collections::BTreeMap;

use bayplan_expr::{Bindings, Expr};
use bayplan_text::{ellipsis, escape, parse_bytes};
use bayplan_trace::{BufferRecord, PlanRecord};

use super::Edit;

/// What was typed about symbols: `batch=8`, or several with commas or blanks between.
///
/// # Errors
/// It is not understood, or names what there is not; in words that say what there is.
pub(crate) fn typed(text: &str, record: &PlanRecord) -> Result<Vec<Edit>, String> {
    let spaced = text.replace('=', " = ");
    let mut words = spaced.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
    let mut edits = Vec::new();
    while let Some(name) = words.next() {
        let shown = ellipsis(name, 24);
        if !record.dims.iter().any(|dim| dim.name == name) {
            let known: Vec<String> = record.dims.iter().map(|dim| escape(&dim.name).to_string()).collect();
            return Err(format!("there is no dim {shown}; there is {}", known.join(", ")));
        }
        let value = words.next().filter(|sign| *sign == "=").and_then(|_| words.next());
        let value = value.ok_or_else(|| format!("{shown} wants a value, such as {shown}=8"))?;
        let number = value.parse::<i64>().ok().filter(|value| *value > 0);
        let number = number.ok_or_else(|| {
            format!("{shown} cannot be {}: it is a whole number above 0", ellipsis(value, 24))
        })?;
        edits.push(Edit::Dim(name.to_owned(), number));
    }
    if edits.is_empty() { Err("nothing was typed".to_owned()) } else { Ok(edits) }
}

/// Where a tensor is to begin, as it was typed: `2.5 MiB`, or an address such as `0x280000`.
///
/// # Errors
/// It is not understood, or the tensor cannot begin there; in words.
pub(crate) fn typed_offset(text: &str, tensor: u32, record: &PlanRecord) -> Result<Edit, String> {
    let text = text.trim();
    let shown = ellipsis(text, 24);
    let at = match text.strip_prefix("0x") {
        _ if text.is_empty() => return Err("nothing was typed".to_owned()),
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => parse_bytes(text).ok(),
    };
    let at = at.ok_or_else(|| format!("{shown} is no offset: write it like 2.5 MiB or 0x280000"))?;
    let align = record.buffers.get(tensor as usize).map_or(1, |buffer| buffer.alignment).max(1);
    if !at.is_multiple_of(align) {
        // To the byte: a rounded size is no multiple again.
        let below = at - at % align;
        return Err(format!("it can begin at multiples of {align} B only, such as {below} B"));
    }
    Ok(Edit::At(tensor, at))
}

/// The sizes of buffers as functions of the model's symbols.
pub(super) struct Sizes {
    own: Bindings,
    other: Bindings,
    /// What a text gives at the own and at the other values: many buffers share a size.
    known: BTreeMap<String, Option<(u64, u64)>>,
    /// Buffers whose recorded size does not follow from the symbols.
    pub(super) fixed: u64,
}

impl Sizes {
    /// With these values instead of the plan's own.
    ///
    /// # Errors
    /// The plan has no symbols, or none of that name; in words.
    pub(super) fn new(record: &PlanRecord, values: &[(&str, i64)]) -> Result<Self, String> {
        let own: Bindings = record.dims.iter().map(|dim| (dim.name.as_str(), dim.value)).collect();
        if own.is_empty() {
            return Err("this recording names no dims: the model's shapes are fixed".to_owned());
        }
        let mut other = own.clone();
        for (name, value) in values {
            if own.get(name).is_none() {
                return Err(format!("this plan has no dim {}", bayplan_text::escape(name)));
            }
            if *value < 1 {
                return Err(format!("{} cannot be {value}", bayplan_text::escape(name)));
            }
            other.set(*name, *value);
        }
        Ok(Self { own, other, known: BTreeMap::new(), fixed: 0 })
    }

    /// The size of a buffer at the other values; its recorded size where no expression says otherwise.
    ///
    /// # Errors
    /// The expression has no size at the other values; in words.
    pub(super) fn of(&mut self, buffer: &BufferRecord) -> Result<u64, String> {
        if !self.known.contains_key(&buffer.size_expr) {
            let sizes = self.evaluate(&buffer.size_expr)?;
            self.known.insert(buffer.size_expr.clone(), sizes);
        }
        match self.known.get(&buffer.size_expr) {
            // Room behind a buffer, such as a kernel's vectors ask for, stays.
            Some(Some((own, other))) if buffer.size >= *own => Ok(other.saturating_add(buffer.size - own)),
            _ => {
                self.fixed += 1;
                Ok(buffer.size)
            }
        }
    }

    fn evaluate(&self, text: &str) -> Result<Option<(u64, u64)>, String> {
        let Ok(expr) = text.parse::<Expr>() else { return Ok(None) };
        let Some(own) = expr.eval(&self.own).ok().and_then(|size| u64::try_from(size).ok()) else {
            return Ok(None);
        };
        let other =
            expr.eval(&self.other).map_err(|error| format!("a size cannot be told there: {error}"))?;
        let other = u64::try_from(other).map_err(|_| "a size would be below 0 there".to_owned())?;
        Ok(Some((own, other)))
    }
}

//! `--weights` and `--weight-names`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use bayplan::{Rules, Weights};
use bayplan_text::escape;

use crate::args::WeightOptions;
use crate::exit::Failure;

/// Most bytes of rules that are read.
const MAX_RULES: u64 = 1 << 20;

/// The weights that the options name, if they do.
///
/// # Errors
/// The file cannot be read as weights; a rule is none: its line is named.
pub(crate) fn open(options: &WeightOptions) -> Result<Option<Weights>, Failure> {
    let Some(file) = &options.file else { return Ok(None) };
    let rules = options.names.as_deref().map(rules).transpose()?;
    let weights = Weights::open(file)?;
    Ok(Some(match rules {
        Some(rules) => weights.renamed(rules),
        None => weights,
    }))
}

fn rules(path: &Path) -> Result<Rules, Failure> {
    let fail =
        |e: &dyn std::fmt::Display| Failure::new(format!("{}: {e}", escape(&path.display().to_string())));
    // Asked before it is opened: opening a pipe waits for its other end.
    if !std::fs::metadata(path).map_err(|e| fail(&e))?.is_file() {
        return Err(fail(&"it is no file; name one with a rule per line, PATTERN => NAME"));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|e| fail(&e))?;
    file.take(MAX_RULES + 1).read_to_end(&mut bytes).map_err(|e| fail(&e))?;
    let text = std::str::from_utf8(&bytes).map_err(|e| {
        let line = 1 + bytes[..e.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count();
        fail(&format_args!("line {line}: it is no text in UTF-8; save the file as UTF-8"))
    })?;
    Rules::parse(text.strip_prefix('\u{feff}').unwrap_or(text)).map_err(|e| fail(&e))
}

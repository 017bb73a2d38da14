//! How names of a file become names of a model.

use regex::{Captures, Regex, RegexBuilder};

use crate::WeightsError;

/// Bytes of a list of rules, and rules in it.
const MAX_BYTES: usize = 1 << 20;
const MAX_RULES: usize = 4096;

/// Bytes of memory that one pattern may take.
const MAX_PATTERN: usize = 1 << 20;

/// What stands in place of a name where the tensor is left out.
const LEFT_OUT: &str = "-";

/// Behind a target: the file's matrix is the model's transposed.
const TRANSPOSED: &str = " transposed";

/// Rules for names. Each line of their text is one:
///
/// ```text
/// # What begins with # is a comment.
/// model\.layers\.(\d+)\.attn\.weight => h.$1.attn.weight
/// lm_head\.weight => onnx::MatMul_77 transposed
/// model\.embed\.weight => embed.weight
///                      => onnx::MatMul_78 transposed
/// .*\.rotary_emb\.inv_freq => -
/// ```
///
/// On the left is a regular expression for the whole name in the file; the first rule that fits counts, and a name that none
/// fits stays as it is. On the right is the name of the initializer, with `$1` or `${name}` for what groups matched (`$$` is a
/// dollar sign), and ` transposed` where the file's matrix is the initializer's transposed. `-` leaves the tensor out. A line
/// that begins with `=>` names one more initializer for the rule above it.
#[derive(Clone, Debug, Default)]
pub struct Rules(Vec<Rule>);

#[derive(Clone, Debug)]
struct Rule {
    pattern: Regex,
    /// None where the tensor is left out.
    targets: Vec<Target>,
}

/// The name of an initializer, where groups may stand in it.
#[derive(Clone, Debug)]
struct Target {
    template: String,
    transposed: bool,
    /// The line that names it, from 1.
    line: usize,
}

/// An initializer that a tensor is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct For {
    pub(crate) name: String,
    pub(crate) transposed: bool,
    /// The line of the rules that says so; `None` where no rule fits and the name is that of the file.
    pub(crate) line: Option<usize>,
}

impl Rules {
    /// Reads rules.
    ///
    /// # Errors
    /// The first line that is no rule, with what is wrong.
    pub fn parse(text: &str) -> Result<Self, WeightsError> {
        let fail = |line: usize, reason: String| Err(WeightsError::Rules { line: line + 1, reason });
        if text.len() > MAX_BYTES {
            return fail(0, format!("rules for names have at most {MAX_BYTES} bytes, these have more"));
        }
        let mut rules: Vec<Rule> = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((pattern, target)) = line.split_once("=>") else {
                return fail(
                    at,
                    "a rule is PATTERN => NAME, or PATTERN => - to leave tensors out".to_owned(),
                );
            };
            let (pattern, target) = (pattern.trim(), target.trim());
            let added = match pattern {
                "" => match rules.last_mut() {
                    None => Err("there is no rule above that this line could add a name to".to_owned()),
                    Some(rule) => rule.add(target, at + 1),
                },
                _ if rules.len() >= MAX_RULES => Err(format!("there are more than {MAX_RULES} rules")),
                _ => Rule::new(pattern, target, at + 1).map(|rule| rules.push(rule)),
            };
            if let Err(reason) = added {
                return fail(at, reason);
            }
        }
        Ok(Self(rules))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The initializers that a tensor of the file is for; none where it is left out.
    pub(crate) fn apply(&self, name: &str) -> Vec<For> {
        for rule in &self.0 {
            if let Some(captures) = rule.pattern.captures(name) {
                return rule.targets.iter().map(|target| target.of(&captures)).collect();
            }
        }
        vec![For { name: name.to_owned(), transposed: false, line: None }]
    }
}

impl Rule {
    fn new(text: &str, target: &str, line: usize) -> Result<Self, String> {
        let compiled = |text: &str| {
            RegexBuilder::new(text).size_limit(MAX_PATTERN).build().map_err(|e| {
                let reason = e.to_string();
                let last = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
                format!("the pattern is no regular expression: {last}")
            })
        };
        // Alone first: a bracket that closes nothing must not close ours.
        compiled(text)?;
        let mut rule = Self { pattern: compiled(&format!("^(?:{text})$"))?, targets: Vec::new() };
        if target != LEFT_OUT {
            rule.add(target, line)?;
        }
        Ok(rule)
    }

    fn add(&mut self, text: &str, line: usize) -> Result<(), String> {
        let (template, transposed) = match text.strip_suffix(TRANSPOSED) {
            Some(template) => (template.trim_end(), true),
            None => (text, false),
        };
        if template.is_empty() || template == LEFT_OUT {
            return Err("behind => stands no name; `-` alone leaves tensors out".to_owned());
        }
        for group in groups(template)? {
            let known = match group.parse::<usize>() {
                Ok(number) => number < self.pattern.captures_len(),
                Err(_) => self.pattern.capture_names().flatten().any(|name| name == group),
            };
            if !known {
                return Err(format!(
                    "the pattern has no group `{group}`; write ${{1}} where a letter, digit or _ follows $1, and $$ for a dollar sign"
                ));
            }
        }
        self.targets.push(Target { template: template.to_owned(), transposed, line });
        Ok(())
    }
}

impl Target {
    fn of(&self, captures: &Captures<'_>) -> For {
        let mut name = String::new();
        captures.expand(&self.template, &mut name);
        For { name, transposed: self.transposed, line: Some(self.line) }
    }
}

/// The groups that a template names.
fn groups(template: &str) -> Result<Vec<&str>, String> {
    let mut found = Vec::new();
    let mut rest = template;
    while let Some((_, after)) = rest.split_once('$') {
        if let Some(literal) = after.strip_prefix('$') {
            rest = literal;
        } else if let Some(braced) = after.strip_prefix('{') {
            let (group, behind) = braced.split_once('}').ok_or("a `${` is not closed")?;
            found.push(group);
            rest = behind;
        } else {
            let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
            found.push(&after[..end]);
            rest = &after[end..];
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, name: &str, expect: &[(&str, bool)]) {
        let found = Rules::parse(text).unwrap().apply(name);
        let found: Vec<_> = found.iter().map(|own| (&*own.name, own.transposed)).collect();
        assert_eq!(found, expect, "{text} of {name}");
    }

    #[test]
    fn the_first_rule_that_fits_counts() {
        check("", "a.b", &[("a.b", false)]);
        check("# none\n\n", "a.b", &[("a.b", false)]);
        let text = "a\\.(\\d+) => first.$1\na\\..* => second\n(?P<rest>b.*) => x.${rest}_y transposed\n";
        check(text, "a.17", &[("first.17", false)]);
        check(text, "a.x", &[("second", false)]);
        check(text, "ba", &[("x.ba_y", true)]);
        check(text, "xa.17", &[("xa.17", false)]);
        check(text, "a.17.x", &[("second", false)]);
        // The whole name, also where there is a choice.
        check("a|b => c", "ab", &[("ab", false)]);
        check("(.*)_T => $1 transposed\r\n", "w_T", &[("w", true)]);
        check("w => a$$b", "w", &[("a$b", false)]);
        check("w => a transposed b", "w", &[("a transposed b", false)]);
        check("w=>v", "w", &[("v", false)]);
    }

    #[test]
    fn targets_say_which_line_names_them() {
        let rules = Rules::parse("# none\n\n(w)(.*) => a$2\n\n  => b$2\nx => c").unwrap();
        let lines = |name: &str| rules.apply(name).iter().map(|own| own.line).collect::<Vec<_>>();
        assert_eq!(lines("w1"), [Some(3), Some(5)]);
        assert_eq!((lines("x"), lines("y")), (vec![Some(6)], vec![None]));
    }

    #[test]
    fn tensors_are_left_out_or_taken_twice() {
        check("w => -", "w", &[]);
        let text = "(w)(.*) => a$2\n  # tied\n  => b$2 transposed\nx => c";
        check(text, "w1", &[("a1", false), ("b1", true)]);
        check(text, "x", &[("c", false)]);
    }

    #[test]
    fn what_is_no_rule_is_named_by_its_line() {
        let check = |text: &str, expect: &str| {
            let refused = Rules::parse(text).unwrap_err().to_string();
            assert!(refused.contains(expect), "{text}: {refused}");
        };
        check("\na b", "line 2: a rule is PATTERN => NAME");
        check("=> a", "line 1: there is no rule above");
        check("a(b => c", "line 1: the pattern is no regular expression: unclosed group");
        check("a)|(b => c", "line 1: the pattern is no regular expression");
        check("a =>", "stands no name");
        check("a => - transposed", "stands no name");
        check("a => b\n=> -", "line 2: behind =>");
        check("(a) => $2", "no group `2`");
        check("(a) => $1_x", "no group `1_x`");
        check("(a) => ${x}", "no group `x`");
        check("(a) => ${1", "not closed");
        check("a => $", "no group ``");
        check(&"a => b\n".repeat(4097), "line 4097: there are more than 4096 rules");
        check(&" ".repeat(MAX_BYTES + 1), "at most");
        check("(a{1000}){1000} => b", "size limit");
    }
}

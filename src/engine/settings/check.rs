//! Compares a parsed TOML table with the schema and notes everything that cannot be right.
//!
//! It finds all unknown keys, missing keys, wrong types, wrong choices and bad units in one pass;
//! serde alone would stop at the first. Unknown keys are taken out of the table, so that the values
//! beside them can still be judged by serde.

use std::ops::Range;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::Problem;
use super::schema::Node;
use super::units::{Bytes, Span, UNIT_KEY};

/// A name this similar (Jaro-Winkler) is what was meant.
const SIMILAR_MIN: f64 = 0.75;

/// Checks the root table; what is wrong is returned, what is unknown removed.
pub(super) fn check(table: &mut DeTable<'_>, node: Node<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    check_table(table, 0..0, node, "", &mut problems);
    problems
}

fn check_table(
    table: &mut DeTable<'_>,
    span: Range<usize>,
    node: Node<'_>,
    path: &str,
    problems: &mut Vec<Problem>,
) {
    let properties = node.properties();
    let free = node.free_values();
    if properties.is_empty() && free.is_none() {
        return;
    }
    let mut strangers = Vec::new();
    for (key, value) in table.iter_mut() {
        let name = key.get_ref().as_ref();
        let known = properties.iter().find(|(known, _)| *known == name).map(|(_, node)| *node);
        if let Some(child) = known.or(free) {
            check_value(value, child, &join(path, name), problems);
        } else {
            let names = properties.iter().map(|(name, _)| *name);
            problems.push(unknown(name, key.span(), names, path));
            strangers.push(key.clone());
        }
    }
    for key in &strangers {
        table.remove(key);
    }
    for name in node.required() {
        if !table.iter().any(|(key, _)| key.get_ref().as_ref() == name) {
            let message = format!("`{}` is missing", join(path, name));
            // The root has no place of its own.
            let span = if path.is_empty() { None } else { Some(span.clone()) };
            problems.push(Problem { span, message });
        }
    }
}

fn unknown<'n>(
    name: &str,
    span: Range<usize>,
    names: impl Iterator<Item = &'n str> + Clone,
    path: &str,
) -> Problem {
    let place = if path.is_empty() { String::new() } else { format!(" in `{path}`") };
    let advice = match nearest(name, names.clone()) {
        Some(meant) => format!("; did you mean `{meant}`?"),
        None => format!("; known here: {}", listed(names)),
    };
    Problem::at(span, format!("unknown key `{name}`{place}{advice}"))
}

fn check_value(
    value: &mut Spanned<DeValue<'_>>,
    node: Node<'_>,
    path: &str,
    problems: &mut Vec<Problem>,
) {
    let span = value.span();
    if let Some(expected) = wrong_type(value.get_ref(), node) {
        let found = value.get_ref().type_str();
        problems.push(Problem::at(span, format!("`{path}` must be {expected}, not {found}")));
        return;
    }
    match value.get_mut() {
        DeValue::Table(table) => check_table(table, span, node, path, problems),
        DeValue::Array(array) => {
            let Some(items) = node.items() else { return };
            for (index, item) in array.iter_mut().enumerate() {
                check_value(item, items, &format!("{path}[{index}]"), problems);
            }
        }
        DeValue::String(text) => {
            if let Some(message) = wrong_text(text, node) {
                problems.push(Problem::at(span, format!("`{path}`: {message}")));
            }
        }
        DeValue::Integer(number) => {
            let parsed = i128::from_str_radix(number.as_str(), number.radix());
            if let Some(message) = parsed.ok().and_then(|number| out_of_range(number, node)) {
                problems.push(Problem::at(span, format!("`{path}` must be {message}")));
            }
        }
        _ => (),
    }
}

/// What was expected, when the type alone is wrong.
fn wrong_type(value: &DeValue<'_>, node: Node<'_>) -> Option<String> {
    let types = node.types();
    let found = match value {
        DeValue::String(_) | DeValue::Datetime(_) => "string",
        DeValue::Integer(_) => "integer",
        DeValue::Float(_) => "number",
        DeValue::Boolean(_) => "boolean",
        DeValue::Array(_) => "array",
        DeValue::Table(_) => "object",
    };
    let fits = types.is_empty()
        || types.contains(found)
        || (found == "integer" && types.contains("number"));
    (!fits).then(|| expected(node))
}

fn expected(node: Node<'_>) -> String {
    match unit(node) {
        Some("size") => return "a size such as \"64 MiB\" or a number of bytes".into(),
        Some("span") => return "a span of time with its unit, such as \"30 s\"".into(),
        _ => (),
    }
    let types = node.types();
    let words: Vec<&str> = types
        .into_iter()
        .filter_map(|name| match name {
            "string" => Some("a string"),
            "integer" => Some("an integer"),
            "number" => Some("a number"),
            "boolean" => Some("true or false"),
            "array" => Some("an array"),
            "object" => Some("a table"),
            _ => None,
        })
        .collect();
    words.join(" or ")
}

fn unit<'s>(node: Node<'s>) -> Option<&'s str> {
    node.any(UNIT_KEY)?.as_str()
}

fn wrong_text(text: &str, node: Node<'_>) -> Option<String> {
    match unit(node) {
        Some("size") => return text.parse::<Bytes>().err().map(|error| error.to_string()),
        Some("span") => return text.parse::<Span>().err().map(|error| error.to_string()),
        _ => (),
    }
    let choices = node.choices();
    if choices.is_empty() || choices.iter().any(|choice| choice.name == text) {
        return None;
    }
    let names = choices.iter().map(|choice| choice.name);
    Some(match nearest(text, names.clone()) {
        Some(meant) => format!("unknown choice `{text}`; did you mean `{meant}`?"),
        None => format!("unknown choice `{text}`; choose from {}", listed(names)),
    })
}

fn out_of_range(number: i128, node: Node<'_>) -> Option<String> {
    let bound = |key| node.any(key).and_then(whole);
    match (bound("minimum"), bound("maximum")) {
        (Some(min), Some(max)) if number < min || number > max => {
            Some(format!("between {min} and {max}, not {number}"))
        }
        (Some(min), None) if number < min => Some(format!("at least {min}, not {number}")),
        (None, Some(max)) if number > max => Some(format!("at most {max}, not {number}")),
        _ => None,
    }
}

fn whole(value: &Value) -> Option<i128> {
    let whole = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
    // schemars writes some bounds as floats.
    whole.or_else(|| value.as_f64().map(|number| number as i128))
}

fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let name = name.to_ascii_lowercase();
    names
        .map(|known| (similarity(&name, known), known))
        .filter(|(similarity, _)| *similarity >= SIMILAR_MIN)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

/// One slip of the finger in a short name is what Jaro-Winkler judges too hard.
fn similarity(name: &str, known: &str) -> f64 {
    let is_slip = name.len() > 2 && strsim::osa_distance(name, known) <= 1;
    if is_slip { 1.0 } else { strsim::jaro_winkler(name, known) }
}

fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// `a` and `b` become `a.b`; keys that TOML would quote are quoted.
pub(super) fn join(path: &str, key: &str) -> String {
    let is_bare = !key.is_empty()
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let key = if is_bare { key.to_owned() } else { format!("{key:?}") };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

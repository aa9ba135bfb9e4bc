//! What differs between two values of settings, for the report of a reload.

use serde::Serialize;
use serde_json::Value;

use super::check::join;

/// The dotted paths, such as `listener[1].address`, whose serialised value differs between `old`
/// and `new`, in the order of the fields. An array whose length changed counts as a whole. A value
/// that cannot be serialised counts as changed, under the path `.`.
#[must_use]
pub fn changes<T: Serialize>(old: &T, new: &T) -> Vec<String> {
    let mut paths = Vec::new();
    match (serde_json::to_value(old), serde_json::to_value(new)) {
        (Ok(old), Ok(new)) => compare(&old, &new, "", &mut paths),
        _ => paths.push(".".into()),
    }
    paths
}

fn compare(old: &Value, new: &Value, path: &str, paths: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(left), Value::Object(right)) => {
            for (key, value) in left {
                let other = right.get(key).unwrap_or(&Value::Null);
                compare(value, other, &join(path, key), paths);
            }
            let added =
                right.iter().filter(|(key, value)| !left.contains_key(*key) && !value.is_null());
            paths.extend(added.map(|(key, _)| join(path, key)));
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                compare(left, right, &format!("{path}[{index}]"), paths);
            }
        }
        _ if old != new => paths.push(if path.is_empty() { ".".into() } else { path.into() }),
        _ => (),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::Span;
    use super::*;

    #[derive(Clone, Default, Serialize)]
    struct Door {
        port: u16,
        open: Option<bool>,
    }

    #[derive(Clone, Default, Serialize)]
    struct House {
        wait: Span,
        door: Vec<Door>,
        names: BTreeMap<String, u8>,
    }

    #[test]
    fn names_exactly_what_differs() {
        let old = House { door: vec![Door::default(), Door::default()], ..House::default() };
        assert!(changes(&old, &old.clone()).is_empty());

        let mut new = old.clone();
        new.wait = Span::secs(1);
        new.door[1].open = Some(true);
        new.names.insert("a.b".into(), 1);
        assert_eq!(changes(&old, &new), ["wait", "door[1].open", "names.\"a.b\""]);

        new = old.clone();
        new.door.pop();
        assert_eq!(changes(&old, &new), ["door"]);
    }
}

//! Questions to a JSON schema as schemars writes it.
//!
//! References (`$ref`) are followed, alternatives (`anyOf`, `oneOf`) looked into; a key of an object
//! is known when any alternative knows it, so that an answer is never a false alarm. What cannot
//! be told is left to serde.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// References are followed this deep: a schema may refer to itself.
const DEPTH_MAX: u32 = 16;

/// A whole schema with its definitions.
pub(super) struct Schema {
    root: Value,
}

/// One place in a schema.
#[derive(Clone, Copy)]
pub(super) struct Node<'s> {
    schema: &'s Schema,
    value: &'s Value,
}

/// One choice of an enum and what it means.
pub(super) struct Choice<'s> {
    pub(super) name: &'s str,
    pub(super) meaning: Option<&'s str>,
}

impl Schema {
    pub(super) fn of<T: JsonSchema>() -> Self {
        let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
        Self { root: schema.to_value() }
    }

    pub(super) fn root(&self) -> Node<'_> {
        Node { schema: self, value: &self.root }
    }

    fn find(&self, reference: &str) -> Option<&Value> {
        self.root.pointer(reference.strip_prefix('#')?)
    }
}

impl<'s> Node<'s> {
    fn with(self, value: &'s Value) -> Self {
        Self { schema: self.schema, value }
    }

    fn object(self) -> Option<&'s Map<String, Value>> {
        self.value.as_object()
    }

    /// This node and all that it refers to or offers as alternatives, itself first.
    pub(super) fn parts(self) -> Vec<Self> {
        let mut parts = Vec::new();
        self.gather(DEPTH_MAX, &mut parts);
        parts
    }

    fn gather(self, depth: u32, parts: &mut Vec<Self>) {
        parts.push(self);
        if depth == 0 {
            return;
        }
        let referred = self.text("$ref").and_then(|reference| self.schema.find(reference));
        let offered = ["allOf", "anyOf", "oneOf"]
            .into_iter()
            .filter_map(|key| self.value.get(key)?.as_array())
            .flatten();
        for value in referred.into_iter().chain(offered) {
            self.with(value).gather(depth - 1, parts);
        }
    }

    pub(super) fn text(self, key: &str) -> Option<&'s str> {
        self.value.get(key)?.as_str()
    }

    /// The first value of `key` here or in what is referred to.
    pub(super) fn any(self, key: &str) -> Option<&'s Value> {
        self.parts().into_iter().find_map(|part| part.value.get(key))
    }

    /// What the doc comment says: the field's own before its type's.
    pub(super) fn doc(self) -> Option<&'s str> {
        self.text("description").or_else(|| {
            let referred = self.schema.find(self.text("$ref")?)?;
            self.with(referred).text("description")
        })
    }

    /// The keys of a table that this node knows, in the order of the struct's fields.
    pub(super) fn properties(self) -> Vec<(&'s str, Self)> {
        let mut seen = BTreeSet::new();
        let mut properties = Vec::new();
        for part in self.parts() {
            let Some(map) = part.object().and_then(|map| map.get("properties")?.as_object()) else {
                continue;
            };
            for (name, value) in map {
                if seen.insert(name.as_str()) {
                    properties.push((name.as_str(), self.with(value)));
                }
            }
        }
        properties
    }

    /// What the values of a table with free keys look like; `None` when keys are fixed or unknown.
    pub(super) fn free_values(self) -> Option<Self> {
        let value = self.parts().into_iter().find_map(|part| {
            part.value.get("additionalProperties").filter(|value| value.is_object())
        })?;
        Some(self.with(value))
    }

    /// Keys that must be there; none when there are alternatives to choose from.
    pub(super) fn required(self) -> Vec<&'s str> {
        if self.has_alternatives() {
            return Vec::new();
        }
        let required = self.any("required").and_then(Value::as_array);
        required.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    fn has_alternatives(self) -> bool {
        self.parts()
            .iter()
            .any(|part| part.value.get("anyOf").is_some() || part.value.get("oneOf").is_some())
    }

    /// What the elements of an array look like.
    pub(super) fn items(self) -> Option<Self> {
        self.any("items").map(|value| self.with(value))
    }

    /// The JSON types that a value here may have; empty when anything goes.
    pub(super) fn types(self) -> BTreeSet<&'s str> {
        let mut types = BTreeSet::new();
        for part in self.parts() {
            match part.value.get("type") {
                Some(Value::String(name)) => _ = types.insert(name.as_str()),
                Some(Value::Array(names)) => types.extend(names.iter().filter_map(Value::as_str)),
                _ => (),
            }
        }
        types
    }

    /// The names to choose from, when this is a plain enum (perhaps an optional one).
    pub(super) fn choices(self) -> Vec<Choice<'s>> {
        let mut choices = Vec::new();
        for part in self.parts() {
            let listed = part.value.get("enum").and_then(Value::as_array).into_iter().flatten();
            let named = listed.filter_map(Value::as_str);
            choices.extend(named.map(|name| Choice { name, meaning: None }));
            if let Some(name) = part.text("const") {
                choices.push(Choice { name, meaning: part.text("description") });
            }
        }
        // A string beside the names means that other texts are allowed too.
        let is_open = self.parts().iter().any(|part| {
            part.text("type") == Some("string")
                && part.value.get("enum").is_none()
                && part.value.get("const").is_none()
        });
        if is_open || self.types().iter().any(|name| !matches!(*name, "string" | "null")) {
            choices.clear();
        }
        choices
    }

    /// Whether arrays here hold tables.
    pub(super) fn is_table_array(self) -> bool {
        self.types().contains("array") && self.items().is_some_and(Self::is_table)
    }

    /// Whether values here are tables.
    pub(super) fn is_table(self) -> bool {
        let types = self.types();
        types.contains("object") && !types.contains("array")
    }
}

//! The reference file: every key with its doc comment and its default value.
//!
//! What must stay true: the text parses back to the default value of `T`, as it stands; lines that
//! begin with `#` and no space are settings left out, which become active by removing that one
//! character. Doc comments are the only source of words, so that the reference cannot go stale.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::schema::{Node, Schema};

const LINE_CHARS_MAX: usize = 96;
/// Tables in tables deeper than this are not shown: a schema may contain itself.
const DEPTH_MAX: usize = 12;

const KEY_TO_SIGNS: &str = "Lines that begin with `#` and no space are settings that are not set: \
                            remove the `#` to set them.\nEverything else shows the default.";

/// The complete commented TOML text for `T`, headed by `intro`.
#[must_use]
pub fn reference<T: JsonSchema + Serialize + Default>(intro: &str) -> String {
    let schema = Schema::of::<T>();
    let defaults = serde_json::to_value(T::default()).unwrap_or_default();
    let mut page = Page { text: String::new(), is_off: false };
    page.words(intro);
    page.text.push_str("#\n");
    page.words(KEY_TO_SIGNS);
    page.table(schema.root(), &defaults, &mut Vec::new());
    page.text
}

struct Page {
    text: String,
    /// Within a table that is only an example: its lines are commented out.
    is_off: bool,
}

impl Page {
    /// The keys of a table: plain values first, then tables, as TOML requires.
    fn table(&mut self, node: Node<'_>, value: &Value, path: &mut Vec<String>) {
        let empty = Map::new();
        let values = value.as_object().unwrap_or(&empty);
        let known = node.properties();
        let (tables, plain): (Vec<_>, Vec<_>) =
            known.into_iter().partition(|(_, child)| child.is_table() || child.is_table_array());
        for (name, child) in plain {
            self.plain(name, child, values.get(name).unwrap_or(&Value::Null));
        }
        if path.len() >= DEPTH_MAX {
            return;
        }
        for (name, child) in tables {
            path.push(name.to_owned());
            self.section(child, values.get(name).unwrap_or(&Value::Null), path);
            path.pop();
        }
        if let Some(free) = node.free_values() {
            self.free(free, values, path);
        }
    }

    /// A table with free keys: what the default holds, or an example of one.
    fn free(&mut self, node: Node<'_>, values: &Map<String, Value>, path: &mut Vec<String>) {
        let was_off = self.is_off;
        let example = Map::from_iter([("example".to_owned(), example(node))]);
        self.is_off |= values.is_empty();
        for (name, value) in if values.is_empty() { &example } else { values } {
            if node.is_table() {
                path.push(name.clone());
                self.section(node, value, path);
                path.pop();
            } else {
                self.setting(name, value);
            }
        }
        self.is_off = was_off;
    }

    fn plain(&mut self, name: &str, node: Node<'_>, value: &Value) {
        self.text.push('\n');
        self.words(node.doc().unwrap_or_default());
        self.choices(node);
        let was_off = self.is_off;
        if value.is_null() {
            self.is_off = true;
            self.setting(name, &example(node));
        } else {
            self.setting(name, value);
        }
        self.is_off = was_off;
    }

    fn section(&mut self, node: Node<'_>, value: &Value, path: &mut Vec<String>) {
        self.text.push('\n');
        self.words(node.doc().unwrap_or_default());
        let was_off = self.is_off;
        match value {
            Value::Array(entries) if !entries.is_empty() => self.entries(node, entries, path),
            _ if node.is_table_array() => {
                let Some(items) = node.items() else { return };
                self.is_off = true;
                self.header(path, true);
                self.table(items, &example(items), path);
            }
            Value::Null => {
                self.is_off = true;
                self.header(path, false);
                self.table(node, &example(node), path);
            }
            _ => {
                self.header(path, false);
                self.table(node, value, path);
            }
        }
        self.is_off = was_off;
    }

    /// The entries of an array of tables; only the first is explained.
    fn entries(&mut self, node: Node<'_>, entries: &[Value], path: &mut Vec<String>) {
        let Some(items) = node.items() else { return };
        for (index, entry) in entries.iter().enumerate() {
            if index == 0 {
                self.header(path, true);
                self.table(items, entry, path);
            } else {
                self.text.push('\n');
                self.header(path, true);
                self.bare(entry);
            }
        }
    }

    /// A table without explanations.
    fn bare(&mut self, value: &Value) {
        let Some(values) = value.as_object() else { return };
        for (name, value) in values.iter().filter(|(_, value)| !value.is_null()) {
            self.setting(name, value);
        }
    }

    fn header(&mut self, path: &[String], is_array: bool) {
        let path: Vec<_> = path.iter().map(|key| bare_or_quoted(key)).collect();
        let path = path.join(".");
        let line = if is_array { format!("[[{path}]]") } else { format!("[{path}]") };
        self.line(&line);
    }

    fn setting(&mut self, name: &str, value: &Value) {
        let line = format!("{} = {}", bare_or_quoted(name), inline(value));
        self.line(&line);
    }

    /// A line of TOML, commented out within an example.
    fn line(&mut self, line: &str) {
        if self.is_off {
            self.text.push('#');
        }
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn choices(&mut self, node: Node<'_>) {
        let choices = node.choices();
        if choices.is_empty() {
            return;
        }
        if choices.iter().all(|choice| choice.meaning.is_none()) {
            let names: Vec<_> = choices.iter().map(|choice| quoted(choice.name)).collect();
            self.words(&format!("One of {}.", names.join(", ")));
            return;
        }
        for choice in choices {
            let meaning = choice.meaning.unwrap_or_default().replace('\n', " ");
            self.words(&format!("- {}: {meaning}", quoted(choice.name)));
        }
    }

    /// Words as comment lines; lines that belong to one paragraph are filled.
    fn words(&mut self, text: &str) {
        let mut paragraph = String::new();
        for line in text.lines().map(str::trim_end) {
            let starts_new = line.is_empty() || line.starts_with([' ', '-', '*', '#']);
            if starts_new {
                self.fill(&std::mem::take(&mut paragraph));
            }
            if line.is_empty() {
                self.text.push_str("#\n");
            } else {
                if !paragraph.is_empty() {
                    paragraph.push(' ');
                }
                paragraph.push_str(line);
            }
        }
        self.fill(&paragraph);
    }

    fn fill(&mut self, paragraph: &str) {
        let mut width = 0;
        for word in paragraph.split_whitespace() {
            let length = word.chars().count();
            if width > 0 && width + 1 + length <= LINE_CHARS_MAX {
                self.text.push(' ');
                width += 1 + length;
            } else {
                self.text.push_str(if width == 0 { "# " } else { "\n# " });
                width = 2 + length;
            }
            self.text.push_str(word);
        }
        if width > 0 {
            self.text.push('\n');
        }
    }
}

/// A value to show where there is no default: the schema's own, or the simplest of its type.
fn example(node: Node<'_>) -> Value {
    let given = node.any("examples").and_then(|examples| examples.get(0)).cloned();
    let given = given.or_else(|| node.any("default").filter(|value| !value.is_null()).cloned());
    if let Some(value) = given {
        return value;
    }
    if let Some(choice) = node.choices().first() {
        return choice.name.into();
    }
    let types = node.types();
    let of_type = |name| types.contains(name);
    if node.is_table() {
        let fields = node.properties().into_iter().filter(|(_, child)| !child.is_table());
        // Optional keys keep no value here: `plain` shows them commented out.
        let fields = fields.filter(|(name, child)| {
            node.required().contains(name) || child.text("default").is_some() || has_default(*child)
        });
        return Value::Object(
            fields.map(|(name, child)| (name.to_owned(), example(child))).collect(),
        );
    }
    match node.any(super::units::UNIT_KEY).and_then(Value::as_str) {
        Some("size") => return "1 MiB".into(),
        Some("span") => return "1 min".into(),
        _ => (),
    }
    match () {
        () if of_type("array") => Value::Array(Vec::new()),
        () if of_type("string") => "".into(),
        () if of_type("integer") => node.any("minimum").cloned().unwrap_or_else(|| 0.into()),
        () if of_type("number") => 0.0.into(),
        () => false.into(),
    }
}

fn has_default(node: Node<'_>) -> bool {
    node.any("default").is_some_and(|value| !value.is_null())
}

/// A value on one line.
fn inline(value: &Value) -> String {
    match value {
        Value::Null => "\"\"".into(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            let fields: Vec<_> = fields
                .map(|(key, value)| format!("{} = {}", bare_or_quoted(key), inline(value)))
                .collect();
            format!("{{ {} }}", fields.join(", "))
        }
    }
}

/// A TOML basic string (its escapes include JSON's, but DEL must be escaped as well).
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => _ = write!(out, "\\u{:04X}", u32::from(c)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn bare_or_quoted(key: &str) -> String {
    super::check::join("", key)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::super::{Bytes, Span, parse};
    use super::*;

    /// How loud.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum Volume {
        /// Nobody hears it.
        #[default]
        Low,
        /// Everybody
        /// hears it.
        High,
    }

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum Plain {
        #[default]
        One,
        Two,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Door {
        /// Where it opens.
        #[schemars(example = "127.0.0.1:25")]
        address: String,
        /// How many may pass.
        #[serde(default = "many")]
        count_max: u32,
        /// Its colour, if painted.
        #[schemars(example = &"red")]
        colour: Option<String>,
        /// The lock.
        #[serde(default)]
        lock: Lock,
    }

    fn many() -> u32 {
        7
    }

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
    #[serde(default, deny_unknown_fields)]
    struct Lock {
        /// How long it takes.
        time: Span,
    }

    /// The house.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
    #[serde(default, deny_unknown_fields)]
    struct House {
        /// Doors for people.
        door: Vec<Door>,
        /// Doors for cats: usually none.
        flap: Vec<Door>,
        /// What it is called. This text is long enough that it has to be wrapped, since no line of
        /// the reference may be longer than what fits on a page.
        ///
        /// A second paragraph.
        name: String,
        /// Unset unless wanted.
        floor_area: Option<Bytes>,
        volume: Volume,
        plain: Plain,
        retry: Vec<Span>,
        /// The lock of the main gate.
        gate: Lock,
        /// A lock nobody has.
        spare: Option<Lock>,
        /// Free names.
        names: BTreeMap<String, u8>,
        /// Free tables.
        rooms: BTreeMap<String, Lock>,
    }

    impl Default for House {
        fn default() -> Self {
            let door = |address: &str| Door {
                address: address.into(),
                count_max: 3,
                colour: None,
                lock: Lock { time: Span::ms(5) },
            };
            Self {
                door: vec![door("a \"quoted\" \\ \u{1} \u{7f}"), door("b")],
                flap: Vec::new(),
                name: "x".into(),
                floor_area: None,
                volume: Volume::Low,
                plain: Plain::One,
                retry: vec![Span::mins(5), Span::hours(4)],
                gate: Lock { time: Span::secs(2) },
                spare: None,
                names: BTreeMap::new(),
                rooms: BTreeMap::new(),
            }
        }
    }

    #[test]
    fn parses_back_to_the_default() {
        let text = reference::<House>("The intro.");
        assert_eq!(
            parse::<House>("reference", &text).map_err(|e| e.to_string()),
            Ok(House::default())
        );
    }

    #[test]
    fn every_commented_setting_is_valid_too() {
        let text = reference::<House>("The intro.");
        let is_off = |line: &str| line.starts_with('#') && !line.starts_with("# ") && line != "#";
        let on: Vec<_> =
            text.lines().map(|line| if is_off(line) { &line[1..] } else { line }).collect();
        let house: House = parse("reference", &on.join("\n")).map_err(|e| e.to_string()).unwrap();
        assert_eq!(house.flap[0].address, "127.0.0.1:25");
        assert_eq!(house.flap[0].count_max, 7);
        assert_eq!(house.floor_area, Some(Bytes::mib(1)));
        assert_eq!(house.spare, Some(Lock::default()));
        assert_eq!(house.names.len(), 1);
        assert_eq!(house.rooms.len(), 1);
    }

    #[test]
    fn says_what_the_doc_comments_say() {
        let text = reference::<House>("The intro.");
        for part in [
            "# The intro.\n",
            "\n# What it is called. This text",
            "on a page.\n#\n# A second paragraph.\nname = \"x\"\n",
            "\n# Unset unless wanted.\n#floor_area = \"1 MiB\"\n",
            "\n# How loud.\n# - \"low\": Nobody hears it.\n# - \"high\": Everybody hears it.\nvolume = \"low\"\n",
            "\n# One of \"one\", \"two\".\nplain = \"one\"\n",
            "\nretry = [\"5 min\", \"4 h\"]\n",
            "\n# Doors for people.\n[[door]]\n",
            "\n# Doors for cats: usually none.\n#[[flap]]\n\n# Where it opens.\n#address = \"127.0.0.1:25\"\n",
            "\n# The lock of the main gate.\n[gate]\n\n# How long it takes.\ntime = \"2 s\"\n",
        ] {
            assert!(text.contains(part), "{part:?} is not in:\n{text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= LINE_CHARS_MAX + 1));
    }
}

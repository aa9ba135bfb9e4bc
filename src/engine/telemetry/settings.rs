//! How the log is configured: level, format, target.
//!
//! The doc comments of the fields are the text of the reference file.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, de};

use crate::settings::Span;

/// How urgent a note is. Message events (accepted, delivered, …) have no level.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something is broken and needs a person.
    Error,
    /// Something is wrong but mail still flows.
    Warn,
    /// What an administrator wants to know: started, reloaded, stopped.
    #[default]
    Info,
    /// For finding faults.
    Debug,
}

/// What a line of the log looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// `time event key=value …`, for people.
    #[default]
    Text,
}

/// Where the log goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Target {
    /// Standard error; systemd's journal keeps it.
    #[default]
    Stderr,
    /// Standard output.
    Stdout,
    /// Appended to this file, which is opened again on SIGHUP.
    File(PathBuf),
}

/// The log: one line for each message accepted, delivered, deferred or bounced, and notes about
/// the process itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// Notes below this level are left out. Message events are not affected.
    pub level: Level,
    /// `text` for people, `json` for programs: one object a line.
    pub format: Format,
    /// `stderr`, `stdout` or the path of a file (one that contains a `/`). A file is opened again
    /// on SIGHUP, so that it can be rotated.
    pub target: Target,
    /// Whether the message events are written at all.
    pub events: bool,
    /// How long an event may wait in its shard's buffer before it is written.
    pub flush: Span,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            level: Level::default(),
            format: Format::default(),
            target: Target::default(),
            events: true,
            flush: Span::ms(200),
        }
    }
}

impl Level {
    /// The level in lower case, as settings and log lines spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stderr => f.write_str("stderr"),
            Self::Stdout => f.write_str("stdout"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Serialize for Target {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "stderr" => Ok(Self::Stderr),
            "stdout" => Ok(Self::Stdout),
            // The slash keeps a mistyped `stdrr` from becoming a file of that name.
            _ if text.contains('/') => Ok(Self::File(text.into())),
            _ => Err(de::Error::custom(format!(
                "`{text}` is neither `stderr`, `stdout` nor a path with a `/`"
            ))),
        }
    }
}

impl JsonSchema for Target {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Target".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

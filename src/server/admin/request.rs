//! The lines on the socket, as types for both ends.
//!
//! Unknown keys are refused: a mistyped filter must never come to mean "all messages".

use mail::authentication::signing;
use mail::directory;
use mail::queue::{Command, Filter, LIST_ROWS_MAX, MessageId, Row};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Rows of a list when the request does not say.
const LIST_ROWS_DEFAULT: usize = 100;

/// A request, of whichever kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Admin(AdminVerb),
    Queue(QueueVerb, Command),
    Directory(Box<directory::Command>),
    Dkim(Box<signing::Command>),
}

/// `{"admin": …}`: about the server as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminRequest {
    /// What to do.
    pub admin: AdminVerb,
}

/// What can be asked of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdminVerb {
    /// Numbers and health.
    Status,
    /// As SIGHUP.
    Reload,
    /// As SIGTERM.
    Stop,
}

/// `{"queue": …}`: about the messages of all shards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueRequest {
    /// What to do.
    pub queue: QueueVerb,
    /// With which messages.
    #[serde(default)]
    pub filter: Filter,
    /// Says that an empty filter is meant (hold and delete).
    #[serde(default)]
    pub all: bool,
    /// The message to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<MessageId>,
    /// Rows of a list at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Where a list goes on: `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<MessageId>,
}

/// What can be done with queued messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QueueVerb {
    /// A page of messages, oldest first.
    List,
    /// Everything about one.
    Show,
    /// Try now.
    Flush,
    /// Do not try until released.
    Hold,
    /// Undo a hold.
    Release,
    /// Remove without a bounce.
    Delete,
}

/// Answer to a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// Messages of all shards, oldest first.
    pub rows: Vec<Row>,
    /// There may be more: ask again `after` this.
    pub next: Option<MessageId>,
    /// Shards or queues that did not answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Answer to flush, hold, release and delete.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Messages that it touched.
    pub count: u64,
    /// Shards or queues that did not answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A request that was not carried out; the text is for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

impl QueueRequest {
    /// A request with nothing but a verb and a filter.
    #[must_use]
    pub fn new(queue: QueueVerb, filter: Filter) -> Self {
        Self { queue, filter, all: false, id: None, limit: None, after: None }
    }

    fn command(self) -> Result<Command, Refused> {
        let is_list = self.queue == QueueVerb::List;
        if !is_list && (self.limit.is_some() || self.after.is_some()) {
            return Err(refused("`limit` and `after` belong to `list`"));
        }
        if self.queue != QueueVerb::Show && self.id.is_some() {
            return Err(refused("`id` belongs into `filter` here"));
        }
        let filter = self.filter;
        if self.all && !filter.is_all() {
            return Err(refused("`all` and a filter contradict each other"));
        }
        let wants_care = matches!(self.queue, QueueVerb::Hold | QueueVerb::Delete);
        if wants_care && filter.is_all() && !self.all {
            return Err(refused("give a filter, or \"all\": true to mean every message"));
        }
        Ok(match self.queue {
            QueueVerb::List => Command::List {
                filter,
                limit: self.limit.unwrap_or(LIST_ROWS_DEFAULT).clamp(1, LIST_ROWS_MAX),
                after: self.after,
            },
            QueueVerb::Show => {
                let id = self.id.or(filter.id);
                Command::Show { id: id.ok_or_else(|| refused("`show` needs an `id`"))? }
            }
            QueueVerb::Flush => Command::Flush { filter },
            QueueVerb::Hold => Command::Hold { filter },
            QueueVerb::Release => Command::Release { filter },
            QueueVerb::Delete => Command::Delete { filter },
        })
    }
}

impl Request {
    /// Reads one line.
    pub(super) fn parse(line: &[u8]) -> Result<Self, Refused> {
        let unreadable = |error: serde_json::Error| Refused(format!("bad request: {error}"));
        let value: Value = serde_json::from_slice(line).map_err(unreadable)?;
        if value.get("queue").is_some() {
            let request: QueueRequest = serde_json::from_value(value).map_err(unreadable)?;
            return Ok(Self::Queue(request.queue, request.command()?));
        }
        if value.get("directory").is_some() {
            let command = serde_json::from_value(value).map_err(unreadable)?;
            return Ok(Self::Directory(Box::new(command)));
        }
        if value.get("dkim").is_some() {
            let command = serde_json::from_value(value).map_err(unreadable)?;
            return Ok(Self::Dkim(Box::new(command)));
        }
        if value.get("admin").is_some() {
            let request: AdminRequest = serde_json::from_value(value).map_err(unreadable)?;
            return Ok(Self::Admin(request.admin));
        }
        Err(refused(
            "bad request: an object with `queue`, `directory`, `dkim` or `admin` is expected",
        ))
    }
}

pub(super) fn refused(text: &str) -> Refused {
    Refused(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Request, String> {
        Request::parse(line.as_bytes()).map_err(|refused| refused.to_string())
    }

    #[test]
    fn lists_are_bounded() {
        for (line, rows) in [
            (r#"{"queue":"list"}"#, LIST_ROWS_DEFAULT),
            (r#"{"queue":"list","limit":5}"#, 5),
            (r#"{"queue":"list","limit":0}"#, 1),
            (r#"{"queue":"list","limit":99999999}"#, LIST_ROWS_MAX),
        ] {
            let Ok(Request::Queue(_, Command::List { limit, .. })) = parse(line) else {
                panic!("{line}")
            };
            assert_eq!(limit, rows);
        }
    }

    #[test]
    fn dangerous_requests_must_be_meant() {
        for line in [
            r#"{"queue":"delete"}"#,
            r#"{"queue":"hold","filter":{}}"#,
            r#"{"queue":"delete","filter":{"domian":"x.example"}}"#,
            r#"{"queue":"delete","domain":"x.example","all":true}"#,
            r#"{"queue":"delete","filter":{"domain":"x.example"},"all":true}"#,
            r#"{"queue":"delete","id":"0000000000001"}"#,
            r#"{"queue":"delete","limit":5,"all":true}"#,
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        let all = parse(r#"{"queue":"delete","all":true}"#).unwrap();
        let command = Command::Delete { filter: Filter::default() };
        assert_eq!(all, Request::Queue(QueueVerb::Delete, command));
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "",
            "[]",
            "{",
            "\u{0}",
            "{}",
            r#"{"admin":"dance"}"#,
            r#"{"admin":"stop","now":1}"#,
            r#"{"queue":"show"}"#,
            r#"{"queue":"show","id":"zz"}"#,
            r#"{"directory":"remove","kind":"domain","name":"x.example","al":true}"#,
            r#"{"dkim":"remove","domain":"x.example"}"#,
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        assert_eq!(parse(r#"{"admin":"stop"}"#), Ok(Request::Admin(AdminVerb::Stop)));
    }
}

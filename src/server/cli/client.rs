//! The other end of the admin socket: blocking, one request at a time.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Failure;

/// The server itself gives up on a silent shard after 10 s; a list may take several rounds.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// An answer is never larger: a thousand rows, or one message with all its recipients.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// A connection to a running server.
#[derive(Debug)]
pub(super) struct Client {
    stream: BufReader<UnixStream>,
    path: PathBuf,
}

impl Client {
    /// Connects; the failure says what an administrator can do.
    pub(super) fn connect(path: &Path) -> Result<Self, Failure> {
        let stream = UnixStream::connect(path).map_err(|error| unreachable(path, &error))?;
        let is_set = stream
            .set_read_timeout(Some(ANSWER_MAX))
            .and_then(|()| stream.set_write_timeout(Some(ANSWER_MAX)));
        is_set.map_err(|error| unreachable(path, &error))?;
        Ok(Self { stream: BufReader::new(stream), path: path.into() })
    }

    /// Sends one request and waits for its answer, whose `ok` is true.
    pub(super) fn ask(&mut self, request: &impl Serialize) -> Result<Value, Failure> {
        let mut line = serde_json::to_vec(request).map_err(io::Error::from)?;
        line.push(b'\n');
        let mut answer = Vec::new();
        let sent = self.stream.get_mut().write_all(&line);
        // A server that closes (too many connections) may have said why before: read anyway.
        let read = (&mut self.stream).take(ANSWER_BYTES_MAX).read_until(b'\n', &mut answer);
        if let Err(error) = sent.and(read) {
            return Err(self.broken(&error.to_string()));
        }
        if answer.is_empty() {
            return Err(self.broken("the server closed the connection"));
        }
        let value: Value = serde_json::from_slice(&answer)
            .map_err(|error| self.broken(&format!("the answer cannot be read: {error}")))?;
        if value["ok"] == true {
            return Ok(value);
        }
        let error = value["error"].as_str().unwrap_or("the server refused without a reason");
        Err(Failure::Failed(super::words::clean_lines(error)))
    }

    fn broken(&self, what: &str) -> Failure {
        Failure::Unreachable(format!("admin socket {}: {what}", self.path.display()))
    }
}

/// Turns an answer into its type.
pub(super) fn read<T: DeserializeOwned>(answer: Value) -> Result<T, Failure> {
    serde_json::from_value(answer).map_err(|error| {
        let advice = "is the server of another version than this program?";
        Failure::Failed(format!("the answer cannot be understood ({error}); {advice}"))
    })
}

fn unreachable(path: &Path, error: &io::Error) -> Failure {
    let path = path.display();
    Failure::Unreachable(match error.kind() {
        io::ErrorKind::NotFound => format!(
            "is ringpost running? Looked for its socket at {path}, which does not exist \
             (--socket PATH looks elsewhere)"
        ),
        io::ErrorKind::ConnectionRefused => format!(
            "is ringpost running? Nobody answers on {path}, which an earlier run left behind"
        ),
        io::ErrorKind::PermissionDenied => format!(
            "no permission to use {path}: run this as the user ringpost runs as, a member of its \
             group, or root"
        ),
        _ => format!("cannot connect to {path}: {error}"),
    })
}

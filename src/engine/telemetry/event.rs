//! Message events: one line each, rendered into the shard's own buffer.
//!
//! What must stay true: an event costs a clock read and some copying, no allocation once the buffer
//! has grown, no lock and no system call; the buffer goes to the writer thread when it is full or
//! when the shard's tick flushes it. When the writer is behind, up to [`HELD_BYTES_MAX`] wait here and
//! further events are dropped and counted.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Write as _};
use std::rc::Rc;
use std::sync::Arc;

use super::log::Shared;
use super::render::{self, Escaped};
use super::settings::Format;
use super::stamp::{Stamp, wall_ms};

/// A buffer this full is handed to the writer.
const FLUSH_BYTES: usize = 64 << 10;
/// What a shard holds back at most while the writer is behind.
const HELD_BYTES_MAX: usize = 1 << 20;

/// The events of one shard. Clones share the buffer; all live on the shard's thread.
#[derive(Clone)]
pub struct Events(Rc<Inner>);

struct Inner {
    buffer: Cell<Vec<u8>>,
    stamp: RefCell<Stamp>,
    shard: u64,
    format: Format,
    sink: Sink,
}

enum Sink {
    Nowhere,
    Memory,
    Log(Arc<Shared>),
}

/// One event under construction: add fields, in the order in which they shall appear.
pub struct Event<'a> {
    out: &'a mut Vec<u8>,
    format: Format,
}

impl Events {
    pub(super) fn to_log(shared: Arc<Shared>, shard: usize, format: Format) -> Self {
        Self::new(Sink::Log(shared), shard, format)
    }

    /// Events that are thrown away, for benches.
    #[must_use]
    pub fn nowhere() -> Self {
        Self::new(Sink::Nowhere, 0, Format::Json)
    }

    /// Events kept in memory until [`take`](Self::take), for tests.
    #[must_use]
    pub fn to_memory(shard: usize, format: Format) -> Self {
        Self::new(Sink::Memory, shard, format)
    }

    fn new(sink: Sink, shard: usize, format: Format) -> Self {
        Self(Rc::new(Inner {
            buffer: Cell::default(),
            stamp: RefCell::default(),
            shard: shard as u64,
            format,
            sink,
        }))
    }

    /// Writes the event `name` with the fields that `fill` adds. Time and shard are added here.
    #[inline]
    pub fn event(&self, name: &str, fill: impl FnOnce(&mut Event<'_>)) {
        if !matches!(self.0.sink, Sink::Nowhere) {
            self.write(name, fill);
        }
    }

    fn write(&self, name: &str, fill: impl FnOnce(&mut Event<'_>)) {
        let mut out = self.0.buffer.take();
        if out.len() >= HELD_BYTES_MAX {
            self.count_dropped(1);
            self.0.buffer.set(out);
            return;
        }
        let mut event = Event::open(&mut out, self.0.format, &mut self.0.stamp.borrow_mut(), name);
        event.num("shard", self.0.shard);
        fill(&mut event);
        event.close();
        // `fill` may itself have logged; its lines lie in the cell.
        let inner = self.0.buffer.take();
        out.extend_from_slice(&inner);
        let is_full = out.len() >= FLUSH_BYTES;
        self.0.buffer.set(out);
        if is_full {
            self.flush();
        }
    }

    /// Hands what is buffered to the writer, if the writer has room. Never blocks.
    pub fn flush(&self) {
        let Sink::Log(shared) = &self.0.sink else { return };
        let buffer = self.0.buffer.take();
        if buffer.is_empty() {
            self.0.buffer.set(buffer);
            return;
        }
        match shared.send(buffer) {
            Ok(()) => self.0.buffer.set(shared.recycled().unwrap_or_default()),
            Err(unsent) => self.0.buffer.set(unsent),
        }
    }

    /// Takes what [`to_memory`](Self::to_memory) events have written so far.
    #[must_use]
    pub fn take(&self) -> String {
        String::from_utf8_lossy(&self.0.buffer.take()).into_owned()
    }

    fn count_dropped(&self, lines: u64) {
        if let Sink::Log(shared) = &self.0.sink {
            shared.count_dropped(lines);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let Sink::Log(shared) = &self.sink else { return };
        let buffer = self.buffer.take();
        if !buffer.is_empty() {
            shared.send_patiently(buffer);
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("shard", &self.0.shard).finish_non_exhaustive()
    }
}

impl<'a> Event<'a> {
    /// Begins a line: time and name.
    pub(super) fn open(
        out: &'a mut Vec<u8>,
        format: Format,
        stamp: &mut Stamp,
        name: &str,
    ) -> Self {
        let time = stamp.at(wall_ms());
        match format {
            Format::Json => {
                out.extend_from_slice(b"{\"time\":\"");
                out.extend_from_slice(time);
                out.extend_from_slice(b"\",\"event\":\"");
                render::escape(name, out);
                out.push(b'"');
            }
            Format::Text => {
                out.extend_from_slice(time);
                out.push(b' ');
                render::escape(name, out);
            }
        }
        Self { out, format }
    }

    /// Ends the line.
    pub(super) fn close(self) {
        match self.format {
            Format::Json => self.out.extend_from_slice(b"}\n"),
            Format::Text => self.out.push(b'\n'),
        }
    }

    /// A text field.
    pub fn str(&mut self, key: &'static str, value: &str) -> &mut Self {
        self.key(key);
        let is_json = self.format == Format::Json;
        if is_json || !render::is_plain(value.as_bytes()) {
            self.out.push(b'"');
            render::escape(value, self.out);
            self.out.push(b'"');
        } else {
            render::escape(value, self.out);
        }
        self
    }

    /// A text field that is left out when there is nothing to say.
    pub fn maybe(&mut self, key: &'static str, value: Option<impl fmt::Display>) -> &mut Self {
        if let Some(value) = value {
            self.show(key, value);
        }
        self
    }

    /// A text field from anything that can be displayed, without building a `String`.
    pub fn show(&mut self, key: &'static str, value: impl fmt::Display) -> &mut Self {
        self.key(key);
        match self.format {
            Format::Json => self.quoted(value),
            Format::Text => {
                let from = self.out.len();
                // A `Display` that fails leaves what it wrote: still a valid line.
                let _ = write!(Escaped(self.out), "{value}");
                if !render::is_plain(&self.out[from..]) {
                    self.out.insert(from, b'"');
                    self.out.push(b'"');
                }
            }
        }
        self
    }

    /// A number.
    pub fn num(&mut self, key: &'static str, value: u64) -> &mut Self {
        self.key(key);
        render::decimal(value, self.out);
        self
    }

    /// A truth value.
    pub fn flag(&mut self, key: &'static str, value: bool) -> &mut Self {
        self.key(key);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
        self
    }

    /// A list of texts: a JSON array, or one quoted value separated by commas.
    pub fn list<D: fmt::Display>(
        &mut self,
        key: &'static str,
        values: impl IntoIterator<Item = D>,
    ) -> &mut Self {
        self.key(key);
        let is_json = self.format == Format::Json;
        self.out.push(if is_json { b'[' } else { b'"' });
        for (index, value) in values.into_iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            if is_json {
                self.quoted(value);
            } else {
                let _ = write!(Escaped(self.out), "{value}");
            }
        }
        self.out.push(if is_json { b']' } else { b'"' });
        self
    }

    fn quoted(&mut self, value: impl fmt::Display) {
        self.out.push(b'"');
        let _ = write!(Escaped(self.out), "{value}");
        self.out.push(b'"');
    }

    fn key(&mut self, key: &'static str) {
        match self.format {
            Format::Json => {
                self.out.extend_from_slice(b",\"");
                self.out.extend_from_slice(key.as_bytes());
                self.out.extend_from_slice(b"\":");
            }
            Format::Text => {
                self.out.push(b' ');
                self.out.extend_from_slice(key.as_bytes());
                self.out.push(b'=');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(event: &mut Event<'_>) {
        event
            .str("id", "01")
            .num("size", 5)
            .flag("tls", false)
            .str("reply", "250 2.0.0 \"ok\"\r\n")
            .maybe("remote", None::<&str>)
            .list("to", ["a@x.example", "b c@x.example"]);
    }

    #[test]
    fn a_json_line_is_json() {
        let events = Events::to_memory(3, Format::Json);
        events.event("accepted", fill);
        let line = events.take();
        assert!(line.ends_with("}\n") && line.matches('\n').count() == 1);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["event"], "accepted");
        assert_eq!(value["shard"], 3);
        assert_eq!(value["size"], 5);
        assert_eq!(value["tls"], false);
        assert_eq!(value["reply"], "250 2.0.0 \"ok\"\r\n");
        assert_eq!(value["to"][1], "b c@x.example");
        assert!(value.get("remote").is_none());
    }

    #[test]
    fn a_text_line_reads_well() {
        let events = Events::to_memory(3, Format::Text);
        events.event("accepted", fill);
        let line = events.take();
        let (time, rest) = line.split_once(' ').unwrap();
        assert_eq!(time.len(), 24);
        assert_eq!(
            rest,
            "accepted shard=3 id=01 size=5 tls=false reply=\"250 2.0.0 \\\"ok\\\"\\r\\n\" \
             to=\"a@x.example,b c@x.example\"\n"
        );
    }

    #[test]
    fn an_event_within_an_event_is_kept() {
        let events = Events::to_memory(0, Format::Text);
        events.event("outer", |_| events.event("inner", |_| ()));
        let text = events.take();
        assert_eq!(text.lines().count(), 2);
        assert!(text.contains("outer") && text.contains("inner"));
    }

    #[test]
    fn memory_is_bounded() {
        let events = Events::to_memory(0, Format::Text);
        let long = "x".repeat(10_000);
        for _ in 0..200 {
            events.event("big", |event| {
                event.str("text", &long);
            });
        }
        assert!(events.take().len() < HELD_BYTES_MAX + 20_000);
    }
}

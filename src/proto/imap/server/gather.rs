//! A command put together from its lines and literals (RFC 9051 §2.2.1, §4.3).
//!
//! One without literals is read where it lies. One with literals is gathered, within the limits; what
//! would be over them is refused before it comes when the client waits, and passed over otherwise.

use super::{Flow, Server, State, Step, line, line::Line, replies};
use crate::imap::{
    command::{Message, Preface, Verb, preface},
    respond::Completion,
    syntax::{Cursor, Fault, LiteralMark, is_atom_octet},
};

/// Octets of a tag. Clients send a handful.
const TAG_OCTETS_MAX: usize = 128;

impl Server {
    /// Octets that a command may still have.
    fn room(&self) -> usize {
        let limits = &self.profile.limits;
        let bytes_max = match self.identity {
            Some(_) => limits.command_bytes_max,
            None => limits.login_command_bytes_max,
        };
        // A limit below the shortest command would refuse everything, with no way to say why.
        bytes_max.max(64).saturating_sub(self.gathered.len())
    }

    /// The front of the input as a line; what is no line ends the connection.
    pub(super) fn line<'i>(
        &mut self,
        input: &'i [u8],
        out: &mut Vec<u8>,
    ) -> Result<(&'i [u8], usize), (usize, Flow<'static>)> {
        let why = match line::find(input, self.room()) {
            Line::Whole(line, used) => return Ok((line, used)),
            Line::Incomplete => return Err((0, Some(Step::NeedInput))),
            Line::Long => &replies::TOO_LONG,
            Line::BareLf => &replies::BARE_LF,
        };
        Err((input.len(), self.close_saying(why, out)))
    }

    /// Reads a line of a command, and obeys the command when it is the last.
    pub(super) fn command_line<'i>(
        &mut self,
        input: &'i [u8],
        out: &mut Vec<u8>,
    ) -> (usize, Flow<'i>) {
        let (line, used) = match self.line(input, out) {
            Ok(found) => found,
            Err(end) => return end,
        };
        let more = used < input.len();
        let first = self.gathered.is_empty();
        if first {
            if let Some(end) = self.count_command(out) {
                return (used, Some(end));
            }
            self.read_tag(line);
        }
        let flow = match LiteralMark::find(line) {
            Some(mark) => self.announced(line, mark, out),
            None if first => self.obey(line, more, out),
            None => {
                let mut whole = std::mem::take(&mut self.gathered);
                whole.extend_from_slice(line);
                self.obey(&whole, more, out)
            }
        };
        (used, flow)
    }

    /// Before login, commands are few.
    fn count_command(&mut self, out: &mut Vec<u8>) -> Flow<'static> {
        if self.identity.is_some() {
            return None;
        }
        if self.commands >= self.profile.limits.login_commands_max {
            return self.close_saying(&replies::TOO_MANY_COMMANDS, out);
        }
        self.commands += 1;
        None
    }

    /// Keeps the tag that `line` begins with, or `*`.
    fn read_tag(&mut self, line: &[u8]) {
        let fits = |octet: u8| (is_atom_octet(octet) || octet == b']') && octet != b'+';
        let end = line.iter().position(|octet| !fits(*octet)).unwrap_or(line.len());
        let ends = matches!(line.get(end), None | Some(b' '));
        self.tag.clear();
        if ends && (1..=TAG_OCTETS_MAX).contains(&end) {
            self.tag.extend_from_slice(&line[..end]);
        } else {
            self.tag.push(b'*');
        }
    }

    /// Goes over a command behind its tag.
    pub(super) fn cursor<'c>(&self, text: &'c [u8]) -> Cursor<'c> {
        Cursor::new(text, self.enabled.is_utf8(), self.profile.limits.bounds)
    }

    /// Reads the verb of a command, and whether it may be said now.
    pub(super) fn verb(&self, cursor: &mut Cursor<'_>) -> Result<(Verb, bool), Completion> {
        if self.tag == b"*" {
            return Err(replies::MALFORMED_TAG);
        }
        cursor.space()?;
        let (verb, uid) = Verb::read(cursor)?;
        self.permitted(verb)?;
        Ok((verb, uid))
    }

    /// `line` ends in the mark of a literal.
    fn announced(&mut self, line: &[u8], mark: LiteralMark, out: &mut Vec<u8>) -> Flow<'static> {
        self.gathered.extend_from_slice(line);
        self.gathered.extend_from_slice(b"\r\n");
        match self.judge(mark) {
            Err(reply) => self.refuse_literal(reply, mark.octets, mark.waits, out),
            Ok((_, Some(message))) => self.message_announced(message, mark.waits, out),
            Ok((octets, None)) => {
                if mark.waits {
                    out.extend_from_slice(b"+ OK\r\n");
                }
                self.state = State::Literal(octets);
                None
            }
        }
    }

    /// Whether the literal that was announced is wanted, how large it is, and whether it is a message.
    fn judge(&self, mark: LiteralMark) -> Result<(usize, Option<Message>), Completion> {
        let mut cursor = self.cursor(self.gathered.get(self.tag.len()..).unwrap_or_default());
        let (verb, _) = self.verb(&mut cursor)?;
        if verb == Verb::Append
            && let Preface::Message(message) = preface(cursor, mark)?
        {
            return Ok((0, Some(message)));
        }
        if mark.binary {
            return Err(Fault::Syntax("A literal8 is a message").into());
        }
        let limits = &self.profile.limits;
        let bytes_max = match self.identity {
            Some(_) => limits.literal_bytes_max,
            None => limits.login_literal_bytes_max,
        };
        // Behind it the command has an end at least.
        let octets = usize::try_from(mark.octets).unwrap_or(usize::MAX);
        if octets > bytes_max || octets.saturating_add(2) > self.room() {
            return Err(replies::LITERAL_TOO_BIG);
        }
        Ok((octets, None))
    }

    pub(super) fn literal<'i>(&mut self, left: usize, input: &'i [u8]) -> (usize, Flow<'i>) {
        let taken = left.min(input.len());
        self.gathered.extend_from_slice(&input[..taken]);
        if taken < left {
            self.state = State::Literal(left - taken);
            return (taken, Some(Step::NeedInput));
        }
        self.state = State::Command;
        (taken, None)
    }

    /// Refuses a command whose literal of `octets` comes now, unless the client waits.
    pub(super) fn refuse_literal(
        &mut self,
        reply: Completion,
        octets: u64,
        waits: bool,
        out: &mut Vec<u8>,
    ) -> Flow<'static> {
        if waits {
            return self.complete(&reply, out);
        }
        self.skips_message |= self.is_message();
        let limits = &self.profile.limits;
        // A message that could have come is passed over: the client hears why it is not wanted.
        let bytes_max = if self.skips_message {
            limits.refused_literal_bytes_max.max(limits.append_bytes_max)
        } else {
            limits.refused_literal_bytes_max
        };
        if octets > bytes_max {
            let flow = self.complete(&reply, out);
            return flow.or_else(|| self.close_saying(&replies::TOO_LONG, out));
        }
        self.gathered = Default::default();
        self.message = None;
        self.refused = Some(Box::new(reply));
        self.state = State::Skip(octets);
        None
    }

    /// Whether what is refused is a message of somebody who has logged in.
    fn is_message(&self) -> bool {
        let mut cursor = self.cursor(self.gathered.get(self.tag.len()..).unwrap_or_default());
        let mut is_append = || matches!(self.verb(&mut cursor), Ok((Verb::Append, _)));
        self.identity.is_some() && (self.message.is_some() || is_append())
    }

    pub(super) fn skip<'i>(&mut self, left: u64, input: &'i [u8]) -> (usize, Flow<'i>) {
        let taken = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
        let left = left - taken as u64;
        if left > 0 {
            self.state = State::Skip(left);
            return (taken, Some(Step::NeedInput));
        }
        self.state = State::SkipLine;
        (taken, None)
    }

    /// What follows a literal of a refused command: its end, or more literals.
    pub(super) fn skip_line<'i>(
        &mut self,
        input: &'i [u8],
        out: &mut Vec<u8>,
    ) -> (usize, Flow<'i>) {
        let (line, used) = match self.line(input, out) {
            Ok(found) => found,
            Err(end) => return end,
        };
        let reply = self.refused.take().map_or(replies::UNANSWERED, |reply| *reply);
        let flow = match LiteralMark::find(line) {
            Some(mark) => self.refuse_literal(reply, mark.octets, mark.waits, out),
            None => self.complete(&reply, out),
        };
        (used, flow)
    }
}

//! `FETCH` (RFC 9051 §6.4.5), with BINARY (RFC 3516), PREVIEW (RFC 8970) and CHANGEDSINCE (RFC 7162).
//!
//! What must stay true: octets of a message go to the socket from where the store has them, but for small
//! ones, which leave with what is said around them; what was announced is sent, or the connection ends;
//! memory for messages on their way out is the shard's to give. How it fails: a message that cannot be
//! read is left out, and the completion says so.

use std::sync::Arc;

use bytes::Bytes;
use mail::mailbox::{Digest, Entry, Flags, How, MailboxError, Marks, View};
use memchr::memchr;
use proto::imap::command::{Attributes, Binary, Body, Fetch, Partial, SectionText};
use proto::imap::respond::{FetchLine, write_vanished};
use proto::imap::syntax::Messages;
use proto::imap::{Code, Completion};
use proto::mime::{Decoder, Encoding, Undecodable};

use super::execute::some_are_gone;
use super::home::Manner;
use super::session::Session;
use super::{flags, section, select, trouble};

/// Messages whose digests are read at a time.
const STRETCH: usize = 256;
/// Decoded between two turns that others have.
const DECODED_BYTES: usize = 64 << 10;
/// Messages up to this size are read without asking for memory.
const SMALL_BYTES: usize = 64 << 10;

/// What is told of the messages of one command.
struct Teller<'c> {
    fetch: &'c Fetch,
    manner: &'c Manner,
    keywords: Vec<Box<str>>,
    /// Something beyond the entry is asked for.
    needs_digest: bool,
    /// Octets of the message are asked for.
    has_bodies: bool,
    /// Of these, some beyond its header.
    needs_body: bool,
    /// Messages that are `\Seen` from now on.
    seen: Vec<u32>,
    /// Messages that were gone.
    gone: bool,
    /// What went wrong, if anything did.
    failure: Option<Completion>,
}

impl Session {
    /// Tells what a client asks of messages.
    pub(super) async fn fetch(&mut self, fetch: Fetch, manner: &Manner) -> Completion {
        let Some(home) = self.home.as_deref_mut() else { return nothing_selected() };
        let uids = match home.targets(&fetch.messages, fetch.uid) {
            Ok(uids) => uids,
            Err(completion) => return completion,
        };
        // Out of the session while it lasts, which sends meanwhile.
        let Some(view) = home.view.take() else { return nothing_selected() };
        let done = self.fetch_from(&view, &fetch, &uids, manner).await;
        if let Some(home) = self.home.as_deref_mut() {
            home.view = Some(view);
        }
        done
    }

    async fn fetch_from(
        &mut self,
        view: &View,
        fetch: &Fetch,
        uids: &[u32],
        manner: &Manner,
    ) -> Completion {
        if let Err(error) = tell_vanished(view, fetch, &mut self.out).await {
            return trouble::completion(&error);
        }
        let mut teller = Teller::new(view, fetch, manner);
        for stretch in uids.chunks(STRETCH) {
            let told = self.tell_stretch(view, &mut teller, stretch).await;
            match told {
                Ok(true) => {}
                // Nobody listens.
                Ok(false) => return Completion::no("Interrupted"),
                Err(error) => return trouble::completion(&error),
            }
            tokio::task::yield_now().await;
        }
        if !teller.seen.is_empty() {
            let marks = Marks::from(Flags::SEEN);
            if let Err(error) = view.store(&teller.seen, How::Add, &marks, None).await {
                return trouble::completion(&error);
            }
        }
        let done = teller.failure.unwrap_or(Completion::ok("Fetched"));
        if teller.gone { some_are_gone(fetch.uid, done) } else { done }
    }

    /// Tells of some messages; false when the peer is gone.
    async fn tell_stretch(
        &mut self,
        view: &View,
        teller: &mut Teller<'_>,
        uids: &[u32],
    ) -> Result<bool, MailboxError> {
        let wanted: Vec<Entry> = uids.iter().filter_map(|uid| teller.wants(view, *uid)).collect();
        let digests = if teller.needs_digest {
            let uids: Vec<u32> = wanted.iter().map(|entry| entry.uid).collect();
            view.digests(&uids).await?
        } else {
            vec![None; wanted.len()]
        };
        for (entry, digest) in wanted.iter().zip(digests) {
            if teller.needs_digest && digest.is_none() {
                teller.gone = true;
                continue;
            }
            match self.tell_message(view, teller, entry, digest).await {
                Ok(true) => self.door.metrics.fetched.inc(),
                Ok(false) => return Ok(false),
                Err(MailboxError::Gone) => teller.gone = true,
                Err(error @ MailboxError::Lost) => return Err(error),
                Err(error) => teller.failure = Some(trouble::completion(&error)),
            }
        }
        Ok(true)
    }

    async fn tell_message(
        &mut self,
        view: &View,
        teller: &mut Teller<'_>,
        entry: &Entry,
        digest: Option<Arc<Digest>>,
    ) -> Result<bool, MailboxError> {
        let fetch = teller.fetch;
        // What is of the header alone is answered from the index.
        let header = if teller.needs_body {
            None
        } else {
            digest.as_deref().and_then(|digest| digest.header.text().cloned())
        };
        let reads = header.is_none() && teller.has_bodies;
        let octets = entry.size as usize;
        let budget = &self.door.budget;
        let permit =
            (reads && octets > SMALL_BYTES).then(|| budget.try_take(octets.min(budget.max())));
        if matches!(permit, Some(None)) {
            self.door.metrics.memory_spent.inc();
            teller.failure = Some(Completion::no("Too busy, try later").with(Code::Limit));
            return Ok(true);
        }
        // Read before its line begins: a line cannot be taken back.
        let message = if reads {
            view.body(entry.uid, 0..u64::MAX).await?
        } else {
            header.unwrap_or_default()
        };
        let mut parts = Vec::with_capacity(fetch.binaries.len());
        for binary in &fetch.binaries {
            let Some(digest) = &digest else { break };
            let Ok(part) = decoded(binary, digest, &message).await else {
                let refusal = Completion::no("Unknown transfer encoding");
                teller.failure = Some(refusal.with(Code::UnknownCte));
                return Ok(true);
            };
            parts.push(part);
        }
        let Some(number) = view.number(entry.uid) else { return Err(MailboxError::Gone) };
        let mut line = FetchLine::begin(number, &mut self.out);
        teller.attributes(&mut line, view, entry, digest.as_deref(), &mut self.out);
        for body in &fetch.bodies {
            let cut = digest.as_deref().map_or_else(
                || Some(message.clone()),
                |digest| section::cut(&body.section, &digest.structure, &message),
            );
            if !self.tell_body(&mut line, body, cut).await {
                return Ok(false);
            }
        }
        for (binary, part) in fetch.binaries.iter().zip(parts) {
            if !self.tell_binary(&mut line, binary, part).await {
                return Ok(false);
            }
        }
        line.end(&mut self.out);
        teller.note_seen(view, entry);
        Ok(self.send_some().await)
    }

    async fn tell_body(&mut self, line: &mut FetchLine, body: &Body, cut: Option<Bytes>) -> bool {
        let Some(cut) = cut else {
            line.absent(body, &mut self.out);
            return true;
        };
        let cut = within(body.partial, cut);
        line.literal(body, cut.len() as u64, &mut self.out);
        self.pass_on(cut).await
    }

    async fn tell_binary(
        &mut self,
        line: &mut FetchLine,
        binary: &Binary,
        part: Option<Bytes>,
    ) -> bool {
        let Some(part) = part else {
            line.binary_absent(binary, &mut self.out);
            return true;
        };
        if binary.size_only {
            line.binary_size(binary, part.len() as u64, &mut self.out);
            return true;
        }
        let part = within(binary.partial, part);
        let has_nul = memchr(0, &part).is_some();
        line.binary(binary, part.len() as u64, has_nul, &mut self.out);
        self.pass_on(part).await
    }
}

impl<'c> Teller<'c> {
    fn new(view: &View, fetch: &'c Fetch, manner: &'c Manner) -> Self {
        let of_digest = [
            Attributes::ENVELOPE,
            Attributes::BODY,
            Attributes::BODY_STRUCTURE,
            Attributes::PREVIEW,
        ];
        let whole =
            |body: &Body| body.section.path.is_empty() && body.section.text == SectionText::Whole;
        let needs_digest = of_digest.iter().any(|one| fetch.attributes.contains(*one))
            || !fetch.binaries.is_empty()
            || !fetch.bodies.iter().all(whole);
        let of_header = |body: &Body| {
            let text = &body.section.text;
            body.section.path.is_empty()
                && matches!(text, SectionText::Header | SectionText::Fields { .. })
        };
        Self {
            fetch,
            manner,
            keywords: view.keywords(),
            needs_digest,
            has_bodies: !fetch.bodies.is_empty() || !fetch.binaries.is_empty(),
            needs_body: !fetch.binaries.is_empty() || !fetch.bodies.iter().all(of_header),
            seen: Vec::new(),
            gone: false,
            failure: None,
        }
    }

    /// The message, if it is there and has changed since it was to.
    fn wants(&mut self, view: &View, uid: u32) -> Option<Entry> {
        let entry = view.entry(uid);
        self.gone |= entry.is_none();
        entry.filter(|entry| self.fetch.changed_since.is_none_or(|since| entry.modseq > since))
    }

    fn note_seen(&mut self, view: &View, entry: &Entry) {
        let is_new = !entry.flags.contains(Flags::SEEN);
        if is_new && self.fetch.sets_seen() && !view.is_read_only() {
            self.seen.push(entry.uid);
        }
    }

    /// All that is no body.
    fn attributes(
        &self,
        line: &mut FetchLine,
        view: &View,
        entry: &Entry,
        digest: Option<&Digest>,
        out: &mut Vec<u8>,
    ) {
        let wants = |attribute| self.fetch.attributes.contains(attribute);
        if wants(Attributes::UID) {
            line.uid(entry.uid, out);
        }
        if wants(Attributes::FLAGS) {
            let keywords = flags::keywords(entry.flags, &self.keywords);
            let is_recent = view.is_recent(entry.uid) && !self.manner.is_rev2();
            line.flags(flags::told(entry.flags), keywords, is_recent, out);
        }
        if wants(Attributes::INTERNAL_DATE) {
            line.internal_date(entry.internal, out);
        }
        if wants(Attributes::SIZE) {
            line.size(u64::from(entry.size), out);
        }
        if wants(Attributes::MODSEQ) {
            line.modseq(entry.modseq, out);
        }
        if wants(Attributes::EMAIL_ID) {
            line.email_id(&entry.id.to_string(), out);
        }
        if wants(Attributes::THREAD_ID) {
            line.thread_id(Some(&entry.thread.to_string()), out);
        }
        if wants(Attributes::SAVE_DATE) {
            line.save_date(Some(entry.saved), out);
        }
        let Some(digest) = digest else { return };
        if wants(Attributes::ENVELOPE) {
            line.envelope(|out| digest.envelope.write(out), out);
        }
        if wants(Attributes::BODY) {
            line.structure(false, |out| digest.structure.write(false, out), out);
        }
        if wants(Attributes::BODY_STRUCTURE) {
            line.structure(true, |out| digest.structure.write(true, out), out);
        }
        if wants(Attributes::PREVIEW) {
            line.preview(Some(&digest.preview), self.manner.enabled, out);
        }
    }
}

fn nothing_selected() -> Completion {
    Completion::bad("Select a mailbox first")
}

/// Tells what was expunged since, when that is asked for (RFC 7162 §3.2.6).
async fn tell_vanished(view: &View, fetch: &Fetch, out: &mut Vec<u8>) -> Result<(), MailboxError> {
    let (true, Some(since), Messages::Set(set)) =
        (fetch.vanished, fetch.changed_since, &fetch.messages)
    else {
        return Ok(());
    };
    let last = view.counts().uid_next.saturating_sub(1);
    let within = select::stored(&set.resolve(last));
    let gone = select::told(view.vanished(since, Some(&within)).await?);
    write_vanished(true, &gone, out);
    Ok(())
}

fn within(partial: Option<Partial>, octets: Bytes) -> Bytes {
    let Some(partial) = partial else { return octets };
    let range = partial.within(octets.len() as u64);
    // Both ends are within the octets.
    octets.slice(range.start as usize..range.end as usize)
}

/// A part without its transfer encoding; `None`: there is no such part. The message itself has none.
async fn decoded(
    binary: &Binary,
    digest: &Digest,
    message: &Bytes,
) -> Result<Option<Bytes>, Undecodable> {
    if binary.path.is_empty() {
        return Ok(Some(message.clone()));
    }
    let Some(part) = digest.structure.part(&binary.path) else { return Ok(None) };
    let Some(body) = section::slice(message, part.body) else { return Ok(None) };
    if part.encoding == Encoding::Identity {
        return Ok(Some(body));
    }
    let mut decoder = Decoder::new(part.encoding)?;
    let mut octets = Vec::new();
    for piece in body.chunks(DECODED_BYTES) {
        decoder.push(piece, &mut octets);
        tokio::task::yield_now().await;
    }
    decoder.finish(&mut octets);
    Ok(Some(octets.into()))
}

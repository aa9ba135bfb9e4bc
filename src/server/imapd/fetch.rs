//! `FETCH` (RFC 9051 §6.4.5), with BINARY (RFC 3516), PREVIEW (RFC 8970) and CHANGEDSINCE (RFC 7162).
//!
//! What must stay true: octets of a message go to the socket from where the store has them, but for small
//! ones, which leave with what is said around them; what was announced is sent, or the connection ends;
//! memory for messages on their way out, and for one part at a time that is decoded, is the shard's to
//! give. How it fails: a message that cannot be read is left out, and the completion says so.

use std::sync::Arc;

use bytes::Bytes;
use mail::mailbox::{Digest, Entry, Flags, How, MailboxError, Marks, View};
use memchr::memchr;
use proto::imap::command::{Attributes, Binary, Body, Fetch, Partial, SectionText};
use proto::imap::respond::{FetchLine, write_vanished};
use proto::imap::syntax::Messages;
use proto::imap::{Code, Completion};
use proto::mime::{Encoding, Structure};

use super::execute::some_are_gone;
use super::home::{Manner, NOTHING_SELECTED};
use super::section::{Cut, decoded, decoded_octets, encoded, encoding};
use super::session::Session;
use super::{flags, select, trouble};

/// Messages whose digests are read at a time.
const STRETCH: usize = 256;

/// What is told of the messages of one command.
struct Teller<'c> {
    fetch: &'c Fetch,
    manner: &'c Manner,
    keywords: Vec<Box<str>>,
    /// Of each body that is asked for, how it is cut out.
    cuts: Vec<Cut<'c>>,
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
        let Some(home) = self.home.as_deref_mut() else { return NOTHING_SELECTED };
        let uids = match home.targets(&fetch.messages, fetch.uid) {
            Ok(uids) => uids,
            Err(completion) => return completion,
        };
        // Out of the session while it lasts, which sends meanwhile.
        let Some(view) = home.view.take() else { return NOTHING_SELECTED };
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
        let structure = digest.as_deref().map(|digest| &digest.structure);
        if structure.is_some_and(|structure| teller.is_opaque(structure)) {
            let refusal = Completion::no("Unknown transfer encoding");
            teller.failure = Some(refusal.with(Code::UnknownCte));
            return Ok(true);
        }
        // What is of the header alone is answered from the index.
        let header = if teller.needs_body {
            None
        } else {
            digest.as_deref().and_then(|digest| digest.header.text().cloned())
        };
        let reads = header.is_none() && teller.has_bodies;
        let octets = if reads { teller.octets_held(entry, structure) } else { 0 };
        let _permit = match teller.manner.memory.for_message(octets) {
            Ok(permit) => permit,
            Err(halt) => {
                teller.failure = Some(halt.into());
                return Ok(true);
            }
        };
        // Read before its line begins: a line cannot be taken back.
        let message = if reads {
            view.body(entry.uid, 0..u64::MAX).await?
        } else {
            header.unwrap_or_default()
        };
        let Some(number) = view.number(entry.uid) else { return Err(MailboxError::Gone) };
        let mut line = FetchLine::begin(number, &mut self.out);
        teller.attributes(&mut line, view, entry, digest.as_deref(), &mut self.out);
        if !self.tell_octets(&mut line, teller, structure, &message).await {
            return Ok(false);
        }
        line.end(&mut self.out);
        teller.note_seen(view, entry);
        Ok(self.send_some().await)
    }

    /// Tells what is asked for of the octets of a message; false when the peer is gone.
    async fn tell_octets(
        &mut self,
        line: &mut FetchLine,
        teller: &Teller<'_>,
        structure: Option<&Structure>,
        message: &Bytes,
    ) -> bool {
        for (body, cut) in teller.fetch.bodies.iter().zip(&teller.cuts) {
            let octets = match structure {
                Some(structure) => cut.of(structure, message).await,
                None => Some(message.clone()),
            };
            if !self.tell_body(line, body, octets).await {
                return false;
            }
        }
        for binary in &teller.fetch.binaries {
            let part = structure.and_then(|structure| encoded(binary, structure, message));
            if !self.tell_binary(line, binary, part).await {
                return false;
            }
        }
        true
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

    /// One after the other, so that what is decoded of a message is in memory once.
    async fn tell_binary(
        &mut self,
        line: &mut FetchLine,
        binary: &Binary,
        part: Option<(Encoding, Bytes)>,
    ) -> bool {
        if let (true, Some((encoding, body))) = (binary.size_only, &part)
            && let Ok(octets) = decoded_octets(*encoding, body).await
        {
            line.binary_size(binary, octets, &mut self.out);
            return true;
        }
        let decoded = match part {
            Some((encoding, body)) => decoded(encoding, body).await.ok(),
            None => None,
        };
        let Some(part) = decoded else {
            line.binary_absent(binary, &mut self.out);
            return true;
        };
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
            cuts: fetch.bodies.iter().map(|body| Cut::new(&body.section)).collect(),
            needs_digest,
            has_bodies: !fetch.bodies.is_empty() || !fetch.binaries.is_empty(),
            needs_body: !fetch.binaries.is_empty() || !fetch.bodies.iter().all(of_header),
            seen: Vec::new(),
            gone: false,
            failure: None,
        }
    }

    /// Octets in memory while a message that is read is told: its own, and the most that is copied or
    /// decoded of it, for one such thing is there at a time.
    fn octets_held(&self, entry: &Entry, structure: Option<&Structure>) -> usize {
        let copied = self.cuts.iter().map(|cut| structure.map_or(0, |of| cut.copied_octets(of)));
        let decoded = self.fetch.binaries.iter().map(|binary| {
            let (encoding, octets) =
                structure.map_or_else(Default::default, |of| encoding(binary, of));
            if encoding == Encoding::Identity || binary.size_only { 0 } else { octets }
        });
        (entry.size as usize).saturating_add(copied.chain(decoded).max().unwrap_or(0))
    }

    /// A part is encoded in a way that is not known.
    fn is_opaque(&self, structure: &Structure) -> bool {
        let mut encodings = self.fetch.binaries.iter().map(|binary| encoding(binary, structure).0);
        encodings.any(|encoding| encoding == Encoding::Unknown)
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

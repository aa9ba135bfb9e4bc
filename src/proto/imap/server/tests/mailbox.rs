//! What the driver of these tests executes: the mailbox of the RFCs' examples.

use crate::{
    imap::{
        command::{
            Attributes, Change, Command, Enabled, Fetch, Returns, Search, SearchKey, StatusItems,
            Store,
        },
        respond::{
            Attribute, Code, Completion, EsearchLine, FetchLine, Listed, StatusLine, write_exists,
            write_expunge, write_flags_line, write_namespace, write_quota, write_quota_root,
            write_search, write_sort, write_threads, write_untagged, write_vanished,
        },
        server::Server,
        syntax::{Messages, Ranges, SystemFlags},
    },
    types::Timestamp,
};

/// 17-Jul-1996 02:44:25 -0700.
const DATE: Timestamp = Timestamp(837_596_665_000);

/// RFC 9051 §8.
const HEADER: &[u8] = b"Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\nSubject: cool\r\n\r\n";

fn resolved(messages: &Messages, last: u32) -> Ranges {
    match messages {
        Messages::Set(set) => set.resolve(last),
        Messages::Saved => [2, 4].into_iter().collect(),
    }
}

pub(super) fn execute(command: &Command, server: &Server, out: &mut Vec<u8>) -> Completion {
    let enabled = server.enabled();
    match command {
        Command::Select(select) => return selected(select.mailbox.as_str(), enabled, out),
        Command::List(list) => {
            for name in ["INBOX", "Entwürfe"].iter().filter(|name| list.matches(name)) {
                let attributes = [Attribute::HasNoChildren];
                let attributes = &attributes[..usize::from(list.return_children)];
                let one = Listed { name, attributes, child_info: &[], old_name: None };
                one.write(enabled, out);
            }
        }
        Command::Namespace => write_namespace(out),
        Command::Status { mailbox, items } => {
            let mut line = StatusLine::begin(mailbox.as_str(), *items, enabled, out);
            line.number(StatusItems::MESSAGES, 231, out);
            line.number(StatusItems::UID_NEXT, 44292, out);
            line.number(StatusItems::SIZE, 40_990, out);
            line.end(out);
        }
        Command::GetQuotaRoot(mailbox) => {
            write_quota_root(mailbox.as_str(), &[""], enabled, out);
            write_quota("", &[("STORAGE", 10, 512)], out);
        }
        Command::Fetch(fetch) => fetched(fetch, enabled, out),
        Command::Store(store) => return stored(store, out),
        Command::Search(search) => searched(search, server.tag(), enabled, out),
        Command::Sort(_) => write_sort([2, 84, 882], None, out),
        Command::Thread(_) => {
            write_threads(
                &[(2, 0), (3, 0), (6, 1), (4, 2), (23, 3), (44, 2), (7, 3), (96, 4)],
                out,
            );
        }
        Command::Expunge(_) if enabled.contains(Enabled::QRESYNC) => {
            write_vanished(false, &[405, 407].into_iter().collect(), out);
        }
        Command::Expunge(_) => [3, 3].into_iter().for_each(|number| write_expunge(number, out)),
        Command::Copy(copy) => {
            let from = resolved(&copy.messages, 310);
            let to = (3956..).take(from.count() as usize).collect();
            let code = Code::CopyUid { uid_validity: 38505, from, to };
            return Completion::ok("Copied").with(code);
        }
        _ => {}
    }
    Completion::ok("Done")
}

fn selected(mailbox: &str, enabled: Enabled, out: &mut Vec<u8>) -> Completion {
    if mailbox == "missing" {
        return Completion::no("No such mailbox").with(Code::NonExistent);
    }
    write_exists(18, out);
    write_flags_line([], out);
    let validity = Completion::ok("UIDs valid").with(Code::UidValidity(3_857_529_045));
    write_untagged(&validity, out);
    if enabled.contains(Enabled::IMAP4REV2) {
        let listed = Listed { name: mailbox, attributes: &[], child_info: &[], old_name: None };
        listed.write(enabled, out);
    }
    Completion::ok("Selected").with(Code::ReadWrite)
}

fn fetched(fetch: &Fetch, enabled: Enabled, out: &mut Vec<u8>) {
    for number in resolved(&fetch.messages, 18).iter() {
        let mut line = FetchLine::begin(number, out);
        if fetch.attributes.contains(Attributes::UID) {
            line.uid(number + 1000, out);
        }
        if fetch.attributes.contains(Attributes::FLAGS) {
            line.flags(SystemFlags::SEEN, [], false, out);
        }
        if fetch.attributes.contains(Attributes::INTERNAL_DATE) {
            line.internal_date(DATE, out);
        }
        if fetch.attributes.contains(Attributes::SIZE) {
            line.size(4286, out);
        }
        if fetch.attributes.contains(Attributes::ENVELOPE) {
            line.envelope(|out| out.extend_from_slice(b"(NIL)"), out);
        }
        if fetch.attributes.contains(Attributes::BODY) {
            line.structure(false, |out| out.extend_from_slice(b"(NIL)"), out);
        }
        if fetch.attributes.contains(Attributes::MODSEQ) {
            line.modseq(624_140_003, out);
        }
        if fetch.attributes.contains(Attributes::PREVIEW) {
            line.preview(Some("Preview text!"), enabled, out);
        }
        for body in &fetch.bodies {
            let octets = HEADER.len() as u64;
            let range = body.partial.map_or(0..octets, |partial| partial.within(octets));
            line.literal(body, range.end - range.start, out);
            out.extend_from_slice(&HEADER[range.start as usize..range.end as usize]);
        }
        for binary in &fetch.binaries {
            line.binary_size(binary, 98, out);
        }
        line.end(out);
    }
}

fn stored(store: &Store, out: &mut Vec<u8>) -> Completion {
    let messages = resolved(&store.messages, 18);
    if store.unchanged_since == Some(0) {
        return Completion::ok("Conditional STORE failed").with(Code::Modified(messages));
    }
    for number in messages.iter().filter(|_| !store.silent) {
        let mut line = FetchLine::begin(number, out);
        let flags = match store.change {
            Change::Replace => store.flags.system,
            Change::Add => store.flags.system.with(SystemFlags::SEEN),
            Change::Remove => SystemFlags::SEEN.without(store.flags.system),
        };
        line.flags(flags, store.flags.keywords.iter().map(|one| &**one), false, out);
        line.end(out);
    }
    Completion::ok("Done")
}

fn searched(search: &Search, tag: &[u8], enabled: Enabled, out: &mut Vec<u8>) {
    let found: Ranges = match search.key {
        SearchKey::Unkeyword(_) => Ranges::default(),
        _ => [2, 10, 11].into_iter().collect(),
    };
    let modseq = search.key.names_modseq().then_some(917_162_500);
    let returns = search.returns.or(enabled.contains(Enabled::IMAP4REV2).then_some(Returns::ALL));
    match returns {
        None => write_search(found.iter(), modseq, out),
        Some(returns) => {
            EsearchLine { tag, uid: search.uid, returns, found: &found, modseq }.write(out);
        }
    }
}

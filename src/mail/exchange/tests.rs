//! What is written is read again; odd files make odd messages, never a fault. `place`: what others put
//! into a Maildir leads nowhere.

mod place;

use std::fs;
use std::io::BufReader;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;

use super::journal::{Batch, Journal, Taken};
use super::mbox::{Found, MboxError, MboxReader};
use super::*;
use crate::mailbox::INBOX;

const MAX: usize = 1 << 20;

fn found(text: &[u8]) -> Vec<Found> {
    let input = BufReader::with_capacity(7, text);
    let mut reader = MboxReader::new(input, 0, MAX, Timestamp(5000));
    std::iter::from_fn(|| reader.read().unwrap()).collect()
}

fn mails(text: &str) -> Vec<Mail> {
    let mail = |one| match one {
        Found::Mail(mail) => mail,
        Found::TooLarge { .. } => panic!("{one:?}"),
    };
    found(text.as_bytes()).into_iter().map(mail).collect()
}

fn mail(message: &str, flags: u64, keywords: &[&str], seconds: u64) -> Mail {
    let keywords = keywords.iter().map(|one| (*one).into()).collect();
    let marks = Marks { flags: Flags(flags), keywords };
    Mail { message: message.into(), marks, internal: Timestamp(seconds * 1000) }
}

#[test]
fn an_mbox_of_others() {
    let text = "From joe@x Wed Jan  3 01:05:34 1996\n\
        Subject: a\nStatus: RO\nX-Status: AF\nX-Keywords: Work, $Later   \n\n\
        From the start\n>From here\n>>From there\nx\n\n\
        From now on, prose\n\n\
        From - Wed Jan 03 02:05:34 1996 +0100\r\nSubject: b\r\n\r\nStatus: R\r\n\r\n";
    let read = mails(text);
    let first = "Subject: a\r\n\r\nFrom the start\r\nFrom here\r\n>From there\r\nx\r\n\r\n\
        From now on, prose\r\n";
    let flags = Flags::SEEN.with(Flags::ANSWERED).with(Flags::FLAGGED);
    assert_eq!(read[0], mail(first, flags.0, &["Work", "$Later"], 820_631_134));
    assert_eq!(read[1], mail("Subject: b\r\n\r\nStatus: R\r\n", 0, &[], 820_631_134));
    assert_eq!(read.len(), 2);
}

#[test]
fn odd_mboxes() {
    assert_eq!(mails(""), []);
    assert_eq!(mails("\n\n"), []);
    assert_eq!(mails("From \n\nFrom x Wed Jan 3 01:05:34 1996").len(), 2);
    assert_eq!(mails("From undated\nno end"), [mail("no end", 0, &[], 5)]);
    let own = "From a\nStatus: works for me\n\nx\n";
    assert_eq!(mails(own), [mail("Status: works for me\r\n\r\nx\r\n", 0, &[], 5)]);
    let mut reader = MboxReader::new(&b"\nReceived: x\n"[..], 3, MAX, Timestamp(0));
    assert!(matches!(reader.read(), Err(MboxError::NoMessage(4))));
    // One long line, longer than what is looked at together.
    let long = format!("From {}\nx: y\n\n{}\n", "z".repeat(200_000), ">".repeat(70_000));
    let read = mails(&long);
    assert_eq!(read[0].message.len(), "x: y\r\n\r\n".len() + 70_002);
}

#[test]
fn a_message_too_large_is_passed_by() {
    let large = "x".repeat(MAX);
    let text = format!("From a\n\n{large}\n\nFrom b Wed Jan  3 01:05:34 1996\n\nsmall\n");
    let read = found(text.as_bytes());
    assert!(matches!(read[0], Found::TooLarge { at: 0, bytes } if bytes > MAX as u64));
    assert!(matches!(&read[1], Found::Mail(mail) if mail.message == b"\r\nsmall\r\n"));
}

#[test]
fn names_of_folders_are_read_as_written() {
    let dir = tempfile::tempdir().unwrap();
    let names = ["Sent/2024", "a.b/c", "Entwürfe & Co./x", "INBOX/y", "ü.ü", "~"];
    for name in [INBOX].iter().chain(&names) {
        maildir::Writer::open(dir.path(), name, 1, &[]).unwrap();
    }
    assert!(dir.path().join(".Sent.2024/cur").is_dir());
    fs::create_dir(dir.path().join(".not a folder")).unwrap();
    let found = maildir::folders(dir.path()).unwrap();
    let mut found: Vec<String> = found.into_iter().map(|folder| folder.name).collect();
    assert_eq!(found.remove(0), INBOX);
    let mut names = names.map(str::to_owned);
    names.sort_unstable();
    assert_eq!(found, names);
    assert!(maildir::folders(&dir.path().join("none")).is_err());
}

fn make(folder: &Path) {
    for side in ["cur", "new", "tmp"] {
        fs::create_dir_all(folder.join(side)).unwrap();
    }
}

fn reader(root: &Path, name: &str) -> maildir::Reader {
    let folders = maildir::folders(root).unwrap();
    folders.iter().find(|folder| folder.name == name).unwrap().open().unwrap()
}

#[test]
fn a_maildir_of_others() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path());
    fs::write(dir.path().join("dovecot-keywords"), "0 Work\n2 $Later\n99 no\nrubbish\n").unwrap();
    fs::write(dir.path().join("cur/2.b.host,S=2:2,FPRSTDaczq"), "a\nb\r\n\n").unwrap();
    fs::write(dir.path().join("new/1.a.host"), "new\n").unwrap();
    fs::write(dir.path().join("tmp/0.x.host"), "half").unwrap();
    let reader = reader(dir.path(), INBOX);
    let letters = reader.letters().unwrap();
    let read: Vec<Mail> =
        letters.iter().map(|one| reader.read(one, 100).unwrap().unwrap()).collect();
    assert_eq!(read[0].message, b"new\r\n");
    assert_eq!(read[0].marks, Marks::default());
    assert_eq!(read[1].message, b"a\r\nb\r\n\r\n");
    let marks = mail("", Flags::SYSTEM.0, &["$Forwarded", "Work", "$Later"], 0).marks;
    assert_eq!(read[1].marks, marks);
    assert_eq!(reader.read(&letters[1], 5).unwrap(), None);
}

#[test]
fn an_export_that_runs_again_writes_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let one = mail("x\r\n", Flags::SEEN.0, &[], 7);
    let writer = maildir::Writer::open(dir.path(), INBOX, 3, &[]).unwrap();
    writer.write(1, &one.marks, one.internal, &one.message).unwrap();
    writer.write(2, &one.marks, one.internal, &one.message).unwrap();
    let short = dir.path().join("cur/7.V3U2.ringpost,S=2:2,S");
    fs::write(&short, "").unwrap();
    let writer = maildir::Writer::open(dir.path(), INBOX, 3, &[]).unwrap();
    assert!(writer.keep(1, &Marks::default()).unwrap());
    assert!(dir.path().join("cur/7.V3U1.ringpost,S=2:2,").exists());
    assert!(!writer.keep(2, &one.marks).unwrap());
    let other = maildir::Writer::open(dir.path(), INBOX, 4, &[]).unwrap();
    assert!(!other.keep(1, &one.marks).unwrap());
}

fn batch(uid: u32, taken: Taken) -> Batch {
    let (source, folder) = ("/s".to_owned(), INBOX.to_owned());
    Batch { source, folder, validity: 1, uid, count: 2, ends: [(1, 1), (2, 2)], taken }
}

#[test]
fn a_journal_knows_what_is_in_doubt() {
    let dir = tempfile::tempdir().unwrap();
    let path = Journal::path(dir.path(), "a/../b@x.example");
    assert_eq!(path.parent().unwrap(), dir.path().join("imports"));
    let mut journal = Journal::open(&path).unwrap();
    journal.begin(batch(1, Taken::Until { offset: 10, size: 90 })).unwrap();
    journal.kept().unwrap();
    journal.begin(batch(3, Taken::Until { offset: 20, size: 90 })).unwrap();
    let whole = fs::read(&path).unwrap();
    let mut journal = Journal::open(&path).unwrap();
    assert_eq!(journal.offset("/s", INBOX), Some((10, 90)));
    assert_eq!(journal.doubt().unwrap().uid, 3);
    journal.void().unwrap();
    journal.begin(batch(3, Taken::Names(vec!["n".into()]))).unwrap();
    journal.kept().unwrap();
    let mut journal = Journal::open(&path).unwrap();
    assert!(journal.doubt().is_none());
    assert!(journal.take_names("/s", INBOX).contains("n"));
    // Wherever it was cut off, it can be opened, and knows the first batch or nothing.
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let journal = Journal::open(&path).unwrap();
        let known = journal.offset("/s", INBOX);
        assert!(known.is_none() || known == Some((10, 90)));
    }
}

/// Lines with CRLF, of pieces that readers stumble over.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("From ".to_owned()),
        Just(">".to_owned()),
        Just("From x Wed Jan  3 01:05:34 1996".to_owned()),
        Just("Subject: ".to_owned()),
        Just("ü".to_owned()),
        "[ -9;-~]{0,20}",
    ];
    let line = vec(piece, 0..4).prop_map(|pieces| pieces.concat() + "\r\n");
    vec(line, 0..12).prop_map(|lines| lines.concat().into_bytes())
}

fn any_mail() -> impl Strategy<Value = Mail> {
    let keywords = proptest::collection::btree_set("[a-z$][a-z0-9]{0,8}", 0..5);
    let parts = (message(), 0_u64..32, keywords, 0_u64..4_000_000_000);
    parts.prop_map(|(message, flags, keywords, seconds)| {
        let keywords = keywords.into_iter().map(String::into_boxed_str).collect();
        let marks = Marks { flags: Flags(flags), keywords };
        Mail { message, marks, internal: Timestamp(seconds * 1000) }
    })
}

proptest! {
    #[test]
    fn an_mbox_is_read_as_written(mails in vec(any_mail(), 0..8)) {
        let mut text = Vec::new();
        for mail in &mails {
            mbox::write(&mut text, &mail.marks, mail.internal, &mail.message).unwrap();
        }
        let wanted: Vec<Found> = mails.iter().cloned().map(Found::Mail).collect();
        prop_assert_eq!(&found(&text), &wanted);
        // Read again from any message on.
        let mut reader = MboxReader::new(&text[..], 0, MAX, Timestamp(0));
        for index in 0..mails.len() {
            reader.read().unwrap();
            let at = reader.offset();
            let rest = found(&text[usize::try_from(at).unwrap()..]);
            prop_assert_eq!(&rest[..], &wanted[index + 1..]);
        }
        prop_assert_eq!(reader.offset(), text.len() as u64);
    }

    #[test]
    fn a_maildir_is_read_as_written(mails in vec(any_mail(), 1..5)) {
        let dir = tempfile::tempdir().unwrap();
        let known: std::collections::BTreeSet<Box<str>> =
            mails.iter().flat_map(|mail| mail.marks.keywords.clone()).collect();
        let known: Vec<_> = known.into_iter().collect();
        make(dir.path());
        let writer = maildir::Writer::open(dir.path(), "F", 9, &known).unwrap();
        for (uid, mail) in (1..).zip(&mails) {
            writer.write(uid, &mail.marks, mail.internal, &mail.message).unwrap();
        }
        let reader = reader(dir.path(), "F");
        let mut read: Vec<(u32, Mail)> = Vec::new();
        for letter in reader.letters().unwrap() {
            let uid = letter.unique.split(['U', '.']).nth(2).unwrap().parse().unwrap();
            read.push((uid, reader.read(&letter, 1 << 20).unwrap().unwrap()));
        }
        read.sort_unstable_by_key(|(uid, _)| *uid);
        let read: Vec<Mail> = read.into_iter().map(|(_, mail)| mail).collect();
        prop_assert_eq!(read, mails);
    }

    #[test]
    fn anything_can_be_read(text in vec(prop_oneof![
        Just(b"\nFrom x Wed Jan 3 01:05:34 1996\n".to_vec()),
        vec(any::<u8>(), 0..20),
    ], 0..20)) {
        let text = [&b"From x\n"[..], &text.concat()].concat();
        prop_assert!(!found(&text).is_empty());
    }
}

//! SEARCH, SORT and THREAD: what is found among these messages, and how it is told; and what these and
//! FETCH may hold meanwhile.

use std::sync::Arc;

use engine::settings::Bytes as Size;
use engine::shard::{Budget, wall_ms};
use mail::mailbox::{Flags, How, INBOX, Marks};

use super::super::{Metrics, turns::Memory};
use super::desk::{Desk, at_desk};
use super::scene::on_both_backends;
use super::selected;
use crate::listener::LimitSettings;

const DAY_MS: u64 = 86_400_000;
/// 8-Feb-1994, 05:52:25 UTC.
const FIRST_MS: u64 = 760_686_745_000;

const MEETING: &str = "\
From: Fred Foobar <foobar@Blurdybloop.example>
To: mooch@owatagu.example
Subject: afternoon meeting
Date: Mon, 7 Feb 1994 21:52:25 -0800
Message-ID: <1@x>

Hello Joe, do you think we can meet at 3:30 tomorrow?
";
const PARTS: &str = "\
From: =?iso-8859-1?Q?J=FCrgen?= <j@x.example>
Subject: =?utf-8?Q?Caf=C3=A9_au?= =?utf-8?B?IGxhaXQ=?=
Date: Thu, 1 Feb 1996 12:00:00 +0000
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

a na=EFve que=
stion
--b
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: base64

PGI+R1LDnFNTRTwvYj4NCg==
--b
Content-Type: application/octet-stream
Content-Transfer-Encoding: base64

c2VjcmV0IHdvcmQ=
--b--
";
const ANSWER: &str = "\
From: alice@x.example
Subject: Re: afternoon
 meeting
Date: Fri, 1 Jan 1993 12:00:00 +0000
References: <1@x>
Message-ID: <4@x>
X-Empty:

Yes.
";

fn marks(flags: Flags, keywords: &[&str]) -> Marks {
    Marks { flags, keywords: keywords.iter().map(|keyword| (*keyword).into()).collect() }
}

async fn fill(desk: &mut Desk) {
    desk.put(MEETING, FIRST_MS, Flags::SEEN.into()).await;
    desk.put(PARTS, FIRST_MS + 700 * DAY_MS, marks(Flags::FLAGGED, &["$Work"])).await;
    // What is looked for lies across the pieces in which a body is read.
    let filling = "x".repeat(16 * 1024 - 7);
    let large = format!("Bcc: hidden@x.example\n\n{filling} needle across{}", "y".repeat(200_000));
    desk.put(&large, FIRST_MS + 400 * DAY_MS, Flags::ANSWERED.with(Flags::DRAFT).into()).await;
    desk.put(ANSWER, FIRST_MS + 1000 * DAY_MS, Flags::DELETED.into()).await;
    desk.put("X-A: b\n\nfive\n", wall_ms() - 100_000, Flags::default().into()).await;
    desk.told("SELECT INBOX").await;
}

#[test]
fn fields_are_searched_without_reading_messages() {
    at_desk(async |mut desk| {
        fill(&mut desk).await;
        let keys = "OR SUBJECT \"au lait\" OR HEADER References <1@x> BCC hidden NOT FROM mooch";
        assert_eq!(desk.told(&format!("SEARCH {keys}")).await, "* SEARCH 2 3 4\r\n");
        assert_eq!(desk.told("SEARCH HEADER X-A b").await, "* SEARCH 5\r\n");
        assert_eq!(desk.bodies_read(), 0);
        // What is in the message itself is not in the index.
        assert_eq!(desk.told("SEARCH BODY \"needle across\"").await, "* SEARCH 3\r\n");
        assert!(desk.bodies_read() > 0);
    });
}

#[test]
fn each_key_finds_what_it_names() {
    at_desk(async |mut desk| {
        fill(&mut desk).await;
        for (keys, found) in [
            ("ALL", " 1 2 3 4 5"),
            ("4,1:2", " 1 2 4"),
            ("*", " 5"),
            ("UID 4:*", " 4 5"),
            ("UID 77", ""),
            ("SEEN", " 1"),
            ("UNSEEN", " 2 3 4 5"),
            ("ANSWERED DRAFT", " 3"),
            ("FLAGGED", " 2"),
            ("DELETED", " 4"),
            ("UNDELETED UNANSWERED UNDRAFT UNFLAGGED", " 1 5"),
            ("KEYWORD $work", " 2"),
            ("UNKEYWORD $Work", " 1 3 4 5"),
            ("KEYWORD unknown", ""),
            ("UNKEYWORD unknown", " 1 2 3 4 5"),
            ("RECENT", " 1 2 3 4 5"),
            ("NEW", " 2 3 4 5"),
            ("OLD", ""),
            ("FROM \"fred FOOBAR\"", " 1"),
            ("FROM {7+}\r\nJÜrGEN", " 2"),
            ("TO mooch", " 1"),
            ("BCC hidden", " 3"),
            ("CC \"\"", ""),
            ("BCC \"\"", " 3"),
            ("HEADER X-EMPTY \"\"", " 4"),
            ("HEADER message-id <1@x>", " 1"),
            ("HEADER X-Missing x", ""),
            ("SUBJECT \"afternoon meeting\"", " 1 4"),
            ("SUBJECT {11+}\r\ncafé AU la", " 2"),
            ("BODY \"3:30 TOMORROW\"", " 1"),
            ("BODY {15+}\r\nNAÏVE question", " 2"),
            ("BODY {7+}\r\ngrüsse", " 2"),
            ("BODY secret", ""),
            ("BODY \"NEEDLE across\"", " 3"),
            ("BODY afternoon", ""),
            ("BODY \"\"", " 1 2 3 4 5"),
            ("TEXT afternoon", " 1 4"),
            ("TEXT \"x-empty:\"", " 4"),
            ("TEXT octet-stream", " 2"),
            ("NOT TEXT afternoon", " 2 3 5"),
            ("BEFORE 8-Feb-1994", ""),
            ("BEFORE 9-Feb-1994", " 1"),
            ("ON 8-Feb-1994", " 1"),
            ("SINCE 8-Feb-1994", " 1 2 3 4 5"),
            ("SINCE 1-Jan-2010", " 5"),
            ("SENTON 7-Feb-1994", " 1"),
            ("SENTBEFORE 7-Feb-1994", " 4"),
            ("SENTSINCE 7-Feb-1994", " 1 2"),
            ("NOT SENTSINCE 1-Jan-1980", " 3 5"),
            ("SAVEDSINCE 1-Jan-2010", " 1 2 3 4 5"),
            ("SAVEDBEFORE 1-Jan-2010", ""),
            ("SAVEDATESUPPORTED", " 1 2 3 4 5"),
            ("YOUNGER 5000", " 5"),
            ("OLDER 5000", " 1 2 3 4"),
            ("OLDER 50", " 1 2 3 4 5"),
            ("LARGER 100000", " 3"),
            ("SMALLER 100000", " 1 2 4 5"),
            ("LARGER 15 SMALLER 17", " 5"),
            ("5 OR LARGER 16 SMALLER 16", ""),
            ("OR SEEN DELETED", " 1 4"),
            ("OR (SEEN FROM foobar) (SUBJECT meeting BODY yes)", " 1 4"),
            ("NOT (OR SEEN BODY five)", " 2 3 4"),
            ("CHARSET UTF-8 OR BODY five BODY yes", " 4 5"),
        ] {
            let told = desk.told(&format!("SEARCH {keys}")).await;
            assert_eq!(told, format!("* SEARCH{found}\r\n"), "{keys}");
        }
        desk.ends("SEARCH CHARSET KOI8-R ALL", "NO [BADCHARSET (US-ASCII UTF-8)] ").await;
        desk.ends("SEARCH 6", "BAD ").await;
        desk.ends("SEARCH SEEN NOT 1:7", "BAD ").await;
    });
}

#[test]
fn a_message_is_found_by_its_names() {
    at_desk(async |mut desk| {
        fill(&mut desk).await;
        let entry = desk.home.view.as_deref().unwrap().entry(2).unwrap();
        let names = format!("EMAILID {} THREADID {}", entry.id, entry.thread);
        assert_eq!(desk.told(&format!("SEARCH {names}")).await, "* SEARCH 2\r\n");
        let threads =
            [1, 4].map(|uid| desk.home.view.as_deref().unwrap().entry(uid).unwrap().thread);
        assert_eq!(threads[0], threads[1]);
        let told = desk.told(&format!("SEARCH THREADID {}", threads[0])).await;
        assert_eq!(told, "* SEARCH 1 4\r\n");
        assert_eq!(desk.told("SEARCH EMAILID nobody").await, "* SEARCH\r\n");
    });
}

#[test]
fn what_is_found_is_told_as_it_was_asked_for() {
    at_desk(async |mut desk| {
        fill(&mut desk).await;
        for (command, told) in [
            ("SEARCH RETURN (MIN MAX COUNT) 2:4", "* ESEARCH (TAG \"t\") MIN 2 MAX 4 COUNT 3\r\n"),
            ("SEARCH RETURN () 2:4", "* ESEARCH (TAG \"t\") ALL 2:4\r\n"),
            ("UID SEARCH RETURN (ALL) SEEN", "* ESEARCH (TAG \"t\") UID ALL 1\r\n"),
            ("SEARCH RETURN (ALL COUNT) OLD", "* ESEARCH (TAG \"t\") COUNT 0\r\n"),
            ("SEARCH RETURN (MIN) OLD", "* ESEARCH (TAG \"t\")\r\n"),
            ("SEARCH RETURN (SAVE) 2:4", ""),
            ("SEARCH $", "* SEARCH 2 3 4\r\n"),
            // In what was saved, and in its place (RFC 5182 §2.3).
            (
                "UID SEARCH RETURN (SAVE COUNT) UID $ SMALLER 4096",
                "* ESEARCH (TAG \"t\") UID COUNT 2\r\n",
            ),
            ("SEARCH $", "* SEARCH 2 4\r\n"),
            ("SEARCH RETURN (SAVE MIN) 2:4", "* ESEARCH (TAG \"t\") MIN 2\r\n"),
            ("SEARCH $", "* SEARCH 2\r\n"),
            ("SEARCH RETURN (SAVE MIN MAX) 2:4", "* ESEARCH (TAG \"t\") MIN 2 MAX 4\r\n"),
            ("SEARCH $", "* SEARCH 2 4\r\n"),
            ("SEARCH RETURN (SAVE MIN COUNT) 2:4", "* ESEARCH (TAG \"t\") MIN 2 COUNT 3\r\n"),
            ("SEARCH $", "* SEARCH 2 3 4\r\n"),
        ] {
            assert_eq!(desk.told(command).await, told, "{command}");
        }
        desk.ends("SEARCH RETURN (SAVE) 9", "BAD ").await;
        assert_eq!(desk.told("SEARCH $").await, "* SEARCH 2 3 4\r\n");
        desk.told("SEARCH RETURN (SAVE) OLD").await;
        assert_eq!(desk.told("SEARCH $").await, "* SEARCH\r\n");
        desk.told("ENABLE IMAP4rev2").await;
        assert_eq!(desk.told("SEARCH ALL").await, "* ESEARCH (TAG \"t\") ALL 1:5\r\n");
        assert_eq!(desk.told("UID SEARCH 1").await, "* ESEARCH (TAG \"t\") UID ALL 1\r\n");
    });
}

#[test]
fn mod_sequences_are_searched_and_told() {
    at_desk(async |mut desk| {
        fill(&mut desk).await;
        let other = desk.other().await.open(INBOX, true).await.unwrap();
        let before = other.counts().modseq;
        let mut after = [0; 2];
        for (uid, after) in [4, 2].into_iter().zip(&mut after) {
            let stored = other.store(&[uid], How::Add, &marks(Flags::SEEN, &[]), None).await;
            *after = stored.unwrap().modseq.unwrap();
        }
        let [first, last] = after;
        desk.told("NOOP").await;
        for (keys, told) in [
            (format!("SEARCH MODSEQ {first}"), format!("* SEARCH 2 4 (MODSEQ {last})\r\n")),
            (format!("SEARCH MODSEQ {}", last + 1), "* SEARCH\r\n".to_owned()),
            (
                format!("SEARCH RETURN (MAX) MODSEQ \"/flags/\\\\draft\" all {}", before + 1),
                format!("* ESEARCH (TAG \"t\") MAX 4 MODSEQ {first}\r\n"),
            ),
            (
                format!("SEARCH RETURN (COUNT MAX) MODSEQ {first}"),
                format!("* ESEARCH (TAG \"t\") MAX 4 COUNT 2 MODSEQ {last}\r\n"),
            ),
            (
                format!("SORT (ARRIVAL) UTF-8 MODSEQ {last}"),
                format!("* SORT 2 (MODSEQ {last})\r\n"),
            ),
        ] {
            assert_eq!(desk.told(&keys).await, told, "{keys}");
        }
    });
}

#[test]
fn what_was_expunged_meanwhile_is_not_found() {
    at_desk(async |mut desk| {
        fill(&mut desk).await;
        let other = desk.other().await.open(INBOX, false).await.unwrap();
        assert_eq!(other.expunge(None).await.unwrap().uids, [4]);
        // Its number is still taken, and it is told of when it may be.
        assert_eq!(desk.told("SEARCH SUBJECT meeting").await, "* SEARCH 1\r\n");
        assert_eq!(desk.told("SEARCH 5").await, "* SEARCH 5\r\n");
        assert_eq!(desk.told("UID SEARCH ALL").await, "* SEARCH 1 2 3 5\r\n* 4 EXPUNGE\r\n");
        assert_eq!(desk.told("SEARCH BODY five").await, "* SEARCH 4\r\n");
    });
}

#[test]
fn what_is_found_is_sorted() {
    at_desk(async |mut desk| {
        fill(&mut desk).await;
        for (command, order) in [
            ("SORT (SUBJECT) UTF-8 ALL", " 3 5 1 4 2"),
            ("SORT (REVERSE SUBJECT) UTF-8 ALL", " 2 1 4 3 5"),
            ("SORT (ARRIVAL) US-ASCII ALL", " 1 3 2 4 5"),
            ("SORT (DATE) UTF-8 ALL", " 4 1 3 2 5"),
            ("SORT (REVERSE DATE) UTF-8 SUBJECT afternoon", " 1 4"),
            ("SORT (FROM) UTF-8 ALL", " 3 5 4 1 2"),
            ("SORT (SUBJECT REVERSE DATE) UTF-8 ALL", " 5 3 1 4 2"),
            ("SORT (TO CC REVERSE SIZE) UTF-8 3:5", " 3 4 5"),
            ("SORT (SIZE) UTF-8 3:5", " 5 4 3"),
            ("SORT (SIZE) UTF-8 OLD", ""),
            ("UID SORT (SUBJECT) UTF-8 SEEN", " 1"),
        ] {
            assert_eq!(desk.told(command).await, format!("* SORT{order}\r\n"), "{command}");
        }
        desk.ends("SORT (SIZE) KOI8-R ALL", "NO [BADCHARSET (US-ASCII UTF-8)] ").await;
        desk.ends("SORT (SIZE) UTF-8 6", "BAD ").await;
    });
}

#[test]
fn what_is_found_is_threaded() {
    at_desk(async |mut desk| {
        fill(&mut desk).await;
        for (command, threads) in [
            ("THREAD ORDEREDSUBJECT UTF-8 ALL", " (4 1)(3 5)(2)"),
            ("THREAD REFERENCES UTF-8 ALL", " (1 4)(3)(2)(5)"),
            ("UID THREAD REFERENCES US-ASCII SUBJECT meeting", " (1 4)"),
            ("THREAD REFERENCES UTF-8 OLD", ""),
        ] {
            assert_eq!(desk.told(command).await, format!("* THREAD{threads}\r\n"), "{command}");
        }
    });
}

#[test]
fn numbers_are_named_again_and_again() {
    at_desk(async |mut desk| {
        fill(&mut desk).await;
        let other = desk.other().await.open(INBOX, false).await.unwrap();
        assert_eq!(other.expunge(None).await.unwrap().uids, [4]);
        desk.told("NOOP").await;
        desk.told("SEARCH RETURN (SAVE) 2:4").await;
        let again = "1:* UID 1:* UID 2,3,5:99 $ NOT (1 $) ".repeat(600);
        for (keys, found) in [
            ("ALL", " 2 3 4"),
            ("4", " 4"),
            ("UID 4:5", " 4"),
            ("OR 2 UID *", " 2 4"),
            ("NOT 3,*", " 2"),
        ] {
            let told = desk.told(&format!("SEARCH {again}{keys}")).await;
            assert_eq!(told, format!("* SEARCH{found}\r\n"), "{keys}");
            assert_eq!(desk.told(&format!("SEARCH $ {keys}")).await, told, "{keys}");
        }
        desk.ends(&format!("SEARCH {again}5"), "BAD ").await;
    });
}

#[test]
fn what_is_looked_into_and_put_in_order_has_memory_or_is_refused() {
    at_desk(async |mut desk| {
        fill(&mut desk).await;
        let (budget, metrics) = (Budget::new(300_000), Arc::<Metrics>::default());
        desk.memory = Memory::new(&budget, &metrics);
        let commands = [
            "SEARCH BODY needle",
            "SORT (SIZE) UTF-8 ALL",
            "THREAD ORDEREDSUBJECT UTF-8 ALL",
            "THREAD REFERENCES UTF-8 ALL",
        ];
        let held = budget.try_take(299_999);
        for command in commands {
            desk.ends(command, "NO [LIMIT] Too busy").await;
        }
        assert_eq!((budget.used(), metrics.memory_spent.get()), (299_999, 4));
        // A small message is looked into all the same, and a header that the index keeps.
        assert_eq!(desk.told("SEARCH SMALLER 4096 BODY five").await, "* SEARCH 5\r\n");
        assert_eq!(desk.told("SEARCH BCC hidden").await, "* SEARCH 3\r\n");
        drop(held);
        for command in commands {
            desk.told(command).await;
        }
        assert_eq!((budget.used(), metrics.memory_spent.get()), (0, 4));
    });
}

/// Its second part is encoded; 100 KB in all.
fn encoded() -> String {
    let lines = "aGVsbG8g\r\n".repeat(10_000);
    format!(
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
        --b\r\nContent-Transfer-Encoding: x-odd\r\n\r\nodd\r\n\
        --b\r\nContent-Transfer-Encoding: base64\r\n\r\n{lines}\r\n--b--\r\n"
    )
}

#[test]
fn parts_are_decoded_one_by_one_in_memory_that_there_is() {
    // A message that another has announced, and one and a half of this one.
    let limits = LimitSettings { memory_per_shard: Size(477_680), ..LimitSettings::default() };
    on_both_backends(limits, |scene| async move {
        let account = scene.account_of(0);
        let message = encoded();
        scene.deliver(&account, &message).await;
        let mut client = selected(&scene, &account).await;
        let text = "hello ".repeat(10_000);
        let told = client.ask("FETCH 1 (BINARY.PEEK[2] BINARY.SIZE[2] BINARY.PEEK[2])", "OK").await;
        assert!(
            told == format!("* 1 FETCH (BINARY[2] {{60000}}\r\n{text} BINARY.SIZE[2] 60000)\r\n")
        );
        client.ask("FETCH 1 (UID BINARY.SIZE[1])", "NO [UNKNOWN-CTE]").await;
        let windows: String = (1..=17).map(|at| format!(" BINARY.PEEK[2]<{at}.2>")).collect();
        client.ask(&format!("FETCH 1 (UID{windows})"), "NO [LIMIT] ").await;
        let mut other = selected(&scene, &account).await;
        other.say("a APPEND INBOX {327680}\r\n").await;
        assert_eq!(other.line().await, "+ OK");
        client.ask("FETCH 1 BINARY.PEEK[2]", "NO [LIMIT] Too busy").await;
        let told = client.ask("FETCH 1 (BINARY.SIZE[2] BODY.PEEK[])", "OK").await;
        assert!(told.contains(&message) && told.contains("BINARY.SIZE[2] 60000"));
        assert_eq!(scene.metrics(0).memory_spent.get(), 1);
    });
}

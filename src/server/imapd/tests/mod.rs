//! The door as clients see it: two shards, real sockets and stores, TLS, on both backends.

mod desk;
mod found;
mod mailboxes;
mod manners;
mod scene;

use engine::shard::Budget;

use super::wire::Deflate;
use crate::listener::LimitSettings;
use scene::{Client, Scene, on_both_backends};

/// One that is sent from where it lies.
fn large() -> String {
    let part = "A line of a message that is sent as it is.\r\n".repeat(12_000);
    format!("Subject: large\r\nX-A: 1\r\n\r\n{part}")
}

async fn selected(scene: &Scene, account: &str) -> Client {
    let mut client = scene.logged_in(account).await;
    client.ask("SELECT INBOX", "OK [READ-WRITE] ").await;
    client
}

/// Here, and on the shard that the account is at home on: in one go with everything pipelined.
#[test]
fn messages_come_as_they_are_wherever_the_account_is_at_home() {
    on_both_backends(LimitSettings::default(), |scene| async move {
        for home in [0, 1] {
            let account = scene.account_of(home);
            let large = large();
            scene.deliver(&account, "Subject: small\r\n\r\nbody\r\n").await;
            scene.deliver(&account, &large).await;
            let mut client = scene.connect_secured().await;
            let login = format!("a LOGIN {account} \"correct horse\"\r\n");
            let rest = "b SELECT INBOX\r\nc FETCH 1:2 (UID BODY.PEEK[])\r\n\
                d UID FETCH 2 (BODY.PEEK[HEADER.FIELDS (x-a)] BODY.PEEK[TEXT]<2.4>)\r\ne LOGOUT\r\n";
            client.say(&format!("{login}{rest}")).await;
            assert_eq!(client.answer("a", "OK [CAPABILITY ").await, "");
            let told = client.answer("b", "OK [READ-WRITE] Selected").await;
            for line in ["* 2 EXISTS\r\n", "* 2 RECENT\r\n", "[UNSEEN 1]", "[UIDNEXT 3]"] {
                assert!(told.contains(line), "{line} in {told}");
            }
            let told = client.answer("c", "OK Fetched").await;
            let small = "* 1 FETCH (UID 1 BODY[] {24}\r\nSubject: small\r\n\r\nbody\r\n)\r\n";
            let octets = large.len();
            assert!(told == format!("{small}* 2 FETCH (UID 2 BODY[] {{{octets}}}\r\n{large})\r\n"));
            let told = client.answer("d", "OK Fetched").await;
            let fields = "BODY[HEADER.FIELDS (x-a)] {10}\r\nX-A: 1\r\n\r\n";
            assert_eq!(told, format!("* 2 FETCH (UID 2 {fields} BODY[TEXT]<2> {{4}}\r\nline)\r\n"));
            assert_eq!(client.answer("e", "OK ").await, "* BYE Good bye\r\n");
            client.has_ended().await;
        }
        let [here, there] = [0, 1].map(|shard| scene.metrics(shard));
        assert_eq!((here.connections.get(), there.connections.get()), (2, 0));
        assert_eq!((here.moved.get(), there.moved.get()), (0, 1));
        assert_eq!((here.logins.get(), there.logins.get()), (1, 1));
        scene.until_nobody_is_there().await;
    });
}

#[test]
fn what_one_does_the_other_hears() {
    on_both_backends(LimitSettings::default(), |scene| async move {
        let account = scene.account_of(0);
        for number in 1..=3 {
            scene.deliver(&account, &format!("Subject: {number}\r\n\r\n")).await;
        }
        let mut one = selected(&scene, &account).await;
        let mut other = selected(&scene, &account).await;
        let told = one.ask("STORE 1,3 +FLAGS (\\Deleted $Work)", "OK Stored").await;
        assert!(told.starts_with("* FLAGS (") && told.contains("$Work"), "{told}");
        let flags = "* 3 FETCH (FLAGS (\\Deleted $Work \\Recent))\r\n";
        assert!(told.ends_with(flags), "{told}");
        assert_eq!(one.ask("STORE 1 +FLAGS.SILENT (\\Seen)", "OK Stored").await, "");
        let told = other.ask("NOOP", "OK").await;
        assert!(told.contains("* 1 FETCH (FLAGS (\\Deleted \\Seen $Work))\r\n"), "{told}");
        assert_eq!(one.ask("EXPUNGE", "OK").await, "* 3 EXPUNGE\r\n* 1 EXPUNGE\r\n");
        // Numbers hold while they are named, and messages that are gone are not told.
        let told = other.ask("FETCH 1:3 UID", "NO [EXPUNGEISSUED]").await;
        assert_eq!(told, "* 2 FETCH (UID 2)\r\n");
        assert_eq!(
            other.ask("UID FETCH 2 UID", "OK").await.lines().next(),
            Some("* 2 FETCH (UID 2)")
        );
        assert_eq!(other.ask("FETCH 1 UID", "OK").await, "* 1 FETCH (UID 2)\r\n");
        other.ask("FETCH 2 UID", "BAD").await;
        // Without PEEK a message becomes seen, and that is told behind it.
        let told = one.ask("FETCH 1 BODY[TEXT]", "OK Fetched").await;
        let seen = "* 1 FETCH (BODY[TEXT] {0}\r\n)\r\n* 1 FETCH (FLAGS (\\Seen \\Recent))\r\n";
        assert_eq!(told, seen);
    });
}

#[test]
fn who_idles_hears_at_once() {
    on_both_backends(LimitSettings::default(), |scene| async move {
        for home in [0, 1] {
            let account = scene.account_of(home);
            let mut client = selected(&scene, &account).await;
            client.say("i IDLE\r\n").await;
            assert_eq!(client.line().await, "+ idling");
            for number in 1..=3 {
                scene.deliver(&account, "Subject: news\r\n\r\n").await;
                assert_eq!(client.line().await, format!("* {number} EXISTS"));
                assert_eq!(client.line().await, format!("* {number} RECENT"));
            }
            client.say("DONE\r\nj NOOP\r\n").await;
            assert_eq!(client.answer("i", "OK Idle ended").await, "");
            assert_eq!(client.answer("j", "OK").await, "");
            assert_eq!(scene.metrics(home).idling.get(), 0);
        }
    });
}

#[test]
fn messages_are_appended_whole_or_not_at_all() {
    on_both_backends(LimitSettings::default(), |scene| async move {
        let account = scene.account_of(0);
        let mut client = selected(&scene, &account).await;
        let large = large();
        client.say(&format!("a APPEND INBOX (\\Seen $New) {{{}}}\r\n", large.len())).await;
        assert_eq!(client.line().await, "+ OK");
        client.say(&format!("{large} {{5+}}\r\nA: b\n\r\n")).await;
        let told = client.answer("a", "OK [APPENDUID ").await;
        assert!(told.contains("* 2 EXISTS\r\n"), "{told}");
        let told = client.ask("FETCH 1 (FLAGS BODY.PEEK[])", "OK").await;
        let octets = large.len();
        let flags = "FLAGS (\\Seen $New \\Recent)";
        assert!(told == format!("* 1 FETCH ({flags} BODY[] {{{octets}}}\r\n{large})\r\n"));
        client.ask("APPEND Missing {10}", "NO [TRYCREATE]").await;
        client.say("b APPEND INBOX {4+}\r\nA:\0b\r\n").await;
        client.answer("b", "NO [CANNOT]").await;
        assert_eq!(client.ask("NOOP", "OK").await, "");
        assert_eq!(scene.metrics(0).appended.get(), 2);
    });
}

#[test]
fn who_was_away_hears_what_changed() {
    on_both_backends(LimitSettings::default(), |scene| async move {
        let account = scene.account_of(0);
        for number in 1..=4 {
            scene.deliver(&account, &format!("Subject: {number}\r\n\r\n")).await;
        }
        let mut client = scene.logged_in(&account).await;
        client.ask("ENABLE QRESYNC IMAP4rev2", "OK").await;
        let told = client.ask("SELECT INBOX", "OK [READ-WRITE] ").await;
        let number = |name: &str| {
            let from = told.find(name).expect(name) + name.len() + 1;
            told[from..].split(']').next().unwrap().to_owned()
        };
        let (validity, modseq) = (number("UIDVALIDITY"), number("HIGHESTMODSEQ"));
        assert!(told.contains("* LIST (") && !told.contains("RECENT"), "{told}");
        let told = client.ask("UID STORE 2:3 +FLAGS.SILENT (\\Deleted)", "OK").await;
        assert!(told.starts_with("* 2 FETCH (UID 2 MODSEQ ("), "{told}");
        let told = client.ask("UID EXPUNGE 3", "OK [HIGHESTMODSEQ ").await;
        assert_eq!(told, "* VANISHED 3\r\n");
        client.ask("UNSELECT", "OK").await;
        let again = format!("SELECT INBOX (QRESYNC ({validity} {modseq}))");
        let told = client.ask(&again, "OK [READ-WRITE] ").await;
        let changes = &told[told.find("* VANISHED").expect("what is gone")..];
        assert!(
            changes.starts_with("* VANISHED (EARLIER) 3\r\n* 2 FETCH (UID 2 FLAGS (\\Deleted)")
        );
        let told = client.ask(&format!("STORE 1 (UNCHANGEDSINCE {modseq}) FLAGS (x)"), "OK").await;
        assert!(told.contains("* 1 FETCH (UID 1 FLAGS (x) MODSEQ ("), "{told}");
        let stale = format!("STORE 1:2 (UNCHANGEDSINCE {modseq}) FLAGS.SILENT (y)");
        client.ask(&stale, "OK [MODIFIED 1:2]").await;
        client.ask("CLOSE", "OK").await;
        assert!(client.ask("EXAMINE INBOX", "OK [READ-ONLY] ").await.contains("* 2 EXISTS\r\n"));
        client.ask("STORE 1 FLAGS ()", "NO").await;
    });
}

#[test]
fn what_is_compressed_is_the_same() {
    on_both_backends(LimitSettings::default(), |scene| async move {
        let account = scene.account_of(0);
        let large = large();
        scene.deliver(&account, &large).await;
        let mut client = selected(&scene, &account).await;
        client.ask("COMPRESS DEFLATE", "OK Compression begins now").await;
        let mut deflate = Deflate::new(&Budget::new(1 << 20)).unwrap();
        let octets = large.len();
        let body = format!("* 1 FETCH (BODY[] {{{octets}}}\r\n{large})\r\na OK Fetched\r\n");
        for (command, answer) in [
            ("a FETCH 1 BODY.PEEK[]\r\n", body.as_str()),
            ("i IDLE\r\n", "+ idling\r\n"),
            ("DONE\r\nb NOOP\r\n", "i OK Idle ended\r\nb OK Done\r\n"),
            ("c COMPRESS DEFLATE\r\n", "c NO [COMPRESSIONACTIVE] Compression is active\r\n"),
        ] {
            let mut packed = Vec::new();
            deflate.pack(command.as_bytes(), true, &mut packed).unwrap();
            // Cut where it hurts.
            let tail = packed.split_off(packed.len() / 2);
            client.send(packed).await;
            client.send(tail).await;
            let mut told = Vec::with_capacity(answer.len() + 1);
            while told.len() < answer.len() {
                if deflate.unpack(&mut told).unwrap() == 0 {
                    let received = client.receive().await;
                    deflate.received.extend_from_slice(&received);
                }
            }
            assert!(told == answer.as_bytes(), "{command}");
        }
    });
}

#[test]
fn a_stopping_server_says_so_to_all_who_wait() {
    on_both_backends(LimitSettings::default(), |scene| async move {
        let account = scene.account_of(0);
        let mut waiting = scene.connect().await;
        let mut idling = selected(&scene, &account).await;
        idling.say("i IDLE\r\n").await;
        assert_eq!(idling.line().await, "+ idling");
        // What it has heard it has said: it waits now.
        scene.deliver(&account, "Subject: news\r\n\r\n").await;
        assert_eq!(idling.line().await, "* 1 EXISTS");
        assert_eq!(idling.line().await, "* 1 RECENT");
        assert_eq!(scene.drain().await, 0);
        for client in [&mut waiting, &mut idling] {
            assert_eq!(client.line().await, "* BYE [UNAVAILABLE] Server is shutting down");
            client.has_ended().await;
        }
    });
}

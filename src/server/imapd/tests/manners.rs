//! Clients that ask for much, for odd things, or for what is gone.

use engine::shard::Budget;

use super::super::wire::Deflate;
use super::scene::on_both_backends;
use super::selected;
use crate::listener::LimitSettings;

#[test]
fn an_account_has_so_many_sessions_and_a_session_its_pace() {
    let limits = LimitSettings {
        sessions_per_account: 2,
        mail_commands_per_second: 100,
        ..LimitSettings::default()
    };
    on_both_backends(limits, |scene| async move {
        let account = scene.account_of(0);
        let [mut one, other] = [scene.logged_in(&account).await, scene.logged_in(&account).await];
        let mut third = scene.connect_secured().await;
        let login = format!("LOGIN {account} \"correct horse\"");
        third.ask(&login, "NO [LIMIT] Too many sessions").await;
        drop(other);
        while scene.metrics(0).open.get() > 2 {
            engine::shard::sleep(1).await;
        }
        third.ask(&login, "OK [CAPABILITY ").await;
        // What is beyond the burst waits, and all is answered in order.
        one.say(&"n NOOP\r\n".repeat(1_030)).await;
        for _ in 0..1_030 {
            assert_eq!(one.line().await, "n OK Done");
        }
        assert!(scene.metrics(0).slowed.get() > 0);
    });
}

#[test]
fn what_is_selected_can_be_deleted_and_everybody_is_answered() {
    on_both_backends(LimitSettings::default(), |scene| async move {
        let account = scene.account_of(0);
        let mut one = scene.logged_in(&account).await;
        let mut other = scene.logged_in(&account).await;
        one.ask("CREATE x", "OK").await;
        one.ask("SELECT x", "OK").await;
        other.ask("SELECT x", "OK").await;
        one.ask("DELETE x", "OK Deleted").await;
        one.ask("FETCH 1 UID", "BAD").await;
        one.ask("NOOP", "OK").await;
        // What was asked for is answered before the session ends.
        other.say("a APPEND INBOX {4+}\r\nA: b\r\n").await;
        let told = other.answer("a", "OK [APPENDUID ").await;
        assert_eq!(told, "");
        assert_eq!(other.line().await, "* BYE The selected mailbox is deleted or renamed");
        other.has_ended().await;
        // The messages that were INBOX are in another folder: nobody stays in it unawares.
        let mut idling = selected(&scene, &account).await;
        idling.say("i IDLE\r\n").await;
        assert_eq!(idling.line().await, "+ idling");
        one.ask("RENAME INBOX Old", "OK Renamed").await;
        assert_eq!(idling.line().await, "* BYE The selected mailbox is deleted or renamed");
        assert!(one.ask("SELECT INBOX", "OK").await.contains("* 0 EXISTS\r\n"));
        assert!(one.ask("EXAMINE Old", "OK").await.contains("* 1 EXISTS\r\n"));
        one.ask("MOVE 1 INBOX", "NO [NOPERM]").await;
    });
}

/// Such a client has sent it all before it hears anything.
#[test]
fn a_message_that_is_refused_is_passed_over() {
    on_both_backends(LimitSettings::default(), |scene| async move {
        let mut client = scene.logged_in(&scene.account_of(0)).await;
        let message = "x".repeat(2 << 20);
        client.say(&format!("a APPEND Missing {{{}+}}\r\n{message}\r\nb NOOP\r\n", 2 << 20)).await;
        client.answer("a", "NO [TRYCREATE]").await;
        client.answer("b", "OK").await;
    });
}

/// What was unpacked has filled the buffer to its last octet, and the client waits for news.
#[test]
fn who_idles_behind_compressed_commands_hears_at_once() {
    on_both_backends(LimitSettings::default(), |scene| async move {
        let account = scene.account_of(0);
        let mut client = selected(&scene, &account).await;
        client.ask("COMPRESS DEFLATE", "OK Compression begins now").await;
        let mut deflate = Deflate::new(&Budget::new(1 << 20)).unwrap();
        let idle = "i IDLE\r\n";
        for total in [1024, 2048, 4096] {
            let front = "n NOOP\r\n".repeat((total - idle.len()) / 8);
            let mut packed = Vec::new();
            deflate.pack(format!("{front}{idle}").as_bytes(), true, &mut packed).unwrap();
            client.send(packed).await;
            let mut told = String::new();
            let mut until = async |end: &str| {
                while !told.ends_with(end) {
                    let mut more = Vec::with_capacity(64 << 10);
                    if deflate.unpack(&mut more).unwrap() == 0 {
                        deflate.received.extend_from_slice(&client.receive().await);
                    }
                    told.push_str(std::str::from_utf8(&more).unwrap());
                }
            };
            until("+ idling\r\n").await;
            scene.deliver(&account, "Subject: news\r\n\r\n").await;
            until(" RECENT\r\n").await;
            let mut packed = Vec::new();
            deflate.pack(b"DONE\r\n", true, &mut packed).unwrap();
            client.send(packed).await;
        }
    });
}

/// A few sessions that announce and do not send take no more than their part.
#[test]
fn one_account_announces_no_more_than_its_part() {
    let memory = engine::settings::Bytes::mib(50);
    let limits = LimitSettings { memory_per_shard: memory, ..LimitSettings::default() };
    on_both_backends(limits, |scene| async move {
        let account = scene.account_of(0);
        let mut holds = Vec::new();
        for _ in 0..2 {
            let mut client = scene.logged_in(&account).await;
            client.say("a APPEND INBOX {10000000}\r\n").await;
            assert_eq!(client.line().await, "+ OK");
            holds.push(client);
        }
        let mut third = scene.logged_in(&account).await;
        third.ask("APPEND INBOX {100}", "NO [LIMIT]").await;
        let others = (0..16).map(|number| format!("user{number}@x.example"));
        let mut others = others.filter(|name| *name != account && scene.is_here(name));
        let mut another = scene.logged_in(&others.next().unwrap()).await;
        another.say("a APPEND INBOX {4+}\r\nA: b\r\n").await;
        another.answer("a", "OK [APPENDUID ").await;
        drop(holds);
        while scene.metrics(0).open.get() > 2 {
            engine::shard::sleep(1).await;
        }
        third.say("a APPEND INBOX {4+}\r\nA: b\r\n").await;
        third.answer("a", "OK [APPENDUID ").await;
    });
}

//! The door as clients see it: two shards, real sockets and stores, TLS, on both backends.

mod scene;

use engine::settings::Span;
use mail::mailbox::Flags;

use crate::listener::LimitSettings;
use scene::{Scene, on_both_backends};

/// Small, with dots to stuff; then one with parts that are sent from where they lie, and dots between.
fn messages() -> [String; 2] {
    let part = "A line of a message that is sent as it is.\r\n".repeat(3_000);
    let large = format!("..first\r\n{part}.\r\n..\r\n").repeat(4);
    ["Subject: small\r\n\r\n.\r\n.dot\r\nlast".to_owned(), format!("Subject: large\r\n\r\n{large}")]
}

async fn both_delivered(scene: &Scene, account: &str) -> [String; 2] {
    let messages = messages();
    for message in &messages {
        scene.deliver(account, message).await;
    }
    messages
}

/// What a client makes of a message: dots and the line end before the last line taken away.
fn unstuffed(text: &str, expected: &str) -> String {
    let lines = text.split_inclusive("\r\n").map(|line| line.strip_prefix('.').unwrap_or(line));
    let mut message: String = lines.collect();
    if !expected.ends_with("\r\n") {
        message.truncate(message.len() - 2);
    }
    message
}

/// Here, and on the shard that the account is at home on: in one go with everything pipelined.
#[test]
fn messages_come_as_they_are_wherever_the_account_is_at_home() {
    on_both_backends(LimitSettings::default(), |scene| async move {
        for home in [0, 1] {
            let account = scene.account_of(home);
            let [small, large] = both_delivered(&scene, &account).await;
            let mut client = scene.connect_secured().await;
            let login = format!("USER {account}\r\nPASS correct horse\r\n");
            let rest = "STAT\r\nUIDL\r\nRETR 1\r\nRETR 2\r\nTOP 2 1\r\nTOP 1 0\r\nQUIT\r\n";
            client.say(&format!("{login}{rest}")).await;
            assert_eq!(client.line().await, "+OK Password required");
            let octets = small.len() + large.len();
            assert_eq!(
                client.line().await,
                format!("+OK Maildrop has 2 messages ({octets} octets)")
            );
            assert_eq!(client.line().await, format!("+OK 2 {octets}"));
            assert!(client.line().await.starts_with("+OK 2 messages"));
            let ids = client.text().await;
            let ids: Vec<&str> = ids.lines().collect();
            assert!(ids.len() == 2 && ids[0].len() == 18, "{ids:?}");
            assert!(ids[0].ends_with("00000001") && ids[1].ends_with("00000002"), "{ids:?}");
            assert_eq!(client.line().await, format!("+OK {} octets", small.len()));
            assert_eq!(unstuffed(&client.text().await, &small), small);
            assert_eq!(client.line().await, format!("+OK {} octets", large.len()));
            assert!(unstuffed(&client.text().await, &large) == large);
            assert_eq!(client.line().await, "+OK Top follows");
            assert_eq!(client.text().await, "Subject: large\r\n\r\n...first\r\n");
            assert_eq!(client.line().await, "+OK Top follows");
            assert_eq!(client.text().await, "Subject: small\r\n\r\n");
            assert!(client.line().await.ends_with("(2 messages left)"));
            client.has_ended().await;
        }
        scene.until_nobody_is_there().await;
        let [here, there] = [0, 1].map(|shard| scene.metrics(shard));
        assert_eq!((here.connections.get(), there.connections.get()), (2, 0));
        assert_eq!((here.moved.get(), there.moved.get()), (0, 1));
        assert_eq!((here.logins.get(), there.logins.get()), (1, 1));
        assert_eq!((here.messages.get(), there.messages.get()), (2, 2));
    });
}

#[test]
fn messages_go_at_quit_only_and_what_was_read_is_seen() {
    on_both_backends(LimitSettings::default(), |scene| async move {
        let account = scene.account_of(0);
        both_delivered(&scene, &account).await;
        let mut client = scene.logged_in(&account).await;
        client.ask("DELE 1", "+OK Message 1 deleted").await;
        client.ask("RETR 2", "+OK").await;
        client.text().await;
        drop(client);
        // The session ends, and marks what was read, before its place is given back.
        scene.until_nobody_is_there().await;
        let view = scene.view(&account).await;
        assert_eq!(view.uids(), [1, 2]);
        let is_seen = |uid| view.entry(uid).is_some_and(|entry| entry.flags.contains(Flags::SEEN));
        assert_eq!([1, 2].map(is_seen), [false, true]);

        let mut client = scene.logged_in(&account).await;
        client.ask("DELE 1", "+OK").await;
        client.ask("RETR 2", "+OK").await;
        client.text().await;
        client.ask("DELE 2", "+OK").await;
        // Somebody else is quicker: it is deleted all the same.
        view.remove_all(&[2]).await.unwrap();
        client.ask("RETR 1", "-ERR").await;
        client.ask("QUIT", "+OK").await;
        assert!(scene.view(&account).await.is_empty(), "before +OK was said");
        assert_eq!(scene.metrics(0).deleted.get(), 1);
    });
}

#[test]
fn a_message_that_others_expunge_is_an_error_for_itself() {
    on_both_backends(LimitSettings::default(), |scene| async move {
        let account = scene.account_of(0);
        both_delivered(&scene, &account).await;
        let mut client = scene.logged_in(&account).await;
        let view = scene.view(&account).await;
        view.remove_all(&[1]).await.unwrap();
        scene.deliver(&account, "Subject: new\r\n\r\n").await;
        client.ask("RETR 1", "-ERR This message is gone").await;
        client.ask("LIST 3", "-ERR No such message, there are 2").await;
        client.ask("TOP 2 0", "+OK").await;
        assert_eq!(client.text().await, "Subject: large\r\n\r\n");
    });
}

#[test]
fn a_maildrop_has_one_client_and_is_free_behind_quit() {
    on_both_backends(LimitSettings::default(), |scene| async move {
        for home in [0, 1] {
            let account = scene.account_of(home);
            let mut first = scene.logged_in(&account).await;
            let mut second = scene.connect_secured().await;
            second.ask(&format!("USER {account}"), "+OK").await;
            second.ask("PASS correct horse", "-ERR [IN-USE]").await;
            assert_eq!(scene.metrics(home).in_use.get(), 1);
            // Deliveries and IMAP go on.
            scene.deliver(&account, "Subject: meanwhile\r\n\r\n").await;
            if home == 0 {
                assert_eq!(scene.view(&account).await.uids(), [1]);
            }
            first.ask("QUIT", "+OK").await;
            second.ask(&format!("USER {account}"), "+OK").await;
            second.ask("PASS correct horse", "+OK Maildrop has 1 messages").await;
            drop(first);
            second.ask("QUIT", "+OK").await;
        }
    });
}

#[test]
fn an_account_comes_again_behind_the_delay_only() {
    let limits = LimitSettings { pop3_login_delay: Span::mins(10), ..LimitSettings::default() };
    on_both_backends(limits, |scene| async move {
        for home in [0, 1] {
            let account = scene.account_of(home);
            let mut client = scene.logged_in(&account).await;
            client.ask("CAPA", "+OK").await;
            assert!(client.text().await.contains("\r\nLOGIN-DELAY 600\r\n"));
            client.ask("QUIT", "+OK").await;
            let mut again = scene.connect_secured().await;
            again.ask(&format!("USER {account}"), "+OK").await;
            again.ask("PASS correct horse", "-ERR [LOGIN-DELAY]").await;
            assert_eq!(scene.metrics(home).too_soon.get(), 1);
        }
    });
}

#[test]
fn no_password_is_taken_without_tls_and_stls_gives_it() {
    on_both_backends(LimitSettings::default(), |scene| async move {
        let account = scene.account_of(1);
        let mut client = scene.connect().await;
        client.ask("CAPA", "+OK").await;
        let capabilities = client.text().await;
        assert!(capabilities.contains("\r\nSTLS\r\n") && !capabilities.contains("\r\nUSER\r\n"));
        client.ask(&format!("USER {account}"), "-ERR").await;
        client.ask("STLS", "+OK").await;
        scene.secure(&mut client).await;
        client.ask(&format!("USER {account}"), "+OK").await;
        client.ask("PASS wrong", "-ERR [AUTH]").await;
        client.ask(&format!("USER {account}"), "+OK").await;
        client.ask("PASS correct horse", "+OK Maildrop has 0 messages").await;
        client.ask("QUIT", "+OK").await;
    });
}

#[test]
fn a_door_that_closes_tells_who_waits() {
    on_both_backends(LimitSettings::default(), |scene| async move {
        let here = scene.account_of(0);
        let mut waiting = scene.logged_in(&here).await;
        let mut stranger = scene.connect_secured().await;
        assert_eq!(scene.drain().await, 0);
        for client in [&mut waiting, &mut stranger] {
            assert!(client.line().await.starts_with("-ERR [SYS/TEMP]"));
        }
    });
}

/// The other shard sees everybody out: who has no way there is told, and stays where it is.
#[test]
fn who_finds_no_way_is_told() {
    on_both_backends(LimitSettings::default(), |scene| async move {
        let account = scene.account_of(1);
        scene.stop_second().await;
        let mut client = scene.connect_secured().await;
        client.ask(&format!("USER {account}"), "+OK").await;
        client.ask("PASS correct horse", "-ERR [SYS/TEMP] Too busy").await;
        client.ask("CAPA", "+OK").await;
        client.text().await;
        client.ask("QUIT", "+OK").await;
    });
}

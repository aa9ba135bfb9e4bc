//! Mail whose way ends here: from the queue into mailboxes, beside what goes to other hosts.

use std::path::Path;

use proto::types::Authenticity;

use super::server::{MODERN, polite, scripted};
use super::*;
use crate::delivery::Local;
use crate::directory::{self, Accounts, Command, GuessSettings, PasswordSettings};
use crate::mailbox::{self, Caches, INBOX, Layout, Stores, Ways};
use crate::queue::{Arriving, Command as QueueCommand, Filter};

const RECORDS: &str = r#"
{"kind":"domain","domain":"ours.test","separator":"+"}
{"kind":"account","address":"joe@ours.test"}
{"kind":"account","address":"ann@ours.test"}
{"kind":"account","address":"small@ours.test","quota_bytes":10}
{"kind":"account","address":"off@ours.test","disabled":true}
{"kind":"account","address":"both@ours.test","forward":["far@a.test"],"forward_keep":true}
{"kind":"alias","address":"desk@ours.test","targets":["joe@ours.test","far@a.test"]}
{"kind":"alias","address":"list@ours.test","targets":["joe+l@ours.test","ann+l@ours.test"]}
"#;
const JOE: &str = "joe@ours.test";
const ANN: &str = "ann@ours.test";
const PLACED: &str = "delivered 250 2.0.0";

/// Accounts and their mailboxes below a directory.
pub(super) fn local(dir: &Path, storage: &storage::Settings) -> Local {
    let passwords =
        PasswordSettings { threads: 1, argon2_memory: Size::mib(1), ..Default::default() };
    let mut store = directory::Store::open(dir, passwords.parameters()).unwrap();
    let records = RECORDS.lines().filter(|line| !line.is_empty());
    let records = records.map(|line| serde_json::from_str(line).unwrap()).collect();
    let import = Command::Import { records, replace: false, create_domains: false };
    store.command("test", import).unwrap();
    drop(store);
    let (settings, guessing) = (directory::Settings::default(), GuessSettings::default());
    let parts = directory::Parts { settings, passwords, guessing };
    let (accounts, _) = Accounts::open(dir, parts).unwrap();
    let settings = mailbox::Settings::default();
    let metrics = Arc::<mailbox::Metrics>::default();
    let parts = mailbox::Parts {
        settings: Arc::new(settings.clone()),
        storage: storage.clone(),
        caches: std::rc::Rc::new(Caches::new(&settings, Arc::clone(&metrics))),
        domains: Arc::default(),
        metrics,
        storage_metrics: Arc::default(),
        own: 1,
    };
    let stores = Stores::open(Layout::open(dir, 1).unwrap(), 0, Ways::new(1).0, parts).unwrap();
    Local { accounts, stores }
}

impl World {
    /// What lies in a folder, oldest first.
    async fn folder(&self, account: &str, name: &str) -> Vec<String> {
        let stores = &self.delivery.0.local.as_ref().unwrap().stores;
        let view = stores.mailbox(account).await.unwrap().open(name, true).await.unwrap();
        let mut texts = Vec::new();
        for uid in view.uids() {
            let body = view.body(*uid, 0..u64::MAX).await.unwrap();
            texts.push(String::from_utf8(body.to_vec()).unwrap());
        }
        texts
    }

    /// A message that policy would have kept apart; `is_held` as the door judged.
    async fn send_quarantined(&self, to: &str, is_held: bool) -> Letter {
        let id = self.queue.next_id();
        let mut envelope = envelope(None, &[to], BODY, false);
        envelope.authenticity = Some(Authenticity { is_quarantined: true, ..Default::default() });
        let arriving = Arriving { id, envelope, is_held };
        self.queue.accept_all(vec![arriving], BODY.into()).await.unwrap();
        Letter { id: id.to_string(), to: vec![to.to_owned()] }
    }
}

#[test]
fn ours_land_here_and_the_others_go_on() {
    let (server, setting) = scripted(|_, line| polite(&MODERN, line));
    setting.at_home().run(|world, _| async move {
        let to = [JOE, "x@a.test", "Ann@ours.test", "joe+f@ours.test", "both@ours.test"];
        let letter = world.send_text(Some("me@far.test"), &to, BODY).await;
        let fates = world.fate(&letter).await;
        assert!(fates.iter().all(|fate| fate == PLACED), "{fates:?}");
        let text = format!("Return-Path: <me@far.test>\r\n{BODY}");
        // There is no folder for the detail.
        assert_eq!(world.folder(JOE, INBOX).await, [text.clone(), text.clone()]);
        for account in [ANN, "both@ours.test"] {
            assert_eq!(world.folder(account, INBOX).await, std::slice::from_ref(&text));
        }
        assert_eq!(world.metrics.placed.get(), 4);
        world.is_quiet().await;
    });
    assert_eq!(server.messages().len(), 1, "what an account forwards was found when it came");
}

#[test]
fn what_no_mailbox_takes_is_told() {
    let (_, setting) = scripted(|_, line| polite(&MODERN, line));
    setting.at_home().run(|world, _| async move {
        let to = ["small@ours.test", "nobody@ours.test", "off@ours.test", ANN];
        let expected = ["bounced 552 5.2.2", "bounced 550 5.1.1", "bounced 550 5.2.1", PLACED];
        assert_eq!(world.deliver(&to).await, expected);
        assert_eq!(world.folder("small@ours.test", INBOX).await.len(), 0);
        let text = format!("Return-Path: <>\r\n{BODY}");
        assert_eq!(world.folder(ANN, INBOX).await, [text]);
        let stores = &world.delivery.0.local.as_ref().unwrap().stores;
        assert!(stores.close().await);
        assert!(world.deliver(&[JOE]).await[0].starts_with("deferred 4"), "it may mend");
        world.is_quiet().await;
    });
}

#[test]
fn a_route_goes_before_mailboxes() {
    let (server, setting) = scripted(|_, line| polite(&MODERN, line));
    let hop = server.addr.to_string();
    let setting = setting.route("*", &[&hop], HopProtocol::Smtp).at_home();
    setting.run(|world, _| async move {
        assert_eq!(world.deliver(&[JOE]).await, [DELIVERED]);
        assert_eq!(world.folder(JOE, INBOX).await.len(), 0);
    });
    assert_eq!(server.messages().len(), 1);
}

#[test]
fn quarantined_mail_is_junk() {
    let (_, setting) = scripted(|_, line| polite(&MODERN, line));
    setting.at_home().run(|world, _| async move {
        let letter = world.send_quarantined("joe+f@ours.test", false).await;
        assert_eq!(world.fate(&letter).await, [PLACED]);
        assert_eq!(world.folder(JOE, "Junk").await.len(), 1);
        assert_eq!(world.folder(JOE, INBOX).await.len(), 0);
        world.send_quarantined("x@a.test", true).await;
        assert_eq!(world.queue.snapshot().held, 1, "who decides is elsewhere");
    });
}

/// A report for an alias was never looked up before.
#[test]
fn what_an_alias_leads_to_gets_envelopes_of_its_own() {
    let (server, setting) = scripted(|_, line| polite(&MODERN, line));
    setting.at_home().run(|world, _| async move {
        let letter = world.send(&["desk@ours.test"]).await;
        assert_eq!(world.fate(&letter).await, [DELIVERED]);
        until(|| world.queue.is_empty(), "all is delivered").await;
        assert_eq!(world.folder(JOE, INBOX).await.len(), 1);
        world.is_quiet().await;
    });
    assert_eq!(server.messages().len(), 1);
    assert_eq!(server.lines("RCPT"), ["RCPT TO:<far@a.test>"]);
}

#[test]
fn every_mailbox_behind_an_alias_gets_its_copy_in_its_folder() {
    let (_, setting) = scripted(|_, line| polite(&MODERN, line));
    setting.at_home().run(|world, _| async move {
        for account in [JOE, ANN] {
            let stores = &world.delivery.0.local.as_ref().unwrap().stores;
            stores.mailbox(account).await.unwrap().create("l", None).await.unwrap();
        }
        let letter = world.send(&["list@ours.test"]).await;
        assert_eq!(world.fate(&letter).await, [DELIVERED]);
        until(|| world.queue.is_empty(), "all is delivered").await;
        for account in [JOE, ANN] {
            assert_eq!(world.folder(account, "l").await.len(), 1, "{account}");
            assert_eq!(world.folder(account, INBOX).await.len(), 0, "{account}");
        }
        world.is_quiet().await;
    });
}

/// The mailbox of one is full when a report for both comes.
#[test]
fn who_has_a_copy_gets_no_other_when_the_next_is_tried_again() {
    let (_, setting) = scripted(|_, line| polite(&MODERN, line));
    setting.at_home().run(|world, _| async move {
        let stores = world.delivery.0.local.as_ref().unwrap().stores.clone();
        assert_eq!(world.deliver(&[ANN]).await, [PLACED]);
        stores.reload(&mailbox::Settings { folder_messages_max: 1, ..Default::default() });
        let letter = world.send(&["list@ours.test"]).await;
        assert_eq!(world.fate(&letter).await, [DELIVERED]);
        until(|| world.queue_metrics.deferred.get() == 1, "one is put off").await;
        until(|| world.queue.snapshot().active == 0, "nobody is tried").await;
        stores.reload(&mailbox::Settings::default());
        let flush = QueueCommand::Flush { filter: Filter::default() };
        world.queue.command(flush).await.unwrap();
        until(|| world.queue.is_empty(), "all is delivered").await;
        assert_eq!(world.folder(JOE, INBOX).await.len(), 1, "it had its copy");
        assert_eq!(world.folder(ANN, INBOX).await.len(), 2);
        world.is_quiet().await;
    });
}

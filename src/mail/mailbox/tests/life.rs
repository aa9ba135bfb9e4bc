//! What happens to messages and folders from their coming to their going.

use super::*;

#[test]
fn a_body_is_stored_once_and_goes_with_its_last_entry() {
    let place = Place::new();
    local(async {
        let store = place.open();
        let placed = deliver(&store, &[ANN, BOB, EVE], "for three").await;
        assert!(placed.iter().all(|one| one.uid == 1 && one.id == placed[0].id));
        let shares = async |store: &Store| {
            let key = record::message_key(placed[0].id.0);
            let row = store.0.disk.get(record::SHARE, &key).await.unwrap();
            row.map_or(0, |row| record::read::<u32>("share", &row).unwrap())
        };
        assert_eq!((rows(&store, record::BODY).await, shares(&store).await), (1, 3));
        let ann = inbox(&store, ANN).await;
        ann.copy(&[1], "Archive", Limits::default()).await.unwrap();
        ann.copy(&[1], INBOX, Limits::default()).await.unwrap();
        assert_eq!(shares(&store).await, 5);
        moved(&ann, &[2], "Archive").await.unwrap();
        assert_eq!(shares(&store).await, 5);
        assert_eq!(remove(&inbox(&store, BOB).await, &[1]).await, [1]);
        assert_eq!(remove(&inbox(&store, EVE).await, &[1]).await, [1]);
        assert_eq!(shares(&store).await, 3);
        assert_clean(&store).await;
        store.mailbox(ANN).await.unwrap().delete("Archive").await.unwrap();
        assert_clean(&store).await;
        assert_eq!(shares(&store).await, 1);
        assert_eq!(whole(&ann, 1).await, body("for three"));
        assert_eq!(remove(&ann, &[1]).await, [1]);
        for family in [record::BODY, record::DIGEST, record::SHARE, record::ENTRY] {
            assert_eq!(rows(&store, family).await, 0);
        }
        assert_eq!(store.mailbox(ANN).await.unwrap().usage(), Usage::default());
        assert_clean(&store).await;
        assert_eq!(place.domains.total("x.example"), 0);
        // The number is not given again, not even after a restart.
        assert!(store.close().await);
        drop((ann, store));
        let store = place.open();
        assert!(deliver(&store, &[BOB], "x").await[0].id > placed[0].id);
        assert_clean(&store).await;
    });
}

#[test]
fn every_account_begins_with_the_same_folders() {
    let place = Place::new();
    local(async {
        let store = place.open();
        let mailbox = store.mailbox(ANN).await.unwrap();
        let folders = mailbox.folders().unwrap();
        let uses: Vec<_> = folders.iter().map(|f| (&*f.name, f.special_use)).collect();
        assert_eq!(
            uses,
            [
                ("Archive", Some(SpecialUse::Archive)),
                ("Drafts", Some(SpecialUse::Drafts)),
                ("INBOX", None),
                ("Junk", Some(SpecialUse::Junk)),
                ("Sent", Some(SpecialUse::Sent)),
                ("Trash", Some(SpecialUse::Trash)),
            ]
        );
        assert!(folders.iter().all(|folder| folder.is_subscribed && !folder.has_children));
        let mut validities: Vec<u32> = folders.iter().map(|folder| folder.validity).collect();
        validities.sort_unstable();
        validities.dedup();
        assert_eq!(validities.len(), 6);
        assert_eq!(rows(&store, record::ACCOUNT).await, 1);
        assert_eq!(store.room(BOB, 1, Limits::default()).await, Ok(()));
        assert_eq!(rows(&store, record::ACCOUNT).await, 1, "asking makes no account");
    });
}

#[test]
fn folders_are_made_renamed_and_deleted() {
    let place = Place::new();
    local(async {
        let store = place.open();
        let mailbox = store.mailbox(ANN).await.unwrap();
        mailbox.create("a/b/c", Some(SpecialUse::Junk)).await.unwrap();
        assert_eq!(mailbox.create("a/b", None).await, Err(MailboxError::Exists));
        assert!(mailbox.folder("a").unwrap().has_children);
        assert_eq!(mailbox.folder("a/b/c").unwrap().special_use, Some(SpecialUse::Junk));
        assert_eq!(mailbox.folder("a/b").unwrap().special_use, None);
        mailbox.append("a/b/c", &[parcel("kept")], Limits::default(), 0).await.unwrap();
        let before = mailbox.folder("a/b/c").unwrap();
        mailbox.rename("a/b", "new/place").await.unwrap();
        let after = mailbox.folder("new/place/c").unwrap();
        assert_eq!((after.id, after.validity), (before.id.clone(), before.validity));
        assert_eq!(mailbox.folder("a/b/c").err(), Some(MailboxError::NoFolder));
        assert_eq!(
            mailbox.rename("new", "new/deeper").await.err(),
            Some(MailboxError::BadName("it is beneath itself"))
        );
        assert_eq!(mailbox.rename("new", "Sent").await, Err(MailboxError::Exists));
        // One may get the name that another of them leaves.
        mailbox.create("x/y/y", None).await.unwrap();
        mailbox.delete("x").await.unwrap();
        mailbox.rename("x/y", "x").await.unwrap();
        assert!(mailbox.folder("x/y").is_ok() && mailbox.folder("x/y/y").is_err());
        assert_eq!(mailbox.rename("new", "inbox").await, Err(MailboxError::Inbox));
        assert_eq!(mailbox.delete("Inbox").await, Err(MailboxError::Inbox));
        mailbox.delete("new/place").await.unwrap();
        assert_eq!(mailbox.folder("new/place").err(), Some(MailboxError::NoFolder));
        mailbox.create("new/place", None).await.unwrap();
        let again = mailbox.folder("new/place").unwrap();
        assert!(again.validity > after.validity && again.id != before.id);
        assert_clean(&store).await;
        assert!(store.close().await);
        drop((mailbox, store));
        let store = place.open();
        let mailbox = store.mailbox(ANN).await.unwrap();
        assert_eq!(mailbox.folder("new/place/c").unwrap().counts.messages, 1);
        assert_clean(&store).await;
    });
}

#[test]
fn inbox_is_renamed_by_emptying_it() {
    let place = Place::new();
    local(async {
        let store = place.open();
        deliver(&store, &[ANN], "old").await;
        let mailbox = store.mailbox(ANN).await.unwrap();
        mailbox.create("INBOX/below", None).await.unwrap();
        let before = mailbox.folder(INBOX).unwrap();
        mailbox.rename("inbox", "old mail").await.unwrap();
        let (inbox, old) = (mailbox.folder(INBOX).unwrap(), mailbox.folder("old mail").unwrap());
        assert_eq!((inbox.counts.messages, old.counts.messages), (0, 1));
        assert_eq!((&inbox.id, old.validity), (&before.id, before.validity));
        assert!(inbox.validity > before.validity && old.id != before.id);
        assert!(mailbox.folder("INBOX/below").is_ok());
        assert_eq!(deliver(&store, &[ANN], "new").await[0].validity, inbox.validity);
        let old = mailbox.open("old mail", true).await.unwrap();
        assert_eq!(whole(&old, 1).await, body("old"));
        assert_clean(&store).await;
    });
}

/// What is refused leaves nothing behind, in memory either.
#[test]
fn a_renaming_that_finds_no_room_makes_nothing() {
    let place = Place::with(|settings| settings.folders_max = 8);
    local(async {
        let store = place.open();
        let mailbox = store.mailbox(ANN).await.unwrap();
        mailbox.create("seventh", None).await.unwrap();
        let before = mailbox.folders().unwrap();
        let refused = mailbox.rename(INBOX, "a/b").await;
        assert_eq!(refused, Err(MailboxError::TooMany("folders")));
        assert_eq!(mailbox.folders().unwrap(), before);
        mailbox.rename(INBOX, "a").await.unwrap();
        assert_clean(&store).await;
    });
}

#[test]
fn a_keyword_that_finds_no_room_is_left_out() {
    let place = Place::new();
    local(async {
        let store = place.open();
        deliver(&store, &[ANN], "x").await;
        let view = inbox(&store, ANN).await;
        let all = (0..KEYWORDS_MAX).map(|number| format!("k{number}").into()).collect();
        let full = Marks { flags: Flags::SEEN, keywords: all };
        view.store(&[1], How::Add, &full, None).await.unwrap();
        let more = Marks { flags: Flags::DELETED, keywords: vec!["more".into(), "K1".into()] };
        let stored = view.store(&[1], How::Replace, &more, None).await.unwrap();
        assert_eq!(stored.entries[0].flags, Flags::DELETED.with(Flags::keyword(1)));
        let appended = [parcel("y").with(more)];
        view.mailbox().append(INBOX, &appended, Limits::default(), 0).await.unwrap();
        assert_eq!(inbox(&store, ANN).await.entry(2).unwrap().flags, stored.entries[0].flags);
        assert_clean(&store).await;
    });
}

#[test]
fn a_move_that_finds_no_room_moves_nothing() {
    let place = Place::with(|settings| settings.folder_messages_max = 1500);
    local(async {
        let store = place.open();
        let mailbox = store.mailbox(ANN).await.unwrap();
        let parcels: Vec<Parcel> = (0..1500).map(|n| parcel(&n.to_string())).collect();
        mailbox.append(INBOX, &parcels, Limits::default(), 0).await.unwrap();
        mailbox.append("Sent", &parcels[..1], Limits::default(), 0).await.unwrap();
        let view = inbox(&store, ANN).await;
        let uids = view.uids().to_vec();
        let refused = moved(&view, &uids, "Sent").await;
        assert_eq!(refused, Err(MailboxError::TooMany("messages in the folder")));
        assert_eq!(mailbox.folder(INBOX).unwrap().counts.messages, 1500);
        assert_eq!(moved(&view, &uids[1..], "Sent").await.unwrap().to.len(), 1499);
        assert_clean(&store).await;
    });
}

#[test]
fn subscriptions_outlive_folders() {
    let place = Place::new();
    local(async {
        let store = place.open();
        let mailbox = store.mailbox(ANN).await.unwrap();
        mailbox.create("lists", None).await.unwrap();
        assert!(!mailbox.folder("lists").unwrap().is_subscribed);
        for wanted in [true, true] {
            mailbox.subscribe("lists", wanted).await.unwrap();
        }
        mailbox.subscribe("Junk", false).await.unwrap();
        mailbox.delete("lists").await.unwrap();
        assert!(store.close().await);
        drop((mailbox, store));
        let store = place.open();
        let names = store.mailbox(ANN).await.unwrap().subscriptions();
        assert!(names.contains(&"lists".into()) && !names.contains(&"Junk".into()));
    });
}

#[test]
fn a_removed_account_leaves_nothing_behind() {
    let place = Place::new();
    local(async {
        let store = place.open();
        deliver(&store, &[ANN, BOB], "for both").await;
        deliver(&store, &[ANN], "for ann").await;
        let mut view = inbox(&store, ANN).await;
        assert_eq!(store.remove(EVE).await, Ok(false));
        let (removed, delivered) =
            tokio::join!(store.remove(ANN), deliver(&store, &[BOB], "for bob"));
        assert_eq!((removed, delivered.len()), (Ok(true), 1));
        assert_eq!(view.take(true), Err(MailboxError::Lost));
        assert_eq!(view.body(1, 0..9).await, Err(MailboxError::Lost));
        let number = view.mailbox().account.number;
        drop(view);
        // The name is somebody else's at once.
        deliver(&store, &[ANN], "for another ann").await;
        let another = inbox(&store, ANN).await;
        assert_eq!((another.len(), whole(&another, 1).await), (1, body("for another ann")));
        assert!(another.mailbox().account.number > number);
        assert_clean(&store).await;
        assert_eq!(rows(&store, record::BODY).await, 3);
        let sizes = ["for both", "for bob", "for another ann"].map(|text| body(text).len() as u64);
        assert_eq!(place.domains.total("x.example"), sizes.iter().sum::<u64>());
        // A removal that a restart interrupts goes on after it.
        let number = another.mailbox().account.number;
        assert_eq!(store.remove(ANN).await, Ok(true));
        assert!(store.close().await);
        drop((another, store));
        let store = place.open();
        assert_clean(&store).await;
        assert_eq!(rows(&store, record::BODY).await, 2);
        assert_eq!(store.0.disk.get(FOLDER, &record::usage_key(number)).await, Ok(None));
        assert!(store.0.removed().unwrap().is_empty());
    });
}

#[test]
fn who_is_over_quota_is_refused_and_the_others_get_their_mail() {
    let place = Place::new();
    local(async {
        let store = place.open();
        let size = body("0123456789").len() as u64;
        let limits = |account, domain| Limits { account, domain };
        let limited = |account, limits| Delivery { account, folder: None, limits };
        let all = [
            limited(ANN, limits(Some(size), None)),
            limited(BOB, limits(Some(size - 1), None)),
            limited(EVE, limits(None, Some(size))),
        ];
        let answers = store.deliver(&all, &parcel("0123456789")).await;
        assert!(answers[0].is_ok() && answers[2].is_ok());
        assert_eq!(answers[1], Err(MailboxError::OverQuota));
        let answers = store.deliver(&all, &parcel("0123456789")).await;
        assert!(answers.iter().all(|answer| *answer == Err(MailboxError::OverQuota)));
        assert_eq!(place.metrics.over_quota.get(), 4);
        assert_eq!(place.domains.total("y.example"), size);
        assert_eq!(store.room(ANN, 1, all[0].limits).await, Err(MailboxError::OverQuota));
        assert_eq!(store.room(ANN, 0, all[0].limits).await, Ok(()));
        let ann = inbox(&store, ANN).await;
        let copied = ann.copy(&[1], "Sent", all[0].limits).await;
        assert_eq!(copied, Err(MailboxError::OverQuota));
        let mailbox = ann.mailbox();
        let appended = mailbox.append("Sent", &[parcel("x")], all[0].limits, 0).await;
        assert_eq!(appended, Err(MailboxError::OverQuota));
        moved(&ann, &[1], "Sent").await.unwrap();
        assert_clean(&store).await;
        assert!(store.close().await);
        drop((ann, store));
        assert_eq!(place.domains.total("y.example"), 0, "a closed store counts for nothing");
        let store = place.open();
        assert_eq!(place.domains.total("y.example"), size);
        assert_eq!(place.domains.total("x.example"), size);
        drop(store);
    });
}

#[test]
fn a_folder_takes_so_many_messages_and_unknown_folders_are_inbox() {
    let place = Place::with(|settings| settings.folder_messages_max = 2);
    local(async {
        let store = place.open();
        deliver(&store, &[ANN], "1").await;
        let answer = store.deliver(&[to(ANN, Some("no such"))], &parcel("2")).await;
        assert_eq!(answer[0].as_ref().unwrap().uid, 2);
        let answer = store.deliver(&[to(ANN, Some("inbox"))], &parcel("3")).await;
        assert!(matches!(answer[0], Err(MailboxError::TooMany(_))));
        assert!(
            store.deliver(&[to(ANN, Some("junk")), to(ANN, Some("Junk"))], &parcel("4")).await[1]
                .is_ok()
        );
        let ann = inbox(&store, ANN).await;
        assert!(matches!(
            ann.copy(&[1, 2], "Junk", Limits::default()).await,
            Err(MailboxError::TooMany(_))
        ));
        assert_eq!(ann.copy(&[1, 1, 9], "Junk", Limits::default()).await.unwrap().from, [1]);
        assert_clean(&store).await;
    });
}

#[test]
fn a_folder_of_100_000_messages_opens_in_bounded_memory() {
    const COUNT: usize = 100_000;
    let place = Place::new();
    local(async {
        let store = place.open();
        let mailbox = store.mailbox(ANN).await.unwrap();
        let parcels: Vec<Parcel> = (0..1000).map(|number| parcel(&number.to_string())).collect();
        for _ in 0..COUNT / 1000 {
            mailbox.append(INBOX, &parcels, Limits::default(), 0).await.unwrap();
        }
        assert!(store.close().await);
        drop((mailbox, store));
        let store = place.open();
        deliver(&store, &[ANN], "no index is read for this").await;
        assert_eq!(place.metrics.index_misses.get(), 0);
        let before = place.metrics.account_bytes.get();
        let view = inbox(&store, ANN).await;
        assert_eq!(view.len(), COUNT + 1);
        let bytes = place.metrics.account_bytes.get() - before;
        let entries = ((COUNT + 1) * size_of::<Entry>()) as u64;
        assert!(bytes >= entries && bytes < entries * 5 / 4, "{bytes} octets for the index");
        assert!(size_of::<Entry>() <= 56);
        assert_eq!(whole(&view, 51_008).await, body("7"));
        // Nobody looks at it and memory is wanted: it goes.
        drop(view);
        store.reload(&Settings { account_cache: Size(0), ..place.settings.clone() });
        store.mailbox(BOB).await.unwrap();
        store.mailbox(EVE).await.unwrap();
        assert!(place.metrics.account_bytes.get() < 100_000);
    });
}

#[test]
fn a_body_in_memory_is_handed_out_without_a_copy() {
    let place = Place::new();
    local(async {
        let store = place.open();
        let message = Bytes::from(vec![b'x'; 100_000]);
        let parcel = Parcel::new(message.clone(), Timestamp(0));
        store.deliver(&[to(ANN, None)], &parcel).await[0].as_ref().unwrap();
        let view = inbox(&store, ANN).await;
        let piece = view.body(1, 1000..2000).await.unwrap();
        assert_eq!((piece.as_ptr(), piece.len()), (message[1000..].as_ptr(), 1000));
        assert_eq!(view.body(1, 99_999..u64::MAX).await.unwrap().len(), 1);
        assert_eq!(view.body(1, 100_001..u64::MAX).await.unwrap().len(), 0);
        assert_eq!(view.body(2, 0..1).await, Err(MailboxError::Gone));
        assert_eq!(place.metrics.body_misses.get(), 0);
        assert_eq!(*view.digest(1).await.unwrap(), digest(&message));
        assert_eq!(place.metrics.digest_hits.get(), 1);
        store.0.caches.reload(&Settings { body_cache: Size(0), ..place.settings.clone() });
        assert_eq!(view.body(1, 0..5).await.unwrap(), "xxxxx");
        assert_eq!(place.metrics.body_misses.get(), 1);
    });
}

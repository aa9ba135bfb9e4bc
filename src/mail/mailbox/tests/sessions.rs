//! Several sessions on one account: who hears of what, and when.

use super::*;

/// Polls once: nothing else runs meanwhile.
async fn begin<T>(future: &mut std::pin::Pin<Box<impl Future<Output = T>>>) {
    std::future::poll_fn(|context| {
        assert!(future.as_mut().poll(context).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
}

fn flags_of(events: &[Event]) -> Vec<(u32, u64, bool)> {
    let flags = events.iter().filter_map(|event| match event {
        Event::Flags { number, entry, is_own } => Some((*number, entry.flags.0, *is_own)),
        _ => None,
    });
    flags.collect()
}

/// What is gone is not shown, and what has no number yet is not either.
#[test]
fn a_session_is_shown_what_it_has_numbers_for() {
    let place = Place::new();
    local(async {
        let store = place.open();
        for text in ["1", "22", "333"] {
            deliver(&store, &[ANN], text).await;
        }
        let view = inbox(&store, ANN).await;
        let shown = || {
            let mut shown = Vec::new();
            view.each(|entry| shown.push((entry.uid, Some(*entry) == view.entry(entry.uid))));
            shown
        };
        assert_eq!(shown(), [(1, true), (2, true), (3, true)]);
        deliver(&store, &[ANN], "4444").await;
        view.remove_all(&[2]).await.unwrap();
        assert_eq!(shown(), [(1, true), (3, true)]);
    });
}

#[test]
fn sessions_hear_of_each_other() {
    let place = Place::new();
    local(async {
        let store = place.open();
        for text in ["1", "2", "3", "4"] {
            deliver(&store, &[ANN], text).await;
        }
        let (mut one, mut other) = (inbox(&store, ANN).await, inbox(&store, ANN).await);
        assert_eq!((one.recent(), other.recent()), (4, 0));
        assert_eq!((one.first_unseen(), one.counts().unseen), (Some(1), 4));
        let seen = Marks { flags: Flags::SEEN, keywords: vec!["$Work".into()] };
        one.store(&[2, 3], How::Add, &seen, None).await.unwrap();
        let events = other.take(true).unwrap();
        assert_eq!(events[0], Event::Keywords);
        assert_eq!(flags_of(&events), [(2, 65, false), (3, 65, false)]);
        assert_eq!(flags_of(&one.take(true).unwrap()), [(2, 65, true), (3, 65, true)]);
        // No number changes while it may not.
        assert_eq!(remove(&other, &[1, 3]).await, [1, 3]);
        deliver(&store, &[ANN], "5").await;
        let events = one.take(false).unwrap();
        assert_eq!(events, [Event::Exists { messages: 5, recent: 5 }]);
        assert_eq!((one.number(4), one.entry(3)), (Some(4), None));
        assert_eq!(one.body(3, 0..9).await, Err(MailboxError::Gone));
        let gone = |number, uid| Event::Expunged { number, uid };
        assert_eq!(one.take(true).unwrap(), [gone(3, 3), gone(1, 1)]);
        assert_eq!(one.uids(), [2, 4, 5]);
        assert_eq!(one.take(true).unwrap(), []);
        let events = other.take(true).unwrap();
        assert_eq!(events[0], Event::Exists { messages: 5, recent: 0 });
        assert_eq!(&events[1..], [gone(3, 3), gone(1, 1)]);
        assert_clean(&store).await;
    });
}

#[test]
fn an_idle_session_wakes_and_only_for_what_is_on_the_disk() {
    let place = Place::new();
    local(async {
        let store = place.open();
        let mut idle = inbox(&store, ANN).await;
        let mut delivery = Box::pin(deliver(&store, &[ANN], "news"));
        begin(&mut delivery).await;
        assert_eq!(idle.take(true).unwrap(), [], "it is on its way");
        assert_eq!(idle.counts().messages, 0);
        idle.changed().await;
        let bodies = rows(&store, record::BODY).await;
        assert_eq!(bodies, 1);
        assert_eq!(idle.take(true).unwrap(), [Event::Exists { messages: 1, recent: 1 }]);
        delivery.await;
        // A delivery that nobody waits for arrives all the same.
        begin(&mut Box::pin(deliver(&store, &[ANN], "lone"))).await;
        idle.changed().await;
        assert_eq!(idle.take(true).unwrap(), [Event::Exists { messages: 2, recent: 2 }]);
        assert_eq!(whole(&idle, 2).await, body("lone"));
        // What was INBOX is another folder: who had it open must open it again.
        let mailbox = idle.mailbox().clone();
        mailbox.rename(INBOX, "old").await.unwrap();
        idle.changed().await;
        assert_eq!(idle.take(true).unwrap(), [Event::Deleted]);
        let mut idle = mailbox.open("old", false).await.unwrap();
        assert_eq!(idle.take(true).unwrap(), []);
        mailbox.delete("old").await.unwrap();
        idle.changed().await;
        assert_eq!(idle.take(true).unwrap(), [Event::Deleted]);
        assert!(idle.is_deleted());
        assert_eq!(
            idle.store(&[1], How::Add, &deleted(), None).await.err(),
            Some(MailboxError::NoFolder)
        );
        assert_clean(&store).await;
    });
}

/// A crash could take back what another session has begun.
#[test]
fn who_finds_nothing_left_to_do_waits_for_who_does_it() {
    let place = Place::new();
    local(async {
        let store = place.open();
        deliver(&store, &[ANN], "x").await;
        let (one, other) = (inbox(&store, ANN).await, inbox(&store, ANN).await);
        let marks = deleted();
        let mut first = Box::pin(one.store(&[1], How::Add, &marks, None));
        begin(&mut first).await;
        let before = other.counts().modseq;
        let stored = other.store(&[1], How::Add, &marks, None).await.unwrap();
        assert_eq!(stored.modseq, None);
        assert_eq!(other.counts().modseq, before + 1, "what is told is on the disk");
        assert_eq!(first.await.unwrap().modseq, Some(before + 1));
        let mut first = Box::pin(one.expunge(None));
        while one.reader.folder.state.borrow().feed.is_settled() {
            begin(&mut first).await;
            tokio::task::yield_now().await;
        }
        assert!(other.expunge(None).await.unwrap().uids.is_empty());
        assert_eq!(other.counts().messages, 0);
        first.await.unwrap();
        assert_clean(&store).await;
    });
}

/// An index that is read while messages come has what is on stable storage, and no more than UIDNEXT says.
#[test]
fn a_folder_that_is_opened_while_mail_comes_adds_up() {
    let place = Place::new();
    local(async {
        let store = place.open();
        for round in 1..=20 {
            deliver(&store, &[ANN], "x").await;
            let mailbox = store.mailbox(ANN).await.unwrap();
            mailbox.account.folder(INBOX).unwrap().state.borrow_mut().shrink();
            let mut delivery = Box::pin(deliver(&store, &[ANN], "y"));
            begin(&mut delivery).await;
            let (view, _) = tokio::join!(inbox(&store, ANN), delivery);
            let last = view.uids().last().copied().unwrap();
            assert!(last < view.counts().uid_next, "round {round}");
            assert_eq!(view.len() as u32, view.counts().messages);
        }
        assert_clean(&store).await;
    });
}

#[test]
fn who_falls_behind_finds_out_by_looking() {
    let place = Place::new();
    local(async {
        let store = place.open();
        let mailbox = store.mailbox(ANN).await.unwrap();
        let parcels: Vec<Parcel> = (0..5000).map(|n| parcel(&n.to_string())).collect();
        mailbox.append(INBOX, &parcels[..10], Limits::default(), 0).await.unwrap();
        let (mut sleeper, busy) = (inbox(&store, ANN).await, inbox(&store, ANN).await);
        busy.store(&[2], How::Add, &Flags::SEEN.into(), None).await.unwrap();
        mailbox.append(INBOX, &parcels, Limits::default(), 0).await.unwrap();
        mailbox.append(INBOX, &parcels, Limits::default(), 0).await.unwrap();
        remove(&busy, &[1, 5, 5010]).await;
        let events = sleeper.take(true).unwrap();
        assert!(place.metrics.lagged.get() > 0);
        assert_eq!(events[0], Event::Exists { messages: 10_009, recent: 10_009 });
        assert_eq!(flags_of(&events), [(2, 1, false)]);
        let gone = |number, uid| Event::Expunged { number, uid };
        assert_eq!(events[2..], [gone(5, 5), gone(1, 1)]);
        let now = inbox(&store, ANN).await;
        assert_eq!(sleeper.uids(), now.uids());
        assert_eq!(sleeper.take(true).unwrap(), []);
        assert_clean(&store).await;
    });
}

#[test]
fn flags_change_on_condition() {
    let place = Place::new();
    local(async {
        let store = place.open();
        for text in ["1", "2"] {
            deliver(&store, &[ANN], text).await;
        }
        let view = inbox(&store, ANN).await;
        let known = view.counts().modseq;
        let first = view.store(&[1], How::Add, &Flags::SEEN.into(), Some(known)).await.unwrap();
        assert_eq!(first.modseq, Some(known + 1));
        let second = view
            .store(&[2, 1, 2, 7], How::Replace, &Flags::DRAFT.into(), Some(known))
            .await
            .unwrap();
        assert_eq!(second.modified, [1]);
        assert_eq!(
            second.entries.iter().map(|e| (e.uid, e.flags)).collect::<Vec<_>>(),
            [(2, Flags::DRAFT)]
        );
        let nothing = view.store(&[2], How::Add, &Flags::DRAFT.into(), None).await.unwrap();
        assert_eq!((nothing.modseq, nothing.entries.len()), (None, 1));
        assert_eq!(view.counts().modseq, known + 2);
        assert_eq!((view.counts().unseen, view.counts().deleted), (1, 0));
        // Two at once: one after the other, and no change is lost.
        let (seen, answered) = (Flags::SEEN.into(), Flags::ANSWERED.into());
        let (a, b) = tokio::join!(
            view.store(&[2], How::Add, &seen, None),
            view.store(&[2], How::Add, &answered, None)
        );
        assert!(a.unwrap().modseq < b.unwrap().modseq);
        let all = Flags::SEEN.with(Flags::ANSWERED).with(Flags::DRAFT);
        assert_eq!(view.entry(2).unwrap().flags, all);
        let (a, b) = tokio::join!(view.remove_all(&[1, 2]), view.remove_all(&[2, 1]));
        assert_eq!(a.unwrap().uids.len() + b.unwrap().uids.len(), 2, "each goes once");
        assert_clean(&store).await;
    });
}

#[test]
fn clients_that_were_away_hear_what_vanished() {
    let place = Place::with(|settings| settings.expunges_kept = 4);
    local(async {
        let store = place.open();
        let mailbox = store.mailbox(ANN).await.unwrap();
        let parcels: Vec<Parcel> = (0..30).map(|n| parcel(&n.to_string())).collect();
        mailbox.append(INBOX, &parcels, Limits::default(), 0).await.unwrap();
        let mut view = inbox(&store, ANN).await;
        remove(&view, &[1, 2, 3]).await;
        let since = view.counts().modseq;
        remove(&view, &[5]).await;
        remove(&view, &[4, 9]).await;
        view.take(true).unwrap();
        assert_eq!(view.vanished(since, None).await.unwrap(), [(4, 5), (9, 9)]);
        assert_eq!(view.vanished(since, Some(&[(5, 8)])).await.unwrap(), [(5, 5)]);
        assert_eq!(view.vanished(1, None).await.unwrap(), [(1, 5), (9, 9)]);
        assert_eq!(view.vanished(view.counts().modseq, None).await.unwrap(), []);
        for uid in 20..25 {
            remove(&view, &[uid]).await;
        }
        view.take(true).unwrap();
        assert!(rows(&store, record::GONE).await <= 4, "what is remembered is bounded");
        let all = view.vanished(since, None).await.unwrap();
        assert_eq!(all, [(1, 5), (9, 9), (20, 24)], "longer ago than is remembered: all");
        // What has come and was not told of yet is not missing.
        deliver(&store, &[ANN], "new").await;
        assert_eq!(view.vanished(since, None).await.unwrap(), all);
        assert_clean(&store).await;
    });
}

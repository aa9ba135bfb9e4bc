//! Stores of several shards, as each reaches them.

use tokio::sync::mpsc;

use super::*;

/// Two shards on one thread, each with its half of the stores.
fn shards(place: &Place) -> [(Stores, mpsc::Receiver<Errand>); 2] {
    let layout = Layout::open(place.dir.path(), 1).unwrap();
    let (ways, errands) = Ways::new(2);
    let mut errands = errands.into_iter();
    [0, 1].map(|shard| {
        let stores = Stores::open(layout.clone(), shard, ways.clone(), place.parts()).unwrap();
        (stores, errands.next().unwrap())
    })
}

/// Obeys what is asked of a shard until it is told to stop.
fn serve(stores: &Stores, mut errands: mpsc::Receiver<Errand>) -> tokio::task::JoinHandle<()> {
    let stores = stores.clone();
    tokio::task::spawn_local(async move {
        while let Some(errand) = errands.recv().await {
            stores.serve(errand).await;
        }
    })
}

#[test]
fn mail_finds_its_shard_from_everywhere() {
    local(async {
        let place = Place::new();
        let [(one, asked_one), (other, asked_other)] = shards(&place);
        let served = [serve(&one, asked_one), serve(&other, asked_other)];
        let names: Vec<String> = (0..40).map(|number| format!("u{number}@x.example")).collect();
        let homes: Vec<usize> = names.iter().map(|name| one.home(name)).collect();
        assert!(homes.contains(&0) && homes.contains(&1));
        assert!(names.iter().zip(&homes).all(|(name, home)| other.home(name) == *home));
        let all: Vec<Delivery<'_>> = names.iter().map(|name| to(name, None)).collect();
        for from in [&one, &other] {
            let answers = from.deliver(&all, &parcel("to all")).await;
            assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        }
        for (name, home) in names.iter().zip(homes) {
            let (at_home, elsewhere) = if home == 0 { (&one, &other) } else { (&other, &one) };
            let view = at_home.mailbox(name).await.unwrap().open(INBOX, true).await.unwrap();
            assert_eq!(view.len(), 2);
            assert_eq!(whole(&view, 2).await, body("to all"));
            assert_eq!(elsewhere.mailbox(name).await.err(), Some(MailboxError::Elsewhere));
            let limits = Limits { account: Some(view.mailbox().usage().bytes), domain: None };
            for from in [&one, &other] {
                assert_eq!(from.room(name, limits, 0).await, Ok(()));
                assert_eq!(from.room(name, limits, 1).await, Err(MailboxError::OverQuota));
            }
        }
        served.iter().for_each(tokio::task::JoinHandle::abort);
    });
}

#[test]
fn answers_stay_in_order_and_a_shard_that_is_gone_is_closed() {
    local(async {
        let place = Place::new();
        let [(one, _), (other, asked)] = shards(&place);
        let names: Vec<String> = (0..8).map(|number| format!("u{number}@x.example")).collect();
        let tight = Limits { account: Some(1), domain: None };
        let all: Vec<Delivery<'_>> = names
            .iter()
            .enumerate()
            .map(|(at, name)| Delivery {
                limits: if at % 2 == 0 { tight } else { Limits::default() },
                ..to(name, None)
            })
            .collect();
        let served = serve(&other, asked);
        let answers = one.deliver(&all, &parcel("x")).await;
        for ((at, name), answer) in names.iter().enumerate().zip(answers) {
            let expected = at % 2 != 0;
            assert_eq!(answer.is_ok(), expected, "{name}");
        }
        served.abort();
        assert!(served.await.is_err());
        for (name, answer) in names.iter().zip(one.deliver(&all, &parcel("y")).await) {
            if one.home(name) == 1 {
                assert_eq!(answer, Err(MailboxError::Closed), "{name}");
            }
        }
    });
}

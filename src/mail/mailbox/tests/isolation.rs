//! No account ever sees another's data, whatever is in the caches.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const ACCOUNTS: [&str; 4] = [ANN, BOB, EVE, "ann@y.example"];

#[derive(Clone, Debug)]
enum Move {
    /// To one account, or to two with one body.
    Deliver(usize, Option<usize>, usize),
    Read(usize, usize),
    Digests(usize),
    Remove(usize, usize),
    Copy(usize, usize),
    Leave(usize),
    Reopen,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let who = || 0..ACCOUNTS.len();
    let one = prop_oneof![
        5 => (who(), prop::option::weighted(0.3, who()), 0_usize..2000)
            .prop_map(|(to, also, size)| Move::Deliver(to, also, size)),
        8 => (who(), 0_usize..10).prop_map(|(who, which)| Move::Read(who, which)),
        3 => who().prop_map(Move::Digests),
        2 => (who(), 0_usize..10).prop_map(|(who, which)| Move::Remove(who, which)),
        2 => (who(), 0_usize..10).prop_map(|(who, which)| Move::Copy(who, which)),
        2 => who().prop_map(Move::Leave),
        1 => Just(Move::Reopen),
    ];
    prop::collection::vec(one, 1..80)
}

/// What each account was given: text by UID of INBOX.
type Given = [HashMap<u32, String>; 4];

struct World {
    place: Place,
    store: Store,
    views: [Option<View>; 4],
    given: Given,
    secret: u32,
}

impl World {
    async fn view(&mut self, who: usize) -> &mut View {
        if self.views[who].is_none() {
            self.views[who] = Some(inbox(&self.store, ACCOUNTS[who]).await);
        }
        let view = self.views[who].as_mut().unwrap();
        view.take(true).unwrap();
        view
    }

    async fn make(&mut self, one: Move) {
        match one {
            Move::Deliver(to, also, size) => {
                self.secret += 1;
                let text = format!("secret {} {}", self.secret, "x".repeat(size));
                let mut all = vec![to];
                all.extend(also.filter(|also| *also != to));
                let names: Vec<&str> = all.iter().map(|who| ACCOUNTS[*who]).collect();
                for (who, placed) in all.iter().zip(deliver(&self.store, &names, &text).await) {
                    assert!(self.given[*who].insert(placed.uid, text.clone()).is_none());
                }
            }
            Move::Read(who, which) => {
                let view = self.view(who).await;
                let Some(uid) = view.uids().get(which).copied() else { return };
                let found = whole(view, uid).await;
                assert_eq!(found, body(&self.given[who][&uid]));
            }
            Move::Digests(who) => {
                let view = self.view(who).await;
                let uids = view.uids().to_vec();
                let digests = view.digests(&uids).await.unwrap();
                for (uid, digest) in uids.iter().zip(digests) {
                    let text = &self.given[who][uid];
                    assert_eq!(*digest.unwrap(), crate::mailbox::digest(&body(text)));
                }
            }
            Move::Remove(who, which) => {
                let view = self.view(who).await;
                let Some(uid) = view.uids().get(which).copied() else { return };
                assert_eq!(remove(view, &[uid]).await, [uid]);
                self.given[who].remove(&uid);
            }
            Move::Copy(who, which) => {
                let view = self.view(who).await;
                let Some(uid) = view.uids().get(which).copied() else { return };
                let copied = view.copy(&[uid], INBOX, Limits::default()).await.unwrap();
                let text = self.given[who][&uid].clone();
                self.given[who].insert(copied.to[0], text);
            }
            Move::Leave(who) => self.views[who] = None,
            Move::Reopen => {
                self.views = Default::default();
                assert!(self.store.close().await);
                self.store = self.place.open();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn everybody_reads_their_own(moves in moves(), body_kib in 0_u64..40, account_kib in 0_u64..20) {
        local(async {
            let place = Place::with(|settings| {
                settings.body_cache = Size::kib(body_kib);
                settings.digest_cache = Size::kib(body_kib / 4);
                settings.account_cache = Size::kib(account_kib);
            });
            let store = place.open();
            let given = Given::default();
            let mut world = World { place, store, views: Default::default(), given, secret: 0 };
            for one in moves {
                world.make(one).await;
            }
            for who in 0..ACCOUNTS.len() {
                let view = world.view(who).await;
                let mut uids = view.uids().to_vec();
                for uid in &uids {
                    let found = whole(world.views[who].as_ref().unwrap(), *uid).await;
                    assert_eq!(found, body(&world.given[who][uid]));
                }
                let mut wanted: Vec<u32> = world.given[who].keys().copied().collect();
                wanted.sort_unstable();
                uids.sort_unstable();
                assert_eq!(uids, wanted);
            }
            assert_clean(&world.store).await;
        });
    }
}

//! IDLE: who sleeps hears of a delivery, and when.
//!
//! Deliveries come one at a time, each to the next account; the next waits until all sessions of the account have heard the last, or
//! [`HEAR_MAX`] is over. The time counts from when the message's last octets leave to EXISTS.

use std::{io, rc::Rc, sync::atomic::Ordering::Relaxed, time::Duration};

use futures_lite::future;
use glommio::timer::sleep;

use super::{
    books::{Bell, add},
    desk::Desk,
    imap::Imap,
    lmtp::Lmtp,
    within,
};
use crate::{
    message::{between, now_us},
    source::count,
};

/// How long a delivery may take to be heard.
const HEAR_MAX: Duration = Duration::from_secs(10);
/// How often it is looked whether all have heard, and whether all is over.
const LOOK_EVERY: Duration = Duration::from_millis(1);
const END_EVERY: Duration = Duration::from_millis(50);

/// Listens on a session that idles until the deliveries have ended.
pub async fn hear(desk: &Desk, bell: &Bell, imap: &mut Imap) -> io::Result<()> {
    let listen = async {
        loop {
            imap.hear().await?;
            let heard_us = now_us();
            desk.tally
                .latency
                .record(between(bell.rung_us.load(Relaxed), heard_us).as_micros() as u64);
            desk.tally.last_us.fetch_max(heard_us, Relaxed);
            add(&bell.heard, 1);
            add(&desk.books.whole, 1);
            count(&desk.tally.accepted, 1);
        }
    };
    let end = async {
        while !desk.turns.has_ended() {
            sleep(END_EVERY).await;
        }
        Ok(())
    };
    future::or(listen, end).await
}

/// Delivers to one account after the other until the turns are over.
pub async fn ring(desk: Rc<Desk>) {
    desk.turns.come();
    desk.turns.wait().await;
    if let Err(error) = deliveries(&desk).await {
        desk.tally.fail(&error);
    }
    // Only now may those who listen go: the last delivery was heard, or was not in time.
    desk.turns.end();
}

async fn deliveries(desk: &Desk) -> io::Result<()> {
    let order = &desk.order;
    let mut lmtp = within(order.patience, Lmtp::open(order)).await?;
    // The last turn is over only when its delivery was heard: `begin` looks, `finish` counts.
    while let Some(number) = desk.turns.begin() {
        let account = number as usize % order.accounts;
        let sleepers = (account..order.sessions).step_by(order.accounts).count() as u64;
        let bell = &desk.bells[account];
        bell.heard.store(0, Relaxed);
        count(&desk.tally.sent, sleepers);
        let rung = || bell.rung_us.store(now_us(), Relaxed);
        within(order.patience, lmtp.deliver(order, account, number, rung)).await?;
        add(&desk.books.asked, sleepers);
        let late_us = now_us() + HEAR_MAX.as_micros() as u64;
        while bell.heard.load(Relaxed) < sleepers && now_us() < late_us {
            sleep(LOOK_EVERY).await;
        }
        desk.turns.finish(1);
    }
    within(order.patience, lmtp.quit()).await
}

//! Sessions at work: each repeats its operation while there are turns, and opens its connection anew when it breaks.
//!
//! An operation that was begun is counted: finished, or unanswered. A session whose connections fail [`FAILURES_MAX`] times in a
//! row is given up, so that every run ends.

use std::{future::Future, io, rc::Rc, sync::Arc, time::Duration};

use glommio::timer::sleep;
use rustls::ClientConfig;

use super::{
    FOLDER,
    books::{Bell, Books, add},
    imap::Imap,
    lmtp::Lmtp,
    malformed,
    order::{Operation, Order},
    pop3,
    turns::Turns,
    within,
};
use crate::{
    message::{between, now_us},
    source::{Tally, count},
};

/// Failures in a row after which a session is given up.
const FAILURES_MAX: u32 = 10;
/// The pause after each.
const FAILURE_PAUSE: Duration = Duration::from_millis(100);

/// What all sessions of an executor share.
pub struct Desk {
    pub order: Arc<Order>,
    pub turns: Arc<Turns>,
    pub books: Arc<Books>,
    pub bells: Arc<[Bell]>,
    pub tally: Arc<Tally>,
    pub tls: Option<Arc<ClientConfig>>,
}

/// One session's place: whether it has been at the gate.
struct Place {
    desk: Rc<Desk>,
    account: usize,
    came: bool,
}

/// Session number `number` to its end.
pub async fn work(desk: Rc<Desk>, number: usize) {
    let account = desk.order.account_of(number);
    let mut place = Place { desk: Rc::clone(&desk), account, came: false };
    let mut failures = 0;
    loop {
        let before = desk.tally.accepted.load(std::sync::atomic::Ordering::Relaxed);
        let Err(error) = place.serve().await else { break };
        desk.tally.fail(&error);
        let moved = desk.tally.accepted.load(std::sync::atomic::Ordering::Relaxed) > before;
        failures = if moved { 1 } else { failures + 1 };
        if failures >= FAILURES_MAX || desk.turns.is_over() {
            break;
        }
        sleep(FAILURE_PAUSE).await;
    }
    // Whoever has given up must not keep the others waiting.
    if !place.came {
        desk.turns.come();
    }
}

impl Place {
    /// Until there is no turn left, or something breaks.
    async fn serve(&mut self) -> io::Result<()> {
        match self.desk.order.operation {
            Operation::Login => self.logins().await,
            Operation::Headers => self.headers().await,
            Operation::Bodies => self.bodies().await,
            Operation::Append => self.appends().await,
            Operation::Idle => self.idle().await,
            Operation::Pop3 => self.maildrops().await,
            Operation::Deliver => self.deliveries().await,
        }
    }

    async fn gate(&mut self) {
        if !self.came {
            self.came = true;
            self.desk.turns.come();
        }
        self.desk.turns.wait().await;
    }

    async fn open(&self) -> io::Result<Imap> {
        let Desk { order, tally, tls, .. } = &*self.desk;
        count(&tally.connections, 1);
        within(order.patience, Imap::open(order, tls.as_ref(), self.account)).await
    }

    /// `turns` operations that were begun: their time, and the octets that `work` says.
    async fn timed(
        &self,
        turns: u64,
        work: impl Future<Output = io::Result<u64>>,
    ) -> io::Result<()> {
        let Desk { order, tally, .. } = &*self.desk;
        let started_us = now_us();
        count(&tally.sent, turns);
        let octets = match within(order.patience, work).await {
            Ok(octets) => octets,
            Err(error) => {
                count(&tally.unanswered, turns);
                return Err(error);
            }
        };
        let ended_us = now_us();
        count(&tally.accepted, turns);
        count(&tally.octets, octets);
        tally.last_us.fetch_max(ended_us, std::sync::atomic::Ordering::Relaxed);
        tally.latency.record(between(started_us, ended_us).as_micros() as u64);
        Ok(())
    }

    async fn logins(&mut self) -> io::Result<()> {
        self.gate().await;
        while self.desk.turns.take(1).is_some() {
            let login = async { self.open().await?.log_out().await.map(|()| 0) };
            self.timed(1, login).await?;
        }
        Ok(())
    }

    async fn headers(&mut self) -> io::Result<()> {
        let desk = Rc::clone(&self.desk);
        let mut imap = self.open().await?;
        self.gate().await;
        let select = format!("SELECT {FOLDER}");
        let fetch =
            b"FETCH 1:* (UID FLAGS ENVELOPE BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE)])";
        while desk.turns.take(1).is_some() {
            let look = async {
                imap.run(select.as_bytes(), |_| {}).await?;
                let (mut whole, mut octets) = (0, 0);
                imap.run(fetch, |reply| {
                    let fetched = reply.numbered(b"FETCH").is_some_and(|(_, text)| {
                        memchr::memmem::find(text, b"ENVELOPE (").is_some() && reply.literals > 0
                    });
                    whole += u64::from(fetched);
                    octets += reply.octets;
                })
                .await?;
                add(&desk.books.asked, u64::from(desk.order.messages));
                add(&desk.books.whole, whole);
                Ok(octets)
            };
            self.timed(1, look).await?;
        }
        within(desk.order.patience, imap.log_out()).await
    }

    async fn bodies(&mut self) -> io::Result<()> {
        let desk = Rc::clone(&self.desk);
        let mut imap = self.open().await?;
        within(desk.order.patience, imap.run(format!("SELECT {FOLDER}").as_bytes(), |_| {}))
            .await?;
        self.gate().await;
        let messages = u64::from(desk.order.messages);
        while desk.turns.take(messages).is_some() {
            let fetch = async {
                let (mut whole, mut changed, mut octets) = (0, 0, 0);
                imap.run(b"UID FETCH 1:* (BODY.PEEK[])", |reply| {
                    if let Some((number, _)) = reply.numbered(b"FETCH") {
                        let is_whole = reply.octets == desk.order.octets(number);
                        *(if is_whole { &mut whole } else { &mut changed }) += 1;
                        octets += reply.octets;
                    }
                })
                .await?;
                add(&desk.books.asked, messages);
                add(&desk.books.whole, whole);
                add(&desk.books.changed, changed);
                Ok(octets)
            };
            self.timed(messages, fetch).await?;
        }
        within(desk.order.patience, imap.log_out()).await
    }

    async fn appends(&mut self) -> io::Result<()> {
        let desk = Rc::clone(&self.desk);
        let mut imap = self.open().await?;
        self.gate().await;
        while let Some(number) = desk.turns.take(1) {
            let body = desk.order.body(number);
            let append = async {
                imap.append("INBOX", std::iter::once(body)).await.map(|()| body.len() as u64)
            };
            self.kept(self.timed(1, append).await)?;
        }
        within(desk.order.patience, imap.log_out()).await
    }

    /// Books what the server said to hold, or did not say.
    fn kept(&self, done: io::Result<()>) -> io::Result<()> {
        let Books { asked, doubtful, .. } = &*self.desk.books;
        add(if done.is_ok() { asked } else { doubtful }, 1);
        done
    }

    async fn maildrops(&mut self) -> io::Result<()> {
        self.gate().await;
        let Desk { order, books, tally, tls, turns, .. } = &*self.desk;
        while turns.take(1).is_some() {
            count(&tally.connections, 1);
            let session = async {
                let found = pop3::session(order, tls.as_ref(), self.account).await?;
                add(&books.asked, u64::from(order.messages));
                add(&books.whole, found.whole);
                add(&books.changed, found.changed);
                Ok(found.octets)
            };
            self.timed(1, session).await?;
        }
        Ok(())
    }

    async fn deliveries(&mut self) -> io::Result<()> {
        let desk = Rc::clone(&self.desk);
        count(&desk.tally.connections, 1);
        let mut lmtp = within(desk.order.patience, Lmtp::open(&desk.order)).await?;
        self.gate().await;
        while let Some(number) = desk.turns.take(1) {
            let octets = desk.order.body(number).len() as u64;
            let delivery = async {
                lmtp.deliver(&desk.order, self.account, number, || {}).await.map(|()| octets)
            };
            self.kept(self.timed(1, delivery).await)?;
        }
        within(desk.order.patience, lmtp.quit()).await
    }

    /// IDLEs until the deliveries have ended and hears its account's bell.
    async fn idle(&mut self) -> io::Result<()> {
        let mut imap = self.open().await?;
        let begin = async {
            imap.run(b"SELECT INBOX", |_| {}).await?;
            imap.idle().await
        };
        within(self.desk.order.patience, begin).await?;
        self.gate().await;
        let (desk, account) = (&self.desk, self.account);
        let bell = desk.bells.get(account).ok_or_else(|| malformed("an account too many"))?;
        super::idle::hear(desk, bell, &mut imap).await
    }
}

//! One connection: puts the socket, the machine, the directory and the maildrop together.
//!
//! The machine decides what is said, this loop only reads, sends and waits; `decide` has the answers to
//! its questions. What must stay true: everything that pipelined commands are answered leaves in one
//! send, as far as it fits; a read or send is never dropped (its deadline ends it); the maildrop is free
//! before the client hears the last word.

use std::{net::IpAddr, rc::Rc};

use bytes::Bytes;
use engine::shard::{Stream, now_ms};
use engine::telemetry::{Level, note};
use engine::tls::Acceptor;
use mail::directory::Identity;
use proto::pop3::server::{Answer, Profile, Question, Server, Step};
use proto::types::Moment;

use super::decide::After;
use super::door::{Inner, turned_away};
use super::maildrop::{Inbox, Snapshot};
use super::rules::{OUT_BYTES_MAX, Rules};
use crate::entrance::Entrance;
use crate::gate::{Pass, Refused};
use crate::seats::Place;
use crate::{login, proxy};

/// Octets read at once: the kernel holds this much a connection.
const READ_BYTES: usize = 1 << 10;
/// Replies to a few pipelined commands fit.
const OUT_BYTES: usize = 512;
/// What many replies have made grow is kept up to this size while a connection waits.
const OUT_KEPT_BYTES_MAX: usize = 2 << 10;
/// Parts of messages up to this size are copied behind what is said already, to leave with it and with
/// what follows: a send of their own would cost more.
const COPIED_BYTES_MAX: usize = 16 << 10;
/// How long, and for how many octets, a client that was sent away may go on talking.
const LINGER_MS: u64 = 1_000;
const LINGER_BYTES: usize = 64 << 10;

pub(super) struct Session {
    pub door: Rc<Inner>,
    pub rules: Rc<Rules>,
    pub listener: usize,
    pub place: Place,
    pub pass: Pass,
    pub stream: Stream,
    /// Who the client is: the other end, or whom a PROXY header named.
    pub client: IpAddr,
    pub machine: Server<Snapshot>,
    pub input: Vec<u8>,
    /// Octets of `input` that the machine has taken.
    pub taken: usize,
    pub out: Vec<u8>,
    /// Who has logged in.
    pub account: Option<Box<Identity>>,
    /// Their mail, once they have it.
    pub inbox: Option<Box<Inbox>>,
}

/// What the loop waits for.
#[derive(Clone, Copy)]
enum Next {
    Read,
    Send,
    Ask(Question),
    Upgrade,
    Close,
}

/// How a connection leaves the loop.
enum End {
    /// There is nobody to say anything to, or nothing.
    Gone,
    /// The last words shall arrive, and the peer may be talking still.
    Linger,
    /// It belongs on this shard.
    Elsewhere(usize),
}

/// Serves one connection, to its end or until it moves.
pub(super) async fn serve(door: Rc<Inner>, listener: usize, mut stream: Stream) {
    let rules = door.rules();
    let Some(entrance) = rules.entrance(listener) else { return };
    // As logs name it: IPv4 inside IPv6 is IPv4.
    let mut client = stream.peer_addr().ip().to_canonical();
    let mut input = Vec::with_capacity(READ_BYTES);
    if let Some(is_balancer) = entrance.expects_header(client) {
        let header = if is_balancer { proxy::client(&mut stream, &mut input).await } else { None };
        let Some(named) = header else { return door.metrics.turned_away.inc() };
        client = named.to_canonical();
    }
    let machine = Server::new(Rc::clone(&entrance.profile), Moment(now_ms()));
    match door.gate.enter(client, &rules.limits) {
        Ok(pass) => {
            let mut session =
                Session::open(door, rules, listener, machine, pass, stream, client, input);
            if session.start().await {
                live(session).await;
            }
        }
        Err(refused) => {
            door.metrics.turned_away.inc();
            if entrance.is_implicit {
                // A handshake would cost more than the connection that is refused.
                return;
            }
            let out = refusal(machine, refused);
            stream.deadline().set(now_ms() + LINGER_MS);
            if stream.send(out).await.0.is_ok() {
                stream.linger(LINGER_MS, LINGER_BYTES).await;
            }
        }
    }
}

fn refusal(mut machine: Server<Snapshot>, refused: Refused) -> Vec<u8> {
    let mut out = Vec::new();
    machine.refuse(&turned_away(refused), &mut out);
    out
}

/// Goes on with a connection that was greeted, here or where it came from.
pub(super) async fn live(mut session: Box<Session>) {
    let lingers = loop {
        match session.run().await {
            End::Gone => break false,
            End::Linger => break true,
            End::Elsewhere(shard) => match session.depart(shard) {
                Some(back) => session = back,
                None => return,
            },
        }
    };
    // Its place is given back last: a door that drains waits until everything is written.
    let Session { stream, mut inbox, place: _place, .. } = *session;
    if let Some(inbox) = &mut inbox {
        inbox.unlock();
    }
    if lingers {
        stream.linger(LINGER_MS, LINGER_BYTES).await;
    } else {
        stream.close();
    }
    if let Some(inbox) = inbox {
        inbox.part().await;
    }
}

impl Session {
    /// Boxed: it goes from hand to hand, and every async function that it passed through would keep
    /// room for it.
    #[allow(clippy::too_many_arguments)] // each is a part of it
    pub fn open(
        door: Rc<Inner>,
        rules: Rc<Rules>,
        listener: usize,
        machine: Server<Snapshot>,
        pass: Pass,
        stream: Stream,
        client: IpAddr,
        input: Vec<u8>,
    ) -> Box<Self> {
        Box::new(Self {
            place: door.seats.enter(&stream),
            door,
            rules,
            listener,
            pass,
            stream,
            client,
            machine,
            input,
            taken: 0,
            out: Vec::with_capacity(OUT_BYTES),
            account: None,
            inbox: None,
        })
    }

    /// Greets; behind a handshake where TLS comes first. False when that failed.
    async fn start(&mut self) -> bool {
        let is_implicit = self.entrance().is_some_and(|entrance| entrance.is_implicit);
        if is_implicit && !Box::pin(self.upgrade()).await {
            return false;
        }
        self.machine.greet(Moment(now_ms()), &mut self.out);
        true
    }

    /// Drives the machine until the connection ends or moves.
    async fn run(&mut self) -> End {
        loop {
            let next = self.advance();
            match next {
                // Boxed: what is asked takes turns, and an idle connection has no room for it.
                Next::Ask(question) => match Box::pin(self.decide(question)).await {
                    After::Answered => continue,
                    After::Gone => return End::Gone,
                    After::Elsewhere(shard) => return End::Elsewhere(shard),
                },
                Next::Send if self.send().await => continue,
                Next::Upgrade if self.send().await && Box::pin(self.upgrade()).await => continue,
                Next::Send | Next::Upgrade => return End::Gone,
                Next::Read | Next::Close => {}
            }
            // A stopping server says all that was asked for, and waits for no further command.
            let is_last = matches!(next, Next::Close) || self.is_to_stop();
            if is_last {
                return self.part().await;
            }
            if !self.send().await {
                return End::Gone;
            }
            if !self.read().await {
                // The peer has gone, or what it should know is in `out`.
                return if self.out.is_empty() { End::Gone } else { self.part().await };
            }
        }
    }

    /// The listener that it came by.
    pub fn entrance(&self) -> Option<&Entrance<Profile>> {
        self.rules.entrance(self.listener)
    }

    /// Tells the machine.
    pub fn answer(&mut self, answer: Answer<Snapshot>) {
        // The step is `Close` after one error too many: `feed` says so again.
        self.machine.answer(Moment(now_ms()), answer, &mut self.out);
    }

    /// Says the last words; the maildrop is free before they arrive. TLS has an end of its own.
    async fn part(&mut self) -> End {
        if let Some(inbox) = &mut self.inbox {
            inbox.unlock();
        }
        if !self.send().await {
            return End::Gone;
        }
        if self.machine.has_quit() {
            self.stream.say_goodbye().await;
            return End::Gone;
        }
        End::Linger
    }

    /// The handshake; what came before it is forgotten by the machine. Boxed by who calls it: the
    /// library's part of a connection has two KiB.
    async fn upgrade(&mut self) -> bool {
        let acceptor = self.entrance().and_then(|entrance| entrance.acceptor.as_ref());
        let Some(Ok(channel)) = acceptor.map(Acceptor::channel) else { return false };
        self.stream.deadline().set(self.machine.deadline().0);
        // Behind STLS there is nothing: the machine saw to it (CVE-2011-0411).
        let received = self.input.split_off(0);
        let Err(error) = self.stream.secure(channel, received).await else {
            self.door.metrics.tls.inc();
            self.machine.upgraded();
            if let Some(tls) = self.stream.tls() {
                self.machine.set_channel(login::channel_of(tls));
            }
            return true;
        };
        self.door.metrics.tls_failed.inc();
        note(Level::Debug, format_args!("no TLS with {}: {error}", self.client));
        false
    }

    /// Feeds the machine until something has to be waited for.
    fn advance(&mut self) -> Next {
        let now = Moment(now_ms());
        let (used, step) = self.machine.feed(now, &self.input[self.taken..], &mut self.out);
        self.taken += used;
        match step {
            Step::NeedInput => {
                self.input.drain(..self.taken);
                self.taken = 0;
                Next::Read
            }
            Step::Send => Next::Send,
            Step::Ask(question) => Next::Ask(question),
            Step::Upgrade => {
                self.input.clear();
                self.taken = 0;
                Next::Upgrade
            }
            // `decide` sends a message whole, so nothing is left of one: half a message is never
            // taken for a whole one.
            Step::Body => {
                self.machine.body_lost();
                Next::Close
            }
            Step::Close => Next::Close,
        }
    }

    fn is_to_stop(&mut self) -> bool {
        let stops = self.door.draining();
        if stops {
            self.machine.stop(&mut self.out);
        }
        stops
    }

    /// Sends what there is to say; false when the peer is gone.
    pub async fn send(&mut self) -> bool {
        if self.out.is_empty() {
            return true;
        }
        self.stream.deadline().set(self.machine.deadline().0);
        let (sent, out) = self.stream.send(std::mem::take(&mut self.out)).await;
        self.out = out;
        sent.is_ok()
    }

    /// Sends a part of a message behind what there is to say, sooner or later; false when the peer is
    /// gone.
    pub async fn pass_on(&mut self, part: Bytes) -> bool {
        if part.len() > COPIED_BYTES_MAX {
            self.stream.deadline().set(self.machine.deadline().0);
            let (sent, out) = self.stream.send_both(std::mem::take(&mut self.out), part).await;
            self.out = out;
            return sent.is_ok();
        }
        self.out.extend_from_slice(&part);
        self.out.len() < OUT_BYTES_MAX || self.send().await
    }

    /// Reads once. False when there is nothing more to expect; `out` says why, if there is anybody
    /// to say it to.
    async fn read(&mut self) -> bool {
        self.fit_buffers();
        if self.is_to_stop() {
            return false;
        }
        self.place.set_idle(true);
        self.stream.deadline().set(self.machine.deadline().0);
        let (read, input) = self.stream.recv(std::mem::take(&mut self.input)).await;
        self.place.set_idle(false);
        self.input = input;
        match read {
            Ok(0) if self.stream.deadline().expired() => {
                if !self.is_to_stop() {
                    self.door.metrics.timeouts.inc();
                    self.machine.expire(Moment(now_ms()));
                }
                false
            }
            Ok(0) | Err(_) => false,
            Ok(_) => true,
        }
    }

    /// What long commands and many replies have made grow is given back.
    fn fit_buffers(&mut self) {
        if self.input.is_empty() {
            self.input.shrink_to(READ_BYTES);
        }
        if self.input.len() == self.input.capacity() {
            self.input.reserve(READ_BYTES);
        }
        if self.out.capacity() > OUT_KEPT_BYTES_MAX {
            self.out = Vec::with_capacity(OUT_BYTES);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn future_bytes<A, B, C, F>(_: impl FnOnce(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    /// A connection that waits holds one of each: what is borrowed or moved beside an await doubles what
    /// it takes.
    #[test]
    fn a_connection_is_small() {
        let (session, future) = (size_of::<Session>(), future_bytes(serve));
        assert!(session <= 640, "{session} octets");
        assert!(future <= 1536, "{future} octets");
    }
}

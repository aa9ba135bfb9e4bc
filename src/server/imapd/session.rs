//! One connection: puts the socket, the machine, the directory and the mailbox together.
//!
//! The machine decides what is said, this loop only reads, sends and waits; `login` and `execute` have the
//! answers to its questions. What must stay true: everything that pipelined commands are answered leaves
//! in one send, as far as it fits; a read or send is never dropped (its deadline ends it); a connection
//! that waits holds no more than it needs.

use std::{net::IpAddr, rc::Rc};

use engine::shard::{Stream, now_ms};
use engine::telemetry::{Level, note};
use engine::tls::Acceptor;
use mail::directory::Identity;
use proto::imap::{Profile, Question, Server, Step};
use proto::types::Moment;

use super::append::Append;
use super::door::{Inner, turned_away};
use super::home::Home;
use super::idle::Idled;
use super::login::After;
use super::rules::Rules;
use super::traffic::{OUT_BYTES, READ_BYTES};
use super::wire::Deflate;
use crate::entrance::Entrance;
use crate::gate::{Pass, Refused};
use crate::seats::Place;
use crate::{login, proxy};

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
    pub machine: Server,
    pub input: Vec<u8>,
    /// Octets of `input` that the machine has taken.
    pub taken: usize,
    pub out: Vec<u8>,
    /// Who wants to come in.
    pub account: Option<Box<Identity>>,
    /// What they have once they are in.
    pub home: Option<Box<Home>>,
    /// Messages that are coming in.
    pub append: Option<Box<Append>>,
    /// Whether it knew of mod-sequences at its last command.
    pub knew_modseq: bool,
    /// What compresses, from when the client was told that it does.
    pub deflate: Option<Box<Deflate>>,
    /// It does.
    pub is_deflating: bool,
    /// A send has failed.
    pub is_gone: bool,
}

/// What the loop waits for.
#[derive(Clone, Copy)]
enum Next {
    Read,
    Idle,
    Ask(Question),
    Upgrade,
    Compress,
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

fn refusal(mut machine: Server, refused: Refused) -> Vec<u8> {
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
    // Its place is given back last: a door that drains waits until everything is said.
    let Session { stream, place: _place, home, .. } = *session;
    drop(home);
    if lingers {
        stream.linger(LINGER_MS, LINGER_BYTES).await;
    } else {
        stream.close();
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
        machine: Server,
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
            home: None,
            append: None,
            knew_modseq: false,
            deflate: None,
            is_deflating: false,
            is_gone: false,
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
            match self.advance() {
                // Boxed: what is asked takes turns, and an idle connection has no room for it.
                Next::Ask(question) => match Box::pin(self.decide(question)).await {
                    After::Answered if self.send_some().await => continue,
                    After::Answered | After::Gone => return End::Gone,
                    After::Elsewhere(shard) => return End::Elsewhere(shard),
                },
                Next::Upgrade if self.send().await && Box::pin(self.upgrade()).await => continue,
                Next::Upgrade => return End::Gone,
                Next::Compress if self.send().await => {
                    self.is_deflating = true;
                    self.machine.compressed();
                    continue;
                }
                Next::Compress => return End::Gone,
                Next::Idle => match self.idle().await {
                    Idled::Readable => {}
                    Idled::HasInput => continue,
                    Idled::Over if self.is_gone => return End::Gone,
                    Idled::Over => return self.part().await,
                },
                Next::Read => {}
                Next::Close => return self.part().await,
            }
            // A stopping server says all that was asked for, and waits for no further command.
            if self.is_to_stop() {
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

    /// Says the last words.
    async fn part(&mut self) -> End {
        if self.send().await { End::Linger } else { End::Gone }
    }

    /// The handshake; what came before it is forgotten by the machine. Boxed by who calls it: the
    /// library's part of a connection has two KiB.
    async fn upgrade(&mut self) -> bool {
        let acceptor = self.entrance().and_then(|entrance| entrance.acceptor.as_ref());
        let Some(Ok(channel)) = acceptor.map(Acceptor::channel) else { return false };
        self.stream.deadline().set(self.machine.deadline().0);
        // Behind STARTTLS there is nothing: the machine saw to it (CVE-2011-0411).
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
        loop {
            let now = Moment(now_ms());
            let (used, step) = self.machine.feed(now, &self.input[self.taken..], &mut self.out);
            self.taken += used;
            if let Step::Literal(piece) = step {
                if let Some(append) = &mut self.append {
                    append.push(piece);
                }
                continue;
            }
            if !self.machine.is_appending() {
                // Nothing will be asked of what has come.
                self.append = None;
            }
            return match step {
                Step::NeedInput => self.consumed(Next::Read),
                Step::Idle => self.consumed(Next::Idle),
                Step::Ask(question) => Next::Ask(question),
                Step::Upgrade => {
                    self.input.clear();
                    self.taken = 0;
                    Next::Upgrade
                }
                // The machine saw to it that nothing came behind the command.
                Step::Compress => self.consumed(Next::Compress),
                // A piece of a literal was kept.
                Step::Literal(_) | Step::Close => Next::Close,
            };
        }
    }

    fn consumed(&mut self, next: Next) -> Next {
        self.input.drain(..self.taken);
        self.taken = 0;
        next
    }

    pub fn is_to_stop(&mut self) -> bool {
        let stops = self.door.draining() && !self.machine.in_literal();
        if stops {
            self.machine.stop(&mut self.out);
        }
        stops
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

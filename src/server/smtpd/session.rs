//! One connection: puts the socket, the machine, the policy and the queue together.
//!
//! The machine decides what is said, this loop only reads, sends and waits; `decide` has the answers to
//! its questions. What must stay true:
//! everything that pipelined commands are answered leaves in one send; a read or send is never
//! dropped (its deadline ends it); a message that fails half way is swallowed to its end.

use std::{net::IpAddr, rc::Rc};

use engine::shard::{Stream, now_ms, wall_ms};
use engine::telemetry::{Level, note};
use engine::tls::Acceptor;
use mail::directory::Identity;
use proto::smtp::server::{Question, Server, Step};
use proto::types::{Moment, Timestamp};

use super::door::{Inner, turned_away};
use super::intake::Intake;
use super::rules::{Entrance, Rules};
use super::ways::Ways;
use crate::gate::{Pass, Refused};
use crate::seats::Place;
use crate::{login, proxy};

/// Octets read at once while waiting for a command: the kernel holds this much a connection.
const COMMAND_READ_BYTES: usize = 1 << 10;
/// Replies to a few pipelined commands fit.
const OUT_BYTES: usize = 512;
/// What many pipelined commands were answered with is kept up to this size while a connection waits.
const OUT_KEPT_BYTES_MAX: usize = 2 << 10;
/// How long, and for how many octets, a client that was sent away may go on talking.
const LINGER_MS: u64 = 1_000;
const LINGER_BYTES: usize = 64 << 10;

pub(super) struct Session {
    pub door: Rc<Inner>,
    pub rules: Rc<Rules>,
    pub listener: usize,
    place: Place,
    _pass: Pass,
    pub stream: Stream,
    /// Who the client is: the other end, or whom a PROXY header named.
    pub client: IpAddr,
    pub machine: Server,
    input: Vec<u8>,
    /// `input` is one of the door's blocks.
    has_block: bool,
    /// Octets of `input` that the machine has taken.
    taken: usize,
    pub out: Vec<u8>,
    pub intake: Option<Intake>,
    /// Who has logged in.
    pub account: Option<Box<Identity>>,
    /// Where the mail of recipients goes that are ours.
    pub ways: Ways,
}

/// What the loop waits for.
enum Next {
    Read,
    Commit,
    /// The machine asked something whose answer takes time.
    Ask(Question),
    Upgrade,
    Close,
}

/// Serves one connection to its end.
pub(super) async fn serve(door: Rc<Inner>, listener: usize, mut stream: Stream) {
    let rules = door.rules();
    let Some(entrance) = rules.entrance(listener) else { return };
    // As logs and trace fields name it: IPv4 inside IPv6 is IPv4.
    let mut client = stream.peer_addr().ip().to_canonical();
    let mut input = Vec::with_capacity(COMMAND_READ_BYTES);
    if let Some(is_balancer) = entrance.common.expects_header(client) {
        let header = if is_balancer { proxy::client(&mut stream, &mut input).await } else { None };
        let Some(named) = header else { return door.metrics.turned_away.inc() };
        client = named.to_canonical();
    }
    let machine = Server::new(Rc::clone(&entrance.common.profile), Moment(now_ms()));
    match door.gate.enter(client, &rules.limits) {
        Ok(pass) => {
            let mut session =
                Session::open(door, rules, listener, machine, pass, stream, client, input);
            if session.start().await && session.run().await {
                session.stream.linger(LINGER_MS, LINGER_BYTES).await;
            }
        }
        Err(refused) => {
            door.metrics.turned_away.inc();
            if entrance.common.is_implicit {
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

impl Session {
    /// Whatever is borrowed or moved in an async function keeps room in its future for as long as the
    /// connection lasts, so the session is put together here.
    #[allow(clippy::too_many_arguments)] // each is a part of it
    fn open(
        door: Rc<Inner>,
        rules: Rc<Rules>,
        listener: usize,
        machine: Server,
        pass: Pass,
        stream: Stream,
        client: IpAddr,
        input: Vec<u8>,
    ) -> Self {
        Self {
            place: door.seats.enter(&stream),
            door,
            rules,
            listener,
            _pass: pass,
            stream,
            client,
            machine,
            input,
            has_block: false,
            taken: 0,
            out: Vec::with_capacity(OUT_BYTES),
            intake: None,
            account: None,
            ways: Ways::default(),
        }
    }

    /// Greets; behind a handshake where TLS comes first. False when that failed.
    async fn start(&mut self) -> bool {
        let is_implicit = self.entrance().is_some_and(|entrance| entrance.common.is_implicit);
        if is_implicit && !Box::pin(self.upgrade()).await {
            return false;
        }
        self.machine.set_clock(Moment(now_ms()), Timestamp(wall_ms()));
        self.machine.greet(Moment(now_ms()), &mut self.out);
        true
    }

    /// Drives the machine to its end; whether the peer is there still, and its last words are to
    /// arrive.
    async fn run(&mut self) -> bool {
        loop {
            let next = self.advance();
            match next {
                Next::Commit => {
                    self.commit().await;
                    continue;
                }
                // Boxed: few connections ask, and all would keep room for it.
                Next::Ask(question) => {
                    // A password may stand there.
                    self.input[..self.taken].fill(0);
                    Box::pin(self.consider(question)).await;
                    continue;
                }
                Next::Upgrade => {
                    if self.send().await && Box::pin(self.upgrade()).await {
                        continue;
                    }
                    return false;
                }
                Next::Read | Next::Close => {}
            }
            // A stopping server lets a message come to its end, and waits for no further command.
            let is_last = matches!(next, Next::Close) || self.is_to_stop();
            if !self.send().await {
                return false;
            }
            if is_last {
                return self.part().await;
            }
            if !self.read().await {
                // The peer has gone, or what it should know is in `out`.
                return !self.out.is_empty() && self.send().await && self.part().await;
            }
        }
    }

    /// The listener that it came by.
    pub(super) fn entrance(&self) -> Option<&Entrance> {
        self.rules.entrance(self.listener)
    }

    /// After the last word: whether the peer may still be talking, so that it has to be listened to for
    /// ours to arrive. TLS has an end of its own.
    async fn part(&mut self) -> bool {
        if self.machine.has_quit() {
            self.stream.say_goodbye().await;
        }
        !self.machine.has_quit()
    }

    /// The handshake; what came before it is forgotten by the machine. Boxed by who calls it: the
    /// library's part of a connection has two KiB.
    async fn upgrade(&mut self) -> bool {
        let acceptor = self.entrance().and_then(|entrance| entrance.common.acceptor.as_ref());
        let Some(Ok(channel)) = acceptor.map(Acceptor::channel) else { return false };
        self.stream.deadline().set(self.machine.deadline().0);
        // Behind STARTTLS there is nothing: the machine saw to it (CVE-2011-0411).
        let received = self.input.split_off(0);
        let Err(error) = self.stream.secure(channel, received).await else {
            self.door.metrics.tls.inc();
            self.machine.upgraded();
            self.account = None;
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
            match step {
                Step::NeedInput => {
                    self.input.drain(..self.taken + used);
                    self.taken = 0;
                    if !self.machine.has_message() {
                        self.intake = None;
                    }
                    return Next::Read;
                }
                Step::Body(piece) => {
                    let kept = self.intake.as_mut().map_or(Ok(()), |intake| intake.append(piece));
                    self.taken += used;
                    if let Err(reply) = kept {
                        self.door.metrics.memory_spent.inc();
                        self.machine.discard(reply);
                    }
                }
                Step::Ask(Question::Commit) => {
                    self.taken += used;
                    return Next::Commit;
                }
                Step::Ask(question) => {
                    self.taken += used;
                    let Some(answer) = self.decide(question) else { return Next::Ask(question) };
                    if self.machine.answer(now, answer, &mut self.out) == Step::Close {
                        return Next::Close;
                    }
                }
                Step::Upgrade => {
                    self.input.clear();
                    self.taken = 0;
                    return Next::Upgrade;
                }
                Step::Close => return Next::Close,
            }
        }
    }

    fn is_to_stop(&mut self) -> bool {
        let stops = self.door.draining() && !self.machine.in_body();
        if stops {
            self.machine.stop(&mut self.out);
        }
        stops
    }

    /// Sends what there is to say; false when the peer is gone.
    async fn send(&mut self) -> bool {
        if self.out.is_empty() {
            return true;
        }
        self.stream.deadline().set(self.machine.deadline().0);
        let (sent, out) = self.stream.send(std::mem::take(&mut self.out)).await;
        self.out = out;
        sent.is_ok()
    }

    /// Reads once. False when there is nothing more to expect; `out` says why, if there is anybody
    /// to say it to.
    async fn read(&mut self) -> bool {
        self.fit_buffers();
        let idle = !self.machine.in_body();
        if self.is_to_stop() {
            return false;
        }
        self.place.set_idle(idle);
        self.stream.deadline().set(self.machine.deadline().0);
        let (read, input) = self.stream.recv(std::mem::take(&mut self.input)).await;
        self.place.set_idle(false);
        self.input = input;
        match read {
            Ok(0) if self.stream.deadline().expired() => {
                if self.door.draining() && idle {
                    self.machine.stop(&mut self.out);
                } else {
                    self.door.metrics.timeouts.inc();
                    self.machine.expire(Moment(now_ms()), &mut self.out);
                }
                false
            }
            Ok(0) | Err(_) => false,
            Ok(_) => true,
        }
    }

    /// A small buffer for commands, which waits with the kernel; a large one inside a message. What
    /// long commands and many replies have made grow is given back.
    fn fit_buffers(&mut self) {
        if self.machine.in_body() && !self.has_block {
            let mut block = self.door.block();
            block.extend_from_slice(&self.input);
            self.input = block;
            self.has_block = true;
        } else if !self.machine.in_body() && self.has_block {
            let mut small = Vec::with_capacity(COMMAND_READ_BYTES.max(self.input.len() * 2));
            small.extend_from_slice(&self.input);
            self.door.keep_block(std::mem::replace(&mut self.input, small));
            self.has_block = false;
        } else if !self.has_block && self.input.is_empty() {
            self.input.shrink_to(COMMAND_READ_BYTES);
        }
        if self.out.capacity() > OUT_KEPT_BYTES_MAX {
            self.out = Vec::with_capacity(OUT_BYTES);
        }
        if self.input.len() == self.input.capacity() {
            self.input.reserve(COMMAND_READ_BYTES);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn future_bytes<A, B, C, F>(_: impl FnOnce(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    /// Ten thousand idle connections hold ten thousand of these: a local that is borrowed or moved
    /// beside an await doubles what it takes.
    #[test]
    fn a_connection_is_small() {
        let (session, future) = (size_of::<Session>(), future_bytes(serve));
        assert!(session <= 840, "{session} octets");
        assert!(future <= 2048, "{future} octets");
    }
}

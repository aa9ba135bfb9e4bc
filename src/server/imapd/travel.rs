//! A connection moves to the shard that owns the account, once, behind its login.
//!
//! What must stay true: a place on the way is taken before the connection is taken apart, and between the
//! two nothing is waited for, so that a client either arrives or hears why not; what it was counted as,
//! what it pipelined, and how long it may take go along. How it fails: `NO [UNAVAILABLE]`, here; a
//! connection that is lost between two shards is closed.

use std::net::IpAddr;
use std::rc::Rc;

use engine::shard::Detached;
use mail::directory::Identity;
use proto::imap::server::{Passage, Server};
use proto::imap::{Answer, Code, Completion};

use super::door::Inner;
use super::session::Session;
use crate::gate::Pass;

/// What a client hears that cannot be taken to its mail.
fn busy() -> Answer {
    Answer::Refuse(Completion::no("Too busy, try later").with(Code::Unavailable))
}

/// A client on its way to its mailbox.
pub struct Arrival {
    socket: Detached,
    machine: Passage,
    listener: usize,
    client: IpAddr,
    pass: Pass,
    account: Box<Identity>,
    /// What it pipelined behind its login.
    input: Vec<u8>,
}

impl Session {
    /// Sends the client to a shard, while its machine asks whether it may come in and nothing is
    /// left to send. The session again when it cannot go; its client has been refused then.
    pub(super) fn depart(mut self: Box<Self>, shard: usize) -> Option<Box<Self>> {
        let passage = self.door.passage.clone();
        let Ok(way) = passage.place(shard) else {
            self.answer(busy());
            return Some(self);
        };
        let Self { door, rules, listener, place, pass, stream, client, machine, .. } = *self;
        let Self { mut input, taken, account, .. } = *self;
        drop(place);
        // The socket first: while that can fail, the machine is here to say so.
        let socket = match stream.detach() {
            Ok(socket) => socket,
            // Its deadline has passed, or there are no descriptors left.
            Err((_, stream)) => {
                input.drain(..taken);
                let mut session =
                    Self::open(door, rules, listener, machine, pass, stream, client, input);
                session.answer(busy());
                return Some(session);
            }
        };
        let (machine, account) = (machine.depart()?, account?);
        let input = input[taken..].to_vec();
        way.send(Arrival { socket, machine, listener, client, pass, account, input });
        None
    }
}

/// Takes in a client that comes from another shard: its machine asks once more whether it may
/// come in. `None`:
/// there is no such listener any more, or no socket can be made here.
pub(super) fn arrive(door: &Rc<Inner>, arrival: Arrival) -> Option<Box<Session>> {
    let Arrival { socket, machine, listener, client, pass, account, input } = arrival;
    let rules = door.rules();
    let profile = Rc::clone(&rules.entrance(listener)?.profile);
    let stream = door.shard.attach(socket).ok()?;
    door.metrics.moved.inc();
    let machine = Server::arrive(profile, machine);
    let door = Rc::clone(door);
    let mut session = Session::open(door, rules, listener, machine, pass, stream, client, input);
    session.account = Some(account);
    Some(session)
}

/// A client can be sent to another thread.
const _: fn() = || {
    fn can_travel<T: Send>() {}
    can_travel::<Arrival>();
};

//! TLS over a connection, on both backends.

use std::{io, path::Path, rc::Rc};

use bytes::Bytes;

use super::{PATIENCE, open, pair, run};
use crate::{
    shard::{Shard, Stream, now_ms},
    tls::{Acceptor, ClientCertificates, Connector, Fault, Keeper, Trust},
};

const BIG: usize = 3 << 20;

pub(super) struct Sides {
    pub(super) acceptor: Acceptor,
    pub(super) connector: Connector,
    _folder: tempfile::TempDir,
}

pub(super) fn sides() -> Sides {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Keeper::open(folder.path(), "mx.test").unwrap();
    let acceptor = keeper.acceptor(&[], ClientCertificates::Ignore, Path::new("")).unwrap();
    Sides { acceptor, connector: Connector::new(Path::new("")).unwrap(), _folder: folder }
}

/// A client and a server on this shard that have shaken hands.
pub(super) async fn secured(shard: &Shard, sides: &Sides) -> (Stream, Stream) {
    let listener = open(shard);
    let mut client = shard.connect(listener.local_addr(), None, PATIENCE).await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    let channel = sides.acceptor.channel().unwrap();
    let there = tokio::task::spawn_local(async move {
        server.secure(channel, Vec::new()).await.unwrap();
        server
    });
    let channel = sides.connector.channel("mx.test", &Trust::Anyone).unwrap();
    client.secure(channel, Vec::new()).await.unwrap();
    (client, there.await.unwrap())
}

/// Octets that arrive until the end.
async fn everything(mut stream: Stream, room: usize) -> Vec<u8> {
    let mut got = Vec::new();
    loop {
        let (read, piece) = stream.recv(Vec::with_capacity(room)).await;
        assert!(piece.len() <= room, "no more than there is room for");
        match read.unwrap() {
            0 => return got,
            _ => got.extend_from_slice(&piece),
        }
    }
}

pub(super) fn pattern() -> Vec<u8> {
    (0..BIG as u32).map(|number| (number ^ (number >> 7)) as u8).collect()
}

#[test]
fn megabytes_arrive_whole_however_they_are_sent_and_read() {
    run(1, |shard| async move {
        let sides = sides();
        for room in [700, 1 << 10, 32 << 10] {
            let (mut client, server) = secured(&shard, &sides).await;
            assert_eq!(client.tls().unwrap().version(), "TLSv1.3");
            let got = tokio::task::spawn_local(everything(server, room));
            let body = Bytes::from(pattern());
            let (sent, head) = client.send_both(b"head".to_vec(), body.clone()).await;
            sent.unwrap();
            assert!(head.is_empty());
            client.send_bytes(body.clone()).await.unwrap();
            client.send(b"tail".to_vec()).await.0.unwrap();
            client.say_goodbye().await;
            let got = got.await.unwrap();
            assert!(got == [b"head", &body[..], &body[..], b"tail"].concat());
        }
    });
}

#[test]
fn both_speak_in_turn_and_the_end_is_seen() {
    run(1, |shard| async move {
        let sides = sides();
        let (mut client, mut server) = secured(&shard, &sides).await;
        for turn in 0..50_u8 {
            client.send(vec![turn; 30]).await.0.unwrap();
            let (read, text) = server.recv(Vec::with_capacity(100)).await;
            assert_eq!((read.unwrap(), text), (30, vec![turn; 30]));
            server.send(vec![turn; 40]).await.0.unwrap();
            let (read, text) = client.recv(Vec::with_capacity(100)).await;
            assert_eq!((read.unwrap(), text), (40, vec![turn; 40]));
        }
        server.linger(0, 0).await;
        assert_eq!(client.recv(Vec::with_capacity(9)).await.0.unwrap(), 0);
    });
}

#[test]
fn a_handshake_that_does_not_come_ends_in_time_and_nonsense_at_once() {
    run(1, |shard| async move {
        let sides = Rc::new(sides());
        let (mut silent, _peer) = pair(&shard).await;
        silent.deadline().set(now_ms() + 50);
        let channel = sides.acceptor.channel().unwrap();
        let error = silent.secure(channel, Vec::new()).await.unwrap_err();
        assert_eq!((error.kind(), Fault::of(&error)), (io::ErrorKind::TimedOut, Fault::Connection));
        // What came already, behind a PROXY header, is part of the handshake.
        let (mut wrong, mut peer) = pair(&shard).await;
        let channel = sides.acceptor.channel().unwrap();
        let error = wrong.secure(channel, b"GET / HTTP/1.0\r\n\r\n".to_vec()).await.unwrap_err();
        assert_eq!(Fault::of(&error), Fault::Protocol);
        drop(wrong);
        let mut alert = Vec::new();
        io::Read::read_to_end(&mut peer, &mut alert).unwrap();
        assert_eq!(alert.first(), Some(&21), "an alert (RFC 8446 §5.1)");
    });
}

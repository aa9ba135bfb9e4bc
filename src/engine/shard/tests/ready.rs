//! Waiting without reading.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    thread,
    time::Duration,
};

use super::{
    beside, pair, run,
    secure::{secured, sides},
};
use crate::shard::{Shard, Stream, sleep};

/// Long enough for anything on loopback to have arrived.
const WHILE_MS: u64 = 30;

async fn waits(stream: &mut Stream) -> bool {
    tokio::time::timeout(Duration::from_millis(WHILE_MS), stream.readable()).await.is_err()
}

async fn recv(stream: &mut Stream, room: usize) -> Vec<u8> {
    let (read, buf) = stream.recv(Vec::with_capacity(room)).await;
    read.unwrap();
    buf
}

#[test]
fn it_waits_for_octets_and_leaves_them_where_they_are() {
    run(1, |shard| async move {
        let (mut stream, mut peer) = pair(&shard).await;
        assert!(waits(&mut stream).await);
        peer.write_all(b"a line and more").unwrap();
        stream.readable().await.unwrap();
        stream.readable().await.unwrap();
        assert_eq!(recv(&mut stream, 6).await, b"a line");
        // Nothing new has come, and the rest is still there.
        stream.readable().await.unwrap();
        assert_eq!(recv(&mut stream, 99).await, b" and more");
        // Read by the ring, behind the back of epoll.
        assert!(waits(&mut stream).await);
        peer.write_all(b"again").unwrap();
        stream.readable().await.unwrap();
        assert_eq!(recv(&mut stream, 99).await, b"again");
    });
}

#[test]
fn what_has_come_before_the_first_wait_counts() {
    run(1, |shard| async move {
        let (mut stream, mut peer) = pair(&shard).await;
        peer.write_all(b"early").unwrap();
        sleep(WHILE_MS).await;
        stream.readable().await.unwrap();
        assert_eq!(recv(&mut stream, 99).await, b"early");
    });
}

#[test]
fn the_end_a_deadline_and_a_brake_end_it() {
    run(1, |shard| async move {
        let (mut stream, peer) = pair(&shard).await;
        let shut = tokio::task::spawn_local(beside(move || {
            thread::park_timeout(Duration::from_millis(WHILE_MS));
            peer.shutdown(Shutdown::Write).unwrap();
            peer
        }));
        stream.readable().await.unwrap();
        assert_eq!(recv(&mut stream, 99).await, b"");
        assert!(!stream.deadline().expired());
        drop((shut.await.unwrap(), stream));

        let (mut stream, mut peer) = pair(&shard).await;
        stream.deadline().set(shard.now() + 100);
        stream.readable().await.unwrap();
        assert!(stream.deadline().expired());
        assert_eq!(recv(&mut stream, 99).await, b"");
        stream.send(b"* BYE too slow\r\n".to_vec()).await.0.unwrap();
        drop(stream);
        let mut heard = String::new();
        peer.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "* BYE too slow\r\n");

        let (mut stream, _peer) = pair(&shard).await;
        let brake = stream.brake();
        shard.spawn(async move {
            sleep(WHILE_MS).await;
            brake.pull();
        });
        stream.readable().await.unwrap();
        assert!(stream.deadline().expired());
        assert_eq!(shard.sockets(), 1);
    });
}

#[test]
fn a_reset_is_told() {
    run(1, |shard| async move {
        let (mut stream, peer) = pair(&shard).await;
        assert!(waits(&mut stream).await);
        socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
        drop(peer);
        assert_eq!(stream.readable().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(recv(&mut stream, 99).await, b"");
    });
}

/// Answers every octet, and speaks of itself meanwhile, as IDLE does; until the end. How often it spoke.
async fn idle(mut stream: Stream) -> usize {
    let mut told = 0;
    loop {
        tokio::select! {
            biased;
            ready = stream.readable() => {
                ready.unwrap();
                let got = recv(&mut stream, 1).await;
                if got.is_empty() {
                    return told;
                }
                stream.send(got).await.0.unwrap();
            }
            () = tokio::task::yield_now() => {
                told += 1;
                if told % 64 == 0 {
                    sleep(1).await;
                }
            }
        }
    }
}

/// Says each octet when the one before has been answered, and some of them two at a time.
fn talk(peer: &mut TcpStream) {
    for turn in 0..1_000_u32 {
        let words = [turn as u8, !turn as u8];
        let words = if turn % 3 == 0 { &words[..] } else { &words[..1] };
        peer.write_all(words).unwrap();
        let mut answer = vec![0; words.len()];
        peer.read_exact(&mut answer).unwrap();
        assert_eq!(answer, words);
    }
    peer.shutdown(Shutdown::Write).unwrap();
}

#[test]
fn many_waits_are_dropped_and_nothing_is_lost() {
    run(1, |shard| async move {
        let (stream, mut peer) = pair(&shard).await;
        let talking = tokio::task::spawn_local(beside(move || talk(&mut peer)));
        assert!(idle(stream).await > 0);
        talking.await.unwrap();
    });
}

async fn hear_many(shard: &Shard) {
    let (mut stream, mut peer) = pair(shard).await;
    let writing = tokio::task::spawn_local(beside(move || {
        (0..200_000_u32).for_each(|number| peer.write_all(&number.to_be_bytes()).unwrap());
    }));
    let mut got = Vec::new();
    loop {
        stream.readable().await.unwrap();
        let piece = recv(&mut stream, 700).await;
        if piece.is_empty() {
            break;
        }
        got.extend_from_slice(&piece);
    }
    writing.await.unwrap();
    let numbers = got.chunks_exact(4).map(|octets| u32::from_be_bytes(octets.try_into().unwrap()));
    assert!(numbers.eq(0..200_000));
}

#[test]
fn no_wake_is_missed_while_octets_stream_in() {
    run(1, |shard| async move { hear_many(&shard).await });
}

#[test]
fn under_tls_what_is_here_already_counts() {
    run(1, |shard| async move {
        let sides = sides();
        let (mut client, mut server) = secured(&shard, &sides).await;
        assert!(waits(&mut server).await);
        client.send(b"some text".to_vec()).await.0.unwrap();
        client.send(b" in two records".to_vec()).await.0.unwrap();
        sleep(WHILE_MS).await;
        let mut got = Vec::new();
        // The kernel has nothing left from early on.
        while got.len() < 24 {
            server.readable().await.unwrap();
            got.extend_from_slice(&recv(&mut server, 2).await);
        }
        assert_eq!(got, b"some text in two records");
        assert!(waits(&mut server).await);
        client.say_goodbye().await;
        server.readable().await.unwrap();
        assert_eq!(recv(&mut server, 9).await, b"");
        // The end stays.
        server.readable().await.unwrap();
    });
}

#[test]
fn after_an_abandoned_read_it_is_an_error() {
    run(1, |shard| async move {
        let (mut stream, _peer) = pair(&shard).await;
        let impatient = Duration::from_millis(WHILE_MS);
        let read = tokio::time::timeout(impatient, stream.recv(Vec::with_capacity(9))).await;
        assert!(read.is_err());
        assert_eq!(stream.readable().await.unwrap_err().kind(), ErrorKind::Other);
    });
}

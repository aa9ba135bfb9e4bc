//! Connections that move between shards, and waiting for one without reading it.

use std::{
    io::{Read, Write},
    sync::Arc,
};

use tokio::sync::{Mutex, mpsc};

use super::{
    beside, pair, run,
    secure::{everything, pattern, secured, sides},
};
use crate::shard::{Detached, Shard, Stream, now_ms, sleep};

/// What of the pattern is read before the connection moves.
const BEFORE: usize = 1_000_003;

/// Runs two shards: `setting_out` on the first gives a connection away, `arrived` on the second has it.
fn across<A, B>(
    setting_out: impl Fn(Shard, mpsc::Sender<Detached>) -> A + Send + Sync + Clone + 'static,
    arrived: impl Fn(Stream) -> B + Send + Sync + Clone + 'static,
) where
    A: Future<Output = ()> + 'static,
    B: Future<Output = ()> + 'static,
{
    let (way, arrivals) = mpsc::channel(1);
    let arrivals = Arc::new(Mutex::new(arrivals));
    run(2, move |shard| {
        let (way, arrivals) = (way.clone(), Arc::clone(&arrivals));
        let (setting_out, arrived) = (setting_out.clone(), arrived.clone());
        async move {
            if shard.index() == 0 {
                return setting_out(shard, way).await;
            }
            let detached = arrivals.lock().await.recv().await.unwrap();
            arrived(shard.attach(detached).unwrap()).await;
        }
    });
}

/// Reads so much, in pieces that fit nowhere.
async fn read(stream: &mut Stream, octets: usize) -> Vec<u8> {
    let mut got = Vec::new();
    while got.len() < octets {
        let room = (octets - got.len()).min(4_099);
        let (read, piece) = stream.recv(Vec::with_capacity(room)).await;
        assert_ne!(read.unwrap(), 0);
        got.extend_from_slice(&piece);
    }
    got
}

fn detach(stream: Stream) -> Detached {
    stream.detach().map_err(|(error, _)| error).unwrap()
}

async fn has_the_rest(mut stream: Stream) {
    let pattern = pattern();
    let rest = read(&mut stream, pattern.len() - BEFORE).await;
    assert!(rest == pattern[BEFORE..], "octets were lost, doubled or exchanged");
    stream.send(b"all".to_vec()).await.0.unwrap();
    stream.say_goodbye().await;
}

#[test]
fn octets_before_and_after_a_move_arrive_once_and_in_order() {
    across(
        |shard, way| async move {
            let (mut stream, mut peer) = pair(&shard).await;
            let there = tokio::task::spawn_local(beside(move || {
                peer.write_all(&pattern()).unwrap();
                let mut answer = Vec::new();
                peer.read_to_end(&mut answer).unwrap();
                assert_eq!(answer, b"all", "the peer sees no close in between");
            }));
            assert!(read(&mut stream, BEFORE).await == pattern()[..BEFORE]);
            way.send(detach(stream)).await.ok().unwrap();
            there.await.unwrap();
        },
        has_the_rest,
    );
}

#[test]
fn tls_goes_along() {
    across(
        |shard, way| async move {
            let (mut client, mut stream) = secured(&shard, &sides()).await;
            let there = tokio::task::spawn_local(async move {
                client.send(pattern()).await.0.unwrap();
                assert_eq!(everything(client, 64).await, b"all");
            });
            assert!(read(&mut stream, BEFORE).await == pattern()[..BEFORE]);
            way.send(detach(stream)).await.ok().unwrap();
            there.await.unwrap();
        },
        has_the_rest,
    );
}

#[test]
fn what_is_under_way_or_over_does_not_move() {
    run(1, |shard| async move {
        let (mut stream, _peer) = pair(&shard).await;
        {
            let mut reading = Box::pin(stream.recv(Vec::with_capacity(10)));
            assert!(
                std::future::poll_fn(|context| std::task::Poll::Ready(
                    reading.as_mut().poll(context).is_pending()
                ))
                .await
            );
        }
        let (_, back) = stream.detach().err().unwrap();
        assert!(back.peer_addr().ip().is_loopback());
        let (stream, _peer) = pair(&shard).await;
        stream.deadline().set(now_ms().saturating_sub(1));
        while !stream.deadline().expired() {
            sleep(10).await;
        }
        assert!(stream.detach().is_err());
    });
}

/// Whether it is readable now.
async fn is_readable(stream: &mut Stream) -> bool {
    // What has come may need a turn of the loop to be told.
    tokio::time::timeout(std::time::Duration::from_millis(50), stream.readable()).await.is_ok()
}

#[test]
fn waiting_takes_nothing_and_may_be_dropped() {
    run(1, |shard| async move {
        let (mut stream, mut peer) = pair(&shard).await;
        for octet in 0..20 {
            assert!(!is_readable(&mut stream).await, "nothing has come");
            peer.write_all(&[octet]).unwrap();
            stream.readable().await.unwrap();
            assert!(is_readable(&mut stream).await, "it is still there");
            let (read, got) = stream.recv(Vec::with_capacity(9)).await;
            assert_eq!((read.unwrap(), got), (1, vec![octet]));
        }
        drop(peer);
        stream.readable().await.unwrap();
        assert_eq!(stream.recv(Vec::with_capacity(9)).await.0.unwrap(), 0, "the end");
    });
}

#[test]
fn a_deadline_ends_the_wait() {
    run(1, |shard| async move {
        let (mut stream, _peer) = pair(&shard).await;
        stream.deadline().set(now_ms() + 50);
        stream.readable().await.unwrap();
        assert_eq!(stream.recv(Vec::with_capacity(9)).await.0.unwrap(), 0);
        assert!(stream.deadline().expired());
    });
}

#[test]
fn what_tls_holds_is_readable() {
    run(1, |shard| async move {
        let (mut client, mut stream) = secured(&shard, &sides()).await;
        client.send(b"abcdef".to_vec()).await.0.unwrap();
        stream.readable().await.unwrap();
        assert_eq!(stream.recv(Vec::with_capacity(2)).await.1, b"ab");
        assert!(is_readable(&mut stream).await, "the rest is in the library");
        assert_eq!(read(&mut stream, 4).await, b"cdef");
        assert!(!is_readable(&mut stream).await);
    });
}

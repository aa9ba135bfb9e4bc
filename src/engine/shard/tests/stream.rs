//! One connection.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpListener},
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{PATIENCE, beside, loopback, pair, run};
use crate::shard::{Stream, sleep};

const BIG: usize = 10 << 20;

fn pattern(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

async fn read_to_end(stream: &mut Stream, len_max: usize) -> Vec<u8> {
    let mut buf = Vec::with_capacity(len_max + 1);
    loop {
        let (read, back) = stream.recv(buf).await;
        buf = back;
        if read.unwrap() == 0 {
            return buf;
        }
    }
}

#[test]
fn ten_megabytes_are_echoed() {
    run(1, |shard| async move {
        let (mut stream, mut peer) = pair(&shard).await;
        let sent = pattern(BIG);
        let expected = sent.clone();
        let echoed = tokio::task::spawn_local(beside(move || {
            let mut writer = peer.try_clone().unwrap();
            let write = thread::spawn(move || {
                writer.write_all(&sent).unwrap();
                writer.shutdown(Shutdown::Write).unwrap();
            });
            let mut got = Vec::new();
            peer.read_to_end(&mut got).unwrap();
            write.join().unwrap();
            got
        }));
        let mut buf = Vec::with_capacity(60_000);
        loop {
            let (read, full) = stream.recv(buf).await;
            if read.unwrap() == 0 {
                break;
            }
            let (sent, empty) = stream.send(full).await;
            sent.unwrap();
            assert!(empty.is_empty() && empty.capacity() >= 60_000);
            buf = empty;
        }
        stream.close();
        assert!(echoed.await.unwrap() == expected);
    });
}

#[test]
fn ten_megabytes_go_each_way_without_copies() {
    run(1, |shard| async move {
        let there = TcpListener::bind(loopback()).unwrap();
        let addr = there.local_addr().unwrap();
        let mut stream = shard.connect(addr, Some(addr.ip()), PATIENCE).await.unwrap();
        let (mut peer, _) = there.accept().unwrap();
        assert!(stream.nodelay());
        let body = Bytes::from(pattern(BIG));
        let back = body.clone();
        let got = tokio::task::spawn_local(beside(move || {
            let mut got = vec![0; BIG + 5 + BIG];
            peer.read_exact(&mut got).unwrap();
            peer.write_all(&back).unwrap();
            got
        }));
        stream.send_bytes(body.clone()).await.unwrap();
        let (sent, head) = stream.send_both(b"head ".to_vec(), body.clone()).await;
        sent.unwrap();
        assert!(head.is_empty());
        assert!(read_to_end(&mut stream, BIG).await == body);
        let got = got.await.unwrap();
        assert!(got[..BIG] == body && got[BIG..BIG + 5] == *b"head " && got[BIG + 5..] == body);
    });
}

#[test]
fn empty_sends_are_nothing_and_full_buffers_are_refused() {
    run(1, |shard| async move {
        let (mut stream, mut peer) = pair(&shard).await;
        stream.send(Vec::new()).await.0.unwrap();
        stream.send_bytes(Bytes::new()).await.unwrap();
        stream.send_both(Vec::new(), Bytes::new()).await.0.unwrap();
        assert_eq!(stream.recv(Vec::new()).await.0.unwrap_err().kind(), ErrorKind::InvalidInput);
        peer.write_all(b"cde").unwrap();
        let mut buf = Vec::with_capacity(5);
        buf.extend_from_slice(b"ab");
        let (read, buf) = stream.recv(buf).await;
        assert_eq!((read.unwrap(), &buf[..]), (3, &b"abcde"[..]));
        drop(stream);
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn a_deadline_ends_a_read_and_leaves_time_for_a_word() {
    run(1, |shard| async move {
        let (mut stream, mut peer) = pair(&shard).await;
        let begun = Instant::now();
        stream.deadline().set(shard.now() + 100);
        let (read, _) = stream.recv(Vec::with_capacity(100)).await;
        assert_eq!(read.unwrap(), 0);
        assert!(stream.deadline().expired());
        assert!(begun.elapsed() > Duration::from_millis(90));
        assert!(begun.elapsed() < Duration::from_secs(5));
        stream.deadline().set(shard.now() + 5_000);
        stream.send(b"421 4.4.2 too slow\r\n".to_vec()).await.0.unwrap();
        drop(stream);
        let mut heard = String::new();
        peer.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "421 4.4.2 too slow\r\n");
        assert_eq!(shard.sockets(), 0);
    });
}

#[test]
fn a_peer_that_closes_is_not_a_deadline() {
    run(1, |shard| async move {
        let (mut stream, peer) = pair(&shard).await;
        stream.deadline().set(shard.now() + 30_000);
        drop(peer);
        assert_eq!(stream.recv(Vec::with_capacity(100)).await.0.unwrap(), 0);
        assert!(!stream.deadline().expired());
    });
}

#[test]
fn a_send_that_is_stuck_is_cut_after_the_grace() {
    run(1, |shard| async move {
        let (mut stream, peer) = pair(&shard).await;
        stream.deadline().set(shard.now() + 100);
        let stuck = stream.send_bytes(Bytes::from(vec![0; 64 << 20])).await;
        assert!(stuck.is_err());
        assert!(stream.deadline().expired());
        drop(peer);
    });
}

#[test]
fn an_abandoned_read_is_an_error_and_the_peer_still_sees_the_close() {
    run(1, |shard| async move {
        let (mut stream, mut peer) = pair(&shard).await;
        let impatient = Duration::from_millis(50);
        let read = tokio::time::timeout(impatient, stream.recv(Vec::with_capacity(9))).await;
        assert!(read.is_err());
        assert_eq!(
            stream.recv(Vec::with_capacity(9)).await.0.unwrap_err().kind(),
            ErrorKind::Other
        );
        drop(stream);
        let seen = beside(move || peer.read(&mut [0])).await;
        assert_eq!(seen.unwrap(), 0);
    });
}

#[test]
fn lingering_delivers_the_last_word_to_a_peer_that_goes_on_sending() {
    run(1, |shard| async move {
        let (mut stream, mut peer) = pair(&shard).await;
        peer.write_all(&[b'x'; 30_000]).unwrap();
        sleep(20).await;
        stream.send(b"554 no\r\n".to_vec()).await.0.unwrap();
        let heard = tokio::task::spawn_local(beside(move || {
            thread::park_timeout(Duration::from_millis(100));
            let mut heard = String::new();
            peer.read_to_string(&mut heard).map(|_| heard)
        }));
        stream.linger(2_000, 1 << 20).await;
        assert_eq!(heard.await.unwrap().unwrap(), "554 no\r\n");
    });
}

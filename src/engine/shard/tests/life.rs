//! Doors, threads and what passes between them.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    sync::{
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use super::{PATIENCE, backends, beside, loopback, open, pair, run};
use crate::shard::{
    Backend, IoKind, PostError, Shard, ShardError, probe, sleep, start, unpin_thread,
};

#[test]
fn a_hundred_black_holes_disturb_nobody() {
    run(1, |shard| async move {
        let hole =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        hole.bind(&loopback().into()).unwrap();
        hole.listen(0).unwrap();
        let hole_addr = hole.local_addr().unwrap().as_socket().unwrap();
        // Its backlog: from here on the kernel drops every SYN.
        let short = Duration::from_millis(200);
        let fill: Vec<_> =
            (0..4).map_while(|_| TcpStream::connect_timeout(&hole_addr, short).ok()).collect();
        assert!((1..4).contains(&fill.len()), "the hole swallows everything");
        let timed_out = std::rc::Rc::new(std::cell::Cell::new(0));
        for _ in 0..100 {
            let (shard, timed_out) = (shard.clone(), std::rc::Rc::clone(&timed_out));
            shard.clone().spawn(async move {
                let refused = shard.connect(hole_addr, None, Duration::from_millis(1500)).await;
                assert_eq!(refused.err().map(|e| e.kind()), Some(ErrorKind::TimedOut));
                timed_out.set(timed_out.get() + 1);
            });
        }
        sleep(50).await;
        let begun = Instant::now();
        for _ in 0..200 {
            drop(pair(&shard).await);
        }
        assert!(begun.elapsed() < Duration::from_millis(1400), "{:?}", begun.elapsed());
        assert_eq!(timed_out.get(), 0);
        sleep(2_000).await;
        assert_eq!((timed_out.get(), shard.panics()), (100, 0));
    });
}

#[test]
fn a_panic_ends_its_task_only() {
    run(1, |shard| async move {
        let (mut stream, mut peer) = pair(&shard).await;
        let (mut other, mut other_peer) = pair(&shard).await;
        shard.spawn(async move {
            let _ = stream.recv(Vec::with_capacity(9)).await;
            panic!("as the test wants it");
        });
        peer.write_all(b"x").unwrap();
        let mut peer = beside(move || (peer.read(&mut [0]), peer)).await;
        assert!(matches!(peer.0, Ok(0)), "the connection of the task is closed");
        let _ = peer.1.write_all(b"x");
        assert_eq!(shard.panics(), 1);
        other_peer.write_all(b"still there").unwrap();
        assert_eq!(other.recv(Vec::with_capacity(99)).await.0.unwrap(), 11);
    });
}

#[test]
fn a_dropped_accept_loses_no_connection() {
    run(1, |shard| async move {
        let listener = open(&shard);
        let addr = listener.local_addr();
        let clients = tokio::task::spawn_local(beside(move || {
            for _ in 0..100 {
                // Several accepts are dropped before each connection comes.
                thread::park_timeout(Duration::from_millis(4));
                let mut client = TcpStream::connect(addr).unwrap();
                client.set_read_timeout(Some(PATIENCE)).unwrap();
                let mut word = String::new();
                client.read_to_string(&mut word).unwrap();
                assert_eq!(word, "hello");
            }
        }));
        let mut accepted = 0;
        while accepted < 100 {
            let one = Duration::from_micros(200);
            if let Ok(next) = tokio::time::timeout(one, listener.accept()).await {
                accepted += 1;
                next.unwrap().0.send(b"hello".to_vec()).await.0.unwrap();
            }
        }
        clients.await.unwrap();
    });
}

#[test]
fn a_dropped_listener_listens_no_more() {
    run(1, |shard| async move {
        let listener = open(&shard);
        let addr = listener.local_addr();
        let short = Duration::from_millis(50);
        assert!(tokio::time::timeout(short, listener.accept()).await.is_err());
        drop(listener);
        assert_eq!(TcpStream::connect(addr).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let again = shard.listen(addr, 10).unwrap();
        let _client = TcpStream::connect(addr).unwrap();
        again.accept().await.unwrap();
    });
}

#[test]
fn shards_listen_side_by_side() {
    run(2, |shard| async move {
        let first = open(&shard);
        let second = shard.listen(first.local_addr(), 10).unwrap();
        assert_eq!(first.local_addr(), second.local_addr());
        assert!(shard.listen("[::1]:0".parse().unwrap(), 10).is_ok());
    });
}

#[test]
fn work_is_posted_between_shards_and_panics_stay_there() {
    static RAN: AtomicUsize = AtomicUsize::new(0);
    run(2, |shard| async move {
        let (done, wait) = tokio::sync::oneshot::channel();
        let (home, other) = (shard.index(), 1 - shard.index());
        assert_eq!(shard.count(), 2);
        shard.remotes()[other].post(|_| panic!("as the test wants it")).unwrap();
        let there = move |there: &Shard| {
            assert_eq!(there.index(), other);
            let answer = move |here: &Shard| done.send(here.index()).unwrap();
            there.remotes()[home].post(answer).unwrap();
        };
        shard.remotes()[other].post(there).unwrap();
        assert_eq!(wait.await.unwrap(), home);
        RAN.fetch_add(1, Relaxed);
        // The other side must not end before it has answered.
        while !RAN.load(Relaxed).is_multiple_of(2) {
            sleep(1).await;
        }
    });
}

#[test]
fn an_inbox_is_bounded_and_a_stopped_shard_says_so() {
    for backend in backends() {
        let (tell, told) = mpsc::channel();
        let shards = start(1, backend, move |shard: Shard| {
            let tell = tell.clone();
            async move {
                let refused = (0..1_000_000).find_map(|_| shard.remotes()[0].post(|_| ()).err());
                tell.send(refused).unwrap();
            }
        })
        .unwrap();
        let remote = shards.remotes()[0].clone();
        assert_eq!(told.recv().unwrap(), Some(PostError::Full));
        shards.join().unwrap();
        assert_eq!(remote.post(|_| ()), Err(PostError::Stopped));
    }
}

#[test]
fn shards_are_pinned_and_helpers_are_not() {
    use rustix::thread::sched_getaffinity;
    let before = sched_getaffinity(None).unwrap().count();
    run(3, move |_| async move {
        assert_eq!(sched_getaffinity(None).unwrap().count(), 1);
        let after = beside(|| {
            unpin_thread();
            sched_getaffinity(None).unwrap().count()
        });
        assert_eq!(after.await, before);
    });
}

#[test]
fn a_shard_ends_with_its_main_and_its_connections_with_it() {
    for backend in backends() {
        let (tell, told) = mpsc::channel();
        let shards = start(1, backend, move |shard: Shard| {
            let tell = tell.clone();
            async move {
                let (mut idle, peer) = pair(&shard).await;
                let listener = open(&shard);
                shard.spawn(async move {
                    let _ = idle.recv(Vec::with_capacity(9)).await;
                    std::future::pending::<()>().await;
                });
                shard.spawn(async move { while listener.accept().await.is_ok() {} });
                sleep(20).await;
                tell.send(peer).unwrap();
            }
        })
        .unwrap();
        let mut peer = told.recv().unwrap();
        let begun = Instant::now();
        shards.join().unwrap();
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
        assert!(begun.elapsed() < Duration::from_millis(1500));
    }
}

#[test]
fn a_main_that_panics_is_reported() {
    for backend in backends() {
        let main = async |shard: Shard| assert_ne!(shard.index(), 1, "as the test wants it");
        let shards = start(2, backend, main).unwrap();
        assert!(matches!(shards.join(), Err(ShardError::Panicked)));
    }
}

#[test]
fn probing_prefers_the_ring_and_obeys() {
    assert_eq!(probe(IoKind::Epoll).unwrap(), Backend::Epoll);
    let auto = probe(IoKind::Auto).unwrap();
    assert_eq!(auto == Backend::Uring, probe(IoKind::Uring).is_ok());
    assert_eq!(serde_json::from_str::<IoKind>("\"uring\"").unwrap(), IoKind::Uring);
    assert_eq!(
        (Backend::Uring.to_string(), Backend::Epoll.to_string()),
        ("io_uring".into(), "epoll".into())
    );
}

//! What the room promises, on both backends, from the outside: real sockets on loopback.

use std::{
    future::Future,
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{
    Backend, IoKind, Listener, PostError, Shard, ShardError, Stream, probe, sleep, start,
    unpin_thread,
};

const BIG: usize = 10 << 20;
const PATIENCE: Duration = Duration::from_secs(60);

fn backends() -> Vec<Backend> {
    let mut all = vec![Backend::Epoll];
    match probe(IoKind::Uring) {
        Ok(ring) => all.push(ring),
        Err(error) => eprintln!("only epoll is tested: {error}"),
    }
    all
}

/// Runs `body` as the main of `count` shards on each backend; its panics fail the test.
fn run<F, Fut>(count: usize, body: F)
where
    F: Fn(Shard) -> Fut + Send + Sync + Clone + 'static,
    Fut: Future<Output = ()> + 'static,
{
    for backend in backends() {
        let body = body.clone();
        let bounded = move |shard: Shard| {
            let body = body(shard);
            async move { tokio::time::timeout(PATIENCE, body).await.expect("the test hangs") }
        };
        start(count, backend, bounded).unwrap().join().unwrap_or_else(|e| panic!("{backend}: {e}"));
    }
}

fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn open(shard: &Shard) -> Listener {
    shard.listen(loopback(), 128).unwrap()
}

/// A connection: our end, and the peer's as a plain blocking socket.
async fn pair(shard: &Shard) -> (Stream, TcpStream) {
    let listener = open(shard);
    let peer = TcpStream::connect(listener.local_addr()).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let (stream, from) = listener.accept().await.unwrap();
    assert_eq!(from, peer.local_addr().unwrap());
    assert_eq!(stream.peer_addr(), from);
    assert_eq!(stream.local_addr().unwrap(), listener.local_addr());
    assert!(stream.nodelay(), "inherited from the listener");
    (stream, peer)
}

/// Runs blocking code beside the shard.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = tokio::sync::oneshot::channel();
    thread::spawn(move || done.send(work()));
    result.await.expect("the peer's side failed")
}

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
        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        let shards = start(2, backend, move |shard: Shard| {
            let _held = Arc::clone(&held);
            async move { assert_ne!(shard.index(), 1, "as the test wants it") }
        })
        .unwrap();
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

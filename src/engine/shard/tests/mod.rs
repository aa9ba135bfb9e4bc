//! What the room promises, on both backends, from the outside: real sockets on loopback.

mod life;
mod ready;
mod secure;
mod stream;
mod travel;

use std::{
    future::Future,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use super::{Backend, IoKind, Listener, Shard, Stream, probe, start};

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

//! From one shard to another and back.

use std::{
    future::Future,
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    process::Command,
    sync::Arc,
    time::Duration,
};

use rustix::{
    io::Errno,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use tokio::sync::{Barrier, oneshot};

use super::{
    beside, pair, run,
    secure::{Sides, pattern, sides},
};
use crate::{
    shard::{Detached, Shard, Stream, sleep},
    tls::{Channel, Connector, Trust},
};

/// Runs `body` on the first of two shards; the other does what [`over`] asks of it.
fn run_two<F, Fut>(body: F)
where
    F: Fn(Shard) -> Fut + Send + Sync + Clone + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let both = Arc::new(Barrier::new(2));
    run(2, move |shard| {
        let (both, body) = (Arc::clone(&both), body.clone());
        async move {
            if shard.index() == 0 {
                body(shard).await;
            }
            both.wait().await;
        }
    });
}

/// Runs `work` on the other shard; what came of it.
async fn over<T, Fut>(shard: &Shard, work: impl FnOnce(Shard) -> Fut + Send + 'static) -> T
where
    T: Send + 'static,
    Fut: Future<Output = T> + 'static,
{
    let (done, result) = oneshot::channel();
    let there = shard.remotes()[1 - shard.index()].clone();
    let job = move |there: &Shard| {
        let work = work(there.clone());
        there.spawn(async move { drop(done.send(work.await)) });
    };
    there.post(job).unwrap();
    result.await.expect("the other shard failed")
}

fn detach(stream: Stream) -> Detached {
    stream.detach().map_err(|(error, _)| error).unwrap()
}

async fn recv(stream: &mut Stream, room: usize) -> Vec<u8> {
    let (read, buf) = stream.recv(Vec::with_capacity(room)).await;
    read.unwrap();
    buf
}

/// Reads `octets`, sends them back, and gives the stream away again.
async fn echo(shard: Shard, detached: Detached, octets: usize) -> Detached {
    let mut stream = shard.attach(detached).unwrap();
    assert_eq!(shard.sockets(), 1);
    let mut got = Vec::new();
    while got.len() < octets {
        stream.readable().await.unwrap();
        got.extend(recv(&mut stream, octets - got.len()).await);
    }
    stream.send(got).await.0.unwrap();
    let detached = detach(stream);
    assert_eq!(shard.sockets(), 0);
    detached
}

fn sees_no_close(peer: &mut TcpStream) {
    peer.set_nonblocking(true).unwrap();
    assert_eq!(peer.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    peer.set_nonblocking(false).unwrap();
}

#[test]
fn a_connection_goes_on_at_the_other_shard_and_back_home() {
    run_two(|shard| async move {
        let (mut stream, mut peer) = pair(&shard).await;
        let (from, local) = (stream.peer_addr(), stream.local_addr().unwrap());
        stream.deadline().set(shard.now() + 30_000);
        peer.write_all(b"login, and more").unwrap();
        stream.readable().await.unwrap();
        assert_eq!(recv(&mut stream, 5).await, b"login");
        let mut detached = detach(stream);
        assert_eq!(shard.sockets(), 0);
        peer.write_all(b" on the way").unwrap();
        detached = over(&shard, |there| echo(there, detached, 21)).await;
        assert_eq!(hear(&mut peer, 21), b", and more on the way");
        for turn in 0..20 {
            sees_no_close(&mut peer);
            peer.write_all(&[turn; 70]).unwrap();
            detached = echo(shard.clone(), detached, 30).await;
            detached = over(&shard, |there| echo(there, detached, 40)).await;
            assert_eq!(hear(&mut peer, 70), [turn; 70]);
        }
        let stream = shard.attach(detached).unwrap();
        assert_eq!((stream.peer_addr(), stream.local_addr().unwrap()), (from, local));
        assert!(stream.nodelay() && !stream.deadline().expired());
    });
}

fn hear(peer: &mut TcpStream, octets: usize) -> Vec<u8> {
    let mut heard = vec![0; octets];
    peer.read_exact(&mut heard).unwrap();
    heard
}

#[test]
fn one_that_arrives_nowhere_is_closed() {
    run_two(|shard| async move {
        let (stream, mut peer) = pair(&shard).await;
        drop(detach(stream));
        assert_eq!(beside(move || peer.read(&mut [0])).await.unwrap(), 0);
        let (stream, mut peer) = pair(&shard).await;
        let detached = detach(stream);
        over(&shard, |there| async move { drop(there.attach(detached)) }).await;
        assert_eq!(beside(move || peer.read(&mut [0])).await.unwrap(), 0);
    });
}

#[test]
fn deadlines_and_brakes_work_where_it_is_now() {
    run_two(|shard| async move {
        let (stream, mut peer) = pair(&shard).await;
        let left_behind = stream.brake();
        let detached = detach(stream);
        left_behind.pull();
        sleep(400).await;
        over(&shard, |there| async move {
            let mut stream = there.attach(detached).unwrap();
            let early = tokio::time::timeout(Duration::from_millis(400), stream.readable()).await;
            assert!(early.is_err(), "the old brake is nobody's");
            stream.deadline().set(there.now() + 100);
            assert_eq!(recv(&mut stream, 9).await, b"");
            assert!(stream.deadline().expired());
            stream.send(b"BYE".to_vec()).await.0.unwrap();
        })
        .await;
        let mut heard = String::new();
        peer.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "BYE");
    });
}

#[test]
fn one_that_is_not_at_rest_or_at_its_end_stays() {
    run(1, |shard| async move {
        let (mut stream, mut peer) = pair(&shard).await;
        let impatient = Duration::from_millis(30);
        let read = tokio::time::timeout(impatient, stream.recv(Vec::with_capacity(9))).await;
        assert!(read.is_err());
        let (error, stream) = stream.detach().unwrap_err();
        assert_eq!((error.kind(), shard.sockets()), (ErrorKind::Other, 1));
        drop(stream);
        assert_eq!(beside(move || peer.read(&mut [0])).await.unwrap(), 0);

        let (stream, mut peer) = pair(&shard).await;
        stream.brake().pull();
        let (error, mut stream) = stream.detach().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        stream.send(b"BYE".to_vec()).await.0.unwrap();
        drop(stream);
        let mut heard = String::new();
        peer.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "BYE");
    });
}

#[test]
fn without_a_descriptor_it_stays() {
    const CHILD: &str = "RINGPOST_TEST_WITHOUT_DESCRIPTORS";
    if std::env::var_os(CHILD).is_none() {
        // The limit is the whole process's, and other tests run in this one.
        let name = "shard::tests::travel::without_a_descriptor_it_stays";
        let mut child = Command::new(std::env::current_exe().unwrap());
        let child = child.args(["--exact", name]).env(CHILD, "").output().unwrap();
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    run(1, |shard| async move {
        let (stream, mut peer) = pair(&shard).await;
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(4), ..limit }).unwrap();
        let refused = stream.detach();
        setrlimit(Resource::Nofile, limit).unwrap();
        let (error, mut stream) = refused.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::MFILE.raw_os_error()));
        assert_eq!(shard.sockets(), 1);
        stream.send(b"NO [UNAVAILABLE]".to_vec()).await.0.unwrap();
        assert_eq!(hear(&mut peer, 16), b"NO [UNAVAILABLE]");
        drop(detach(stream));
    });
}

/// The peer, with its records in its own hand.
struct Client {
    channel: Channel,
    socket: TcpStream,
}

impl Client {
    fn meet(channel: Channel, socket: TcpStream) -> io::Result<Self> {
        let mut client = Self { channel, socket };
        while client.channel.is_handshaking() {
            client.flush()?;
            if !client.channel.has_records() {
                client.read()?;
            }
            client.channel.process()?;
        }
        client.flush()?;
        Ok(client)
    }

    fn flush(&mut self) -> io::Result<()> {
        let out = self.channel.outgoing()?;
        self.socket.write_all(&out)?;
        self.channel.sent(out);
        Ok(())
    }

    fn read(&mut self) -> io::Result<()> {
        let mut buffer = self.channel.buffer(4096);
        buffer.resize(4096, 0);
        let read = self.socket.read(&mut buffer)?;
        assert!(read > 0, "the connection was closed");
        buffer.truncate(read);
        self.channel.records(buffer);
        Ok(())
    }

    fn sealed(&mut self, text: &[u8]) -> Vec<u8> {
        self.channel.seal(text).unwrap();
        self.channel.outgoing().unwrap()
    }

    fn say(&mut self, text: &[u8]) {
        let records = self.sealed(text);
        self.socket.write_all(&records).unwrap();
    }

    fn hear(&mut self, octets: usize) -> Vec<u8> {
        let mut got = Vec::with_capacity(octets);
        while got.len() < octets {
            if self.channel.open(&mut got).unwrap() == 0 {
                self.read().unwrap();
            }
        }
        got
    }
}

/// A connection under TLS, and its peer.
async fn secured(shard: &Shard, sides: &Sides, connector: &Connector) -> (Stream, Client) {
    let (mut stream, socket) = pair(shard).await;
    let channel = connector.channel("mx.test", &Trust::Anyone).unwrap();
    let there = tokio::task::spawn_local(beside(move || Client::meet(channel, socket)));
    stream.secure(sides.acceptor.channel().unwrap(), Vec::new()).await.unwrap();
    (stream, there.await.unwrap().unwrap())
}

#[test]
fn tls_goes_on_at_the_other_shard() {
    run_two(|shard| async move {
        let sides = sides();
        let of_1_2 = sides.connector.of_1_2();
        for (connector, version) in [(&of_1_2, "TLSv1.2"), (&sides.connector, "TLSv1.3")] {
            let (stream, mut client) = secured(&shard, &sides, connector).await;
            assert_eq!(stream.tls().unwrap().version(), version);
            let mut detached = detach(stream);
            for turn in 0..20_u8 {
                client.say(&[turn; 300]);
                detached = over(&shard, |there| echo(there, detached, 300)).await;
                assert_eq!(client.hear(300), [turn; 300]);
                client.say(&[!turn; 20]);
                detached = echo(shard.clone(), detached, 20).await;
                assert_eq!(client.hear(20), [!turn; 20]);
            }
            sees_no_close(&mut client.socket);
        }
    });
}

#[test]
fn tickets_that_waited_leave_from_where_it_is_now() {
    run_two(|shard| async move {
        let sides = sides();
        let (stream, mut client) = secured(&shard, &sides, &sides.connector).await;
        assert!(stream.tls().unwrap().can_wait());
        let detached = detach(stream);
        client.say(b"x");
        let detached = over(&shard, |there| echo(there, detached, 1)).await;
        assert_eq!(client.hear(1), b"x");
        let (stream, _client) = secured(&shard, &sides, &sides.connector).await;
        assert!(stream.tls().unwrap().is_resumed(), "the tickets have arrived");
        drop(detached);
    });
}

/// Sends `first` and reads `room` octets of it, moves, then sends `rest` and hears everything.
async fn cut(
    shard: &Shard,
    stream: Stream,
    client: &mut Client,
    whole: &[u8],
    records: [&[u8]; 2],
) {
    let (mut stream, [first, rest]) = (stream, records);
    client.socket.write_all(first).unwrap();
    sleep(20).await;
    let mut got = recv(&mut stream, 3).await;
    let (detached, octets) = (detach(stream), whole.len() - got.len());
    client.socket.write_all(rest).unwrap();
    let detached = over(shard, move |there| echo(there, detached, octets)).await;
    got.extend(client.hear(octets));
    assert!(got == whole);
    drop(detached);
}

#[test]
fn records_that_have_come_by_half_go_along() {
    run_two(|shard| async move {
        let sides = sides();
        let of_1_2 = sides.connector.of_1_2();
        for connector in [&of_1_2, &sides.connector] {
            // Of what a read takes in here, one part stays text that nobody read, another records that
            // nobody opened, and the last is the beginning of one.
            for at in [40, 70, 71, 75, 90, 130, 140] {
                let (stream, mut client) = secured(&shard, &sides, connector).await;
                let words: [&[u8]; 5] = [b"one word", b"two", b"three words", b"four", b"five"];
                let records: Vec<u8> = words.iter().flat_map(|word| client.sealed(word)).collect();
                let (first, rest) = records.split_at(at.min(records.len()));
                cut(&shard, stream, &mut client, &words.concat(), [first, rest]).await;
            }
        }
    });
}

/// Reads `reads` times, then gives the stream away: with what has come so far, and whether it ended.
async fn leg(
    shard: Shard,
    detached: Detached,
    mut got: Vec<u8>,
    (reads, room): (u32, usize),
) -> (Option<Detached>, Vec<u8>) {
    let mut stream = shard.attach(detached).unwrap();
    for read in 0..reads {
        if read % 2 == 0 {
            stream.readable().await.unwrap();
        }
        let piece = recv(&mut stream, room).await;
        if piece.is_empty() {
            return (None, got);
        }
        got.extend_from_slice(&piece);
    }
    (Some(detach(stream)), got)
}

/// Moves it to and fro between reads at random, until the end; how often, and what has come.
async fn wander(shard: &Shard, stream: Stream) -> (u32, Vec<u8>) {
    let (mut detached, mut got, mut state, mut moves) = (detach(stream), Vec::new(), 7_u32, 0);
    loop {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let reading = (1 + (state >> 28), 1 + (state >> 12) as usize % (24 << 10));
        let (back, so_far) = if moves % 2 == 0 {
            over(shard, move |there| leg(there, detached, got, reading)).await
        } else {
            leg(shard.clone(), detached, got, reading).await
        };
        let Some(back) = back else { return (moves, so_far) };
        (detached, got) = (back, so_far);
        moves += 1;
    }
}

#[test]
fn megabytes_arrive_whole_at_a_connection_that_wanders() {
    run_two(|shard| async move {
        let (stream, mut peer) = pair(&shard).await;
        let writing = tokio::task::spawn_local(beside(move || {
            peer.write_all(&pattern()).unwrap();
            peer.shutdown(Shutdown::Write).unwrap();
            peer
        }));
        let (moves, got) = wander(&shard, stream).await;
        assert!(moves > 10 && got == pattern(), "{moves} moves");
        drop(writing.await.unwrap());
    });
}

#[test]
fn megabytes_arrive_whole_under_tls_too() {
    run_two(|shard| async move {
        let sides = sides();
        let of_1_2 = sides.connector.of_1_2();
        for connector in [&of_1_2, &sides.connector] {
            let (stream, mut client) = secured(&shard, &sides, connector).await;
            let writing = tokio::task::spawn_local(beside(move || {
                pattern().chunks(50_000).for_each(|piece| client.say(piece));
                client.channel.say_goodbye();
                client.flush().unwrap();
                client
            }));
            let (moves, got) = wander(&shard, stream).await;
            assert!(moves > 10 && got == pattern(), "{moves} moves");
            drop(writing.await.unwrap());
        }
    });
}

//! Owns: opening a connection within a time. Must stay true: a connect that hangs holds nothing but
//! its own socket, and giving it up is clean. Fails: `TimedOut`, or what the kernel says.
//!
//! Both backends connect through tokio: on the ring a connect could only be ended by shutting its
//! socket down, after which kernels before 6.10 start connecting anew.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    time::Duration,
};

use tokio::net::TcpSocket;

use super::{
    Backend,
    stream::{Socket, Stream},
    sweep::Registry,
};

pub(super) async fn connect(
    registry: &Rc<Registry>,
    backend: Backend,
    addr: SocketAddr,
    bind: Option<IpAddr>,
    timeout: Duration,
) -> io::Result<Stream> {
    if registry.stopping() {
        return Err(io::Error::other("the shard is stopping"));
    }
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_nodelay(true)?;
    if let Some(ip) = bind {
        socket.bind(SocketAddr::new(ip, 0))?;
    }
    let stream = match tokio::time::timeout(timeout, socket.connect(addr)).await {
        Ok(connected) => connected?,
        Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, "connect timed out")),
    };
    let socket = match backend {
        Backend::Epoll => Socket::Epoll(stream),
        Backend::Uring => {
            let stream = stream.into_std()?;
            stream.set_nonblocking(false)?;
            Socket::Uring(tokio_uring::net::TcpStream::from_std(stream))
        }
    };
    Ok(Stream::new(registry, socket, addr))
}

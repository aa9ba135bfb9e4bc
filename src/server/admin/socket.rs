//! The socket itself: bound before the thread starts, so that boot hears of trouble at once.
//!
//! What must stay true: the file has mode 0660 from its first moment; a socket that a dead server
//! left behind is replaced, one that answers is not, nor is anything that is no socket; the file is
//! removed at the end. A connection that is idle too long, or too slow to read, is closed.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use engine::telemetry::{Level, note};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::answer::{answer, failure};
use super::user::described;
use super::{CONNECTIONS_MAX, Hub, REQUEST_BYTES_MAX};

const MODE: u32 = 0o660;
const BACKLOG: i32 = 64;
/// A client that says nothing for so long is let go.
const IDLE_MAX: Duration = Duration::from_secs(120);
/// A client that does not read its answer for so long is let go.
const WRITE_MAX: Duration = Duration::from_secs(30);
/// After an accept that failed (no file descriptors left, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// How long answers under way may take at the end.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// The running admin door.
#[derive(Debug)]
pub struct Admin {
    path: PathBuf,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// Binds the socket at `path` and serves it on a thread of its own.
///
/// # Errors
/// When another server answers at `path`, something else than a socket lies there, or the socket
/// cannot be made; the message names the path.
pub fn start(path: &Path, hub: Arc<dyn Hub>) -> io::Result<Admin> {
    let named = |error: io::Error| {
        io::Error::new(error.kind(), format!("admin socket {}: {error}", path.display()))
    };
    let listener = bind(path).map_err(named)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (stop, stopping) = watch::channel(false);
    let thread = std::thread::Builder::new().name("admin".into()).spawn(move || {
        runtime.block_on(async move {
            match UnixListener::from_std(listener) {
                Ok(listener) => serve(listener, hub, stopping).await,
                Err(error) => note(Level::Error, format_args!("admin socket: {error}")),
            }
        });
    })?;
    Ok(Admin { path: path.into(), stop, thread: Some(thread) })
}

impl Admin {
    /// Where the socket is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Closes the socket, lets answers under way finish within a second, and removes the file.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        // The file goes first: a client finds no socket rather than one that never answers.
        let _ = std::fs::remove_file(&self.path);
        self.stop.send_replace(true);
        if thread.join().is_err() {
            note(Level::Error, "the admin thread panicked");
        }
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.end();
    }
}

fn bind(path: &Path) -> io::Result<StdListener> {
    remove_stale(path)?;
    let address = SocketAddrUnix::new(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket: OwnedFd =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // Linux gives the file the mode of the socket (less the umask): it is never open to others,
    // not even between bind and chmod.
    rustix::fs::fchmod(&socket, rustix::fs::Mode::from_raw_mode(MODE))?;
    rustix::net::bind(&socket, &address)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(MODE))?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

fn remove_stale(path: &Path) -> io::Result<()> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() {
        let text = "something that is no socket is in its place";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    match StdStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        Ok(_) => {
            let text = "another ringpost is running and answers here";
            Err(io::Error::new(io::ErrorKind::AddrInUse, text))
        }
        Err(error) => Err(error),
    }
}

async fn serve(listener: UnixListener, hub: Arc<dyn Hub>, mut stopping: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|stop| *stop) => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                note(Level::Warn, format_args!("admin socket: accept: {error}"));
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(slot) = slots.clone().try_acquire_owned() else {
            refuse(&stream);
            continue;
        };
        let (hub, mut stopping) = (hub.clone(), stopping.clone());
        tokio::spawn(async move {
            converse(stream, hub.as_ref(), &mut stopping).await;
            drop(slot);
        });
    }
    // When all slots are free again, all answers are out.
    let _ = timeout(CLOSE_PATIENCE, slots.acquire_many(CONNECTIONS_MAX as u32)).await;
}

/// One try without waiting: a client beyond the limit must not cost anything.
fn refuse(stream: &UnixStream) {
    let mut line = failure("too many admin connections").to_string();
    line.push('\n');
    let _ = stream.try_write(line.as_bytes());
}

async fn converse(stream: UnixStream, hub: &dyn Hub, stopping: &mut watch::Receiver<bool>) {
    let who = stream.peer_cred().map_or_else(|_| "unknown".into(), |peer| described(peer.uid()));
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = (&mut read).take(REQUEST_BYTES_MAX as u64 + 1);
        let got = tokio::select! {
            got = timeout(IDLE_MAX, bounded.read_until(b'\n', &mut line)) => got,
            _ = stopping.wait_for(|stop| *stop) => return,
        };
        if !matches!(got, Ok(Ok(1..))) {
            return;
        }
        let is_too_long = line.len() > REQUEST_BYTES_MAX;
        let mut reply = if is_too_long {
            let text = format!("a request is at most {REQUEST_BYTES_MAX} bytes");
            failure(&text).to_string().into_bytes()
        } else if line.trim_ascii().is_empty() {
            continue;
        } else {
            answer(hub, &who, &line).await
        };
        reply.push(b'\n');
        let written = timeout(WRITE_MAX, write.write_all(&reply)).await;
        if is_too_long || !matches!(written, Ok(Ok(()))) {
            return;
        }
    }
}

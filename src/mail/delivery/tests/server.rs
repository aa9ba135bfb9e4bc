//! A scripted next hop on a thread: what it says is the test's, what it hears is kept.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

use super::Setting;

/// What the server does at a line.
pub enum Answer {
    Say(String),
    /// Nothing, ever.
    Silence,
    HangUp,
}

pub fn say(text: &str) -> Answer {
    Answer::Say(format!("{text}\r\n"))
}

/// Where a script is asked: the number of the connection, from 0, and what was heard: `CONNECT`,
/// a command line, or `.` after a message.
type Script = dyn Fn(usize, &str) -> Answer + Send + Sync;

/// What was heard.
#[derive(Default)]
pub struct Heard {
    pub lines: Mutex<Vec<(usize, String)>>,
    pub messages: Mutex<Vec<Vec<u8>>>,
    pub connections: AtomicUsize,
    pub open: AtomicUsize,
    pub open_max: AtomicUsize,
}

#[derive(Clone)]
pub struct Server {
    pub addr: SocketAddr,
    pub heard: Arc<Heard>,
}

/// A server that takes everything and offers `offers`.
pub fn polite(offers: &[&str], line: &str) -> Answer {
    match line.split([' ', ':']).next().unwrap_or_default() {
        "CONNECT" => say("220 sink.test ESMTP"),
        "EHLO" | "LHLO" => {
            let mut text = String::from("250-sink.test");
            for offer in offers {
                text.push_str("\r\n250-");
                text.push_str(offer);
            }
            let last = text.rfind("250-").unwrap();
            text.replace_range(last + 3..=last + 3, " ");
            say(&text)
        }
        "DATA" => say("354 go on"),
        "QUIT" => say("221 bye"),
        _ => say("250 2.0.0 ok"),
    }
}

pub const MODERN: [&str; 5] = ["PIPELINING", "CHUNKING", "8BITMIME", "SMTPUTF8", "DSN"];

impl Server {
    pub fn start(
        addr: &str,
        script: impl Fn(usize, &str) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(addr).unwrap();
        let addr = listener.local_addr().unwrap();
        let (heard, script) = (Arc::new(Heard::default()), Arc::new(script));
        let of_thread = Arc::clone(&heard);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let (heard, script) = (Arc::clone(&of_thread), Arc::clone(&script));
                let number = heard.connections.fetch_add(1, SeqCst);
                let open = heard.open.fetch_add(1, SeqCst) + 1;
                heard.open_max.fetch_max(open, SeqCst);
                thread::spawn(move || {
                    let _ = talk(stream, number, &heard, &*script);
                    heard.open.fetch_sub(1, SeqCst);
                });
            }
        });
        Self { addr, heard }
    }

    /// One that takes everything.
    pub fn modern(addr: &str) -> Self {
        Self::start(addr, |_, line| polite(&MODERN, line))
    }

    pub fn lines(&self, verb: &str) -> Vec<String> {
        let lines = self.heard.lines.lock().unwrap();
        lines.iter().map(|(_, line)| line.clone()).filter(|it| it.starts_with(verb)).collect()
    }

    pub fn count(&self, verb: &str) -> usize {
        self.lines(verb).len()
    }

    pub fn connections(&self) -> usize {
        self.heard.connections.load(SeqCst)
    }

    /// Waits until all clients have gone and everything they said is heard.
    pub fn wait_until_alone(&self) {
        while self.heard.open.load(SeqCst) > 0 {
            thread::yield_now();
        }
    }

    pub fn messages(&self) -> Vec<String> {
        let messages = self.heard.messages.lock().unwrap();
        messages.iter().map(|it| String::from_utf8(it.clone()).unwrap()).collect()
    }
}

/// Talks until the peer has gone or the script ends it.
fn talk(stream: TcpStream, number: usize, heard: &Heard, script: &Script) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    let mut answer = |line: &str| -> std::io::Result<bool> {
        match script(number, line) {
            Answer::Say(text) => writer.write_all(text.as_bytes()).map(|()| text.starts_with('3')),
            Answer::Silence => Ok(false),
            Answer::HangUp => Err(std::io::ErrorKind::ConnectionAborted.into()),
        }
    };
    answer("CONNECT")?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        let command = line.trim_end().to_owned();
        line.clear();
        heard.lines.lock().unwrap().push((number, command.clone()));
        if let Some(rest) = command.strip_prefix("BDAT ") {
            let length = rest.split(' ').next().unwrap().parse().unwrap();
            let mut message = vec![0; length];
            reader.read_exact(&mut message)?;
            heard.messages.lock().unwrap().push(message);
            answer(".")?;
        } else if answer(&command)? && command == "DATA" {
            let message = read_data(&mut reader)?;
            heard.messages.lock().unwrap().push(message);
            answer(".")?;
        }
    }
    Ok(())
}

fn read_data(reader: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" {
            return Ok(message);
        }
        message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}

/// A server at 127.0.0.1 with a script, and the setting in which `a.test` leads to it.
pub fn scripted(
    script: impl Fn(usize, &str) -> Answer + Send + Sync + 'static,
) -> (Server, Setting) {
    let server = Server::start("127.0.0.1:0", script);
    let setting = Setting::new(server.addr.port()).domain("a.test", server.addr);
    (server, setting)
}

/// A moment of the server's own thread.
#[allow(clippy::disallowed_methods)] // it is no shard's
pub fn pause() {
    thread::sleep(std::time::Duration::from_millis(10));
}

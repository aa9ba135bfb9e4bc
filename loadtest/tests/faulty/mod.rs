//! A relay that does wrong on purpose: every tenth message is lost, repeated, cut, lengthened, bounced, or refused and
//! delivered all the same. Blocking threads and nothing of the load test's own code.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    Lose,
    Repeat,
    Cut,
    Lengthen,
    DenyAndDeliver,
    Bounce,
}

pub struct Faulty {
    address: SocketAddr,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Counters {
    messages: AtomicU64,
    faults: AtomicU64,
}

impl Faulty {
    pub fn start(next_hop: SocketAddr, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let counters = Arc::new(Counters::default());
        let shared = Arc::clone(&counters);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || serve(&stream.unwrap(), next_hop, fault, &shared));
            }
        });
        Self { address, counters }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn faults(&self) -> u64 {
        self.counters.faults.load(SeqCst)
    }
}

fn serve(
    stream: &TcpStream,
    next_hop: SocketAddr,
    fault: Fault,
    counters: &Counters,
) -> io::Result<()> {
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    writer.write_all(b"220 faulty\r\n")?;
    let (mut mail, mut rcpt) = (String::new(), String::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        match line.get(..4).unwrap_or_default() {
            "MAIL" => mail = line.split(' ').nth(1).unwrap_or_default().trim().to_owned(),
            "RCPT" => rcpt = line.trim().to_owned(),
            "DATA" => {
                writer.write_all(b"354 go on\r\n")?;
                let message = read_message(&mut reader)?;
                let wrong =
                    counters.messages.fetch_add(1, SeqCst) % 10 == 9 && fault != Fault::None;
                counters.faults.fetch_add(u64::from(wrong), SeqCst);
                let fault = if wrong { fault } else { Fault::None };
                let denied = fault == Fault::DenyAndDeliver;
                writer.write_all(if denied { b"550 no\r\n" } else { b"250 ok\r\n" })?;
                relay(next_hop, fault, &mail, &rcpt, message)?;
                continue;
            }
            "QUIT" => return writer.write_all(b"221 bye\r\n"),
            _ => {}
        }
        writer.write_all(b"250 ok\r\n")?;
    }
}

/// The message as it came, dots doubled, without the last one.
fn read_message(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        let start = message.len();
        reader.read_until(b'\n', &mut message)?;
        if &message[start..] == b".\r\n" {
            message.truncate(start);
            return Ok(message);
        }
    }
}

fn relay(
    to: SocketAddr,
    fault: Fault,
    mail: &str,
    rcpt: &str,
    mut message: Vec<u8>,
) -> io::Result<()> {
    let mut times = 1;
    let (mut mail, mut rcpt) = (format!("MAIL {mail}"), rcpt.to_owned());
    match fault {
        Fault::Lose => times = 0,
        Fault::Repeat => times = 2,
        Fault::Cut => {
            let last =
                message[..message.len() - 2].iter().rposition(|octet| *octet == b'\n').unwrap();
            message.truncate(last + 1);
        }
        Fault::Lengthen => message.extend_from_slice(b"-- \r\nfree of viruses\r\n"),
        Fault::Bounce => {
            let failed = rcpt.trim_start_matches("RCPT TO:<").trim_end_matches('>').to_owned();
            rcpt = mail.replace("MAIL FROM", "RCPT TO");
            mail = "MAIL FROM:<>".to_owned();
            message = format!(
                "Subject: failed\r\n\r\nReporting-MTA: dns; faulty\r\n\r\nFinal-Recipient: rfc822; {failed}\r\nAction: failed\r\n\r\n"
            )
            .into_bytes();
        }
        Fault::None | Fault::DenyAndDeliver => {}
    }
    for _ in 0..times {
        deliver(to, &mail, &rcpt, &message)?;
    }
    Ok(())
}

fn deliver(to: SocketAddr, mail: &str, rcpt: &str, message: &[u8]) -> io::Result<()> {
    let stream = TcpStream::connect(to)?;
    let (mut reader, mut writer) = (BufReader::new(&stream), &stream);
    let mut answer = String::new();
    reader.read_line(&mut answer)?;
    for command in ["HELO faulty", mail, rcpt, "DATA"] {
        writer.write_all(format!("{command}\r\n").as_bytes())?;
        reader.read_line(&mut answer)?;
    }
    let received = b"Received: from x by faulty; Fri, 27 Nov 2026 09:00:00 +0000\r\n";
    writer.write_all(&[&received[..], message, b".\r\n"].concat())?;
    reader.read_line(&mut answer)?;
    Ok(())
}

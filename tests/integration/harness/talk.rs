//! A raw SMTP voice: sends exactly the octets it is told to, and reads replies.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// One connection.
pub struct Talk {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Talk {
    /// Connects without waiting for anything.
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        Self { stream, reader }
    }

    /// Connects, hears 220, says EHLO.
    pub fn hello(address: SocketAddr) -> Self {
        let mut talk = Self::connect(address);
        talk.expect("220");
        talk.ask("EHLO client.test", "250");
        talk
    }

    pub fn send(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).unwrap();
    }

    /// Sends what may no longer be wanted.
    pub fn try_send(&mut self, octets: &[u8]) -> bool {
        self.stream.write_all(octets).is_ok()
    }

    /// All lines of one reply; empty when the server hung up.
    pub fn reply(&mut self) -> String {
        let mut text = String::new();
        loop {
            let mut line = Vec::new();
            match self.reader.read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return text,
                Ok(_) => {}
            }
            text.push_str(&String::from_utf8_lossy(&line));
            if line.get(3) != Some(&b'-') {
                println!("S: {}", text.trim_end());
                return text;
            }
        }
    }

    /// A reply that must start with `code`.
    pub fn expect(&mut self, code: &str) -> String {
        let reply = self.reply();
        assert!(reply.starts_with(code), "expected {code}, heard {reply:?}");
        reply
    }

    /// A command and its reply, which must start with `code`.
    pub fn ask(&mut self, command: &str, code: &str) -> String {
        println!("C: {}", command.get(..200).unwrap_or(command));
        self.send(format!("{command}\r\n").as_bytes());
        self.expect(code)
    }

    /// A command and whatever comes back.
    pub fn say(&mut self, command: &str) -> String {
        self.ask(command, "")
    }

    /// One whole message; the final reply.
    pub fn mail(&mut self, from: &str, to: &[&str], text: &str) -> String {
        self.ask(&format!("MAIL FROM:{from}"), "250");
        for recipient in to {
            self.ask(&format!("RCPT TO:{recipient}"), "250");
        }
        self.ask("DATA", "354");
        self.send(text.as_bytes());
        self.say("\r\n.")
    }

    /// Whether the server has closed the connection.
    pub fn closed(&mut self) -> bool {
        let mut rest = Vec::new();
        self.reader.read_to_end(&mut rest).is_ok()
    }
}

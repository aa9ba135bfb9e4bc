//! A name server on loopback that knows one zone and counts what it is asked.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    sync::{Arc, Mutex},
    thread,
};

use engine::{dns, settings::Span};

const A: u16 = 1;
const CNAME: u16 = 5;
const SOA: u16 = 6;
const PTR: u16 = 12;
const MX: u16 = 15;
const TXT: u16 = 16;
const AAAA: u16 = 28;

const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;

#[derive(Clone, Default)]
pub struct Zone {
    records: HashMap<(String, u16), Vec<Vec<u8>>>,
    /// Names that exist, those with records and those without.
    names: Vec<String>,
    failing: Vec<String>,
    silent: Vec<String>,
}

impl Zone {
    fn add(mut self, name: &str, kind: u16, data: Vec<u8>) -> Self {
        self.names.push(name.to_owned());
        self.records.entry((name.to_owned(), kind)).or_default().push(data);
        self
    }

    pub fn txt(self, name: &str, text: &str) -> Self {
        let mut data = Vec::new();
        for piece in text.as_bytes().chunks(255) {
            data.push(piece.len() as u8);
            data.extend_from_slice(piece);
        }
        self.add(name, TXT, data)
    }

    pub fn host(self, name: &str, ip: &str) -> Self {
        match ip.parse().unwrap() {
            IpAddr::V4(ip) => self.add(name, A, ip.octets().to_vec()),
            IpAddr::V6(ip) => self.add(name, AAAA, ip.octets().to_vec()),
        }
    }

    pub fn mx(self, name: &str, host: &str) -> Self {
        self.add(name, MX, [&[0, 10][..], &wire(host)].concat())
    }

    pub fn ptr(self, name: &str, target: &str) -> Self {
        self.add(name, PTR, wire(target))
    }

    pub fn alias(self, name: &str, target: &str) -> Self {
        self.add(name, CNAME, wire(target))
    }

    /// A name without records.
    pub fn empty(mut self, name: &str) -> Self {
        self.names.push(name.to_owned());
        self
    }

    pub fn failing(mut self, name: &str) -> Self {
        self.failing.push(name.to_owned());
        self
    }

    pub fn silent(mut self, name: &str) -> Self {
        self.silent.push(name.to_owned());
        self
    }

    fn answer(&self, question: &[u8], log: &Mutex<Vec<String>>) -> Option<Vec<u8>> {
        let (name, end) = read_name(question, 12);
        let kind = u16::from_be_bytes([question[end], question[end + 1]]);
        log.lock().unwrap().push(format!("{name} {kind}"));
        if self.silent.iter().any(|silent| name.ends_with(silent.as_str())) {
            return None;
        }
        let alias = self.records.get(&(name.clone(), CNAME));
        let found = self.records.get(&(name.clone(), kind)).or(alias);
        let exists =
            self.names.iter().any(|known| *known == name || known.ends_with(&format!(".{name}")));
        let code = match found {
            _ if self.failing.contains(&name) => SERVFAIL,
            None if !exists => NXDOMAIN,
            _ => 0,
        };
        let found = if code == SERVFAIL { None } else { found };
        let count = found.map_or(0, Vec::len);
        let authority = u8::from(found.is_none() && code != SERVFAIL);
        let mut out = question[..2].to_vec();
        out.extend_from_slice(&[0x81, 0x80 | code, 0, 1, 0, count as u8, 0, authority, 0, 0]);
        out.extend_from_slice(&question[12..end + 4]);
        let kind = if found == alias && found.is_some() { CNAME } else { kind };
        for data in found.into_iter().flatten() {
            record(&[0xC0, 12], kind, data, &mut out);
        }
        if authority == 1 {
            let soa = [wire("ns.test"), wire("h.test"), [0, 0, 1, 44].repeat(5)].concat();
            record(&[0], SOA, &soa, &mut out);
        }
        Some(out)
    }
}

fn record(name: &[u8], kind: u16, data: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&[0, 1, 0, 0, 1, 44]);
    out.extend_from_slice(&(data.len() as u16).to_be_bytes());
    out.extend_from_slice(data);
}

fn wire(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        out.push(label.len() as u8);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out
}

fn read_name(message: &[u8], mut at: usize) -> (String, usize) {
    let mut labels = Vec::new();
    while message[at] != 0 {
        let end = at + 1 + usize::from(message[at]);
        labels.push(String::from_utf8_lossy(&message[at + 1..end]).to_ascii_lowercase());
        at = end;
    }
    (labels.join("."), at + 1)
}

/// A server with its log of questions: "name type".
pub struct Server {
    addr: SocketAddr,
    pub asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub fn start(zone: Zone) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = socket.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            let mut buf = [0; 4096];
            while let Ok((len, from)) = socket.recv_from(&mut buf) {
                if let Some(answer) = zone.answer(&buf[..len], &log) {
                    socket.send_to(&answer, from).unwrap();
                }
            }
        });
        Self { addr, asked }
    }

    pub fn settings(&self) -> dns::Settings {
        let timeout = Span::secs(5);
        dns::Settings { nameservers: vec![self.addr], timeout, ..dns::Settings::default() }
    }

    pub fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

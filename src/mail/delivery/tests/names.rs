//! A name server on a thread that knows a few MX and A records and counts its questions.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

const A: u16 = 1;
const MX: u16 = 15;
const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;

/// The records of one name.
#[derive(Clone, Default)]
pub struct Records {
    pub mx: Vec<(u16, &'static str)>,
    pub a: Vec<Ipv4Addr>,
    pub broken: bool,
}

pub struct Names {
    pub addr: SocketAddr,
    pub asked: Arc<AtomicUsize>,
}

impl Names {
    pub fn start(zone: HashMap<String, Records>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let addr = socket.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        thread::spawn(move || {
            let mut buf = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut buf) {
                count.fetch_add(1, SeqCst);
                let _ = socket.send_to(&answer(&buf[..length], &zone), from);
            }
        });
        Self { addr, asked }
    }
}

/// The answer to a question, which is all that is kept of it (RFC 1035 §4.1).
fn answer(question: &[u8], zone: &HashMap<String, Records>) -> Vec<u8> {
    let mut at = 12;
    let mut labels = Vec::new();
    while question[at] != 0 {
        let length = usize::from(question[at]);
        let label = std::str::from_utf8(&question[at + 1..=at + length]).unwrap();
        labels.push(label.to_ascii_lowercase());
        at += length + 1;
    }
    let kind = u16::from_be_bytes([question[at + 1], question[at + 2]]);
    let records = zone.get(&labels.join("."));
    let (code, data) = match records {
        None => (NXDOMAIN, Vec::new()),
        Some(records) if records.broken => (SERVFAIL, Vec::new()),
        Some(records) => (0, data(records, kind)),
    };
    let mut reply = question[..2].to_vec();
    reply.extend([0x81, 0x80 | code, 0, 1, 0, u8::try_from(data.len()).unwrap(), 0, 0, 0, 0]);
    reply.extend(&question[12..at + 5]);
    for data in data {
        reply.extend([0xc0, 12]);
        reply.extend(kind.to_be_bytes());
        reply.extend([0, 1, 0, 0, 1, 0]);
        reply.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        reply.extend(data);
    }
    reply
}

fn data(records: &Records, kind: u16) -> Vec<Vec<u8>> {
    match kind {
        A => records.a.iter().map(|ip| ip.octets().to_vec()).collect(),
        MX => records.mx.iter().map(|(preference, host)| mx(*preference, host)).collect(),
        _ => Vec::new(),
    }
}

fn mx(preference: u16, host: &str) -> Vec<u8> {
    let mut data = preference.to_be_bytes().to_vec();
    for label in host.split('.').filter(|label| !label.is_empty()) {
        data.push(u8::try_from(label.len()).unwrap());
        data.extend(label.as_bytes());
    }
    data.push(0);
    data
}

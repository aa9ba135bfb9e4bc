//! The sink's own small DNS, over UDP and TCP.
//!
//! Owns how questions are answered; [`Zone`] knows what to say. That a name or a record is not there is said with an SOA
//! record, so that it may be kept (RFC 2308). What is no question gets no answer; what it cannot read, neither.

mod zone;

use std::{io, net::SocketAddr, rc::Rc};

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use glommio::net::{TcpListener, TcpStream, UdpSocket};
use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, ResponseCode},
    rr::{Name, RData, Record, RecordType, rdata::SOA},
};

use crate::wire::plain;

pub use zone::Zone;

/// Seconds that an answer may be kept.
const TTL_S: u32 = 300;
/// Octets of an answer over UDP for who does not say that it takes more (RFC 1035 §4.2.1).
const UDP_MAX: usize = 512;

impl Zone {
    /// The answer, cut when it has more than `octets_max` octets or than the client takes.
    fn reply(&self, question: &[u8], octets_max: usize) -> Option<Vec<u8>> {
        let question = Message::from_vec(question).ok()?;
        let query = question
            .queries
            .first()
            .filter(|_| question.metadata.message_type == MessageType::Query)?;
        let mut answer = Message::response(question.metadata.id, OpCode::Query);
        answer.metadata.authoritative = true;
        answer.metadata.recursion_desired = question.metadata.recursion_desired;
        answer.metadata.recursion_available = true;
        answer.add_query(query.clone());
        if let Some(edns) = &question.edns {
            let mut ours = Edns::new();
            ours.set_max_payload(edns.max_payload());
            answer.set_edns(ours);
        }
        match self.records(&query.name().to_ascii()) {
            None => answer.metadata.response_code = ResponseCode::NXDomain,
            Some(records) => {
                let meant = records.into_iter().filter(|data| {
                    query.query_type() == RecordType::ANY
                        || data.record_type() == query.query_type()
                });
                let record = |data| Record::from_rdata(query.name().clone(), TTL_S, data);
                answer.add_answers(meant.map(record));
            }
        }
        if answer.answers.is_empty() {
            answer.add_authority(authority());
        }
        let octets_max = question
            .edns
            .as_ref()
            .map_or(octets_max, |edns| octets_max.max(edns.max_payload().into()));
        let whole = answer.to_vec().ok()?;
        if whole.len() <= octets_max { Some(whole) } else { answer.truncate().to_vec().ok() }
    }
}

/// The authority for all there is: the root.
fn authority() -> Record {
    let seconds = TTL_S.cast_signed();
    let data = SOA::new(Name::root(), Name::root(), 1, seconds, seconds, seconds, TTL_S);
    Record::from_rdata(Name::root(), TTL_S, RData::SOA(data))
}

/// Opens the sockets.
///
/// # Errors
/// The address is in use.
pub fn bind(address: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    // glommio shares ports: ask first whether somebody else has it.
    drop(std::net::UdpSocket::bind(address)?);
    let datagrams = UdpSocket::bind(address).map_err(plain)?;
    Ok((datagrams, TcpListener::bind(address).map_err(plain)?))
}

/// Answers until it is dropped.
pub async fn answer(socket: UdpSocket, zone: Zone) {
    let mut question = [0; 1500];
    loop {
        let Ok((size, from)) = socket.recv_from(&mut question).await else { continue };
        if let Some(reply) = zone.reply(&question[..size], UDP_MAX) {
            // Who asked and is gone does not need it.
            let _ = socket.send_to(&reply, from).await;
        }
    }
}

/// Answers on every connection until it is dropped: what is too long for a datagram comes this way.
pub async fn answer_streams(listener: TcpListener, zone: Zone) {
    let zone = Rc::new(zone);
    while let Ok(stream) = listener.accept().await {
        let zone = Rc::clone(&zone);
        // Its end is the client's business.
        glommio::spawn_local(async move { converse(stream, &zone).await.unwrap_or(()) }).detach();
    }
}

/// Questions of one connection, each after its length (RFC 1035 §4.2.2), until the client has none.
async fn converse(mut stream: TcpStream, zone: &Zone) -> io::Result<()> {
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length).await?;
        let mut question = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut question).await?;
        let Some(reply) = zone.reply(&question, u16::MAX.into()) else { return Ok(()) };
        let Ok(length) = u16::try_from(reply.len()) else { return Ok(()) };
        stream.write_all(&[&length.to_be_bytes()[..], &reply].concat()).await?;
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::Query;

    use super::*;

    fn ask(zone: &Zone, name: &str, kind: RecordType) -> Message {
        let mut question = Message::query();
        question.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        Message::from_vec(&zone.reply(&question.to_vec().unwrap(), UDP_MAX).unwrap()).unwrap()
    }

    #[test]
    fn sites_have_exchanges_and_these_have_addresses() {
        let zone = Zone { sites: 1000, ..Zone::default() };
        let answer = ask(&zone, "site999.sites.test.", RecordType::MX);
        assert!(
            answer.answers[0].to_string().ends_with("MX 10 mx.site999.sites.test."),
            "{answer}"
        );
        let answer = ask(&zone, "MX.site999.sites.test.", RecordType::A);
        assert!(answer.answers[0].to_string().ends_with("A 127.16.3.250"), "{answer}");
        assert_eq!(zone.reply(b"no question", UDP_MAX), None);
    }

    #[test]
    fn what_is_not_there_is_said_so_that_it_may_be_kept() {
        let zone = Zone { sites: 1000, ..Zone::default() };
        for (name, code) in [
            ("site1.sites.test.", ResponseCode::NoError),
            ("sites.test.", ResponseCode::NoError),
            ("test.", ResponseCode::NoError),
            ("arpa.", ResponseCode::NoError),
            ("_domainkey.source.test.", ResponseCode::NoError),
            ("site1000.sites.test.", ResponseCode::NXDomain),
            ("site1.other.test.", ResponseCode::NXDomain),
            ("sitex.sites.test.", ResponseCode::NXDomain),
            ("other.source.test.", ResponseCode::NXDomain),
        ] {
            let answer = ask(&zone, name, RecordType::AAAA);
            assert_eq!(answer.metadata.response_code, code, "{name}");
            assert_eq!(answer.answers.len(), 0, "{name}");
            assert_eq!(answer.authorities[0].record_type(), RecordType::SOA, "{name}");
        }
    }

    #[test]
    fn a_long_answer_is_cut_for_who_cannot_take_it() {
        let zone = Zone { sites: 1, ..Zone::default() };
        let mut question = Message::query();
        let name = Name::from_ascii("rsa._domainkey.source.test.").unwrap();
        question.add_query(Query::query(name, RecordType::TXT));
        let read = |question: &Message, octets_max| {
            let reply = zone.reply(&question.to_vec().unwrap(), octets_max).unwrap();
            Message::from_vec(&reply).unwrap()
        };
        let cut = read(&question, 300);
        assert!(cut.metadata.truncation && cut.answers.is_empty(), "{cut}");
        let mut edns = Edns::new();
        edns.set_max_payload(1232);
        question.set_edns(edns);
        let whole = read(&question, 300);
        assert!(!whole.metadata.truncation && whole.edns.is_some(), "{whole}");
        assert_eq!(whole.answers.len(), 1);
    }
}

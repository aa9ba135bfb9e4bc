//! The digest against mail-parser: messages of known shape, and lists of addresses.

use std::ops::ControlFlow;

use mail_parser::{MessageParser, MessagePart, PartKind};
use proptest::prelude::*;

use super::{digest_of, grammar};
use crate::mime::{
    Decoder, Encoding, Kind, PartRange, Structure,
    address::{self, Entry},
    text_of,
};

/// A part of a message that is made up.
#[derive(Clone, Debug)]
enum Shape {
    Leaf { kind: usize, encoding: usize, body: String },
    Multipart { closed: bool, preamble: bool, parts: Vec<Shape> },
    Message(Box<Shape>),
}

const KINDS: [&str; 5] = [
    "Content-Type: text/plain; charset=utf-8\r\n",
    "Content-Type: text/html; charset=iso-8859-1\r\n",
    "",
    "Content-Type: application/octet-stream; name=\"a b\"\r\n",
    "Content-Type: image/png\r\nContent-Disposition: attachment; filename=x.png\r\n",
];
const ENCODINGS: [&str; 3] = [
    "",
    "Content-Transfer-Encoding: base64\r\n",
    "Content-Transfer-Encoding: quoted-printable\r\n",
];

impl Shape {
    fn write(&self, number: &mut u32, out: &mut String) {
        match self {
            Self::Leaf { kind, encoding, body } => {
                out.push_str(KINDS[*kind]);
                out.push_str(ENCODINGS[*encoding]);
                out.push_str("\r\n");
                out.push_str(body);
            }
            Self::Multipart { closed, preamble, parts } => {
                *number += 1;
                let boundary = format!("=_{number}_x");
                out.push_str("Content-Type: multipart/mixed;\r\n boundary=\"");
                out.push_str(&boundary);
                out.push_str("\"\r\n\r\n");
                out.push_str(if *preamble { "preamble\r\n" } else { "" });
                for part in parts {
                    out.push_str(&format!("--{boundary}\r\n"));
                    part.write(number, out);
                    out.push_str("\r\n");
                }
                if *closed {
                    out.push_str(&format!("--{boundary}--\r\n"));
                }
            }
            Self::Message(inside) => {
                out.push_str("Content-Type: message/rfc822\r\n\r\nSubject: inside\r\n");
                inside.write(number, out);
            }
        }
    }
}

fn shape() -> impl Strategy<Value = Shape> {
    let body = "([a-zA-Z0-9+/=]{0,9}|--|é| |\r\n){0,12}x";
    let leaf = (0..KINDS.len(), 0..ENCODINGS.len(), body)
        .prop_map(|(kind, encoding, body)| Shape::Leaf { kind, encoding, body });
    leaf.prop_recursive(5, 24, 4, |inside| {
        prop_oneof![
            3 => (any::<bool>(), any::<bool>(), prop::collection::vec(inside.clone(), 1..4))
                .prop_map(|(closed, preamble, parts)| {
                    Shape::Multipart { closed, preamble, parts }
                }),
            1 => inside.prop_map(|inside| Shape::Message(Box::new(inside))),
        ]
    })
}

/// Compares a part and all inside it.
fn compare(message: &[u8], structure: &Structure, path: &mut Vec<u32>, theirs: &MessagePart<'_>) {
    let ours = structure.part(path).unwrap();
    match theirs.kind() {
        PartKind::Multipart => {
            assert_eq!(ours.kind, Kind::Multipart, "{path:?}");
            assert_eq!(ours.body.start, theirs.offset_body());
            for (number, child) in (1..).zip(theirs.children()) {
                path.push(number);
                compare(message, structure, path, &child);
                path.pop();
            }
            path.push(u32::try_from(theirs.children().len() + 1).unwrap());
            assert_eq!(structure.part(path), None);
            path.pop();
        }
        PartKind::Message(inside) => {
            assert_eq!(ours.kind, Kind::Message, "{path:?}");
            let root = inside.root_part();
            let range = ours.message.unwrap();
            assert_eq!(
                (range.header.start, range.body.start),
                (root.offset_header(), root.offset_body())
            );
            // A message inside has no number of its own, but its only part has one.
            let only = !root.is_multipart();
            let before = path.len();
            path.extend(path.is_empty().then_some(1));
            path.extend(only.then_some(1));
            if only {
                compare(message, structure, path, &root);
            } else {
                for (number, child) in (1..).zip(root.children()) {
                    path.push(number);
                    compare(message, structure, path, &child);
                    path.pop();
                }
            }
            path.truncate(before);
        }
        _ => compare_leaf(message, &ours, theirs),
    }
}

fn compare_leaf(message: &[u8], ours: &PartRange<'_>, theirs: &MessagePart<'_>) {
    let range = |part: &MessagePart<'_>| part.offset_body()..part.offset_end();
    assert_eq!(ours.body, range(theirs));
    assert_eq!(ours.header, theirs.offset_header()..theirs.offset_body());
    let body = &message[ours.body.start as usize..ours.body.end as usize];
    let mut decoded = Vec::new();
    let mut decoder = Decoder::new(ours.encoding).unwrap();
    body.chunks(7).for_each(|piece| decoder.push(piece, &mut decoded));
    decoder.finish(&mut decoded);
    let is_clean = ours.encoding == Encoding::Identity;
    if is_clean {
        assert_eq!(decoded, &*theirs.decoded());
    }
    if let Some(text) = theirs.text().filter(|_| is_clean) {
        let mut ours_text = String::new();
        let mut pieces = text_of(ours, message);
        while pieces.next_of(5, &mut ours_text) {}
        assert_eq!(ours_text, text);
    }
}

/// A display name and an address, as they are written.
fn mailbox() -> impl Strategy<Value = (String, String)> {
    let address = "[a-z]{1,6}(\\.[a-z]{1,3})?@[a-z]{1,5}\\.(org|test)";
    prop_oneof![
        address.prop_map(|address| (String::new(), address)),
        ("[A-Z][a-z]{1,6}( [A-Z][a-z]{1,6})?", address)
            .prop_map(|(name, address)| (name, format!("<{address}>"))),
        ("[A-Z][a-z]{1,4}[,;:@()<>.][a-z ]{0,4}x", address)
            .prop_map(|(name, address)| (format!("\"{name}\""), format!("<{address}>"))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn structures_are_the_same(shape in shape()) {
        let mut message = String::from("From: a@x.test\r\nSubject: s\r\nMIME-Version: 1.0\r\n");
        shape.write(&mut 0, &mut message);
        let digest = digest_of(&message);
        let theirs = MessageParser::new().parse(message.as_bytes()).unwrap();
        compare(message.as_bytes(), &digest.structure, &mut Vec::new(), &theirs.root_part());
        for extended in [false, true] {
            let mut out = Vec::new();
            digest.structure.write(extended, &mut out);
            prop_assert!(grammar::is_body(&grammar::parse(&out).unwrap(), extended));
        }
    }

    #[test]
    fn addresses_are_the_same(
        list in prop::collection::vec((mailbox(), prop::bool::weighted(0.2)), 1..8),
        fold in prop_oneof![Just(" "), Just("\r\n "), Just("\r\n\t"), Just("")],
    ) {
        let mut body = String::new();
        for ((name, address), group) in &list {
            let item = format!("{name} {address}");
            let item = if *group { format!("team: {item};") } else { item };
            let comma = if body.is_empty() { "" } else { "," };
            body = format!("{body}{comma}{fold}{item}");
        }
        let mut ours = Vec::new();
        let _ = address::read(body.as_bytes(), &mut |entry| {
            if let Entry::Mailbox { name, local, host, .. } = entry {
                let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
                ours.push((name.map(text), format!("{}@{}", text(local), text(host))));
            }
            ControlFlow::Continue(())
        });
        let message = format!("To:{body}\r\n\r\n");
        let message = MessageParser::new().parse(message.as_bytes()).unwrap();
        let theirs: Vec<_> = message
            .to()
            .unwrap()
            .mailboxes()
            .map(|mailbox| {
                (mailbox.name().map(str::to_owned), mailbox.address().unwrap().to_owned())
            })
            .collect();
        prop_assert_eq!(ours, theirs);
    }
}

//! The client's messages (RFC 5802 §7): attributes in a fixed order, parted by commas.
//!
//! Extensions that stand where the grammar has room for them are passed over; one that the client
//! says we must understand (`m=`) is refused, as §5.1 asks.

use std::borrow::Cow;

use data_encoding::BASE64;

use crate::sasl::{Failure, Limits, prepare};

/// Octets of either message. Names are bounded by [`Limits`], the rest is of fixed size.
const MESSAGE_OCTETS_MAX: usize = 4096;
/// Octets of the client's nonce; clients send 18 to 64.
const NONCE_OCTETS_MAX: usize = 256;

/// `client-first-message`.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::sasl) struct ClientFirst<'a> {
    /// The channel-binding flag: `n`, `y` or `p=` and a name.
    pub flag: &'a str,
    /// Flag and authorization identity, with both commas.
    pub gs2_header: &'a str,
    pub authorization: Option<Box<str>>,
    pub name: Box<str>,
    pub nonce: &'a str,
    /// What stands behind the GS2 header.
    pub bare: &'a str,
}

impl<'a> ClientFirst<'a> {
    pub fn parse(message: &'a [u8], limits: &Limits) -> Result<Self, Failure> {
        let text = text(message)?;
        let (flag, rest) = text.split_once(',').ok_or(Failure::Malformed)?;
        let (authorization, bare) = rest.split_once(',').ok_or(Failure::Malformed)?;
        let authorization = match authorization {
            "" => None,
            said => Some(name(value(Some(said), "a=")?, limits)?),
        };
        let mut attributes = bare.split(',');
        let name = name(value(attributes.next(), "n=")?, limits)?;
        let nonce = value(attributes.next(), "r=")?;
        let printable = nonce.bytes().all(|octet| octet.is_ascii_graphic());
        if nonce.is_empty() || nonce.len() > NONCE_OCTETS_MAX || !printable {
            return Err(Failure::Malformed);
        }
        extensions(attributes)?;
        let gs2_header = &text[..text.len() - bare.len()];
        Ok(Self { flag, gs2_header, authorization, name, nonce, bare })
    }
}

/// `client-final-message`.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::sasl) struct ClientFinal<'a> {
    pub binding: Vec<u8>,
    pub nonce: &'a str,
    pub proof: [u8; 32],
    /// All that the proof covers of this message.
    pub without_proof: &'a str,
}

impl<'a> ClientFinal<'a> {
    pub fn parse(message: &'a [u8]) -> Result<Self, Failure> {
        let (without_proof, proof) = text(message)?.rsplit_once(",p=").ok_or(Failure::Malformed)?;
        let mut attributes = without_proof.split(',');
        let binding = decode(value(attributes.next(), "c=")?)?;
        let nonce = value(attributes.next(), "r=")?;
        extensions(attributes)?;
        let proof = decode(proof)?.try_into().map_err(|_| Failure::Malformed)?;
        Ok(Self { binding, nonce, proof, without_proof })
    }
}

fn text(message: &[u8]) -> Result<&str, Failure> {
    if message.len() > MESSAGE_OCTETS_MAX {
        return Err(Failure::Malformed);
    }
    std::str::from_utf8(message).map_err(|_| Failure::Malformed)
}

fn value<'a>(attribute: Option<&'a str>, name: &str) -> Result<&'a str, Failure> {
    attribute.and_then(|said| said.strip_prefix(name)).ok_or(Failure::Malformed)
}

/// `attr-val = ALPHA "=" value`, and none of them twice meant.
fn extensions<'a>(mut attributes: impl Iterator<Item = &'a str>) -> Result<(), Failure> {
    let fine = attributes.all(|said| {
        let mut octets = said.bytes();
        octets.next().is_some_and(|octet| octet.is_ascii_alphabetic() && octet != b'm')
            && octets.next() == Some(b'=')
            && octets.next().is_some()
    });
    if fine { Ok(()) } else { Err(Failure::Malformed) }
}

fn decode(text: &str) -> Result<Vec<u8>, Failure> {
    BASE64.decode(text.as_bytes()).map_err(|_| Failure::Malformed)
}

/// `saslname`: `=2C` is a comma, `=3D` an equals sign, and `=` stands for nothing else.
fn name(said: &str, limits: &Limits) -> Result<Box<str>, Failure> {
    let mut name = String::with_capacity(said.len());
    let mut parts = said.split('=');
    name.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (octet, rest) = match part.split_at_checked(2) {
            Some(("2C", rest)) => (',', rest),
            Some(("3D", rest)) => ('=', rest),
            _ => return Err(Failure::Malformed),
        };
        name.push(octet);
        name.push_str(rest);
    }
    prepare::identity(&name, limits)?.ok_or(Failure::Malformed)
}

/// A name as `saslname`.
pub(in crate::sasl) fn escape(name: &str) -> Cow<'_, str> {
    if name.contains([',', '=']) {
        name.replace('=', "=3D").replace(',', "=2C").into()
    } else {
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(text: &str) -> Result<ClientFirst<'_>, Failure> {
        const LIMITS: Limits = Limits { identity_octets_max: 20, password_octets_max: 1 };
        ClientFirst::parse(text.as_bytes(), &LIMITS)
    }

    #[test]
    fn first_messages() {
        let found = first("p=tls-exporter,a=ad=2Cmin,n=us=3Der,r=abc,x=later").unwrap();
        assert_eq!(
            (found.flag, found.gs2_header),
            ("p=tls-exporter", "p=tls-exporter,a=ad=2Cmin,")
        );
        assert_eq!((found.authorization.as_deref(), &*found.name), (Some("ad,min"), "us=er"));
        assert_eq!((found.nonce, found.bare), ("abc", "n=us=3Der,r=abc,x=later"));
        for name in ["us=er,=", "=2C=3D", "plain"] {
            let message = format!("n,,n={},r=a", escape(name));
            assert_eq!(&*first(&message).unwrap().name, name);
        }
    }

    #[test]
    fn malformed_first_messages() {
        for text in [
            "",
            "n",
            "n,",
            "n,,",
            "n,,n=user",
            "n,,r=abc,n=user",
            "n,,n=,r=abc",
            "n,,n=user,r=",
            "n,,n=user,r=a b",
            "n,,n=user,r=ü",
            "n,,n=us=er,r=abc",
            "n,,n=us=2c,r=abc",
            "n,,n=us=2,r=abc",
            "n,,n=us=2ü,r=abc",
            "n,,m=ext,n=user,r=abc",
            "n,,n=user,r=abc,m=ext",
            "n,,n=user,r=abc,",
            "n,,n=user,r=abc,x",
            "n,,n=user,r=abc,x=",
            "n,b=x,n=user,r=abc",
            "n,a=,n=user,r=abc",
        ] {
            assert_eq!(first(text), Err(Failure::Malformed), "{text}");
        }
        assert_eq!(first("n,,n=123456789012345678901,r=a"), Err(Failure::Wrong));
        let long = format!("n,,n=user,r={}", "a".repeat(NONCE_OCTETS_MAX + 1));
        assert_eq!(first(&long), Err(Failure::Malformed));
        let long = format!("n,,n=user,r=a,x={}", "a".repeat(MESSAGE_OCTETS_MAX));
        assert_eq!(first(&long), Err(Failure::Malformed));
    }

    #[test]
    fn malformed_final_messages() {
        let proof = BASE64.encode(&[7; 32]);
        let good = format!("c=biws,r=abc,x=later,p={proof}");
        let found = ClientFinal::parse(good.as_bytes()).unwrap();
        assert_eq!((&*found.binding, found.nonce, found.proof), (&b"n,,"[..], "abc", [7; 32]));
        assert_eq!(found.without_proof, "c=biws,r=abc,x=later");
        for text in [
            "",
            "c=biws,r=abc",
            &format!("r=abc,c=biws,p={proof}"),
            &format!("c=biw,r=abc,p={proof}"),
            &format!("c=biws,p={proof}"),
            &format!("c=biws,r=abc,m=x,p={proof}"),
            &format!("c=biws,r=abc,p={proof},x=y"),
            "c=biws,r=abc,p=",
            "c=biws,r=abc,p=AAAA",
        ] {
            assert_eq!(ClientFinal::parse(text.as_bytes()), Err(Failure::Malformed), "{text}");
        }
    }
}

//! `CAPA` (RFC 2449 §5): what this server can do, here and now.

use super::{Expiry, Maildrop, Outcome, Server, command, replies};

impl<M: Maildrop> Server<M> {
    pub(super) fn capa(&mut self, argument: &str, out: &mut Vec<u8>) -> Outcome {
        command::none(argument)?;
        let profile = &self.profile;
        replies::ok("Capability list follows", out);
        out.extend_from_slice(
            b"TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nUTF8 USER\r\nLANG\r\n",
        );
        match profile.expire {
            Some(Expiry::Never) => out.extend_from_slice(b"EXPIRE NEVER\r\n"),
            Some(Expiry::Days(days)) => number("EXPIRE ", days, out),
            None => {}
        }
        if profile.login_delay_s > 0 {
            number("LOGIN-DELAY ", profile.login_delay_s, out);
        }
        if profile.starttls && !self.client.tls {
            out.extend_from_slice(b"STLS\r\n");
        }
        if self.offers_user() {
            out.extend_from_slice(b"USER\r\n");
        }
        self.list_mechanisms(out);
        if !profile.banner_text.is_empty() {
            out.extend_from_slice(b"IMPLEMENTATION ");
            out.extend_from_slice(profile.banner_text.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b".\r\n");
        Ok(None)
    }

    /// The `SASL` line; none when there is nothing to offer.
    fn list_mechanisms(&self, out: &mut Vec<u8>) {
        let mut offered = self.offered().peekable();
        if offered.peek().is_none() {
            return;
        }
        out.extend_from_slice(b"SASL");
        for mechanism in offered {
            out.push(b' ');
            out.extend_from_slice(mechanism.name().as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn number(name: &str, number: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    replies::decimal(u64::from(number), out);
    out.extend_from_slice(b"\r\n");
}

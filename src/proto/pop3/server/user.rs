//! `USER` and `PASS` (RFC 1939 §7): the two messages of LOGIN without base64.
//!
//! So they are judged, prepared and bounded by the same [`Exchange`]. What must stay true: neither is
//! obeyed where LOGIN or PLAIN would not be; whether a mailbox exists is not told by `USER`.

use super::{Maildrop, Outcome, Server, replies};
use crate::sasl::{self, Exchange, Mechanism};

impl<M: Maildrop> Server<M> {
    /// Whether passwords may be sent as they are.
    pub(super) fn offers_user(&self) -> bool {
        self.offers(Mechanism::Plain) || self.offers(Mechanism::Login)
    }

    /// What is in the way of a password.
    fn ready_for_password(&self) -> Outcome {
        self.authorization()?;
        let mechanisms = self.profile.mechanisms;
        let is_known =
            mechanisms.contains(Mechanism::Plain) || mechanisms.contains(Mechanism::Login);
        match (is_known, self.offers_user()) {
            (true, true) => Ok(None),
            (true, false) => Err(replies::ENCRYPTION_REQUIRED),
            (false, _) => Err(replies::UNKNOWN_COMMAND),
        }
    }

    pub(super) fn user(&mut self, name: &str, out: &mut Vec<u8>) -> Outcome {
        self.ready_for_password()?;
        let begun = Exchange::begin(self.setup(Mechanism::Login), Some(name.as_bytes()));
        let (exchange, sasl::Step::Challenge(_)) = begun else {
            self.exchange = None;
            return Err(replies::BAD_NAME);
        };
        self.exchange = Some(Box::new(exchange));
        replies::ok("Password required", out);
        Ok(None)
    }

    pub(super) fn pass(&mut self, password: &str, out: &mut Vec<u8>) -> Outcome {
        self.ready_for_password()?;
        let exchange = self.exchange.as_mut().ok_or(replies::USER_FIRST)?;
        let step = exchange.feed(password.as_bytes());
        Ok(self.exchanged(step, out))
    }
}

//! Deliveries over LMTP (RFC 2033): one message to one account, over the source's own client.

use std::io;

use super::{malformed, order::Order};
use crate::{
    message::Spread,
    source::{Closed, Dialogue, Load},
};

/// A connection that delivers.
pub struct Lmtp(Dialogue);

impl Lmtp {
    /// Connects and says LHLO.
    pub async fn open(order: &Order) -> io::Result<Self> {
        let load = Load::new(order.servers.lmtp, "mailbox", 0, Spread::Fixed(0));
        let load = Load { lmtp: true, patience: order.patience, ..load };
        match Dialogue::open(&load, None).await {
            Ok(dialogue) => Ok(Self(dialogue)),
            Err(Closed::Broken(error)) => Err(error),
            Err(Closed::Refused(stage, code, text)) => {
                let text = String::from_utf8_lossy(&text);
                Err(malformed(format!("{stage} was answered {code}: {}", text.trim_end())))
            }
        }
    }

    /// Delivers message number `number` to an account; `leaves` is told when its last octets are about to go.
    pub async fn deliver(
        &mut self,
        order: &Order,
        account: usize,
        number: u64,
        leaves: impl FnOnce(),
    ) -> io::Result<()> {
        let Self(dialogue) = self;
        let to = order.name(account);
        let envelope = format!("MAIL FROM:<load@source.test>\r\nRCPT TO:<{to}>\r\nDATA\r\n");
        dialogue.out.extend_from_slice(envelope.as_bytes());
        dialogue.flush().await?;
        for (command, wanted) in [("MAIL", 250), ("RCPT", 250), ("DATA", 354)] {
            self.expect(command, wanted).await?;
        }
        leaves();
        let template = &order.templates[number as usize % order.templates.len()];
        self.0.flush_with(&template.wire).await?;
        self.expect("the message", 250).await
    }

    async fn expect(&mut self, command: &str, wanted: u16) -> io::Result<()> {
        let reply = self.0.reply().await?;
        if reply.0 == wanted {
            return Ok(());
        }
        let text = String::from_utf8_lossy(self.0.text());
        Err(malformed(format!("{command} was answered {} {}", reply.0, text.trim_end())))
    }

    /// Says QUIT.
    pub async fn quit(self) -> io::Result<()> {
        self.0.quit().await
    }
}

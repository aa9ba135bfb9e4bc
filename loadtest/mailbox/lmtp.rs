//! Deliveries over LMTP (RFC 2033): one message to one account, over the source's own client.

use std::io;

use super::{malformed, order::Order};
use crate::{
    message::Spread,
    source::{Closed, Dialogue, Load},
};

/// A connection that delivers.
pub struct Lmtp {
    dialogue: Dialogue,
    /// Of the last reply.
    code: u16,
}

impl Lmtp {
    /// Connects and says LHLO.
    pub async fn open(order: &Order) -> io::Result<Self> {
        let load = Load::new(order.servers.lmtp, "mailbox", 0, Spread::Fixed(0));
        let load = Load { lmtp: true, patience: order.patience, ..load };
        match Dialogue::open(&load, None).await {
            Ok(dialogue) => Ok(Self { dialogue, code: 0 }),
            Err(Closed::Broken(error)) => Err(error),
            Err(Closed::Refused(stage, code, text)) => {
                let text = String::from_utf8_lossy(&text);
                Err(malformed(format!("{stage} was answered {code}: {}", text.trim_end())))
            }
        }
    }

    /// Delivers message number `number` to an account; `leaves` is told when its last octets are about to go. A
    /// server that wants no more messages on a connection (421 to MAIL, RFC 5321 §3.8) gets a new one.
    pub async fn deliver(
        &mut self,
        order: &Order,
        account: usize,
        number: u64,
        leaves: impl FnOnce(),
    ) -> io::Result<()> {
        if self.begin(order, account).await? == 421 {
            *self = Self::open(order).await?;
            self.begin(order, account).await?;
        }
        self.said("MAIL", 250)?;
        for (command, wanted) in [("RCPT", 250), ("DATA", 354)] {
            self.expect(command, wanted).await?;
        }
        leaves();
        let template = &order.templates[number as usize % order.templates.len()];
        self.dialogue.flush_with(&template.wire).await?;
        self.expect("the message", 250).await
    }

    /// Says who the next message is for; what MAIL was answered.
    async fn begin(&mut self, order: &Order, account: usize) -> io::Result<u16> {
        let (Self { dialogue, code }, to) = (self, order.name(account));
        let envelope = format!("MAIL FROM:<load@source.test>\r\nRCPT TO:<{to}>\r\nDATA\r\n");
        dialogue.out.extend_from_slice(envelope.as_bytes());
        dialogue.flush().await?;
        *code = dialogue.reply().await?.0;
        Ok(*code)
    }

    async fn expect(&mut self, command: &str, wanted: u16) -> io::Result<()> {
        self.code = self.dialogue.reply().await?.0;
        self.said(command, wanted)
    }

    fn said(&self, command: &str, wanted: u16) -> io::Result<()> {
        if self.code == wanted {
            return Ok(());
        }
        let text = String::from_utf8_lossy(self.dialogue.text());
        Err(malformed(format!("{command} was answered {} {}", self.code, text.trim_end())))
    }

    /// Says QUIT.
    pub async fn quit(self) -> io::Result<()> {
        self.dialogue.quit().await
    }
}

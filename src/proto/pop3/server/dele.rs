//! `DELE`, `RSET` and `NOOP` (RFC 1939 §5): marks, and nothing but marks.

use super::{Maildrop, Outcome, Server, command, replies};

impl<M: Maildrop> Server<M> {
    pub(super) fn dele(&mut self, argument: &str, out: &mut Vec<u8>) -> Outcome {
        let opened = self.transaction()?;
        let index = opened.find(argument)?;
        opened.mark(index);
        out.extend_from_slice(b"+OK Message ");
        replies::decimal(u64::from(index) + 1, out);
        out.extend_from_slice(b" deleted\r\n");
        Ok(None)
    }

    pub(super) fn rset(&mut self, argument: &str, out: &mut Vec<u8>) -> Outcome {
        let opened = self.transaction()?;
        command::none(argument)?;
        opened.unmark_all();
        out.extend_from_slice(b"+OK Maildrop has ");
        opened.write_contents(out);
        out.extend_from_slice(b"\r\n");
        Ok(None)
    }

    pub(super) fn noop(&mut self, argument: &str, out: &mut Vec<u8>) -> Outcome {
        self.transaction()?;
        command::none(argument)?;
        out.extend_from_slice(b"+OK\r\n");
        Ok(None)
    }
}

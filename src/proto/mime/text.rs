//! The text of parts in UTF-8, for SEARCH BODY and TEXT, in pieces that do not hold a shard.

use super::{
    structure::PartRange,
    transfer::{Decoder, Encoding},
    words::charset,
};

/// Octets of the body that one piece is made of, unless the caller says less.
const PIECE_OCTETS: usize = 16 * 1024;

/// A part's text, piece by piece.
#[derive(Debug)]
pub struct TextPieces<'a> {
    rest: &'a [u8],
    decoder: Decoder,
    charset: encoding_rs::Decoder,
    octets: Vec<u8>,
    ended: bool,
}

/// The text of `part`, which lies in `message`; of a part that is no text its octets as they read.
/// An encoding that is not known is shown undecoded, a charset that is not known as UTF-8.
#[must_use]
pub fn text_of<'a>(part: &PartRange<'_>, message: &'a [u8]) -> TextPieces<'a> {
    let body = message.get(part.body.start as usize..part.body.end as usize).unwrap_or_default();
    TextPieces::new(part.encoding, part.charset, body)
}

impl<'a> TextPieces<'a> {
    /// Begins with a `body` and what its part says of it.
    #[must_use]
    pub fn new(encoding: Encoding, label: &[u8], body: &'a [u8]) -> Self {
        let identity = Decoder::IDENTITY;
        Self {
            rest: body,
            decoder: Decoder::new(encoding).unwrap_or(identity),
            charset: charset(label).unwrap_or(encoding_rs::UTF_8).new_decoder(),
            octets: Vec::new(),
            ended: false,
        }
    }

    /// Appends the next piece, some ten KiB; `false` when there was none left.
    pub fn next_piece(&mut self, out: &mut String) -> bool {
        self.next_of(PIECE_OCTETS, out)
    }

    /// Appends what the next `octets_max` octets of the body say.
    pub fn next_of(&mut self, octets_max: usize, out: &mut String) -> bool {
        if self.ended {
            return false;
        }
        let (piece, rest) = self.rest.split_at(self.rest.len().min(octets_max.max(1)));
        self.rest = rest;
        self.octets.clear();
        self.decoder.push(piece, &mut self.octets);
        self.ended = rest.is_empty();
        if self.ended {
            self.decoder.finish(&mut self.octets);
        }
        let room = self.charset.max_utf8_buffer_length(self.octets.len());
        out.reserve(room.unwrap_or(self.octets.len()));
        // There is room for the longest text that these octets can be.
        let _ = self.charset.decode_to_string(&self.octets, out, self.ended);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(encoding: Encoding, charset: &str, body: &[u8], octets_max: usize) -> String {
        let mut pieces = TextPieces::new(encoding, charset.as_bytes(), body);
        let mut out = String::new();
        while pieces.next_of(octets_max, &mut out) {}
        out
    }

    #[test]
    fn text_is_the_same_in_any_pieces() {
        for (encoding, charset, body, expected) in [
            (Encoding::Identity, "utf-8", "h\u{e9}llo €".as_bytes(), "h\u{e9}llo €"),
            (Encoding::Identity, "us-ascii", "€".as_bytes(), "€"),
            (Encoding::Identity, "", "€".as_bytes(), "€"),
            (Encoding::Identity, "nonsense", "€".as_bytes(), "€"),
            (Encoding::Identity, "iso-8859-1", b"caf\xe9", "café"),
            (Encoding::Identity, "utf-8", b"caf\xe9!", "caf\u{fffd}!"),
            (Encoding::QuotedPrintable, "windows-1252", b"=80 a=\r\nb", "€ ab"),
            (Encoding::Base64, "iso-2022-jp", b"GyRCRnxL\r\nXBsoQg==", "日本"),
            (Encoding::Unknown, "utf-8", b"begin 644", "begin 644"),
            (Encoding::Identity, "utf-8", b"", ""),
        ] {
            for octets_max in [1, 2, 3, 5, 1000] {
                assert_eq!(text(encoding, charset, body, octets_max), expected);
            }
        }
    }

    #[test]
    fn an_empty_text_has_one_piece() {
        let mut pieces = TextPieces::new(Encoding::Base64, b"", b"");
        assert!(pieces.next_piece(&mut String::new()));
        assert!(!pieces.next_piece(&mut String::new()));
    }
}

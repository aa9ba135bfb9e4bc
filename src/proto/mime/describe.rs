//! What the Content fields say of a part, in the form in which it is kept: as IMAP's answers have it
//! (RFC 9051 §7.5.2, RFC 2045 §5, RFC 2183).
//!
//! Types, parameters and encodings keep their case. A text without a charset gets `us-ascii`, a
//! part without an encoding `7bit`, as Dovecot writes them.

use super::{
    content::{Parameter, Value, languages},
    draft::Content,
    octets::on_one_line,
    quote::{push_nstring, push_string},
    structure::{Kind, Span},
    transfer::Encoding,
    walk::place,
};

/// Boundaries are no longer (RFC 2046 §5.1.1 says 70).
const BOUNDARY_OCTETS_MAX: usize = 512;
/// Type, subtype and encoding are no longer (RFC 6838 §4.2).
const NAME_OCTETS_MAX: usize = 127;

/// What the Content fields say, in the form in which a part keeps it.
pub(super) struct Described {
    pub(super) kind: Kind,
    pub(super) encoding: Encoding,
    pub(super) is_attachment: bool,
    /// Parts inside are messages by default (RFC 2046 §5.1.5).
    pub(super) is_digest: bool,
    /// Of a multipart.
    pub(super) boundary: Option<Vec<u8>>,
    pub(super) basic: Span,
    pub(super) extension: Span,
    pub(super) charset: Span,
}

/// What limits leave room for.
#[derive(Clone, Copy)]
pub(super) struct MayHold {
    /// Parts inside of this one.
    pub(super) parts: bool,
    /// More than its type.
    pub(super) fields: bool,
}

/// Appends to `text` what `write` writes.
pub(super) fn keep(text: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> Span {
    let at = text.len();
    write(text);
    Span { at: place(at), octets: place(text.len() - at) }
}

/// Describes a part, which stands in a multipart/digest or not. A multipart that can hold no parts
/// is one part, one without a boundary is text.
pub(super) fn describe(
    content: &Content<'_>,
    in_digest: bool,
    may_hold: MayHold,
    text: &mut Vec<u8>,
) -> Described {
    let mut media = media_type(content, in_digest);
    let boundary = boundary(&media);
    let mut kind = kind(&media);
    if !may_hold.parts && matches!(kind, Kind::Multipart | Kind::Message) {
        media = named(b"application", b"octet-stream");
        kind = Kind::Other;
    } else if kind == Kind::Multipart && boundary.is_none() {
        media = named(b"text", b"plain");
        kind = Kind::Plain;
    }
    let bare = Content { encoding: content.encoding, ..Content::default() };
    let content = if may_hold.fields { content } else { &bare };
    if !may_hold.fields {
        media.parameters.clear();
    }
    let charset = media.parameter(b"charset").unwrap_or_default();
    let charset = keep(text, |out| out.extend_from_slice(charset));
    let encoding = content.encoding.and_then(Value::token).map(|value| value.token);
    let disposition = content.disposition.and_then(Value::token);
    let encoding_name = encoding.as_deref().unwrap_or(b"7bit");
    let basic = keep(text, |out| push_basic(kind, &media, content, encoding_name, out));
    let extension =
        keep(text, |out| push_extension(kind, &media, content, disposition.as_ref(), out));
    Described {
        kind,
        encoding: encoding.map_or(Encoding::Identity, |name| Encoding::named(&name)),
        is_attachment: disposition.is_some_and(|value| value.is(b"attachment")),
        is_digest: kind == Kind::Multipart && media.is_subtype(b"digest"),
        boundary: boundary.filter(|_| kind == Kind::Multipart),
        basic,
        extension,
        charset,
    }
}

fn named(token: &[u8], subtype: &[u8]) -> Value {
    Value { token: token.to_vec(), subtype: subtype.to_vec(), parameters: Vec::new() }
}

/// The media type, or the default where there is none (RFC 2045 §5.2, RFC 2046 §5.1.5).
fn media_type(content: &Content<'_>, in_digest: bool) -> Value {
    let found = content.kind.and_then(Value::media_type);
    let mut media = found.unwrap_or_else(|| {
        let is_message = in_digest && content.kind.is_none();
        if is_message { named(b"message", b"rfc822") } else { named(b"text", b"plain") }
    });
    media.token.truncate(NAME_OCTETS_MAX);
    media.subtype.truncate(NAME_OCTETS_MAX);
    media
}

fn kind(media: &Value) -> Kind {
    if media.is(b"text") {
        if media.is_subtype(b"plain") {
            Kind::Plain
        } else if media.is_subtype(b"html") {
            Kind::Html
        } else {
            Kind::Text
        }
    } else if media.is(b"multipart") {
        Kind::Multipart
    } else if media.is(b"message") && (media.is_subtype(b"rfc822") || media.is_subtype(b"global")) {
        Kind::Message
    } else {
        Kind::Other
    }
}

/// The boundary of a multipart, when it can be one.
fn boundary(media: &Value) -> Option<Vec<u8>> {
    let boundary = media.parameter(b"boundary")?.trim_ascii_end();
    let is_one = (1..=BOUNDARY_OCTETS_MAX).contains(&boundary.len());
    is_one.then(|| boundary.to_vec())
}

/// `body-type-mpart` from its subtype on; of others `media-basic` or `media-text` and
/// `body-fields` without the size.
fn push_basic(
    kind: Kind,
    media: &Value,
    content: &Content<'_>,
    encoding: &[u8],
    out: &mut Vec<u8>,
) {
    if kind == Kind::Multipart {
        return push_string(&media.subtype, out);
    }
    push_string(&media.token, out);
    out.push(b' ');
    push_string(&media.subtype, out);
    out.push(b' ');
    let is_default = kind.is_text() && media.parameter(b"charset").is_none();
    let default: &[&[u8]] = if is_default { &[b"charset", b"us-ascii"] } else { &[] };
    push_parameters(&media.parameters, default, out);
    for text in [content.id, content.description] {
        out.push(b' ');
        push_text(text, out);
    }
    out.push(b' ');
    push_string(&encoding[..encoding.len().min(NAME_OCTETS_MAX)], out);
}

/// `body-ext-mpart` or `body-ext-1part`, with the space before it.
fn push_extension(
    kind: Kind,
    media: &Value,
    content: &Content<'_>,
    disposition: Option<&Value>,
    out: &mut Vec<u8>,
) {
    out.push(b' ');
    if kind == Kind::Multipart {
        push_parameters(&media.parameters, &[], out);
    } else {
        push_text(content.md5, out);
    }
    out.push(b' ');
    match disposition {
        Some(disposition) => {
            out.push(b'(');
            push_string(&disposition.token, out);
            out.push(b' ');
            push_parameters(&disposition.parameters, &[], out);
            out.push(b')');
        }
        None => out.extend_from_slice(b"NIL"),
    }
    out.push(b' ');
    let languages = content.language.map(languages).unwrap_or_default();
    push_strings(languages.iter().map(Vec::as_slice), out);
    out.push(b' ');
    push_text(content.location, out);
}

fn push_text(body: Option<&[u8]>, out: &mut Vec<u8>) {
    push_nstring(body.map(on_one_line).as_deref(), out);
}

fn push_parameters(parameters: &[Parameter], more: &[&[u8]], out: &mut Vec<u8>) {
    let all = parameters.iter().flat_map(|(name, value)| [&name[..], &value[..]]);
    push_strings(all.chain(more.iter().copied()), out);
}

/// A list of strings, or NIL when there is none.
fn push_strings<'a>(strings: impl Iterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
    let mut before = b'(';
    for string in strings {
        out.push(before);
        before = b' ';
        push_string(string, out);
    }
    out.extend_from_slice(if before == b' ' { &b")"[..] } else { b"NIL" });
}

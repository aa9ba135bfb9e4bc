//! What is wrong with a command, and how much it may hold.

/// Why a command cannot be obeyed as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::imap) enum Fault {
    /// The grammar is broken: `BAD`, and this text.
    Syntax(&'static str),
    /// More or deeper than [`Bounds`] allow: `NO [LIMIT]`.
    Limit(&'static str),
    /// No mailbox can have this name: `NO [CANNOT]`.
    Name(&'static str),
    /// Text in a charset that is not read here: `NO [BADCHARSET]` (RFC 9051 §6.4.4).
    Charset,
    /// A special use that cannot be given: `NO [USEATTR]` (RFC 6154 §3).
    Use,
    /// The literal that stands here has not come yet.
    Pending,
}

/// What reading comes to.
pub(in crate::imap) type Parsed<T> = Result<T, Fault>;

/// How much one command may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Members of all its lists, sets and search programs together.
    pub items_max: u32,
    /// Lists within lists, and search keys within search keys.
    pub depth_max: u32,
}

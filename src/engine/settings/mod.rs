//! Settings: a TOML text becomes a typed value, or errors that an administrator can act on.
//!
//! This room knows no mail: it loads any `T` that serde and schemars describe. The JSON schema of
//! `T` is the one source for what keys exist, what the reference file says and which name a typo
//! was meant to be. It fails with [`SettingsError`], which lists every problem found with
//! file:line:column, never just the first.
//!
//! Structs of settings carry `#[serde(default, deny_unknown_fields)]`; the doc comments of their
//! fields are the text of the reference file. `#[schemars(example = …)]` gives a field that has
//! no default (an `Option`, a required key of a `[[table]]`) a value to show there.

mod changes;
mod check;
mod error;
mod load;
mod reference;
mod schema;
mod units;

pub use changes::changes;
pub use error::SettingsError;
pub use load::{load, parse};
pub use reference::reference;
pub use units::{Bytes, Span, UnitError};

//! Servers under test: recipes of how to run them, and the servers that run.
//!
//! A [`Recipe`] is a small TOML file (docs: [`recipe`]); [`Recipe::start`] writes the server's files into a folder
//! of its own, starts it and waits for its greeting; [`Running`] describes, watches and stops it. What must stay true:
//! however this program ends, nothing of a server stays: no process, no folder, no cgroup.

mod error;
mod keeper;
pub mod recipe;
mod running;
mod variables;

pub use error::Error;
pub use keeper::has_namespaces;
pub use recipe::Recipe;
pub use running::{Place, Running};

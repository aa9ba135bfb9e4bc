//! The keys that this machine signs with for a domain, as the register of them says.

use std::path::Path;

use proto::types::Domain;
use serde::Deserialize;

use crate::boot::settings::Settings;

/// As much of `dkim/<domain>/keys.json` as matters here.
#[derive(Deserialize)]
struct Register {
    keys: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    selector: String,
    state: String,
}

/// Their selectors; none when they cannot be read.
pub(super) fn own_keys(settings: &Settings, domain: &Domain) -> Vec<String> {
    let path = settings.server.data_dir.join("dkim").join(domain.as_str()).join("keys.json");
    active(&path).unwrap_or_default()
}

fn active(register: &Path) -> Option<Vec<String>> {
    let text = std::fs::read(register).ok()?;
    let register: Register = serde_json::from_slice(&text).ok()?;
    let active = register.keys.into_iter().filter(|entry| entry.state == "active");
    Some(active.map(|entry| entry.selector).collect())
}

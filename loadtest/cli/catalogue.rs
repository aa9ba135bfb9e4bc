//! Recipes and scenarios that are built in, so that the program works wherever it is installed.

use std::{fs, path::Path};

use crate::{scenario::Scenario, server::Recipe};

const RECIPES: [(&str, &str); 12] = [
    ("ringpost", include_str!("../recipes/ringpost.toml")),
    ("ringpost-1-shard", include_str!("../recipes/ringpost-1-shard.toml")),
    ("ringpost-dns", include_str!("../recipes/ringpost-dns.toml")),
    ("ringpost-auth", include_str!("../recipes/ringpost-auth.toml")),
    ("ringpost-mailboxes", include_str!("../recipes/ringpost-mailboxes.toml")),
    ("ringpost-demo", include_str!("../recipes/ringpost-demo.toml")),
    ("postfix", include_str!("../recipes/postfix.toml")),
    ("postfix-auth", include_str!("../recipes/postfix-auth.toml")),
    ("dovecot", include_str!("../recipes/dovecot.toml")),
    ("exim", include_str!("../recipes/exim.toml")),
    ("opensmtpd", include_str!("../recipes/opensmtpd.toml")),
    ("haraka", include_str!("../recipes/haraka.toml")),
];

const SCENARIOS: [(&str, &str); 12] = [
    ("isp-mixed", include_str!("../scenarios/isp-mixed.toml")),
    ("bulk-newsletter", include_str!("../scenarios/bulk-newsletter.toml")),
    ("tiny-burst", include_str!("../scenarios/tiny-burst.toml")),
    ("large-attachments", include_str!("../scenarios/large-attachments.toml")),
    ("slow-destinations", include_str!("../scenarios/slow-destinations.toml")),
    ("thousand-sites", include_str!("../scenarios/thousand-sites.toml")),
    ("many-idle-connections", include_str!("../scenarios/many-idle-connections.toml")),
    ("soak", include_str!("../scenarios/soak.toml")),
    ("tls", include_str!("../scenarios/tls.toml")),
    ("authentication", include_str!("../scenarios/authentication.toml")),
    ("mailboxes", include_str!("../scenarios/mailboxes.toml")),
    ("peers", include_str!("../scenarios/peers.toml")),
];

/// The recipe of this name, or in this file.
pub fn recipe(name: &str) -> Result<Recipe, String> {
    let text = text(name, &RECIPES, "recipe")?;
    Recipe::parse(name, &text).map_err(|error| error.to_string())
}

/// The scenario of this name, or in this file, and what it is called.
pub fn scenario(name: &str) -> Result<(String, Scenario), String> {
    let text = text(name, &SCENARIOS, "scenario")?;
    let scenario = toml::from_str(&text).map_err(|error| format!("{name}: {error}"))?;
    let called = Path::new(name)
        .file_stem()
        .map_or(name.to_owned(), |stem| stem.to_string_lossy().into_owned());
    Ok((called, scenario))
}

/// Names and descriptions of all scenarios.
pub fn scenarios() -> Result<Vec<(&'static str, String)>, String> {
    SCENARIOS.iter().map(|(name, _)| Ok((*name, scenario(name)?.1.description))).collect()
}

fn text(name: &str, known: &[(&str, &str)], kind: &str) -> Result<String, String> {
    if let Some((_, text)) = known.iter().find(|(known, _)| *known == name) {
        return Ok((*text).to_owned());
    }
    fs::read_to_string(name).map_err(|error| {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        format!("{kind} '{name}': {error}; built in are {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_built_in_can_be_read() {
        for (name, _) in RECIPES {
            let recipe = recipe(name).unwrap();
            assert!(!recipe.durability.is_empty(), "{name}");
        }
        for (name, description) in scenarios().unwrap() {
            assert!(description.len() > 20, "{name}");
        }
        assert!(scenario("no-such").unwrap_err().contains("isp-mixed"));
    }
}

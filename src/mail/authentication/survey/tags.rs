//! Tag lists, `a=1; b=2` (RFC 6376 §3.2), the form of DKIM keys, DMARC, MTA-STS and TLS-RPT records. Must
//! stay true: white space around names and values does not count; a name that comes twice makes the list
//! wrong. Fails: `None`.

/// Longer lists are nonsense.
const TAGS_MAX: usize = 64;

/// Names and values, in their order.
pub(super) struct Tags<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Tags<'a> {
    /// `None`: it is no tag list.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut found: Vec<(&str, &str)> = Vec::new();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=')?;
            let (name, value) = (name.trim(), value.trim());
            let is_name = |name: &str| {
                name.starts_with(|c: char| c.is_ascii_alphabetic())
                    && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            };
            let is_known = found.iter().any(|(known, _)| *known == name);
            if !is_name(name) || is_known || found.len() == TAGS_MAX {
                return None;
            }
            found.push((name, value));
        }
        Some(Self(found))
    }

    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// Whether `value` is among the values of `name`, which colons separate.
    pub fn has(&self, name: &str, value: &str) -> bool {
        self.get(name).is_some_and(|all| all.split(':').any(|one| one.trim() == value))
    }
}

/// Whether `text` begins with `v=version` as its first tag.
pub(super) fn is_version(text: &str, version: &str) -> bool {
    let first = text.split(';').next().unwrap_or("");
    let tag = first.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
    tag == Some(("v", version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let tags = Tags::parse(" v = DKIM1 ; t=y: s;p=;; ").unwrap();
        assert_eq!((tags.get("v"), tags.get("p"), tags.get("k")), (Some("DKIM1"), Some(""), None));
        assert!(tags.has("t", "s") && tags.has("t", "y") && !tags.has("t", "x"));
        for wrong in ["a", "=1", "a=1;a=2", "1a=2", "a b=1"] {
            assert!(Tags::parse(wrong).is_none(), "{wrong}");
        }
        assert!(is_version("v = DMARC1;p=none", "DMARC1"));
        assert!(!is_version("v=DMARC12", "DMARC1") && !is_version("p=none;v=DMARC1", "DMARC1"));
    }
}

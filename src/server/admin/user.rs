//! Who is at the other end: the user of a uid, as the audit log names it.

use std::fs;

const PASSWD: &str = "/etc/passwd";

/// `root (uid 0)`, or `uid 4711` for a user without a name.
#[must_use]
pub fn described(uid: u32) -> String {
    let passwd = fs::read_to_string(PASSWD).unwrap_or_default();
    match name_in(&passwd, uid) {
        Some(name) => format!("{name} (uid {uid})"),
        None => format!("uid {uid}"),
    }
}

fn name_in(passwd: &str, uid: u32) -> Option<&str> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_names() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\n:::\njoe:x:1000:100::/:/bin/sh\n";
        assert_eq!(name_in(passwd, 1000), Some("joe"));
        assert_eq!(name_in(passwd, 0), Some("root"));
        assert_eq!(name_in(passwd, 100), None);
        assert_eq!(described(4_000_000_000), "uid 4000000000");
    }
}

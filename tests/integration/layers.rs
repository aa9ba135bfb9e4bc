//! The laws of ARCHITECTURE.md that Cargo cannot enforce, read from the sources.
#![allow(clippy::unwrap_used)] // a test may panic, and helpers of tests are not seen as tests

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A crate and the one folder that may name it.
const DOORS: [(&str, &str); 10] = [
    ("tokio_uring", "src/engine/shard"),
    ("io_uring", "src/engine/shard"),
    ("rocksdb", "src/engine/storage"),
    ("hickory_resolver", "src/engine/dns"),
    ("rustls", "src/engine/tls"),
    ("tokio_rustls", "src/engine/tls"),
    ("webpki", "src/engine/tls"),
    ("hyper", "src/engine/tls"),
    ("mail_auth", "src/mail/authentication"),
    ("ppp", "src/server/proxy.rs"),
];

const SERVER_DOORS: [&str; 5] = ["smtpd", "imapd", "pop3d", "admin", "cli"];

/// Source files below `folder`, as paths from the root of the project and code without comments.
fn sources(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.push((name, code(&fs::read_to_string(&path).unwrap())));
            }
        }
    }
    assert!(!found.is_empty(), "no sources in {folder}");
    found
}

/// The text without its line comments.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// Whether `word` stands in `code` as a word of its own.
fn names(code: &str, word: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    code.match_indices(word).any(|(at, _)| {
        !part(code[..at].chars().next_back()) && !part(code[at + word.len()..].chars().next())
    })
}

/// Whether `code` reaches into the module `module`, by any path.
fn reaches(code: &str, module: &str) -> bool {
    [format!("crate::{module}"), format!("super::{module}"), format!("{module}::")]
        .iter()
        .any(|path| names(code, path.trim_end_matches(':')) && code.contains(path.as_str()))
        || grouped(code, module)
}

/// `use crate::{a, module::b}`.
fn grouped(code: &str, module: &str) -> bool {
    code.match_indices("crate::{").any(|(at, _)| {
        let group = code[at..].split("};").next().unwrap_or("");
        names(group, module)
    })
}

#[test]
fn named_crates_stay_behind_their_door() {
    for (file, code) in sources("src") {
        for (krate, door) in DOORS {
            let inside = file.starts_with(door);
            assert!(
                inside || !code.contains(&format!("{krate}::")),
                "{file} uses {krate}: only {door} may"
            );
            assert!(
                inside || !code.contains(&format!("use {krate}")),
                "{file} uses {krate}: only {door} may"
            );
        }
    }
}

#[test]
fn unsafe_lives_in_shard_only() {
    for (file, code) in sources("src") {
        let allowed = file.starts_with("src/engine/shard");
        assert!(
            allowed || !code.contains("unsafe {") && !code.contains("unsafe fn"),
            "{file} is unsafe"
        );
    }
}

#[test]
fn queue_knows_no_delivery() {
    for (file, code) in sources("src/mail/queue") {
        assert!(
            !reaches(&code, "delivery"),
            "{file} reaches into delivery: delivery leases and settles"
        );
    }
}

#[test]
fn doors_do_not_know_each_other_and_nobody_knows_admin_but_boot() {
    for (file, code) in sources("src/server") {
        let Some(room) = file.split('/').nth(2).map(|room| room.trim_end_matches(".rs")) else {
            continue;
        };
        if room == "boot" || room == "lib" {
            continue;
        }
        for door in SERVER_DOORS {
            // What an administrator types is the other end of the admin socket.
            let allowed = door == room || (room == "cli" && door == "admin");
            let path = format!("crate::{door}");
            let reached = names(&code, &path) || grouped(&code, door);
            assert!(allowed || !reached, "{file} reaches into {door}");
        }
    }
}

#[test]
fn protocols_do_no_io_read_no_clock_and_start_no_thread() {
    const FORBIDDEN: [&str; 14] = [
        "std::fs",
        "std::thread",
        "std::time::Instant",
        "std::time::SystemTime",
        "Instant::now",
        "SystemTime::now",
        "TcpStream",
        "TcpListener",
        "UdpSocket",
        "tokio",
        "std::io::stdin",
        "std::io::stdout",
        "std::io::stderr",
        "std::sync::Mutex",
    ];
    for (file, code) in sources("src/proto") {
        for word in FORBIDDEN {
            assert!(!names(&code, word), "{file} names {word}");
        }
    }
}

#[test]
fn the_machinery_knows_no_mail() {
    for (file, code) in sources("src/engine") {
        for word in ["proto", "mail", "server"] {
            assert!(!code.contains(&format!("use {word}::")), "{file} uses {word}");
        }
    }
}

#[test]
fn rooms_have_no_lumber_rooms() {
    for (file, _) in sources("src") {
        for name in ["utils", "util", "common", "helpers", "helper", "manager"] {
            assert!(!names(&file, name), "{file}: say what it owns");
        }
    }
}

#[test]
fn the_laws_can_be_broken() {
    assert!(reaches("use crate::delivery::Verdict;", "delivery"));
    assert!(reaches("use crate::{queue, delivery::Verdict};", "delivery"));
    assert!(!reaches("use crate::queue::Verdict; // crate::delivery", "deliveries"));
    assert!(!names("fn mail_from() {}", "mail"));
    assert!(names("std::time::Instant::now()", "std::time::Instant"));
}

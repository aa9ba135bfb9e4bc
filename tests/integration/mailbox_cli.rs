//! `ringpost mailbox …` without a server: mail comes in and goes out as it was, an import that is cut
//! off goes on, and a damaged store is found.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

use crate::harness::{Plan, Server, wait_until};

const JOE: &str = "joe@ours.test";

/// A server that has been, with an account.
fn stopped() -> Server {
    let mut server = Server::start(Plan::relay_to(([127, 0, 0, 1], 9).into()));
    done(&server, &["domain", "add", "ours.test"]);
    let file = server.folder().join("accounts.jsonl");
    fs::write(&file, format!("{{\"kind\":\"account\",\"address\":\"{JOE}\"}}\n")).unwrap();
    done(&server, &["import", text(&file)]);
    let refused = server.cli(&["mailbox", "verify"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("ringpost stop"));
    assert!(server.stop().success());
    server
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn done(server: &Server, arguments: &[&str]) -> String {
    let output = server.cli(arguments);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

fn data(server: &Server) -> PathBuf {
    server.folder().join("data")
}

fn journal(server: &Server) -> PathBuf {
    data(server).join("imports").join(format!("{JOE}.jsonl"))
}

fn verify(server: &Server) {
    done(server, &["mailbox", "verify"]);
}

/// An mbox as `export` writes it.
fn mbox(count: usize) -> String {
    let one = |n: usize| {
        format!(
            "From MAILER-DAEMON Wed Jan  3 01:{:02}:{:02} 1996\nStatus: {}\nX-Keywords: k{}\n\
             Subject: {n}\n\n>From {n}\n{}\n\n",
            n / 60 % 60,
            n % 60,
            if n.is_multiple_of(3) { "RO" } else { "O" },
            n % 5,
            "x".repeat(n % 900),
        )
    };
    (0..count).map(one).collect()
}

fn import(server: &Server, file: &Path) -> (u64, u64) {
    let answer = done(server, &["mailbox", "import", JOE, "--mbox", text(file), "--json"]);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    (answer["imported"].as_u64().unwrap(), answer["left_out"].as_u64().unwrap())
}

/// INBOX as an mbox.
fn exported(server: &Server) -> String {
    let file = server.folder().join("out.mbox");
    done(server, &["mailbox", "export", JOE, "--mbox", text(&file), "--folder", "INBOX"]);
    let read = fs::read_to_string(&file).unwrap();
    fs::remove_file(file).unwrap();
    read
}

/// Flags, and keywords by name: which letter stands for which is the folder's to say.
fn named(letters: &str, folder: &Path) -> String {
    let known = fs::read_to_string(folder.join("dovecot-keywords")).unwrap_or_default();
    let name = |letter: char| {
        let index = u32::from(letter).checked_sub(u32::from('a'))?;
        known.lines().find_map(|line| line.strip_prefix(&format!("{index} ")))
    };
    let named = letters.chars().map(|one| name(one).map_or(one.to_string(), str::to_owned));
    named.collect()
}

/// What a Maildir holds: for each file its folder, flags, date and octets.
fn tree(root: &Path) -> Vec<(String, String, u64, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Some((_, flags)) = text(&path).rsplit_once(":2,") {
                let place = text(folder.strip_prefix(root).unwrap()).to_owned();
                let flags = named(flags, folder.parent().unwrap());
                let modified = fs::metadata(&path).unwrap().modified().unwrap();
                let seconds = modified.duration_since(UNIX_EPOCH).unwrap().as_secs();
                found.push((place, flags, seconds, fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_maildir_comes_back_as_it_was() {
    let server = stopped();
    let root = server.folder().join("from");
    for folder in ["", ".Sent.2024", ".Entw&APw-rfe"] {
        for side in ["cur", "new", "tmp"] {
            fs::create_dir_all(root.join(folder).join(side)).unwrap();
        }
    }
    fs::write(root.join("dovecot-keywords"), "0 Work\n1 $Later\n").unwrap();
    let mut files = BTreeMap::new();
    files.insert("cur/1.a:2,FSb", "Subject: a\n\nFrom here\n");
    files.insert("cur/2.b:2,", "no header\0 and no end");
    files.insert("cur/3.c:2,DRTa", "");
    files.insert(".Sent.2024/cur/4.d:2,S", "Subject: sent\n\n\u{fc}\n");
    files.insert(".Entw&APw-rfe/cur/5.e:2,D", "\n\n");
    for ((name, octets), seconds) in files.iter().zip(1_000_000_000..) {
        fs::write(root.join(name), octets).unwrap();
        let at = UNIX_EPOCH + Duration::from_secs(seconds);
        fs::File::options().append(true).open(root.join(name)).unwrap().set_modified(at).unwrap();
    }
    let import = ["mailbox", "import", JOE, "--maildir", text(&root)];
    assert_eq!(done(&server, &import), "5 messages imported.\n");
    let again = "0 messages imported, 5 were imported before.\n";
    assert_eq!(done(&server, &import), again);
    let listed = done(&server, &["mailbox", "list", JOE]);
    assert!(listed.contains("Sent/2024") && listed.contains("Entwürfe"), "{listed}");
    let to = server.folder().join("to");
    let export = ["mailbox", "export", JOE, "--maildir", text(&to)];
    assert!(done(&server, &export).starts_with("5 messages of "));
    assert_eq!(tree(&to), tree(&root));
    // What is missing is written again, and nothing else.
    let gone = fs::read_dir(to.join("cur")).unwrap().next().unwrap().unwrap().path();
    fs::remove_file(gone).unwrap();
    let answer = done(&server, &export);
    assert!(answer.starts_with("1 message of ") && answer.contains("4 were there"), "{answer}");
    assert_eq!(tree(&to), tree(&root));
    verify(&server);
    let used = done(&server, &["mailbox", "usage", JOE, "--json"]);
    let used: Value = serde_json::from_str(&used).unwrap();
    assert_eq!(used["messages"], 5);
    assert_eq!(server.cli(&["mailbox", "remove", JOE]).status.code(), Some(2));
    done(&server, &["mailbox", "remove", JOE, "--yes"]);
    assert_eq!(server.cli(&["mailbox", "list", JOE]).status.code(), Some(1));
    // Who comes next has imported nothing.
    assert_eq!(done(&server, &import), "5 messages imported.\n");
    verify(&server);
}

#[test]
fn an_import_that_is_killed_goes_on() {
    let server = stopped();
    let file = server.folder().join("in.mbox");
    let text_in = mbox(20_000);
    fs::write(&file, &text_in).unwrap();
    let config = server.config_path();
    let mut kept = 0;
    for round in 1..=4 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ringpost"))
            .args(["mailbox", "import", JOE, "--mbox", text(&file), "--config", text(&config)])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Once the journal has more than the round before, at whatever moment of a batch.
        wait_until("the import to go on", 60, || {
            let length = fs::metadata(journal(&server)).map_or(0, |found| found.len());
            length > kept + 200 || child.try_wait().unwrap().is_some()
        });
        sleep(Duration::from_millis(7 * round));
        let _ = child.kill();
        child.wait().unwrap();
        kept = fs::metadata(journal(&server)).unwrap().len();
    }
    let (imported, left_out) = import(&server, &file);
    assert!(imported < 20_000 && left_out == 0, "{imported}");
    assert!(exported(&server) == text_in, "what was exported is not what was imported");
    verify(&server);
}

#[test]
fn a_batch_in_doubt_is_looked_for() {
    let server = stopped();
    let file = server.folder().join("in.mbox");
    let text_in = mbox(1200);
    fs::write(&file, &text_in).unwrap();
    assert_eq!(import(&server, &file), (1200, 0));
    // Killed before it could note that the last batch is in.
    let lines = fs::read_to_string(journal(&server)).unwrap();
    let cut = lines.trim_end().rsplit_once('\n').unwrap().0.to_owned() + "\n";
    fs::write(journal(&server), &cut).unwrap();
    assert_eq!(import(&server, &file), (0, 0));
    assert!(exported(&server) == text_in);
    // Killed before the last batch was in: here its mail has gone with the account.
    done(&server, &["mailbox", "remove", JOE, "--yes"]);
    fs::create_dir_all(journal(&server).parent().unwrap()).unwrap();
    let first = cut.lines().next().unwrap().to_owned() + "\n";
    fs::write(journal(&server), first).unwrap();
    assert_eq!(import(&server, &file), (1200, 0));
    assert!(exported(&server) == text_in);
    // A file that has grown is no longer the one that was imported.
    fs::write(&file, text_in + "From x\n\nmore\n").unwrap();
    let refused = server.cli(&["mailbox", "import", JOE, "--mbox", text(&file)]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--again"));
    verify(&server);
}

#[test]
fn a_damaged_store_is_found() {
    let server = stopped();
    let file = server.folder().join("in.mbox");
    fs::write(&file, mbox(3000)).unwrap();
    assert_eq!(import(&server, &file), (3000, 0));
    verify(&server);
    let mut damaged = 0;
    for store in fs::read_dir(data(&server).join("store")).unwrap() {
        let store = store.unwrap().path();
        let Ok(files) = fs::read_dir(&store) else { continue };
        for path in files.map(|file| file.unwrap().path()) {
            let mut octets = fs::read(&path).unwrap_or_default();
            let is_data = matches!(path.extension(), Some(end) if end == "sst" || end == "blob");
            if is_data && octets.len() > 20_000 {
                let middle = octets.len() / 2;
                octets[middle..middle + 64].fill(0xaa);
                fs::write(&path, octets).unwrap();
                damaged += 1;
            }
        }
    }
    assert!(damaged > 0, "no file to damage");
    let output = server.cli(&["mailbox", "verify"]);
    let table = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{table}");
    assert!(table.contains("FINDING"), "{table}");
}

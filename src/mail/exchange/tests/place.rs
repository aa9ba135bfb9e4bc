//! Whoever may write a Maildir has nothing read or written for him that lies elsewhere.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::*;

use super::{mail, make, reader};
use crate::exchange::maildir;
use crate::mailbox::INBOX;

/// A directory, and another with a file of somebody else's.
struct Yard {
    dir: tempfile::TempDir,
    theirs: tempfile::TempDir,
}

impl Yard {
    fn new() -> Self {
        let yard = Self { dir: tempfile::tempdir().unwrap(), theirs: tempfile::tempdir().unwrap() };
        make(yard.dir.path());
        fs::write(yard.secret(), "0 secret\n").unwrap();
        yard
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn secret(&self) -> PathBuf {
        self.theirs.path().join("1:2,")
    }

    /// Leads to the file.
    fn link(&self, name: &str) {
        symlink(self.secret(), self.at(name)).unwrap();
    }

    /// Leads to the directory, in place of what was there.
    fn link_folder(&self, name: &str) {
        let _ = fs::remove_dir_all(self.at(name));
        symlink(self.theirs.path(), self.at(name)).unwrap();
    }

    fn pipe(&self, name: &str) {
        let (pipe, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, self.at(name), pipe, mode, 0).unwrap();
    }

    /// Nothing of theirs was touched.
    fn is_untouched(&self) -> bool {
        let names = fs::read_dir(self.theirs.path()).unwrap().count();
        names == 1 && fs::read(self.secret()).unwrap() == b"0 secret\n"
    }
}

#[test]
fn letters_that_are_no_files_are_not_read() {
    let yard = Yard::new();
    fs::write(yard.at("cur/1:2,"), "own").unwrap();
    fs::write(yard.at("cur/2:2,"), "own").unwrap();
    yard.link("cur/3:2,");
    yard.pipe("new/4");
    symlink("nowhere", yard.at("new/5")).unwrap();
    let reader = reader(yard.dir.path(), INBOX);
    let letters = reader.letters().unwrap();
    let uniques: Vec<&str> = letters.iter().map(|letter| &*letter.unique).collect();
    assert_eq!(uniques, ["1", "2"]);
    // What they become after they were listed.
    for put in [Yard::link, Yard::pipe] {
        fs::remove_file(yard.at("cur/2:2,")).unwrap();
        put(&yard, "cur/2:2,");
        let error = reader.read(&letters[1], 100).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("no regular file"), "{error}");
    }
    // The directory is the one that was opened, whatever has its name now.
    fs::rename(yard.at("cur"), yard.at("was")).unwrap();
    yard.link_folder("cur");
    assert_eq!(reader.read(&letters[0], 100).unwrap().unwrap().message, b"own");
}

#[test]
fn folders_that_are_links_are_not_read() {
    let yard = Yard::new();
    make(yard.theirs.path());
    for name in [".Own", ".Half", ".Later"] {
        make(&yard.at(name));
    }
    yard.link_folder(".Linked");
    yard.link_folder(".Half/cur");
    let root = yard.theirs.path().join("root");
    // Who runs the command says what the root is.
    symlink(yard.dir.path(), &root).unwrap();
    let found = maildir::folders(&root).unwrap();
    let names: Vec<&str> = found.iter().map(|folder| &*folder.name).collect();
    assert_eq!(names, [INBOX, "Later", "Own"]);
    yard.link_folder(".Later");
    assert_eq!(found[1].open().unwrap_err().kind(), io::ErrorKind::NotADirectory);
    yard.link_folder(".Own/new");
    let error = found[2].open().unwrap_err();
    assert!(error.to_string().contains(".Own/new is a link"), "{error}");
    yard.link_folder("cur");
    assert!(maildir::folders(&root).is_err());
}

#[test]
fn keywords_are_a_file_and_bounded() {
    let yard = Yard::new();
    let folder = maildir::folders(yard.dir.path()).unwrap().remove(0);
    for put in [Yard::link, Yard::pipe] {
        put(&yard, "dovecot-keywords");
        let error = folder.open().unwrap_err();
        assert!(error.to_string().contains("dovecot-keywords: it is a link"), "{error}");
        assert!(maildir::Writer::open(yard.dir.path(), INBOX, 1, &["k".into()]).is_err());
        fs::remove_file(yard.at("dovecot-keywords")).unwrap();
    }
    // The last line that is read is cut off within its name.
    let filler = "x".repeat((64 << 10) - "0 Work\n\n1 Lat".len());
    fs::write(yard.at("dovecot-keywords"), format!("0 Work\n{filler}\n1 Later\n2 k\n")).unwrap();
    fs::write(yard.at("cur/1:2,abc"), "").unwrap();
    let reader = folder.open().unwrap();
    let letters = reader.letters().unwrap();
    let marks = reader.read(&letters[0], 100).unwrap().unwrap().marks;
    assert_eq!(marks, mail("", 0, &["Work"], 0).marks);
    assert!(yard.is_untouched());
}

#[test]
fn nothing_is_written_through_a_link() {
    let yard = Yard::new();
    make(&yard.at(".Sent"));
    let written = ["maildirfolder", "tmp/dovecot-keywords", "tmp/7.V3U1.ringpost,S=2"];
    let unfinished = "cur/7.V3U1.ringpost,S=2:2,a";
    for name in written.iter().chain(&[unfinished]) {
        yard.link(&format!(".Sent/{name}"));
    }
    let one = mail("x\r\n", 0, &["k"], 7);
    let writer = maildir::Writer::open(yard.dir.path(), "Sent", 3, &one.marks.keywords).unwrap();
    assert!(!writer.keep(1, &one.marks).unwrap());
    writer.write(1, &one.marks, one.internal, &one.message).unwrap();
    assert!(yard.is_untouched());
    for name in [unfinished, "dovecot-keywords"] {
        let found = fs::symlink_metadata(yard.at(".Sent").join(name)).unwrap();
        assert!(found.is_file(), "{name}");
        assert_eq!(found.permissions().mode() & 0o777, 0o600, "{name}");
    }
    // The directories are those that were opened.
    for side in ["cur", "tmp"] {
        yard.link_folder(&format!(".Sent/{side}"));
    }
    let _ = writer.write(2, &one.marks, one.internal, &one.message);
    assert!(yard.is_untouched());
}

#[test]
fn a_folder_in_place_of_which_is_a_link_is_refused() {
    for name in ["cur", "new", "tmp", ".Sent", ".Sent/cur", ".Sent/new", ".Sent/tmp"] {
        let yard = Yard::new();
        make(&yard.at(".Sent"));
        yard.link_folder(name);
        let folder = if name.starts_with('.') { "Sent" } else { INBOX };
        let error = maildir::Writer::open(yard.dir.path(), folder, 3, &["k".into()]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
        let text = format!("{} is a link", yard.at(name).display());
        assert!(error.to_string().contains(&text), "{error}");
        assert!(yard.is_untouched(), "{name}");
    }
    // A file is no folder either; the root may be a link.
    let yard = Yard::new();
    File::create(yard.at(".Sent")).unwrap();
    assert!(maildir::Writer::open(yard.dir.path(), "Sent", 3, &[]).is_err());
    let root = yard.theirs.path().join("root");
    symlink(yard.dir.path(), &root).unwrap();
    maildir::Writer::open(&root, "Trash", 3, &[]).unwrap();
    assert!(yard.at(".Trash/cur").is_dir());
}

#[test]
fn names_of_folders_do_not_lead_out() {
    let above = tempfile::tempdir().unwrap();
    let root = above.path().join("root");
    let deep = ["..", "."].repeat(8).join("/");
    let names = [".", "..", "../..", "a/../../b", "../../../etc", "./.", "\0", "a\0/\n", &deep];
    for name in names {
        let entry = maildir::entry_of(name).unwrap();
        assert!(!entry.contains(['/', '\0']) && !entry.contains(".."), "{entry:?}");
        maildir::Writer::open(&root, name, 1, &[]).unwrap();
    }
    for name in ["", "/", "//", "/..", "a//b", "a/"] {
        let error = maildir::Writer::open(&root, name, 1, &[]).err().map(|error| error.kind());
        assert_eq!(error, Some(io::ErrorKind::InvalidInput), "{name:?}");
    }
    assert_eq!(fs::read_dir(above.path()).unwrap().count(), 1);
    assert_eq!(fs::read_dir(&root).unwrap().count(), names.len());
}

proptest! {
    #[test]
    fn any_name_of_a_folder_is_one_of_a_file(parts in vec("[./&,AC4\\-\0-\u{ff}]{1,6}", 1..5)) {
        let name = parts.join("/");
        match maildir::entry_of(&name) {
            Err(_) => prop_assert!(name.split('/').any(str::is_empty)),
            Ok(entry) => {
                let parts: Vec<_> = Path::new(&entry).components().collect();
                prop_assert!(matches!(parts[..], [Component::Normal(one)] if one == &*entry));
                prop_assert!(!entry.contains('\0'));
                prop_assert_eq!(maildir::decoded(&entry[1..]), name);
            }
        }
    }
}

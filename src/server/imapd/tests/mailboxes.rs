//! What is told of folders: LIST and LSUB, STATUS, quotas; and what moves between them.

use mail::mailbox::{Flags, INBOX, Limits};

use super::desk::{Desk, at_desk};

/// The folders and subscriptions of RFC 5258 §5.
async fn plant(desk: &mut Desk) {
    for name in ["Archive", "Drafts", "Junk", "Sent", "Trash"] {
        desk.told(&format!("DELETE {name}")).await;
        desk.told(&format!("UNSUBSCRIBE {name}")).await;
    }
    for name in [
        "Fruit/Apple",
        "Fruit/Banana",
        "Tofu",
        "Vegetable/Broccoli",
        "Vegetable/Corn",
        "Fruit/Peach",
    ] {
        desk.told(&format!("CREATE {name}")).await;
    }
    for name in ["Fruit/Banana", "Fruit/Peach", "Vegetable", "Vegetable/Broccoli"] {
        desk.told(&format!("SUBSCRIBE {name}")).await;
    }
    desk.told("DELETE Fruit/Peach").await;
}

/// `lines` as `LIST` or `LSUB` tells them, all of them.
async fn assert_told(desk: &mut Desk, command: &str, lines: &[&str]) {
    let verb = if command.starts_with("LSUB") { "LSUB" } else { "LIST" };
    let expected: String = lines
        .iter()
        .map(|line| {
            if line.starts_with('*') {
                format!("{line}\r\n")
            } else {
                format!("* {verb} {line}\r\n")
            }
        })
        .collect();
    assert_eq!(desk.told(command).await, expected, "{command}");
}

#[test]
fn folders_are_listed_as_rfc_5258_has_them() {
    at_desk(async |mut desk| {
        plant(&mut desk).await;
        let all = [
            r#"(\HasChildren) "/" "Fruit""#,
            r#"(\HasNoChildren) "/" "Fruit/Apple""#,
            r#"(\HasNoChildren) "/" "Fruit/Banana""#,
            r#"(\HasNoChildren) "/" "INBOX""#,
            r#"(\HasNoChildren) "/" "Tofu""#,
            r#"(\HasChildren) "/" "Vegetable""#,
            r#"(\HasNoChildren) "/" "Vegetable/Broccoli""#,
            r#"(\HasNoChildren) "/" "Vegetable/Corn""#,
        ];
        let peach = r#"(\NonExistent \Noselect \HasNoChildren \Subscribed) "/" "Fruit/Peach""#;
        let subscribed = [
            r#"(\HasNoChildren \Subscribed) "/" "Fruit/Banana""#,
            peach,
            r#"(\HasNoChildren \Subscribed) "/" "INBOX""#,
            r#"(\HasChildren \Subscribed) "/" "Vegetable""#,
            r#"(\HasNoChildren \Subscribed) "/" "Vegetable/Broccoli""#,
        ];
        assert_told(&mut desk, r#"LIST "" "*""#, &all).await;
        assert_told(&mut desk, r#"LIST (SUBSCRIBED) "" "*""#, &subscribed).await;
        let top = [all[0], all[3], all[4], all[5]];
        assert_told(&mut desk, r#"LIST () "" "%" RETURN (CHILDREN)"#, &top).await;
        let both = [all[1], all[2], all[3]];
        assert_told(&mut desk, r#"LIST "" (inbox Fruit/%)"#, &both).await;
        assert_told(&mut desk, r#"LIST Fruit/ "A*""#, &all[1..2]).await;
        assert_told(&mut desk, r#"LIST "" """#, &[r#"(\Noselect) "/" """#]).await;
        assert_told(&mut desk, r#"LIST "" "Nothing*""#, &[]).await;
        let returned = [
            all[0],
            subscribed[2],
            r#"(\HasNoChildren) "/" "Tofu""#,
            r#"(\HasChildren \Subscribed) "/" "Vegetable""#,
        ];
        assert_told(&mut desk, r#"LIST "" "%" RETURN (SUBSCRIBED)"#, &returned).await;
        // Only those of which something beneath is not told itself (§3.5).
        let recursive = [
            r#"(\HasChildren) "/" "Fruit" ("CHILDINFO" ("SUBSCRIBED"))"#,
            subscribed[2],
            r#"(\HasChildren \Subscribed) "/" "Vegetable" ("CHILDINFO" ("SUBSCRIBED"))"#,
        ];
        assert_told(&mut desk, r#"LIST (SUBSCRIBED RECURSIVEMATCH) "" "%""#, &recursive).await;
        assert_told(&mut desk, r#"LIST (SUBSCRIBED RECURSIVEMATCH) "" "*""#, &subscribed).await;
        let lsub = [r#"(\Noselect) "/" "Fruit""#, r#"() "/" "INBOX""#, r#"() "/" "Vegetable""#];
        assert_told(&mut desk, r#"LSUB "" "%""#, &lsub).await;
        let beneath = [r#"() "/" "Fruit/Banana""#, r#"() "/" "Fruit/Peach""#];
        assert_told(&mut desk, r#"LSUB "" "Fruit/*""#, &beneath).await;
        // A folder goes, and what is beneath it stays: only its name is left.
        desk.told("DELETE Fruit").await;
        let left = [r#"(\NonExistent \Noselect \HasChildren) "/" "Fruit""#];
        assert_told(&mut desk, r#"LIST "" "Fruit""#, &left).await;
        desk.ends("DELETE Fruit", "NO [NONEXISTENT] ").await;
        desk.ends("SELECT Fruit", "NO [NONEXISTENT] ").await;
    });
}

#[test]
fn folders_are_listed_by_what_they_are_for() {
    at_desk(async |mut desk| {
        let uses = [
            r#"(\HasNoChildren \Archive) "/" "Archive""#,
            r#"(\HasNoChildren \Drafts) "/" "Drafts""#,
            r#"(\HasNoChildren \Junk) "/" "Junk""#,
            r#"(\HasNoChildren \Sent) "/" "Sent""#,
            r#"(\HasNoChildren \Trash) "/" "Trash""#,
        ];
        assert_told(&mut desk, r#"LIST (SPECIAL-USE) "" "*""#, &uses).await;
        desk.ends("CREATE Everything (USE (\\All))", "NO [USEATTR] ").await;
        desk.ends("CREATE sent/sent/", "OK [MAILBOXID (F").await;
        desk.ends("CREATE inbox", "NO [ALREADYEXISTS] ").await;
        desk.ends("CREATE a//b", "NO [CANNOT] ").await;
        desk.ends("DELETE inbox", "NO [CANNOT] ").await;
        desk.ends("RENAME Missing Other", "NO [NONEXISTENT] ").await;
        desk.ends("RENAME Sent Junk", "NO [ALREADYEXISTS] ").await;
        let status = [uses[2], r#"* STATUS "Junk" (MESSAGES 0 UNSEEN 0)"#];
        let command = r#"LIST "" "J%" RETURN (STATUS (MESSAGES UNSEEN))"#;
        assert_told(&mut desk, command, &status).await;
    });
}

#[test]
fn names_are_written_as_the_client_reads_them() {
    at_desk(async |mut desk| {
        desk.told("CREATE Entw&APw-rfe").await;
        let old = [r#"(\HasNoChildren) "/" "Entw&APw-rfe""#];
        assert_told(&mut desk, r#"LIST "" "E*""#, &old).await;
        desk.told("ENABLE IMAP4rev2").await;
        assert_told(&mut desk, r#"LIST "" "E*""#, &[r#"(\HasNoChildren) "/" "Entwürfe""#]).await;
        let told = desk.told("CREATE \"Tu\u{308}r\"").await;
        assert_eq!(told, "* LIST () \"/\" \"Tür\" (\"OLDNAME\" (\"Tu\u{308}r\"))\r\n");
        assert_eq!(desk.told("CREATE \"Tor\"").await, "");
    });
}

#[test]
fn a_status_has_all_that_is_asked_for() {
    at_desk(async |mut desk| {
        desk.put("A: b\n\nfirst\n", 1_000, Flags::SEEN.into()).await;
        desk.put("A: b\n\nsecond\n", 1_000, Flags::DELETED.into()).await;
        let folder = desk.home.mailbox.folder(INBOX).unwrap();
        let (validity, modseq, id) = (folder.validity, folder.counts.modseq, folder.id);
        let command = "STATUS inbox (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN DELETED SIZE \
            DELETED-STORAGE HIGHESTMODSEQ APPENDLIMIT MAILBOXID)";
        let told = format!(
            "* STATUS \"INBOX\" (MESSAGES 2 RECENT 2 UIDNEXT 3 UIDVALIDITY {validity} UNSEEN 1 \
            DELETED 1 SIZE 31 DELETED-STORAGE 16 HIGHESTMODSEQ {modseq} APPENDLIMIT 1000 \
            MAILBOXID ({id}))\r\n"
        );
        assert_eq!(desk.told(command).await, told);
        let empty = "* STATUS \"Junk\" (DELETED-STORAGE 0 HIGHESTMODSEQ 1)\r\n";
        assert_eq!(desk.told("STATUS Junk (HIGHESTMODSEQ DELETED-STORAGE)").await, empty);
        desk.ends("STATUS Missing (MESSAGES)", "NO [NONEXISTENT] ").await;
    });
}

#[test]
fn messages_are_copied_and_moved() {
    at_desk(async |mut desk| {
        for number in 1..=4 {
            desk.put(&format!("Subject: {number}\n\n"), 1_000, Flags::default().into()).await;
        }
        desk.told("SELECT INBOX").await;
        let validity = desk.home.mailbox.folder("Archive").unwrap().validity;
        let copied = format!("OK [COPYUID {validity} 1:2 1:2] ");
        desk.ends("COPY 1:2 Archive", &copied).await;
        desk.ends("COPY 1 Missing", "NO [TRYCREATE] ").await;
        desk.ends("MOVE 1 Missing", "NO [TRYCREATE] ").await;
        desk.ends("COPY 5 Archive", "BAD ").await;
        desk.ends("UID COPY 77 Archive", "OK ").await;
        let told = desk.told("MOVE 1,3 Archive").await;
        let expunged = "* 3 EXPUNGE\r\n* 1 EXPUNGE\r\n";
        assert_eq!(told, format!("* OK [COPYUID {validity} 1,3 3:4] Moved\r\n{expunged}"));
        // Another session expunges what this one still has a number for.
        let other = desk.other().await.open(INBOX, false).await.unwrap();
        other.remove_all(&[4]).await.unwrap();
        desk.ends("COPY 1:2 Archive", "NO [EXPUNGEISSUED] ").await;
        assert_eq!(desk.home.mailbox.folder("Archive").unwrap().counts.messages, 4, "all or none");
        desk.ends("COPY 2 Archive", "BAD ").await;
        desk.told("EXAMINE Archive").await;
        desk.ends("MOVE 1 INBOX", "NO [NOPERM] ").await;
    });
}

#[test]
fn quotas_are_told_and_kept() {
    at_desk(async |mut desk| {
        assert_eq!(desk.told("GETQUOTAROOT INBOX").await, "* QUOTAROOT \"INBOX\"\r\n");
        desk.ends("GETQUOTA \"\"", "NO [NONEXISTENT] ").await;
        desk.put("A: b\n\n0123456789\n", 1_000, Flags::default().into()).await;
        desk.home.limits = Limits { account: Some(4096), domain: None };
        let quota = "* QUOTA \"\" (STORAGE 1 4)\r\n";
        assert_eq!(desk.told("GETQUOTA \"\"").await, quota);
        let told = desk.told("GETQUOTAROOT inbox").await;
        assert_eq!(told, format!("* QUOTAROOT \"INBOX\" \"\"\r\n{quota}"));
        desk.ends("GETQUOTA other", "NO [NONEXISTENT] ").await;
        desk.ends("SETQUOTA \"\" (STORAGE 9)", "NO [NOPERM] ").await;
        desk.home.limits = Limits { account: Some(21), domain: None };
        desk.told("SELECT INBOX").await;
        desk.ends("COPY 1 Archive", "NO [OVERQUOTA] ").await;
    });
}

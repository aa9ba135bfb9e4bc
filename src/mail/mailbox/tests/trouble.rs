//! Failing disks, and rows that cannot be read.

use std::{fs, io::Write, path::PathBuf, process::Command};

use super::*;

/// A small file system of its own, unmounted when dropped.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=96m", "tmpfs"]).arg(at);
        mount.stderr(std::process::Stdio::null());
        if mount.status().is_ok_and(|status| status.success()) {
            return Some(Self(at.to_owned()));
        }
        println!("skipped: mounting a tmpfs is not allowed here");
        None
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Fills the disk to the last byte with a file of somebody else.
fn fill(file: &Path) {
    let mut out = fs::File::create(file).unwrap();
    for size in [1 << 20, 4096, 1] {
        while out.write_all(&vec![0; size]).is_ok() {}
    }
}

#[test]
fn a_lost_write_loses_what_rests_on_it_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(dir.path()) else { return };
    local(async {
        let place = Place::new();
        let store = place.open_at(&disk.0);
        let first = deliver(&store, &[ANN, BOB], "sure").await;
        let mut view = inbox(&store, ANN).await;
        let big = Parcel::new(Bytes::from(vec![b'x'; 40_000]), Timestamp(0));
        let one = [to(ANN, None)];
        let mut rounds = 0;
        // Several at a time, so that a batch that fails has others behind it.
        while place.metrics.lost.get() == 0 {
            assert!(rounds < 4000, "the disk never fills");
            fill(&disk.0.join(format!("filler{rounds}")));
            rounds += 1;
            let how = if rounds % 2 == 0 { How::Add } else { How::Remove };
            let flagged = Flags::FLAGGED.into();
            let (_, flags, _) = tokio::join!(
                store.deliver(&one, &big),
                view.store(&[1], how, &flagged, None),
                store.deliver(&one, &big),
            );
            assert!(flags.is_ok() || place.metrics.lost.get() > 0);
        }
        let delivered = place.metrics.delivered.get();
        for entry in fs::read_dir(&disk.0).unwrap() {
            let entry = entry.unwrap().path();
            if entry.is_file() {
                fs::remove_file(entry).unwrap();
            }
        }
        while store.health() != Health::Healthy {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(view.take(true), Err(MailboxError::Lost));
        view.changed().await;
        let again = inbox(&store, ANN).await;
        assert_eq!(whole(&again, 1).await, body("sure"));
        // Of the two of the first delivery one was for Bob. What failed may be there all the same.
        assert!(again.len() as u64 >= delivered - 1, "{} of {delivered}", again.len());
        let bob = inbox(&store, BOB).await;
        assert_eq!(whole(&bob, first[1].uid).await, body("sure"));
        deliver(&store, &[ANN], "works again").await;
        drop((again, bob, view));
        assert_clean(&store).await;
        assert!(store.close().await);
        drop(store);
        let store = place.open_at(&disk.0);
        assert_clean(&store).await;
    });
}

#[test]
fn a_digest_that_cannot_be_read_is_made_again() {
    let place = Place::with(|settings| settings.digest_cache = Size(0));
    local(async {
        let store = place.open();
        let ids: Vec<EmailId> =
            [deliver(&store, &[ANN], "one").await, deliver(&store, &[ANN], "two").await]
                .map(|placed| placed[0].id)
                .to_vec();
        let view = inbox(&store, ANN).await;
        let before = view.digests(&[1, 2]).await.unwrap();
        let mut plan = Plan::default();
        let earlier = Bytes::from_static(&[1, 0, 0]);
        plan.put_octets(record::DIGEST, record::message_key(ids[0].0), earlier);
        plan.remove(record::DIGEST, record::message_key(ids[1].0));
        plan.commit(&store.0).await.unwrap();
        assert_eq!(view.digests(&[1, 2]).await.unwrap(), before);
        assert_eq!(place.metrics.digests_made_again.get(), 2);
        // Without the message there is nothing to make it of; the others are told all the same.
        let mut plan = Plan::default();
        plan.remove(record::BODY, record::message_key(ids[0].0));
        plan.commit(&store.0).await.unwrap();
        drop((view, store));
        let view = inbox(&place.open(), ANN).await;
        let found = view.digests(&[1, 2]).await.unwrap();
        assert_eq!((&found[0], &found[1]), (&None, &before[1]));
    });
}

#[test]
fn verify_tells_what_is_wrong() {
    let place = Place::new();
    local(async {
        let store = place.open();
        let placed = deliver(&store, &[ANN, BOB], "shared").await;
        let key = record::message_key(placed[0].id.0);
        let ann = store.mailbox(ANN).await.unwrap().account.number;
        assert_clean(&store).await;
        let faults = async |fill: &dyn Fn(&mut Plan)| {
            let mut plan = Plan::default();
            fill(&mut plan);
            plan.commit(&store.0).await.unwrap();
            let report = store.verify().unwrap();
            assert_eq!(report.fault_count as usize, report.faults.len());
            report.faults.join("\n")
        };
        let share = faults(&|plan| plan.put(record::SHARE, key.clone(), &3_u32)).await;
        assert!(share.contains("counts 3, has 2"), "{share}");
        let body = faults(&|plan| plan.remove(record::BODY, key.clone())).await;
        assert!(body.contains("has no body"), "{body}");
        let usage = Usage { bytes: 1, messages: 1 };
        let usage = faults(&|plan| plan.put(FOLDER, record::usage_key(ann), &usage)).await;
        assert!(usage.contains("account ann@x.example: counts"), "{usage}");
        let entry = record::entry_key(ann, record::FOLDER_FIRST, 1);
        let entry =
            faults(&|plan| plan.put_octets(record::ENTRY, entry.clone(), Bytes::new())).await;
        assert!(entry.contains("cannot be read"), "{entry}");
        assert!(entry.contains("(INBOX): counts"), "{entry}");
        let stray = faults(&|plan| {
            plan.put(record::SHARE, record::message_key(999_999), &1_u32);
        })
        .await;
        assert!(stray.contains("nothing refers") && stray.contains("not marked"), "{stray}");
        // What cannot be read is left out, told, and still there.
        assert!(store.close().await);
        let store = place.open();
        assert_eq!(inbox(&store, ANN).await.len(), 0);
        assert_eq!(place.metrics.unreadable.get(), 1);
        assert_eq!(rows(&store, record::ENTRY).await, 2);
        let bob = inbox(&store, BOB).await;
        assert_eq!(bob.body(1, 0..9).await, Err(MailboxError::Unreadable("body")));
    });
}

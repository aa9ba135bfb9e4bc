//! Every shipped recipe relays every message and stops without a trace.

use crate::mail::{Sink, alone, left_in, place, recipe, send, skips};

fn relays(name: &str) {
    let _alone = alone();
    let (recipe, place) = (recipe(name), place());
    if skips(&recipe, &place) {
        return;
    }
    let mut sink = Sink::start(place.sink_port);
    let running = recipe.start(&place).unwrap();
    let folder = running.folder().to_owned();
    let group = running.group().map(|group| group.path().to_owned());
    let server = running.describe();
    eprintln!("{server:?}");
    assert!(server.version.is_some_and(|version| version.contains(|c: char| c.is_ascii_digit())));
    let mut watch = running.watch();

    send(place.port, 20, 500);
    sink.wait_for(500);
    // As many sessions at once as are promised, each of which must get its 250.
    send(place.port, 500, 500);
    sink.wait_for(1000);
    let usage = watch.sample();
    assert!(usage.user_us > 0 && usage.system_us > 0 && usage.processes > 0, "{usage:?}");
    assert!(usage.pss_kib.is_some_and(|kib| kib > 1000), "{usage:?}");

    running.stop().unwrap();
    assert_eq!(sink.count(), 1000, "more arrived than was sent");
    assert!(!folder.exists(), "{} is left", folder.display());
    assert!(group.is_none_or(|group| !group.exists()), "the cgroup is left");
    assert_eq!(left_in(&folder), Vec::<String>::new());
}

#[test]
fn ringpost_relays() {
    relays("ringpost");
}

#[test]
fn ringpost_on_one_shard_relays() {
    relays("ringpost-1-shard");
}

#[test]
fn postfix_relays() {
    relays("postfix");
}

#[test]
fn exim_relays() {
    relays("exim");
}

#[test]
fn opensmtpd_relays() {
    relays("opensmtpd");
}

#[test]
fn haraka_relays() {
    relays("haraka");
}

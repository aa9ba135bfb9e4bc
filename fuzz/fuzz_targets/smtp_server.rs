//! Whatever a client sends: no panic, no endless loop, and nothing but CRLF lines in return.
#![no_main]

use std::rc::Rc;

use libfuzzer_sys::fuzz_target;
use proto::{
    smtp::server::{Answer, LineEndings, Profile, Protocol, Question, Server, Step},
    types::{Moment, Timestamp},
};

fuzz_target!(|data: &[u8]| {
    let Some((choice, mut rest)) = data.split_first() else { return };
    let profile = Profile {
        protocol: if choice & 1 == 0 { Protocol::Smtp } else { Protocol::Lmtp },
        line_endings: if choice & 2 == 0 { LineEndings::Refuse } else { LineEndings::Fix },
        ..Profile::default()
    };
    let command_max = profile.limits.command_bytes_max;
    let cut = usize::from(choice >> 2) + command_max;
    let now = Moment(1);
    let mut server = Server::new(Rc::new(profile), now);
    let mut out = Vec::new();
    server.greet(now, &mut out);
    let mut idle = 0;
    loop {
        let piece = &rest[..cut.min(rest.len())];
        let (used, mut step) = server.feed(now, piece, &mut out);
        rest = &rest[used..];
        idle = if used == 0 { idle + 1 } else { 0 };
        assert!(idle < 16, "the machine turns without taking anything");
        loop {
            step = match step {
                Step::Ask(Question::Commit) => {
                    assert!(!server.take_envelope(Timestamp(0), "fuzz").recipients.is_empty());
                    server.answer(now, Answer::Queued("ID".into()), &mut out)
                }
                Step::Ask(_) => server.answer(now, Answer::Accept, &mut out),
                Step::Body(_) => break,
                Step::NeedInput if rest.is_empty() || used == 0 => return,
                Step::NeedInput => break,
                Step::Upgrade | Step::Close => {
                    assert!(out.ends_with(b"\r\n"));
                    return;
                }
            };
        }
    }
});

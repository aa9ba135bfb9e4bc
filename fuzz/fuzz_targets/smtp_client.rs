//! Whatever a server says: no panic, and one outcome for every recipient.
#![no_main]

use std::rc::Rc;

use libfuzzer_sys::fuzz_target;
use proto::{
    smtp::client::{Client, Config, Job, Step},
    types::{Address, BodyKind, Envelope, Moment, Recipient, Timestamp},
};

fn recipient(text: &str) -> Recipient {
    let address = Address::parse(text).expect("a valid address");
    Recipient { address, notify: None, orcpt: None }
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, mut rest)) = data.split_first() else { return };
    let envelope = Envelope {
        sender: None,
        recipients: vec![recipient("b@y.example"), recipient("c@z.example")],
        body: BodyKind::SevenBit,
        smtputf8: false,
        ret: None,
        envid: None,
        arrived: Timestamp(0),
        size: 3,
        origin: "fuzz".into(),
        require_tls: false,
        hold_until: None,
        authenticity: None,
    };
    let job = Job {
        envelope: &envelope,
        recipients: &[0, 1],
        size: 3,
        eight_bit: choice & 2 != 0,
        utf8_header: choice & 4 != 0,
    };
    let mut config = Config::new("me.example");
    config.lmtp = choice & 1 != 0;
    let cut = usize::from(choice >> 3) + 1;
    let now = Moment(1);
    let mut client = Client::new(Rc::new(config), now);
    let mut out = Vec::new();
    let mut step = Step::NeedInput;
    // A job that is refused without asking takes no input: the number of them ends the run.
    let mut jobs = 0;
    loop {
        step = match step {
            Step::NeedInput if rest.is_empty() => {
                let outcomes = client.lost("fuzz");
                assert!(outcomes.is_empty() || outcomes.len() == 2);
                return;
            }
            Step::NeedInput => {
                let (used, step) = client.feed(now, &rest[..cut.min(rest.len())], &mut out);
                rest = &rest[used..];
                step
            }
            Step::SendBody(_) => client.body_sent(now, &mut out),
            Step::Done(outcomes) => {
                assert_eq!(outcomes.len(), 2);
                jobs += 1;
                if !client.reusable() || rest.is_empty() || jobs == 100 {
                    return;
                }
                client.begin(now, &job, &mut out)
            }
            Step::Ready => client.begin(now, &job, &mut out),
            Step::Upgrade | Step::Failed(_) | Step::Close => return,
        };
    }
});

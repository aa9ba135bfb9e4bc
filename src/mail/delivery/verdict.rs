//! The one place where what happened becomes what we do: next host, defer the recipient, let the
//! site rest, or give up.
//!
//! | what happened | what we do |
//! |---|---|
//! | 2yz for a recipient | delivered |
//! | the copy is in its mailbox here | placed |
//! | a mailbox or its disk cannot take it now | defer the recipient |
//! | over quota, no such account | give the recipient up |
//! | 4yz for a recipient, or for the whole transaction | defer those recipients |
//! | 5yz for a recipient, or for the whole transaction | give those recipients up |
//! | 421, or the connection breaks, in a transaction | defer what has no answer, connect again |
//! | the same over a kept connection, before any answer | once more over a new one |
//! | no connection, no greeting, greeting or hello refused | next address, next host |
//! | no host is left | the site rests, its mail is deferred until then |
//! | null MX, no such domain, no host, a loop to ourselves | give up |
//! | the DNS does not answer, or a route of ours leads nowhere | defer |
//! | TLS is not what a policy demands of the host | next address, next host |
//! | REQUIRETLS, and the host does not offer it | next address, next host; give up when none does |
//!
//! 5yz to a connection is not final for the mail: a host that will not talk to us may be wrong about
//! us, and the next one may be right (as Postfix does; RFC 5321 §3.8 leaves it open).

use engine::dns::DnsError;
use proto::smtp::client::{Outcome, RecipientOutcome, Stage};
use proto::types::{Enhanced, Reply, Severity, Timestamp};

use super::mx::MxRefusal;
use crate::mailbox::MailboxError;
use crate::queue::{Remote, Verdict};

/// Why a host was not talked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostFault {
    /// How far it came.
    pub stage: Stage,
    /// What was said, or what we say about it.
    pub reply: Reply,
    /// Who it was.
    pub remote: Option<Remote>,
}

/// Why no host of a site was talked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SiteFault {
    /// It may be there later: the last host's fault.
    Rest(HostFault),
    /// It will not be: no mail can go there.
    Final(Reply),
}

/// A recipient's answer.
pub(super) fn of_recipient(
    outcome: RecipientOutcome,
    remote: &Remote,
    offers_dsn: bool,
) -> (u32, Verdict) {
    let Outcome { stage, reply } = outcome.outcome;
    let remote = Some(remote.clone());
    let verdict = match reply.severity() {
        Severity::Success => Verdict::Delivered { reply, remote, dsn_passed_on: offers_dsn },
        Severity::Permanent => Verdict::Failed { reply, remote },
        // 3yz where it has no meaning is no answer.
        Severity::Temporary | Severity::Intermediate => {
            Verdict::Deferred { reply, stage, remote, not_before: None }
        }
    };
    (outcome.recipient, verdict)
}

/// Whether the peer ended the connection in answer to MAIL, before it knew anything of the message:
/// a kept connection that it wants no more (RFC 5321 §3.8).
pub(super) fn is_farewell(outcomes: &[RecipientOutcome]) -> bool {
    let says =
        |one: &RecipientOutcome| one.outcome.reply.code == 421 && one.outcome.stage == Stage::Mail;
    !outcomes.is_empty() && outcomes.iter().all(says)
}

/// Mail for a site that rests until `until`.
pub(super) fn of_rest(fault: &HostFault, until: Timestamp) -> Verdict {
    // What a host said to a connection is never final for the mail.
    let mut reply = fault.reply.clone();
    if reply.severity() != Severity::Temporary {
        let text = format!("the host said: {reply}");
        reply = Reply::made(451, Enhanced(4, 3, 2), text);
    }
    Verdict::Deferred {
        reply,
        stage: fault.stage,
        remote: fault.remote.clone(),
        not_before: Some(until),
    }
}

/// Mail that can never be delivered.
pub(super) fn of_final(reply: &Reply) -> Verdict {
    Verdict::Failed { reply: reply.clone(), remote: None }
}

/// Mail whose route leads nowhere: final only when the route is mended and it still is.
pub(super) fn of_route(verdict: Verdict) -> Verdict {
    let Verdict::Failed { reply, remote } = verdict else { return verdict };
    // RFC 3463 §3.4: system incorrectly configured.
    let reply = Reply::made(451, Enhanced(4, 3, 5), format!("the route fails: {reply}"));
    Verdict::Deferred { reply, stage: Stage::Resolve, remote, not_before: None }
}

/// Mail that a policy keeps from every host, for now.
pub(super) fn of_policy(reply: Reply) -> Verdict {
    Verdict::Deferred { reply, stage: Stage::Tls, remote: None, not_before: None }
}

/// A message that cannot be read from our own disk.
pub(super) fn of_unreadable(error: &crate::queue::QueueError) -> Verdict {
    Verdict::Deferred {
        reply: Reply::made(451, Enhanced(4, 3, 0), error.to_string()),
        stage: Stage::Resolve,
        remote: None,
        not_before: None,
    }
}

/// A domain whose MX records lead nowhere.
pub(super) fn of_mx(domain: &str, refusal: MxRefusal) -> Reply {
    match refusal {
        // RFC 7505 §4.2.
        MxRefusal::Null => {
            Reply::made(556, Enhanced(5, 1, 10), format!("{domain} takes no mail (null MX)"))
        }
        MxRefusal::Loop => of_loop(domain),
        MxRefusal::NoHost => {
            Reply::made(550, Enhanced(5, 4, 4), format!("no MX record of {domain} names a host"))
        }
    }
}

/// Mail that would come back to us (RFC 5321 §5.1; RFC 3463: routing loop detected).
pub(super) fn of_loop(name: &str) -> Reply {
    Reply::made(554, Enhanced(5, 4, 6), format!("mail for {name} loops back to this server"))
}

/// A domain that the DNS could not tell about: final or not.
pub(super) fn of_dns(domain: &str, error: &DnsError) -> Result<Reply, HostFault> {
    match error {
        DnsError::NoName => {
            Ok(Reply::made(550, Enhanced(5, 1, 2), format!("domain {domain} does not exist")))
        }
        DnsError::NoRecords => {
            Ok(Reply::made(550, Enhanced(5, 1, 2), format!("domain {domain} has no mail host")))
        }
        DnsError::Temporary(why) | DnsError::Bogus(why) | DnsError::Settings(why) => {
            Err(HostFault {
                stage: Stage::Resolve,
                // RFC 3463 §3.5: directory server failure.
                reply: Reply::made(451, Enhanced(4, 4, 3), format!("DNS for {domain}: {why}")),
                remote: None,
            })
        }
    }
}

/// What became of a recipient's copy.
pub(super) fn of_copy(answer: &Result<Reply, MailboxError>) -> Verdict {
    match answer {
        Ok(reply) => Verdict::Placed { reply: reply.clone() },
        Err(error) => of_refusal(error.reply()),
    }
}

/// What we refuse ourselves: the directory, or a mailbox.
pub(super) fn of_refusal(reply: Reply) -> Verdict {
    match reply.severity() {
        Severity::Permanent => Verdict::Failed { reply, remote: None },
        _ => Verdict::Deferred { reply, stage: Stage::Resolve, remote: None, not_before: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote() -> Remote {
        Remote { name: "mx.test".into(), addr: None }
    }

    fn said(code: u16, stage: Stage) -> RecipientOutcome {
        let reply = Reply::bare(code, "text");
        RecipientOutcome { recipient: 3, outcome: Outcome { stage, reply }, again: false }
    }

    #[test]
    fn recipients_follow_the_first_digit() {
        for (code, word) in [
            (250, 'd'),
            (251, 'd'),
            (354, 'l'),
            (421, 'l'),
            (450, 'l'),
            (552, 'f'),
            (550, 'f'),
            (999, 'f'),
        ] {
            let (index, verdict) = of_recipient(said(code, Stage::Rcpt), &remote(), true);
            let kind = match verdict {
                Verdict::Delivered { dsn_passed_on, .. } => {
                    assert!(dsn_passed_on);
                    'd'
                }
                Verdict::Deferred { stage, not_before, .. } => {
                    assert_eq!((stage, not_before), (Stage::Rcpt, None));
                    'l'
                }
                Verdict::Placed { .. } => 'p',
                Verdict::Failed { .. } => 'f',
            };
            assert_eq!((index, kind), (3, word), "{code}");
        }
    }

    #[test]
    fn a_farewell_is_421_to_mail() {
        assert!(is_farewell(&[said(421, Stage::Mail), said(421, Stage::Mail)]));
        assert!(!is_farewell(&[said(421, Stage::Mail), said(421, Stage::Rcpt)]));
        assert!(!is_farewell(&[said(451, Stage::Mail)]) && !is_farewell(&[]));
    }

    #[test]
    fn what_a_host_says_to_a_connection_is_never_final() {
        let mut fault =
            HostFault { stage: Stage::Greeting, reply: Reply::bare(554, "go away"), remote: None };
        let Verdict::Deferred { reply, not_before, .. } = of_rest(&fault, Timestamp(9)) else {
            panic!("deferred")
        };
        assert_eq!((reply.code, not_before), (451, Some(Timestamp(9))));
        assert!(reply.text.contains("554 go away"));
        fault.reply = Reply::bare(421, "busy");
        assert!(
            matches!(of_rest(&fault, Timestamp(9)), Verdict::Deferred { reply, .. } if reply.code == 421)
        );
    }

    #[test]
    fn domains_that_lead_nowhere() {
        let status = |reply: Reply| reply.enhanced.unwrap().to_string();
        assert_eq!(status(of_mx("x", MxRefusal::Null)), "5.1.10");
        assert_eq!(status(of_mx("x", MxRefusal::Loop)), "5.4.6");
        assert_eq!(status(of_mx("x", MxRefusal::NoHost)), "5.4.4");
        assert_eq!(status(of_dns("x", &DnsError::NoName).unwrap()), "5.1.2");
        assert_eq!(status(of_dns("x", &DnsError::NoRecords).unwrap()), "5.1.2");
        let fault = of_dns("x", &DnsError::Temporary("no answer".into())).unwrap_err();
        assert_eq!((fault.stage, status(fault.reply).as_str()), (Stage::Resolve, "4.4.3"));
    }

    #[test]
    fn what_may_mend_is_put_off() {
        let word = |answer: Result<Reply, MailboxError>| match of_copy(&answer) {
            Verdict::Placed { .. } => "placed",
            Verdict::Failed { reply, .. } if reply.code == 552 => "over quota",
            Verdict::Deferred { reply, .. } if reply.code == 452 => "full",
            other => panic!("{other:?}"),
        };
        assert_eq!(word(Ok(Reply::bare(250, "x"))), "placed");
        assert_eq!(word(Err(MailboxError::OverQuota)), "over quota");
        assert_eq!(word(Err(MailboxError::Full)), "full");
    }
}

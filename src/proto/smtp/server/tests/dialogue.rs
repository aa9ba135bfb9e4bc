//! The dialogues of the RFCs, and what each verb refuses.

use super::*;
use crate::types::{BodyKind, Notify, Ret};

const EHLO: &str = "
    S: 220 mx.example.org ESMTP Ringpost
    C: EHLO bar.com
    S: 250-mx.example.org
    S: 250-PIPELINING
    S: 250-SIZE 67108864
    S: 250-8BITMIME
    S: 250-SMTPUTF8
    S: 250-CHUNKING
    S: 250-DSN
    S: 250-ENHANCEDSTATUSCODES
    S: 250 LIMITS RCPTMAX=100 MAILMAX=1000
";

fn esmtp(script: &str) -> Session {
    dialogue(profile(), &format!("{EHLO}{script}"))
}

#[test]
fn rfc_5321_d1_a_typical_transaction() {
    let session = esmtp(
        "C: MAIL FROM:<Smith@bar.com>
         S: 250 2.1.0 Ok
         C: RCPT TO:<Jones@foo.com>
         S: 250 2.1.5 Ok
         C: RCPT TO:<refused@foo.com>
         S: 550 5.1.1 No such user
         C: RCPT TO:<Brown@foo.com>
         S: 250 2.1.5 Ok
         C: DATA
         S: 354 End data with <CR><LF>.<CR><LF>
         C: Blah blah blah...
         C: ..etc. etc. etc.
         C: .
         S: 250 2.0.0 Ok: queued as ID
         C: QUIT
         S: 221 2.0.0 Bye",
    );
    assert!(session.closed);
    let (envelope, message) = &session.messages[0];
    assert_eq!(message, b"Blah blah blah...\r\n.etc. etc. etc.\r\n");
    assert_eq!(envelope.sender.as_ref().unwrap().to_string(), "Smith@bar.com");
    let to: Vec<_> = envelope.recipients.iter().map(|one| one.address.to_string()).collect();
    assert_eq!(to, ["Jones@foo.com", "Brown@foo.com"]);
    assert_eq!((envelope.arrived, &*envelope.origin), (Timestamp(7), "test"));
}

#[test]
fn rfc_5321_d2_an_aborted_transaction() {
    let session = esmtp(
        "C: MAIL FROM:<Smith@bar.com>
         S: 250 2.1.0 Ok
         C: RCPT TO:<Jones@foo.com>
         S: 250 2.1.5 Ok
         C: RSET
         S: 250 2.0.0 Ok
         C: DATA
         S: 503 5.5.1 Say MAIL first
         C: QUIT
         S: 221 2.0.0 Bye",
    );
    assert!(session.messages.is_empty());
}

#[test]
fn rfc_5321_d3_a_source_route_is_ignored() {
    let session = esmtp(
        "C: MAIL FROM:<JQP@bar.com>
         S: 250 2.1.0 Ok
         C: RCPT TO:<@foo.com,@baz.com:Jones@XYZ.COM>
         S: 250 2.1.5 Ok",
    );
    assert_eq!(session.server.recipients()[0].address.to_string(), "Jones@xyz.com");
}

#[test]
fn rfc_5321_d4_verification_is_not_given() {
    esmtp(
        "C: VRFY Crispin
         S: 252 2.0.0 Cannot verify, send mail and see
         C: VRFY
         S: 501 5.5.4 This command needs an argument
         C: EXPN Mailing-List
         S: 502 5.5.1 Command not implemented
         C: NOOP whatever
         S: 250 2.0.0 Ok
         C: HELP MAIL
         S: 214-2.0.0 EHLO HELO LHLO MAIL RCPT DATA BDAT
         S: 214-2.0.0 RSET NOOP VRFY HELP STARTTLS QUIT
         S: 214 2.0.0 See RFC 5321",
    );
}

#[test]
fn rfc_3030_chunks() {
    let mut session = esmtp(
        "C: MAIL FROM:<Sam@random.com>
         S: 250 2.1.0 Ok
         C: RCPT TO:<Susan@random.com>
         S: 250 2.1.5 Ok",
    );
    assert_eq!(session.feed(b"BDAT 8\r\nA: b\r\n\r\n"), "250 2.0.0 8 octets received\r\n");
    assert_eq!(session.feed(b"DATA\r\n"), "503 5.5.1 The message has begun with BDAT\r\n");
    assert_eq!(
        session.feed(b"RCPT TO:<x@y.z>\r\n"),
        "503 5.5.1 The message has begun with BDAT\r\n"
    );
    assert_eq!(session.feed(b"BDAT 6 LAST\r\n.\r\nend"), "250 2.0.0 Ok: queued as ID\r\n");
    assert_eq!(session.messages[0].1, b"A: b\r\n\r\n.\r\nend\r\n", "dots kept, line completed");
    let questions = [Question::Sender, Question::Recipient, Question::Data, Question::Commit];
    assert_eq!(session.asked, questions);
}

#[test]
fn rfc_3030_pipelined_and_empty_last_chunk() {
    let mut session = esmtp("");
    let said = session.feed(
        b"MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nBDAT 3\r\nxy\rBDAT 1\r\n\nBDAT 0 LAST\r\nQUIT\r\n",
    );
    assert_eq!(said.lines().map(|line| &line[..3]).collect::<String>(), "250250250250250221");
    assert_eq!(session.messages[0].1, b"xy\r\n", "CRLF parted by chunks is one");
    let mut session = esmtp("");
    session.feed(b"MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nBDAT 0 LAST\r\n");
    assert_eq!(session.messages[0].1, b"", "without any further input");
}

#[test]
fn rfc_3030_a_refused_chunk_is_swallowed() {
    let mut session = esmtp("");
    assert_eq!(session.feed(b"BDAT 6\r\nQUIT\r\nNOOP\r\n").lines().count(), 2);
    assert_eq!(session.feed(b"MAIL FROM:<a@b.c>\r\n"), "250 2.1.0 Ok\r\n");
    assert_eq!(session.feed(b"BDAT 6 LAST\r\nQUIT\r\n"), "503 5.5.1 Say RCPT first\r\n");
    session.feed(b"RCPT TO:<refused@b.c>\r\n");
    assert_eq!(session.feed(b"BDAT 6 LAST\r\nQUIT\r\n"), "554 5.5.1 No valid recipients\r\n");
    assert_eq!(session.feed(b"BDAT\r\n").get(..3), Some("501"));
    assert!(session.closed, "what follows an unreadable count cannot be told apart");
    for text in ["x", "-1", "5 FIRST", "5 LAST 6", "99999999999999999999999"] {
        let mut session = esmtp("");
        session.feed(format!("BDAT {text}\r\nQUIT\r\n").as_bytes());
        assert!(session.closed, "{text}");
        assert_eq!(session.codes().last().unwrap(), "501");
    }
}

#[test]
fn rfc_3461_dsn_parameters_reach_the_envelope() {
    let session = esmtp(
        "C: MAIL FROM:<Alice@Pure-Heart.ORG> RET=HDRS ENVID=QQ314159 BODY=8BITMIME SIZE=9
         S: 250 2.1.0 Ok
         C: RCPT TO:<Bob@Big-Bucks.COM> NOTIFY=SUCCESS ORCPT=rfc822;Bob@Big-Bucks.COM
         S: 250 2.1.5 Ok
         C: RCPT TO:<Carol@Ivory.EDU> NOTIFY=FAILURE ORCPT=rfc822;Carol@Ivory.EDU
         S: 250 2.1.5 Ok
         C: RCPT TO:<Fred@Bombs.AF.MIL> NOTIFY=NEVER
         S: 250 2.1.5 Ok
         C: RCPT TO:<Eric@Sex.MIL> NOTIFY=NEVER NOTIFY=NEVER
         S: 501 5.5.4 Parameter given twice
         C: RCPT TO:<Eric@Sex.MIL> FOO=1
         S: 555 5.5.4 Parameter not recognised
         C: DATA
         S: 354 End data with <CR><LF>.<CR><LF>
         C: .
         S: 250 2.0.0 Ok: queued as ID",
    );
    let (envelope, message) = &session.messages[0];
    assert_eq!(message, b"");
    assert_eq!((envelope.ret, envelope.envid.as_deref()), (Some(Ret::Headers), Some("QQ314159")));
    assert_eq!(envelope.body, BodyKind::EightBit);
    assert_eq!(envelope.recipients.len(), 3);
    assert_eq!(envelope.recipients[0].orcpt.as_deref(), Some("rfc822;Bob@Big-Bucks.COM"));
    let success = Notify { success: true, failure: false, delay: false };
    assert_eq!(envelope.recipients[0].notify, Some(success));
    assert_eq!(envelope.recipients[2].notify, Some(Notify::NEVER));
}

#[test]
fn rfc_2033_lmtp_replies_for_each_recipient() {
    let mut session = dialogue(
        lmtp(),
        "S: 220 mx.example.org LMTP Ringpost
         C: EHLO foo.edu
         S: 500 5.5.1 This is LMTP, say LHLO
         C: LHLO foo.edu
         S: 250-mx.example.org
         S: 250-PIPELINING
         S: 250-SIZE 67108864
         S: 250-8BITMIME
         S: 250-SMTPUTF8
         S: 250-CHUNKING
         S: 250-DSN
         S: 250-ENHANCEDSTATUSCODES
         S: 250 LIMITS RCPTMAX=100 MAILMAX=1000",
    );
    assert_eq!(session.server.with(), "LMTP");
    let transaction = b"MAIL FROM:<chris@bar.com>\r\nRCPT TO:<pat@foo.edu>\r\n\
        RCPT TO:<refused@foo.edu>\r\nRCPT TO:<green@foo.edu>\r\nDATA\r\nBlah\r\n.\r\nNOOP\r\n";
    let full = Reply::new(452, Enhanced(4, 2, 2), "Mailbox full");
    session.commit = Answer::Each(vec![Reply::new(250, Enhanced(2, 0, 0), "Ok"), full]);
    session.feed(transaction);
    assert_eq!(session.codes()[3..], ["250", "250", "550", "250", "354", "250", "452", "250"]);
    session.commit = Answer::Queued("ID".into());
    let said = session.feed(transaction);
    assert_eq!(said.matches("250 2.0.0 Ok: queued as ID\r\n").count(), 2);
    session.commit = Answer::Each(vec![]);
    assert_eq!(session.feed(transaction).matches("451 4.3.0").count(), 2, "no reply is left out");
    let bad =
        b"MAIL FROM:<>\r\nRCPT TO:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nBDAT 4\r\na\nb\nBDAT 1 LAST\r\nx";
    let said = session.feed(bad);
    assert_eq!(said.matches("550 5.6.11").count(), 1, "one for a chunk that is not the last");
    assert!(said.ends_with("503 5.5.1 Say MAIL first\r\n"), "{said}");
    let bad =
        b"MAIL FROM:<>\r\nRCPT TO:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nBDAT 4 LAST\r\na\nb\nNOOP\r\n";
    assert_eq!(session.feed(bad).matches("550 5.6.11").count(), 2, "all for the last");
}

#[test]
fn the_order_of_commands_is_kept() {
    dialogue(
        profile(),
        "S: 220 mx.example.org ESMTP Ringpost
         C: MAIL FROM:<a@b.c>
         S: 503 5.5.1 Say EHLO or LHLO first
         C: LHLO x
         S: 500 5.5.1 Command not recognised
         C: HELO
         S: 501 5.5.4 Say your domain name or address literal
         C: HELO a(b)
         S: 501 5.5.4 Say your domain name or address literal
         C: HELO [192.0.2.1]
         S: 250 mx.example.org
         C: RCPT TO:<a@b.c>
         S: 503 5.5.1 Say MAIL first
         C: MAIL FROM:<a@b.c>
         S: 250 2.1.0 Ok
         C: MAIL FROM:<a@b.c>
         S: 503 5.5.1 A transaction is open already
         C: DATA
         S: 503 5.5.1 Say RCPT first
         C: RCPT TO:<busy@b.c>
         S: 451 4.2.1 Try later
         C: DATA
         S: 554 5.5.1 No valid recipients
         C: DATA now
         S: 501 5.5.4 This command takes no argument
         C: HELO again
         S: 250 mx.example.org
         C: MAIL FROM:<refused@b.c>
         S: 550 5.1.1 No such user
         C: MAIL FROM:<>
         S: 250 2.1.0 Ok
         C: QUIT x
         S: 501 5.5.4 This command takes no argument
         C: STARTTLS
         S: 502 5.5.1 Command not implemented
         C: AUTH PLAIN
         S: 500 5.5.1 Command not recognised",
    );
}

#[test]
fn addresses() {
    let session = esmtp(
        "C: MAIL FROM:a@b.c
         S: 501 5.5.4 Syntax: MAIL FROM:<address> [parameters]
         C: MAIL FROM:<a@b..c>
         S: 501 5.1.7 Malformed sender address
         C: MAIL FROM:<用户@例子.公司>
         S: 553 5.6.7 Address needs SMTPUTF8
         C: MAIL FROM:<用户@例子.公司> SMTPUTF8
         S: 250 2.1.0 Ok
         C: RCPT TO:<>
         S: 501 5.1.3 Malformed recipient address
         C: RCPT TO:<joe>
         S: 501 5.1.3 Malformed recipient address
         C: RCPT TO:<PostMaster>
         S: 250 2.1.5 Ok
         C: RCPT TO: <\"a b>c\"@[IPv6:::1]>
         S: 250 2.1.5 Ok
         C: RCPT TO:<ü@x.org>
         S: 250 2.1.5 Ok",
    );
    assert_eq!(session.server.with(), "UTF8SMTP");
    let to: Vec<_> =
        session.server.recipients().iter().map(|one| one.address.to_string()).collect();
    assert_eq!(to, ["postmaster@mx.example.org", "\"a b>c\"@[IPv6:::1]", "ü@x.org"]);
}

#[test]
fn starttls_is_a_seam_and_forgets() {
    let offering = || Profile { starttls: true, ..profile() };
    let mut session = Session::new(offering());
    assert!(session.feed(b"EHLO c.example\r\n").contains("250-STARTTLS\r\n"));
    session.feed(b"MAIL FROM:<a@b.c>\r\n");
    assert_eq!(session.feed(b"STARTTLS\r\n"), "220 2.0.0 Ready to start TLS\r\n");
    assert!(session.upgrading);
    session.upgrading = false;
    session.server.upgraded();
    assert_eq!(session.server.helo(), "");
    assert_eq!(session.feed(b"MAIL FROM:<a@b.c>\r\n").get(..3), Some("503"));
    assert!(!session.feed(b"EHLO c.example\r\n").contains("STARTTLS"));
    assert_eq!(session.server.with(), "ESMTPS");
    assert_eq!(session.feed(b"STARTTLS\r\n"), "503 5.5.1 TLS is active already\r\n");

    let mut session = Session::new(offering());
    session.feed(b"EHLO c.example\r\n");
    let said = session.feed(b"STARTTLS\r\nMAIL FROM:<evil@b.c>\r\n");
    assert_eq!(said, "554 5.5.1 Input after STARTTLS, closing\r\n");
    assert!(session.closed && !session.upgrading);
}

#[test]
fn other_protocols_are_hung_up_on() {
    let mut session = Session::new(profile());
    session.feed(b"POST / HTTP/1.1\r\nHost: mx\r\n\r\nEHLO x\r\nMAIL FROM:<a@b.c>\r\n");
    assert!(session.closed);
    assert_eq!(session.codes(), ["220", "554"]);
}

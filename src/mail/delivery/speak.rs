//! One connection to a next hop: puts a socket and the machine of `proto::smtp::client` together.
//!
//! What must stay true: a read or send is never dropped, its deadline ends it; the body is not copied
//! when it is large; after anything doubtful the connection is not used again.

use std::rc::Rc;

use bytes::Bytes;
use engine::shard::{Stream, now_ms};
use proto::smtp::client::{
    Client, Config, Framing, Job as Transaction, Outcome, RecipientOutcome, Step,
};
use proto::text::{body_is_8bit, scan_header, stuff_dots};
use proto::types::{Enhanced, Moment, Reply};

use super::encrypt::{Security, Unopened, insecure};
use super::job::Job;
use super::tls::outcomes::Basis;
use super::verdict;
use crate::queue::{Remote, Verdict};

/// Replies are read in pieces of this.
const REPLY_BYTES: usize = 1 << 10;
/// A body up to this is copied behind its command and leaves in one piece; a copy of this much costs
/// less than a second system call.
const COPY_BYTES_MAX: usize = 16 << 10;
/// How long, and for how many octets, the answer to QUIT is waited for.
const FAREWELL_MS: u64 = 2_000;
const FAREWELL_BYTES: usize = 4 << 10;
/// Of a peer that does what no dialogue foresees.
const NONSENSE: &str = "the server broke the protocol";

/// A connection and what it has come to.
pub(super) struct Link {
    stream: Stream,
    client: Client,
    remote: Remote,
    input: Vec<u8>,
    /// Octets of `input` that the machine has taken.
    taken: usize,
    out: Vec<u8>,
    /// Messages carried so far.
    pub messages: u32,
    /// Since when it is open, in milliseconds of the shard's clock.
    pub opened_ms: u64,
    /// What it had to come to, and by whose word; `None` when it is counted already.
    pub basis: Option<Basis>,
    /// The domains whose mail it has carried, some of them when they are many.
    pub told: Vec<Box<str>>,
    /// The peer has said something since the transaction began.
    heard: bool,
}

/// What a job has come to.
pub(super) enum Carried {
    /// Settled.
    Whole,
    /// These recipients are left for another transaction.
    Partly(Vec<u32>),
    /// The connection had died while it was kept; nothing was tried.
    Stale,
}

/// Where a dialogue stands that has to be acted on.
enum Pause {
    Ready,
    Done(Vec<RecipientOutcome>),
    Failed(Outcome),
    /// The peer is ready for a handshake.
    Upgrade,
    /// The connection is of no more use, and why.
    Lost(&'static str),
}

impl Link {
    /// Greets and is greeted, and makes the connection as secure as is demanded.
    pub async fn open(
        stream: Stream,
        config: &Rc<Config>,
        remote: Remote,
        security: &Security<'_>,
    ) -> Result<Self, Unopened> {
        let client = Client::new(Rc::clone(config), Moment(now_ms()));
        let mut link = Self {
            stream,
            client,
            remote,
            input: Vec::with_capacity(REPLY_BYTES),
            taken: 0,
            out: Vec::with_capacity(REPLY_BYTES / 2),
            messages: 0,
            opened_ms: now_ms(),
            basis: None,
            told: Vec::new(),
            heard: false,
        };
        link.become_ready(Step::NeedInput).await.map_err(Unopened::Refused)?;
        if security.wants(link.client.offers().starttls)? {
            link.encrypt(security).await?;
        }
        Ok(link)
    }

    /// Goes on until a transaction can begin.
    async fn become_ready(&mut self, step: Step) -> Result<(), Outcome> {
        match self.drive(step, &Bytes::new()).await {
            Pause::Ready => Ok(()),
            Pause::Failed(outcome) => Err(outcome),
            Pause::Done(_) | Pause::Upgrade => Err(self.silence(NONSENSE)),
            Pause::Lost(what) => Err(self.silence(what)),
        }
    }

    /// STARTTLS, the handshake, and hello once more.
    async fn encrypt(&mut self, security: &Security<'_>) -> Result<(), Unopened> {
        let step = self.client.starttls(Moment(now_ms()), &mut self.out);
        match self.drive(step, &Bytes::new()).await {
            Pause::Upgrade => {}
            Pause::Failed(outcome) => return Err(insecure(outcome.reply, None)),
            Pause::Ready | Pause::Done(_) => {
                return Err(insecure(self.silence(NONSENSE).reply, None));
            }
            Pause::Lost(what) => return Err(insecure(self.silence(what).reply, None)),
        }
        let channel = security.channel()?;
        self.arm();
        // What came behind the 220 in the clear ends the connection: the machine sees to it.
        let done = self.stream.secure(channel, Vec::new()).await;
        done.map_err(|error| security.failed(&error))?;
        let step = self.client.upgraded(Moment(now_ms()), &mut self.out);
        // A verifier of TLS 1.3 is heard of only now: the client's side is ready first.
        self.become_ready(step).await.map_err(|outcome| insecure(outcome.reply, None))
    }

    fn silence(&self, what: &'static str) -> Outcome {
        Outcome { stage: self.client.stage(), reply: Reply::new(451, Enhanced(4, 4, 2), what) }
    }

    /// Who is at the other end.
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// Whether nobody can listen.
    pub fn is_secure(&self) -> bool {
        self.stream.tls().is_some()
    }

    /// Whether the peer keeps to REQUIRETLS (RFC 8689).
    pub fn offers_require_tls(&self) -> bool {
        self.client.offers().require_tls
    }

    /// Whether another message may go over it.
    pub fn is_reusable(&self) -> bool {
        self.client.reusable()
    }

    /// Hands a message over and settles every recipient that got an answer.
    pub async fn deliver(&mut self, job: &Job, body: &Bytes) -> Carried {
        let header = scan_header(body);
        let transaction = Transaction {
            envelope: &job.lease.envelope,
            recipients: &job.recipients,
            size: body.len() as u64,
            eight_bit: body_is_8bit(body),
            utf8_header: header.has_8bit,
        };
        self.heard = false;
        let step = self.client.begin(Moment(now_ms()), &transaction, &mut self.out);
        let may_be_stale = self.messages > 0 && !job.again;
        let outcomes = match self.drive(step, body).await {
            Pause::Done(outcomes) if may_be_stale && verdict::is_farewell(&outcomes) => {
                return Carried::Stale;
            }
            Pause::Done(outcomes) => outcomes,
            Pause::Lost(_) if may_be_stale && !self.heard => return Carried::Stale,
            Pause::Lost(what) => self.client.lost(what),
            // A transaction ends with `Done`, or the connection is lost.
            Pause::Ready | Pause::Failed(_) | Pause::Upgrade => self.client.lost(NONSENSE),
        };
        self.messages += 1;
        let (again, done): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(|one| one.again);
        let offers_dsn = self.client.offers().dsn;
        let part: Vec<(u32, Verdict)> = done
            .into_iter()
            .map(|outcome| verdict::of_recipient(outcome, &self.remote, offers_dsn))
            .collect();
        job.lease.settle(&part);
        if again.is_empty() {
            return Carried::Whole;
        }
        Carried::Partly(again.into_iter().map(|outcome| outcome.recipient).collect())
    }

    /// Says goodbye, and waits a little for the answer so that the peer hears it.
    pub async fn quit(mut self) {
        self.client.quit(Moment(now_ms()), &mut self.out);
        if !self.out.is_empty() && self.send().await.is_ok() {
            // Ends TLS too, if there is any.
            self.stream.linger(FAREWELL_MS, FAREWELL_BYTES).await;
        }
    }

    /// Does what the machine asks for until there is something to decide.
    async fn drive(&mut self, mut step: Step, body: &Bytes) -> Pause {
        loop {
            step = match step {
                Step::NeedInput => {
                    if self.send().await.is_err() {
                        // What the peer said before it hung up may still be there.
                        self.out.clear();
                    }
                    match self.hear().await {
                        Ok(step) => step,
                        Err(what) => return Pause::Lost(what),
                    }
                }
                Step::SendBody(framing) => {
                    // A send that fails is heard of by the read that follows.
                    let _ = self.send_body(framing, body).await;
                    self.client.body_sent(Moment(now_ms()), &mut self.out)
                }
                Step::Ready => return self.pause(Pause::Ready).await,
                Step::Done(outcomes) => return self.pause(Pause::Done(outcomes)).await,
                Step::Failed(outcome) => return Pause::Failed(outcome),
                Step::Upgrade => return Pause::Upgrade,
                Step::Close => {
                    return Pause::Lost("the server closed the connection");
                }
            };
        }
    }

    /// What the machine left to say (RSET) is said before anything is decided.
    async fn pause(&mut self, pause: Pause) -> Pause {
        let _ = self.send().await;
        pause
    }

    async fn send(&mut self) -> std::io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        self.arm();
        let (sent, out) = self.stream.send(std::mem::take(&mut self.out)).await;
        self.out = out;
        sent
    }

    async fn send_body(&mut self, framing: Framing, body: &Bytes) -> std::io::Result<()> {
        match framing {
            Framing::Nothing => self.send().await,
            Framing::Raw if body.len() <= COPY_BYTES_MAX => {
                self.out.extend_from_slice(body);
                self.send().await
            }
            Framing::Raw => {
                self.arm();
                let head = std::mem::take(&mut self.out);
                let (sent, out) = self.stream.send_both(head, body.clone()).await;
                self.out = out;
                sent
            }
            Framing::Dots => self.send_text(body).await,
        }
    }

    async fn send_text(&mut self, body: &Bytes) -> std::io::Result<()> {
        // What came by BDAT may end within a line.
        let is_line_open = !body.is_empty() && !body.ends_with(b"\r\n");
        let end: &[u8] = if is_line_open { b"\r\n.\r\n" } else { b".\r\n" };
        let stuffed = stuff_dots(body);
        if stuffed.len() <= COPY_BYTES_MAX {
            self.out.extend_from_slice(&stuffed);
            self.out.extend_from_slice(end);
            return self.send().await;
        }
        let whole = match stuffed {
            std::borrow::Cow::Borrowed(_) => body.clone(),
            std::borrow::Cow::Owned(stuffed) => stuffed.into(),
        };
        self.arm();
        let head = std::mem::take(&mut self.out);
        let (sent, out) = if head.is_empty() {
            (self.stream.send_bytes(whole).await, head)
        } else {
            self.stream.send_both(head, whole).await
        };
        self.out = out;
        sent?;
        self.out.extend_from_slice(end);
        self.send().await
    }

    /// Feeds the machine what was read, and reads when there is nothing left of it.
    async fn hear(&mut self) -> Result<Step, &'static str> {
        if self.taken >= self.input.len() {
            self.read().await?;
        }
        let (used, step) =
            self.client.feed(Moment(now_ms()), &self.input[self.taken..], &mut self.out);
        self.taken += used;
        Ok(step)
    }

    async fn read(&mut self) -> Result<(), &'static str> {
        self.arm();
        self.taken = 0;
        self.input.clear();
        let (read, input) = self.stream.recv(std::mem::take(&mut self.input)).await;
        self.input = input;
        match read {
            Ok(0) if self.stream.deadline().expired() => Err("the server did not answer in time"),
            Ok(0) => Err("the server closed the connection"),
            Err(_) => Err("the connection broke"),
            Ok(_) => {
                self.heard = true;
                Ok(())
            }
        }
    }

    fn arm(&self) {
        self.stream.deadline().set(self.client.deadline().0);
    }
}

//! Commands, one at a time: what each is done by, and what is told behind it.
//!
//! What must stay true: a command has one completion, and what others did meanwhile is told before it;
//! how the client wants to be spoken to is looked up once, before the command.

use engine::shard::now_ms;
use mail::mailbox::{MailboxError, View};
use proto::imap::respond::{Condition, write_untagged};
use proto::imap::{Code, Command, Completion};
use proto::types::Moment;

use super::home::{Home, Manner};
use super::news::{self, Fate, Telling};
use super::session::Session;
use super::turns::Memory;
use super::{copy, expunge, folders, list, quota, search, sort, status, thread};

impl Session {
    /// Executes the command that the machine has read.
    pub(super) async fn execute(&mut self) {
        let Some(command) = self.machine.take_command() else { return };
        self.door.metrics.commands.inc();
        let manner = self.manner();
        self.tell_modseq(&command, &manner);
        let telling = telling(&command);
        let deletes = matches!(command, Command::Delete(_));
        let done = match (command, self.home.as_deref_mut()) {
            (_, None) => Completion::no("Log in first"),
            (Command::Fetch(fetch), _) => self.fetch(fetch, &manner).await,
            (Command::Store(store), _) => self.store(store, &manner).await,
            (Command::Select(select), _) => self.select(select, &manner).await,
            (command, Some(home)) => perform(home, command, &manner, &mut self.out).await,
        };
        if deletes {
            self.leave_deleted();
        }
        self.conclude(done, telling, &manner);
    }

    /// Who has deleted what they have selected has nothing selected any more; others are sent away.
    fn leave_deleted(&mut self) {
        let Some(home) = self.home.as_deref_mut() else { return };
        if home.view.as_deref().is_some_and(View::is_deleted) {
            home.view = None;
            home.saved.clear();
            self.machine.deselect();
        }
    }

    /// Tells what is new, and ends the command under way; then the session, if its mailbox is gone.
    pub(super) fn conclude(&mut self, done: Completion, telling: Telling, manner: &Manner) {
        let told = self.write_news(telling, manner);
        self.machine.finish(Moment(now_ms()), &done, &mut self.out);
        if let Err(why) = told {
            self.send_away(&why);
        }
    }

    /// Tells what is new; false when the session has ended by it.
    pub(super) fn tell(&mut self, telling: Telling, manner: &Manner) -> bool {
        let told = self.write_news(telling, manner);
        told.map_err(|why| self.send_away(&why)).is_ok()
    }

    fn send_away(&mut self, why: &Completion) {
        self.door.metrics.lost.inc();
        self.machine.refuse(why, &mut self.out);
    }

    /// Writes what is new.
    ///
    /// # Errors
    /// Why the session has to end.
    fn write_news(&mut self, telling: Telling, manner: &Manner) -> Result<(), Completion> {
        let view = self.home.as_deref_mut().and_then(|home| home.view.as_deref_mut());
        let Some(view) = view else { return Ok(()) };
        match news::tell(view, telling, manner, &mut self.out) {
            Ok(Fate::Lives) => Ok(()),
            Ok(Fate::Gone) => Err(Completion::no("The selected mailbox is deleted or renamed")),
            Err(_) => {
                Err(Completion::no("The mailbox must be opened again").with(Code::Unavailable))
            }
        }
    }

    /// How the client wants to be spoken to now.
    pub(super) fn manner(&self) -> Manner {
        let bytes_max = self.entrance().map_or(0, |one| one.profile.limits.append_bytes_max);
        Manner {
            enabled: self.machine.enabled(),
            tag: self.machine.tag().into(),
            append_bytes_max: bytes_max,
            memory: Memory::new(&self.door.budget, &self.door.metrics),
        }
    }

    /// Who becomes aware of mod-sequences while a mailbox is selected is told its own (RFC 7162 §3.1).
    fn tell_modseq(&mut self, command: &Command, manner: &Manner) {
        let knew = std::mem::replace(&mut self.knew_modseq, manner.knows_modseq());
        let is_new = manner.knows_modseq() && !knew;
        let view = self.home.as_deref().and_then(|home| home.view.as_deref());
        if let (true, Some(view)) = (is_new && !matches!(command, Command::Select(_)), view) {
            let modseq = view.counts().modseq.max(1);
            let told = Completion::ok("Highest").with(Code::HighestModSeq(modseq));
            write_untagged(&told, &mut self.out);
        }
    }
}

async fn perform(
    home: &mut Home,
    command: Command,
    manner: &Manner,
    out: &mut Vec<u8>,
) -> Completion {
    match command {
        Command::Noop | Command::Check => Completion::ok("Done"),
        Command::Close => expunge::close(home).await,
        Command::Unselect => expunge::unselect(home),
        Command::Expunge(among) => expunge::expunge(home, among.as_ref(), manner).await,
        Command::Create(create) => folders::create(home, create, manner, out).await,
        Command::Delete(name) => folders::delete(home, name, manner, out).await,
        Command::Rename { from, to } => folders::rename(home, from, to, manner, out).await,
        Command::Subscribe(name) => folders::subscribe(home, name, manner, out).await,
        Command::Unsubscribe(name) => folders::unsubscribe(home, name, manner, out).await,
        Command::List(wanted) => list::list(home, wanted, manner, out).await,
        Command::Namespace => list::namespace(out),
        Command::Status { mailbox, items } => {
            status::status(home, mailbox, items, manner, out).await
        }
        Command::Search(wanted) => search::search(home, wanted, manner, out).await,
        Command::Sort(wanted) => sort::sort(home, wanted, manner, out).await,
        Command::Thread(wanted) => thread::thread(home, wanted, manner, out).await,
        Command::Copy(wanted) => copy::copy(home, wanted, manner, out).await,
        Command::Move(wanted) => copy::move_to(home, wanted, manner, out).await,
        Command::GetQuota(root) => quota::get_quota(home, root, manner, out).await,
        Command::GetQuotaRoot(name) => quota::get_quota_root(home, name, manner, out).await,
        Command::SetQuota(wanted) => quota::set_quota(home, wanted, manner, out).await,
        // They send while they go on, and so are the session's.
        Command::Fetch(_) | Command::Store(_) | Command::Select(_) => {
            Completion::no("Internal error").with(Code::ServerBug)
        }
    }
}

/// What may be told behind a command. `STORE` tells by itself what it did.
fn telling(command: &Command) -> Telling {
    let by_uid = match command {
        Command::Fetch(fetch) => fetch.uid,
        Command::Store(store) => store.uid,
        Command::Search(search) => search.uid,
        Command::Copy(copy) | Command::Move(copy) => copy.uid,
        _ => false,
    };
    let own = !matches!(command, Command::Store(_));
    Telling { expunges: command.allows_expunge(), by_uid, own }
}

/// The answer to a command about messages of which some are gone, and not told of yet (RFC 2180 §4.1).
pub(super) fn some_are_gone(by_uid: bool, done: Completion) -> Completion {
    // By UID, what is not there is passed over (RFC 9051 §6.4.9).
    if by_uid || done.condition != Condition::Ok {
        return done;
    }
    super::trouble::completion(&MailboxError::Gone)
}

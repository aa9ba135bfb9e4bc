//! `sink`: takes mail until it is told to stop, and says what came.
#![allow(clippy::print_stdout)]
#![allow(clippy::disallowed_methods)] // a program that waits for ^C may sleep

use std::{
    fs,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use signal_hook::{consts::TERM_SIGNALS, flag};

use super::arguments::SinkArguments;
use crate::{
    message::SENDER_DOMAIN,
    scenario,
    sink::{Delivery, Inbox, Sink},
};

/// Looks at every message, as the arguments say.
struct Desk {
    folder: Option<PathBuf>,
    quiet: bool,
    taken: AtomicU64,
}

impl Inbox for Desk {
    fn deliver(&self, delivery: &Delivery<'_>) {
        let number = self.taken.fetch_add(1, Relaxed) + 1;
        if let Some(folder) = &self.folder {
            let path = folder.join(format!("{number:06}.eml"));
            if let Err(error) = fs::write(&path, delivery.message()) {
                eprintln!("{}: {error}", path.display());
            }
        }
        if self.quiet {
            return;
        }
        let proof = match delivery.label() {
            Some((label, true)) => format!("run {} number {} whole", label.run, label.number),
            Some((label, false)) => format!("run {} number {} CHANGED", label.run, label.number),
            None => "no label".to_owned(),
        };
        let recipients: Vec<&str> = delivery.envelope.recipients().collect();
        let (from, octets) = (delivery.envelope.mail(), delivery.message().len());
        println!("{number} from {from} to {} octets {octets} {proof}", recipients.join(" "));
    }
}

pub fn run(arguments: &SinkArguments) -> Result<ExitCode, String> {
    if let Some(folder) = &arguments.folder {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let desk = Arc::new(Desk {
        folder: arguments.folder.clone(),
        quiet: arguments.quiet || arguments.json,
        taken: AtomicU64::new(0),
    });
    let inbox = Arc::clone(&desk) as Arc<dyn Inbox>;
    let hop = scenario::hop(
        &arguments.rules,
        arguments.listen,
        Some(&arguments.domain),
        inbox,
        arguments.seed,
    )?;
    if let Some((address, zone)) = &hop.dns {
        let (domain, last) = (&zone.domain, zone.sites.saturating_sub(1));
        eprintln!("DNS at {address}: site0.{domain} to site{last}.{domain}, {SENDER_DOMAIN}");
    }
    let sink = Sink::start(hop, &arguments.sink_cores).map_err(|error| error.to_string())?;
    eprintln!("listening on {}; ^C ends it", sink.address());
    let stop = Arc::new(AtomicBool::new(false));
    for signal in TERM_SIGNALS {
        flag::register(*signal, Arc::clone(&stop)).map_err(|error| error.to_string())?;
    }
    while !stop.load(Relaxed) && arguments.count.is_none_or(|count| sink.messages() < count) {
        thread::sleep(Duration::from_millis(20));
    }
    let account = sink.account();
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&account).map_err(|error| error.to_string())?);
    } else {
        println!(
            "{} messages for {} recipients, {} octets, over {} connections",
            account.messages, account.recipients, account.octets, account.connections
        );
    }
    Ok(ExitCode::SUCCESS)
}

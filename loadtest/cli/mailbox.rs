//! `imap` and `pop3`: one operation on the mailboxes of one server.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
};

use super::{
    arguments::{ImapArguments, MailboxArguments, PlaceArguments, Pop3Arguments},
    catalogue,
    measure::{place, watch},
    output,
};
use crate::{
    machine,
    mailbox::{self, Operation, Order, Servers},
    scenario::Scenario,
    server::Running,
    trial::{Display, document},
};

pub fn imap(arguments: ImapArguments) -> Result<ExitCode, String> {
    let ImapArguments { operation, to, lmtp, shared } = arguments;
    if operation == Operation::Pop3 {
        return Err("POP3 has a command of its own: ringpost-loadtest pop3".to_owned());
    }
    carry_out("imap", operation, Servers { imap: to, pop3: to, lmtp }, shared)
}

pub fn pop3(arguments: Pop3Arguments) -> Result<ExitCode, String> {
    let Pop3Arguments { to, imap, shared } = arguments;
    carry_out("pop3", Operation::Pop3, Servers { imap, pop3: to, lmtp: to }, shared)
}

/// Where a recipe's server listens.
pub fn started(place: &PlaceArguments) -> Servers {
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Servers { imap: at(place.imap_port), pop3: at(place.pop3_port), lmtp: at(place.port) }
}

fn carry_out(
    name: &str,
    operation: Operation,
    servers: Servers,
    arguments: MailboxArguments,
) -> Result<ExitCode, String> {
    let MailboxArguments { mut options, seed, server, source_cores, output } = arguments;
    options.operation = Some(operation);
    let servers = if server.server.is_some() { started(&server.place) } else { servers };
    let order = Order::new(&options, servers, seed)?;
    let total = options.operations;
    let scenario = Scenario { mailbox: options, ..Scenario::default() };
    let running = match &server.server {
        Some(recipe) => {
            let place = place(&server.place, scenario.mailbox.sessions(), &scenario);
            let recipe = catalogue::recipe(recipe)?;
            Some(recipe.start(&place).map_err(|error| error.to_string())?)
        }
        None => None,
    };
    let machine = machine::describe(&server.place.folder);
    let mut result = document(name, "", seed, machine);
    let mut display = Display::new(&operation.name(), total, output.quiet);
    let watch = watch(&server, running.as_ref())?;
    let run = mailbox::run(order, &source_cores, watch, &mut display);
    let described = running.as_ref().map(Running::describe);
    if let Some(running) = running {
        running.stop().map_err(|error| error.to_string())?;
    }
    let mut run = run?;
    run.server = described;
    result.runs.push(run);
    output::tell(&result, &output)
}

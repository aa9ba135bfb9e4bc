//! Programs that others wrote, in front of the server and behind it; every byte is compared.

use std::{
    fs,
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use loadtest::{
    message::{Label, Spread, labelled},
    source::Load,
};
use proto::types::Address;

use crate::harness::{Plan, Postbox, Server, Text, free_port, load, run_program, send, wait_until};

/// Postfix's smtp-sink with its dumps.
struct SmtpSink {
    child: Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl SmtpSink {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let port = free_port();
        let template = folder.path().join("%M.");
        let mut command = Command::new("/usr/sbin/smtp-sink");
        // Not as root: it insists on another user then.
        if rustix::process::geteuid().is_root() {
            command.args(["-u", "nobody"]);
        }
        let child = command
            .args(["-d", template.to_str().unwrap(), &format!("127.0.0.1:{port}"), "200"])
            .stderr(Stdio::null())
            .spawn()
            .expect("smtp-sink (scripts/packages test installs it)");
        wait_until("smtp-sink", 10, || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { child, folder, port }
    }

    fn dumps(&self) -> Vec<PathBuf> {
        fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// How many recipients all dumps name, and how many of these messages are intact.
    fn tally(&self) -> (usize, usize) {
        let (mut recipients, mut intact) = (0, 0);
        for path in self.dumps() {
            let dump = String::from_utf8(fs::read(path).unwrap()).unwrap();
            recipients += dump.lines().filter(|line| line.starts_with("X-Rcpt-Args:")).count();
            // smtp-source ends a file with an empty line, smtp-sink a dump with another.
            let message = format!("{}\r\n", dump.trim_end_matches('\n').replace('\n', "\r\n"));
            intact += usize::from(Label::check(message.as_bytes()).is_some_and(|(_, same)| same));
        }
        (recipients, intact)
    }
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A labelled message in a file, LF or CRLF.
fn message_file(folder: &Path, number: u64, size: usize, crlf: bool) -> String {
    let text = String::from_utf8(labelled("peer", number, size)).unwrap();
    let path = folder.join("message.eml");
    fs::write(&path, if crlf { text } else { text.replace("\r\n", "\n") }).unwrap();
    path.to_str().unwrap().to_owned()
}

/// smtp-source -> Ringpost -> smtp-sink.
fn between_postfix_tools(size: usize, messages: usize, recipients: usize, keep: bool) {
    let sink = SmtpSink::start();
    let server = Server::start(Plan::relay_to(([127, 0, 0, 1], sink.port).into()).set(
        "storage",
        "memory",
        "\"128 MiB\"",
    ));
    let file = message_file(server.folder(), 0, size, false);
    let (count, each) = (messages.to_string(), recipients.to_string());
    let to = format!("127.0.0.1:{}", server.port());
    let mut arguments = vec!["-s", "8", "-m", &count, "-r", &each, "-F", &file];
    arguments.extend(["-f", "from@source.test", "-t", "to@sink.test"]);
    if keep {
        arguments.push("-d");
    }
    arguments.push(&to);
    assert!(run_program("/usr/sbin/smtp-source", &arguments).status.success());
    let wanted = (messages * recipients, messages);
    wait_until(&format!("{wanted:?} (recipients, messages) in smtp-sink"), 60, || {
        sink.dumps().len() >= messages && sink.tally() == wanted
    });
    assert_eq!(sink.dumps().len(), messages, "as many dumps as messages");
}

#[test]
fn small_messages_one_a_session() {
    between_postfix_tools(1 << 10, 200, 1, false);
}

#[test]
fn small_messages_many_a_session() {
    between_postfix_tools(1 << 10, 400, 1, true);
}

#[test]
fn fifty_recipients_are_one_message() {
    between_postfix_tools(5 << 10, 40, 50, true);
    between_postfix_tools(5 << 10, 20, 50, false);
}

#[test]
fn middling_messages() {
    between_postfix_tools(64 << 10, 60, 1, true);
    between_postfix_tools(64 << 10, 20, 50, false);
}

#[test]
fn ten_mebibytes() {
    between_postfix_tools(10 << 20, 6, 1, true);
    between_postfix_tools(10 << 20, 2, 50, false);
}

/// Lets `send` send a labelled message and compares what arrives.
fn one_client(crlf: bool, send: impl FnOnce(&str, &str)) {
    let postbox = Postbox::open();
    let server = Server::start(Plan::relay_to(postbox.address()));
    let file = message_file(server.folder(), 3, 20_000, crlf);
    send(&server.port().to_string(), &file);
    postbox.wait_count(1, 20);
    let delivery = postbox.deliveries().remove(0);
    assert!(delivery.mail.starts_with("<from@source.test>"), "{}", delivery.mail);
    assert!(delivery.recipients[0].starts_with("<to@sink.test>"), "{:?}", delivery.recipients);
    let (label, same) = Label::check(&delivery.message).expect("a label");
    assert_eq!((label.run, label.number, same), ("peer", 3, true), "{}", delivery.text());
    assert!(
        delivery.text().contains("\r\nReceived: from ")
            || delivery.message.starts_with(b"Received: from ")
    );
}

#[test]
fn swaks() {
    one_client(false, |port, file| {
        // swaks ends what it is given with a line end of its own.
        let text = fs::read_to_string(file).unwrap();
        fs::write(file, text.trim_end_matches('\n')).unwrap();
        let data = format!("@{file}");
        let arguments = ["--server", "127.0.0.1", "--port", port, "--helo", "swaks.test", "--from"];
        let rest = ["from@source.test", "--to", "to@sink.test", "--suppress-data", "--data", &data];
        assert!(run_program("swaks", &[&arguments[..], &rest[..]].concat()).status.success());
    });
}

#[test]
fn curl() {
    one_client(true, |port, file| {
        let url = format!("smtp://127.0.0.1:{port}/curl.test");
        let arguments = ["-sS", "--mail-from", "from@source.test", "--mail-rcpt", "to@sink.test"];
        let rest = ["--upload-file", file, &url];
        assert!(run_program("curl", &[&arguments[..], &rest[..]].concat()).status.success());
    });
}

#[test]
fn msmtp() {
    one_client(false, |port, file| {
        let script = format!(
            "msmtp --file=/dev/null --host=127.0.0.1 --port={port} --auth=off --tls=off \
             --from=from@source.test --domain=msmtp.test to@sink.test < {file}"
        );
        assert!(run_program("sh", &["-c", &script]).status.success());
    });
}

#[test]
fn python_smtplib() {
    one_client(true, |port, file| {
        let script = format!(
            "import smtplib\ns = smtplib.SMTP('127.0.0.1', {port}, 'python.test')\n\
             r = s.sendmail('from@source.test', ['to@sink.test'], open('{file}', 'rb').read(),\n\
             mail_options=['BODY=8BITMIME'])\nassert r == {{}}, r\ns.quit()"
        );
        assert!(run_program("python3", &["-c", &script]).status.success());
    });
}

/// SMTPUTF8 by a client that others wrote, through to the next hop.
#[test]
fn python_sends_utf8_addresses() {
    let postbox = Postbox::open();
    let server = Server::start(Plan::relay_to(postbox.address()));
    let script = format!(
        "import smtplib, email.message\nm = email.message.EmailMessage()\n\
         m['From'] = 'jürgen@source.test'; m['To'] = '用户@sink.test'; m['Subject'] = 'grüße'\n\
         m.set_content('größe')\ns = smtplib.SMTP('127.0.0.1', {}, 'python.test')\n\
         s.send_message(m); s.quit()",
        server.port()
    );
    assert!(run_program("python3", &["-c", &script]).status.success());
    let delivery = postbox.wait_for("grüße", 20);
    assert!(delivery.mail.contains("SMTPUTF8"), "{}", delivery.mail);
    assert!(delivery.recipients[0].starts_with("<用户@sink.test>"));
    assert!(delivery.text().contains("with UTF8SMTP"), "{}", delivery.text());
    assert!(Address::parse("用户@sink.test").unwrap().needs_utf8());
}

/// Five thousand proving messages over twenty pipelining connections.
#[test]
fn load_arrives_byte_for_byte_and_once() {
    let postbox = Postbox::open();
    let server = Server::start(Plan::relay_to(postbox.address()));
    let outcome = send(load(server.address(), "load", 5000, 5 << 10));
    assert_eq!(outcome.acknowledged.len(), 5000, "{:?}", outcome.source);
    postbox.wait_all("load", &outcome.acknowledged, 60);
    let arrivals = postbox.arrivals("load");
    let duplicated = arrivals.values().filter(|times| times.len() > 1).count();
    assert_eq!((arrivals.len(), duplicated), (5000, 0), "each message once");
    println!("{} messages over {} connections", arrivals.len(), postbox.connections());
    assert!(postbox.connections() < 2500, "connections are used again");
    wait_until("a log event for each step", 10, || {
        server.events_of("accepted").len() == 5000 && server.events_of("delivered").len() == 5000
    });
}

fn three_each(mut load: Load) -> Load {
    Arc::get_mut(&mut load.mailing).unwrap().recipients = Spread::Fixed(3);
    load
}

/// The same on the epoll backend, for hosts where io_uring is forbidden.
#[test]
fn load_over_epoll() {
    let postbox = Postbox::open();
    let mut plan = Plan::relay_to(postbox.address());
    plan.io = "epoll";
    let server = Server::start(plan);
    let outcome = send(three_each(load(server.address(), "epoll", 1000, 5 << 10)));
    assert_eq!(outcome.acknowledged.len(), 1000, "{:?}", outcome.source);
    postbox.wait_all("epoll", &outcome.acknowledged, 60);
    assert_eq!(postbox.count(), 1000);
}

/// A next hop that offers nothing: no PIPELINING, no CHUNKING, no SIZE.
#[test]
fn plain_next_hop() {
    let without = ["PIPELINING", "CHUNKING", "SIZE", "DSN", "8BITMIME", "SMTPUTF8"];
    let rules = loadtest::sink::Rules {
        without: without.iter().map(|word| (*word).to_owned()).collect(),
        ..Default::default()
    };
    let postbox = Postbox::with(rules);
    let server = Server::start(Plan::relay_to(postbox.address()));
    let outcome = send(three_each(load(server.address(), "plain", 200, 5 << 10)));
    postbox.wait_all("plain", &outcome.acknowledged, 60);
    assert_eq!((outcome.acknowledged.len(), postbox.count()), (200, 200));
}

//! Accounts and submission with the programs that people use: swaks, msmtp, curl, Python, nodemailer,
//! gsasl; and with one that guesses.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::harness::{Listener, Plan, Postbox, Server, Text, run_program, wait_until};
use crate::tls::{Authority, s_client};

const PASSWORD: &str = "correct horse";

/// A server with accounts, everything routed to a postbox.
struct World {
    authority: Authority,
    server: Server,
    postbox: Postbox,
}

impl World {
    fn new() -> Self {
        Self::with(|plan| plan)
    }

    fn with(change: impl FnOnce(Plan) -> Plan) -> Self {
        let (authority, postbox) = (Authority::new(), Postbox::open());
        let certificate = authority.write("mx", "mx.test");
        let lines = |more: &[&str]| {
            let more = more.iter().map(|line| (*line).to_owned());
            std::iter::once(certificate.clone()).chain(more).collect()
        };
        let submission = ["kind = \"submission\"", "hide_client = true"];
        let mut plan = Plan::relay_to(postbox.address());
        plan.networks = vec!["192.0.2.0/24"];
        plan.listeners = vec![
            Listener { lines: lines(&[]), ..Listener::smtp() },
            Listener { lines: lines(&submission), ..Listener::smtp() },
            Listener { tls: "implicit", lines: lines(&submission), ..Listener::smtp() },
        ];
        // Cheap, for a test: what is proved is the same.
        plan = plan.set("passwords", "argon2_memory", "\"1 MiB\"");
        let server = Server::start(change(plan));
        let world = Self { authority, server, postbox };
        world.done(&["domain", "add", "ours.test"]);
        world.done(&["alias", "add", "info@ours.test", "joe@ours.test", "far@elsewhere.test"]);
        for account in ["joe@ours.test", "ann@ours.test"] {
            world.add_account(account);
        }
        world
    }

    fn done(&self, arguments: &[&str]) -> String {
        let output = self.server.cli(arguments);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {complaint}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn add_account(&self, address: &str) {
        let config = self.server.config_path();
        let mut child = Command::new(env!("CARGO_BIN_EXE_ringpost"))
            .args(["account", "add", address, "--stdin", "--config", config.to_str().unwrap()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(format!("{PASSWORD}\n").as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }

    /// 587, as it were.
    fn starttls(&self) -> String {
        self.server.plan.listeners[1].port.to_string()
    }

    /// 465, as it were.
    fn implicit(&self) -> String {
        self.server.plan.listeners[2].port.to_string()
    }

    /// swaks with these arguments: everything it and the server said, and how it ended.
    fn swaks(&self, arguments: &[&str]) -> (String, i32) {
        let starttls = self.starttls();
        let all = ["--server", "127.0.0.1", "--port", &starttls, "--tls"];
        let defaults = ["--from", "joe@ours.test", "--to", "you@elsewhere.test"];
        let output = run_program("swaks", &[&all[..], &defaults, arguments].concat());
        (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code().unwrap_or(-1))
    }
}

#[test]
fn swaks_msmtp_curl_and_python_submit_on_both_ports() {
    let world = World::new();
    let login = ["--auth-user", "joe@ours.test", "--auth-password", PASSWORD];
    for mechanism in ["PLAIN", "LOGIN"] {
        let subject = format!("swaks {mechanism}");
        let more = ["--auth", mechanism, "--header", &format!("Subject: {subject}")];
        let (said, status) = world.swaks(&[&login[..], &more].concat());
        assert_eq!(status, 0, "{said}");
        let text = world.postbox.wait_for(&subject, 10).text();
        assert!(text.contains("with ESMTPSA") && !text.contains("[127.0.0.1]"), "{text}");
        let text = text.to_lowercase();
        assert!(text.contains("message-id: <") && text.contains("date: "), "{text}");
    }
    let ca = world.authority.ca();
    let msmtp = |port: &str, mechanism: &str, starttls: &str| {
        let to = format!("{mechanism}-{starttls}@elsewhere.test");
        let arguments = [
            "-c",
            &format!(
                "printf 'Subject: msmtp\\n\\nhello\\n' | msmtp -C /dev/null --host=localhost \
             --port={port} --tls=on --tls-starttls={starttls} --tls-certcheck=off \
             --auth={mechanism} --user=joe@ours.test --passwordeval='echo {PASSWORD}' \
             --from=joe@ours.test {to}"
            ),
        ];
        assert!(run_program("sh", &arguments).status.success(), "msmtp {mechanism} {port}");
        world.postbox.wait_for(&format!("<{to}>"), 10);
    };
    for mechanism in ["plain", "login", "scram-sha-256", "scram-sha-256-plus"] {
        let known = run_program("msmtp", &["--version"]);
        let known = String::from_utf8_lossy(&known.stdout).into_owned();
        if known.contains(&format!(" {mechanism} ")) {
            msmtp(&world.starttls(), mechanism, "on");
            msmtp(&world.implicit(), mechanism, "off");
        }
    }
    let letter = world.server.folder().join("letter");
    fs::write(&letter, "Subject: curl\r\n\r\nhello\r\n").unwrap();
    for (scheme, port) in [("smtp", world.starttls()), ("smtps", world.implicit())] {
        let url = format!("{scheme}://mx.test:{port}/client.test");
        let resolve = format!("mx.test:{port}:127.0.0.1");
        let user = format!("joe@ours.test:{PASSWORD}");
        let to = format!("{scheme}@elsewhere.test");
        let arguments =
            ["-sS", "--ssl-reqd", "--cacert", &ca, "--resolve", &resolve, "--url", &url];
        let login = ["--user", &user, "--mail-from", "joe@ours.test", "--mail-rcpt", &to, "-T"];
        let arguments = [&arguments[..], &login, &[letter.to_str().unwrap()]].concat();
        assert!(run_program("curl", &arguments).status.success(), "{scheme}");
        world.postbox.wait_for(&format!("<{to}>"), 10);
    }
    let script = format!(
        "import smtplib, ssl\n\
         context = ssl.create_default_context(cafile='{ca}'); context.check_hostname = False\n\
         for kind, port in (('starttls', {}), ('implicit', {})):\n \
         if kind == 'starttls':\n  s = smtplib.SMTP('127.0.0.1', port); s.starttls(context=context)\n \
         else:\n  s = smtplib.SMTP_SSL('127.0.0.1', port, context=context)\n \
         s.login('joe@ours.test', '{PASSWORD}')\n \
         s.sendmail('joe@ours.test', 'python-' + kind + '@elsewhere.test', 'Subject: x\\n\\nhello\\n')\n \
         s.quit()\n",
        world.starttls(),
        world.implicit()
    );
    assert!(run_program("python3", &["-c", &script]).status.success());
    for kind in ["starttls", "implicit"] {
        world.postbox.wait_for(&format!("<python-{kind}@elsewhere.test>"), 10);
    }
}

#[test]
fn nodemailer_submits_on_both_ports() {
    let cache = std::env::var("RINGPOST_CACHE")
        .unwrap_or_else(|_| format!("{}/.cache/ringpost", std::env::var("HOME").unwrap()));
    let modules = format!("{cache}/peers/nodemailer/node_modules");
    assert!(fs::exists(&modules).unwrap(), "scripts/peers nodemailer fetches it");
    let world = World::new();
    let script = format!(
        "const nodemailer = require('{modules}/nodemailer'); const fs = require('fs');\n\
         (async () => {{ for (const [secure, port] of [[false, {}], [true, {}]]) {{\n\
         const transport = nodemailer.createTransport({{ host: '127.0.0.1', port, secure, \
         requireTLS: true, tls: {{ ca: fs.readFileSync('{}'), servername: 'mx.test' }}, \
         auth: {{ user: 'joe@ours.test', pass: '{PASSWORD}' }} }});\n\
         await transport.sendMail({{ from: 'Joe <joe@ours.test>', \
         to: 'node-' + secure + '@elsewhere.test', bcc: 'blind-' + secure + '@elsewhere.test', \
         subject: 'Grüße', text: 'hello' }}); }} }})().catch(e => {{ console.error(e); process.exit(1); }});\n",
        world.starttls(),
        world.implicit(),
        world.authority.ca()
    );
    let file = world.server.folder().join("submit.js");
    fs::write(&file, script).unwrap();
    assert!(run_program("node", &[file.to_str().unwrap()]).status.success());
    for secure in ["false", "true"] {
        let text = world.postbox.wait_for(&format!("<node-{secure}@elsewhere.test>"), 10).text();
        assert!(
            text.contains(&format!("blind-{secure}@elsewhere.test>")),
            "in the envelope: {text}"
        );
        assert!(text.contains("From: Joe <joe@ours.test>") && !text.contains("Bcc:"), "{text}");
    }
}

#[test]
fn gsasl_logs_in_by_scram_bound_to_the_channel() {
    let world = World::new();
    let ca = world.authority.ca();
    let try_mechanism = |mechanism: &str, password: &str| {
        let (port, ca) = (world.starttls(), format!("--x509-ca-file={ca}"));
        let (mechanism, password) =
            (format!("--mechanism={mechanism}"), format!("--password={password}"));
        let mut arguments = vec!["--smtp", "--client", &mechanism, &password, &ca];
        // Where it could bind to the channel, it does not do without unless it is told.
        if !mechanism.ends_with("-PLUS") {
            arguments.push("--no-cb");
        }
        arguments.extend(["--authentication-id=joe@ours.test", "localhost", &port]);
        let output = run_program("gsasl", &arguments);
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    };
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"] {
        let said = try_mechanism(mechanism, PASSWORD);
        assert!(said.contains("Client authentication finished"), "{mechanism}: {said}");
        let said = try_mechanism(mechanism, "wrong");
        assert!(!said.contains("Client authentication finished"), "{mechanism}: {said}");
    }
}

#[test]
fn a_client_certificate_is_as_good_as_a_password() {
    let world = World::with(|mut plan| {
        // The authority is known only behind this.
        plan.listeners[2].lines.push("client_certificates = \"ask\"".to_owned());
        let chain = plan.listeners[2].lines[0].clone();
        let folder = chain.split('"').nth(1).unwrap().rsplit_once('/').unwrap().0.to_owned();
        plan.listeners[2].lines.push(format!("client_ca_file = \"{folder}/ca.pem\""));
        plan
    });
    let port = format!("127.0.0.1:{}", world.implicit());
    let talk = |certificate: Option<&[String; 2]>, subject: &str| {
        let mut arguments = vec!["-connect", &port];
        if let Some([chain, key]) = certificate {
            arguments.extend(["-cert", chain, "-key", key]);
        }
        let letter = format!("Subject: {subject}\n\nhello\n.");
        let dialogue = [
            "EHLO client.test",
            "AUTH EXTERNAL =",
            "MAIL FROM:<joe@ours.test>",
            "rcpt to:<you@elsewhere.test>",
            "DATA",
            &letter,
            "QUIT",
        ];
        s_client(&arguments, &dialogue)
    };
    let joe = world.authority.person("joe@ours.test");
    let said = talk(Some(&joe), "by certificate");
    assert!(said.contains("EXTERNAL") && said.contains("235 2.7.0"), "{said}");
    assert!(world.postbox.wait_for("by certificate", 10).text().contains("with ESMTPSA"));
    // Ann may not send as Joe; who is not ours is nobody; without a certificate there is no such way.
    let ann = world.authority.person("ann@ours.test");
    assert!(talk(Some(&ann), "x").contains("553 5.7.1"));
    let stranger = world.authority.person("me@elsewhere.test");
    assert!(talk(Some(&stranger), "x").contains("535 5.7.8"));
    let foreign = Authority::new().person("joe@ours.test");
    assert!(!talk(Some(&foreign), "x").contains("235 "), "nobody vouches for it");
    let said = talk(None, "x");
    assert!(!said.contains("EXTERNAL\r") && said.contains("530 5.7.0"), "{said}");
    assert_eq!(world.postbox.count(), 1);
}

#[test]
fn a_message_is_held_for_as_long_as_its_sender_asks() {
    let world = World::new();
    let port = format!("127.0.0.1:{}", world.implicit());
    // joe@ours.test and PASSWORD.
    let login = "AUTH PLAIN AGpvZUBvdXJzLnRlc3QAY29ycmVjdCBob3JzZQ==";
    let talk = |parameters: &str| {
        let mail = format!("MAIL FROM:<joe@ours.test> {parameters}");
        let rest = ["rcpt to:<you@elsewhere.test>", "DATA", "Subject: later\n\nhello\n.", "QUIT"];
        s_client(&["-connect", &port], &[&["EHLO client.test", login, &mail][..], &rest].concat())
    };
    let said = talk("HOLDFOR=99999999");
    assert!(said.contains("FUTURERELEASE") && said.contains("\n501 "), "{said}");
    let before = Instant::now();
    let said = talk("HOLDFOR=4");
    assert!(said.contains("250 2.0.0"), "{said}");
    // It waits in the queue, also for a server that starts anew.
    let listed = world.server.cli_json(&["queue", "list", "--json"]);
    assert!(listed.to_string().contains("joe@ours.test"), "{listed}");
    world.postbox.wait_for("Subject: later", 20);
    assert!(before.elapsed() >= Duration::from_secs(4), "it left too early");
}

#[test]
fn whoever_may_not_is_refused_with_the_right_code() {
    let world = World::with(|plan| plan.set("directory", "messages_per_hour", "2"));
    let login = ["--auth", "PLAIN", "--auth-user", "joe@ours.test", "--auth-password"];
    let right = [&login[..], &[PASSWORD]].concat();
    let refused = |arguments: &[&str], code: &str| {
        let (said, status) = world.swaks(arguments);
        assert!(status != 0 && said.contains(code), "{code}: {said}");
    };
    refused(&[&login[..], &["wrong"]].concat(), "535 5.7.8");
    refused(
        &["--auth", "PLAIN", "--auth-user", "no@ours.test", "--auth-password", "x"],
        "535 5.7.8",
    );
    refused(&[], "530 5.7.0");
    refused(&[&right[..], &["--from", "ann@ours.test"]].concat(), "553 5.7.1");
    refused(&[&right[..], &["--h-From", "ann@ours.test"]].concat(), "550 5.7.1");
    let plain = ["--server", "127.0.0.1", "--port", &world.starttls()];
    let output = run_program("swaks", &[&plain[..], &["--to", "x@y.test"], &right].concat());
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!said.contains("AUTH PLAIN") && !output.status.success(), "never in the clear: {said}");
    // Of the two an hour one was used up by the wrong header.
    let (said, status) = world.swaks(&right);
    assert_eq!(status, 0, "{said}");
    refused(&right, "450 4.7.1");
    // The other listener is no relay for strangers, and knows who is ours.
    let port = world.server.port().to_string();
    let stranger = |to: &str| {
        let arguments = ["--server", "127.0.0.1", "--port", &port, "--to", to];
        let output = run_program("swaks", &[&arguments[..], &["--from", "a@far.test"]].concat());
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(stranger("you@elsewhere.test").contains("550 5.7.1 Relaying denied"));
    assert!(stranger("nobody@ours.test").contains("550 5.1.1"));
    assert!(stranger("Joe+list@ours.test").contains("250 2.0.0"));
    world.postbox.wait_for("RCPT <joe@ours.test>", 10);
}

#[test]
fn an_alias_goes_to_all_and_leaves_with_a_sender_of_ours() {
    let world = World::new();
    let port = world.server.port().to_string();
    let arguments = ["--server", "127.0.0.1", "--port", &port, "--to", "info@ours.test"];
    run_program("swaks", &[&arguments[..], &["--from", "a@far.test"]].concat());
    let kept = world.postbox.wait_for("RCPT <joe@ours.test>", 10).text();
    assert!(kept.starts_with("MAIL <a@far.test>"), "{kept}");
    let gone = world.postbox.wait_for("RCPT <far@elsewhere.test>", 10).text();
    assert!(gone.starts_with("MAIL <SRS0="), "{gone}");
    let sender = gone.split_once('<').unwrap().1.split_once('>').unwrap().0.to_owned();
    assert!(sender.ends_with("=far.test=a@ours.test"), "{sender}");
    // A bounce of it finds its way back.
    let arguments = ["--server", "127.0.0.1", "--port", &port, "--to", &sender, "--from", "<>"];
    let output = run_program("swaks", &arguments);
    assert!(output.status.success());
    world.postbox.wait_for("RCPT <a@far.test>", 10);
}

#[test]
fn blind_copies_are_not_told_and_messages_can_be_held() {
    let world = World::new();
    let login = ["--auth", "PLAIN", "--auth-user", "joe@ours.test", "--auth-password", PASSWORD];
    let (said, status) =
        world.swaks(&[&login[..], &["--header", "Bcc: secret@elsewhere.test"]].concat());
    assert_eq!(status, 0, "{said}");
    let text = world.postbox.wait_for("<you@elsewhere.test>", 10).text();
    assert!(!text.contains("secret@"), "{text}");
    assert!(said.contains("FUTURERELEASE"), "{said}");
}

#[test]
fn who_guesses_gets_nowhere_and_others_keep_working() {
    let world = World::new();
    let words = world.server.folder().join("words");
    let guesses: Vec<String> = (0..400).map(|number| format!("guess{number}")).collect();
    // The right one comes last: a guesser who is not stopped finds it.
    fs::write(&words, [&guesses[..], &[PASSWORD.to_owned()]].concat().join("\n")).unwrap();
    let port = world.implicit();
    let (file, bound) = (words.to_str().unwrap().to_owned(), "45");
    let hydra = thread::spawn(move || {
        Command::new("timeout")
            .args([bound, "hydra", "-I", "-S", "-t", "4", "-l", "joe@ours.test", "-P", &file])
            .args(["-s", &port, "127.0.0.1", "smtp"])
            .output()
            .expect("hydra (scripts/packages test installs it)")
    });
    wait_until("failed logins", 30, || {
        world.server.log_text().matches("login-failed").count() > 10
            || !world.server.events_of("login-failed").is_empty()
    });
    let started = Instant::now();
    let login = ["--auth-user", "ann@ours.test", "--auth-password", PASSWORD];
    let (said, status) =
        world.swaks(&[&["--auth", "PLAIN", "--from", "ann@ours.test"][..], &login].concat());
    println!("ann needed {:?}: {said}", started.elapsed());
    let output = hydra.join().unwrap();
    let found = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{found}");
    assert!(!found.contains("password: correct horse") && found.contains("hydra"), "{found}");
    // ann comes from the same address as the guesser: she is told to wait, never that she is wrong.
    assert!(status == 0 || said.contains("454 4.7.0"), "{said}");
    thread::sleep(Duration::from_millis(100));
    let blocked = world.server.events_of("login-failed");
    assert!(blocked.iter().any(|event| event["reason"] == "blocked"), "{blocked:?}");
}

"""What the scripts stand on: the server that is described by a JSON file, and mail for it.

`python3 SCRIPT SERVER.json`: host, the ports imap (STARTTLS), imaps, pop3 (STLS), pop3s, lmtp and smtp,
user, password, ca (a file), work (an empty folder), odd (messages), modules (of npm and PyPI).
Nothing in here is about one server in particular.
"""
import hashlib, imaplib, json, os, poplib, re, smtplib, ssl, subprocess, sys, time

SERVER = json.load(open(sys.argv[1]))
HOST, USER, PASSWORD, CA = (SERVER[key] for key in ('host', 'user', 'password', 'ca'))
WORK = SERVER['work']
# Both modules would give up on a line that is longer than RFC 5322 wants it.
imaplib._MAXLINE = 64 << 20
poplib._MAXLINE = 1 << 20
# What a server may put in front of a message that it accepts.
TRACE = {b'return-path', b'received', b'delivered-to', b'authentication-results', b'received-spf',
         b'x-original-to'}


def context():
    return ssl.create_default_context(cafile=CA)


def imap(folder=None, implicit=True):
    """A session that is logged in; with `folder` selected."""
    if implicit:
        session = imaplib.IMAP4_SSL(HOST, SERVER['imaps'], ssl_context=context(), timeout=60)
    else:
        session = imaplib.IMAP4(HOST, SERVER['imap'], timeout=60)
        session.starttls(context())
    session.login(USER, PASSWORD)
    if folder is not None:
        ok(session.select(folder))
    return session


def pop(implicit=True, tries=50):
    """A session that is logged in; the maildrop may still be held by the one before."""
    for last in range(tries):
        if implicit:
            session = poplib.POP3_SSL(HOST, SERVER['pop3s'], context=context(), timeout=60)
        else:
            session = poplib.POP3(HOST, SERVER['pop3'], timeout=60)
            session.stls(context())
        try:
            session.user(USER)
            session.pass_(PASSWORD)
            return session
        except poplib.error_proto as error:
            assert b'IN-USE' in error.args[0] and last + 1 < tries, error
            session.close()
            time.sleep(0.2)


def ok(answer):
    """The data of an answer of imaplib's that has to be OK."""
    assert answer[0] == 'OK', answer
    return answer[1]


def lmtp(messages, to=USER, sender='sender@elsewhere.test'):
    with smtplib.LMTP('127.0.0.1', SERVER['lmtp'], timeout=120) as session:
        for message in messages:
            assert not session.sendmail(sender, [to], message)


def smtp(messages, to=USER, sender='sender@elsewhere.test'):
    with smtplib.SMTP('127.0.0.1', SERVER['smtp'], local_hostname='client.test', timeout=120) as session:
        for message in messages:
            assert not session.sendmail(sender, [to], message)


def letter(number, subject=None, body='Hello.\r\n', more=''):
    """A small message; its number is in its Message-ID and its subject."""
    day = 1 + number % 28
    return (f'From: Somebody <from{number}@elsewhere.test>\r\nTo: Joe <joe@example.test>\r\n'
            f'Subject: {subject or f"letter {number}"}\r\nDate: {day} Nov 2025 12:00:00 +0000\r\n'
            f'Message-ID: <{number}@clients.test>\r\n{more}\r\n{body}').encode()


def wait(what, seconds, done):
    """Polls until `done` gives something true."""
    end = time.monotonic() + seconds
    while True:
        result = done()
        if result:
            return result
        assert time.monotonic() < end, f'gave up waiting for {what}'
        time.sleep(0.05)


def added(message, original):
    """The names of the fields that stand in front of `original`, which is all the rest of `message`."""
    assert message.endswith(original), difference(message, original)
    front = message[:len(message) - len(original)]
    assert front == b'' or front.endswith(b'\r\n'), front
    names = [line.split(b':')[0].lower() for line in front.split(b'\r\n')[:-1] if line[:1] not in b'\t ']
    assert set(names) <= TRACE, names
    return names


def difference(message, original):
    """Where two messages part, counted from the end."""
    ends = zip(reversed(message), reversed(original))
    at = next((at for at, (a, b) in enumerate(ends) if a != b), min(len(message), len(original)))
    around = slice(max(0, len(original) - at - 40), len(original) - at + 40)
    return f'{at} octets from the end: {original[around]!r} of {len(original)}, got {len(message)}'


def digest(octets):
    return hashlib.sha256(octets).hexdigest()[:16]


def plain(message, without=()):
    """With LF for CRLF, without some header fields: what a Maildir may change."""
    head, gap, body = message.replace(b'\r\n', b'\n').partition(b'\n\n')
    kept, keep = [], True
    for line in head.split(b'\n'):
        if line[:1] not in (b' ', b'\t'):
            keep = line.split(b':')[0].lower() not in without
        if keep:
            kept.append(line)
    return b'\n'.join(kept) + gap + body


def identity(message):
    return re.search(rb'(?im)^message-id:\s*<([^>]+)>', message).group(1).decode()


FLAGS = {'\\Seen': 'S', '\\Answered': 'R', '\\Flagged': 'F', '\\Draft': 'D', '\\Deleted': 'T'}


def far(folders, without=()):
    """What the server holds: {folder: {Message-ID: (flags, digest)}}."""
    session, held = imap(), {}
    for folder in folders:
        ok(session.select(f'"{folder}"', readonly=True))
        held[folder] = {}
        for item in ok(session.uid('FETCH', '1:*', '(FLAGS BODY.PEEK[])')):
            if isinstance(item, tuple):
                flags = re.search(rb'FLAGS \(([^)]*)\)', item[0]).group(1).decode().split()
                flags = ''.join(sorted(FLAGS[flag] for flag in flags if flag in FLAGS))
                held[folder][identity(item[1])] = (flags, digest(plain(item[1], without)))
    session.logout()
    return held


def near(root, folders, without=()):
    """What Maildirs hold, in the same way."""
    held = {}
    for folder in folders:
        held[folder] = {}
        for place in ('cur', 'new'):
            path = os.path.join(root, folder, place)
            for name in os.listdir(path):
                octets = open(os.path.join(path, name), 'rb').read()
                flags = ''.join(sorted(name.partition(':2,')[2]))
                flags = ''.join(flag for flag in flags if flag in 'SRFDT')
                held[folder][identity(octets)] = (flags, digest(plain(octets, without)))
    return held


def maildir_file(root, folder, message_id):
    for place in ('cur', 'new'):
        path = os.path.join(root, folder, place)
        for name in os.listdir(path):
            octets = open(os.path.join(path, name), 'rb').read()
            if identity(octets) == message_id:
                return os.path.join(path, name)
    raise AssertionError(f'{message_id} is not in {folder}')


def set_flags(root, folder, message_id, flags):
    """As a mail reader does it: by renaming."""
    path = maildir_file(root, folder, message_id)
    name = os.path.basename(path).partition(':2,')[0]
    os.rename(path, os.path.join(root, folder, 'cur', f'{name}:2,{flags}'))


def run(arguments, seconds=120, good=(0,), **more):
    """A program, to its end; what it printed."""
    done = subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=seconds, **more)
    assert done.returncode in good, (arguments, done.returncode, done.stdout[-4000:])
    return done.stdout


def write(name, text):
    path = os.path.join(WORK, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w') as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
    return path


def report(**what):
    print(json.dumps(what, sort_keys=True))

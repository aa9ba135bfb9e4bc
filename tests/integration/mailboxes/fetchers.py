"""fetchmail, getmail and mpop fetch every message as it is; what a session that is cut deleted stays."""
from world import *

CERTIFICATES = f'ca {CA}'
sent = [letter(number, body=f'.\r\n..dots\r\nGr\u00fc\u00dfe {number}\r\n') for number in range(12)]


def maildir(name):
    root = os.path.join(WORK, name)
    for place in ('cur', 'new', 'tmp'):
        os.makedirs(os.path.join(root, place))
    return root + '/'


def bodies(octets):
    """By Message-ID: the message behind what those on its way have put before it."""
    held = {}
    for message in octets:
        message = message.replace(b'\r\n', b'\n')
        at = message.index(b'From: Somebody')
        held[identity(message)] = digest(message[at:].rstrip(b'\n'))
    return held


def fetched(root):
    return bodies(open(os.path.join(root, 'new', name), 'rb').read() for name in os.listdir(root + 'new'))


def left():
    session = pop()
    count = session.stat()[0]
    session.quit()
    return count


def fetchmail(root, port, ssl):
    path = write('fetchmailrc', f'''poll {HOST} protocol pop3 port {port} uidl username "{USER}" password "{PASSWORD}"
  {ssl} sslcertck sslcertfile {CA} nokeep mda "{sys.executable} {write('mda.py', MDA)} {root}"
''')
    run(['fetchmail', '-f', path, '--nodetach', '--nosyslog', '--invisible', '-i', os.path.join(WORK, 'ids'), '--bad-header', 'accept'], good=(0, 1))


MDA = '''import os, sys, uuid
with open(os.path.join(sys.argv[1], 'new', uuid.uuid4().hex), 'wb') as file:
    file.write(sys.stdin.buffer.read())
'''


def getmail(root, port, kind):
    folder = os.path.join(WORK, 'getmail-' + kind)
    path = write(f'getmail-{kind}/getmailrc', f'''[retriever]
type = SimplePOP3SSLRetriever
server = {HOST}
port = {port}
username = {USER}
password = {PASSWORD}
ca_certs = {CA}
[destination]
type = MDA_external
path = {sys.executable}
arguments = ('{write('mda.py', MDA)}', '{root}')
unixfrom = false
allow_root_commands = true
[options]
delete = true
delivered_to = false
received = false
''')
    run(['getmail', '--getmaildir', folder, '--rcfile', path])


def mpop(root, port, starttls):
    path = write('mpoprc', f'''account x
host {HOST}
port {port}
user {USER}
password {PASSWORD}
tls on
tls_starttls {starttls}
tls_trust_file {CA}
auth plain
delivery maildir {root}
uidls_file {WORK}/uidls-{starttls}
keep off
received_header off
''')
    run(['mpop', '-C', path, '-a'])


runs = [('fetchmail', lambda root: fetchmail(root, SERVER['pop3s'], 'ssl')),
        ('fetchmail-stls', lambda root: fetchmail(root, SERVER['pop3'], "sslproto 'TLS1.2+'")),
        ('getmail', lambda root: getmail(root, SERVER['pop3s'], 'pop')),
        ('mpop', lambda root: mpop(root, SERVER['pop3s'], 'off')),
        ('mpop-stls', lambda root: mpop(root, SERVER['pop3'], 'on'))]
for name, fetch in runs:
    lmtp(sent)
    root = maildir(name)
    fetch(root)
    assert fetched(root) == bodies(sent), name
    assert left() == 0, name

# Deletions happen at QUIT only, unique ids are for good, and the maildrop is nobody else's meanwhile.
lmtp(sent[:3])
session = pop()
ids = session.uidl()[1]
session.dele(1)
try:
    pop(tries=1)
    raise SystemExit('two clients have one maildrop')
except AssertionError:
    pass
session.close()  # without QUIT
session = pop()
assert session.uidl()[1] == ids and session.stat()[0] == 3
session.dele(2)
session.rset()
session.dele(3)
session.quit()
session = pop(implicit=False)
assert session.uidl()[1] == ids[:2], (session.uidl(), ids)
watch = imap('INBOX')  # IMAP is not kept waiting
assert len(ok(watch.uid('SEARCH', 'ALL'))[0].split()) == 2
session.quit()
report(fetched=[name for name, _ in runs])

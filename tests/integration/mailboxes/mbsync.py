"""mbsync keeps a Maildir of 200 messages and the server alike, whoever changes what."""
from world import *

OWN = (b'x-tuid',)  # what mbsync adds to what it uploads
root = os.path.join(WORK, 'mail') + '/'


def config(port, kind):
    return write('mbsyncrc', f'''IMAPAccount far
Host {HOST}
Port {port}
User {USER}
Pass "{PASSWORD}"
SSLType {kind}
SystemCertificates no
CertificateFile {CA}

IMAPStore far
Account far

MaildirStore near
Path {root}
Inbox {root}INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns INBOX Lists Lists/* Made
Create Both
Remove None
Expunge Both
CopyArrivalDate yes
SyncState *
''')


def sync(port=SERVER['imaps'], kind='IMAPS'):
    run(["mbsync", "-c", config(port, kind), "-a"])


os.makedirs(root)
lmtp(letter(number) for number in range(120))
session = imap()
session.create('Lists')
ok(session.create('Lists/rust'))
for number in range(120, 200):
    flags = '(\\Seen)' if number % 2 else '(\\Seen \\Flagged \\Answered)'
    ok(session.append('Lists/rust', flags, None, letter(number, body=f'Grüße {number}\r\n' * 40)))
ok(session.select('INBOX'))
ok(session.store('1:40', '+FLAGS', '(\\Seen)'))
ok(session.store('20:60', '+FLAGS', '(\\Flagged)'))

both = ['INBOX', 'Lists/rust']
sync()
first = far(both, OWN)
assert [len(first[folder]) for folder in both] == [120, 80]
assert near(root, both, OWN) == first

# On the server: flags, deletions, news. Here: the same, and a new folder.
ok(session.store('100:110', '+FLAGS', '(\\Answered)'))
ok(session.store('1:5', '-FLAGS', '(\\Seen)'))
ok(session.store('111:115', '+FLAGS', '(\\Deleted)'))
ok(session.expunge())
lmtp(letter(number) for number in range(200, 210))
for number in range(60, 70):
    set_flags(root, 'INBOX', f'{number}@clients.test', 'FS')
for number in range(120, 130):
    set_flags(root, 'Lists/rust', f'{number}@clients.test', 'ST')
for place in ('cur', 'new', 'tmp'):
    os.makedirs(f'{root}Made/{place}')
for folder, number in (('Made', 300), ('Lists/rust', 301)):
    with open(f'{root}{folder}/cur/{number}.made:2,DS', 'wb') as file:
        file.write(letter(number, body='8 bit: é\r\n').replace(b'\r\n', b'\n'))
sync(SERVER['imap'], 'STARTTLS')
both.append('Made')
second = far(both, OWN)
assert near(root, both, OWN) == second
assert [len(second[folder]) for folder in both] == [125, 71, 1], {f: len(second[f]) for f in both}
inbox = second['INBOX']
assert all(inbox[f'{number}@clients.test'][0] == 'FS' for number in range(60, 70))
assert all('S' not in inbox[f'{number}@clients.test'][0] for number in range(5))
assert all('R' in inbox[f'{number}@clients.test'][0] for number in range(99, 110))
assert not any(f'{number}@clients.test' in inbox for number in range(110, 115))
assert second['Made']['300@clients.test'][0] == 'DS'

# Nothing is left to do: neither side changes again, and nothing has come twice.
sync()
assert far(both, OWN) == second == near(root, both, OWN)
report(**{folder: len(second[folder]) for folder in both})

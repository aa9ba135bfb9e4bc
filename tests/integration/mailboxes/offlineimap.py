"""offlineimap keeps Maildirs and the server alike, over both kinds of TLS."""
from world import *

OWN = (b'x-offlineimap',)  # what it adds to what it uploads
root = os.path.join(WORK, 'mail')


def sync(port=SERVER['imaps'], kind='ssl = yes\nstarttls = no'):
    path = write('offlineimaprc', f'''[general]
accounts = all
metadata = {WORK}/metadata
ui = basic
[Account all]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {root}
sep = /
[Repository far]
type = IMAP
remotehost = {HOST}
remoteport = {port}
remoteuser = {USER}
remotepass = {PASSWORD}
sslcacertfile = {CA}
usecompression = no
{kind}
folderfilter = lambda folder: folder in ('INBOX', 'Lists', 'Lists/rust', 'Made')
createfolders = True
''')
    return run(['offlineimap', '-o', '-c', path])


lmtp(letter(number) for number in range(40))
session = imap()
session.create('Lists')
ok(session.create('Lists/rust'))
for number in range(40, 60):
    ok(session.append('Lists/rust', '(\\Seen \\Flagged)' if number % 2 else '(\\Answered)', None, letter(number)))
ok(session.select('INBOX'))
ok(session.store('1:10', '+FLAGS', '(\\Seen)'))
both = ['INBOX', 'Lists/rust']
sync()
first = far(both, OWN)
assert [len(first[folder]) for folder in both] == [40, 20]
assert near(root, both, OWN) == first

ok(session.store('11:15', '+FLAGS', '(\\Flagged)'))
ok(session.store('16:18', '+FLAGS', '(\\Deleted)'))
ok(session.expunge())
lmtp([letter(100)])
for number in range(20, 25):
    set_flags(root, 'INBOX', f'{number}@clients.test', 'RS')
os.remove(maildir_file(root, 'Lists/rust', '50@clients.test'))
for place in ('cur', 'new', 'tmp'):
    os.makedirs(f'{root}/Made/{place}')
with open(f'{root}/Made/cur/1.made:2,S', 'wb') as file:
    file.write(letter(300).replace(b'\r\n', b'\n'))
sync(SERVER['imap'], 'ssl = no\nstarttls = yes')
both.append('Made')
second = far(both, OWN)
assert near(root, both, OWN) == second
assert [len(second[folder]) for folder in both] == [38, 19, 1], {f: len(second[f]) for f in both}
assert all(second['INBOX'][f'{number}@clients.test'][0] == 'RS' for number in range(20, 25))
assert all(second['INBOX'][f'{number}@clients.test'][0] == 'F' for number in range(10, 15))
assert second['Made']['300@clients.test'][0] == 'S'
sync()
assert far(both, OWN) == second == near(root, both, OWN)
report(**{folder: len(second[folder]) for folder in both})

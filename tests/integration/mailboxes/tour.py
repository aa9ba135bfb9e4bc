"""Python's imaplib goes everywhere: folders, searches, sorting, threads, flags, moves, changes, IDLE."""
from world import *

clear = imaplib.IMAP4(HOST, SERVER['imap'], timeout=60)
assert 'LOGINDISABLED' in clear.capabilities and 'STARTTLS' in clear.capabilities
try:
    clear.login(USER, PASSWORD)
    raise SystemExit('a password went in the clear')
except imaplib.IMAP4.error:
    pass
clear.logout()

session = imap()
ok(session.create('Work'))
ok(session.create('Work/2026/Q1'))
ok(session.rename('Work/2026', 'Work/old'))
ok(session.subscribe('Work/old/Q1'))
names = {line.decode().rsplit('"', 2)[-2] for line in ok(session.list())}
assert {'INBOX', 'Sent', 'Drafts', 'Junk', 'Trash', 'Archive', 'Work', 'Work/old', 'Work/old/Q1'} == names, names
assert any(b'\\Sent' in line for line in ok(session.list()))
assert any(b'Work/old/Q1' in line for line in ok(session.lsub()))
ok(session.delete('Work/old/Q1'))
assert session.delete('Work/old/Q1')[0] == 'NO' and session.delete('INBOX')[0] == 'NO'
assert session.namespace()[1][0] == b'(("" "/")) NIL NIL'

# What is searched.
mails = [letter(1, 'Figures of May', 'Gr\u00fc\u00dfe aus K\u00f6ln\r\n', 'Cc: ann@example.test\r\n'),
         letter(2, 'Re: Figures of May', 'needle in a haystack\r\n', 'References: <1@clients.test>\r\nX-Kind: odd\r\n'),
         letter(3, '=?utf-8?q?Gr=C3=BC=C3=9Fe?=', 'x' * 3000 + '\r\n'),
         letter(4, 'Re: Figures of May', 'nothing\r\n', 'In-Reply-To: <2@clients.test>\r\n')]
for number, (mail, flags) in enumerate(zip(mails, ['(\\Seen)', '(\\Flagged work)', None, '(\\Answered \\Seen)']), 1):
    ok(session.append('Work', flags, imaplib.Time2Internaldate(1767225600 + number * 86400), mail))
ok(session.select('Work'))
TABLE = [('ALL', '1 2 3 4'), ('SEEN', '1 4'), ('UNSEEN FLAGGED', '2'), ('NOT SEEN', '2 3'), ('KEYWORD work', '2'),
         ('UNKEYWORD work', '1 3 4'), ('OR ANSWERED FLAGGED', '2 4'), ('SUBJECT "figures"', '1 2 4'),
         ('SUBJECT {utf8}', '3'), ('FROM "from2@"', '2'), ('CC "ann"', '1'), ('HEADER X-Kind ""', '2'),
         ('HEADER X-Kind "even"', ''), ('BODY "haystack"', '2'), ('TEXT "odd"', '2'), ('LARGER 3000', '3'),
         ('SMALLER 3000', '1 2 4'), ('2:3 UNSEEN', '2 3'), ('UID 1,4', '1 4'), ('SINCE 3-Jan-2026', '2 3 4'),
         ('BEFORE 3-Jan-2026', '1'), ('ON 4-Jan-2026', '3'), ('SENTSINCE 1-Nov-2025', '1 2 3 4'),
         ('SENTBEFORE 1-Nov-2025', ''), ('OLDER 1', '1 2 3 4'), ('YOUNGER 10', ''), ('(SEEN (ANSWERED))', '4')]
for key, wanted in TABLE:
    if '{utf8}' in key:
        session.literal = 'gr\u00fc\u00dfe'.encode()
        found = ok(session.search('UTF-8', key.replace(' {utf8}', '')))
    else:
        found = ok(session.search(None, key))
    assert found[0].decode() == wanted, (key, found, wanted)
assert ok(session.sort('(REVERSE SIZE)', 'UTF-8', 'ALL'))[0].split()[0] == b'3'
assert ok(session.sort('(SUBJECT DATE)', 'UTF-8', 'ALL'))[0] == b'1 2 4 3'
assert ok(session.thread('REFERENCES', 'UTF-8', 'ALL'))[0] == b'(1 2 4)(3)'
assert ok(session.thread('ORDEREDSUBJECT', 'UTF-8', 'ALL'))[0] in (b'(1 (2)(4))(3)', b'(1 2 4)(3)')

# Changes, and who sees them.
other = imap('Work')
ok(session.store('1', '+FLAGS.SILENT', '(\\Draft later)'))
ok(other.noop())
flags = other.response('FETCH')[1]
assert b'\\Draft' in flags[-1] and b'later' in flags[-1], flags
ok(session.uid('COPY', '1:2', 'Archive'))
ok(session.uid('MOVE', '3', 'Archive'))
assert session.uid('COPY', '1', 'Nowhere')[0] == 'NO'
ok(other.noop())
assert other.response('EXPUNGE')[1] == [b'3']
ok(session.store('1:2', '+FLAGS', '(\\Deleted)'))
ok(session.uid('EXPUNGE', '2'))
assert [int(uid) for uid in ok(session.uid('SEARCH', 'ALL'))[0].split()] == [1, 4]
ok(session.close())
assert ok(session.status('Work', '(MESSAGES UIDNEXT UNSEEN)'))[0] == b'"Work" (MESSAGES 1 UIDNEXT 5 UNSEEN 0)'
assert ok(session.select('Archive')) == [b'3']
assert ok(session.select('Archive', readonly=True)) == [b'3']
assert session.store('1', '+FLAGS', '(\\Seen)')[0] == 'NO'

# CONDSTORE and QRESYNC: what a client that was away is told.
away = imap()
ok(away.enable('QRESYNC'))
ok(away.select('Archive'))
validity, modseq = (int(away.untagged_responses[name][-1]) for name in ('UIDVALIDITY', 'HIGHESTMODSEQ'))
changer = imap('Archive')
ok(changer.uid('STORE', '1', '+FLAGS', '(\\Flagged)'))
ok(changer.uid('STORE', '2', '+FLAGS', '(\\Deleted)'))
ok(changer.expunge())
again = imap()
ok(again.enable('QRESYNC'))
again.send(b'q1 SELECT Archive (QRESYNC (%d %d))\r\n' % (validity, modseq))
lines = []
while not lines or not lines[-1].startswith(b'q1 '):
    lines.append(again.readline())
assert lines[-1].startswith(b'q1 OK'), lines
assert any(line.startswith(b'* VANISHED (EARLIER) 2') for line in lines), lines
assert any(b'FETCH (UID 1 ' in line and b'\\Flagged' in line for line in lines), lines
assert not any(b'UID 3 ' in line for line in lines), lines

# IDLE: a delivery is told at once.
idle = imap('INBOX')
idle.send(b'i1 IDLE\r\n')
assert idle.readline().startswith(b'+')
lmtp([letter(50)])
assert idle.readline() == b'* 1 EXISTS\r\n'
line = idle.readline()
idle.send(b'DONE\r\n')
while not line.startswith(b'i1 OK'):
    line = idle.readline()
report(searches=len(TABLE))

"""Every odd message comes back octet for octet, by IMAP and POP3, however it came."""
import os
from world import *


def messages():
    """By name: those of the folder, and some that are better made than kept."""
    found = {}
    for name in sorted(os.listdir(SERVER['odd'])):
        octets = open(os.path.join(SERVER['odd'], name), 'rb').read()
        # SMTP ends a last line that has no end (RFC 5321 section 4.1.1.4).
        found[name] = octets if octets.endswith(b'\r\n') or not octets else octets + b'\r\n'
    head = b'From: a@b.test\r\nSubject: made\r\nMessage-ID: <%d@made.test>\r\n'
    lines = b''.join(b'%06d ' % number + b'x' * 70 + b'\r\n' for number in range(5 * (1 << 20) // 79))
    every = bytes(octet for octet in range(1, 256) if octet not in b'\r\n')
    dots = b''.join(b'.' * count + b'\r\n' + b'.' * count + b'x\r\n' for count in range(1, 9))
    made = [('5_mib', lines), ('lines_of_2000', (b'y' * 1998 + b'\r\n') * 40), ('every_octet', every * 3 + b'\r\n'),
            ('dots', dots), ('ends_with_blank_lines', b'x\r\n\r\n\r\n\r\n')]
    for number, (name, body) in enumerate(made):
        found[name] = head % number + b'\r\n' + body
    found['header_only'] = head % 99
    return found


def literal(answer):
    return next(item[1] for item in answer if isinstance(item, tuple))


def by_imap(session, uid, step):
    """A whole message, after everything that says something of its octets has agreed with it."""
    fetch = lambda items: ok(session.uid('FETCH', str(uid), items))
    whole = literal(fetch('(BODY.PEEK[])'))
    size = re.search(rb'RFC822.SIZE (\d+)', fetch('(RFC822.SIZE)')[0]).group(1)
    assert int(size) == len(whole), (size, len(whole))
    head, text = literal(fetch('(BODY.PEEK[HEADER])')), literal(fetch('(BODY.PEEK[TEXT])'))
    assert head + text == whole, 'header and text are not the whole'
    parts, at = [], 0
    while at < len(whole):
        parts.append(literal(fetch(f'(BODY.PEEK[]<{at}.{step}>)')))
        at += step
    assert b''.join(parts) == whole, 'the partial fetches are not the whole'
    return whole


def by_pop(session, number, size):
    whole = b''.join(line + b'\r\n' for line in session.retr(number)[1])
    assert len(whole) == size, (len(whole), size)
    head, gap, body = whole.partition(b'\r\n\r\n')
    lines = body.split(b'\r\n')
    for count in (0, 3):
        top = b'\r\n'.join(session.top(number, count)[1]) + b'\r\n'
        wanted = head + gap + b''.join(line + b'\r\n' for line in lines[:-1][:count])
        assert top == wanted or not gap, (count, top[-100:], wanted[-100:])
    return whole


def delivered(way, sent):
    """Delivers all, one after another; their UIDs."""
    watch, uids = imap('INBOX'), []
    for name, octets in sent.items():
        before = int(watch.select('INBOX')[1][0])
        way([octets])
        wait(name, 60, lambda: int(watch.select('INBOX')[1][0]) == before + 1)
        uids.append(int(ok(watch.uid('SEARCH', 'ALL'))[0].split()[-1]))
    watch.logout()
    return uids


def check(way, sent):
    uids = delivered(way, sent)
    session = imap('INBOX', implicit=False)
    seen = {}
    for uid, (name, original) in zip(uids, sent.items()):
        whole = by_imap(session, uid, 700_001 if len(original) > 100_000 else 997)
        try:
            added(whole, original)
        except AssertionError as error:
            raise AssertionError(f'{name}: {error}')
        seen[name] = whole
    # APPEND adds nothing, and leaves what has no last line end without it.
    for name, octets in [('bare', b'Subject: x\r\n\r\nno line end'), ('empty', b'\r\n'), ('5_mib', sent['5_mib'])]:
        ok(session.append('INBOX', None, None, octets))
        uid = ok(session.uid('SEARCH', 'ALL'))[0].split()[-1].decode()
        whole = literal(ok(session.uid('FETCH', uid, '(BODY.PEEK[])')))
        assert whole == octets, (name, len(whole), len(octets))
        session.uid('STORE', uid, '+FLAGS', '(\\Deleted)')
    ok(session.expunge())
    session.logout()
    session = pop(implicit=False)
    sizes = [int(line.split()[1]) for line in session.list()[1]]
    assert len(sizes) == len(sent), (len(sizes), len(sent))
    for number, (name, size) in enumerate(zip(seen, sizes), 1):
        whole = by_pop(session, number, size)
        assert whole == seen[name], f'{name}: {difference(whole, seen[name])}'
        session.dele(number)
    session.quit()
    return len(sent)


sent = messages()
ways = [('lmtp', lmtp)] + ([('smtp', smtp)] if SERVER['smtp'] else [])
report(**{name: check(way, sent) for name, way in ways})

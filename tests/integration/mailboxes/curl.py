"""curl lists, fetches, searches and appends by IMAP, and lists and fetches by POP3."""
from world import *

sent = [letter(number, subject=f'figures {number % 2}') for number in range(6)]
lmtp(sent)


def curl(url, *more):
    return run(['curl', '-sS', '--max-time', '60', '--cacert', CA, '-u', f'{USER}:{PASSWORD}', url, *more])


imaps, imap_plain = f'imaps://{HOST}:{SERVER["imaps"]}', f'imap://{HOST}:{SERVER["imap"]}'
pop3s = f'pop3s://{HOST}:{SERVER["pop3s"]}'
assert b'"INBOX"' in curl(imaps + '/')
assert b'Sent' in curl(imap_plain + '/', '--ssl-reqd')
for number in (1, 4):
    whole = curl(f'{imaps}/INBOX;MAILINDEX={number}')
    added(whole, sent[number - 1])
    assert added(curl(f'{pop3s}/{number}').rstrip(b'\r\n') + b'\r\n', sent[number - 1]) is not None
found = curl(f'{imap_plain}/INBOX?SUBJECT%20%22figures%201%22', '--ssl-reqd')
assert found.split() == b'* SEARCH 2 4 6'.split(), found
file = write('message', sent[0].decode())
curl(f'{imaps}/Drafts', '-T', file)
whole = curl(f'{imaps}/Drafts;UID=1')
assert whole.replace(b'\r\n', b'\n') == sent[0].replace(b'\r\n', b'\n'), whole
curl(f'{imaps}/INBOX', '-X', 'STORE 1:2 +FLAGS (\\Deleted)')
curl(f'{imaps}/INBOX', '-X', 'EXPUNGE')
assert len(curl(pop3s + '/').split(b'\r\n')) - 1 == 4, curl(pop3s + '/')
report(messages=len(sent))

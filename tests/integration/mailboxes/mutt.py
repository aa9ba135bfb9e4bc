"""mutt, driven by keys: reads, searches, saves into another folder, flags and deletes."""
from world import *

lmtp(letter(number, subject='wanted' if number in (2, 5) else f'letter {number}') for number in range(8))
imap().create('Kept')
muttrc = write('muttrc', f'''set imap_user="{USER}"
set imap_pass="{PASSWORD}"
set ssl_force_tls=yes
set ssl_starttls=yes
set ssl_ca_certificates_file={CA}
set certificate_file={WORK}/certificates
set ssl_usesystemcerts=no
set folder=imaps://{HOST}:{SERVER['imaps']}/
set spoolfile=+INBOX
set header_cache={WORK}/headers
set message_cachedir={WORK}/bodies
set delete=yes
set confirmappend=no
set confirmcreate=no
set move=no
set wait_key=no
set mark_old=no
''')


def mutt(keys, url):
    environment = {**os.environ, 'TERM': 'xterm', 'HOME': WORK}
    run(['script', '-qec', f"timeout 60 mutt -F {muttrc} -f {url} -e 'push {keys}'", '/dev/null'], env=environment)


inbox = f'imaps://{HOST}:{SERVER["imaps"]}/INBOX'
# Tags what is wanted, saves it elsewhere, flags the first and deletes the last, and goes.
mutt('<tag-pattern>wanted<enter><tag-prefix><save-message><kill-line>=Kept<enter>'
     '<first-entry><flag-message><last-entry><delete-message><sync-mailbox><quit>', inbox)
session = imap('INBOX')
subjects = [line for line in ok(session.uid('SEARCH', 'SUBJECT', '"wanted"'))[0].split()]
assert subjects == [], subjects
assert len(ok(session.uid('SEARCH', 'ALL'))[0].split()) == 5
assert len(ok(session.uid('SEARCH', 'FLAGGED'))[0].split()) == 1
assert ok(session.select('Kept')) == [b'2']
assert len(ok(session.uid('SEARCH', 'SUBJECT', '"wanted"'))[0].split()) == 2
# Reads one over STARTTLS: it is seen then.
mutt('<first-entry><display-message><exit><sync-mailbox><quit>', f'imap://{HOST}:{SERVER["imap"]}/Kept')
ok(session.select('Kept'))
assert len(ok(session.uid('SEARCH', 'SEEN'))[0].split()) == 1
report(kept=2)

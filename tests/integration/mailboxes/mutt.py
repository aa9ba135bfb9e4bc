"""mutt, driven by keys: reads, searches, saves into another folder, flags and deletes."""
import fcntl, pty, select, signal, struct, termios
from world import *

lmtp(letter(number, subject='wanted' if number in (2, 5) else f'letter {number}') for number in range(8))
imap().create('Kept')
muttrc = write('muttrc', f'''set imap_user="{USER}"
set imap_pass="{PASSWORD}"
set ssl_force_tls=yes
set ssl_starttls=yes
set ssl_ca_certificates_file={CA}
set certificate_file={WORK}/certificates
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
set sleep_time=0
''')


class Mutt:
    """mutt on a terminal of its own: a key is typed when what it answers to is on the screen."""

    def __init__(self, url):
        self.screen = b''
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            os.environ.update(TERM='xterm', HOME=WORK, LANG='C')
            os.execvp('mutt', ['mutt', '-F', muttrc, '-f', url])
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 80, 0, 0))

    def hear(self, until, seconds=60):
        """Takes what mutt draws until `until` says that it is enough; None at its end."""
        end = time.monotonic() + seconds
        while not until():
            if time.monotonic() > end:
                os.kill(self.process, signal.SIGKILL)
                raise AssertionError(f'mutt stands still: {self.screen[-4000:]!r}')
            if not select.select([self.terminal], [], [], 0.05)[0]:
                continue
            try:
                self.screen += os.read(self.terminal, 65536)
            except OSError:
                return

    def type(self, keys, answer=None):
        """Types, then waits for a text on the screen or for a function to be true."""
        self.screen = b''
        os.write(self.terminal, keys)
        self.await_(answer)

    def await_(self, answer):
        self.hear(answer if callable(answer) else lambda: answer in self.screen)

    def quit(self):
        os.write(self.terminal, b'q')
        self.hear(lambda: False)
        assert os.waitpid(self.process, 0)[1] == 0, self.screen[-4000:]


def count(folder, key):
    """How many messages of a folder a search finds, seen by another session."""
    other = imap()
    ok(other.select(folder, readonly=True))
    found = len(ok(other.uid('SEARCH', *key))[0].split())
    other.logout()
    return found


mutt = Mutt(f'imaps://{HOST}:{SERVER["imaps"]}/INBOX')
mutt.await_(b'letter 7')
# Tags what is wanted, saves it elsewhere, flags the first and deletes the last, and goes.
mutt.type(b'T', b'matching')
mutt.type(b'wanted\n', b'Tag:2')
mutt.type(b';s', b'tagged')
mutt.type(b'\x15=Kept\n', lambda: count('Kept', ['ALL']) == 2)
mutt.type(b'=F*d$', lambda: count('INBOX', ['ALL']) == 5)
mutt.quit()
assert count('INBOX', ['SUBJECT', '"wanted"']) == 0
assert count('INBOX', ['FLAGGED']) == 1
assert count('Kept', ['SUBJECT', '"wanted"']) == 2
# Reads one over STARTTLS: it is seen then.
mutt = Mutt(f'imap://{HOST}:{SERVER["imap"]}/Kept')
mutt.await_(b'wanted')
mutt.type(b'=\n', b'Hello.')
mutt.type(b'q$', lambda: count('Kept', ['SEEN']) == 1)
mutt.quit()
report(kept=2)

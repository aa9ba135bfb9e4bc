"""IMAPClient: capabilities, namespaces, special folders, search, flags, quota, IDLE."""
from world import *

sys.path.insert(0, os.path.join(SERVER['modules'], 'imapclient'))
from imapclient import IMAPClient

lmtp(letter(number, subject=f'letter {number}') for number in range(5))
with IMAPClient(HOST, port=SERVER['imaps'], ssl_context=context(), timeout=60) as client:
    client.login(USER, PASSWORD)
    assert client.has_capability('IDLE') and client.has_capability('CONDSTORE')
    assert client.namespace().personal == ((('', '/'),)) or client.namespace().personal[0] == ('', '/')
    assert client.find_special_folder(b'\\Sent') == 'Sent' and client.find_special_folder(b'\\Junk') == 'Junk'
    client.create_folder('Gr\u00fc\u00dfe & mehr')
    assert any(name == 'Gr\u00fc\u00dfe & mehr' for _, _, name in client.list_folders())
    found = client.select_folder('INBOX')
    assert found[b'EXISTS'] == 5, found
    uids = client.search(['SUBJECT', 'letter 3'])
    assert len(uids) == 1
    message = client.fetch(uids, ['ENVELOPE', 'FLAGS', 'RFC822.SIZE', 'INTERNALDATE', 'BODYSTRUCTURE', 'BODY.PEEK[]'])[uids[0]]
    assert message[b'ENVELOPE'].subject == b'letter 3' and len(message[b'BODY[]']) == message[b'RFC822.SIZE']
    assert client.add_flags(uids, [b'\\Flagged', b'$Later'])[uids[0]]
    assert b'$Later' in client.get_flags(uids)[uids[0]]
    client.copy(uids, 'Gr\u00fc\u00dfe & mehr')
    client.move(uids, 'Trash')
    assert client.folder_status('Gr\u00fc\u00dfe & mehr', ['MESSAGES'])[b'MESSAGES'] == 1
    assert len(client.search()) == 4 and len(client.sort(['REVERSE DATE'])) == 4
    assert client.thread() and client.get_quota_root('INBOX') is not None
    client.idle()
    lmtp([letter(99)])
    heard = []
    wait('news', 30, lambda: heard.extend(client.idle_check(timeout=5)) or any(b'EXISTS' in part for part in heard))
    client.idle_done()
    client.delete_messages(client.search(['SUBJECT', 'letter 99']))
    client.expunge()
    assert len(client.search()) == 4
    client.delete_folder('Gr\u00fc\u00dfe & mehr')
    client.logout()
report(heard=len(heard))

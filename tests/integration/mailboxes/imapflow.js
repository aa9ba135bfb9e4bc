// imapflow: fetches, flags, searches, moves, appends and downloads; compressed where that is offered.
const fs = require('fs');
const server = JSON.parse(fs.readFileSync(process.argv[2]));
const { ImapFlow } = require(`${server.modules}/imapflow/node_modules/imapflow`);
const assert = require('assert');

async function session(port, secure) {
  const client = new ImapFlow({
    host: server.host, port, secure, logger: false, qresync: true,
    tls: { ca: fs.readFileSync(server.ca) }, auth: { user: server.user, pass: server.password },
  });
  await client.connect();
  return client;
}

(async () => {
  const client = await session(server.imaps, true);
  const body = 'line of a message that is long enough to be compressed\r\n'.repeat(4000);
  const text = number => `From: a@b.test\r\nTo: c@d.test\r\nSubject: number ${number}\r\n\r\n${body}`;
  for (let number = 1; number <= 6; number++) {
    const placed = await client.append('INBOX', text(number), number % 2 ? ['\\Seen'] : [], new Date());
    assert.strictEqual(placed.uid, number);
  }
  const folders = (await client.list()).map(folder => [folder.path, folder.specialUse]);
  assert(folders.some(([path, use]) => path === 'Sent' && use === '\\Sent'), JSON.stringify(folders));
  const lock = await client.getMailboxLock('INBOX');
  try {
    assert.strictEqual(client.mailbox.exists, 6);
    const seen = await client.search({ seen: true }, { uid: true });
    assert.deepStrictEqual(seen, [1, 3, 5]);
    assert.deepStrictEqual(await client.search({ subject: 'number 4' }, { uid: true }), [4]);
    const one = await client.fetchOne('4', { uid: true, envelope: true, bodyStructure: true, size: true, source: true });
    assert.strictEqual(one.envelope.subject, 'number 4');
    assert.strictEqual(one.source.toString(), text(4));
    assert.strictEqual(one.size, text(4).length);
    const { content } = await client.download('2', 'TEXT', { uid: true });
    let octets = 0;
    for await (const piece of content) octets += piece.length;
    assert.strictEqual(octets, body.length);
    assert(await client.messageFlagsAdd('2', ['\\Flagged', 'work'], { uid: true }));
    const flags = (await client.fetchOne('2', { flags: true }, { uid: true })).flags;
    assert(flags.has('\\Flagged') && flags.has('work'));
    const moved = await client.messageMove('1:2', 'Archive', { uid: true });
    assert.deepStrictEqual([...moved.uidMap.entries()], [[1, 1], [2, 2]]);
    await client.messageDelete('3', { uid: true });
    assert.deepStrictEqual(await client.search({ all: true }, { uid: true }), [4, 5, 6]);
    assert(await client.mailboxCreate('a/b'));
    assert(await client.mailboxDelete('a/b'));
    assert.strictEqual((await client.status('Archive', { messages: true })).messages, 2);
  } finally {
    lock.release();
  }
  const other = await session(server.imap, false);
  const news = new Promise(resolve => client.once('exists', resolve));
  await client.mailboxOpen('INBOX');
  const idle = client.idle();
  await new Promise(resolve => setTimeout(resolve, 300));
  await other.append('INBOX', text(7));
  const told = await news;
  assert.strictEqual(told.count, 4);
  await other.logout();
  await client.logout();
  await idle.catch(() => {});
  console.log(JSON.stringify({ compressed: client.capabilities.has('COMPRESS=DEFLATE'), told: told.count }));
})().catch(error => { console.error(error); process.exit(1); });

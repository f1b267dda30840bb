// Sends texts and binary messages of every length coding, a ping, and a close code; each must come back as it was sent.
const { once } = require('events');
const WebSocket = require('ws');

(async () => {
  const socket = new WebSocket(process.argv[2]);
  await once(socket, 'open');
  for (const message of ['', 'h\u00e9llo', 'x'.repeat(125), 'x'.repeat(126), 'x'.repeat(70_000), Buffer.alloc(1_000_000, 7)]) {
    socket.send(message);
    const [data, isBinary] = await once(socket, 'message');
    if (isBinary !== Buffer.isBuffer(message) || !Buffer.from(message).equals(data)) throw new Error(`${message.length} bytes came back wrong`);
  }
  socket.ping('are you there');
  if (String((await once(socket, 'pong'))[0]) !== 'are you there') throw new Error('a wrong pong');
  socket.close(4321, 'enough');
  const [code] = await once(socket, 'close');
  if (code !== 4321) throw new Error(`closed with ${code}`);
  console.log('all messages came back');
})().catch((error) => { console.error(error); process.exit(1); });

// Publishes a thousand messages to itself, asks a question over the server, and leaves when all was delivered.
const { connect, StringCodec } = require('nats');

(async () => {
  const text = StringCodec();
  const nats = await connect({ servers: process.argv[2] });
  const numbers = nats.subscribe('numbers', { max: 1000 });
  nats.subscribe('question', { callback: (_, message) => message.respond(message.data) });
  for (let n = 0; n < 1000; n++) nats.publish('numbers', text.encode(String(n)));
  let next = 0;
  for await (const message of numbers) {
    if (text.decode(message.data) !== String(next)) throw new Error(`${text.decode(message.data)} instead of ${next}`);
    next += 1;
  }
  const large = new Uint8Array(900_000).fill(7);
  const answer = await nats.request('question', large, { timeout: 30_000 });
  if (answer.data.length !== large.length) throw new Error(`an answer of ${answer.data.length} bytes`);
  await nats.drain();
  console.log(`${next} messages`);
})().catch((error) => { console.error(error); process.exit(1); });

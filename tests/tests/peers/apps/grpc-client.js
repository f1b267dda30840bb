// Makes all kinds of call to grpc-go's interoperability server. Messages are written out: see grpc/testing/messages.proto.
const grpc = require('@grpc/grpc-js');

const SIZE = 4_000_000 - 20; // just below the most that gRPC takes by default
const SIZES = [31415, 9, 2653, 58979];

function varint(number) {
  const bytes = [];
  for (; number > 0x7f; number = Math.floor(number / 128)) bytes.push((number & 0x7f) | 0x80);
  return Buffer.from([...bytes, number]);
}

// A field of a message: a number, or bytes.
function field(number, value) {
  if (typeof value === 'number') return Buffer.concat([varint(number << 3), varint(value)]);
  return Buffer.concat([varint((number << 3) | 2), varint(value.length), value]);
}

const payload = (size) => field(2, Buffer.alloc(size));
// StreamingOutputCallRequest: what to answer with, and a payload.
const streaming = (sizes, body = 0) =>
  Buffer.concat([...sizes.map((size) => field(2, field(1, size))), field(3, payload(body))]);

const as_is = (bytes) => bytes;
const method = (name, requestStream, responseStream) => ({
  path: `/grpc.testing.TestService/${name}`, requestStream, responseStream,
  requestSerialize: as_is, requestDeserialize: as_is, responseSerialize: as_is, responseDeserialize: as_is,
});
const Client = grpc.makeGenericClientConstructor({
  unary: method('UnaryCall', false, false),
  output: method('StreamingOutputCall', false, true),
  collect: method('StreamingInputCall', true, false),
  duplex: method('FullDuplexCall', true, true),
}, 'TestService');

const check = (truth, what) => { if (!truth) throw new Error(what); };
const soon = () => ({ deadline: Date.now() + 60_000 });

// A call with one answer: the answer, its error, and its metadata.
const one = (start) => new Promise((done) => {
  const all = {};
  const call = start((error, answer) => { Object.assign(all, { error, answer }); });
  call.on('metadata', (initial) => { all.initial = initial; });
  call.on('status', (status) => done({ ...all, trailing: status.metadata }));
});

// A call with many answers: these, and its error.
const many = (call) => new Promise((done) => {
  const answers = [];
  call.on('data', (answer) => answers.push(answer));
  call.on('error', () => {});
  call.on('status', (status) => done({ answers, code: status.code }));
});

async function main() {
  const client = new Client(process.argv[2], grpc.credentials.createInsecure());
  const large = await one((told) => client.unary(Buffer.concat([field(2, SIZE), field(3, payload(SIZE))]), soon(), told));
  check(!large.error && large.answer.length > SIZE, `a large call: ${large.error}`);
  const output = await many(client.output(streaming(SIZES), soon()));
  check(output.code === 0 && output.answers.every((answer, n) => answer.length > SIZES[n]), `output: ${output.code}`);
  const sum = await one((told) => {
    const call = client.collect(soon(), told);
    SIZES.forEach((size) => call.write(field(1, payload(size))));
    call.end();
    return call;
  });
  check(!sum.error && sum.answer.equals(field(1, SIZES.reduce((a, b) => a + b))), `input: ${sum.error}`);
  const duplex = client.duplex(soon());
  SIZES.forEach((size) => duplex.write(streaming([size], size)));
  duplex.end();
  const both = await many(duplex);
  check(both.code === 0 && both.answers.length === 4, `duplex: ${both.code}`);

  const metadata = new grpc.Metadata();
  metadata.set('x-grpc-test-echo-initial', 'first');
  metadata.set('x-grpc-test-echo-trailing-bin', Buffer.from([0xab, 0xab]));
  const echo = await one((told) => client.unary(field(2, 1), metadata, soon(), told));
  check(echo.initial.get('x-grpc-test-echo-initial')[0] === 'first', 'initial metadata');
  check(echo.trailing.get('x-grpc-test-echo-trailing-bin')[0].equals(Buffer.from([0xab, 0xab])), 'trailing metadata');

  const status = field(7, Buffer.concat([field(1, grpc.status.UNKNOWN), field(2, Buffer.from('no \u263a'))]));
  const failed = await one((told) => client.unary(status, soon(), told));
  check(failed.error.code === grpc.status.UNKNOWN && failed.error.details === 'no \u263a', `a status: ${failed.error}`);
  const late = await many(client.duplex({ deadline: Date.now() + 500 }));
  // The server knows of the deadline as well: its reset may come before the client's own clock says so.
  check([grpc.status.DEADLINE_EXCEEDED, grpc.status.CANCELLED].includes(late.code), `a deadline: ${late.code}`);
  console.log('all calls were answered');
  client.close();
}

main().catch((error) => { console.error(error); process.exit(1); });

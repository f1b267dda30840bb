// Node's own servers: HTTP/1.1 on 8080, HTTP/2 in the clear on 8081. Every answer says what came.
const { createHash } = require('crypto');

function serve(request, response) {
  if (request.url === '/early') return response.writeHead(413).end('too large\n'); // before the body is read
  const hash = createHash('sha256');
  let length = 0;
  request.on('data', (piece) => { hash.update(piece); length += piece.length; });
  request.on('end', () => {
    if (request.url === '/hints') response.writeEarlyHints({ link: '</style.css>; rel=preload' });
    if (request.method === 'HEAD') return response.end(); // Node takes trailers of it for a mistake
    response.setHeader('trailer', 'x-length');
    response.writeHead(200);
    response.write(`${request.method} ${hash.digest('hex')}\n`);
    response.addTrailers({ 'x-length': String(length) });
    response.end();
  });
}

require('http').createServer(serve).on('checkContinue', (request, response) => {
  if (request.url === '/refuse') return response.writeHead(403).end('not here\n');
  response.writeContinue();
  serve(request, response);
}).listen(8080);
require('http2').createServer(serve).listen(8081);

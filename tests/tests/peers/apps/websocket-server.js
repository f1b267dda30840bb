// Echoes messages as they came, and ends as the client ends.
const { WebSocketServer } = require('ws');
new WebSocketServer({ port: 8080 }).on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});

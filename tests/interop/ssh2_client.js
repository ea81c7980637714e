// A client by npm's ssh2: a login at the gate, forwardOut to a login host, a login there, a command and a file.
// usage: node ssh2_client.js MODULES KEY FILE
const [modules, key, file] = process.argv.slice(2);
const { Client } = require(modules + '/ssh2');
const fs = require('fs');
const privateKey = fs.readFileSync(key);
const gate = new Client(), host = new Client();
const fail = (error) => { console.error(String(error)); process.exit(1); };
setTimeout(() => fail('took too long'), 60000).unref();
gate.on('error', fail).on('ready', () => {
  gate.forwardOut('127.0.0.1', 4000, 'daint.example', 22, (error, sock) => {
    if (error) fail(error);
    host.on('error', fail).on('ready', () => {
      host.exec('hostname', (error, stream) => {
        if (error) fail(error);
        let said = '';
        stream.on('data', (data) => { said += data; }).on('close', () => {
          if (said !== 'daint\n') fail('it said ' + said);
          host.sftp((error, sftp) => {
            if (error) fail(error);
            sftp.fastGet('up', file, (error) => {
              if (error) fail(error);
              host.end();
              gate.end();
              console.log('done');
            });
          });
        });
      });
    }).connect({ sock, username: 'alice', privateKey });
  });
}).connect({ host: 'ela.example', username: 'alice', privateKey });

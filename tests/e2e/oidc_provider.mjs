// An OpenID provider of another maker (npm oidc-provider) for scenarios.
//
// usage: oidc_provider.mjs NODE_MODULES PORT [REDIRECT-URI]
//
// REDIRECT-URI is that of the client "postern-web", which has a secret.
// Whoever signs in on its page by any name is that person, with amr ["pwd","otp"] unless the name ends in "-weak". Besides what
// oidc-provider offers: POST /forge {"header":{…},"claims":{…},"key":"own"|"other","alg":…} gives a token signed with its own key or
// another one; POST /lie with the same makes that token its next answer to whoever brings a code; POST /rotate changes its keys;
// POST /fetched tells how often its keys were asked for; POST /slow with a number of milliseconds has each code wait for its answer as long.
import { createRequire } from 'node:module';
import http from 'node:http';
import { pathToFileURL } from 'node:url';
import crypto from 'node:crypto';

const [, , modules, port, redirect] = process.argv;
const require = createRequire(`${modules}/`);
const { default: Provider } = await import(pathToFileURL(require.resolve('oidc-provider')));

const issuer = `http://127.0.0.1:${port}`;
const pair = (kid, type = 'rsa', options = { modulusLength: 2048 }) => {
  const { privateKey } = crypto.generateKeyPairSync(type, options);
  return { privateKey, jwk: { ...privateKey.export({ format: 'jwk' }), kid, use: 'sig' } };
};
let keys = [pair('rsa-1'), pair('ec-1', 'ec', { namedCurve: 'P-256' }), pair('ed-1', 'ed25519', {})];
const other = pair('other');
let fetched = 0;
let lie = '';
let slow = 0;

const client = (id, more) => ({
  client_id: id, token_endpoint_auth_method: 'none', application_type: 'native', response_types: ['code'],
  grant_types: ['authorization_code', 'urn:ietf:params:oauth:grant-type:device_code'], redirect_uris: ['http://127.0.0.1/back'], ...more,
});
const configured = () => new Provider(issuer, {
  jwks: { keys: keys.map((key) => key.jwk) },
  clients: [
    client('postern-hpc', { id_token_signed_response_alg: 'RS256' }),
    client('postern-ps', { id_token_signed_response_alg: 'PS256' }),
    client('postern-es', { id_token_signed_response_alg: 'ES256' }),
    client('postern-ed', { id_token_signed_response_alg: 'EdDSA' }),
    ...(redirect ? [client('postern-web', {
      application_type: 'web', grant_types: ['authorization_code'], redirect_uris: [redirect],
      token_endpoint_auth_method: 'client_secret_basic', client_secret: 'a secret: with %, + & =',
    })] : []),
  ],
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA'] },
  features: { devInteractions: { enabled: true }, deviceFlow: { enabled: true } },
  pkce: { required: () => true, methods: ['S256'] },
  conformIdTokenClaims: false,
  claims: { openid: ['sub', 'amr'], profile: ['preferred_username', 'groups'] },
  findAccount: (ctx, id) => ({
    accountId: id,
    claims: () => ({
      sub: id, preferred_username: `${id.replace(/-weak$/, '')}@hpc.example`, groups: ['hpc-csstaff', 'hpc-nothing', 'sports', 7],
    }),
  }),
});
// How a person proved who they are is the session's to say; the pages for development do not.
const make = () => {
  const made = configured();
  const { loginAccount } = made.Session.prototype;
  made.Session.prototype.loginAccount = function login(details) {
    return loginAccount.call(this, { ...details, amr: details.accountId.endsWith('-weak') ? ['pwd'] : ['pwd', 'otp'] });
  };
  return made;
};
let provider = make();

const token = ({ header = {}, claims = {}, key = 'own', alg = 'RS256' }) => {
  const now = Math.floor(Date.now() / 1000);
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ alg, kid: keys[0].jwk.kid, ...header })}.${part({
    iss: issuer, aud: 'postern-hpc', sub: 'bob', preferred_username: 'bob@hpc.example', amr: ['otp'], iat: now, exp: now + 300, ...claims,
  })}`;
  if (alg === 'none') return `${text}.`;
  if (alg === 'HS256') { // the public key as the secret
    const secret = crypto.createPublicKey(keys[0].privateKey).export({ type: 'spki', format: 'pem' });
    return `${text}.${crypto.createHmac('sha256', secret).update(text).digest('base64url')}`;
  }
  if (alg === 'ES256') { // two that are good: "s" and, with "sister", n - s
    const signature = crypto.sign('sha256', Buffer.from(text), { key: keys[1].privateKey, dsaEncoding: 'ieee-p1363' });
    return `${text}.${signature.toString('base64url')}`;
  }
  return `${text}.${crypto.sign('sha256', Buffer.from(text), (key === 'own' ? keys[0] : other).privateKey).toString('base64url')}`;
};

const read = async (request) => {
  let body = '';
  for await (const piece of request) body += piece;
  return body === '' ? {} : JSON.parse(body);
};

http.createServer(async (request, response) => {
  if (request.url === '/jwks') fetched += 1;
  if (request.method === 'POST' && request.url === '/forge') {
    const wish = await read(request);
    if (wish.header?.jwk === 'other') wish.header.jwk = crypto.createPublicKey(other.privateKey).export({ format: 'jwk' });
    response.end(token(wish));
  } else if (request.method === 'POST' && request.url === '/lie') {
    lie = token(await read(request));
    response.end('it will');
  } else if (request.method === 'POST' && request.url === '/slow') {
    slow = Number(await read(request));
    response.end('it will');
  } else if (request.method === 'POST' && request.url === '/token' && slow > 0) {
    setTimeout(() => response.writeHead(400).end('{"error":"invalid_grant"}'), slow);
  } else if (request.method === 'POST' && request.url === '/token' && lie !== '') {
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify({ access_token: 'any', token_type: 'Bearer', id_token: lie }));
    lie = '';
  } else if (request.method === 'POST' && request.url === '/rotate') {
    keys = [pair(`rsa-${Date.now()}`), ...keys.slice(1)];
    provider = make();
    response.end('rotated');
  } else if (request.method === 'POST' && request.url === '/fetched') {
    response.end(String(fetched));
  } else {
    provider.callback()(request, response);
  }
}).listen(Number(port), '127.0.0.1', () => console.log('listening'));

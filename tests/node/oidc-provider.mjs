// An OpenID provider (the package oidc-provider) with clients of its own, for the tests of access tokens and of sign-in.
//
//   node oidc-provider.mjs '{"clients": {"shop": "secret"}, "algorithm": "ES256", "lifetime": 60}'
//
// With "people" ({"ann": {"email": ...}}: claims by account) and "redirect_uris" the clients are web pages' and anybody who
// is among the people signs in with any password.
//
// Prints its issuer URL when it listens; ends with its standard input.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const { clients, algorithm, lifetime, people, redirect_uris } = JSON.parse(process.argv[2]);

const makers = {
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: () => generateKeyPairSync('ed25519'),
};
const keys = Object.entries(makers).map(([alg, make]) => ({
  ...make().privateKey.export({ format: 'jwk' }),
  alg,
  use: 'sig',
  kid: `key-${alg}`,
}));

const configuration = {
  jwks: { keys },
  scopes: ['orders:read', 'orders:write'],
  clients: Object.entries(clients).map(([client_id, client_secret]) => ({
    client_id,
    client_secret,
    ...(people
      ? { grant_types: ['authorization_code'], redirect_uris, response_types: ['code'], id_token_signed_response_alg: algorithm }
      : { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }),
  })),
  ...(people && {
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'preferred_username'], groups: ['groups'] },
    findAccount: (_, id) => (id in people ? { accountId: id, claims: () => ({ sub: id, ...people[id] }) } : undefined),
    cookies: { keys: ['test'] },
  }),
  features: {
    devInteractions: { enabled: Boolean(people) },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: !people,
      defaultResource: () => 'urn:sluice',
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'orders:read orders:write',
        audience: 'sluice',
        accessTokenFormat: 'jwt',
        accessTokenTTL: lifetime,
        jwt: { sign: { alg: algorithm } },
      }),
    },
  },
};

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  server.on('request', new Provider(issuer, configuration).callback());
  console.log(issuer);
});
process.stdin.resume().on('end', () => process.exit(0));

// How to begin, in several languages, with the addresses of one deployment.

export const base = (api, deployment) => (deployment.rest_url ? `${deployment.rest_url.replace(/\/+$/, '')}/${api.name}/v${api.major}` : null);

const has = (api, operation) => api.operations.includes(operation);
const example = '{"hello": "world"}';
const text = (lines) => lines.filter((line) => line !== false).join('\n');

function curl(api, events) {
  return text([
    'key=...  # the API key of your application',
    has(api, 'publish') && api.exposures.includes('rest') && `curl -H "X-API-Key: $key" -H 'Content-Type: application/json' -d '${example}' ${events}`,
    has(api, 'read') && api.exposures.includes('rest') && `curl -H "X-API-Key: $key" '${events}?from=earliest&wait=10'`,
    has(api, 'read') && api.exposures.includes('sse') && `curl -N -H "X-API-Key: $key" -H 'Accept: text/event-stream' ${events}`,
  ]);
}

function javascript(api, events) {
  return text([
    `const url = '${events}';`,
    "const headers = { 'X-API-Key': process.env.API_KEY };",
    has(api, 'publish') && `await fetch(url, { method: 'POST', headers: { ...headers, 'Content-Type': 'application/json' }, body: JSON.stringify(${example}) });`,
    has(api, 'read') && "let next = '';",
    has(api, 'read') && 'for (;;) {',
    has(api, 'read') && "  const page = await (await fetch(`${url}?wait=10${next && `&cursor=${encodeURIComponent(next)}`}`, { headers })).json();",
    has(api, 'read') && '  for (const event of page.events) console.log(event.data);',
    has(api, 'read') && '  next = page.next;',
    has(api, 'read') && '}',
  ]);
}

function python(api, events) {
  return text([
    'import os, requests',
    '',
    `url = "${events}"`,
    'headers = {"X-API-Key": os.environ["API_KEY"]}',
    has(api, 'publish') && `requests.post(url, headers=headers, json=${example}).raise_for_status()`,
    has(api, 'read') && 'cursor = None',
    has(api, 'read') && 'while True:',
    has(api, 'read') && '    page = requests.get(url, headers=headers, params={"wait": 10, "cursor": cursor}).json()',
    has(api, 'read') && '    for event in page["events"]:',
    has(api, 'read') && '        print(event["data"])',
    has(api, 'read') && '    cursor = page["next"]',
  ]);
}

function kafka(api, deployment) {
  const options = `-b ${deployment.kafka_url} -X security.protocol=SASL_SSL -X sasl.mechanism=SCRAM-SHA-512 -X sasl.username=$USERNAME -X sasl.password=$SECRET -t ${deployment.topic}`;
  return text([
    '# USERNAME and SECRET are of your credential; without TLS it is SASL_PLAINTEXT.',
    has(api, 'publish') && `echo '${example}' | kcat ${options} -P`,
    has(api, 'read') && `kcat ${options} -C -o beginning`,
  ]);
}

// [title, text] pairs: what this deployment offers.
export function snippets(api, deployment) {
  const address = base(api, deployment);
  const http = address && api.exposures.some((exposure) => exposure !== 'kafka');
  const events = `${address}/events`;
  return [
    ...(http ? [['curl', curl(api, events)], ['JavaScript', javascript(api, events)], ['Python', python(api, events)]] : []),
    ...(deployment.kafka_url && deployment.topic ? [['Kafka', kafka(api, deployment)]] : []),
  ];
}

// How to begin, in several languages, with the addresses of one deployment.

export const base = (api, deployment) => (deployment.rest_url ? `${deployment.rest_url.replace(/\/+$/, '')}/${api.name}/v${api.major}` : null);

// Is there anything of it over HTTP? Else gateways have no address and no documents of it either.
export const overHttp = (api) => api.exposures.some((exposure) => exposure !== 'kafka');

const has = (api, operation) => api.operations.includes(operation);
const example = '{"hello": "world"}';
const text = (lines) => lines.filter((line) => line !== false).join('\n');
// Events are published and read in pages where it is reached by "rest", and streamed by "sse".
const ways = (api) => {
  const rest = api.exposures.includes('rest');
  return { publishes: rest && has(api, 'publish'), reads: rest && has(api, 'read'), streams: api.exposures.includes('sse') && has(api, 'read') };
};

function curl(api, events) {
  const { publishes, reads, streams } = ways(api);
  return text([
    'key=...  # the API key of your application',
    publishes && `curl -H "X-API-Key: $key" -H 'Content-Type: application/json' -d '${example}' ${events}`,
    reads && `curl -H "X-API-Key: $key" '${events}?from=earliest&wait=10'`,
    streams && `curl -N -H "X-API-Key: $key" -H 'Accept: text/event-stream' ${events}`,
  ]);
}

function javascript(api, events) {
  const { publishes, reads, streams } = ways(api);
  return text([
    `const url = '${events}';`,
    "const headers = { 'X-API-Key': process.env.API_KEY };",
    publishes && `await fetch(url, { method: 'POST', headers: { ...headers, 'Content-Type': 'application/json' }, body: JSON.stringify(${example}) });`,
    reads && "let next = '';",
    reads && 'for (;;) {',
    reads && "  const page = await (await fetch(`${url}?wait=10${next && `&cursor=${encodeURIComponent(next)}`}`, { headers })).json();",
    reads && '  for (const event of page.events) console.log(event.data);',
    reads && '  next = page.next;',
    reads && '}',
    streams && !reads && "const stream = await fetch(url, { headers: { ...headers, Accept: 'text/event-stream' } });",
    streams && !reads && 'for await (const lines of stream.body.pipeThrough(new TextDecoderStream())) console.log(lines);',
  ]);
}

function python(api, events) {
  const { publishes, reads, streams } = ways(api);
  return text([
    'import os, requests',
    '',
    `url = "${events}"`,
    'headers = {"X-API-Key": os.environ["API_KEY"]}',
    publishes && `requests.post(url, headers=headers, json=${example}).raise_for_status()`,
    reads && 'cursor = None',
    reads && 'while True:',
    reads && '    page = requests.get(url, headers=headers, params={"wait": 10, "cursor": cursor}).json()',
    reads && '    for event in page["events"]:',
    reads && '        print(event["data"])',
    reads && '    cursor = page["next"]',
    streams && !reads && 'stream = requests.get(url, headers={**headers, "Accept": "text/event-stream"}, stream=True)',
    streams && !reads && 'for line in stream.iter_lines(decode_unicode=True):',
    streams && !reads && '    print(line)',
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
  const http = address && overHttp(api);
  const events = `${address}/events`;
  return [
    ...(http ? [['curl', curl(api, events)], ['JavaScript', javascript(api, events)], ['Python', python(api, events)]] : []),
    ...(deployment.kafka_url && deployment.topic ? [['Kafka', kafka(api, deployment)]] : []),
  ];
}

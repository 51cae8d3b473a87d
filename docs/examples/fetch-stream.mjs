// Reads an event stream with fetch, in a browser or in Node.js 18 and newer. Unlike EventSource, fetch can send the API
// key as a header; reconnecting with Last-Event-ID is then ours to do. Publishes one event and ends when it comes back.
const url = process.env.SLUICE_URL;
const key = process.env.SLUICE_KEY;

// Yields {id, event, data} for ever, from `lastId` on, whatever happens to the connection.
async function* events(lastId) {
  let wait = 1000;
  for (;;) {
    try {
      const headers = { 'X-API-Key': key, Accept: 'text/event-stream' };
      if (lastId) headers['Last-Event-ID'] = lastId;
      const response = await fetch(lastId ? url : `${url}?from=latest`, { headers });
      if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
      let pending = '';
      const decoder = new TextDecoder();
      for await (const chunk of response.body) {
        pending += decoder.decode(chunk, { stream: true });
        const blocks = pending.split('\n\n');
        pending = blocks.pop();
        for (const block of blocks) {
          const found = { event: 'message', data: '' };
          for (const line of block.split('\n')) {
            const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line);
            if (field === 'data') found.data += found.data ? `\n${value}` : value;
            else if (field === 'retry') wait = Number(value);
            else if (field) found[field] = value;
            else if (line === ': ok') yield { event: 'open' };
          }
          if (found.id) lastId = found.id;
          if (found.data) yield found;
        }
      }
    } catch (error) {
      console.error(`connection lost, trying again: ${error.message}`);
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

const marker = `order-${Date.now()}`;
for await (const { event, data } of events()) {
  if (event === 'open') {
    const body = JSON.stringify({ order: marker });
    const headers = { 'X-API-Key': key, 'Content-Type': 'application/json' };
    const response = await fetch(url, { method: 'POST', headers, body });
    console.log('published', (await response.json()).id);
  } else if (event === 'gap') {
    console.log('events were lost to this reader:', data);
  } else if (event === 'message') {
    console.log('event', data);
    if (JSON.parse(data).data?.order === marker) process.exit(0);
  }
}
